# A crash in the middle of a load loses no unit and sells none twice: afterwards
# sold units = initial - stock = committed order lines, for each product.  Once
# for the whole server (immediate stop), once for a single backend (SIGKILL, upon
# which the server restarts itself).  Another sale is open at that moment, so that
# the crash is in the middle of one in any case: its units are back, and its
# product is not busy.  What is left then sells to the last unit.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop',
	conf => 'restart_after_crash = on
log_error_verbosity = verbose');
create_shop($node, 10, 1000000);
# the load leaves these alone
$node->safe_psql('postgres',
	"INSERT INTO product SELECT id, 'few', 100, 100 FROM generate_series(11, 20) AS id"
);

sub orders
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM order_line');
}

# Run crash() in the middle of a load and of an open sale of $product.
sub crash_in_a_load
{
	my ($title, $product, $crash) = @_;
	my $before = orders();
	my $open = session($node);
	my $pid = ask($open, 'SELECT pg_backend_pid()');

	is( ask($open,
			"BEGIN; SELECT purchase($product, 60); INSERT INTO order_line VALUES ($product, 60)"
		),
		40,
		"$title: a sale is open");

	my $load = start_pgbench($node, $sell, '-c', 8, '-T', 60);
	$node->poll_query_until('postgres',
		"SELECT count(*) > $before + 300 FROM order_line")
	  or die 'the load does not sell';
	my $committed = orders();
	$crash->($pid);
	is(finish_pgbench($load), 2, "$title: the load was in progress");
	$open->quit;

	# just a connection: one that is refused does not read a query
	$node->poll_query_until('postgres', undef, '')
	  or die 'the server did not come back';
	cmp_ok(orders(), '>=', $committed, "$title: what was committed is there");
	books_balance($node, "$title: the books balance");
	is( $node->safe_psql('postgres',
			"SELECT stock FROM product WHERE id = $product"),
		100,
		"$title: the units of the open sale are back");

	# 8 * 20 sales of one unit, of 100 units
	my $rest = start_pgbench($node, <<SQL, '-c', 8, '-t', 20);
SET purchase.lock_wait = -1;
INSERT INTO order_line SELECT $product, 1, outcome FROM purchase_try($product, 1);
SQL
	is(finish_pgbench($rest), 0, "$title: it sells on");
	is( $node->safe_psql(
			'postgres',
			"SELECT outcome, count(*) FROM order_line WHERE product_id = $product GROUP BY 1 ORDER BY 1"
		),
		"out_of_stock|60\nsold|100",
		"$title: to the last unit");
	books_balance($node, "$title: the books balance again");
	return;
}

sub stop_server
{
	$node->stop('immediate');
	$node->start;
	return;
}

sub kill_open_sale
{
	my ($pid) = @_;

	kill('KILL', $pid) == 1 or die "could not kill $pid: $!";
	return;
}

# One of the load that has written and not yet committed, as far as one can see.
sub kill_one_of_the_load
{
	my $pid = '';

	for (1 .. 1000)
	{
		last if $pid ne '';
		$pid = $node->safe_psql('postgres',
			"SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' AND backend_xid IS NOT NULL LIMIT 1"
		);
	}
	kill_open_sale($pid);
	return;
}

my $product = 11;
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";

	engine_is($node, $engine);
	crash_in_a_load("$engine, server stopped", $product++, \&stop_server);
	crash_in_a_load("$engine, open sale killed", $product++,
		\&kill_open_sale);
	crash_in_a_load("$engine, buyer killed", $product++,
		\&kill_one_of_the_load);
}

server_log_is_clean($node);
done_testing();
