-- Now and then each client looks whether the run is over. If so, it leaves what
-- its buyers were told, and gives up, as pgbench has no other way to leave.
-- Of its own in the log, so that it is in no latency.
SELECT extract(epoch FROM clock_timestamp()) * 1000000 > :deadline
    OR :until_sold_out = 1 AND NOT EXISTS (
        SELECT FROM product WHERE id = :lo AND stock > 0) AS over \gset
\if :over
INSERT INTO tally VALUES (:sold, :refused, :busy);
SELECT 1 / 0;
\endif
