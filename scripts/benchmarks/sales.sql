-- A month of sales such as iFood's own, :count of them for :merchants merchants; the tests use it, too.
INSERT INTO ifood_sales (account_id, merchant_id, job_id, first_seen_at, last_seen_at, changed_at,
  covered_from, covered_to, raw, sale_id, sale_day, short_id, created_at, type, category,
  sales_channel, current_status, merchant_short_id, merchant_name, merchant_type,
  merchant_timezone, sale_gross_value_bag, sale_gross_value_delivery_fee, benefits_total_value,
  delivery_type, delivery_information_provider_name, delivery_prices_gross_value,
  delivery_prices_discount, delivery_prices_net_value, billing_summary_sale_balance)
SELECT md5(merchant)::uuid, merchant, md5(day::text)::uuid, now(), now(), now(), day, day,
  jsonb_build_object('id', number, 'filler', repeat('x', 500)), md5(number::text)::uuid::text,
  day, number::text, day + INTERVAL '12 hours', 'ORDER', 'FOOD', 'IFOOD', 'CONCLUDED',
  (number % 10000)::text, 'Cantina da Esquina ' || merchant, 'RESTAURANT', 'America/Sao_Paulo',
  number % 30000 / 100.0, 7.99, 0, 'DELIVERY', 'IFOOD', 12.99, 5, 7.99, number % 20000 / 100.0
FROM generate_series(1, CAST(:count AS int)) AS number
CROSS JOIN LATERAL (SELECT 'm-' || number % CAST(:merchants AS int) AS merchant,
  DATE '2026-03-01' + number % 31 AS day) AS of
