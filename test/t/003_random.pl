# 32 sessions buy, restock, roll back to savepoints and roll back altogether, at
# random, on few products with little stock: after some seconds the books
# balance to the unit.  All isolation levels and both engines work on the same
# rows, together with hand-written updates, and deadlocks are allowed.  An
# auditor checks the books in a snapshot all the time.
#
# Then the same with wide rows: texts out of line, compressed, or both, what a
# dropped column has left, and columns that are younger than the rows, while
# columns come and go, and others vacuum the table and edit the texts; then,
# while they rewrite the table.  No sale may bring an old text back, or lose one.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# Texts are not edited while the table is rewritten.  CLUSTER and VACUUM FULL may
# fail then with "missing chunk number 0 for toast value", with plain UPDATEs as
# well: a bug of PostgreSQL's own, seen on 15 and 18, that leaves the table as it
# was.  They copy dead versions of a row, too, if each was replaced by a transaction
# that somebody might not see as committed yet, going by its id.  Their text may be
# gone, though, if an older id deleted it: that of an edit which had its id before it
# waited for the row, while two sales with younger ids replaced versions of it.
# A transaction in another database can have that effect, too (bug #18351), so there
# is no autovacuum.
my $node = new_node('shop',
	conf => 'deadlock_timeout = 20ms
log_min_messages = panic
autovacuum = off');
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

# Together or not at all; nothing is noted of carts that were not sold.
my $cart = <<'SQL';
INSERT INTO order_line SELECT product_id::bigint, qty, outcome
	FROM purchase_try_cart(ARRAY[:a, :b, :c, :a], ARRAY[1, :qty, 1, 1])
	WHERE outcome = 'sold';
SQL
my $maybe = '
\if :chance = 1
ROLLBACK;
\else
END;
\endif
';

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
' . "SAVEPOINT t;\n" . restock(':a') . sale(':c') . "ROLLBACK TO t;\n" . sale(':a') . $maybe => 4,
	# others that use the table
	$pick . 'WITH u AS
	(UPDATE product SET stock = stock - 1 WHERE id = :a AND stock >= 1
	 RETURNING id)
INSERT INTO order_line SELECT id, 1 FROM u;
' => 1);

my %narrow = (
	%scripts,
	"$pick BEGIN;
UPDATE product SET name = 'renamed ' || :b WHERE id = :a;
$maybe" => 1);

my %wide = (%scripts, "$pick BEGIN;\n$cart$maybe" => 2);

my %edited = (
	%wide,
	"$pick BEGIN;
INSERT INTO edit VALUES (:a);
UPDATE product SET edition = edition + 1, (name, inside, packed) =
	(SELECT name, inside, packed FROM contents(id, edition + 1))
	WHERE id = :a;
$maybe" => 2);

my $audit = <<'SQL';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 1 / (count(*) = 0)::int FROM books WHERE sold <> ordered OR stock < 0;
END;
\sleep 20 ms
SQL

my %clients = (auto => [ 6, 6, 5 ], sql => [ 5, 5, 5 ]);

# run_load(TITLE, SECONDS, SCRIPTS, SCRIPTS_OF_OTHERS): buyers of both engines and
# of all levels, and for each script of the others, one session.
sub run_load
{
	my ($title, $seconds, $scripts, %others) = @_;
	my @levels = ('read committed', 'repeatable read', 'serializable');
	my @loads;

	foreach my $engine ('auto', 'sql')
	{
		foreach my $i (0 .. 2)
		{
			local $ENV{PGOPTIONS} =
			  "-c purchase.engine=$engine -c default_transaction_isolation="
			  . ($levels[$i] =~ s/ /\\ /r)
			  . ' -c purchase.early_release='
			  . ('on', 'local', 'off')[ ($i + ($engine eq 'sql')) % 3 ];

			push @loads,
			  [
				"$clients{$engine}[$i] buyers, $engine, $levels[$i]",
				start_pgbench(
					$node, $scripts, '-c', $clients{$engine}[$i],
					'-T', $seconds, '--max-tries', 3)
			  ];
		}
	}
	push @loads, [ $_, start_pgbench($node, $others{$_}, '-T', $seconds) ]
	  foreach sort keys %others;

	is(finish_pgbench($_->[1]), 0, "$title: $_->[0]") foreach @loads;

	books_balance($node, "$title: the books balance");
	is( $node->safe_psql(
			'postgres',
			"SELECT count(*) FROM product, purchase_try(id, 1) WHERE outcome = 'busy'"
		),
		0,
		"$title: no row is left locked");

	# nothing of this was missing
	foreach my $engine ('auto', 'sql')
	{
		is( $node->safe_psql(
				'postgres',
				"SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM order_line WHERE engine = '$engine'"
			),
			'busy insufficient_quantity out_of_stock restocked sold',
			"$title: outcomes of $engine");
		is( $node->safe_psql(
				'postgres',
				"SELECT string_agg(DISTINCT isolation, ', ' ORDER BY isolation) FROM order_line WHERE engine = '$engine' AND outcome = 'sold'"
			),
			'read committed, repeatable read, serializable',
			"$title: isolation levels that sold, $engine");
	}
	note $node->safe_psql('postgres',
		"SELECT deadlocks || ' deadlocks' FROM pg_stat_database WHERE datname = 'postgres'"
	);
	note $node->safe_psql('postgres',
		'SELECT engine, isolation, outcome, count(*) FROM order_line GROUP BY 1, 2, 3 ORDER BY 1, 2, 3'
	);
	$node->safe_psql('postgres',
		'UPDATE product SET initial = stock; TRUNCATE order_line');
	return;
}

run_load('narrow rows', 5, \%narrow, auditor => $audit);

# What a row's texts are is known from its key and how often it was edited.
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION amcheck;
CREATE TABLE edit (product_id bigint NOT NULL);
-- that can't be compressed, unless they are repeated
CREATE FUNCTION digits(seed text, length int) RETURNS text
	LANGUAGE sql IMMUTABLE AS $$
SELECT string_agg(md5(seed || n), '') FROM generate_series(1, length / 32) AS n
$$;
CREATE FUNCTION contents(id bigint, edition int,
	OUT name text, OUT inside text, OUT packed text)
	LANGUAGE sql IMMUTABLE AS $$
SELECT digits('name' || id || ':' || edition, 4800),
	repeat(md5('inside' || id || ':' || edition), 90),
	repeat(digits('packed' || id || ':' || edition, 3200), 4)
$$;
ALTER TABLE product
	ADD dropped text,
	ADD note text,
	ADD inside text,
	ADD packed text,
	ADD edition int NOT NULL DEFAULT 0,
	ALTER name SET STORAGE EXTERNAL,
	ALTER dropped SET STORAGE EXTERNAL,
	ALTER inside SET STORAGE MAIN;
UPDATE product SET dropped = digits('dropped', 4800),
	note = CASE WHEN id % 2 = 0 THEN 'even' END,
	(name, inside, packed) =
		(SELECT c.name, c.inside, c.packed FROM contents(id, edition) AS c);
VACUUM FULL product;
ALTER TABLE product
	DROP dropped,
	ADD younger text NOT NULL DEFAULT repeat('y', 300);
CREATE VIEW spoilt AS
	SELECT p.id
	FROM product p, contents(p.id, p.edition) AS c
	WHERE (p.name, p.inside, p.packed, p.younger, p.note) IS DISTINCT FROM
		(c.name, c.inside, c.packed, repeat('y', 300),
		CASE WHEN p.id % 2 = 0 THEN 'even' END)
		OR p.edition <>
			(SELECT count(*) FROM edit AS e WHERE e.product_id = p.id);
));
my $toast = $node->safe_psql('postgres',
	"SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'product'::regclass"
);
my $values = "SELECT count(DISTINCT chunk_id) FROM $toast";
is( $node->safe_psql(
		'postgres', qq(
SELECT count(DISTINCT pg_column_compression(inside)), bool_and(pg_column_size(inside) < 200),
	count(DISTINCT pg_column_compression(packed)), bool_and(pg_column_size(packed) < 4000),
	count(pg_column_compression(name)), ($values)
FROM product)),
	'1|t|1|t|0|60',
	'texts are out of line, compressed, and both; the dropped ones are there');
foreach my $engine ('auto', 'sql')
{
	my $product = $engine eq 'auto' ? 1 : 2;

	$node->safe_psql('postgres',
		"SET purchase.engine = $engine; SELECT purchase_restock($product, 1); SELECT purchase($product, 1)"
	);
	$node->safe_psql('postgres', 'VACUUM product');
	is($node->safe_psql('postgres', $values),
		60 - $product, "a sale leaves a dropped text behind, $engine");
}

# maintenance(STATEMENT, ...): while a column that was in no row gets into those that
# are sold, and after it went.
sub maintenance
{
	my @statements = map { "$_;\n\\sleep 20 ms\n" } @_;

	return join '',
	  "ALTER TABLE product ADD passing text DEFAULT repeat('p', 5000),
	ALTER passing SET STORAGE EXTERNAL;\n\\sleep 20 ms\n",
	  @statements,
	  "SELECT 1 / (count(*) = 0)::int FROM product WHERE passing IS DISTINCT FROM repeat('p', 5000);
ALTER TABLE product DROP passing;\n\\sleep 20 ms\n",
	  @statements;
}

my %auditors = (
	'auditor' => $audit,
	'auditor of texts' => $audit =~ s/FROM books.*/FROM spoilt;/r);
# to truncate the table, it would wait for seconds for its lock
my $vacuum = 'VACUUM (TRUNCATE off) product';

run_load('wide rows, edited', 3, \%edited, %auditors,
	maintenance => maintenance($vacuum, "VACUUM $toast"));
run_load(
	'wide rows, rewritten',
	3,
	\%wide,
	%auditors,
	maintenance => maintenance(
		'VACUUM FULL product', "VACUUM $toast",
		$vacuum, 'CLUSTER product USING product_pkey'));
is($node->safe_psql('postgres', 'SELECT * FROM spoilt'),
	'', 'no text was spoilt');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM edit'),
	'>', 10, 'texts were edited');
cmp_ok(
	$node->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_attribute WHERE attrelid = 'product'::regclass AND attisdropped"
	),
	'>', 2,
	'columns came and went');
is( $node->safe_psql(
		'postgres',
		"SELECT * FROM verify_heapam('product', check_toast => true)"),
	'', 'no page is damaged');
is( $node->safe_psql(
		'postgres',
		"SELECT sum(length(bt_index_check(indexrelid, true)::text)) FROM pg_index WHERE indrelid IN ('product'::regclass, '$toast'::regclass)"
	),
	0,
	'nor an index');

done_testing();
