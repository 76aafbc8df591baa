# A physical standby reads and refuses to sell, with 25006, and takes over after
# promotion.  The primary is lost in the middle of a load; the standby has
# consistent books then, and what was sold but not committed is back and not busy.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $primary = new_node('primary', allows_streaming => 1);
create_shop($primary, 10, 1000000);
$primary->safe_psql('postgres',
	"INSERT INTO product VALUES (11, 'few', 10, 10), (12, 'none', 0, 0)");
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# a session of each engine that was there before the promotion
my %session;
foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";

	$session{$engine} = session($standby);
	engine_is($standby, $engine);
	is(ask($session{$engine}, 'SELECT purchase_available(11)'),
		10, "$engine: a standby reads");
	foreach my $call (
		'purchase(11, 1)',
		'purchase_try(11, 1)',
		"purchase_try('12', 1, 'product')",
		'purchase(99, 1)',
		'purchase_restock(11, 1)')
	{
		is(ask($session{$engine}, "SELECT $call"),
			'ERROR:  25006', "$engine: a standby refuses $call");
	}
	is(ask($session{$engine}, 'SELECT * FROM purchase_blockers(11)'),
		'ERROR:  55000', "$engine: a standby can't tell who holds a product");
	# the server's own refusal of the lock, or ours
	like(
		ask($session{$engine}, "SELECT purchase_attach('product')"),
		qr/^ERROR:  (25006|55000)$/,
		"$engine: and purchase_attach");

	# the same of a transaction that was declared so, on the primary
	is(sqlstate($primary, 'BEGIN READ ONLY; SELECT purchase(11, 1)'),
		'25006', "$engine: a read-only transaction refuses");
}

# the stock arrives
is($primary->safe_psql('postgres', 'SELECT purchase(11, 3)'),
	7, 'sold on the primary');
$primary->safe_psql('postgres', 'INSERT INTO order_line VALUES (11, 3)');
$primary->wait_for_catchup($standby);
is(ask($session{$_}, 'SELECT purchase_available(11)'),
	7, "$_: the standby knows")
  foreach ('auto', 'sql');

# a load, an open sale, and the primary is gone
my $open = session($primary);
is( ask($open,
		'BEGIN; SELECT purchase(11, 7); INSERT INTO order_line VALUES (11, 7)'),
	0,
	'a sale is open');
my $load = start_pgbench($primary, $sell, '-c', 8, '-T', 60);
$standby->poll_query_until('postgres',
	'SELECT count(*) > 300 FROM order_line')
  or die 'no sales arrive on the standby';
$primary->stop('immediate');
is(finish_pgbench($load), 2, 'the load was in progress');
$open->quit;

$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
  or die 'the standby was not promoted';
books_balance($standby, 'the books balance after promotion');

is(ask($session{auto}, 'SELECT * FROM purchase_try(11, 2)'),
	'sold|5', 'a session of the former standby sells, row engine');
is(ask($session{sql}, 'SELECT * FROM purchase_try(11, 2)'),
	'sold|3', 'a session of the former standby sells, sql engine');
$standby->safe_psql('postgres', 'INSERT INTO order_line VALUES (11, 4)');
$session{$_}->quit foreach ('auto', 'sql');

my $rest = start_pgbench($standby, <<'SQL', '-c', 4, '-t', 5);
SET purchase.lock_wait = -1;
INSERT INTO order_line SELECT 11, 1, outcome FROM purchase_try(11, 1);
SQL
is(finish_pgbench($rest), 0, 'and new ones');
is( $standby->safe_psql('postgres',
		"SELECT purchase_available(11), count(*) FROM order_line WHERE product_id = 11 AND outcome = 'out_of_stock'"
	),
	'0|17',
	'to the last unit');
books_balance($standby, 'the books balance in the end');

server_log_is_clean($_) foreach ($primary, $standby);
done_testing();
