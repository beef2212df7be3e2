"""What is old may go: histories of jobs that ended long ago, former versions, `raw` of records."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# No login, the owner included, deletes what is recent, or belongs to a job that has not ended.
KEPT_FOR_90_DAYS = """
CREATE FUNCTION ifood_refuse_forgetting() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ifood_jobs WHERE id = OLD.job_id
      AND finished_at < statement_timestamp() - INTERVAL '90 days') THEN
    RAISE EXCEPTION 'the history of jobs is append-only, until 90 days after their end';
  END IF;
  RETURN OLD;
END $$;

CREATE FUNCTION ifood_refuse_forgetting_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'former versions are kept until 90 days after they were replaced';
END $$;

REVOKE EXECUTE ON FUNCTION ifood_refuse_forgetting, ifood_refuse_forgetting_versions FROM PUBLIC;

DROP TRIGGER append_only ON ifood_job_events;

CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON ifood_job_events
FOR EACH STATEMENT EXECUTE FUNCTION ifood_refuse_change();

CREATE TRIGGER kept_for_90_days BEFORE DELETE ON ifood_job_events
FOR EACH ROW EXECUTE FUNCTION ifood_refuse_forgetting();

CREATE TRIGGER kept_for_90_days BEFORE DELETE ON ifood_record_versions FOR EACH ROW
WHEN (OLD.valid_to >= statement_timestamp() - INTERVAL '90 days')
EXECUTE FUNCTION ifood_refuse_forgetting_versions();
"""

# With its owner's rights: a login that forgets need not be able to read what it forgets.
FORGET_RAW = """
CREATE FUNCTION ifood_forget_raw(record_table regclass, before timestamptz, after bigint,
  batch integer) RETURNS TABLE (up_to bigint, forgotten bigint, youngest timestamptz) LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF record_table NOT IN ('ifood_settlements'::regclass, 'ifood_anticipations'::regclass,
      'ifood_sales'::regclass) OR before > statement_timestamp() - INTERVAL '90 days' THEN
    RAISE EXCEPTION 'raw is kept for 90 days at least, and only records have it';
  END IF;
  RETURN QUERY EXECUTE format($sql$
    WITH seen AS (SELECT id, first_seen_at FROM %1$s WHERE id > $1 ORDER BY id LIMIT $2),
    emptied AS (
      UPDATE %1$s AS record SET raw = NULL FROM seen
      WHERE record.id = seen.id AND last_seen_at < $3 AND raw IS NOT NULL RETURNING 1)
    SELECT coalesce(max(id), 0), (SELECT count(*) FROM emptied), max(first_seen_at) FROM seen
  $sql$, record_table) USING after, batch, before;
END $$;

REVOKE EXECUTE ON FUNCTION ifood_forget_raw FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(KEPT_FOR_90_DAYS)
    op.execute(FORGET_RAW)
    for table in ("ifood_settlements", "ifood_anticipations", "ifood_sales"):
        op.alter_column(table, "raw", nullable=True)
