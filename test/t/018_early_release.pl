# Early release: the row of a sale is free before its commit is durable, and nobody
# is told before it is.
#
# The log is stopped by a gate, a library that makes the server's writes and flushes of
# it wait; what waits for it is known from pg_stat_activity.  The server is started
# with checkpoints and everything else that writes out of the way.

use strict;
use warnings;

use Fcntl ':flock';
use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
system_or_bail('cc', '-shared', '-fPIC', '-o', "$dir/flush_gate.so",
	"$FindBin::Bin/flush_gate.c", '-ldl');
open(my $gate, '>', "$dir/gate") or die "cannot create the gate: $!";

$ENV{LD_PRELOAD} = "$dir/flush_gate.so";
$ENV{FLUSH_GATE} = "$dir/gate";
my $node = new_node('shop',
	conf => q(wal_sync_method = fdatasync
fsync = on
autovacuum = off
wal_level = replica
max_prepared_transactions = 2
checkpoint_timeout = 1h
shared_preload_libraries = 'purchase'
include_if_exists 'citus.conf'));
delete @ENV{ 'LD_PRELOAD', 'FLUSH_GATE' };

create_shop($node, 10, 100);
$node->safe_psql(
	'postgres', q(
CREATE TABLE other (n int);
INSERT INTO other VALUES (0);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, stock int);
INSERT INTO unlogged VALUES (1, 10);
SELECT purchase_attach('unlogged');
CREATE TABLE quiet (id int PRIMARY KEY, stock int);
INSERT INTO quiet VALUES (1, 10);
SELECT purchase_attach('quiet');
-- Marks the rows as committed, and their transactions are far from those that come:
-- pg_xact keeps one LSN for 32.
SELECT count(*) FROM quiet, product;
DO $$ BEGIN FOR i IN 1..32 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$;
CREATE TABLE late (n int);
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN RAISE EXCEPTION USING MESSAGE = ''late''; END';
CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON late
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
CREATE PROCEDURE sell(product bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM purchase(product, 1);
	COMMIT;
END $$;
CREATE FUNCTION sell_early(product bigint) RETURNS bigint LANGUAGE sql
	SET purchase.early_release = on AS 'SELECT purchase(product, 1)';
CHECKPOINT;
));

# What a backend waits for: the gate stops one flush, and all others wait for it.
# A backend that is in the flush, or waits for it, has been told to commit.
my $waits =
  q(state = 'active' AND lower(wait_event) IN ('walsync', 'walwrite', 'walwritelock'));

sub close_gate { flock($gate, LOCK_EX) or die "no lock: $!"; return }
sub open_gate { flock($gate, LOCK_UN) or die "no lock: $!"; return }

# else a test that dies waits for what waits for the gate
END { open_gate() }

sub start
{
	local $ENV{LD_PRELOAD} = "$dir/flush_gate.so";
	local $ENV{FLUSH_GATE} = "$dir/gate";
	$node->start;
	return;
}

# Restarted, as a reload would take effect at some time.
sub set_citus
{
	my ($setting) = @_;

	$node->stop;
	open(my $conf, '>', $node->data_dir . '/citus.conf') or die "citus.conf: $!";
	print $conf "$setting\n";
	close $conf;
	start();
	return;
}

# A session, of which it is known which backend serves it.
my %pid;

sub open_session
{
	my $session = session($node);

	$pid{$session} = ask($session, 'SELECT pg_backend_pid()');
	return $session;
}

# Begin a query, and wait until it waits for the flush.
sub begin_flush
{
	my ($session, $query) = @_;

	begin_query($session, $query);
	$node->poll_query_until('postgres',
		"SELECT $waits FROM pg_stat_activity WHERE pid = $pid{$session}")
	  or die "'$query' does not wait for the flush";
	return;
}

# While what one session sells is flushed, another's query waits, too.  Returns both
# answers.
sub both_wait
{
	my ($first, $sale, $second, $query) = @_;

	close_gate();
	begin_flush($first, $sale);
	begin_flush($second, $query);
	open_gate();
	return (end_query($first), end_query($second));
}

