# A wait for a row lock can be ended by statement_timeout, pg_cancel_backend and
# lock_timeout, and by its own bound, and leaves nothing behind: no lock, no
# changed setting, and no timer that ends a later statement.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop');
create_shop($node, 10, 100);

# The server tidies its timers up after an error, but not if that is caught.
$node->safe_psql(
	'postgres', q(
CREATE FUNCTION wait_and_catch(seconds float8) RETURNS text
	LANGUAGE plpgsql AS $$
DECLARE
	setting text;
	state text;
BEGIN
	PERFORM purchase(1, 1);
EXCEPTION
	WHEN query_canceled OR OTHERS THEN
		state := SQLSTATE;
		setting := current_setting('lock_timeout');
		PERFORM pg_sleep(seconds);
		RETURN state || ' ' || setting;
END
$$;
));

# How long a wait may be, and a sleep in which a timer that was left would fire:
# short ones for what the server ends, long ones for what we end.
my ($short, $short_sleep) = ('600ms', 0.7);
my ($long, $long_sleep) = ('2s', 2.2);

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $holder = session($node);
	my $buyer = session($node);
	my $pid = ask($buyer, 'SELECT pg_backend_pid()');

	engine_is($node, $engine);

	# What must hold after a wait, however it ended.
	my $nothing_left = sub {
		my ($title, $lock_timeout, $sleep) = @_;

		is( ask($buyer, 'SHOW lock_timeout'),
			$lock_timeout, "$title: lock_timeout");
		is( ask($buyer,
				"SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('transactionid', 'tuple')"
			),
			0,
			"$title: no lock");
		is(ask($buyer, "SELECT pg_sleep($sleep)"), '', "$title: no timer")
		  if $sleep;
		is(ask($buyer, 'SELECT outcome FROM purchase_try(2, 1)'),
			'sold', "$title: it sells");
	};

	is(ask($holder, 'BEGIN; SELECT stock FROM product WHERE id = 1 FOR UPDATE'),
		100, "$engine: a row is held");
	foreach my $call (
		'SELECT purchase(1, 1)',
		'SELECT * FROM purchase_try(1, 1)',
		'SELECT purchase_restock(1, 1)')
	{
		my ($function) = $call =~ /(purchase\w*)/;

		foreach my $lock_timeout ('0', '10s')
		{
			my $title = "$engine, $function, lock_timeout $lock_timeout";
			my $bounded = $function ne 'purchase_restock';

			ask($buyer,
				"SET purchase.lock_wait = '$short'; SET lock_timeout = '$lock_timeout'"
			);
			is( ask($buyer,
					"SET statement_timeout = '100ms';\n$call;\nRESET statement_timeout"
				),
				'ERROR:  57014',
				"$title: statement_timeout");
			$nothing_left->("$title: statement_timeout",
				$lock_timeout, $bounded ? $short_sleep : 0);

			# in a transaction that goes on
			ask($buyer, "SET purchase.lock_wait = '$long'");
			ask($buyer, "BEGIN; SELECT purchase(2, 5); SAVEPOINT s");
			begin_query($buyer, $call);
			wait_for_wait($node, $pid);
			is( $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"),
				't', "$title: cancelled");
			is(end_query($buyer), 'ERROR:  57014', "$title: pg_cancel_backend");
			is(ask($buyer, 'ROLLBACK TO s; SHOW lock_timeout'),
				$lock_timeout, "$title: lock_timeout after a savepoint");
			ask($buyer, 'ROLLBACK');
			$nothing_left->(
				"$title: pg_cancel_backend",
				$lock_timeout,
				$function eq 'purchase_try' && $lock_timeout ne '0'
				? $long_sleep
				: 0);
		}

		# unbounded
		ask($buyer, 'SET purchase.lock_wait = -1; RESET lock_timeout');
		is( ask($buyer,
				"SET statement_timeout = '100ms';\n$call;\nRESET statement_timeout"
			),
			'ERROR:  57014',
			"$engine, $function, unbounded: statement_timeout");
		$nothing_left->("$engine, $function, unbounded", '0', 0);
	}

	# a wait that runs out
	foreach my $setting (
		[ '150ms', '0' ],
		[ '150ms', '10s' ],
		[ '10s', '150ms' ],
		[ -1, '150ms' ])
	{
		my ($lock_wait, $lock_timeout) = @$setting;
		my $title = "$engine, lock_wait $lock_wait, lock_timeout $lock_timeout";

		ask($buyer,
			"SET purchase.lock_wait = '$lock_wait'; SET lock_timeout = '$lock_timeout'"
		);
		is(ask($buyer, 'SELECT purchase(1, 1)'),
			'ERROR:  55P03', "$title: purchase ran out");
		is(ask($buyer, 'SELECT * FROM purchase_try(1, 1)'),
			'busy|', "$title: purchase_try ran out");
		is( ask($buyer, 'SHOW lock_timeout'),
			$lock_timeout, "$title: lock_timeout");
	}
	is(ask($buyer, 'SELECT purchase_restock(1, 1)'),
		'ERROR:  55P03', "$engine: lock_timeout ends purchase_restock, too");

	# a wait that succeeds leaves no timer either
	ask($buyer, "SET purchase.lock_wait = '$long'; SET lock_timeout = '10s'");
	begin_query($buyer, 'SELECT purchase(1, 1)');
	wait_for_wait($node, $pid);
	is(ask($holder, 'COMMIT'), '', "$engine: the row is released");
	is(end_query($buyer), 99, "$engine: a wait that succeeded");
	$nothing_left->("$engine: success", '10s', $long_sleep);

	# errors that are caught, of the wait and of what it led to
	is(ask($holder, 'BEGIN; SELECT purchase(1, 1)'),
		98, "$engine: the row is held");
	begin_query($buyer, "SELECT wait_and_catch($long_sleep)");
	wait_for_wait($node, $pid);
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	is(end_query($buyer), '57014 10s', "$engine: a cancel that was caught");
	is(ask($holder, 'ROLLBACK; BEGIN; SELECT purchase(1, 1)'),
		98, "$engine: the row is held again");
	ask($buyer,
		'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM product'
	);
	begin_query($buyer, "SELECT wait_and_catch($long_sleep)");
	wait_for_wait($node, $pid);
	ask($holder, 'COMMIT');
	is(end_query($buyer), '40001 10s',
		"$engine: a serialization failure that was caught");
	is(ask($buyer, 'SHOW lock_timeout'),
		'10s', "$engine: lock_timeout after it");
	ask($buyer, 'ROLLBACK');

	# a session that is terminated while it waits
	ask($holder, 'BEGIN; SELECT purchase(1, 1)');
	ask($buyer, 'SET purchase.lock_wait = -1');
	begin_query($buyer, 'SELECT * FROM purchase_try(1, 1)');
	wait_for_wait($node, $pid);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
	like(eval { end_query($buyer) } // '57P01',
		qr/57P01/, "$engine: terminated");
	eval { $buyer->quit };
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM pg_locks WHERE NOT granted"),
		0,
		"$engine: nobody waits");
	ask($holder, 'COMMIT');
	$holder->quit;
	is($node->safe_psql('postgres', 'SELECT purchase(1, 97)'),
		0, "$engine: only what was sold is missing");
	$node->safe_psql('postgres', 'UPDATE product SET stock = 100');
}

server_log_is_clean($node);
done_testing();
