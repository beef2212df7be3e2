CREATE OR REPLACE VIEW reporting.coverage AS
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
LEFT JOIN ifood_left_out AS left_out ON left_out.account_id = account.id
  AND left_out.job_type = kinds.kind AND left_out.asked_again_on > reach.last_day
CROSS JOIN LATERAL (
  SELECT coalesce(min(period_start), (account.created_at AT TIME ZONE 'UTC')::date) AS first_day,
    max(period_end) AS last_day
  FROM ifood_jobs
  WHERE job_type = kinds.kind AND account_id = account.id
    AND merchant_id = account.ifood_merchant_id
) AS asked
-- Days are counted, not stepped through as instants: some have no midnight in some zones.
CROSS JOIN LATERAL (
  SELECT asked.first_day + number AS day
  -- An idle account is read up to the latest run that asked it: the next one reads the days since.
  FROM generate_series(0, CASE WHEN left_out.account_id IS NULL THEN reach.last_day
    ELSE least(reach.last_day, asked.last_day) END - asked.first_day) AS number
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
  'Account x day x kind: was the day read? From the first day that a job of the account asked for (the day it was added, if none did) to the last one that any account''s did; of an account that is left out because it is idle, to the last one that its own did.';