# While what one session sells is flushed, another finds it busy.  Returns the first
# one's answer.
sub is_busy
{
	my ($first, $sale, $second, $query, $title) = @_;

	close_gate();
	begin_flush($first, $sale);
	is(ask($second, $query), 'busy', $title);
	open_gate();
	return end_query($first);
}

sub stock
{
	my ($product) = @_;
	return $node->safe_psql('postgres',
		"SELECT stock FROM product WHERE id = $product");
}

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my @session = map { open_session() } 1 .. 3;
	my ($first, $second, $third) = @session;
	my $n = $engine eq 'auto' ? 1 : 5;

	engine_is($node, $engine);

	# two sell the same product, and neither is told
	ask($_, 'SET purchase.early_release = on') foreach @session;
	close_gate();
	begin_flush($first, "SELECT purchase($n, 1)");
	is(stock($n), 99, "$engine: others see a sale that is not durable");
	begin_flush($second, "SELECT outcome FROM purchase_try($n, 1)");
	is(stock($n), 98, "$engine: and sell the product");
	open_gate();
	is(end_query($first), 99, "$engine: both are told when it is durable");
	is(end_query($second), 'sold', "$engine: both");

	# a refusal, and a reader, are not told of what is not durable
	foreach my $query (
		"outcome FROM purchase_try($n, 98)",
		"purchase($n, 1000)",
		"purchase_available($n)",
		"outcome FROM purchase_try_cart(ARRAY[$n, 9], ARRAY[1000, 1])")
	{
		my $before = stock($n);
		my ($sold, $answer) =
		  both_wait($first, "SELECT purchase($n, 1)", $third, "SELECT $query");

		is($sold, $before - 1, "$engine: sold");
		is( $answer,
			$query =~ /available/ ? $before - 1
			: $query =~ /^purchase/ ? 'ERROR:  SK003'
			: $query =~ /cart/ ? "insufficient_quantity\navailable"
			: 'insufficient_quantity',
			"$engine: $query waits");
	}

	# the time of a flush that has certainly taken some is counted
	$node->safe_psql('postgres', "SELECT pg_stat_purchase_reset('product')");
	close_gate();
	begin_flush($first, "SELECT purchase($n, 1)");
	open_gate();
	end_query($first);
	is( $node->safe_psql('postgres',
			"SELECT early_releases, durable_time > 0 FROM pg_stat_purchase WHERE stock_table = 'product'::regclass"),
		'1|t', "$engine: the time until it is durable is counted");

	# what rests on nothing new does not wait, nor does who asks for no durability
	close_gate();
	begin_flush($first, "SELECT purchase($n, 1)");
	is(ask($third, "SELECT outcome FROM purchase_try($n + 1, 1000)"),
		'insufficient_quantity',
		"$engine: another product's refusal does not wait");
	is(ask($third, "SELECT outcome FROM purchase_try(1, 1000, 'quiet')"),
		'insufficient_quantity', "$engine: nor another table's");
	is( ask($third,
			"SET synchronous_commit = off; SELECT outcome FROM purchase_try($n, 1000)"),
		'insufficient_quantity', "$engine: nor with synchronous_commit = off");
	ask($third, 'RESET synchronous_commit');
	begin_flush($third, 'SELECT outcome FROM purchase_try(1000, 1)');
	is( ask($second,
			"BEGIN; UPDATE product SET name = 'x' WHERE id = $n; SELECT purchase_available($n); ROLLBACK"
		),
		stock($n),
		"$engine: nor does who has written the version himself");
	open_gate();
	end_query($first);
	is(end_query($third), 'product_not_found',
		"$engine: a product that is not there may have been deleted: that waits");
	close_gate();
	begin_flush($first, "SELECT purchase($n, 1)");
	is( ask($second,
			"SET purchase.early_release = off; SELECT outcome FROM purchase_try(1000, 1)"),
		'product_not_found', "$engine: but not for who doesn't use early release");
	ask($second, 'SET purchase.early_release = on');
	open_gate();
	end_query($first);

	# a version that was frozen meanwhile
	close_gate();
	begin_flush($first, "SELECT purchase($n, 1)");
	$node->safe_psql('postgres', 'VACUUM (FREEZE) product');
	begin_flush($third, "SELECT purchase_available($n)");
	open_gate();
	is(end_query($third), end_query($first), "$engine: frozen: that waits");

	# off, by the session or by a table: busy until it is durable
	foreach my $careful (
		'SET purchase.early_release = off',
		'SET purchase.early_release = local',
		'SET purchase.early_release = on; SET synchronous_commit = local; SET purchase.early_release = local')
	{
		ask($first, $careful);
		is_busy($first, "SELECT purchase($n, 1)",
			$second, "SELECT outcome FROM purchase_try($n, 1)",
			"$engine: $careful: the row is locked during the flush");
	}
	ask($first, 'RESET synchronous_commit; SET purchase.early_release = on');
	$node->safe_psql('postgres',
		"SELECT purchase_attach('product', early_release => 'local')");
	is_busy($first, "SELECT purchase($n, 1)",
		$second, "SELECT outcome FROM purchase_try($n, 1)",
		"$engine: a table's owner may ask for more care");
	$node->safe_psql('postgres',
		"SELECT purchase_attach('product', early_release => 'on')");

	# a function can't decide for the transaction that calls it
	ask($first, 'SET purchase.early_release = off');
	is_busy($first, "SELECT sell_early($n)",
		$second, "SELECT outcome FROM purchase_try($n, 1)",
		"$engine: a function with the setting changes nothing");
	ask($first, 'SET purchase.early_release = on');

	# as durable as the session asks, whatever that is
	ask($first, "SET synchronous_commit = $_"), close_gate(),
	  begin_flush($first, "SELECT purchase($n, 1)"),
	  is(ask($second, "SET synchronous_commit = off; SELECT outcome FROM purchase_try($n, 1)"),
		'sold', "$engine: synchronous_commit = $_: free, and the next is told at once if it asks for that"),
	  open_gate(), end_query($first)
	  foreach ('local', 'remote_write', 'on', 'remote_apply');
	ask($_, 'RESET synchronous_commit') foreach @session;

	# each way to commit
	my @ways = (
		"BEGIN; SELECT purchase($n, 1) \\g /dev/null\nCOMMIT",
		"BEGIN; SELECT purchase($n, 1) \\g /dev/null\nCOMMIT AND CHAIN; ROLLBACK",
		"BEGIN; SAVEPOINT a; SELECT purchase($n, 1) \\g /dev/null\nRELEASE a; COMMIT",
		"DO \$\$ BEGIN PERFORM purchase($n, 1); COMMIT; END \$\$",
		"CALL sell($n)",
		"BEGIN; SELECT purchase_restock($n, 1) \\g /dev/null\nCOMMIT",
		"BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT purchase($n, 1) \\g /dev/null\nCOMMIT");
	foreach my $way (@ways)
	{
		my ($done, $outcome) = both_wait($first, $way, $second,
			"SELECT outcome FROM purchase_try($n, 1)");

		is($done, '', "$engine: $way");
		is($outcome, 'sold', "$engine: and the row was free");
	}

	# what keeps its lock: a prepared transaction, and one with DDL
	foreach my $way (
		"BEGIN; SELECT purchase($n, 1) \\g /dev/null\nPREPARE TRANSACTION 'p'",
		"BEGIN; SELECT purchase($n, 1) \\g /dev/null\nALTER TABLE other ALTER n SET NOT NULL; COMMIT")
	{
		is(is_busy($first, $way,
			$second, "SELECT outcome FROM purchase_try($n, 1)",
			"$engine: not early: $way"), '', "$engine: done");
		ask($first, "COMMIT PREPARED 'p'") if $way =~ /PREPARE/;
	}

	# a transaction that has written nothing durable waits for nothing; the first
	# one may, for hint bits on pages with checksums
	ask($first, "SELECT purchase(1, 1, 'unlogged')");
	close_gate();
	is(ask($first, "SELECT purchase(1, 1, 'unlogged')"),
		$engine eq 'auto' ? 8 : 6, "$engine: an unlogged table's");
	open_gate();

	# the next transaction commits as usual, whatever became of the one before
	foreach my $failure (
		["SELECT purchase($n, 1)", '^\\d+$'],
		["SELECT purchase_try($n, 100000)", 'insufficient'],
		["BEGIN; SELECT purchase($n, 1) \\g /dev/null\nROLLBACK", '^$'],
		["BEGIN; SELECT purchase($n, 1) \\g /dev/null\nINSERT INTO late VALUES (1); COMMIT", 'P0001'],
		["BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(stock) FROM product \\g /dev/null\nSELECT purchase($n, 1) \\g /dev/null\nCOMMIT", '40001'],
		["BEGIN; SELECT purchase($n, 1) \\g /dev/null\nPREPARE TRANSACTION 'q'", '^$'],
	)
	{
		my ($query, $answer) = @$failure;
		my $write_skew = $query =~ /SERIALIZABLE/;

		if ($write_skew)
		{
			ask($first, 'BEGIN ISOLATION LEVEL SERIALIZABLE');
			ask($first, 'SELECT sum(stock) FROM product');
			ask($second, 'BEGIN ISOLATION LEVEL SERIALIZABLE');
			ask($second, 'SELECT sum(stock) FROM product');
			ask($first, "SELECT purchase($n, 1)");
			ask($second, "SELECT purchase($n + 1, 1)");
			ask($second, 'COMMIT');
			$query = 'COMMIT';
		}
		like(ask($first, $query), qr/$answer/, "$engine: $query");
		close_gate();
		begin_flush($first, 'UPDATE other SET n = n + 1');
		is(sqlstate($node, "SET lock_timeout = '1ms'; UPDATE other SET n = 0"),
			'55P03', "$engine: and the next transaction is durable before others get its rows");
		open_gate();
		end_query($first);
		ask($first, "ROLLBACK PREPARED 'q'") if $query =~ /PREPARE/;
	}

	$_->quit foreach @session;
}

