-- A new kind of data is one more line here, in a migration of its own (CREATE OR REPLACE VIEW).
CREATE VIEW reporting.kinds AS
SELECT * FROM (VALUES
  ('settlements_weekly', 'calculation'),
  ('anticipations_daily', 'calculation'),
  ('sales', 'sale')
) AS kinds (kind, day_of);

COMMENT ON VIEW reporting.kinds IS
  'The kinds of data that are pulled.';
COMMENT ON COLUMN reporting.kinds.kind IS
  'The kind, as in ifood_jobs.job_type.';
COMMENT ON COLUMN reporting.kinds.day_of IS
  'What its days are: days of calculation, or local days of sale.';
