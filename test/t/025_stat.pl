# pg_stat_purchase: each call is counted once, for its table, as what became of it; wait
# events; and what there is of it without shared_preload_libraries, after a crash, and with
# more tables than there is room for.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop',
	conf => q(shared_preload_libraries = 'purchase'
max_prepared_transactions = 2
restart_after_crash = on));

create_shop($node, 20, 100);
$node->safe_psql(
	'postgres', q(
CREATE TABLE ticket (id text PRIMARY KEY, stock int NOT NULL, per_buyer int);
INSERT INTO ticket SELECT 't' || n, 10, 3 FROM generate_series(1, 20) AS n;
SELECT purchase_attach('ticket');
SELECT purchase_keep_sales('ticket', limit_column => 'per_buyer');
-- one that takes two steps to sell from
CREATE TABLE watched (id int PRIMARY KEY, stock int NOT NULL);
INSERT INTO watched VALUES (1, 100);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER watch BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch();
SELECT purchase_attach('watched');
CREATE TABLE part (id int PRIMARY KEY, stock int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
INSERT INTO part VALUES (1, 100);
SELECT purchase_attach('part');
CREATE ROLE buyer LOGIN;
GRANT SELECT, UPDATE ON ticket TO buyer;
));
my $has_events = $node->safe_psql('postgres', 'SHOW server_version_num') >= 170000;

sub counters
{
	my ($table) = @_;
	my %now;

	foreach my $pair (
		split /\n/,
		$node->safe_psql('postgres',
			"SELECT j.key || ' ' || j.value FROM pg_stat_purchase AS s, jsonb_each_text(to_jsonb(s)) AS j"
			  . " WHERE s.stock_table = '$table'::regclass AND j.key NOT IN ('stock_table', 'stats_reset')"
		))
	{
		my ($key, $value) = split / /, $pair;
		$now{$key} = $value;
	}
	return \%now;
}

my %before;

sub begin_count
{
	my ($table) = @_;

	$before{$table} = counters($table);
	return;
}

# What was counted for a table since begin_count(); of a time, only that there is some.  Of
# durable_time not even that, as the server's own writer may have flushed before: 018 stops
# the flush, and asks.
sub counted
{
	my ($table) = @_;
	my $now = counters($table);
	my @words;

	foreach my $key (sort keys %$now)
	{
		my $n = $now->{$key} - $before{$table}{$key};

		next if $key eq 'durable_time';
		$n = '+' if $key eq 'wait_time' && $n > 0;
		push @words, "$key $n" if $n;
	}
	return join ', ', @words;
}

# counts(NAME, TABLE, QUERY, COUNTED): the query may fail.
sub counts
{
	my ($name, $table, $query, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	begin_count($table);
	$node->psql('postgres', $query);
	is(counted($table), $expected, $name);
	return;
}

# Sell while another session holds a product, and let that go when the sale waits.
sub counts_waiting
{
	my ($name, $table, $hold, $query, $expected, $event) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $other = session($node);
	my $waiting = session($node);
	my $pid = ask($waiting, 'SELECT pg_backend_pid()');

	ask($other, "BEGIN; $hold");
	begin_count($table);
	begin_query($waiting, $query);
	wait_for_wait($node, $pid);
	is( $node->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid"),
		$event, "$name: the wait event") if $has_events && $event;
	ask($other, 'COMMIT');
	end_query($waiting);
	is(counted($table), $expected, $name);
	is( $node->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid"),
		'ClientRead', "$name: the wait event is over");
	$other->quit;
	$waiting->quit;
	return;
}

foreach my $engine ('auto', 'sql')
{
	my $id = "$engine-";

	$node->safe_psql('postgres', "ALTER ROLE CURRENT_USER SET purchase.engine = $engine;
		SELECT purchase_expire(NULL, 'ticket');
		UPDATE product SET stock = 100; UPDATE ticket SET stock = 10;");

	counts("$engine: a sale", 'product', 'SELECT purchase(1, 3)', 'sold_calls 1, sold_units 3');
	counts("$engine: a sale without raising",
		'product', 'SELECT purchase_try(1, 3)', 'sold_calls 1, sold_units 3');
	counts("$engine: a cart is one call",
		'product', "SELECT purchase_cart('{1,2,1}', '{1,2,3}')", 'sold_calls 1, sold_units 6');
	counts("$engine: without raising",
		'product', "SELECT purchase_try_cart('{1,2}', '{1,2}')", 'sold_calls 1, sold_units 3');
	counts("$engine: a partitioned table", 'part', "SELECT purchase(1, 1, 'part')",
		'sold_calls 1, sold_units 1');
	counts("$engine: rolled back, it was answered all the same",
		'product', 'BEGIN; SELECT purchase(1, 1); ROLLBACK', 'sold_calls 1, sold_units 1');
	counts("$engine: another table's sale", 'product', "SELECT purchase('t1', 1, 'ticket',
		'${id}other', NULL, '${id}ann')", '');
	counts("$engine: what is no sale", 'product',
		'SELECT purchase_restock(1, 1), purchase_set_stock(1, 50), purchase_available(1)', '');
	counts("$engine: a restock that is refused", 'product', 'SELECT purchase_restock(100, 1)', '');
	counts("$engine: a call that is wrong", 'product', 'SELECT purchase(1, 0)', '');

	counts("$engine: $_->[0]", 'product', $_->[1], $_->[2])
	  foreach [ 'not found', 'SELECT purchase(100, 1)', 'product_not_found 1' ],
	  [ 'not found, no error', 'SELECT purchase_try(100, 1)', 'product_not_found 1' ],
	  [ 'too few', 'SELECT purchase(1, 1000)', 'insufficient_quantity 1' ],
	  [ 'too few, no error', 'SELECT purchase_try(1, 1000)', 'insufficient_quantity 1' ],
	  [ 'none', 'UPDATE product SET stock = 0 WHERE id = 3; SELECT purchase(3, 1)', 'out_of_stock 1' ],
	  [ 'none, no error', 'SELECT purchase_try(3, 1)', 'out_of_stock 1' ],
	  [ 'none, waiting', "SET purchase.lock_wait = '1s'; SELECT purchase_try(3, 1)", 'out_of_stock 1' ],
	  [ 'a cart by its worst line', "SELECT purchase_cart('{1,2,3}', '{1000,1,1}')", 'out_of_stock 1' ],
	  [ 'a cart, no error', "SELECT purchase_try_cart('{1,2,100}', '{1000,1,1}')", 'product_not_found 1' ],
	  [ 'at REPEATABLE READ', 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT purchase_try(3, 1); COMMIT',
		'out_of_stock 1' ];

	my $other = session($node);

	ask($other, 'BEGIN; SELECT purchase(5, 1)');
	counts("$engine: busy", 'product', 'SELECT purchase(5, 1)', 'busy 1');
	counts("$engine: busy, no error", 'product', 'SELECT purchase_try(5, 1)', 'busy 1');
	counts("$engine: busy after a wait", 'product',
		"SET purchase.lock_wait = '1ms'; SELECT purchase(5, 1)", 'busy 1, wait_time +, waits 1');
	counts("$engine: busy after a wait, no error", 'product',
		"SET purchase.lock_wait = '1ms'; SELECT purchase_try(5, 1)", 'busy 1, wait_time +, waits 1');
	counts("$engine: a cart that is busy after a wait, no error", 'product',
		"SET purchase.lock_wait = '1ms'; SELECT purchase_try_cart('{4,5,6}', '{1,1,1}')",
		'busy 1, wait_time +, waits 1');
	counts("$engine: a restock that waits in vain", 'product',
		"SET lock_timeout = '1ms'; SELECT purchase_restock(5, 1)", 'wait_time +, waits 1');
	ask($other, 'COMMIT');
	$other->quit;
	counts("$engine: nothing to wait for", 'product',
		"SET purchase.lock_wait = '1s'; SELECT purchase(5, 1)", 'sold_calls 1, sold_units 1');
	counts("$engine: nor in two steps", 'watched',
		"SET purchase.lock_wait = '1s'; SELECT purchase(1, 1, 'watched')", 'sold_calls 1, sold_units 1');
	counts_waiting("$engine: a sale that waits", 'product', 'SELECT purchase(5, 1);',
		"SET purchase.lock_wait = '50s'; SELECT purchase(5, 1)",
		'sold_calls 1, sold_units 1, wait_time +, waits 1', 'PurchaseProduct');
	counts_waiting("$engine: a try that waits", 'product', 'SELECT purchase(5, 1);',
		"SET purchase.lock_wait = '50s'; SELECT purchase_try(5, 1)",
		'sold_calls 1, sold_units 1, wait_time +, waits 1', 'PurchaseProduct');
	counts_waiting("$engine: a wait that ends in an error", 'product', 'SELECT purchase(5, 1);',
		"SET purchase.lock_wait = '50s'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT purchase(5, 1)",
		'wait_time +, waits 1', 'PurchaseProduct');
	counts_waiting("$engine: a restock that waits", 'product', 'SELECT purchase(5, 1);',
		"SELECT purchase_restock(5, 1)", 'wait_time +, waits 1', 'PurchaseProduct');

	my $sell = sub {
		my ($function, $product, $qty, $sale, $more) = @_;
		return "SELECT $function('$product', $qty, 'ticket', sale_id => '$id$sale'" . ($more // '') . ", buyer => '$id$sale')";
	};

	counts("$engine: with an id", 'ticket', $sell->('purchase', 't1', 2, 'a'), 'sold_calls 1, sold_units 2');
	counts("$engine: again", 'ticket', $sell->('purchase', 't1', 2, 'a'), 'replays 1');
	counts("$engine: again, no error", 'ticket', $sell->('purchase_try', 't1', 2, 'a'), 'replays 1');
	counts("$engine: with other arguments", 'ticket', $sell->('purchase', 't1', 1, 'a'), '');
	counts("$engine: over the limit", 'ticket', $sell->('purchase', 't1', 4, 'b'), 'buyer_limit_exceeded 1');
	counts("$engine: over the limit, no error", 'ticket', $sell->('purchase_try', 't1', 4, 'b'),
		'buyer_limit_exceeded 1');
	counts("$engine: a hold", 'ticket', $sell->('purchase', 't2', 2, 'c', ", hold_for => '1 h'"), 'holds_made 1');
	counts("$engine: repeated", 'ticket', $sell->('purchase', 't2', 2, 'c', ", hold_for => '1 h'"), 'replays 1');
	counts("$engine: confirmed", 'ticket', "SELECT purchase_confirm('${id}c', 'ticket')",
		'holds_confirmed 1, sold_calls 1, sold_units 2');
	counts("$engine: confirmed again", 'ticket', "SELECT purchase_confirm('${id}c', 'ticket')", '');
	counts("$engine: a cart that is held", 'ticket', "SELECT purchase_cart(ARRAY['t3','t4'], '{2,1}', 'ticket',
		sale_id => '${id}d', hold_for => '1 h', buyer => 'd')", 'holds_made 2');
	counts("$engine: a part is released", 'ticket', "SELECT purchase_release('${id}d', 't3', 1, 'ticket')", '');
	counts("$engine: all of a line is", 'ticket', "SELECT purchase_release('${id}d', 't3', 1, 'ticket')",
		'holds_released 1');
	counts("$engine: and the rest", 'ticket', "SELECT purchase_release('${id}d', 'ticket')", 'holds_released 1');
	$node->safe_psql('postgres', $sell->('purchase_cart', "{t3,t4}", "'{1,1}'", 'p', ", hold_for => '1 h'") . ";
		CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
		CREATE TRIGGER no BEFORE UPDATE ON ticket_sale FOR EACH ROW WHEN (NEW.line = 2) EXECUTE FUNCTION no()");
	counts("$engine: a release that fails at its second line", 'ticket', "SELECT purchase_release('${id}p', 'ticket')", '');
	$node->safe_psql('postgres', 'DROP FUNCTION no CASCADE');
	counts("$engine: released again", 'ticket', "SELECT purchase_release('${id}d', 'ticket')", '');
	counts("$engine: returned", 'ticket', "SELECT purchase_return('${id}c', stock_table => 'ticket')", '');

	my $lapse = sub {
		my ($product, $sale, $qty) = @_;
		$node->safe_psql('postgres', $sell->('purchase', $product, $qty // 3, $sale, ", hold_for => '1 h'") . "; UPDATE ticket_hold
			SET expires_at = now() - interval '1 s' WHERE sale_id = '$id$sale'");
	};

	$node->safe_psql('postgres', "UPDATE ticket SET stock = 3 WHERE id IN ('t5', 't6', 't7')");
	$lapse->('t5', 'e');
	counts("$engine: who takes a lapsed hold", 'ticket', $sell->('purchase', 't5', 1, 'f'),
		'holds_lapsed 1, holds_taken 1, sold_calls 1, sold_units 1');
	counts("$engine: a confirm after it takes the rest anew, in vain", 'ticket',
		"SELECT purchase_confirm('${id}e', 'ticket')", 'hold_expired 1');
	counts("$engine: and so does an extend", 'ticket',
		"SELECT purchase_extend('${id}e', '1 h', 'ticket')", 'hold_expired 1');
	$node->safe_psql('postgres', "SELECT purchase_restock('t5', 5, 'ticket')");
	counts("$engine: a confirm that takes it all anew", 'ticket',
		"SELECT purchase_confirm('${id}e', 'ticket')", 'sold_calls 1, sold_units 3');
	$lapse->('t6', 'g', 1);
	$lapse->('t6', 'h', 2);
	counts("$engine: two expire", 'ticket', "SELECT purchase_expire(10, 'ticket')", 'holds_lapsed 2');
	$lapse->('t6', 'i');
	counts("$engine: late, and not too late", 'ticket', "SELECT purchase_confirm('${id}i', 'ticket')",
		'holds_confirmed 1, sold_calls 1, sold_units 3');

	# t6 is sold out, t7 has a lapsed hold that somebody has locked: what was taken of t5
	# comes back
	$node->safe_psql('postgres', "UPDATE ticket SET stock = 3 WHERE id = 't5'");
	$lapse->('t5', 'j');
	$lapse->('t7', 'k');
	$other = session($node);
	ask($other, "BEGIN; SELECT FROM ticket_sale WHERE sale_id = '${id}k' FOR UPDATE");
	counts("$engine: taken and given back", 'ticket', "SELECT purchase_try_cart(ARRAY['t5', 't7'], '{1,1}', 'ticket',
		sale_id => '${id}l', buyer => 'l')", 'busy 1');
	ask($other, 'COMMIT');
	ask($other, 'BEGIN; ' . $sell->('purchase', 't9', 1, 'm'));
	counts("$engine: an id that is busy", 'ticket', $sell->('purchase', 't9', 1, 'm'), 'busy 1');
	counts("$engine: after a wait", 'ticket', "SET purchase.lock_wait = '1ms'; " . $sell->('purchase_try', 't9', 1, 'm'),
		'busy 1, wait_time +, waits 1');
	ask($other, 'COMMIT');
	$other->quit;
	counts_waiting("$engine: an id that is waited for", 'ticket', $sell->('purchase', 't9', 1, 'n') . ';',
		"SET purchase.lock_wait = '50s'; " . $sell->('purchase', 't9', 1, 'n'),
		'replays 1, wait_time +, waits 1', 'PurchaseSaleId');

	counts("$engine: early release", 'product', 'SET purchase.early_release = on; SELECT purchase(7, 1)',
		'early_releases 1, sold_calls 1, sold_units 1');
	counts("$engine: early release, rolled back", 'product',
		'SET purchase.early_release = on; BEGIN; SELECT purchase(7, 1); ROLLBACK', 'sold_calls 1, sold_units 1');
	counts("$engine: early release of two sales", 'product',
		'SET purchase.early_release = on; BEGIN; SELECT purchase(7, 1); SELECT purchase(8, 1); COMMIT',
		'early_releases 1, sold_calls 2, sold_units 2');
	counts("$engine: a transaction that asks for no durability", 'product',
		'SET purchase.early_release = on; SET synchronous_commit = off; SELECT purchase(7, 1)',
		'sold_calls 1, sold_units 1');
}
$node->safe_psql('postgres', 'ALTER ROLE CURRENT_USER RESET purchase.engine');

# Nothing is lost among many.
$node->safe_psql('postgres', 'UPDATE product SET stock = 10000');
begin_count('product');
my $load = start_pgbench($node, 'SELECT purchase_try(1 + :client_id % 2, 2)', '-c', 8, '-j', 2, '-t', 100);
is(finish_pgbench($load), 0, 'a load');
my $now = counters('product');
my %more = map { $_ => $now->{$_} - $before{product}{$_} } keys %$now;
is($more{sold_calls} + $more{busy}, 800, 'each call is counted');
is( $node->safe_psql('postgres', 'SELECT sum(10000 - stock) FROM product'), $more{sold_units},
	'and each unit');

# Reset.
my $since = $node->safe_psql('postgres', "SELECT stats_reset FROM pg_stat_purchase WHERE stock_table = 'product'::regclass");
$node->safe_psql('postgres', "SELECT pg_stat_purchase_reset('product')");
is( $node->safe_psql('postgres',
		"SELECT sold_calls, sold_units, waits, wait_time, stats_reset > '$since' FROM pg_stat_purchase WHERE stock_table = 'product'::regclass"),
	'0|0|0|0|t', 'reset');
is( $node->safe_psql('postgres',
		"SELECT sold_calls > 0, stats_reset = '$since' FROM pg_stat_purchase WHERE stock_table = 'ticket'::regclass"),
	't|t', 'of one table');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION purchase; SELECT pg_stat_purchase_reset()');
is( $node->safe_psql('postgres', "SELECT sold_calls > 0 FROM pg_stat_purchase WHERE stock_table = 'ticket'::regclass"),
	't', 'not of another database');
$node->safe_psql('postgres', 'SELECT pg_stat_purchase_reset()');
is($node->safe_psql('postgres', 'SELECT sum(sold_calls + busy + replays + holds_made) FROM pg_stat_purchase'),
	'0', 'of all');
$node->safe_psql('postgres', 'SELECT purchase(1, 1)');
counts('counted anew', 'product', 'SELECT purchase(1, 1)', 'sold_calls 1, sold_units 1');

# Rights.
my @as_buyer = (extra_params => [ '-U', 'buyer', '-v', 'VERBOSITY=sqlstate' ]);
my ($ret, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM pg_stat_purchase", @as_buyer);
is($out, '4', 'everybody may read');
(undef, undef, $err) = $node->psql('postgres', 'SELECT pg_stat_purchase_reset()', @as_buyer);
like($err, qr/42501/, 'not everybody may reset');
$node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION pg_stat_purchase_reset TO buyer');
($ret) = $node->psql('postgres', 'SELECT pg_stat_purchase_reset()', @as_buyer);
is($ret, 0, 'who was granted it may');

# Columns that a library of another version does not have, or has in another place.
$node->safe_psql('postgres', "CREATE FUNCTION older(regclass, OUT sold_calls bigint, OUT stats_reset timestamptz)
	RETURNS SETOF record AS '\$libdir/purchase', 'purchase_stat_table' LANGUAGE c");
is(sqlstate($node, 'SELECT * FROM older(NULL)'), '55000', 'the SQL of another version');
is(sqlstate($node, "SELECT * FROM older('product')"), '55000', 'the SQL of another version, of a table');

# A table that is dropped, or detached, has no row.
$node->safe_psql('postgres', "DROP TABLE watched; SELECT purchase_detach('part')");
is($node->safe_psql('postgres', 'SELECT stock_table FROM pg_stat_purchase ORDER BY 1'), "product\nticket", 'dropped, detached');

# Who is terminated in a wait leaves nothing.
my $other = session($node);
my $waiting = session($node);
my $pid = ask($waiting, 'SELECT pg_backend_pid()');
ask($other, 'BEGIN; SELECT purchase(1, 1)');
begin_count('product');
begin_query($waiting, "SET purchase.lock_wait = '50s'; SELECT purchase(1, 1)");
wait_for_wait($node, $pid);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
ask($other, 'COMMIT');
$other->quit;
eval { $waiting->quit };
is(counted('product'), '', 'who is terminated was not answered');

# A crash.
$since = $node->safe_psql('postgres', "SELECT stats_reset FROM pg_stat_purchase WHERE stock_table = 'product'::regclass");
my $victim = session($node);
kill 'KILL', ask($victim, 'SELECT pg_backend_pid()');
eval { $victim->quit };
# until it is down, it answers as before
$node->poll_query_until('postgres', "SELECT stats_reset > '$since' FROM pg_stat_purchase WHERE stock_table = 'product'::regclass");
counts('after a crash', 'product', 'SELECT purchase(1, 1)', 'sold_calls 1, sold_units 1');

# More tables than there is room for.  Other databases' tables take room, too.
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_purchase WHERE stock_table IS NULL'), '0',
	'no row for tables without room');
$node->safe_psql('other', <<'SQL');
DO $$
BEGIN
	FOR i IN 1..1024 LOOP
		EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, stock int NOT NULL)', i);
		EXECUTE format('INSERT INTO t%s VALUES (1, 10)', i);
		INSERT INTO purchase_registration (stock_table, key_column, stock_column, is_default)
			VALUES (format('t%s', i)::regclass, 'id', 'stock', false);
		PERFORM purchase(1, 1, format('t%s', i)::regclass);
		COMMIT;
	END LOOP;
END $$;
SQL
is( $node->safe_psql('other', 'SELECT stock_table IS NULL, sum(sold_calls), count(*) FROM pg_stat_purchase GROUP BY 1 ORDER BY 1'),
	"f|1023|1024\nt|1|1", 'tables without room are counted together');
$node->safe_psql('other', "SELECT purchase(1, 1, 't1'), purchase(1, 1, 't1024')");
is( $node->safe_psql('other', "SELECT sum(sold_calls) FILTER (WHERE stock_table = 't1'::regclass),
	sum(sold_calls) FILTER (WHERE stock_table = 't1024'::regclass), sum(sold_calls) FILTER (WHERE stock_table IS NULL)
	FROM pg_stat_purchase"), '2|0|2', 'and only those');
counts('the others go on', 'product', 'SELECT purchase(1, 1)', 'sold_calls 1, sold_units 1');
$node->safe_psql('other', 'SELECT pg_stat_purchase_reset()');
is($node->safe_psql('other', 'SELECT sum(sold_calls) FROM pg_stat_purchase'), '0', 'all are reset');

# Not preloaded.
foreach my $libraries ([ '', "'purchase'" ], [ 'pg_stat_statements,"auto_explain"', "'pg_stat_statements', 'auto_explain', 'purchase'" ])
{
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'$libraries->[0]'");
	$node->restart;
	is($node->safe_psql('postgres', 'SELECT purchase(1, 1) > 0'), 't', 'sells');
	(undef, undef, $err) = $node->psql('postgres', 'TABLE pg_stat_purchase', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/55000: nothing is counted.*HINT:  To switch it on: ALTER SYSTEM SET shared_preload_libraries = \Q$libraries->[1]\E; and restart the server\./s,
		'the view says how to switch it on');
	like(sqlstate($node, 'SELECT pg_stat_purchase_reset()'), qr/55000/, 'and so does reset');
	my (undef, undef, $others) = $node->psql('postgres', 'TABLE pg_stat_purchase', extra_params => [ '-U', 'buyer' ]);
	like($others, qr/HINT:  A superuser can add it/, 'but not to who may not read the setting');
}
my ($hint) = $err =~ /(ALTER SYSTEM [^;]*;)/;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', undef);
$node->safe_psql('postgres', $hint);
$node->restart;
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'pg_stat_statements, auto_explain, purchase', 'what it says works');
counts('it counts', 'product', 'SELECT purchase(1, 1)', 'sold_calls 1, sold_units 1');

done_testing();