# Through a partitioned table and a view, too, for a role that may read no more than
# a sale needs, and with row security.
$node->safe_psql(
	'postgres', q(
CREATE TABLE hall (id int PRIMARY KEY, stock int, note text) PARTITION BY RANGE (id);
CREATE TABLE hall_0 PARTITION OF hall DEFAULT;
INSERT INTO hall VALUES (1, 10);
SELECT purchase_attach('hall');
CREATE VIEW seats AS SELECT id AS no, stock AS free FROM hall;
CREATE VIEW seats_of_a_trigger AS SELECT * FROM seats;
CREATE FUNCTION sell_seat() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	UPDATE hall SET stock = NEW.free WHERE id = NEW.no;
	RETURN NEW;
END $$;
CREATE TRIGGER sell INSTEAD OF UPDATE ON seats_of_a_trigger
	FOR EACH ROW EXECUTE FUNCTION sell_seat();
SELECT purchase_attach('seats_of_a_trigger', 'free', 'no');
SELECT purchase_attach('seats', 'free', 'no');
CREATE TABLE secured (id int PRIMARY KEY, stock int);
INSERT INTO secured VALUES (1, 10);
SELECT purchase_attach('secured');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secured USING (true);
CREATE ROLE clerk LOGIN;
GRANT SELECT (id, stock), UPDATE (stock) ON hall, secured TO clerk;
GRANT SELECT (no, free), UPDATE (free) ON seats, seats_of_a_trigger TO clerk;
));
foreach my $table ('hall', 'seats', 'seats_of_a_trigger', 'secured')
{
	my ($first, $second) = (open_session(), open_session());

	ask($_, 'SET purchase.early_release = on; SET ROLE clerk')
	  foreach ($first, $second);
	my (undef, $outcome) = both_wait($first, "SELECT purchase(1, 1, '$table')",
		$second, "SELECT outcome FROM purchase_try(1, 100, '$table')");
	is($outcome, 'insufficient_quantity', "$table: a refusal waits");
	is(ask($second, "SELECT outcome FROM purchase_try(1, 100, '$table')"),
		'insufficient_quantity', "$table: and with nothing to wait for, doesn't");
	$_->quit foreach ($first, $second);
}

