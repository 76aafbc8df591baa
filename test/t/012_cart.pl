# Large carts: 10,000 lines in one call and more, in memory proportional to the
# lines, and one that is cancelled half-way leaves nothing.
#
# A CHECK constraint looks at the memory while the call is at work, as it has no
# part in how a row is written, which a trigger would have.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop',
	conf => 'synchronous_commit = off
autovacuum = off
max_wal_size = 4GB');
create_shop($node, 100000, 100);
$node->safe_psql(
	'postgres', q(
CREATE FUNCTION memory() RETURNS bigint LANGUAGE sql AS
	'SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts';

-- the most that was seen goes to shop.peak
CREATE FUNCTION note_memory() RETURNS boolean LANGUAGE sql AS $$
	SELECT set_config('shop.peak',
		greatest(memory(), current_setting('shop.peak')::bigint)::text, false)
		IS NOT NULL
$$;
ALTER TABLE product ADD CONSTRAINT memory CHECK
	(id % coalesce(current_setting('shop.every', true), '1000000')::int <> 0
	 OR note_memory());

-- the lines of a cart, in no order
CREATE FUNCTION ids(n int) RETURNS bigint[] LANGUAGE sql AS
	'SELECT array_agg(i * 7919 % n + 1) FROM generate_series(1, n::bigint) AS i';
CREATE FUNCTION ones(n int) RETURNS bigint[] LANGUAGE sql AS
	'SELECT array_fill(1::bigint, ARRAY[n])';

-- sells a cart of n lines; the growth at its peak
CREATE FUNCTION growth(n int, OUT growth bigint) LANGUAGE plpgsql AS $$
DECLARE
	ids bigint[] := ids(n);
	ones bigint[] := ones(n);
BEGIN
	PERFORM set_config('shop.every', (n / 10)::text, false);
	PERFORM set_config('shop.peak', '0', false);
	growth := -memory();
	PERFORM count(*) FROM purchase_cart(ids, ones);
	growth := growth + current_setting('shop.peak')::bigint;
	PERFORM set_config('shop.every', '1000000', false);
END $$;

-- holds up the sale of one line
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(5000);
	RETURN NEW;
END $$;
CREATE TRIGGER hold_up BEFORE UPDATE ON product FOR EACH ROW
	WHEN (NEW.id = 5000) EXECUTE FUNCTION hold_up();
ALTER TABLE product DISABLE TRIGGER hold_up;
));
$node->safe_psql('postgres', 'VACUUM ANALYZE product');

# Megabytes that the process has had at most, and has now.
sub process_memory
{
	my ($pid) = @_;
	my ($peak, $now) = (0, 0);

	if (-r "/proc/$pid/status")
	{
		my $status = slurp_file("/proc/$pid/status");

		$peak = $1 / 1024 if $status =~ /^VmHWM:\s+(\d+) kB/m;
		$now = $1 / 1024 if $status =~ /^VmRSS:\s+(\d+) kB/m;
	}
	return ($peak, $now);
}

