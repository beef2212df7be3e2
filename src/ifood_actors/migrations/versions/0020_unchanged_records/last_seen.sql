CREATE VIEW reporting.last_seen AS
{parts};

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
