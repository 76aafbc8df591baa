# What sales leave on disk: with room on its page, a row stays there however
# often it is sold; without, every index follows it to another page.  The same
# with both engines.  And where rows may vanish from under a snapshot, which is
# what old_snapshot_threshold does, the row engine does not serve.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# Nobody else holds back what may be cleaned up.
my $node = new_node('shop', conf => 'autovacuum = off');

create_shop($node, 1000, 100000);
$node->safe_psql(
	'postgres', q(CREATE EXTENSION amcheck;
CREATE EXTENSION pgstattuple;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN NEW.touched := true; RETURN NEW; END'));

# Sell each product so many times, each time in a transaction of its own.
sub sell_all
{
	my ($engine, $table, $times) = @_;

	$node->safe_psql(
		'postgres', qq(
SET purchase.engine = $engine;
CREATE PROCEDURE pg_temp.sell_all() LANGUAGE plpgsql AS \$\$
BEGIN
	FOR i IN 1..$times LOOP
		FOR product IN 1..1000 LOOP
			PERFORM purchase(product, 1, '$table');
			COMMIT;
		END LOOP;
	END LOOP;
END \$\$;
CALL pg_temp.sell_all()));
	return;
}

sub value
{
	my ($query) = @_;

	return $node->safe_psql('postgres', $query);
}

foreach my $engine ('auto', 'sql')
{
	# room for some versions on each page, with and without a trigger
	foreach my $trigger ('', ' with a trigger')
	{
		value(
			q(DROP TABLE IF EXISTS roomy;
CREATE TABLE roomy (id bigint PRIMARY KEY, name text, stock integer NOT NULL
	CHECK (stock >= 0), touched boolean NOT NULL DEFAULT false)
	WITH (fillfactor = 90);
INSERT INTO roomy SELECT id, name, stock FROM product;
VACUUM roomy;
SELECT purchase_attach('roomy')));
		value(
			'CREATE TRIGGER touch BEFORE UPDATE ON roomy FOR EACH ROW EXECUTE FUNCTION touch()'
		) if $trigger;
		my $size = value("SELECT pg_relation_size('roomy')");
		my $index_size = value("SELECT pg_relation_size('roomy_pkey')");
		sell_all($engine, 'roomy', 40);
		is(value("SELECT pg_relation_size('roomy')"),
			$size, "$engine: a table$trigger and with room does not grow");
		is(value("SELECT pg_relation_size('roomy_pkey')"),
			$index_size, "$engine: nor does its index");
		is( value(
				'SELECT count(*), bool_or(touched) FROM roomy WHERE stock = 99960'
			),
			'1000|' . ($trigger ? 't' : 'f'),
			"$engine: all was sold");
	}

	# a cart that is refused has written nothing, even if that takes a lock
	value('DROP TRIGGER touch ON roomy');
	value('VACUUM roomy');
	foreach my $isolation ('read committed', 'repeatable read')
	{
		is( value(
				"SET purchase.engine = $engine; SET default_transaction_isolation = '$isolation';
SELECT outcome FROM purchase_try_cart('{1,2,3}', '{1,1,99999}', 'roomy')"
			),
			"available\navailable\ninsufficient_quantity",
			"$engine: a cart is refused at $isolation");
		is(value("SELECT dead_tuple_count FROM pgstattuple('roomy')"),
			0, "$engine: and has written nothing");
	}

	# none, and indexes that must follow; from 16 on, one that follows a row
	# which stays on its page
	value(
		q(DROP TABLE IF EXISTS full_pages, summarized;
CREATE TABLE full_pages (id bigint PRIMARY KEY, name text, stock integer);
CREATE INDEX full_name ON full_pages (name);
CREATE INDEX full_stock ON full_pages (stock) WHERE id > 500;
CREATE INDEX full_expression ON full_pages (lower(name));
INSERT INTO full_pages SELECT id, name, stock FROM product;
CREATE TABLE summarized (id bigint PRIMARY KEY, stock integer)
	WITH (fillfactor = 50);
INSERT INTO summarized SELECT id, stock FROM product;
CREATE INDEX summary ON summarized
	USING brin (stock) WITH (pages_per_range = 1);
SELECT purchase_attach('full_pages'), purchase_attach('summarized')));
	sell_all($engine, 'full_pages', 5);
	sell_all($engine, 'summarized', 3);
	is( value(
			q(SELECT string_agg(c.relname, ' ' ORDER BY c.relname), sum(length(bt_index_check(c.oid, true)::text))
FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid JOIN pg_am AS a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indrelid IN ('full_pages'::regclass, 'summarized'::regclass))
		),
		'full_expression full_name full_pages_pkey full_stock summarized_pkey|0',
		"$engine: each row is in the indexes");
	foreach my $scan (
		[ 'full_pages', 'stock = 99995 AND id > 500', 500 ],
		[ 'full_pages', "lower(name) = 'product 7'", 1 ],
		[ 'full_pages', "name LIKE 'product %'", 1000 ],
		[ 'summarized', 'stock = 99997', 1000 ],
		[ 'summarized', 'stock > 99997', 0 ])
	{
		my ($table, $condition, $rows) = @$scan;

		is( value(
				"SET enable_seqscan = off; SELECT count(*), sum(stock) FROM $table WHERE $condition"
			),
			value(
				"SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT count(*), sum(stock) FROM $table WHERE $condition"
			),
			"$engine: $table by index, $condition");
		is(value("SELECT count(*) FROM $table WHERE $condition"),
			$rows, "$engine: as many as there should be");
	}
}

SKIP:
{
	skip 'there is no old_snapshot_threshold', 3
	  if $node->pg_version >= 17;

	$node->append_conf('postgresql.conf', 'old_snapshot_threshold = 1min');
	$node->restart;
	is( value(
			q(SELECT engine, reason FROM purchase_stock_tables WHERE stock_table = 'roomy'::regclass)
		),
		'sql|old_snapshot_threshold is set',
		'the row engine does not serve with old_snapshot_threshold');
	like(
		value(
			q(SELECT finding, remedy FROM purchase_check('roomy') WHERE finding LIKE '%threshold%')
		),
		qr/old_snapshot_threshold is set.*ALTER SYSTEM RESET old_snapshot_threshold/,
		'and the doctor says so');
	is(value(q(SELECT purchase(1, 1, 'roomy'))), 99959, 'it sells');
}

server_log_is_clean($node);
done_testing();
