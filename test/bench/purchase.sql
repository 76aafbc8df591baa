\set id random(1, 100000)
SELECT purchase(:id, 1);
