-- What the functions promise to the planner, and which form a call means.
BEGIN;
\ir shop.psql
SELECT no_plan();

CREATE TEMP VIEW ours AS
SELECT p.*, p.oid::regprocedure::text AS signature
FROM pg_proc AS p
JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'purchase');

SELECT set_has('SELECT signature FROM ours', $$
    SELECT format(f, key) FROM unnest(ARRAY[
        'purchase(%s,bigint,regclass,text,interval,text)',
        'purchase_try(%s,bigint,regclass,text,interval,text)',
        'purchase_release(text,%s,bigint,regclass)',
        'purchase_return(text,%s,bigint,text,boolean,regclass)',
        'purchase_restock(%s,bigint,regclass)', 'purchase_set_stock(%s,bigint,regclass)',
        'purchase_available(%s,regclass)', 'purchase_blockers(%s,regclass)']) AS f,
        unnest(ARRAY['bigint', 'uuid', 'text']) AS key $$,
    'each call that takes a key has a form for bigint, uuid and text');
SELECT has_function('purchase_attach', ARRAY['regclass', 'name', 'name', 'boolean', 'text', 'text']);
SELECT has_function('purchase_guard', ARRAY['regclass', 'boolean']);
SELECT has_function('purchase_detach', ARRAY['regclass']);
SELECT has_function('purchase_keep_sales', ARRAY['regclass', 'name', 'name', 'name']);
SELECT has_function('purchase_confirm', ARRAY['text', 'regclass']);
SELECT has_function('purchase_release', ARRAY['text', 'regclass']);
SELECT has_function('purchase_return', ARRAY['text', 'boolean', 'regclass']);
SELECT has_function('purchase_extend', ARRAY['text', 'interval', 'regclass']);
SELECT has_function('purchase_expire', ARRAY['bigint', 'regclass']);
SELECT has_function('purchase_forget', ARRAY['interval', 'bigint', 'boolean', 'regclass']);
SELECT has_function('pg_stat_purchase_reset', ARRAY['regclass']);
SELECT has_view('purchase_stock_tables');
SELECT has_view('pg_stat_purchase');
SELECT results_eq($$ SELECT attname, atttypid::regtype FROM pg_attribute
    WHERE attrelid = 'purchase_try_result'::regclass ORDER BY attnum $$,
    $$ VALUES ('outcome'::name, 'text'::regtype), ('remaining', 'bigint') $$,
    'what purchase_try returns has a type');
SELECT is_empty($$ SELECT signature FROM ours WHERE proname = 'purchase_try'
    AND (prorettype <> 'purchase_try_result'::regtype OR proargmodes IS NOT NULL) $$,
    'and a name, which makes a call cheaper than OUT parameters');
SELECT isnt(obj_description('purchase_try_result'::regtype, 'pg_type'), NULL,
    'and a comment');

SELECT is_empty($$ SELECT signature FROM ours
    WHERE proisstrict AND proname NOT IN ('purchase_stock_table_engine', 'purchase_stock_table_sales',
        'purchase_stock_table_citus') $$,
    'none is strict: a NULL quantity must not sell nothing in silence');
SELECT is_empty($$ SELECT signature FROM ours WHERE provolatile <> 'v'
    AND proname NOT IN ('purchase_available', 'purchase_stock_table_engine', 'purchase_stock_table_sales',
        'purchase_stock_table_citus', 'purchase_check', 'purchase_check_table') $$,
    'all that may write are volatile');
SELECT is_empty($$ SELECT signature FROM ours
    WHERE proname = 'purchase_available' AND provolatile <> 's' $$,
    'purchase_available is stable');
SELECT is_empty($$ SELECT signature FROM ours WHERE proparallel <> 'u' $$,
    'all are parallel unsafe');
SELECT is_empty('SELECT signature FROM ours WHERE prosecdef',
    'none runs with other rights than the caller''s');
SELECT is_empty($$ SELECT signature FROM ours
    WHERE obj_description(oid, 'pg_proc') IS NULL $$, 'all have a comment');

SELECT is_empty($$
    SELECT o.identity
    FROM pg_depend AS d, pg_identify_object(d.classid, d.objid, d.objsubid) AS o
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'purchase')
      AND o.identity !~ '^public\.(purchase|pg_stat_purchase)' $$,
    'every name begins with purchase, or as the statistics of the server do');
SELECT set_eq($$
    SELECT c.relname FROM pg_class AS c
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'purchase') $$,
    ARRAY['purchase_registration', 'purchase_default_owner', 'purchase_stock_tables',
          'pg_stat_purchase']::name[],
    'two tables and two views are all that is stored');

-- Which form does a call mean?
SELECT purchase_attach('shop_product');
CREATE TEMP TABLE typed AS SELECT 1::smallint AS small, 1::integer AS normal,
    1::bigint AS big, '1'::varchar(5) AS short, '1'::text AS long;
SELECT is(purchase(small, normal), 9::bigint, 'smallint key, integer qty') FROM typed;
SELECT is(purchase(normal, small), 8::bigint, 'integer key, smallint qty') FROM typed;
SELECT is(purchase(big, big), 7::bigint, 'bigint') FROM typed;
SELECT is(purchase(short, 1), 6::bigint, 'varchar') FROM typed;
SELECT is(purchase(long, 1), 5::bigint, 'text') FROM typed;

PREPARE untyped AS SELECT purchase($1, $2);
SELECT is(parameter_types::text, '{text,bigint}',
    'parameters without a type mean the text form')
FROM pg_prepared_statements WHERE name = 'untyped';
SELECT results_eq($$ EXECUTE untyped('1', 1) $$, ARRAY[4]::bigint[], 'which sells');
PREPARE untyped_try AS SELECT * FROM purchase_try($1, $2, $3);
SELECT is(parameter_types::text, '{text,bigint,regclass}', 'purchase_try, too')
FROM pg_prepared_statements WHERE name = 'untyped_try';
SELECT results_eq($$ EXECUTE untyped_try('1', 1, 'shop_product') $$,
    $$ VALUES ('sold', 3::bigint) $$, 'sells');
PREPARE typed (bigint, integer) AS SELECT purchase($1, $2);
SELECT results_eq('EXECUTE typed(1, 1)', ARRAY[2]::bigint[], 'typed parameters sell');
SELECT results_eq('EXECUTE typed(1, 1)', ARRAY[1]::bigint[], 'again and again');
ALTER TABLE shop_product ADD note text;
SELECT results_eq('EXECUTE typed(1, 1)', ARRAY[0]::bigint[],
    'also after ALTER TABLE');
SELECT throws_ok('EXECUTE typed(1, 1)', 'SK002', NULL, 'until nothing is left');

SELECT * FROM finish();
ROLLBACK;
