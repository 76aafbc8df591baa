-- A foreign table: the rows, and their locks, are another server's. Here the
-- other server is this one.
CREATE EXTENSION purchase;
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host %L, port %L, dbname %L)',
        split_part(current_setting('unix_socket_directories'), ',', 1),
        current_setting('port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER loopback
        OPTIONS (user %L)', current_user);
END $$;
CREATE TABLE warehouse (id integer PRIMARY KEY, stock integer NOT NULL);
INSERT INTO warehouse VALUES (1, 10), (2, 0);
CREATE FOREIGN TABLE remote (id integer, stock integer)
    SERVER loopback OPTIONS (table_name 'warehouse');

SELECT purchase_attach('remote');
SELECT purchase_attach('remote', key_column => 'id');
SELECT purchase(1, 3);
SELECT purchase_try(1, 8);
SELECT purchase(2, 1);
SELECT purchase_restock(2, 5), purchase(2, 2);
BEGIN;
SELECT purchase(1, 7);
ROLLBACK;
SELECT purchase_available(1);
TABLE warehouse ORDER BY id;

-- nothing but the user's word says that the key is unique there
ALTER TABLE warehouse DROP CONSTRAINT warehouse_pkey;
INSERT INTO warehouse VALUES (1, 10);
SELECT purchase(1, 3);

\set VERBOSITY terse
DROP EXTENSION postgres_fdw CASCADE;
DROP TABLE warehouse;
DROP EXTENSION purchase;
