CREATE OR REPLACE VIEW reporting.titles AS
WITH sights AS (
  SELECT coalesce(chains.settled_under, title.merchant_id) AS settled_under,
    title.merchant_id, title.title_id, title.type, title.status, title.amount,
    title.payment_date, title.calculation_start, title.calculation_end,
    seen.last_seen_at, title.changed_at,
    replace(upper(title.type), ' ', '_') AS word,
    CASE WHEN title.calculation_start IS NULL OR title.calculation_end IS NULL
      THEN title.payment_date END AS loose_day
  FROM ifood_settlements AS title LEFT JOIN reporting.chains USING (merchant_id)
  JOIN reporting.last_seen AS seen
    ON seen.record_table = 'ifood_settlements' AND seen.record_id = title.id
  WHERE title.missing_since IS NULL
), once AS (
  -- Of the sights of a chain's title, the latest.
  SELECT DISTINCT ON (settled_under, title_id) *,
    array_agg(merchant_id) OVER (PARTITION BY settled_under, title_id ORDER BY merchant_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS returned_for
  FROM sights ORDER BY settled_under, title_id, last_seen_at DESC, merchant_id
), compared AS (
  SELECT *,
    sum(amount) FILTER (WHERE word = 'RENEGOCIADA') OVER period AS original,
    sum(amount) FILTER (WHERE word IN ('REPASSE', 'REGISTRO_RECEBIVEIS')) OVER period AS parts,
    count(*) FILTER (WHERE word = 'REPASSE') OVER equals AS equal_payouts,
    row_number() OVER (PARTITION BY settled_under, calculation_start, calculation_end, loose_day,
      amount, word ORDER BY title_id) AS twin
  FROM once
  WINDOW period AS (PARTITION BY settled_under, calculation_start, calculation_end, loose_day),
    equals AS (PARTITION BY settled_under, calculation_start, calculation_end, loose_day, amount)
), judged AS (
  SELECT *, CASE
    WHEN word = 'REPASSE' THEN 'payout'
    WHEN word = 'BOLETO' THEN 'slip'
    WHEN word = 'REGISTRO_RECEBIVEIS'
      -- The halves of a payout split in two are equal as well.
      THEN CASE WHEN twin <= equal_payouts AND (original >= parts) IS NOT TRUE
        THEN 'record' ELSE 'pledge' END
    WHEN word = 'RENEGOCIADA'
      THEN CASE WHEN parts IS NULL THEN 'undivided' ELSE 'original' END
    WHEN word = 'SALDO_POSITIVO'
      THEN CASE WHEN parts IS NULL AND original IS NULL THEN 'undelivered' ELSE 'balance' END
    WHEN word = 'SALDO_NEGATIVO' THEN 'balance'
    ELSE 'unknown' END AS role
  FROM compared
)
SELECT judged.settled_under AS merchant_id, account.id AS account_id, account.name AS account_name,
  judged.returned_for, judged.title_id, judged.type, judged.role,
  CASE
    WHEN judged.role IN ('payout', 'undelivered') THEN 'store'
    WHEN judged.role = 'pledge' THEN 'financer'
    WHEN judged.role = 'slip' THEN 'ifood'
    WHEN judged.role IN ('undivided', 'unknown') THEN 'unknown' END AS receiver,
  judged.amount, judged.status, coalesce(judged.status = 'SUCCEED', false) AS paid,
  judged.payment_date, judged.calculation_start, judged.calculation_end,
  judged.calculation_start - (extract(isodow FROM judged.calculation_start)::int - 1)
    AS week_start,
  judged.last_seen_at, judged.changed_at
FROM judged LEFT JOIN accounts AS account ON account.ifood_merchant_id = judged.settled_under;
