# On Citus: sales with an id, each in the shard of its product, and settled by id wherever
# they are, in one transaction.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../t";
use CitusCluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my @nodes = new_cluster('sales');
my ($coordinator, @workers) = @nodes;
distribute_shop($coordinator, 20, 100);
my ($one, $two) = (product_on(@nodes))[ 1, 2 ];

# What is kept of a sale, and the stock of both products.
sub state_of
{
	my ($id) = @_;

	return $coordinator->safe_psql('postgres', qq(
SELECT string_agg(concat_ws(' ', CASE product_id WHEN $one THEN 'one' ELSE 'two' END, qty - released, state, returned), ', '
	ORDER BY product_id <> $one) FROM product_sale WHERE sale_id = '$id')) . '; '
	  . $coordinator->safe_psql('postgres', "SELECT string_agg(stock::text, ' ' ORDER BY id <> $one) FROM product WHERE id IN ($one, $two)");
}

sub refill
{
	$coordinator->safe_psql('postgres', "SELECT purchase_set_stock($_, 100)") for $one, $two;
	return;
}

sub hold_both
{
	my ($node, $id, $buyer) = @_;

	return $node->safe_psql('postgres', join(';',
			map { "SELECT purchase($_, 2, sale_id => '$id', hold_for => '1 hour'" . ($buyer ? ", buyer => '$buyer')" : ')') } $one, $two));
}

for my $node (@nodes)
{
	my $name = $node->name;

	is($node->safe_psql('postgres', "SELECT purchase($one, 1, sale_id => '$name')") . $node->safe_psql('postgres', "SELECT purchase($one, 1, sale_id => '$name')"),
		'9999', "$name: a repeat gets the same answer");
	is(sqlstate($node, "SELECT purchase($one, 2, sale_id => '$name')"), 'SK201', "$name: another request");
	is(state_of($name), 'one 1 sold 0; 99 100', "$name: it is kept");
	is($node->safe_psql('postgres', "SELECT purchase_return('$name', $one, 1, '$name-1'); SELECT purchase_return('$name', $one, 1, '$name-1'); SELECT purchase_return('$name')"),
		"1\n1\n0", "$name: it comes back");
	is(state_of($name), 'one 1 sold 1; 100 100', "$name: once");

	# held in two shards
	is(hold_both($node, "$name-h"), "98\n98", "$name: a hold over two nodes");
	is(hold_both($node, "$name-h"), "98\n98", "$name: and its repeat");
	is($node->safe_psql('postgres', "SELECT purchase_extend('$name-h', '2 hours') > now() + interval '1 hour'"), 't', "$name: longer");
	is($node->safe_psql('postgres', "BEGIN; SELECT purchase_confirm('$name-h'); ROLLBACK"), 't', "$name: confirmed, and taken back");
	is(state_of("$name-h"), 'one 2 held 0, two 2 held 0; 98 98', "$name: as before");
	is($node->safe_psql('postgres', "SELECT purchase_confirm('$name-h'); SELECT purchase_confirm('$name-h')"), "t\nf", "$name: confirmed");
	is(sqlstate($node, "SELECT purchase_release('$name-h')"), 'SK103', "$name: it is sold");
	is($node->safe_psql('postgres', "SELECT purchase_return('$name-h'); SELECT purchase_return('$name-h')"), "4\n0", "$name: all comes back");
	is(state_of("$name-h"), 'one 2 sold 2, two 2 sold 2; 100 100', "$name: on both nodes");

	hold_both($node, "$name-r");
	is($node->safe_psql('postgres', "SELECT purchase_release('$name-r', $one, 2)"), '2', "$name: one line is released");
	is($node->safe_psql('postgres', "SELECT purchase_confirm('$name-r')"), 't', "$name: the other is sold");
	is(state_of("$name-r"), 'one 0 released 0, two 2 sold 0; 100 98', "$name: as it would be in one place");
	hold_both($node, "$name-s");
	is($node->safe_psql('postgres', "SELECT purchase_release('$name-s'); SELECT purchase_release('$name-s')"), "4\n0", "$name: or all is released");
	is(sqlstate($node, "SELECT purchase_confirm('$name-s')"), 'SK103', "$name: for good");
	is(sqlstate($node, "SELECT purchase_$_"), 'SK101', "$name: no such sale: $_")
	  for "confirm('none')", "release('none')", "return('none')", "extend('none', '1 hour')", "return('none', $one, 1, 'no')", "release('none', $one, 1)";
	refill();

	# others take what has lapsed
	hold_both($node, "$name-l");
	$coordinator->safe_psql('postgres', "UPDATE product_hold SET expires_at = 'epoch'");
	is($node->safe_psql('postgres', "SELECT purchase_available($one)"), '100', "$name: what has lapsed is there");
	is($node->safe_psql('postgres', "SELECT purchase($one, 100)"), '0', "$name: for others");
	is(sqlstate($node, "SELECT purchase_confirm('$name-l')"), 'SK102', "$name: then it is gone");
	is(state_of("$name-l"), 'one 2 expired 0, two 2 held 0; 0 98', "$name: the confirm has done nothing on the other node");
	is($node->safe_psql('postgres', 'SELECT purchase_expire()'), '1', "$name: the other lapsed hold is tidied away");
	is($node->safe_psql('postgres', "SELECT sum(stock) FROM product WHERE id IN ($one, $two)"), '100', "$name: its units are back");
	refill();
}
is(sqlstate($coordinator, "SELECT purchase_cart(ARRAY[$one, $two], ARRAY[1, 1], sale_id => 'cart')"), '55000',
	'no cart with an id over two shards');
