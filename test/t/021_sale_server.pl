# Sales with an id and holds, where the server has a part: prepared transactions,
# refusals and confirms that write next to nothing, dumps, an extension that is created
# again, logical replication, standbys that only read, and one that is promoted after
# the primary was lost in the middle.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# create_shop(), with tables for sales
sub create_shop_with_sales
{
	my ($node, $products, $stock, $dbname) = @_;

	create_shop($node, $products, $stock, $dbname);
	$node->safe_psql($dbname // 'postgres',
		"SELECT purchase_keep_sales('product')");
	return;
}

sub let_lapse
{
	my ($node, $id, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		"UPDATE product_hold SET expires_at = '2000-01-01' WHERE sale_id = '$id'");
}

# What is in all three tables.
my $all = q(
SELECT id, stock FROM product ORDER BY 1;
SELECT * FROM product_sale ORDER BY sale_id, line;
SELECT * FROM product_hold ORDER BY sale_id, line);

# Nobody else writes WAL or takes a transaction id.
my $node = new_node('shop',
	conf => 'autovacuum = off
checkpoint_timeout = 1h
wal_level = minimal
max_wal_senders = 0
max_prepared_transactions = 10');
create_shop_with_sales($node, 20, 100);
$node->safe_psql('postgres', 'CREATE EXTENSION pg_walinspect');

# ----------------------------------------------------------------
# Prepared transactions
# ----------------------------------------------------------------

# hold(SESSION, ID, PRODUCT): three units
sub hold
{
	my ($session, $id, $product) = @_;

	return ask($session,
		"SELECT outcome, remaining FROM purchase_try($product, 3, sale_id => '$id', hold_for => '1 hour')"
	);
}

my %session;
my ($a, $b, $c) = (1, 2, 3);
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $session = session($node);
	my $waiting = session($node);
	my $pid = ask($waiting, 'SELECT pg_backend_pid()');

	engine_is($node, $engine);
	foreach my $end ('COMMIT', 'ROLLBACK')
	{
		my $title = "$engine, prepared, $end";
		my $id = "prepared $engine $end";
		my $sell = "purchase($a, 1, sale_id => '$id')";
		my $stock = ask($session, "SELECT purchase_available($a)");

		hold($session, "$id, held", $c);
		let_lapse($node, "$id, held");
		is( ask($session, "BEGIN;
SELECT $sell \\g /dev/null
SELECT purchase($b, 1, sale_id => '$id, new', hold_for => '1 hour') \\g /dev/null
SELECT purchase_confirm('$id, held') \\g /dev/null
PREPARE TRANSACTION 'p'"),
			'', "$title: a sale, a hold and a confirm are prepared");
		foreach my $crash (0, 1)
		{
			if ($crash)
			{
				$_->quit foreach ($session, $waiting);
				$node->stop('immediate');
				$node->start;
				($session, $waiting) = (session($node), session($node));
				$pid = ask($waiting, 'SELECT pg_backend_pid()');
				$title .= ', after a crash';
			}
			is(ask($session, "SELECT $sell"),
				'ERROR:  55P03', "$title: the id is busy");
			is( ask($session,
					"SELECT outcome FROM purchase_try(20, 1, sale_id => '$id')"),
				'busy', "$title: so it is with another product");
			is( ask($session,
					"SELECT outcome FROM purchase_try(20, 1, sale_id => '$id, new')"),
				'busy', "$title: and that of the hold");
			is(ask($session, "SELECT purchase_confirm('$id, new')"),
				'ERROR:  SK101', "$title: which is not there yet");

			# what is being confirmed is not to be had, even if it has lapsed
			is( ask($session, "SELECT outcome FROM purchase_try($c, purchase_available($c))"),
				'busy', "$title: a hold that is being confirmed is busy");
		}

		begin_query($waiting, "SET purchase.lock_wait = -1; SELECT $sell");
		wait_for_wait($node, $pid);
		$node->safe_psql('postgres', "$end PREPARED 'p'");
		is(end_query($waiting), $stock - 1,
			$end eq 'COMMIT'
			? "$title: who waited gets the first answer"
			: "$title: who waited sells");
		is(ask($session, "SELECT purchase_available($a)"),
			$stock - 1, "$title: sold once");
		is( ask($session, "SELECT purchase_confirm('$id, new')"),
			$end eq 'COMMIT' ? 't' : 'ERROR:  SK101',
			"$title: what is held can be confirmed");
		is( ask($session, "SELECT purchase_release('$id, held')"),
			$end eq 'COMMIT' ? 'ERROR:  SK103' : 3,
			"$title: what was not confirmed can be released");
		is( ask($session,
				"SELECT count(*) FROM product_hold WHERE sale_id LIKE '$id%'"),
			0,
			"$title: nothing is left");
	}
	$_->quit foreach ($session, $waiting);
}

# ----------------------------------------------------------------
# What is written
# ----------------------------------------------------------------

my $used =
  'SELECT pg_current_wal_insert_lsn(), pg_snapshot_xmax(pg_current_snapshot())';

# the changes of a relation and its indexes in the log, from $start on
sub records_of
{
	my ($table, $start) = @_;

	# what is asked for must have been flushed
	$node->safe_psql('postgres', 'SELECT txid_current()');
	return $node->safe_psql(
		'postgres', qq(
SELECT resource_manager || '/' || record_type
FROM pg_get_wal_records_info('$start', pg_current_wal_flush_lsn()) AS w
WHERE EXISTS (SELECT FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
	WHERE '$table'::regclass IN (c.oid, i.indrelid)
		AND block_ref LIKE '%/' || pg_relation_filenode(c.oid) || ' %')
ORDER BY start_lsn));
}

# of this transaction: updates, HOT ones, deletions
sub changes_of
{
	my ($session, $table) = @_;

	return ask($session,
		'SELECT '
		  . join(', ',
			map { "pg_stat_get_xact_tuples_$_('$table'::regclass)" }
			  ('updated', 'hot_updated', 'deleted')));
}

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $session = session($node);
	my $other = session($node);

	# a confirm, at once or after the hold has lapsed
	foreach my $lapsed (0, 1)
	{
		my $title = "$engine, confirm" . ($lapsed ? ' of a lapsed hold' : '');
		my $id = "hot $engine $lapsed";
		my $start = ask($session, 'SELECT pg_current_wal_insert_lsn()');

		is(hold($session, $id, 4), 'held|' . ask($session, 'SELECT stock FROM product WHERE id = 4'),
			"$title: held");
		like(records_of('product', $start),
			qr/^Heap\//, "$title: a hold writes to the stock table");
		let_lapse($node, $id) if $lapsed;

		# or what transactions of before did would be counted
		ask($session, 'SELECT pg_stat_force_next_flush()');
		is(ask($session, "BEGIN; SELECT purchase_confirm('$id')"),
			't', "$title: confirmed");
		is(changes_of($session, 'product_sale'),
			'1|1|0', "$title: a HOT update of the sale");
		is(changes_of($session, 'product_hold'),
			'0|0|1', "$title: the hold is deleted");
		is(changes_of($session, 'product'),
			'0|0|0', "$title: the stock table is left alone");
		is( ask($session,
				"SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'tuple'"
			),
			0,
			"$title: nothing is waited for");
		is( ask($other, "SELECT outcome FROM purchase_try(4, 1)"),
			'sold', "$title: and the product is not locked");
		ask($other, 'SELECT purchase_restock(4, 1)');
		ask($session, 'ROLLBACK');

		# the same without others
		$start = ask($session, 'SELECT pg_current_wal_insert_lsn()');
		ask($session, "SELECT purchase_confirm('$id')");
		is(records_of('product', $start),
			'', "$title: nothing in the log for the stock table");
		unlike(records_of('product_sale', $start),
			qr/Btree/, "$title: nor for the indexes of the sales");
		like(records_of('product_sale', $start),
			qr/HOT_UPDATE/, "$title: but for the sale");
		is( ask($session,
				"SELECT count(*) FROM product_hold WHERE sale_id = '$id'"),
			0,
			"$title: no hold is left");
	}

	ask($session, 'SELECT purchase_set_stock(id, 100) FROM unnest(ARRAY[5, 6]) AS id');

	# A refusal.  Product 5 has live holds, 6 has lapsed ones as well, but too few.
	hold($session, "live $engine $_", $_) foreach (5, 6);
	ask($session, 'SELECT purchase_set_stock(id, 0) FROM unnest(ARRAY[5, 6]) AS id');
	hold($session, "lapsed $engine", 7);
	$node->safe_psql('postgres',
		"UPDATE product_hold SET product_id = 6, expires_at = '2000-01-01' WHERE sale_id = 'lapsed $engine';
UPDATE product_sale SET product_id = 6 WHERE sale_id = 'lapsed $engine'");
	ask($session, "SELECT purchase(8, 1, sale_id => 'sold $engine')");
	ask($other, "BEGIN; SELECT purchase(9, 1, sale_id => 'busy $engine')");
	my $lapsed = ask($session, 'SELECT purchase_available(6)');
	ask($session, "SELECT purchase_available(5), purchase_try(5, 1, sale_id => 'new $engine')");
	cmp_ok($lapsed, '>=', 3, "$engine: there are lapsed units");

	# a reader may prune pages, and WAL may not be written at once
	$node->safe_psql('postgres', 'VACUUM FREEZE');
	$node->safe_psql('postgres', 'CHECKPOINT');

	my $new = "sale_id => 'new $engine'";
	my $hold = "hold_for => '1 hour'";
	foreach my $case (
		[ 'purchase(5, 1)', 'ERROR:  SK002' ],
		[ "purchase(5, 1, $new)", 'ERROR:  SK002' ],
		[ "purchase_try(5, 1, $new)", '(out_of_stock,0)' ],
		[ "purchase_try(5, 1, $new, $hold)", '(out_of_stock,0)' ],
		[ "purchase_cart(ARRAY[5], ARRAY[1], $new, $hold)", 'ERROR:  SK002' ],
		[ 'purchase_try(6, 100)', "(insufficient_quantity,$lapsed)" ],
		[ "purchase_try(6, 100, $new, $hold)", "(insufficient_quantity,$lapsed)" ],
		[ "purchase(6, 100, $new)", 'ERROR:  SK003' ],
		[ "purchase(99, 1, $new)", 'ERROR:  SK001' ],
		# the id decides
		[ "purchase(20, 1, sale_id => 'sold $engine')", 'ERROR:  SK201' ],
		[ "purchase_try(20, 1, sale_id => 'busy $engine')", '(busy,)' ],
		[ "purchase_confirm('new $engine')", 'ERROR:  SK101' ],
		[ "purchase_extend('new $engine', '1 hour')", 'ERROR:  SK101' ],
		# and so does a repeat
		[ "purchase(8, 1, sale_id => 'sold $engine')", qr/^\d+$/ ],
		[ "purchase_try(5, 3, sale_id => 'live $engine 5', $hold)", qr/^\(held,\d+\)$/ ])
	{
		my ($call, $answer) = @$case;
		my $title = "$engine, $call";
		$answer = qr/^\Q$answer\E$/ unless ref $answer;

		my $before = ask($session, $used);
		like(ask($session, "SELECT $call"), $answer, "$title");
		is(ask($session, $used), $before, "$title: no WAL");
		next if $answer =~ /ERROR/;

		# the transaction in which it happens has no id
		like(ask($session, "BEGIN; SELECT $call"),
			$answer, "$title, in a transaction");
		is(ask($session, 'SELECT pg_current_xact_id_if_assigned()'),
			'', "$title: no transaction id");
		is( ask($session,
				"SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('transactionid', 'tuple', 'userlock')"
			),
			0,
			"$title: no lock");
		ask($session, 'COMMIT');
		is(ask($session, $used), $before, "$title: no WAL in a transaction");
	}

	# those that raise, in a transaction that goes on; the savepoint takes an id
	# only when something is written
	foreach my $call ("purchase(5, 1, $new)", "purchase(6, 100, $new, $hold)",
		"purchase(20, 1, sale_id => 'sold $engine')")
	{
		is( ask($session, <<SQL), '', "$engine, $call: no transaction id");
BEGIN;
DO \$\$
BEGIN
	PERFORM $call;
	ASSERT false, 'not refused';
EXCEPTION WHEN SQLSTATE 'SK002' OR SQLSTATE 'SK003' OR SQLSTATE 'SK201' THEN
END
\$\$;
SELECT pg_current_xact_id_if_assigned()
SQL
		ask($session, 'COMMIT');
	}
	ask($other, 'ROLLBACK');

	# what the above would look like if it were otherwise
	my $before = ask($session, $used);
	is( ask($session, "BEGIN; SELECT outcome FROM purchase_try(6, $lapsed)"),
		'sold', "$engine: lapsed units are sold");
	isnt(ask($session, 'SELECT pg_current_xact_id_if_assigned()'),
		'', "$engine: that has a transaction id");
	ask($session, 'ROLLBACK');
	isnt(ask($session, $used), $before, "$engine: and WAL");
	$_->quit foreach ($session, $other);
}

# ----------------------------------------------------------------
# A dump with holds, and an extension that is created again
# ----------------------------------------------------------------

# What goes on after a database was restored, or the like.  Sold before, of 100 units
# each: sale "sold" of 5 units of product 1; held "confirm", "release" and "lapsed", 10
# units of product 2, and "cart" of both.
sub sell_with_ids
{
	my ($target, $dbname) = @_;

	$target->safe_psql(
		$dbname, q(
SELECT purchase(1, 5, sale_id => 'sold');
SELECT purchase(2, 10, sale_id => name, hold_for => '1 hour', buyer => 'ann')
	FROM unnest(ARRAY['confirm', 'release', 'lapsed']) AS name;
SELECT purchase_release('release', 2, 1);
SELECT * FROM purchase_cart(ARRAY[1, 2], ARRAY[1, 1], sale_id => 'cart', hold_for => '1 hour');
));
	let_lapse($target, 'lapsed', $dbname);
	return;
}

sub goes_on
{
	my ($session, $title) = @_;
	my $hold = "hold_for => '1 hour', buyer => 'ann'";

	is(ask($session, "SELECT purchase(1, 5, sale_id => 'sold')"),
		95, "$title: a sale is repeated");
	is(ask($session, "SELECT purchase(1, 6, sale_id => 'sold')"),
		'ERROR:  SK201', "$title: and compared");
	is(ask($session, "SELECT purchase(2, 10, sale_id => 'confirm', $hold)"),
		90, "$title: a hold is repeated");
	is(ask($session, 'SELECT purchase_available(2)'),
		80, "$title: lapsed units are counted");
	is(ask($session, "SELECT purchase_confirm('confirm')"),
		't', "$title: a hold is confirmed");
	is(ask($session, "SELECT purchase_confirm('confirm')"), 'f', "$title: once");
	is(ask($session, "SELECT purchase_release('release')"),
		9, "$title: the rest of one is released");
	is(ask($session, "SELECT purchase_extend('cart', '2 hours') > now() + interval '1 hour'"),
		't', "$title: one is extended");
	is(ask($session, 'SELECT purchase(2, 89)'),
		0, "$title: lapsed units are sold");
	is( ask($session,
			"SELECT state FROM product_sale WHERE sale_id = 'lapsed'"),
		'expired', "$title: who had held them is told");
	is(ask($session, "SELECT purchase_confirm('lapsed')"),
		'ERROR:  SK102', "$title: they are gone");
	is(ask($session, "SELECT purchase_confirm('cart')"),
		't', "$title: a cart is confirmed");
	is(ask($session, 'SELECT count(*) FROM product_hold'),
		0, "$title: nothing is held");
	is(ask($session, 'SELECT stock FROM product WHERE id <= 2 ORDER BY id'),
		"94\n0", "$title: the stock");
	return;
}

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $from = "from_$engine";
	my $file = $node->basedir . "/$engine.dump";

	$node->safe_psql('postgres', "CREATE DATABASE $from");
	create_shop_with_sales($node, 2, 100, $from);
	sell_with_ids($node, $from);
	foreach my $format ('p', 'c')
	{
		my $to = "to_${engine}_$format";

		$node->safe_psql('postgres', "CREATE DATABASE $to");
		$node->command_ok([ 'pg_dump', "-F$format", '-f', $file, $from ],
			"$to: pg_dump");
		$node->command_ok(
			$format eq 'p'
			? [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $to ]
			: [ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $to, $file ],
			"$to: restored");
		is($node->safe_psql($to, $all),
			$node->safe_psql($from, $all), "$to: all is there");
		my $session = session($node, $to);
		goes_on($session, $to);
		$session->quit;
	}

	# the extension goes, and sessions that have used it stay
	my ($session, $admin) = (session($node, $from), session($node, $from));
	my $before = $node->safe_psql($from, $all);

	foreach ($session, $admin)
	{
		is(ask($_, "SELECT purchase(1, 5, sale_id => 'sold')"),
			95, "$engine: used before");
	}
	is( ask($admin, "SELECT purchase_detach('product')"),
		'ERROR:  55000', "$engine: what holds units can't be detached");
	ask($admin, 'DROP EXTENSION purchase');
	is($node->safe_psql($from, $all), $before,
		"$engine: the tables survive the extension");
	ask($admin, "CREATE EXTENSION purchase; SELECT purchase_attach('product')");
	foreach ($session, $admin)
	{
		is(ask($_, "SELECT purchase_confirm('confirm')"),
			'ERROR:  55000', "$engine: no sales are kept yet");
		is(ask($_, 'SELECT purchase_available(2)'),
			70, "$engine: and nothing is known of holds");
	}
	ask($admin, "SELECT purchase_keep_sales('product')");
	is($node->safe_psql($from, $all), $before, "$engine: they are taken as they are");
	goes_on($session, "$engine, created again");
	$_->quit foreach ($session, $admin);
}
server_log_is_clean($node);
$node->stop;

# ----------------------------------------------------------------
# Logical replication
# ----------------------------------------------------------------

my $publisher = new_node('publisher', allows_streaming => 'logical');
my $subscriber = new_node('subscriber');
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";

	foreach my $each ($publisher, $subscriber)
	{
		$each->safe_psql('postgres', "CREATE DATABASE $engine");
		create_shop_with_sales($each, 2, 100, $engine);
		$each->safe_psql($engine, "SELECT purchase_guard('product')");
	}
	$subscriber->safe_psql($engine, 'TRUNCATE product CASCADE');
	$publisher->safe_psql($engine,
		"SELECT purchase(1, 1, sale_id => 'before', hold_for => '1 hour');
SELECT purchase_release('before');
CREATE PUBLICATION everything FOR TABLE product, product_sale, product_hold");
	my $connstr = $publisher->connstr . " dbname=$engine";
	$subscriber->safe_psql($engine,
		"CREATE SUBSCRIPTION $engine CONNECTION '$connstr' PUBLICATION everything");
	$subscriber->wait_for_subscription_sync($publisher, $engine, $engine);

	# a session that has plans on the tables
	my $session = session($subscriber, $engine);
	is(ask($session, 'SELECT purchase_available(2)'),
		100, "$engine: the subscriber has the stock");
	is( ask($session, "SELECT purchase(1, 1, sale_id => 'before', hold_for => '1 hour')"),
		'ERROR:  SK103', "$engine: and the sales of before");

	sell_with_ids($publisher, $engine);
	$publisher->safe_psql(
		$engine, q(
SELECT purchase(1, 1, sale_id => 'settled', hold_for => '1 hour');
SELECT purchase_confirm('settled');
SELECT purchase_restock(1, 1);
BEGIN;
SELECT purchase(1, 1, sale_id => 'never', hold_for => '1 hour');
ROLLBACK;
));
	$publisher->wait_for_catchup($engine);
	is($subscriber->safe_psql($engine, $all),
		$publisher->safe_psql($engine, $all),
		"$engine: sales, holds and stock arrive");
	is( $subscriber->safe_psql($engine, 'SELECT sale_id, state FROM product_sale WHERE line = 1 ORDER BY 1'),
		"before|released\ncart|held\nconfirm|held\nlapsed|held\nrelease|held\nsettled|sold\nsold|sold",
		"$engine: in their states");

	# the subscriber takes over
	$subscriber->safe_psql($engine, "DROP SUBSCRIPTION $engine");
	goes_on($session, "$engine, subscriber");
	is(ask($session, "SELECT purchase_confirm('settled')"),
		'f', "$engine, subscriber: what was confirmed is");
	$session->quit;
}
foreach my $each ($publisher, $subscriber)
{
	server_log_is_clean($each);
	$each->stop;
}

# ----------------------------------------------------------------
# Standbys
# ----------------------------------------------------------------

my $primary = new_node('primary', allows_streaming => 1);
my $standby = PostgreSQL::Test::Cluster->new('standby');
create_shop_with_sales($primary, 20, 100);
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q(
SELECT purchase(1, 5, sale_id => 'sold');
SELECT purchase(1, 10, sale_id => name, hold_for => '1 hour') FROM unnest(ARRAY['live', 'lapsed']) AS name;
));
let_lapse($primary, 'lapsed');
$primary->wait_for_catchup($standby);

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $session = session($standby);
	my $new = "sale_id => 'new'";
	my $hold = "hold_for => '1 hour'";

	foreach my $call (
		"purchase(1, 1, $new)",
		"purchase(1, 5, sale_id => 'sold')",
		"purchase_try(1, 1, $new, $hold)",
		"purchase_try(1, 1000, $new)",
		"purchase_cart(ARRAY[1], ARRAY[1], $new)",
		"purchase_try_cart(ARRAY[1], ARRAY[1], $new, $hold)",
		"purchase_confirm('live')",
		"purchase_confirm('new')",
		"purchase_release('live')",
		"purchase_release('live', 1, 1)",
		"purchase_extend('live', '2 hours')",
		'purchase_expire()',
		"purchase_keep_sales('product')")
	{
		is(ask($session, "SELECT $call"),
			'ERROR:  25006', "$engine: a standby refuses $call");
		is(sqlstate($primary, "BEGIN READ ONLY; SELECT $call"),
			'25006', "$engine: so does a read-only transaction");
	}
	is( ask($session, 'SELECT stock, purchase_available(1) FROM product WHERE id = 1'),
		'75|85', "$engine: a standby counts lapsed units");
	is(ask($session, 'SELECT outcome, remaining FROM purchase_try(1, 86)'),
		'ERROR:  25006', "$engine: and sells none");
	$session->quit;
}

