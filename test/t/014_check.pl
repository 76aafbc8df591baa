# The doctor notices that autovacuum is off for the whole server, and its
# remedy, pasted, mends it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop', conf => 'autovacuum = off');
create_shop($node, 1, 10);

my $off = "FROM purchase_check('product') WHERE finding ~ 'autovacuum'";
is( $node->safe_psql('postgres', "SELECT severity, finding $off"),
	'warning|autovacuum does not run: autovacuum is off',
	'autovacuum is off');
$node->safe_psql('postgres',
	$node->safe_psql('postgres', "SELECT remedy $off"));
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 $off"),
	'and runs again');

done_testing();
