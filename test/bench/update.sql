\set id random(1, 100000)
UPDATE product SET stock = stock - 1 WHERE id = :id AND stock >= 1 RETURNING stock;
