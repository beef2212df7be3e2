CREATE VIEW reporting.chains AS
WITH RECURSIVE shared AS (
  -- Titles without id are told apart by their content, and two stores may owe the same fee.
  SELECT title_id, type, amount, min(merchant_id) AS merchant_id
  FROM ifood_settlements
  WHERE NOT starts_with(title_id, 'derived:')
  GROUP BY title_id, type, amount
  HAVING min(merchant_id) <> max(merchant_id)
), pairs AS (
  SELECT DISTINCT title.merchant_id AS one, shared.merchant_id AS other
  FROM shared JOIN ifood_settlements AS title USING (title_id, type, amount)
  WHERE title.merchant_id <> shared.merchant_id
), links AS (
  SELECT one, other FROM pairs UNION SELECT other, one FROM pairs
), reached AS (
  SELECT one AS merchant_id, other FROM links
  UNION
  SELECT reached.merchant_id, links.other FROM reached JOIN links ON links.one = reached.other
)
SELECT merchant_id, min(other) AS settled_under FROM reached GROUP BY merchant_id;

COMMENT ON VIEW reporting.chains IS
  'Merchants that iFood settles together: a title with the same id, type and amount was returned for both, or for a third one of the chain. Merchants that stand alone are not listed.';
COMMENT ON COLUMN reporting.chains.merchant_id IS
  'A merchant of a chain.';
COMMENT ON COLUMN reporting.chains.settled_under IS
  'The merchant that the chain''s money is counted under: the one with the smallest id.';
