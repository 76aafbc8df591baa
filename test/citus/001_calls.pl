# On Citus: what a call costs, what it answers, from every node, and that it is part of the
# caller's transaction, over two nodes, too.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../t";
use CitusCluster;
use Doc;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my @nodes = new_cluster('calls');
my ($coordinator, @workers) = @nodes;

# as the documentation shows it
is_as_shown($coordinator, 'postgres', 'scale.md',
	statements(slurp_file("$FindBin::Bin/../../doc/scale.md"), 'test/citus/001_calls.pl'));
$coordinator->safe_psql('postgres', 'DROP TABLE product, product_sale, product_hold; DROP EXTENSION purchase');

# before there is anything to distribute
$coordinator->safe_psql('postgres', 'CREATE EXTENSION purchase; CREATE TABLE place (id bigint PRIMARY KEY, stock int NOT NULL)');
is(sqlstate($coordinator, "SELECT purchase_distribute('place')"), '55000', 'it must be attached');
$coordinator->safe_psql('postgres', "SELECT purchase_attach('place')");
is(sqlstate($coordinator, "SELECT purchase_distribute('place')"), '55000', 'and distributed by its key');
$coordinator->safe_psql('postgres', "SELECT purchase_detach('place'); DROP EXTENSION purchase");
distribute_shop($coordinator, 20, 100);
is(sqlstate($workers[0], "SELECT purchase_distribute('product')"), '55000', 'only on the coordinator');

my @product = product_on(@nodes);
my ($one, $two) = @product[ 1, 2 ];
is( $coordinator->safe_psql('postgres', q(
SELECT DISTINCT result FROM run_command_on_all_nodes($$
	SELECT format('%s %s %s %s', stock_table, is_default, sale_table, limit_column) FROM purchase_registration $$))),
	'product t product_sale per_buyer', 'registered on all nodes');

