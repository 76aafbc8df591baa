CREATE EXTENSION purchase;
CREATE TABLE product (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    price numeric(10, 2) NOT NULL,
    stock integer NOT NULL CHECK (stock >= 0)
);
INSERT INTO product
    SELECT g, 'product ' || g, 9.99, 1000000 FROM generate_series(1, 100000) AS g;
INSERT INTO product VALUES (0, 'sold out', 9.99, 0);
VACUUM ANALYZE product;
SELECT purchase_attach('product') \g /dev/null
