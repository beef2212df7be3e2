CREATE OR REPLACE FUNCTION ifood_forget_raw(record_table regclass, before timestamptz, after bigint,
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
      UPDATE %1$s AS record SET raw = NULL
      FROM seen JOIN reporting.last_seen AS sight
        ON sight.record_table = $4 AND sight.record_id = seen.id
      WHERE record.id = seen.id AND sight.last_seen_at < $3 AND raw IS NOT NULL RETURNING 1)
    SELECT coalesce(max(id), 0), (SELECT count(*) FROM emptied), max(first_seen_at) FROM seen
  $sql$, record_table) USING after, batch, before,
    (SELECT relname::text FROM pg_class WHERE oid = record_table);
END $$;
