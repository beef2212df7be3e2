CREATE VIEW reporting.weeks AS
WITH parts AS (
  SELECT merchant_id, week_start,
    sum(amount) FILTER (WHERE receiver = 'store') AS to_store,
    sum(amount) FILTER (WHERE receiver = 'financer') AS to_financer,
    sum(amount) FILTER (WHERE paid AND receiver IN ('store', 'financer')) AS paid_by_titles,
    sum(amount) FILTER (WHERE receiver = 'ifood') AS owed,
    sum(amount) FILTER (WHERE receiver = 'unknown') AS unclassified,
    sum(amount) FILTER (WHERE role IN ('balance', 'undelivered')) AS closing_balance,
    NULL::numeric AS anticipated, NULL::numeric AS anticipation_fee,
    NULL::numeric AS sales_balance, NULL::numeric AS sales_without_balance
  FROM reporting.titles GROUP BY merchant_id, week_start
  UNION ALL
  SELECT merchant_id, week_start, NULL, NULL, NULL, NULL, NULL, NULL,
    sum(original_amount), sum(fee_amount), NULL, NULL
  FROM reporting.anticipations WHERE paid GROUP BY merchant_id, week_start
  UNION ALL
  SELECT merchant_id, sale_day - (extract(isodow FROM sale_day)::int - 1),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, sum(balance), sum(without_balance)
  FROM reporting.sales_days GROUP BY 1, 2
), weeks AS (
  SELECT coalesce(chains.settled_under, parts.merchant_id) AS merchant_id, week_start,
    coalesce(sum(to_store), 0) AS to_store,
    coalesce(sum(to_financer), 0) AS to_financer,
    coalesce(sum(paid_by_titles), 0) AS paid_by_titles,
    coalesce(sum(owed), 0) AS owed,
    coalesce(sum(unclassified), 0) AS unclassified,
    sum(closing_balance) AS closing_balance,
    coalesce(sum(anticipated), 0) AS anticipated,
    coalesce(sum(anticipation_fee), 0) AS anticipation_fee,
    sum(sales_balance) AS sales_balance,
    coalesce(sum(sales_without_balance), 0) AS sales_without_balance
  FROM parts LEFT JOIN reporting.chains USING (merchant_id)
  GROUP BY 1, 2
)
SELECT weeks.merchant_id, account.id AS account_id, account.name AS account_name,
  weeks.week_start, weeks.to_store, weeks.to_financer,
  weeks.to_store + weeks.to_financer AS expected,
  weeks.paid_by_titles, weeks.anticipated, weeks.anticipation_fee,
  greatest(weeks.paid_by_titles, weeks.anticipated) AS paid,
  weeks.to_store + weeks.to_financer - greatest(weeks.paid_by_titles, weeks.anticipated)
    AS difference,
  weeks.owed, weeks.unclassified, weeks.closing_balance,
  weeks.sales_balance, weeks.sales_without_balance::bigint AS sales_without_balance,
  weeks.to_store + weeks.to_financer - weeks.sales_balance AS sales_difference
FROM weeks LEFT JOIN accounts AS account ON account.ifood_merchant_id = weeks.merchant_id;

COMMENT ON VIEW reporting.weeks IS
  'Expected against paid, for each week of calculation (Monday to Sunday) and merchant, the stores of a chain together.';
COMMENT ON COLUMN reporting.weeks.merchant_id IS
  'The merchant that it is counted under: chains.settled_under for a chain.';
COMMENT ON COLUMN reporting.weeks.account_id IS
  'The account of that merchant; NULL when it has none.';
COMMENT ON COLUMN reporting.weeks.account_name IS
  'The name of that account.';
COMMENT ON COLUMN reporting.weeks.week_start IS
  'Monday of the week; NULL for what belongs to none, such as loose titles.';
COMMENT ON COLUMN reporting.weeks.to_store IS
  'Money to the store for this week, paid or not.';
COMMENT ON COLUMN reporting.weeks.to_financer IS
  'Money to a financer for this week, paid or not.';
COMMENT ON COLUMN reporting.weeks.expected IS
  'Both together.';
COMMENT ON COLUMN reporting.weeks.paid_by_titles IS
  'The part of expected whose titles are paid.';
COMMENT ON COLUMN reporting.weeks.anticipated IS
  'Original amounts of the paid anticipations of this week: the same money, earlier and less a fee.';
COMMENT ON COLUMN reporting.weeks.anticipation_fee IS
  'The fees of those.';
COMMENT ON COLUMN reporting.weeks.paid IS
  'The larger one of paid_by_titles and anticipated, because both tell of the same money.';
COMMENT ON COLUMN reporting.weeks.difference IS
  'Expected less paid: above 0 it is still to come, below 0 somebody should look.';
COMMENT ON COLUMN reporting.weeks.owed IS
  'What the store owes (BOLETO), negative.';
COMMENT ON COLUMN reporting.weeks.unclassified IS
  'Money of which we do not know where it goes; not in expected.';
COMMENT ON COLUMN reporting.weeks.closing_balance IS
  'The sum of SALDO POSITIVO and SALDO NEGATIVO, for comparison; NULL when iFood gives none, as for most stores.';
COMMENT ON COLUMN reporting.weeks.sales_balance IS
  'What the orders of the week leave to the store, by their own billing; NULL when no order is stored.';
COMMENT ON COLUMN reporting.weeks.sales_without_balance IS
  'Orders of the week that iFood has not billed yet.';
COMMENT ON COLUMN reporting.weeks.sales_difference IS
  'Expected less sales_balance: fees and corrections that are in no order; NULL when no order is stored.';
