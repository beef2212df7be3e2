-- No joins: then Postgres looks up a few records by their ids, through all of the parts.
CREATE VIEW reporting.last_seen AS
SELECT 'ifood_settlements' AS record_table, record.id AS record_id, record.merchant_id,
  coalesce((
    SELECT pull.job_id FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = 'ifood_settlements'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.job_id) AS job_id,
  coalesce((
    SELECT pull.pulled_at FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = 'ifood_settlements'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.last_seen_at) AS last_seen_at
FROM ifood_settlements AS record
UNION ALL
SELECT 'ifood_anticipations' AS record_table, record.id AS record_id, record.merchant_id,
  coalesce((
    SELECT pull.job_id FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = 'ifood_anticipations'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.job_id) AS job_id,
  coalesce((
    SELECT pull.pulled_at FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = 'ifood_anticipations'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.last_seen_at) AS last_seen_at
FROM ifood_anticipations AS record
UNION ALL
SELECT 'ifood_sales' AS record_table, record.id AS record_id, record.merchant_id,
  coalesce((
    SELECT pull.job_id FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = 'ifood_sales'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.job_id) AS job_id,
  coalesce((
    SELECT pull.pulled_at FROM ifood_complete_pulls AS pull
    WHERE pull.merchant_id = record.merchant_id AND pull.record_table = 'ifood_sales'
      AND pull.period_start <= record.covered_from AND pull.period_end >= record.covered_to
      AND pull.pulled_at > record.last_seen_at
      AND record.missing_since IS NULL AND record.suspected_since IS NULL
    ORDER BY pull.pulled_at DESC LIMIT 1), record.last_seen_at) AS last_seen_at
FROM ifood_sales AS record;

COMMENT ON VIEW reporting.last_seen IS
  'Which pull brought a record last. A record that did not change is not written, so its own job_id and last_seen_at stay those of the pull that wrote it.';
COMMENT ON COLUMN reporting.last_seen.record_table IS
  'The table of the record.';
COMMENT ON COLUMN reporting.last_seen.record_id IS
  'Its id there.';
COMMENT ON COLUMN reporting.last_seen.merchant_id IS
  'As in the record.';
COMMENT ON COLUMN reporting.last_seen.job_id IS
  'The job of that pull; jobs may be pruned, so it may not exist.';
COMMENT ON COLUMN reporting.last_seen.last_seen_at IS
  'When that pull was.';
