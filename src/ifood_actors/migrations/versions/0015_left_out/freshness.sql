CREATE OR REPLACE VIEW reporting.freshness AS
SELECT account.id AS account_id, account.name AS account_name,
  account.ifood_merchant_id AS merchant_id, account.active, kinds.kind,
  latest.id AS job_id, latest.job_day, latest.status, latest.attempts,
  latest.error_code, latest.last_error, latest.updated_at,
  success.id AS success_job_id, success.job_day AS success_day,
  success.finished_at AS success_at, success.period_end AS read_to,
  left_out.asked_again_on
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
) AS success ON true
LEFT JOIN ifood_left_out AS left_out ON left_out.account_id = account.id
  AND left_out.job_type = kinds.kind
  AND left_out.asked_again_on > coalesce(latest.job_day, '-infinity');

COMMENT ON COLUMN reporting.freshness.asked_again_on IS
  'The day of the run that asks the account again, while it is left out because it is idle; else NULL.';
