-- (c) A PL/pgSQL function of the same contract.
\set id :step * random(:lo, :hi)
\if :order_line
BEGIN;
\endif
SELECT sell(:id, 1);
\if :order_line
INSERT INTO order_line (product_id, quantity) VALUES (:id, 1);
COMMIT;
\endif
\set sold :sold + 1
