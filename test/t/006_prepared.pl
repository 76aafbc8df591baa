# A prepared transaction keeps the product's row busy, across a restart and a
# crash, until it is committed or rolled back by anybody.  Busy is then never
# reported as out of stock, although it may be: the last units can come back.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop', conf => 'max_prepared_transactions = 10');
create_shop($node, 10, 5);

sub try_one
{
	my ($product) = @_;

	return $node->safe_psql('postgres',
		"SELECT * FROM purchase_try($product, 1)");
}

my ($kept, $returned, $waited) = (1, 2, 3);
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";

	engine_is($node, $engine);
	foreach my $product ($kept, $returned, $waited)
	{
		is( $node->safe_psql(
				'postgres', "BEGIN;
SELECT purchase($product, 5);
INSERT INTO order_line VALUES ($product, 5);
PREPARE TRANSACTION 'sale of $product'"),
			0,
			"$engine: all units of product $product are sold and prepared");
		is(try_one($product), 'busy|', "$engine: it is busy");
	}

	foreach my $mode ('fast', 'immediate')
	{
		$node->stop($mode);
		$node->start;
		is(try_one($_), 'busy|',
			"$engine: product $_ is busy after a restart ($mode)")
		  foreach ($kept, $returned, $waited);
		is(sqlstate($node, "SELECT purchase($kept, 1)"),
			'55P03', "$engine: purchase raises");
		# what is definitive is said
		is( $node->safe_psql('postgres', "SELECT * FROM purchase_try($kept, 6)"),
			'insufficient_quantity|5',
			"$engine: too much for the committed stock");
	}

	$node->safe_psql('postgres', "COMMIT PREPARED 'sale of $kept'");
	is(try_one($kept), 'out_of_stock|0', "$engine: out of stock");
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'sale of $returned'");
	is(try_one($returned), 'sold|4', "$engine: the units came back");
	$node->safe_psql('postgres',
		"INSERT INTO order_line VALUES ($returned, 1)");

	# restock always waits
	my $session = session($node);
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	begin_query($session, "SELECT purchase_restock($waited, 2)");
	wait_for_wait($node, $pid);
	$node->safe_psql('postgres', "COMMIT PREPARED 'sale of $waited'");
	is(end_query($session), 2, "$engine: restocked after the commit");
	ask($session, "INSERT INTO order_line VALUES ($waited, -2)");

	# the session that prepares can go on; both have used the same table
	is( ask($session,
			"BEGIN; SELECT purchase($returned, 1); INSERT INTO order_line VALUES ($returned, 1); PREPARE TRANSACTION 'own'"
		),
		3,
		"$engine: prepared");
	is( ask($session, "SELECT * FROM purchase_try($returned, 1)"),
		'busy|', "$engine: busy for its own session, too");
	is(ask($session, "SELECT purchase($waited, 1)"),
		1, "$engine: other products sell");
	ask($session, "INSERT INTO order_line VALUES ($waited, 1)");
	ask($session, "COMMIT PREPARED 'own'");
	is(ask($session, "SELECT * FROM purchase_try($returned, 4)"),
		'insufficient_quantity|3', "$engine: committed");
	$session->quit;
	books_balance($node, "$engine: the books balance");

	($kept, $returned, $waited) = (4, 5, 6);
}

server_log_is_clean($node);
done_testing();
