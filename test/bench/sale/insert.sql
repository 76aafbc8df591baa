-- A limit: the least that a statement which writes can cost.
INSERT INTO one_row VALUES (1);
\set sold :sold + 1
