-- (h) The extension, in the statement that inserts the order line.
\set id :step * random(:lo, :hi)
INSERT INTO order_line (product_id, quantity)
    SELECT :id, 1 FROM purchase(:id::bigint, 1);
\set sold :sold + 1
