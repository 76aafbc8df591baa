-- Ten calls of purchase() in one transaction.
\set id random(1, 90000)
BEGIN;
SELECT purchase(:id::bigint, 1);
SELECT purchase((:id + 10)::bigint, 1);
SELECT purchase((:id + 20)::bigint, 1);
SELECT purchase((:id + 30)::bigint, 1);
SELECT purchase((:id + 40)::bigint, 1);
SELECT purchase((:id + 50)::bigint, 1);
SELECT purchase((:id + 60)::bigint, 1);
SELECT purchase((:id + 70)::bigint, 1);
SELECT purchase((:id + 80)::bigint, 1);
SELECT purchase((:id + 90)::bigint, 1);
COMMIT;
\set sold :sold + 1
