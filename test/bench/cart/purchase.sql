-- Ten lines in one call.
\set id random(1, 90000)
SELECT * FROM purchase_cart(
    ARRAY[:id, :id + 10, :id + 20, :id + 30, :id + 40,
        :id + 50, :id + 60, :id + 70, :id + 80, :id + 90]::bigint[],
    '{1,1,1,1,1,1,1,1,1,1}');
\set sold :sold + 1
