-- A limit: the least that a statement can cost.
SELECT 1;
\set refused :refused + 1
