CREATE VIEW reporting.coverage AS
WITH reach AS (
  SELECT job_type AS kind, max(period_end) AS last_day FROM ifood_jobs GROUP BY job_type
)
SELECT account.id AS account_id, account.name AS account_name,
  account.ifood_merchant_id AS merchant_id, account.active,
  kinds.kind, days.day, job.id IS NOT NULL AS covered,
  job.id AS job_id, job.job_day, job.finished_at AS read_at
FROM accounts AS account
CROSS JOIN reporting.kinds
JOIN reach USING (kind)
CROSS JOIN LATERAL (
  SELECT coalesce(min(period_start), (account.created_at AT TIME ZONE 'UTC')::date) AS first_day
  FROM ifood_jobs
  WHERE job_type = kinds.kind AND account_id = account.id
    AND merchant_id = account.ifood_merchant_id
) AS asked
-- Days are counted, not stepped through as instants: some have no midnight in some zones.
CROSS JOIN LATERAL (
  SELECT asked.first_day + number AS day
  FROM generate_series(0, reach.last_day - asked.first_day) AS number
) AS days
LEFT JOIN LATERAL (
  SELECT id, job_day, finished_at FROM ifood_jobs
  WHERE account_id = account.id AND job_type = kinds.kind AND status = 'success'
    AND merchant_id = account.ifood_merchant_id
    AND job_day > days.day  -- no period reaches beyond the day before its job's
    AND period_start <= days.day AND period_end >= days.day
    AND (result ->> 'complete')::boolean IS NOT FALSE
  ORDER BY job_day DESC LIMIT 1
) AS job ON true;

COMMENT ON VIEW reporting.coverage IS
  'Account x day x kind: was the day read? From the first day that a job of the account asked for (the day it was added, if none did) to the last one that any account''s did.';
COMMENT ON COLUMN reporting.coverage.account_id IS
  'The account.';
COMMENT ON COLUMN reporting.coverage.account_name IS
  'Its name.';
COMMENT ON COLUMN reporting.coverage.merchant_id IS
  'Its merchant; jobs of a former merchant of the account do not count.';
COMMENT ON COLUMN reporting.coverage.active IS
  'Whether the account takes part; one that does not gets holes from then on.';
COMMENT ON COLUMN reporting.coverage.kind IS
  'The kind of data.';
COMMENT ON COLUMN reporting.coverage.day IS
  'A day of calculation, or a local day of sale: see kinds.';
COMMENT ON COLUMN reporting.coverage.covered IS
  'Whether a successful job read the day and came to the end of its list; false is a hole.';
COMMENT ON COLUMN reporting.coverage.job_id IS
  'Of such jobs, the one of the latest day; NULL in a hole.';
COMMENT ON COLUMN reporting.coverage.job_day IS
  'The day of that job.';
COMMENT ON COLUMN reporting.coverage.read_at IS
  'When that job ended.';
