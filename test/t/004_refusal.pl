# A refused call is cheap: under READ COMMITTED it assigns no transaction id,
# writes no WAL and locks no row, whatever the refusal is and with both engines.
# A sale does all of that, so that the test would notice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# Nobody else writes WAL or takes a transaction id.
my $node = new_node('shop',
	conf => 'autovacuum = off
checkpoint_timeout = 1h
wal_level = minimal
max_wal_senders = 0');
create_shop($node, 10, 5);
$node->safe_psql('postgres',
	'UPDATE product SET stock = 0 WHERE id = 1; UPDATE product SET stock = -3 WHERE id = 2'
);
my $used =
  'SELECT pg_current_wal_insert_lsn(), pg_snapshot_xmax(pg_current_snapshot())';

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $session = session($node);

	engine_is($node, $engine);
	ask($session, 'SELECT purchase_available(1)');

	# a reader may prune pages, and WAL may not be written at once
	$node->safe_psql('postgres', 'VACUUM FREEZE');
	$node->safe_psql('postgres', 'CHECKPOINT');

	foreach my $case (
		[ 1, 1, 'SK002', 'out_of_stock|0' ],
		[ 2, 1, 'SK002', 'out_of_stock|-3' ],
		[ 3, 6, 'SK003', 'insufficient_quantity|5' ],
		[ 99, 1, 'SK001', 'product_not_found|' ])
	{
		my ($product, $qty, $state, $outcome) = @$case;

		foreach my $lock_wait (0, -1)
		{
			my $title = "$engine, $state, lock_wait $lock_wait";

			ask($session, "SET purchase.lock_wait = $lock_wait");
			my $before = ask($session, $used);
			is(ask($session, "SELECT purchase($product, $qty)"),
				"ERROR:  $state", "$title: purchase");
			is(ask($session, "SELECT * FROM purchase_try($product, $qty)"),
				$outcome, "$title: purchase_try");
			is( ask($session, "SELECT * FROM purchase_try('$product', $qty)"),
				$outcome, "$title: purchase_try with a text key");
			is(ask($session, $used), $before, "$title: no WAL");

			# the transaction in which it happens has no id
			is( ask($session, "BEGIN; SELECT * FROM purchase_try($product, $qty)"),
				$outcome, "$title: purchase_try in a transaction");
			is(ask($session, 'SELECT pg_current_xact_id_if_assigned()'),
				'', "$title: no transaction id");
			is( ask($session, <<SQL), '', "$title: nor by purchase");
DO \$\$
BEGIN
	PERFORM purchase($product, $qty);
	ASSERT false, 'not refused';
EXCEPTION WHEN SQLSTATE '$state' THEN
END
\$\$;
SELECT pg_current_xact_id_if_assigned()
SQL
			is( ask($session,
					"SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('transactionid', 'tuple')"
				),
				0,
				"$title: no lock");
			ask($session, 'COMMIT');
			is(ask($session, $used), $before, "$title: no WAL in a transaction");
		}
	}
	# nor does one cost that is busy
	my $holder = session($node);
	ask($holder, 'BEGIN; SELECT FROM product WHERE id = 5 FOR UPDATE');
	ask($session, 'SET purchase.lock_wait = 0');
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $idle = ask($session, $used);
	is(ask($session, 'SELECT purchase(5, 1)'),
		'ERROR:  55P03', "$engine: busy: purchase");
	is( ask($session, 'BEGIN; SELECT * FROM purchase_try(5, 1)'),
		'busy|', "$engine: busy: purchase_try");
	is(ask($session, 'SELECT pg_current_xact_id_if_assigned()'),
		'', "$engine: busy: no transaction id");
	ask($session, 'COMMIT');
	is(ask($session, $used), $idle, "$engine: busy: no WAL");
	ask($holder, 'ROLLBACK');
	$holder->quit;
	$node->safe_psql('postgres', 'VACUUM FREEZE product');

	is( ask($session, 'SELECT id FROM product WHERE xmax <> 0'),
		'', "$engine: no row was locked");

	# what the above would look like if it were otherwise
	my $before = ask($session, $used);
	is(ask($session, 'BEGIN; SELECT purchase(4, 1)'), 4, "$engine: a sale");
	isnt(ask($session, 'SELECT pg_current_xact_id_if_assigned()'),
		'', "$engine: it has a transaction id");
	ask($session, 'ROLLBACK');
	isnt(ask($session, $used), $before, "$engine: and WAL");
	$session->quit;
}

server_log_is_clean($node);
done_testing();