# The commands that a query makes the node send to others.
sub sent
{
	my ($node, $query) = @_;
	my ($out, $err);

	$node->psql('postgres', "SET citus.log_remote_commands = on; SET client_min_messages = notice;
		$query", stderr => \$err, stdout => \$out);
	return scalar(() = $err =~ /issuing/g);
}

for my $call ("purchase($one, 1)", "purchase_try($one, 1)", "purchase_restock($one, 1)",
	"purchase_set_stock($one, 100)", "purchase_available($one)",
	"purchase($one, 1, 'product')", "purchase($one, 1, sale_id => 'sent-1')",
	"purchase_return('sent-1', $one, 1, 'sent-2')")
{
	is(sent($coordinator, "SELECT * FROM $call"), 1, "one round trip: $call");
	is(sent($coordinator, "BEGIN; SELECT $call; ROLLBACK"), 3,
		'with one to begin, and one to end the transaction there');
}
is(sent($coordinator, "PREPARE p(bigint) AS SELECT purchase(\$1, 1); EXECUTE p($one)"), 1, 'prepared');
cmp_ok(sent($coordinator, "SELECT purchase('$one', 1)"), '>', 1, 'not without a type, but it works');
$coordinator->safe_psql('postgres', "SELECT purchase_set_stock($_, 100)") for $one, $two;

# The engine is that of the node which has the row.
set_on('purchase.engine = row', @workers);
for my $node (@nodes)
{
	my $name = $node->name;

	is($node->safe_psql('postgres', "SELECT purchase($one, 1)") + $node->safe_psql('postgres', "SELECT purchase($two, 1)"),
		198, "$name: the row engine on the shard");
	is($node->safe_psql('postgres', "SELECT purchase_restock($one, 1); SELECT purchase_restock($two, 1)"),
		"100\n100", "$name: back");
}
set_on('purchase.engine = sql', @workers);
for my $node (@nodes)
{
	my $name = $node->name;

	is($node->safe_psql('postgres', "SELECT purchase($one, 1); SELECT purchase($two, 1)"),
		"99\n99", "$name: the sql engine");
	is($node->safe_psql('postgres', "SELECT purchase_restock($one, 1); SELECT purchase_restock($two, 1)"),
		"100\n100", "$name: back");
	is($node->safe_psql('postgres', "BEGIN; SELECT purchase($one, 1); SELECT purchase($two, 1); ROLLBACK; SELECT purchase_available($one)"),
		"99\n99\n100", "$name: the sql engine in a transaction");
}
set_on('purchase.engine = auto', @workers);

# Answers and errors
for my $node (@nodes)
{
	my $name = $node->name;

	is($node->safe_psql('postgres', "SELECT outcome FROM purchase_try($_, 1000)"), 'insufficient_quantity', "$name: an outcome")
	  for $one, $two;
	for my $case ([ "purchase($one, 1000)", 'SK003' ], [ "purchase($two, 1000)", 'SK003' ], [ 'purchase(99, 1)', 'SK001' ],
		[ "purchase($one, 0)", '22023' ], [ 'purchase(NULL::bigint, 1)', '22004' ], [ "purchase($two, 1, hold_for => '1 hour')", '22023' ])
	{
		is(sqlstate($node, "SELECT $case->[0]"), $case->[1], "$name: $case->[0]");
	}
	my $err;
	$node->psql('postgres', "\\set VERBOSITY verbose\nSELECT purchase($one, 1000)", stderr => \$err);
	like($err, qr/ERROR:  SK003: not enough stock of product $one\nDETAIL:  Product $one has 100 in stock, 1000 were requested.\nHINT:  A quantity of up to 100 can be sold.\n/,
		"$name: all that an error says");
	like($err, qr/TABLE NAME:  product\nCOLUMN NAME:  stock\n/, "$name: with table and column")
	  if $node != $coordinator && $node->name eq $nodes[ node_of($one, @nodes) ]->name;
}

# Carts, and transactions over two nodes
for my $node (@nodes)
{
	my $name = $node->name;

	is($node->safe_psql('postgres', "SELECT sum(remaining) FROM purchase_cart(ARRAY[$one, $two], ARRAY[1, 2])"), '197', "$name: a cart over two nodes");
	is(sqlstate($node, "SELECT purchase_cart(ARRAY[$one, $two], ARRAY[1, 1000])"), 'SK003', "$name: one that is refused");
	is($node->safe_psql('postgres', "BEGIN; SELECT purchase($one, 1); SELECT purchase($two, 1); SELECT sum(stock) FROM product WHERE id IN ($one, $two); ROLLBACK"),
		"98\n97\n195", "$name: a transaction sees what it sells");
	is($node->safe_psql('postgres', "SELECT sum(stock) FROM product WHERE id IN ($one, $two)"), '197', "$name: and takes it back");
	is($node->safe_psql('postgres', "BEGIN; SELECT purchase($one, 1); SELECT purchase($two, 1); COMMIT; SELECT sum(stock) FROM product WHERE id IN ($one, $two)"),
		"98\n97\n195", "$name: or not");
	is($node->safe_psql('postgres', "BEGIN; SELECT purchase($one, 1); UPDATE product SET stock = stock + 1 WHERE id = $one; SAVEPOINT s; SELECT purchase($one, 5); ROLLBACK TO s; SELECT purchase($two, 1); COMMIT"),
		"97\n93\n96", "$name: beside other statements, and savepoints");
	$node->safe_psql('postgres', "SELECT purchase_set_stock($_, 100)") for $one, $two;
}

# Busy, and waiting; deadlocks over two nodes
my $a = session($coordinator);
ask($a, 'BEGIN');
ask($a, "SELECT purchase($one, 1)");
is(sqlstate($coordinator, "SELECT purchase($one, 1)"), '55P03', 'busy, from the coordinator');
is(sqlstate($workers[1], "SELECT purchase($one, 1)"), '55P03', 'and from another node');
is($coordinator->safe_psql('postgres', "SELECT outcome FROM purchase_try($one, 1)"), 'busy', 'as an outcome');

# Who is that, and where it is counted: on the product's node
my $home = $nodes[ node_of($one, @nodes) ];
my $count = "SELECT busy FROM pg_stat_purchase WHERE stock_table = 'product'::regclass";
for my $node (@nodes)
{
	my $name = $node->name;
	my $before = $home->safe_psql('postgres', $count);

	is($node->safe_psql('postgres', "SELECT role FROM purchase_blockers($one)"), 'holds',
		"$name: who makes it busy");
	$node->safe_psql('postgres', "SELECT purchase_try($one, 1)");
	is($home->safe_psql('postgres', $count) - $before, 1, "$name: a call is counted where the product is");
}
ask($a, 'ROLLBACK');
set_on('purchase.lock_wait = 30s', @nodes);
$a = session($coordinator);
my $b = session($workers[0]);
ask($a, 'BEGIN');
ask($b, 'BEGIN');
ask($a, "SELECT purchase($one, 1)");
ask($b, "SELECT purchase($two, 1)");
begin_query($a, "SELECT purchase($two, 1)");
$nodes[ node_of($two, @nodes) ]->poll_query_until('postgres',
	"SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type IN ('Lock', 'Extension')")
  or die 'nobody waits';
begin_query($b, "SELECT purchase($one, 1)");
my @ends = map { end_query($_) } $a, $b;
is(scalar(grep { /40P01/ } @ends), 1, 'a deadlock over two nodes ends for one of them') or diag(join("\n", @ends));
ask($_, 'ROLLBACK') for $a, $b;
set_on('purchase.lock_wait = 0', @nodes);

# The last units, from all nodes at a time
my $script = '\set n 0' . "\n" . join('', map { "SELECT outcome = 'sold' AS sold FROM purchase_try($two, 1) \\gset\n\\if :sold\n\\set n :n + 1\n\\endif\n" } 1 .. 20)
  . "INSERT INTO taken SELECT :n WHERE :n > 0;\n";
for my $node (@nodes)
{
	$node->safe_psql('postgres', 'SET citus.enable_ddl_propagation = off; CREATE TABLE taken (n int)');
}
my @loads = map { start_pgbench($_, $script, '-c', 3, '-t', 10) } @nodes;
finish_pgbench($_) for @loads;
my $taken = 0;
$taken += $_->safe_psql('postgres', 'SELECT coalesce(sum(n), 0) FROM taken') for @nodes;
is($taken, 100, 'the last units are sold once, from all nodes at a time');
is($coordinator->safe_psql('postgres', "SELECT outcome FROM purchase_try($two, 1)"), 'out_of_stock', 'then there are none');

server_log_is_clean($_) for @nodes;

done_testing();
