-- One statement, as good as it gets: it locks in key order, and the CHECK fails
-- it as a whole. It doesn't say which line was at fault.
\set id random(1, 90000)
WITH line AS MATERIALIZED (
    SELECT id FROM product
        WHERE id = ANY (
            ARRAY[:id, :id + 10, :id + 20, :id + 30, :id + 40,
                :id + 50, :id + 60, :id + 70, :id + 80, :id + 90]::bigint[])
        ORDER BY id FOR NO KEY UPDATE NOWAIT)
UPDATE product AS p SET stock = stock - 1 FROM line WHERE p.id = line.id
    RETURNING p.id, p.stock;
\set sold :sold + 1
