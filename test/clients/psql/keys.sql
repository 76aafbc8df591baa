-- Keys and quantities of other types.

-- A numeric, as of a driver that makes one of every number: no such function
-- takes it, so cast it.
SELECT purchase(1.0::bigint, 2.0::bigint);

CREATE TYPE area AS ENUM ('stalls', 'balcony');
CREATE TABLE shop_area (area area PRIMARY KEY, stock integer NOT NULL);
CREATE TABLE shop_size (size numeric(4, 1) PRIMARY KEY, stock integer NOT NULL);
INSERT INTO shop_area VALUES ('stalls', 10);
INSERT INTO shop_size VALUES (42.5, 10);
SELECT purchase_attach('shop_area', key_column => 'area', is_default => false);
SELECT purchase_attach('shop_size', key_column => 'size', is_default => false);

-- A key of any other type is passed as text: a literal and an untyped parameter
-- are, a value that has its type is cast.
SELECT purchase('stalls', 1, 'shop_area');
SELECT purchase('stalls'::area::text, 1, 'shop_area');
SELECT purchase('42.5', 1, 'shop_size');
SELECT purchase(42.5::text, 1, 'shop_size');
