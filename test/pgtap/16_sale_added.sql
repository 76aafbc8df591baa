-- What their owner adds to the tables that keep sales is seen to when a sale is recorded,
-- as if it were a statement.
BEGIN;
\ir shop.psql
SELECT no_plan();
SELECT purchase_attach('shop_product', is_default => true);
SELECT purchase_keep_sales('shop_product');
CREATE ROLE clerk;
GRANT SELECT, UPDATE ON shop_product TO clerk;
CREATE TABLE note (n int GENERATED ALWAYS AS IDENTITY, what text);

-- Runs DDL, two holds, and a query, and undoes all; the SQLSTATE of what fails, or else
-- the query's answer.
CREATE FUNCTION seen(story text, ddl text, query text, expected text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    BEGIN
        EXECUTE ddl;
        SET LOCAL ROLE clerk;
        PERFORM purchase(1, 1, sale_id => 'one', hold_for => '1 hour'),
            purchase(1, 1, sale_id => 'two', hold_for => '1 hour');
        RESET ROLE;
        EXECUTE query INTO answer;
        RAISE 'undo' USING ERRCODE = 'P0666';
    EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE <> 'P0666' THEN
            answer := SQLSTATE;
        END IF;
    END;
    RETURN is(answer, expected, story);
END $$;

CREATE FUNCTION add_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.note (what) VALUES (concat_ws(' ', TG_TABLE_NAME, TG_WHEN, TG_LEVEL));
    RETURN NEW;
END $$;
CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.note (what) SELECT count(*) || ' new' FROM new_rows;
    RETURN NULL;
END $$;
SELECT seen(format('a trigger: %s of each %s of %s', w, level, t),
    format('CREATE TRIGGER t %s INSERT ON %I FOR EACH %s EXECUTE FUNCTION add_note()', w, t, level),
    'SELECT string_agg(what, '', '' ORDER BY n) FROM note',
    format('%1$s %2$s %3$s, %1$s %2$s %3$s', t, w, level))
FROM unnest('{BEFORE,AFTER}'::text[]) AS w, unnest('{ROW,STATEMENT}'::text[]) AS level,
    unnest('{shop_product_sale,shop_product_hold}'::text[]) AS t;
SELECT seen('a transition table of ' || t,
    format('CREATE TRIGGER t AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION count_new()', t),
    'SELECT string_agg(what, '', '' ORDER BY n) FROM note', '1 new, 1 new')
FROM unnest('{shop_product_sale,shop_product_hold}'::text[]) AS t;
SELECT seen('a rule', 'CREATE RULE r AS ON INSERT TO shop_product_sale DO ALSO
        INSERT INTO note (what) VALUES (NEW.sale_id)',
    'SELECT string_agg(what, '', '' ORDER BY n) FROM note', 'one, two');

-- Columns
CREATE DOMAIN channel AS text DEFAULT 'web';
CREATE DOMAIN checked AS text CHECK (VALUE IS NOT NULL);
CREATE DOMAIN first AS bigint CHECK (VALUE > 1);
SELECT seen(story, format('ALTER TABLE %I %s', t, ddl),
    format('SELECT string_agg(more::text, '', '' ORDER BY sale_id) FROM %I', t), answer)
FROM (VALUES
    ('a column of its own', 'ADD more text', NULL),
    ('... with a default', 'ADD more text DEFAULT ''here''', 'here, here'),
    ('... that is generated', 'ADD more bigint GENERATED ALWAYS AS (qty * 2) STORED', '2, 2'),
    ('... from a sequence', 'ADD more serial', '1, 2'),
    ('... that is an identity', 'ADD more int GENERATED ALWAYS AS IDENTITY', '1, 2'),
    ('... that must not be null', 'ADD more text NOT NULL', '23502'),
    ('... whose domain has a default', 'ADD more channel', 'web, web'),
    ('... whose domain must not be null', 'ADD more checked', '23514')) AS c (story, ddl, answer),
    unnest('{shop_product_sale,shop_product_hold}'::text[]) AS t;
SELECT seen(story, format('ALTER TABLE %I %s', t, ddl),
    format('SELECT string_agg(buyer, '', '' ORDER BY sale_id) FROM %I', t), '23' || answer)
FROM (VALUES
    ('who buys must be told', 'ALTER buyer SET NOT NULL', '502'),
    ('a CHECK', 'ADD CHECK (product_id > 1)', '514'),
    ('the product is of a domain', 'ALTER product_id TYPE first', '514'),
    ('one sale of each product', 'ADD EXCLUDE USING btree (product_id WITH =)', 'P01'),
    ('the same, at the end of the statement',
     'ADD UNIQUE (product_id) DEFERRABLE INITIALLY IMMEDIATE', '505')) AS c (story, ddl, answer),
    unnest('{shop_product_sale,shop_product_hold}'::text[]) AS t;
SELECT seen('a column is dropped', 'ALTER TABLE shop_product_sale ADD gone int;
        ALTER TABLE shop_product_sale DROP gone, ADD more text',
    'SELECT count(*) FROM shop_product_sale WHERE more IS NULL', '2');
SELECT seen('when each was made', 'ALTER TABLE shop_product_sale ALTER created_at TYPE timestamptz(0)',
    'SELECT bool_and(created_at = date_trunc(''second'', created_at)) FROM shop_product_sale', 'true');

-- Indexes, whose functions run as the owner of the table, never as the buyer
CREATE FUNCTION of_owner(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user = 'clerk' THEN
        RAISE 'not the owner' USING ERRCODE = 'P0777';
    END IF;
    RETURN $1;
END $$;
CREATE FUNCTION compare_as_owner(text, text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM public.of_owner('');
    RETURN bttextcmp($1, $2);
END $$;
CREATE OPERATOR CLASS owners_ops FOR TYPE text USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 compare_as_owner(text, text);
SELECT seen(format('%s of %s', story, t), format('CREATE INDEX ON %I %s', t, ddl),
    format('SELECT count(*) FROM %I', t), '2')
FROM (VALUES
    ('an index on a column', '(product_id)'),
    ('a summary', 'USING brin (sale_id)'),
    ('an expression', '(of_owner(sale_id))'),
    ('a condition', '(line) WHERE of_owner(sale_id) <> '''''),
    ('an operator class', '(sale_id owners_ops)')) AS c (story, ddl),
    unnest('{shop_product_sale,shop_product_hold}'::text[]) AS t;
SELECT is((code, message)::text, ('23505',
    'duplicate key value violates unique constraint "shop_product_sale_buyer_idx"')::text,
    'the error of a unique index names it')
FROM error_of($$ CREATE UNIQUE INDEX ON shop_product_sale (buyer);
    SELECT purchase(1, 1, sale_id => 'one', buyer => 'ann'),
        purchase(1, 1, sale_id => 'two', buyer => 'ann') $$);

-- Dropped in the middle of a call
CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'DROP TABLE public.' || TG_ARGV[0];
    RETURN NEW;
END $$;
CREATE FUNCTION dropped(t text, event text, on_table text, call text) RETURNS text
LANGUAGE plpgsql AS $f$
DECLARE
    code text;
BEGIN
    BEGIN
        CREATE TABLE thing (id int PRIMARY KEY, stock int NOT NULL);
        INSERT INTO thing VALUES (1, 9);
        PERFORM purchase_attach('thing');
        PERFORM purchase_keep_sales('thing');
        PERFORM purchase(1, 2, 'thing', sale_id => 'held', hold_for => '1 hour');
        EXECUTE format('CREATE TRIGGER t AFTER %s ON %I FOR EACH ROW EXECUTE FUNCTION drop_it(%L)',
            event, on_table, t);
        EXECUTE 'SELECT ' || call;
    EXCEPTION WHEN OTHERS THEN
        code := SQLSTATE;
    END;
    RETURN is(code, '55000', format('%s drops %s: %s', on_table, t, call));
END $f$;
SELECT dropped(t, event, on_table, call)
FROM (VALUES ('thing_hold', 'UPDATE', 'thing_sale', $$ purchase_confirm('held', 'thing') $$),
    ('thing_hold', 'UPDATE', 'thing_sale', $$ purchase_release('held', 'thing') $$),
    ('thing_hold', 'UPDATE', 'thing_sale', $$ purchase_release('held', 1, 1, 'thing') $$),
    ('thing_sale', 'UPDATE', 'thing', $$ purchase_release('held', 'thing') $$),
    ('thing_sale', 'UPDATE', 'thing', $$ purchase(1, 1, 'thing', sale_id => 'new') $$),
    ('thing_hold', 'INSERT', 'thing_sale',
        $$ purchase(1, 1, 'thing', sale_id => 'new', hold_for => '1 hour') $$))
    AS d (t, event, on_table, call);

-- A trigger may settle what is being held, but not before it is.
CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF NEW.buyer = 'fraud' THEN
        PERFORM purchase_release(NEW.sale_id);
    ELSIF NEW.buyer = 'vip' THEN
        PERFORM purchase_confirm(NEW.sale_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER settle AFTER INSERT ON shop_product_sale FOR EACH ROW EXECUTE FUNCTION settle();
SELECT purchase_set_stock(1, 10), purchase_set_stock(2, 10);
SELECT is((code, message)::text, ('09000', 'the insertion of sale "settle" did not take place')::text, 'a trigger settles what is not yet held, for a ' || buyer)
FROM unnest(ARRAY['fraud', 'vip']) AS buyer,
    error_of(format('SELECT purchase_cart(ARRAY[1, 2], ARRAY[1, 2], sale_id => ''settle'', hold_for => ''1 hour'', buyer => %L)', buyer));
DROP TRIGGER settle ON shop_product_sale;
CREATE TRIGGER settle AFTER INSERT ON shop_product_hold FOR EACH ROW EXECUTE FUNCTION settle();
SELECT purchase(1, 2, sale_id => 'settle-1', hold_for => '1 hour', buyer => 'fraud');
SELECT is(string_agg(concat_ws(' ', sale_id, line, qty - released, state), ', ' ORDER BY sale_id, line), 'settle-1 1 0 released',
    'one that is held can be')
FROM shop_product_sale WHERE sale_id LIKE 'settle%';
SELECT is(stock_of(1) || ' ' || stock_of(2), '10 10', 'and no unit is lost');
DROP TRIGGER settle ON shop_product_hold;

SELECT * FROM finish();
ROLLBACK;
