-- Run once, when the container makes its cluster: the extension, and a first
-- table to sell from.
CREATE EXTENSION purchase;

CREATE TABLE product (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    stock integer NOT NULL CHECK (stock >= 0)
);
SELECT purchase_attach('product');

INSERT INTO product (name, stock) VALUES ('mug', 10), ('poster', 1);
