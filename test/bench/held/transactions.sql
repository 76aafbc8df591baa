-- (j) The same as two transactions: UPDATE and INSERT; then the state.
\set id :step * random(:lo, :hi)
\set sale random(1, 1000000000000000000)
\set remaining -1
BEGIN;
UPDATE seat SET stock = stock - 1 WHERE id = :id AND stock >= 1
    RETURNING stock AS remaining \aset
\if :remaining >= 0
INSERT INTO seat_by_hand (sale_id, line, product_id, qty, state, remaining, created_by,
        created_at)
    VALUES (:sale::bigint::text, 1, :id, 1, 'held', :remaining, current_user, now());
\endif
COMMIT;
\if :remaining >= 0
UPDATE seat_by_hand SET state = 'sold', settled_at = now()
    WHERE sale_id = :sale::bigint::text AND state = 'held';
\set sold :sold + 1
\else
\set refused :refused + 1
\endif
