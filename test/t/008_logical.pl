# Logical replication carries the stock, from both engines: as an UPDATE of the
# row, with what the replica identity and the publication ask for.  A subscriber
# whose session has used the table sees the new stock at once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $publisher = new_node('publisher', allows_streaming => 'logical');
my $subscriber = new_node('subscriber');

# A row with a generated column, and one so long that it is stored elsewhere.
my $tables = q(
CREATE TABLE long (
	id bigint PRIMARY KEY,
	description text,
	stock bigint NOT NULL);
ALTER TABLE long ALTER description SET STORAGE EXTERNAL;
CREATE TABLE identity_full (id bigint UNIQUE, stock bigint NOT NULL);
ALTER TABLE identity_full REPLICA IDENTITY FULL;
CREATE TABLE identity_nothing (id bigint PRIMARY KEY, stock bigint NOT NULL);
ALTER TABLE identity_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE in_stock (id bigint, stock bigint NOT NULL, PRIMARY KEY (id));
CREATE TABLE stock_only (id bigint PRIMARY KEY, secret text, stock bigint NOT NULL);
);
foreach my $node ($publisher, $subscriber)
{
	create_shop($node, 10, 1000000);
	$node->safe_psql('postgres', $tables);
}
$subscriber->safe_psql('postgres', 'TRUNCATE product, order_line');
$publisher->safe_psql(
	'postgres', q(
INSERT INTO long SELECT i, string_agg(md5(i::text || j), ''), 100
	FROM generate_series(1, 2) AS i, generate_series(1, 1000) AS j GROUP BY i;
INSERT INTO identity_full VALUES (1, 100);
INSERT INTO identity_nothing VALUES (1, 100);
INSERT INTO in_stock VALUES (1, 100);
INSERT INTO stock_only VALUES (1, 'secret', 100);
SELECT purchase_attach('long');
SELECT purchase_attach('identity_full', key_column => 'id');
SELECT purchase_attach('identity_nothing');
SELECT purchase_attach('in_stock');
SELECT purchase_attach('stock_only');
CREATE PUBLICATION everything FOR TABLE product, order_line, long,
	identity_full, identity_nothing, in_stock, stock_only (id, stock);
));
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION shop CONNECTION '$connstr' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($publisher, 'shop');

# Both are guarded: the subscriber's triggers don't fire when it applies what was
# sold, but refuse what others do there.
foreach my $node ($publisher, $subscriber)
{
	$node->safe_psql('postgres', "SELECT purchase_guard('product')");
	is( sqlstate($node, 'UPDATE product SET stock = stock - 1 WHERE id = 1'),
		'SK005', $node->name . ': guarded');
}

my $reader = session($subscriber);
is(ask($reader, 'SELECT purchase_available(1)'),
	1000000, 'the subscriber has the initial stock');

my $sold = 0;
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";

	engine_is($publisher, $engine);

	# a load, with rollbacks of sales, too
	my $load = start_pgbench($publisher,
		{ $sell => 3, "BEGIN;\nSELECT purchase_try(1, 1);\nROLLBACK;\n" => 1 },
		'-c', 4, '-t', 200);
	is(finish_pgbench($load), 0, "$engine: a load");

	foreach my $table ('long', 'identity_full', 'in_stock', 'stock_only')
	{
		is( $publisher->safe_psql(
				'postgres', "SELECT purchase(1, 3, '$table');
SELECT purchase_restock(1, 1, '$table');
BEGIN;
SAVEPOINT s;
SELECT purchase(1, 50, '$table');
ROLLBACK TO s;
SELECT purchase(1, 1, '$table');
COMMIT"),
			join("\n", map { 100 - $sold - $_ } (3, 2, 52, 3)),
			"$engine: sold from $table");
	}
	$sold += 3;

	# as for an UPDATE
	foreach my $sql (
		'UPDATE identity_nothing SET stock = stock - 1',
		"SELECT purchase(1, 1, 'identity_nothing')",
		"SELECT purchase_try(1, 1, 'identity_nothing')")
	{
		is(sqlstate($publisher, $sql),
			'55000', "$engine: without a replica identity: $sql");
	}

	$publisher->wait_for_catchup('shop');
	my $books = 'SELECT * FROM books ORDER BY id';
	is( $subscriber->safe_psql('postgres', $books),
		$publisher->safe_psql('postgres', $books),
		"$engine: the subscriber has the same stock");
	books_balance($subscriber, "$engine: the subscriber's books balance");
	is( ask($reader, 'SELECT purchase_available(1)'),
		$publisher->safe_psql('postgres', 'SELECT purchase_available(1)'),
		"$engine: a session of the subscriber sees it");

	my $long = 'SELECT id, md5(description), stock FROM long ORDER BY id';
	is( $subscriber->safe_psql('postgres', $long),
		$publisher->safe_psql('postgres', $long),
		"$engine: a long row arrives");
	is( $subscriber->safe_psql(
			'postgres', 'SELECT stock FROM identity_full
UNION ALL SELECT stock FROM in_stock
UNION ALL SELECT stock FROM stock_only WHERE secret IS NULL'),
		join("\n", (100 - $sold) x 3),
		"$engine: so do the others");
}

# Registrations that are replicated: a session that has used one sees that it is gone.
$subscriber->safe_psql('postgres', "SELECT purchase_attach('in_stock')");
is(ask($reader, "SELECT purchase_available(1, 'in_stock') > 0"), 't', 'the subscriber knows a table');
$publisher->safe_psql('postgres', 'CREATE PUBLICATION registrations FOR TABLE purchase_registration');
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION registrations CONNECTION '$connstr' PUBLICATION registrations WITH (copy_data = false)");
$publisher->safe_psql('postgres', "SELECT purchase_detach('in_stock')");
$publisher->wait_for_catchup('registrations');
is(ask($reader, "SELECT purchase_available(1, 'in_stock')"), 'ERROR:  55000', 'it was detached elsewhere');
$publisher->safe_psql('postgres', "SELECT purchase_attach('in_stock')");
$publisher->wait_for_catchup('registrations');
is(ask($reader, "SELECT purchase_available(1, 'in_stock') > 0"), 't', 'and attached again');
$publisher->safe_psql('postgres', 'BEGIN; CREATE TEMP TABLE r AS TABLE purchase_registration;
	TRUNCATE purchase_registration; COMMIT');
$publisher->wait_for_catchup('registrations');
is(ask($reader, "SELECT purchase_available(1, 'in_stock')"), 'ERROR:  55000', 'all were forgotten');
$subscriber->safe_psql('postgres', "DROP SUBSCRIPTION registrations; SELECT purchase_attach('product')");

# the subscriber takes over
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION shop');
is( ask($reader, 'SELECT purchase_available(2) - purchase(2, 7)'),
	7, 'the subscriber sells, once it stands alone');
$reader->quit;

server_log_is_clean($_) foreach ($publisher, $subscriber);
done_testing();
