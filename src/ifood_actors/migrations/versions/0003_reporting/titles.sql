CREATE VIEW reporting.titles AS
WITH sights AS (
  SELECT coalesce(chains.settled_under, title.merchant_id) AS settled_under,
    title.merchant_id, title.title_id, title.type, title.status, title.amount,
    title.payment_date, title.calculation_start, title.calculation_end,
    title.last_seen_at, title.changed_at,
    replace(upper(title.type), ' ', '_') AS word,
    CASE WHEN title.calculation_start IS NULL OR title.calculation_end IS NULL
      THEN title.payment_date END AS loose_day
  FROM ifood_settlements AS title LEFT JOIN reporting.chains USING (merchant_id)
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

COMMENT ON VIEW reporting.titles IS
  'Every title that iFood still returns, once for a chain, with what it is. Do not add the amounts up: see payouts.';
COMMENT ON COLUMN reporting.titles.merchant_id IS
  'The merchant that it is counted under: chains.settled_under for a chain, else the one it was returned for.';
COMMENT ON COLUMN reporting.titles.account_id IS
  'The account of that merchant; NULL when it has none.';
COMMENT ON COLUMN reporting.titles.account_name IS
  'The name of that account.';
COMMENT ON COLUMN reporting.titles.returned_for IS
  'All merchants that iFood returned it for, in order.';
COMMENT ON COLUMN reporting.titles.title_id IS
  'As in ifood_settlements; the id of the balance at iFood, or a derived one.';
COMMENT ON COLUMN reporting.titles.type IS
  'iFood''s word, as it came.';
COMMENT ON COLUMN reporting.titles.role IS
  'payout, pledge, slip, undelivered, undivided and unknown are counted; record, original and balance show money that other titles count.';
COMMENT ON COLUMN reporting.titles.receiver IS
  'Who gets the money: store, financer, ifood (the store owes it) or unknown; NULL when the title is not counted.';
COMMENT ON COLUMN reporting.titles.amount IS
  'Signed, in BRL.';
COMMENT ON COLUMN reporting.titles.status IS
  'iFood''s word, as it came.';
COMMENT ON COLUMN reporting.titles.paid IS
  'Whether the status is SUCCEED.';
COMMENT ON COLUMN reporting.titles.payment_date IS
  'The day of the payment by the original calendar; see anticipations for the real one of a store that anticipates.';
COMMENT ON COLUMN reporting.titles.calculation_start IS
  'First day of the calculation period; NULL for a loose title.';
COMMENT ON COLUMN reporting.titles.calculation_end IS
  'Last day of the calculation period; NULL for a loose title.';
COMMENT ON COLUMN reporting.titles.week_start IS
  'Monday of the week in which the period starts; NULL for a loose title.';
COMMENT ON COLUMN reporting.titles.last_seen_at IS
  'When a pull brought it last.';
COMMENT ON COLUMN reporting.titles.changed_at IS
  'When it last became something else.';
