-- The shop that every client sells from: see README.md.

CREATE EXTENSION purchase;

CREATE TABLE shop_product (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    stock integer NOT NULL CHECK (stock >= 0),
    per_buyer integer       -- null: no limit
);

CREATE TABLE shop_seat (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    stock bigint NOT NULL CHECK (stock >= 0)
);

CREATE TABLE shop_order_line (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES shop_product,
    quantity integer NOT NULL
);

-- Orders of 41, 42 and 43 units fail, each in its way: as one of two that
-- conflict, when it commits; as one of two that wait in a circle; and for good.
CREATE FUNCTION shop_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an order of % fails', NEW.quantity USING ERRCODE = TG_ARGV[0];
END;
$$;

CREATE CONSTRAINT TRIGGER shop_fail_41 AFTER INSERT ON shop_order_line
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.quantity = 41) EXECUTE FUNCTION shop_fail('40001');
CREATE TRIGGER shop_fail_42 BEFORE INSERT ON shop_order_line FOR EACH ROW
    WHEN (NEW.quantity = 42) EXECUTE FUNCTION shop_fail('40P01');
CREATE TRIGGER shop_fail_43 BEFORE INSERT ON shop_order_line FOR EACH ROW
    WHEN (NEW.quantity = 43) EXECUTE FUNCTION shop_fail('23514');

SELECT purchase_attach('shop_product');
SELECT purchase_attach('shop_seat');
SELECT purchase_keep_sales('shop_product', limit_column => 'per_buyer');

CREATE FUNCTION shop_reset() RETURNS void LANGUAGE sql AS $$
    DELETE FROM shop_order_line;
    DELETE FROM shop_product_hold;
    DELETE FROM shop_product_sale;
    DELETE FROM shop_product;
    DELETE FROM shop_seat;
    INSERT INTO shop_product VALUES
        (1, 'pen', 100),
        (2, 'lamp', 1),
        (3, 'chair', 0),
        (4, 'desk', 2),
        (5, 'ticket', 10),
        (6, 'ink', 100),
        (8, 'print', 10);
    UPDATE shop_product SET per_buyer = 2 WHERE id = 8;
    INSERT INTO shop_seat VALUES
        ('5ea70000-0000-4000-8000-000000000001', 'front', 100),
        ('5ea70000-0000-4000-8000-000000000002', 'back', 1);
$$;

SELECT shop_reset();