# The table's owner may have no right to read it, and another server's user mappings
# are not for him: that is no error.
$node->safe_psql(
	'postgres', q(
CREATE ROLE owner;
CREATE SCHEMA private;
GRANT USAGE ON SCHEMA private TO clerk;
CREATE TABLE private.hall (id int PRIMARY KEY, stock int) PARTITION BY RANGE (id);
CREATE TABLE private.hall_0 PARTITION OF private.hall DEFAULT;
CREATE TABLE unreadable (LIKE private.hall INCLUDING ALL) PARTITION BY RANGE (id);
CREATE TABLE unreadable_0 PARTITION OF unreadable DEFAULT;
CREATE EXTENSION file_fdw;
CREATE SERVER file FOREIGN DATA WRAPPER file_fdw;
CREATE TABLE far (id int, stock int) PARTITION BY RANGE (id);
CREATE TABLE far_0 PARTITION OF far FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE far_1 PARTITION OF far FOR VALUES FROM (10) TO (20)
	SERVER file OPTIONS (filename '/nowhere');
INSERT INTO private.hall VALUES (1, 10);
INSERT INTO unreadable VALUES (1, 10);
INSERT INTO far VALUES (1, 10);
SELECT purchase_attach('private.hall'), purchase_attach('unreadable'),
	purchase_attach('far', key_column => 'id');
GRANT SELECT, UPDATE ON private.hall, unreadable, far TO clerk;
ALTER TABLE private.hall OWNER TO owner;
ALTER TABLE unreadable OWNER TO owner;
REVOKE ALL ON unreadable FROM owner;
));
foreach my $table ('private.hall', 'unreadable', 'far')
{
	my ($first, $second) = (open_session(), open_session());

	ask($_, 'SET purchase.early_release = on') foreach ($first, $second);
	ask($second, 'SET ROLE clerk');
	my (undef, $outcome) = both_wait($first, 'SELECT purchase(1, 1)',
		$second, "SELECT outcome FROM purchase_try(1, 100, '$table')");
	is($outcome, 'insufficient_quantity',
		"$table: can't be looked at: all that was written is waited for");
	$_->quit foreach ($first, $second);
}

