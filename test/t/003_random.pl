# 32 sessions buy, restock, roll back to savepoints and roll back altogether, at
# random, on few products with little stock: after some seconds the books
# balance to the unit.  All isolation levels and both engines work on the same
# rows, together with hand-written updates, and deadlocks are allowed.  An
# auditor checks the books in a snapshot all the time.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop',
	conf => 'deadlock_timeout = 20ms
log_min_messages = panic');
create_shop($node, 20, 10);
$node->safe_psql(
	'postgres', q(
ALTER TABLE order_line
	ADD engine text DEFAULT current_setting('purchase.engine', true),
	ADD isolation text DEFAULT current_setting('transaction_isolation');

-- the calls that raise
CREATE FUNCTION sell_or_note(product bigint, qty bigint) RETURNS void
	LANGUAGE plpgsql AS $$
BEGIN
	PERFORM purchase(product, qty);
	INSERT INTO order_line VALUES (product, qty);
EXCEPTION
	WHEN SQLSTATE 'SK002' THEN
		INSERT INTO order_line VALUES (product, qty, 'out_of_stock');
	WHEN SQLSTATE 'SK003' THEN
		INSERT INTO order_line VALUES (product, qty, 'insufficient_quantity');
	WHEN lock_not_available THEN
		INSERT INTO order_line VALUES (product, qty, 'busy');
END
$$;
));

my $pick = '
\set a random(1, 20)
\set b random(1, 20)
\set c random(1, 20)
\set qty random(1, 4)
\set chance random(1, 4)
';

sub sale
{
	my ($product) = @_;

	return
	  "INSERT INTO order_line SELECT $product, :qty, outcome FROM purchase_try($product, :qty);\n";
}

sub restock
{
	my ($product) = @_;

	return
	  "INSERT INTO order_line SELECT $product, -:qty, 'restocked' FROM purchase_restock($product, :qty);\n";
}

my %scripts = (
	"$pick BEGIN;\n" . sale(':a') . "END;\n" => 6,
	$pick . "SELECT sell_or_note(:a, :qty);\n" => 4,
	"$pick BEGIN;\n" . restock(':a') . "END;\n" => 5,
	"$pick BEGIN;\nSET LOCAL purchase.lock_wait = '5ms';\n" . sale(':a') . sale(':b') . "END;\n" => 2,
	# an exchange; two of them deadlock
	"$pick BEGIN;\n" . sale(':a') . restock(':b') . "END;\n" => 2,
	"$pick BEGIN;\n" . sale(':a') . restock(':b') . "ROLLBACK;\n" => 2,
	$pick . "BEGIN;\n" . sale(':a') . "SAVEPOINT s;\n" . sale(':b') . '
\if :chance <= 2
ROLLBACK TO s;
\else
RELEASE s;
\endif
' . "SAVEPOINT t;\n" . restock(':a') . sale(':c') . "ROLLBACK TO t;\n" . sale(':a') . '
\if :chance = 1
ROLLBACK;
\else
END;
\endif
' => 4,
	# others that use the table
	$pick . 'WITH u AS
	(UPDATE product SET stock = stock - 1 WHERE id = :a AND stock >= 1
	 RETURNING id)
INSERT INTO order_line SELECT id, 1 FROM u;
' => 1,
	$pick . "BEGIN;
UPDATE product SET name = 'renamed ' || :b WHERE id = :a;
" . '
\if :chance = 1
ROLLBACK;
\else
END;
\endif
' => 1);

my $audit = <<'SQL';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 1 / (count(*) = 0)::int FROM books WHERE sold <> ordered OR stock < 0;
END;
\sleep 20 ms
SQL

my $seconds = 6;
my @loads;
my %clients = (auto => [ 6, 6, 5 ], sql => [ 5, 5, 5 ]);
foreach my $engine ('auto', 'sql')
{
	my @levels = ('read committed', 'repeatable read', 'serializable');

	foreach my $i (0 .. 2)
	{
		local $ENV{PGOPTIONS} =
		  "-c purchase.engine=$engine -c default_transaction_isolation="
		  . ($levels[$i] =~ s/ /\\ /r);

		push @loads,
		  [
			"$clients{$engine}[$i] buyers, $engine, $levels[$i]",
			start_pgbench(
				$node, \%scripts, '-c', $clients{$engine}[$i],
				'-T', $seconds, '--max-tries', 3)
		  ];
	}
}
push @loads, [ 'auditor', start_pgbench($node, $audit, '-T', $seconds) ];

is(finish_pgbench($_->[1]), 0, $_->[0]) foreach @loads;

books_balance($node, 'the books balance');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM product, purchase_try(id, 1) WHERE outcome = 'busy'"
	),
	0,
	'no row is left locked');

# nothing of this was missing
foreach my $engine ('auto', 'sql')
{
	is( $node->safe_psql(
			'postgres',
			"SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM order_line WHERE engine = '$engine'"
		),
		'busy insufficient_quantity out_of_stock restocked sold',
		"outcomes of $engine");
	is( $node->safe_psql(
			'postgres',
			"SELECT string_agg(DISTINCT isolation, ', ' ORDER BY isolation) FROM order_line WHERE engine = '$engine' AND outcome = 'sold'"
		),
		'read committed, repeatable read, serializable',
		"isolation levels that sold, $engine");
}
note $node->safe_psql('postgres',
	"SELECT deadlocks || ' deadlocks' FROM pg_stat_database WHERE datname = 'postgres'"
);
note $node->safe_psql('postgres',
	'SELECT engine, isolation, outcome, count(*) FROM order_line GROUP BY 1, 2, 3 ORDER BY 1, 2, 3'
);

done_testing();