$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;

sub wait_for_sync
{
	$primary->poll_query_until('postgres',
		"SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')"
	) or die 'no synchronous standby';
	return;
}

# Begin a call that can't be answered without the standby: it waits for that, or for
# who does, which from 17 on has a name of ours.
sub begin_and_wait
{
	my ($session, $query, $event, $title) = @_;
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	begin_query($session, $query);
	$primary->poll_query_until('postgres',
		"SELECT state <> 'active' OR wait_event IN ('SyncRep', 'transactionid', 'PurchaseSaleId') FROM pg_stat_activity WHERE pid = $pid"
	) or die "$query does not wait";
	is( $primary->safe_psql(
			'postgres',
			"SELECT replace(wait_event, 'PurchaseSaleId', 'transactionid') FROM pg_stat_activity WHERE pid = $pid"),
		$event,
		"$title: $query waits");
	return;
}

# What rests on a sale that the standby has not got is not told either.
foreach my $engine ('auto', 'sql')
{
	foreach my $level ('on', 'local')
	{
		local $ENV{PGOPTIONS} =
		  "-c purchase.engine=$engine -c purchase.early_release=$level";
		my $title = "$engine, early release $level";
		my $id = "$engine $level";
		my $product = 2 + ($engine eq 'sql') + 2 * ($level eq 'local');
		my $sell = "purchase($product, 1, sale_id => '$id')";
		my $hold =
		  "purchase($product, 3, sale_id => '$id, held', hold_for => '1 hour')";
		my $confirmed = "$id, confirmed";
		my @calls = (
			[ "SELECT $sell", 99 ],
			[ "SELECT $sell", 99 ],
			[ "SELECT outcome, remaining FROM purchase_try($product, 1, sale_id => '$id')", 'sold|99' ],
			[ "SELECT purchase($product, 2, sale_id => '$id')", 'ERROR:  SK201' ],
			[ "SELECT purchase_confirm('$id')", 'f' ],
			# the sale is locked by the one before
			[ "SELECT purchase_release('$id')", 'ERROR:  SK103', 'transactionid' ],
			[ "SELECT $hold", 96 ],
			[ "SELECT $hold", 96 ],
			[ "SELECT purchase_extend('$id, held', '1 minute') > now()", 't' ]);

		my @waiting;

		wait_for_sync();
		$standby->stop;
		foreach (@calls)
		{
			my ($query, $answer, $event) = @$_;

			push @waiting, session($primary);
			begin_and_wait($waiting[-1], $query, $event // 'SyncRep', $title);
		}
		is($primary->safe_psql('postgres', "SELECT stock FROM product WHERE id = $product"),
			96, "$title: others see what was sold");
		my $careless = session($primary);
		is( ask($careless, "SET synchronous_commit = local; SELECT $sell"),
			99, "$title: who asks for no standby is told");
		$careless->quit;
		$standby->start;
		is(end_query($waiting[$_]), $calls[$_][1], "$title: $calls[$_][0] is answered")
		  foreach 0 .. $#calls;
		$_->quit foreach @waiting;
	}
}

# without early release, the id is busy
{
	my ($first, $second) = (session($primary), session($primary));
	my $sell = "SELECT purchase(6, 1, sale_id => 'off')";

	wait_for_sync();
	$standby->stop;
	begin_and_wait($first, $sell, 'SyncRep', 'early release off');
	is(ask($second, $sell), 'ERROR:  55P03', 'early release off: busy');
	begin_and_wait($second, "SET purchase.lock_wait = -1; $sell",
		'transactionid', 'early release off');
	$standby->start;
	is(end_query($first), 99, 'early release off: sold');
	is(end_query($second), 99, 'early release off: who waited gets the same answer');
	$_->quit foreach ($first, $second);
}

# The primary is lost before the standby has what was sold.
{
	local $ENV{PGOPTIONS} = '-c purchase.early_release=on';
	my @session = map { session($primary) } 1 .. 5;

	wait_for_sync();
	is(ask($session[0], $_->[0]), $_->[1], "told: $_->[0]")
	  foreach (
		[ "SELECT purchase(7, 1, sale_id => 'told')", 99 ],
		[ "SELECT purchase(7, 4, sale_id => 'told, held', hold_for => '1 hour')", 95 ],
		[ "SELECT purchase(7, 4, sale_id => 'told, confirmed', hold_for => '1 hour')", 91 ],
		[ "SELECT purchase_confirm('told, confirmed')", 't' ],
		[ "SELECT purchase(7, 4, sale_id => 'told, released', hold_for => '1 hour')", 87 ],
		[ "SELECT purchase_release('told, released')", 4 ]);
	$standby->stop;
	begin_and_wait($session[ $_->[0] ], $_->[1], $_->[2], 'not told')
	  foreach (
		[ 0, "SELECT purchase(7, 1, sale_id => 'untold')", 'SyncRep' ],
		[ 1, "SELECT purchase(7, 1, sale_id => 'untold')", 'SyncRep' ],
		[ 2, "SELECT purchase_confirm('told, held')", 'SyncRep' ],
		[ 3, "SELECT purchase_release('told, held')", 'transactionid' ],
		# the standby has this, but it might have not
		[ 4, "SELECT purchase(7, 1, sale_id => 'told')", 'SyncRep' ]);
	is( $primary->safe_psql('postgres',
			"SELECT stock FROM product WHERE id = 7"),
		90,
		'the primary has sold more');
	$primary->stop('immediate');
	eval { $_->quit } foreach @session;
}
$standby->start;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
  or die 'the standby was not promoted';
# it has no standby of its own
$standby->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$standby->reload;
is( $standby->safe_psql('postgres',
		"SELECT sale_id, state FROM product_sale WHERE product_id = 7 ORDER BY 1"),
	"told|sold\ntold, confirmed|sold\ntold, held|held\ntold, released|released",
	'promoted: what was told is there, and nothing else');
is($standby->safe_psql('postgres', $_->[0]), $_->[1], "promoted: $_->[0]")
  foreach (
	[ 'SELECT stock FROM product WHERE id = 7', 91 ],
	[ "SELECT purchase(7, 1, sale_id => 'told')", 99 ],
	[ "SELECT purchase_confirm('told, confirmed')", 'f' ],
	[ "SELECT purchase_confirm('told, held')", 't' ],
	[ "SELECT purchase_release('told, released')", 0 ],
	[ "SELECT purchase(7, 1, sale_id => 'untold')", 90 ],
	[ "SELECT purchase_confirm('live')", 't' ],
	[ 'SELECT purchase_expire()', 1 ],
	[ 'SELECT count(*) FROM product_hold WHERE product_id IN (1, 7)', 0 ],
	[ 'SELECT stock FROM product WHERE id = 1', 85 ]);

server_log_is_clean($_) foreach ($primary, $standby);
done_testing();
