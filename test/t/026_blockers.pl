# purchase_blockers() names those who hold a product, or have locked its table, and those who
# wait for it, and nobody else.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop', conf => 'max_prepared_transactions = 5');

create_shop($node, 20, 100);
$node->safe_psql(
	'postgres', q(
CREATE TABLE part (id int PRIMARY KEY, stock int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
INSERT INTO part SELECT n, 100 FROM generate_series(1, 19) AS n;
SELECT purchase_attach('part');
CREATE TABLE seats (seat text PRIMARY KEY, stock int NOT NULL, hidden bool DEFAULT false);
INSERT INTO seats VALUES ('A-1', 1), ('A-2', 1);
INSERT INTO seats VALUES ('A-3', 1, true);
SELECT purchase_attach('seats');
CREATE VIEW cheap AS SELECT seat, stock FROM seats;
SELECT purchase_attach('cheap', key_column => 'seat');
-- a unique index with the stock: sales lock FOR UPDATE
CREATE TABLE strong (id int PRIMARY KEY, stock int NOT NULL, UNIQUE (stock, id));
CREATE TABLE strong_line (id int REFERENCES strong);
INSERT INTO strong VALUES (1, 100);
SELECT purchase_attach('strong');
CREATE TABLE u (id uuid PRIMARY KEY, stock int NOT NULL);
INSERT INTO u VALUES ('00000000-0000-0000-0000-000000000001', 100);
SELECT purchase_attach('u');
-- whose rows leave their page when they are changed
CREATE TABLE crowded (id int PRIMARY KEY, stock int NOT NULL, filler text DEFAULT repeat('x', 1500));
INSERT INTO crowded SELECT n, 100 FROM generate_series(1, 20) AS n;
SELECT purchase_attach('crowded');
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE remote (id int, stock int) SERVER far;
SELECT purchase_attach('remote', key_column => 'id');
CREATE ROLE buyer LOGIN;
GRANT SELECT ON seats TO buyer;
ALTER TABLE seats ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON seats USING (NOT hidden);
CREATE ROLE nobody LOGIN;
));

my %name;						# of sessions, by pid

sub open_session
{
	my ($name) = @_;
	my $session = session($node);

	$name{ ask($session, 'SELECT pg_backend_pid()') } = $name;
	return $session;
}

sub pid_of
{
	my ($name) = @_;

	return (grep { $name{$_} eq $name } keys %name)[0];
}

# "name role, ...", in the order of the answer
sub blockers
{
	my ($args, @options) = @_;
	my @rows = split /\n/,
	  $node->safe_psql('postgres',
		"SELECT COALESCE(pid::text, query) || ' ' || role FROM purchase_blockers($args)", @options);

	return join ', ', map { s/^(\d+)/$name{$1} \/\/ $1/er } @rows;
}

my ($a, $b, $c, $d) = map { open_session($_) } qw(a b c d);

sub waits
{
	my ($name, $session, $query) = @_;

	begin_query($session, $query);
	wait_for_wait($node, pid_of($name));
	return;
}

# Who is woken waits for another one in time.
sub become_blockers
{
	my ($name, $args, %roles) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $expected = join ', ', map { '(' . pid_of($_) . ", '$roles{$_}')" } keys %roles;

	ok( $node->poll_query_until('postgres',
			"SELECT array_agg((pid, role) ORDER BY pid) FROM purchase_blockers($args)",
			$node->safe_psql('postgres',
				"SELECT array_agg((pid, role) ORDER BY pid) FROM (VALUES $expected) AS v (pid, role)")),
		$name);
	return;
}

foreach my $engine ('auto', 'sql')
{
	$node->safe_psql('postgres', "ALTER DATABASE postgres SET purchase.engine = $engine");
	ask($_, "SET purchase.engine = $engine") foreach $a, $b, $c, $d;
	ask($_, "SET purchase.lock_wait = '50s'") foreach $a, $b, $c, $d;

	is(blockers('1'), '', "$engine: nobody");
	ask($a, 'BEGIN; SELECT purchase(1, 1)');
	is(blockers('1'), 'a holds', "$engine: who has sold it");
	is(blockers('2'), '', "$engine: not another product");
	like( $node->safe_psql('postgres', q(SELECT b.since = a.xact_start, b.usename = current_user, b.state, b.query
			FROM purchase_blockers(1) AS b JOIN pg_stat_activity AS a USING (pid))),
		qr/^t\|t\|idle in transaction\|SELECT purchase\(1, 1\)/, "$engine: since when, who, what");
	waits('b', $b, 'SELECT purchase(1, 1)');
	waits('c', $c, 'SELECT purchase(1, 1)');
	waits('d', $d, 'UPDATE product SET stock = stock WHERE id = 1');
	is(blockers('1'), 'a holds, b waits, c waits, d waits', "$engine: who waits, in the order of their coming");
	is( $node->safe_psql('postgres', q(SELECT bool_and(b.since BETWEEN a.query_start AND now()) FROM purchase_blockers(1) AS b
			JOIN pg_stat_activity AS a USING (pid) WHERE role = 'waits')), 't', "$engine: since when");
	is(blockers("'1'"), 'a holds, b waits, c waits, d waits', "$engine: as text");
	ask($a, 'COMMIT');
	end_query($_) foreach $b, $c, $d;
	is(blockers('1'), '', "$engine: all are gone");

	# who waits for the next one
	foreach my $table ('product', 'crowded')
	{
		my $query = "SELECT purchase(1, 1, '$table')";

		ask($a, "BEGIN; $query");
		waits('b', $b, "BEGIN; SAVEPOINT s; $query");
		waits('c', $c, $query);
		waits('d', $d, $query);
		ask($a, "COMMIT; BEGIN; SELECT purchase(2, 1, '$table')");
		end_query($b);
		become_blockers("$engine: who waits for the next one ($table)",
			"1, '$table'", b => 'holds', c => 'waits', d => 'waits');
		is(blockers("2, '$table'"), 'a holds', "$engine: and not for another product");
		ask($_, 'COMMIT') foreach $a, $b;
		end_query($_) foreach $c, $d;
	}

	# who comes to the row by an old version has no lock that is named after it
	ask($d, 'SELECT pg_advisory_lock(1)');
	waits('c', $c, 'UPDATE product SET stock = stock WHERE id = 1 AND (SELECT pg_advisory_xact_lock(1)) IS NOT NULL');
	ask($a, 'SELECT purchase(1, 1)');
	ask($b, 'BEGIN; SAVEPOINT s; SELECT purchase(1, 1)');
	ask($d, 'SELECT pg_advisory_unlock(1)');
	become_blockers("$engine: who comes by an old version", '1', b => 'holds', c => 'waits');
	ask($b, 'COMMIT');
	end_query($c);

	# at REPEATABLE READ, who waits is in core's queue alone
	ask($a, 'BEGIN; SELECT purchase(1, 1)');
	waits('b', $b, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT purchase(1, 1)');
	is(blockers('1'), 'a holds, b waits', "$engine: who waits at REPEATABLE READ");
	ask($a, 'COMMIT');
	end_query($b);
	ask($b, 'ROLLBACK');

	# one who holds two products, and who waits for the other one
	ask($a, 'BEGIN; SELECT purchase(1, 1); SELECT purchase(2, 1)');
	waits('b', $b, 'SELECT purchase(2, 1)');
	is(blockers('1'), 'a holds', "$engine: not who waits for another product of the same holder");
	is(blockers('2'), 'a holds, b waits', "$engine: but for that one");
	ask($a, 'COMMIT');
	end_query($b);

	ask($a, 'BEGIN; SAVEPOINT s; SELECT purchase(1, 1)');
	is(blockers('1'), 'a holds', "$engine: in a subtransaction");
	ask($a, 'RELEASE s');
	is(blockers('1'), 'a holds', "$engine: that was released");
	ask($a, 'ROLLBACK');

	ask($a, 'BEGIN; INSERT INTO order_line VALUES (1, 1)');
	is(blockers('1'), '', "$engine: an order line is in nobody's way");
	ask($b, 'BEGIN; INSERT INTO order_line VALUES (1, 1); SELECT FROM product WHERE id = 1 FOR NO KEY UPDATE');
	is(blockers('1'), 'b holds', "$engine: who holds it beside an order line");
	ask($_, 'ROLLBACK') foreach $a, $b;
	ask($_, 'BEGIN; SELECT FROM product WHERE id = 1 FOR SHARE') foreach $a, $b;
	is(blockers('1'), 'a holds, b holds', "$engine: two who hold it");
	ask($_, 'ROLLBACK') foreach $a, $b;
	ask($a, 'BEGIN; INSERT INTO strong_line VALUES (1)');
	is(blockers("1, 'strong'"), 'a holds', "$engine: where the stock is in a key, an order line is in the way");
	waits('b', $b, "SELECT purchase(1, 1, 'strong')");
	is(blockers("1, 'strong'"), 'a holds, b waits', "$engine: who waits FOR UPDATE");
	ask($a, 'ROLLBACK');
	end_query($b);

	ask($a, "BEGIN; SELECT purchase(3, 1); PREPARE TRANSACTION 'it''s'");
	is(blockers('3'), "PREPARE TRANSACTION 'it''s' holds", "$engine: a prepared transaction");
	ask($a, "ROLLBACK PREPARED 'it''s'");

	ask($a, "BEGIN; SELECT purchase(11, 1, 'part')");
	waits('b', $b, "SELECT purchase(11, 1, 'part')");
	is(blockers("11, 'part'"), 'a holds, b waits', "$engine: a partitioned table");
	is(blockers("1, 'part'"), '', "$engine: another partition");
	ask($a, 'COMMIT');
	end_query($b);

	ask($a, "BEGIN; SELECT purchase('A-1', 1, 'cheap')");
	is(blockers("'A-1', 'cheap'"), 'a holds', "$engine: a view");
	is(blockers("'A-1', 'seats'"), 'a holds', "$engine: and the table below");
	ask($a, 'ROLLBACK');
	ask($a, "BEGIN; SELECT purchase('00000000-0000-0000-0000-000000000001'::uuid, 1, 'u')");
	is(blockers("'00000000-0000-0000-0000-000000000001'::uuid, 'u'"), 'a holds', "$engine: by uuid");
	ask($a, 'ROLLBACK');

	# table locks
	ask($a, 'BEGIN; LOCK TABLE product IN SHARE MODE');
	is(blockers('1'), 'a locks table', "$engine: a table that may be read only");
	ask($a, 'ROLLBACK; BEGIN; LOCK TABLE product');
	waits('b', $b, 'SELECT purchase(1, 1)');
	is(blockers('1'), 'a locks table, b waits', "$engine: a table that is locked");
	is(sqlstate($node, 'SET ROLE nobody; SELECT * FROM purchase_blockers(1)'), '42501', "$engine: no right to know");
	ask($a, 'ROLLBACK');
	end_query($b);
	ask($a, 'BEGIN; SELECT count(*) FROM product');
	is(blockers('1'), '', "$engine: who reads is in nobody's way");
	waits('b', $b, 'ALTER TABLE product ADD CHECK (stock >= -1)');
	waits('c', $c, 'SELECT purchase(1, 1)');
	is(blockers('1'), 'a locks table, b locks table, c waits', "$engine: until somebody wants to lock the table");
	ask($a, 'ROLLBACK');
	end_query($_) foreach $b, $c;
	is(blockers('1'), '', "$engine: all are gone");

	# what is below the table is locked
	ask($a, 'BEGIN; LOCK TABLE seats');
	is(blockers("'A-1', 'cheap'"), 'a locks table', "$engine: the table below a view is locked");
	waits('b', $b, "BEGIN; SELECT purchase('A-1', 1, 'cheap')");
	is(blockers("'A-1', 'cheap'"), 'a locks table, b waits', "$engine: and who waits for that");
	ask($a, 'ROLLBACK');
	end_query($b);
	ask($b, 'ROLLBACK');
	ask($a, 'BEGIN; LOCK TABLE part_1');
	is(blockers("1, 'part'"), 'a locks table', "$engine: a partition is locked");
	ask($a, 'ROLLBACK; BEGIN; REINDEX INDEX product_pkey');
	is(blockers('1'), 'a locks table', "$engine: an index is locked");
	ask($a, 'ROLLBACK');
	ask($a, "BEGIN; LOCK TABLE product; PREPARE TRANSACTION 'lock'");
	is(blockers('1'), "PREPARE TRANSACTION 'lock' locks table", "$engine: by a prepared transaction");
	ask($a, "ROLLBACK PREPARED 'lock'; BEGIN; SELECT count(*) FROM product; PREPARE TRANSACTION 'read'");
	waits('b', $b, 'ALTER TABLE product ADD CHECK (stock >= -1)');
	waits('c', $c, 'SELECT purchase(1, 1)');
	is(blockers('1'), "PREPARE TRANSACTION 'read' locks table, b locks table, c waits", "$engine: one that is in the way of a lock");
	ask($a, "ROLLBACK PREPARED 'read'");
	end_query($_) foreach $b, $c;

	ask($a, 'BEGIN; SELECT purchase(1, 1)');
	is( ask($b, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT role FROM purchase_blockers(1)"), "1\nholds",
		"$engine: at REPEATABLE READ");
	ask($a, 'COMMIT; BEGIN; SELECT purchase(1, 1)');
	is( ask($b, "SELECT role FROM purchase_blockers(1)"), 'holds', "$engine: with an old snapshot");
	is( ask($a, 'SELECT pid = pg_backend_pid() FROM purchase_blockers(1)'), 't', "$engine: oneself");
	ask($_, 'ROLLBACK') foreach $a, $b;

	# what can't be told, and to whom
	is(sqlstate($node, 'SELECT * FROM purchase_blockers(100)'), 'SK001', "$engine: no such product");
	is(sqlstate($node, "SELECT * FROM purchase_blockers(10000000000::bigint, 'part')"), 'SK001', "$engine: no such key");
	is(sqlstate($node, 'SELECT * FROM purchase_blockers(NULL::bigint)'), '22004', "$engine: none");
	is(sqlstate($node, "SELECT * FROM purchase_blockers(1, 'order_line')"), '55000', "$engine: not attached");
	is(sqlstate($node, "SET ROLE nobody; SELECT * FROM purchase_blockers(1)"), '42501', "$engine: no right to read it");
	is(sqlstate($node, "SET ROLE buyer; SELECT * FROM purchase_blockers('A-3', 'seats')"), 'SK001', "$engine: a row that is hidden");
	ask($a, "BEGIN; SELECT purchase('A-1', 1, 'seats')");
	is( $node->safe_psql('postgres', "SET ROLE buyer; SELECT role, state, query FROM purchase_blockers('A-1', 'seats')"),
		'holds||<insufficient privilege>', "$engine: another user's query");
	is( $node->safe_psql('postgres', "GRANT pg_read_all_stats TO buyer; SET ROLE buyer;
			SELECT role, state, left(query, 6) FROM purchase_blockers('A-1', 'seats'); RESET ROLE; REVOKE pg_read_all_stats FROM buyer"),
		'holds|idle in transaction|SELECT', "$engine: who may read all statistics sees it");
	ask($a, 'ROLLBACK');
}

is(sqlstate($node, "SELECT * FROM purchase_blockers(1, 'remote')"), '0A000', 'a foreign table');

# names that would be found first, were the search_path not safe
$node->safe_psql('postgres', q(
CREATE SCHEMA evil;
CREATE TABLE evil.pg_locks (pid int);
CREATE FUNCTION evil.unnest(int[]) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1/0'));
ask($a, 'BEGIN; SELECT purchase(1, 1)');
is($node->safe_psql('postgres', 'SET search_path = evil, pg_catalog, public; SELECT role FROM purchase_blockers(1)'), 'holds',
	'a search_path that is not safe');

$_->quit foreach $a, $b, $c, $d;
is(blockers('1'), '', 'nobody');

done_testing();
