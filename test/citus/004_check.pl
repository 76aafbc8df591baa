# On Citus: what purchase_check says of a distributed table, and that what it says to do mends it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../t";
use CitusCluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my @nodes = new_cluster('check');
my ($coordinator, @workers) = @nodes;
my $mend = 'SELECT public.purchase_distribute(\'public.product\');';

# Findings but for those that any table has; those on a node are told by its number.
sub check
{
	my ($table, $node) = @_;
	my $found = ($node // $coordinator)->safe_psql('postgres', qq(
SELECT severity, finding, remedy FROM purchase_check('$table')
WHERE finding !~ 'engine|owner|without a type'));

	$found =~ s/\S+:${\$workers[$_]->port}\b/$_/g for 0, 1;
	return $found;
}

sub not_as_here
{
	return join("\n", map { "error|on node $_ it is not attached as it is here: calls that come there fail, or differ|$mend" } @_);
}

$coordinator->safe_psql('postgres', q(
CREATE EXTENSION purchase;
CREATE TABLE product (id bigint PRIMARY KEY, stock integer NOT NULL CHECK (stock >= 0));
SELECT create_distributed_table('product', 'id');
SELECT purchase_attach('product');
));
my $not_sent = 'warning|calls are not sent to the node that has the product: each takes several round trips|' . $mend;
is(check('product'), not_as_here(0, 1) . "\n$not_sent", 'attached on one node, and not delegated');
$coordinator->safe_psql('postgres', $mend);
is(check('product', $_), '', 'mended: ' . $_->name) for @nodes;
is($coordinator->safe_psql('postgres', "SELECT severity FROM purchase_check('product') WHERE finding LIKE '%without a type%'"),
	'info', 'what the caller has to see to');

$coordinator->safe_psql('postgres', "SELECT purchase_attach('product', lock_wait => '2s')");
is(check('product'), not_as_here(0, 1), 'attached otherwise');
$coordinator->safe_psql('postgres', $mend);
is(check('product'), '', 'mended');
is($workers[0]->safe_psql('postgres', 'SELECT lock_wait FROM purchase_stock_tables'), '2000', 'as it is here');
$workers[1]->safe_psql('postgres', "SELECT purchase_detach('product')");
is(check('product'), not_as_here(1), 'detached on one node');
$coordinator->safe_psql('postgres', $mend);

$coordinator->safe_psql('postgres', "SELECT purchase_keep_sales('product')");
is(check('product'), "error|its sales are not distributed beside it: sales with an id fail|$mend", 'sales in one place');
$coordinator->safe_psql('postgres', $mend);
is(check('product'), '', 'mended');
$coordinator->safe_psql('postgres', q(DELETE FROM pg_dist_object WHERE classid = 'pg_proc'::regclass
	AND objid = 'purchase(bigint,bigint,regclass,text,interval,text)'::regprocedure));
like(check('product'), qr/^error\|calls are not sent .*, and sales with an id fail\|\Q$mend\E$/, 'a function that is not delegated');
$coordinator->safe_psql('postgres', $mend);
is(check('product'), '', 'mended');

$coordinator->safe_psql('postgres', "CREATE TABLE other (id bigint PRIMARY KEY, stock integer NOT NULL); SELECT purchase_attach('other')");
like(check('other'), qr/^error\|calls that name a product by a number are sent to the nodes of public.product/m, 'a table that is not colocated');
is(sqlstate($coordinator, $mend), '55000', 'which purchase_distribute does not overlook');
$coordinator->safe_psql('postgres', "SELECT purchase_detach('other')");

$coordinator->safe_psql('postgres', q(
CREATE TABLE u (id uuid PRIMARY KEY, stock integer NOT NULL);
SELECT create_distributed_table('u', 'id');
SELECT purchase_attach('u'), purchase_keep_sales('u');
));
is(sqlstate($coordinator, "SELECT purchase_distribute('u')"), '55000', 'sales of keys that are not delegated stay in one place');
like(check('u'), qr/^info\|it keeps its sales, and calls for its type of key are not sent to other nodes/m, 'and that is told');
$coordinator->safe_psql('postgres', "INSERT INTO u VALUES ('00000000-0000-0000-0000-000000000001', 9)");
is($coordinator->safe_psql('postgres', "SELECT purchase('00000000-0000-0000-0000-000000000001'::uuid, 1, 'u', sale_id => 'u')"),
	'8', 'such a sale, on the coordinator');

$workers[1]->stop;
like(check('product'), qr/^warning\|node 1 does not say how it is attached there/m, 'a node that is down');
$workers[1]->start;
is(check('product'), '', 'and back');

done_testing();