# an error that tells a stock, and a cart's other lines when a wait has run out
$node->safe_psql(
	'postgres', q(
CREATE TABLE small (id int PRIMARY KEY, stock smallint);
INSERT INTO small VALUES (1, 10), (2, NULL);
SELECT purchase_attach('small');
));
{
	my ($first, $second, $third) = map { open_session() } 1 .. 3;
	my @case = (
		["SELECT purchase_restock(1, 30000, 'small')",
			"SELECT purchase_restock(1, 30000, 'small')", 'ERROR:  22003'],
		["BEGIN; SELECT purchase(1, 1) \\g /dev/null\nUPDATE small SET stock = NULL WHERE id = 2; COMMIT",
			"SELECT purchase(2, 1, 'small')", 'ERROR:  22004'],
		['SELECT purchase_restock(2, 500)',
			"SELECT outcome FROM purchase_try_cart(ARRAY[1, 2], ARRAY[1, 1])",
			"busy\navailable"]);

	ask($_, 'SET purchase.early_release = on') foreach ($first, $second);
	ask($second, "SET purchase.lock_wait = '1ms'");
	foreach my $case (@case)
	{
		my ($sale, $query, $answer) = @$case;
		my $busy = $answer =~ /busy/;

		ask($third, 'BEGIN; UPDATE product SET name = name WHERE id = 1')
		  if $busy;
		is((both_wait($first, $sale, $second, $query))[1], $answer, "$query waits");
		ask($third, 'ROLLBACK') if $busy;
	}
	$_->quit foreach ($first, $second, $third);
}