# How many units were sold, and how many of the rows somebody holds.
sub state
{
	my ($rows) = @_;

	return $node->safe_psql(
		'postgres',
		"SELECT sum(initial - stock), count(*) FILTER (WHERE $rows) -
			(SELECT count(*) FROM
				(SELECT FROM product WHERE $rows
				 FOR NO KEY UPDATE SKIP LOCKED) AS f)
		FROM product");
}

my $sold = 0;
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $session = session($node);
	my $pid = ask($session, 'SELECT pg_backend_pid()');

	engine_is($node, $engine);

	# Many lines
	my $answer = 'SELECT count(*), sum(qty),
		array_agg(product_id ORDER BY ordinality) =
			array_agg(product_id ORDER BY product_id)';
	is( ask($session, "$answer FROM purchase_cart(ids(10000), ones(10000)) WITH ORDINALITY"),
		'10000|10000|t', "$engine: 10,000 lines");
	is( ask($session,
			"$answer FROM purchase_cart(ids(10000)::text, ones(10000)) WITH ORDINALITY"),
		'10000|10000|f',
		"$engine: 10,000 lines as text");
	is( ask($session,
			"$answer FROM purchase_try_cart(ids(5000) || ids(5000), ones(10000)) WITH ORDINALITY"
		),
		'5000|10000|t',
		"$engine: 10,000 lines of 5,000 products");
	is( ask($session,
			"SELECT outcome, count(*) FROM purchase_try_cart(ids(10000), ones(9999) || 1000::bigint) GROUP BY 1 ORDER BY 1"
		),
		"available|9999\ninsufficient_quantity|1",
		"$engine: one of 10,000 lines fails");
	$sold += 30000;
	is(state('id <= 10001'), "$sold|0", "$engine: stock");

	# Memory: the first call fills the caches, the second is what any takes.
	ask($session, 'SELECT growth(10)');
	my $base = ask($session, 'SELECT growth(10)');
	$sold += 20;
	my %bytes;
	foreach my $n (1000, 10000, 100000)
	{
		my (undef, $before) = process_memory($pid);
		$bytes{$n} = (ask($session, "SELECT growth($n)") - $base) / $n;
		$sold += $n;

		# shared buffers count, too
		my ($peak) = process_memory($pid);
		note "$engine, $n lines: $bytes{$n} bytes a line; peak of the process: ",
		  int($peak - $before), ' MB';
		cmp_ok($bytes{$n}, '>', 50, "$engine, $n lines: memory was seen");
		cmp_ok($bytes{$n}, '<', 500, "$engine, $n lines: bytes a line");
		cmp_ok($peak - $before, '<', 16 + 10 + $n / 2000,
			"$engine, $n lines: peak of the process in MB");
	}
	cmp_ok($bytes{$_}, '<', 1.2 * $bytes{1000} + 10,
		"$engine: $_ lines take as much a line as 1,000")
	  foreach 10000, 100000;
	$session->quit;

	# Cancelled half-way: waiting for a row when others are locked, held up
	# when others are written, and at work.
	$session = session($node);
	$pid = ask($session, 'SELECT pg_backend_pid()');
	ask($session, 'SET purchase.lock_wait = -1');
	my $other = session($node);
	foreach my $where ('waits', 'writes')
	{
		my $hold =
		  $where eq 'waits'
		  ? 'SELECT FROM product WHERE id = 5000 FOR UPDATE'
		  : 'SELECT pg_advisory_xact_lock(5000)';

		$node->safe_psql('postgres', 'ALTER TABLE product '
			  . ($where eq 'waits' ? 'DISABLE' : 'ENABLE')
			  . ' TRIGGER hold_up');
		foreach my $call ('purchase_cart', 'purchase_try_cart')
		{
			my $title = "$engine, $call $where";
			my $query = "SELECT count(*) FROM $call(ids(10000), ones(10000))";

			# statement_timeout
			ask($other, "BEGIN; $hold");
			is( ask($session,
					"SET statement_timeout = '200ms';\n$query;\nRESET statement_timeout"
				),
				'ERROR:  57014',
				"$title: statement_timeout");
			ask($other, 'COMMIT');
			is(state('id <= 10001'),
				"$sold|0", "$title: statement_timeout leaves nothing");

			# pg_cancel_backend, in a transaction that goes on
			ask($other, "BEGIN; $hold");
			begin_query($session,
				"BEGIN; SELECT purchase(10001, 1); SAVEPOINT s; $query");
			wait_for_wait($node, $pid);
			my $held = state('id <= 10001');
			cmp_ok(
				(split /\|/, $held)[1], '>=', 5000,
				"$title: rows are held while it waits");
			$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
			like(end_query($session), qr/57014/, "$title: cancelled");
			ask($other, 'COMMIT');
			is(ask($session, 'ROLLBACK TO s'), '', "$title: goes on");
			is(state('id <= 10001'),
				"$sold|1", "$title: only what came before is held");
			is(ask($session, $query), 10000, "$title: sells afterwards");
			is(ask($session, 'COMMIT'), '', "$title: commits");
			$sold += 10001;
			is(state('id <= 10001'),
				"$sold|0", "$title: all of it is there");
		}
	}
	$node->safe_psql('postgres', 'ALTER TABLE product DISABLE TRIGGER hold_up');
	foreach my $call ('purchase_cart', 'purchase_try_cart')
	{
		is( ask($session,
				"SET statement_timeout = '100ms';\nSELECT count(*) FROM $call(ids(100000), ones(100000));\nRESET statement_timeout"
			),
			'ERROR:  57014',
			"$engine, $call works: statement_timeout");
		is(state('id % 20 = 0'),
			"$sold|0", "$engine, $call works: nothing is left");
	}
	$session->quit;
	$other->quit;
}

# A cart whose every row is held by another session waits for each, and not in
# more than one queue at a time: the server's lock table is for all. It has room
# for some 6,400 locks here.
$node->safe_psql('postgres',
	'UPDATE product SET stock = 10; ALTER TABLE product DROP CONSTRAINT memory');
my $holder = session($node);
my $buyer = session($node);
my $buyer_pid = ask($buyer, "SET purchase.lock_wait = -1;\nSELECT pg_backend_pid()");
foreach my $call ('purchase_cart', 'purchase_try_cart')
{
	ask($holder, 'BEGIN; UPDATE product SET stock = stock WHERE id <= 16000');
	begin_query($buyer, "BEGIN; SELECT count(*) FROM $call(ids(16000), ones(16000))");
	wait_for_wait($node, $buyer_pid);
	ask($holder, 'COMMIT');
	is(end_query($buyer), 16000, "$call sells 16,000 rows that were all held");
	is( $node->safe_psql(
			'postgres',
			"SELECT count(*) FROM pg_locks WHERE pid = $buyer_pid AND locktype IN ('advisory', 'userlock')"
		),
		0,
		"$call is in no queue then");
	ask($buyer, 'COMMIT');
}
$holder->quit;
$buyer->quit;

server_log_is_clean($node);
done_testing();
