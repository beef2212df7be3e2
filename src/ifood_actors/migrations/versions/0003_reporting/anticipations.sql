CREATE VIEW reporting.anticipations AS
SELECT item.merchant_id, account.id AS account_id, account.name AS account_name,
  item.type, item.status, coalesce(item.status = 'SUCCEED', false) AS paid,
  item.original_payment_date, item.anticipated_payment_date,
  item.original_payment_date - item.anticipated_payment_date AS days_earlier,
  item.original_payment_amount AS original_amount,
  item.fee_percentage,
  coalesce(item.fee_amount, item.original_payment_amount - item.anticipated_payment_amount)
    ::numeric(14, 2) AS fee_amount,
  item.anticipated_payment_amount AS anticipated_amount,
  item.calculation_start, item.calculation_end,
  item.calculation_start - (extract(isodow FROM item.calculation_start)::int - 1) AS week_start
FROM ifood_anticipations AS item
LEFT JOIN accounts AS account ON account.ifood_merchant_id = item.merchant_id
WHERE item.missing_since IS NULL;

COMMENT ON VIEW reporting.anticipations IS
  'Payouts that stores brought forward, on the days on which they really came. It is money that payouts contain as well: do not add the two up.';
COMMENT ON COLUMN reporting.anticipations.merchant_id IS
  'The merchant.';
COMMENT ON COLUMN reporting.anticipations.account_id IS
  'The account of that merchant; NULL when it has none.';
COMMENT ON COLUMN reporting.anticipations.account_name IS
  'The name of that account.';
COMMENT ON COLUMN reporting.anticipations.type IS
  'iFood''s word, as it came.';
COMMENT ON COLUMN reporting.anticipations.status IS
  'iFood''s word, as it came.';
COMMENT ON COLUMN reporting.anticipations.paid IS
  'Whether the status is SUCCEED.';
COMMENT ON COLUMN reporting.anticipations.original_payment_date IS
  'The day on which the money would have come.';
COMMENT ON COLUMN reporting.anticipations.anticipated_payment_date IS
  'The day on which the money really comes.';
COMMENT ON COLUMN reporting.anticipations.days_earlier IS
  'Days between the two; NULL when one is unknown.';
COMMENT ON COLUMN reporting.anticipations.original_amount IS
  'What would have come, in BRL.';
COMMENT ON COLUMN reporting.anticipations.fee_percentage IS
  'The fee in percent, as it came; 1.49 is 1.49 percent.';
COMMENT ON COLUMN reporting.anticipations.fee_amount IS
  'The fee in BRL; where iFood gives none, the original amount less the anticipated one.';
COMMENT ON COLUMN reporting.anticipations.anticipated_amount IS
  'What really comes, in BRL.';
COMMENT ON COLUMN reporting.anticipations.calculation_start IS
  'First day of the calculation period; NULL for a loose item.';
COMMENT ON COLUMN reporting.anticipations.calculation_end IS
  'Last day of the calculation period; NULL for a loose item.';
COMMENT ON COLUMN reporting.anticipations.week_start IS
  'Monday of the week in which the period starts; NULL for a loose item.';
