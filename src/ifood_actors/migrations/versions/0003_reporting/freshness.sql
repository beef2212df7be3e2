CREATE VIEW reporting.freshness AS
SELECT account.id AS account_id, account.name AS account_name,
  account.ifood_merchant_id AS merchant_id, account.active, kinds.kind,
  latest.id AS job_id, latest.job_day, latest.status, latest.attempts,
  latest.error_code, latest.last_error, latest.updated_at,
  success.id AS success_job_id, success.job_day AS success_day,
  success.finished_at AS success_at, success.period_end AS read_to
FROM accounts AS account
CROSS JOIN reporting.kinds
LEFT JOIN LATERAL (
  SELECT id, job_day, status, attempts, error_code, last_error, updated_at FROM ifood_jobs
  WHERE job_type = kinds.kind AND account_id = account.id
    AND merchant_id = account.ifood_merchant_id
  ORDER BY job_day DESC LIMIT 1
) AS latest ON true
LEFT JOIN LATERAL (
  SELECT id, job_day, finished_at, period_end FROM ifood_jobs
  WHERE job_type = kinds.kind AND account_id = account.id
    AND merchant_id = account.ifood_merchant_id AND status = 'success'
  ORDER BY job_day DESC LIMIT 1
) AS success ON true;

COMMENT ON VIEW reporting.freshness IS
  'Account x kind: the latest job and the latest success. Accounts that never had a job are listed as well.';
COMMENT ON COLUMN reporting.freshness.account_id IS
  'The account.';
COMMENT ON COLUMN reporting.freshness.account_name IS
  'Its name.';
COMMENT ON COLUMN reporting.freshness.merchant_id IS
  'Its merchant; jobs of a former merchant of the account do not count.';
COMMENT ON COLUMN reporting.freshness.active IS
  'Whether the account takes part.';
COMMENT ON COLUMN reporting.freshness.kind IS
  'The kind of data.';
COMMENT ON COLUMN reporting.freshness.job_id IS
  'The job of the latest day; NULL when there was none.';
COMMENT ON COLUMN reporting.freshness.job_day IS
  'The day of that job.';
COMMENT ON COLUMN reporting.freshness.status IS
  'Its status.';
COMMENT ON COLUMN reporting.freshness.attempts IS
  'Its attempts.';
COMMENT ON COLUMN reporting.freshness.error_code IS
  'Its last error, as a code, also while it waits for its next attempt; a success clears it.';
COMMENT ON COLUMN reporting.freshness.last_error IS
  'The same as text.';
COMMENT ON COLUMN reporting.freshness.updated_at IS
  'When it changed last.';
COMMENT ON COLUMN reporting.freshness.success_job_id IS
  'The latest job that succeeded; NULL when none did.';
COMMENT ON COLUMN reporting.freshness.success_day IS
  'The day of that job.';
COMMENT ON COLUMN reporting.freshness.success_at IS
  'When it ended.';
COMMENT ON COLUMN reporting.freshness.read_to IS
  'The last day whose data it read.';
