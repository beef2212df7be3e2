-- The pull is looked up twice and not joined: then Postgres finds a few records by their ids,
-- through all of the parts.
SELECT '{table}' AS record_table, record.id AS record_id, record.merchant_id,
  coalesce((
    SELECT pull.job_id FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = '{table}'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.job_id) AS job_id,
  coalesce((
    SELECT pull.pulled_at FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = '{table}'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.last_seen_at) AS last_seen_at
FROM {table} AS record