is(sqlstate($coordinator, "SELECT purchase_cart(ARRAY[$one, $two], ARRAY[1, 1000])"), 'SK003', 'one without is refused as ever');

# A shard may be split, so a cart in one is none in two.
my ($other) = grep { $_ != $one && same_shard($_) } 1 .. 20;
my $worker = $nodes[ node_of($one, @nodes) ];
sub same_shard
{
	my ($product) = @_;

	return $coordinator->safe_psql('postgres', qq(SELECT get_shard_id_for_distribution_column('product', $one)
		= get_shard_id_for_distribution_column('product', $product))) eq 't';
}
is(sqlstate($worker, "SELECT purchase_cart(ARRAY[$one, $other], ARRAY[1, 1], sale_id => 'cart')"), '55000', 'no cart with an id in one shard either');
is($worker->safe_psql('postgres', "SELECT sum(qty) FROM purchase_cart(ARRAY[$one, $other], ARRAY[1, 1]);
	SELECT qty FROM purchase_cart(ARRAY[$one, $one], ARRAY[1, 1], sale_id => 'cart');
	SELECT purchase_restock($one, 3), purchase_restock($other, 1) IS NOT NULL"), "2\n2\n100|t", 'but others');

# Only Citus knows when a shard may be written.
my $shard = $coordinator->safe_psql('postgres', "SELECT shard_name('product', get_shard_id_for_distribution_column('product', $one))");
is($worker->safe_psql('postgres', "SET client_min_messages = error; SELECT purchase_available($one)"), '100', 'a shard is known');
is(sqlstate($worker, "SELECT purchase_available($one); SELECT purchase($one, 1, '$shard')"), '55000', 'and can not be sold from by its name');

# What is sent to other nodes does not depend on how dates are written here.
{
	my ($out, $err);

	$coordinator->psql('postgres', "SET datestyle = 'SQL, DMY'; SET citus.log_remote_commands = on; SET client_min_messages = notice;
		BEGIN; UPDATE product_sale SET settled_at = 'epoch' WHERE sale_id = 'cart'; SELECT purchase_forget('1 year'); ROLLBACK", stderr => \$err);
	like($err, qr/'forget'::text.*'\d\d\d\d-\d\d-\d\d \d\d:.*'::timestamp with time zone/, 'in one form');
}

# Limits: a buyer's past is in the shard of the product.
$coordinator->safe_psql('postgres', 'UPDATE product SET per_buyer = 5');
my @loads = map {
	start_pgbench($_, qq(\\set id random(1, 1000000000)
\\set two random(0, 1)
\\if :two
SELECT outcome FROM purchase_try($one, 1, sale_id => :id::text, buyer => 'ann');
\\else
SELECT outcome FROM purchase_try($two, 2, sale_id => :id::text, buyer => 'ann', hold_for => '1 hour');
\\endif
), '-c', 3, '-t', 30)
} @nodes;
is(finish_pgbench($_), 0, 'a load of one buyer') for @loads;
is($coordinator->safe_psql('postgres', "SELECT string_agg(sum::text, ' ' ORDER BY product_id <> $one) FROM (
	SELECT product_id, sum(qty) FROM product_sale WHERE buyer = 'ann' GROUP BY 1) AS s"), '5 4', 'never more than he may have, from all nodes at once');
is(sqlstate($_, "SELECT purchase($one, 1)"), '22004', 'a buyer is asked for') for @nodes;

# The end of a sale's life
isnt(sqlstate($coordinator, 'SELECT purchase_confirm(sale_id) FROM product_hold'), '', 'Citus sends no query of ours into its own');
$coordinator->safe_psql('postgres', "SELECT purchase_confirm('$_')")
  for split /\n/, $coordinator->safe_psql('postgres', 'SELECT sale_id FROM product_hold');
$coordinator->safe_psql('postgres', "UPDATE product_sale SET created_at = 'epoch', settled_at = 'epoch', returned_at = LEAST(returned_at, 'epoch')");
my $counted = $coordinator->safe_psql('postgres', "SELECT count(*) FROM product_sale WHERE buyer IS NOT NULL AND qty - released > returned AND state = 'sold'");
my $all = $coordinator->safe_psql('postgres', 'SELECT count(DISTINCT (sale_id, product_id)) FROM product_sale');
is($coordinator->safe_psql('postgres', "SELECT purchase_forget('1 day')"), $all - $counted, 'what limits do not count is forgotten, on all nodes');
is($coordinator->safe_psql('postgres', 'SELECT count(*) FROM product_sale'), $counted, 'and nothing else');
is($coordinator->safe_psql('postgres', "SELECT purchase_forget('1 day', 3, true)"), 3, 'three');
is($coordinator->safe_psql('postgres', "SELECT purchase_forget('1 day', forget_limits => true)"), $counted - 3, 'the rest');
is($coordinator->safe_psql('postgres', 'SELECT count(*) FROM product_hold'), '0', 'nothing is held');
is($coordinator->safe_psql('postgres', "SELECT purchase($one, 1, sale_id => 'last', buyer => 'ann', hold_for => '1 hour')"), '94', 'the buyer begins anew');
is(sqlstate($coordinator, "SELECT purchase_detach('product')"), '55000', 'what has holds is not detached');
server_log_is_clean($_) for @nodes;

done_testing();
