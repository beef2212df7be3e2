CREATE VIEW reporting.sales_days AS
WITH days AS (
  SELECT merchant_id, sale_day,
    count(*) FILTER (WHERE valid) AS orders,
    sum(sale_gross_value_bag) FILTER (WHERE valid) AS bag,
    sum(sale_gross_value_delivery_fee) FILTER (WHERE valid) AS delivery_fee,
    sum(sale_gross_value_service_fee) FILTER (WHERE valid) AS service_fee,
    sum(benefits_total_value) FILTER (WHERE valid) AS benefits,
    sum(billing_summary_sale_balance) AS balance,
    count(*) FILTER (WHERE billing_summary_sale_balance IS NULL) AS without_balance,
    count(*) FILTER (WHERE NOT valid) AS cancelled_orders,
    sum(sale_gross_value_bag) FILTER (WHERE NOT valid) AS cancelled_bag
  FROM ifood_sales
  CROSS JOIN LATERAL (SELECT current_status IS DISTINCT FROM 'CANCELLED' AS valid) AS judged
  WHERE missing_since IS NULL
  GROUP BY merchant_id, sale_day
)
SELECT days.merchant_id, account.id AS account_id, account.name AS account_name, days.sale_day,
  days.orders, coalesce(days.bag, 0) AS bag, coalesce(days.delivery_fee, 0) AS delivery_fee,
  coalesce(days.service_fee, 0) AS service_fee,
  coalesce(days.bag, 0) + coalesce(days.delivery_fee, 0) + coalesce(days.service_fee, 0) AS gross,
  coalesce(days.benefits, 0) AS benefits, coalesce(days.balance, 0) AS balance,
  days.without_balance, days.cancelled_orders, coalesce(days.cancelled_bag, 0) AS cancelled_bag
FROM days LEFT JOIN accounts AS account ON account.ifood_merchant_id = days.merchant_id;

COMMENT ON VIEW reporting.sales_days IS
  'The orders of a merchant on one of its local days, as iFood tells of them now. Days without orders have no row: see coverage.';
COMMENT ON COLUMN reporting.sales_days.merchant_id IS
  'The merchant that sold; a chain''s stores stay apart here.';
COMMENT ON COLUMN reporting.sales_days.account_id IS
  'The account of that merchant; NULL when it has none.';
COMMENT ON COLUMN reporting.sales_days.account_name IS
  'The name of that account.';
COMMENT ON COLUMN reporting.sales_days.sale_day IS
  'The day in the merchant''s zone.';
COMMENT ON COLUMN reporting.sales_days.orders IS
  'Orders that are not cancelled.';
COMMENT ON COLUMN reporting.sales_days.bag IS
  'Gross value of their bags.';
COMMENT ON COLUMN reporting.sales_days.delivery_fee IS
  'Their delivery fees; nothing charged is 0.';
COMMENT ON COLUMN reporting.sales_days.service_fee IS
  'Their service fees, which may be negative; nothing charged is 0.';
COMMENT ON COLUMN reporting.sales_days.gross IS
  'Bags and both fees together.';
COMMENT ON COLUMN reporting.sales_days.benefits IS
  'Discounts given on them, whoever pays for them.';
COMMENT ON COLUMN reporting.sales_days.balance IS
  'What the day leaves to the store, net, cancelled orders included: iFood may bill those as well.';
COMMENT ON COLUMN reporting.sales_days.without_balance IS
  'Orders that iFood has not billed yet: the balance lacks them.';
COMMENT ON COLUMN reporting.sales_days.cancelled_orders IS
  'Orders whose status is CANCELLED.';
COMMENT ON COLUMN reporting.sales_days.cancelled_bag IS
  'Gross value of the bags of those.';
