# 16 sessions buy carts of few products with little stock, in any order, with
# products that come twice, waiting or not: the books balance to the unit.
#
# Carts that wait never deadlock with carts, at any isolation level and with both
# engines on the same rows.  Then sales of one product, deliveries, savepoints
# and rollbacks join in, which may.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop',
	conf => 'deadlock_timeout = 10ms
log_min_messages = panic');
create_shop($node, 12, 6);
$node->safe_psql(
	'postgres', q(
ALTER TABLE order_line
	ADD call text NOT NULL DEFAULT 'try_cart',
	ADD engine text DEFAULT current_setting('purchase.engine', true),
	ADD isolation text DEFAULT current_setting('transaction_isolation');

-- the call that raises
CREATE FUNCTION sell_or_note(products bigint[], qtys bigint[]) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	failed text;
BEGIN
	INSERT INTO order_line (product_id, qty, call)
		SELECT product_id, qty, 'cart' FROM purchase_cart(products, qtys);
EXCEPTION
	WHEN SQLSTATE 'SK002' OR SQLSTATE 'SK003' OR lock_not_available THEN
		failed := CASE SQLSTATE WHEN 'SK002' THEN 'out_of_stock'
			WHEN 'SK003' THEN 'insufficient_quantity' ELSE 'busy' END;
		INSERT INTO order_line (product_id, qty, outcome, call)
			VALUES (products[1], qtys[1], failed, 'cart');
END
$$;
));

my $pick = '
\set a random(1, 12)
\set b random(1, 12)
\set c random(1, 12)
\set d random(1, 12)
\set qty random(1, 3)
\set chance random(1, 4)
';

# how long the next calls wait: for ever, not at all, or for a while
my $wait = '
\if :chance = 1
SET LOCAL purchase.lock_wait = 0;
\elif :chance = 2
SET LOCAL purchase.lock_wait = \'5ms\';
\else
SET LOCAL purchase.lock_wait = -1;
\endif
';

# order lines, and products that were not sold with their outcome
sub cart
{
	my ($products, $qtys) = @_;

	return
	  "INSERT INTO order_line SELECT product_id::bigint, qty, outcome FROM purchase_try_cart($products, $qtys);\n";
}

my $five = cart('ARRAY[:a, :b, :c, :a, :d]', 'ARRAY[1, :qty, 1, 1, 1]');
my $text = cart(q('{:d, :c, :b, :a}'), q('{1, 1, :qty, 1}'));
my $raise = "SELECT sell_or_note(ARRAY[:b, :d, :c], ARRAY[:qty, 1, 1]);\n";
# What was sold comes back: nobody else can hold these rows.
my $back = 'INSERT INTO order_line (product_id, qty, outcome, call)
	SELECT product_id, -qty, \'restocked\', \'restock\'
	FROM (SELECT product_id, sum(qty) AS qty FROM order_line
		WHERE xmin = pg_current_xact_id()::xid AND outcome = \'sold\'
		GROUP BY product_id) AS l,
		LATERAL purchase_restock(product_id, qty::bigint) AS r;
';
my $end = '
\if :chance = 3
ROLLBACK;
\else
END;
\endif
';

sub sale
{
	my ($product) = @_;

	return
	  "INSERT INTO order_line (product_id, qty, outcome, call) SELECT $product, :qty, outcome, 'try' FROM purchase_try($product, :qty);\n";
}

sub restock
{
	my ($product, $qty) = @_;

	return
	  "INSERT INTO order_line (product_id, qty, outcome, call) SELECT $product, -$qty, 'restocked', 'restock' FROM purchase_restock($product, $qty);\n";
}

# One cart in each transaction, and deliveries of one product.
my %carts = (
	"$pick BEGIN;\n$wait$five$end" => 3,
	"$pick BEGIN;\n$wait$text$end" => 2,
	"$pick BEGIN;\n$wait$raise$end" => 2,
	"$pick BEGIN;\n$wait$five$back END;\n" => 4,
	$pick . restock(':a', 2) => 5);

my %mixed = (
	%carts,
	"$pick BEGIN;\n$wait" . sale(':a') . $end => 3,
	"$pick BEGIN;\n" . restock(':a', 2) . restock(':b', 2) . $end => 2,
	"$pick BEGIN;\n$wait" . sale(':a') . $five . restock(':b', 2) . $end => 2,
	"$pick BEGIN;\n$wait${five}SAVEPOINT s;\n$raise$text" . '
\if :chance <= 2
ROLLBACK TO s;
\else
RELEASE s;
\endif
' . $five . $end => 4);

sub deadlocks
{
	return $node->safe_psql('postgres',
		"SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'");
}

my %clients = ('read committed' => 5, 'repeatable read' => 2, serializable => 1);

# run_load(TITLE, SCRIPTS, DEADLOCKS): a load by sessions of both engines and of
# all levels; whether it may have deadlocks.
sub run_load
{
	my ($title, $scripts, $deadlocks) = @_;
	my @loads;

	my $early = 0;
	foreach my $engine ('auto', 'sql')
	{
		foreach my $level (sort keys %clients)
		{
			local $ENV{PGOPTIONS} =
			  "-c purchase.engine=$engine -c default_transaction_isolation="
			  . ($level =~ s/ /\\ /r)
			  . ' -c purchase.early_release='
			  . ('on', 'local', 'off')[ $early++ % 3 ];

			push @loads,
			  [
				$engine, $level,
				start_pgbench(
					$node, $scripts, '-c', $clients{$level},
					'-T', 4, '--max-tries',
					$level eq 'read committed' && !$deadlocks ? 1 : 3)
			  ];
		}
	}
	foreach (@loads)
	{
		my ($engine, $level, $load) = @$_;

		is(finish_pgbench($load), 0, "$title, $engine, $level: no error");
		like(
			$load->{out},
			qr/^number of failed transactions: 0 /m,
			"$title, $engine, $level: nothing to retry")
		  if $level eq 'read committed' && !$deadlocks;
	}
	books_balance($node, "$title: the books balance");
	is( $node->safe_psql(
			'postgres',
			'SELECT count(*) FROM (SELECT FROM product FOR UPDATE SKIP LOCKED) AS f'
		),
		12,
		"$title: no row is left locked");
	return;
}

run_load('carts alone', \%carts, 0);
is(deadlocks(), 0, 'carts alone: no deadlock');
run_load('carts and others', \%mixed, 1);

# nothing of this was missing
foreach my $engine ('auto', 'sql')
{
	is( $node->safe_psql(
			'postgres',
			"SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM order_line WHERE engine = '$engine' AND call IN ('cart', 'try_cart')"
		),
		'available busy insufficient_quantity out_of_stock sold',
		"outcomes of carts, $engine");
	is( $node->safe_psql(
			'postgres',
			"SELECT string_agg(DISTINCT call, ' ' ORDER BY call) FROM order_line WHERE engine = '$engine' AND outcome IN ('sold', 'restocked')"
		),
		'cart restock try try_cart',
		"calls that succeeded, $engine");
	is( $node->safe_psql(
			'postgres',
			"SELECT string_agg(DISTINCT isolation, ', ' ORDER BY isolation) FROM order_line WHERE engine = '$engine' AND call = 'try_cart' AND outcome = 'sold'"
		),
		'read committed, repeatable read, serializable',
		"isolation levels that sold, $engine");
}
note $node->safe_psql('postgres',
	'SELECT engine, isolation, call, outcome, count(*) FROM order_line GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4'
);
note 'deadlocks: ', deadlocks();

done_testing();
