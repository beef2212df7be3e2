CREATE VIEW reporting.payouts AS
SELECT merchant_id, account_id, account_name, returned_for, title_id, type, receiver,
  CASE receiver WHEN 'store' THEN amount ELSE 0::numeric(14, 2) END AS to_store,
  CASE receiver WHEN 'financer' THEN amount ELSE 0::numeric(14, 2) END AS to_financer,
  CASE receiver WHEN 'ifood' THEN amount ELSE 0::numeric(14, 2) END AS owed,
  CASE receiver WHEN 'unknown' THEN amount ELSE 0::numeric(14, 2) END AS unclassified,
  status, paid, payment_date, calculation_start, calculation_end, week_start
FROM reporting.titles WHERE receiver IS NOT NULL;

COMMENT ON VIEW reporting.payouts IS
  'The money that moves between iFood, stores and financers, each sum once. Every money column may be added up over any rows.';
COMMENT ON COLUMN reporting.payouts.merchant_id IS
  'The merchant that it is counted under: chains.settled_under for a chain, else the one it was returned for.';
COMMENT ON COLUMN reporting.payouts.account_id IS
  'The account of that merchant; NULL when it has none.';
COMMENT ON COLUMN reporting.payouts.account_name IS
  'The name of that account.';
COMMENT ON COLUMN reporting.payouts.returned_for IS
  'All merchants that iFood returned it for, in order.';
COMMENT ON COLUMN reporting.payouts.title_id IS
  'The title that stands for the money.';
COMMENT ON COLUMN reporting.payouts.type IS
  'That title''s type.';
COMMENT ON COLUMN reporting.payouts.receiver IS
  'Who gets the money: store, financer, ifood (the store owes it) or unknown.';
COMMENT ON COLUMN reporting.payouts.to_store IS
  'Money to the store, else 0: REPASSE, or a SALDO POSITIVO whose period has no other title that delivers it.';
COMMENT ON COLUMN reporting.payouts.to_financer IS
  'Money to whom the store has pledged it, else 0: REGISTRO_RECEBIVEIS that is no mere record of a REPASSE.';
COMMENT ON COLUMN reporting.payouts.owed IS
  'What the store owes, else 0: BOLETO, negative.';
COMMENT ON COLUMN reporting.payouts.unclassified IS
  'Money of which we do not know where it goes, else 0: an unknown type, or a RENEGOCIADA without its parts.';
COMMENT ON COLUMN reporting.payouts.status IS
  'iFood''s word, as it came.';
COMMENT ON COLUMN reporting.payouts.paid IS
  'Whether the status is SUCCEED.';
COMMENT ON COLUMN reporting.payouts.payment_date IS
  'The day of the payment by the original calendar; see anticipations for the real one of a store that anticipates.';
COMMENT ON COLUMN reporting.payouts.calculation_start IS
  'First day of the calculation period; NULL for a loose title.';
COMMENT ON COLUMN reporting.payouts.calculation_end IS
  'Last day of the calculation period; NULL for a loose title.';
COMMENT ON COLUMN reporting.payouts.week_start IS
  'Monday of the week in which the period starts; NULL for a loose title.';