# A sale is as careful as each owner asks of what it sells from, and as the setting was
# when each was made, and is at the end.
$node->safe_psql(
	'postgres', q(
CREATE TABLE careful (id int PRIMARY KEY, stock int);
CREATE VIEW careful_1 AS SELECT * FROM careful;
CREATE VIEW careful_2 AS SELECT * FROM careful_1;
CREATE TABLE parts (id int PRIMARY KEY, stock int) PARTITION BY RANGE (id);
CREATE TABLE parts_0 PARTITION OF parts DEFAULT;
CREATE TABLE parent (id int PRIMARY KEY, stock int);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO careful VALUES (1, 100);
INSERT INTO parts VALUES (1, 100);
INSERT INTO child VALUES (1, 100);
SELECT purchase_attach('careful'), purchase_attach('careful_1', key_column => 'id'),
	purchase_attach('careful_2', key_column => 'id'), purchase_attach('parts'),
	purchase_attach('parts_0'), purchase_attach('parent'), purchase_attach('child');
));
{
	my ($first, $second) = (open_session(), open_session());
	my $busy = sub {
		my ($sale, $table, $title) = @_;

		is_busy($first, $sale,
			$second, "SELECT outcome FROM purchase_try(1, 1, '$table')",
			$title);
	};

	ask($first, 'SET purchase.early_release = on');
	foreach my $pair (
		[ 'careful', 'careful_1' ], [ 'careful', 'careful_2' ],
		[ 'careful_1', 'careful_2' ], [ 'parts', 'parts_0' ],
		[ 'parts_0', 'parts' ], [ 'child', 'parent' ])
	{
		my ($owned, $sold) = @$pair;
		my $attach = sub {
			$node->safe_psql('postgres',
				"SELECT purchase_attach('$owned', key_column => 'id', early_release => $_[0])");
		};

		ask($first, "SELECT purchase(1, 1, '$sold')");
		$attach->("'off'");
		$busy->("SELECT purchase(1, 1, '$sold')", $sold,
			"$sold is sold as carefully as $owned");
		$attach->('NULL');
	}
	$busy->(
		"BEGIN; SET LOCAL purchase.early_release = off; SELECT purchase(1, 1, 'careful') \\g /dev/null\nSET LOCAL purchase.early_release = on; SELECT purchase(1, 1, 'parent') \\g /dev/null\nCOMMIT",
		'parent', 'the most careful of two sales counts');
	ask($first, 'SET purchase.early_release = local');
	$busy->('SELECT sell_early(1)', 'product',
		'and of the setting in a function and at the end');
	$_->quit foreach ($first, $second);
}

# A page of the log is full to the end: the next one's header is not there yet.
{
	my $session = session($node);
	my $at_header = 0;

	ask($session, 'SET purchase.early_release = on');
	for (my $i = 0; $i < 100 && !$at_header; $i++)
	{
		my $offset = q((pg_current_wal_insert_lsn() - '0/0') % 8192);

		ask($session,
			"SELECT pg_logical_emit_message(false, '', repeat('x', greatest(1, 8192 - 40 - 8 * ($i % 12) - ($offset)::int)))"
		);
		$at_header = ask($session, "SELECT $offset") == 24;
		is(ask($session, 'SELECT outcome FROM purchase_try(1000, 1)'),
			'product_not_found', 'the end of a page of the log')
		  if $at_header;
	}
	ok($at_header, 'the end of a page was met');
	$session->quit;
}

# where Citus is loaded, nothing is released early
set_citus("citus.version = 'x'");
{
	my ($first, $second) = (open_session(), open_session());

	ask($_, 'SET purchase.early_release = on') foreach ($first, $second);
	is_busy($first, 'SELECT purchase(1, 1)',
		$second, 'SELECT outcome FROM purchase_try(1, 1)',
		'not where Citus is loaded');
	$_->quit foreach ($first, $second);
}

# A crash with the gate closed: whoever was told is safe, and a session that did
# not ask for a durable commit shows that the crash does lose what is not flushed.
set_citus('');
foreach my $commit ('on', 'off')
{
	my $session = open_session();
	my $before;

	ask($session,
		"SET purchase.early_release = on; SET synchronous_commit = $commit");
	ask($session, 'SELECT purchase(10, 1)');
	$node->safe_psql('postgres', 'CREATE TABLE flushed ()');    # flushes
	$before = stock(10);
	close_gate();
	if ($commit eq 'on')
	{
		begin_flush($session, 'SELECT purchase(10, 1)');
	}
	else
	{
		is(ask($session, 'SELECT purchase(10, 1)'),
			$before - 1, 'a client that did not ask is told');
	}
	is(stock(10), $before - 1, "$commit: others see it");
	$node->stop('immediate');
	open_gate();
	eval { $session->quit };
	start();
	is(stock(10), $before, "$commit: the crash has undone the sale");
	$node->safe_psql('postgres', 'DROP TABLE flushed');
}

done_testing();
