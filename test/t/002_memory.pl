# A million calls in one session don't grow its memory, whatever becomes of
# them, nor do changes of the stock table's definition.  The memory is read from
# within, also in the middle of a statement: what a statement leaks is gone at
# its end.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# What may come and go in PostgreSQL's own caches, in bytes; the smallest thing
# that can leak, 16 bytes in one of ten calls, is several times that.
my $allowed = 100_000;

my $node = new_node('shop',
	conf => 'synchronous_commit = off
statement_timeout = 0
log_min_messages = fatal
autovacuum = off');
create_shop($node, 1000, 1000000000);
$node->safe_psql(
	'postgres', q(
INSERT INTO product VALUES (0, 'none', 0, 0), (-1, 'few', 1, 1);

CREATE FUNCTION memory() RETURNS bigint LANGUAGE sql AS
	'SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts';

-- one statement: n refusals of all kinds; the growth of the last nine tenths
CREATE FUNCTION refusals(n int) RETURNS bigint LANGUAGE sql
	SET jit = off AS $$
	SELECT max(m) - min(m) FROM
		(SELECT CASE i % 4
				WHEN 0 THEN purchase_try(0, 1)
				WHEN 1 THEN purchase_try('-1', 2)
				WHEN 2 THEN purchase_try('123456', 1, 'product')
				ELSE purchase_try(-1, 2, 'product') END,
			CASE WHEN i % (n / 10) = 0 THEN memory() END AS m
		 FROM (SELECT generate_series(1, n) AS i) AS s
		 OFFSET 0) AS t
$$;

-- n calls of all functions, caught errors too, in many transactions
CREATE PROCEDURE calls(n int, INOUT growth bigint DEFAULT 0)
	LANGUAGE plpgsql AS $$
DECLARE
	answer record;
	number bigint;
	base bigint;
BEGIN
	FOR i IN 1 .. n / 10 LOOP
		number := purchase(i % 1000 + 1, 1);
		number := purchase((i % 1000 + 1)::text, 2, 'product');
		number := purchase_restock(i % 1000 + 1, 3);
		number := purchase_available(i % 1000 + 1);
		SELECT * INTO answer FROM purchase_try(i % 1000 + 1, 1);
		SELECT * INTO answer FROM purchase_try(-1, 2);
		SELECT * INTO answer FROM purchase_try(0, 1);
		BEGIN
			number := purchase(0, 1);
		EXCEPTION WHEN SQLSTATE 'SK002' THEN
		END;
		BEGIN
			number := purchase('123456', 1);
		EXCEPTION WHEN SQLSTATE 'SK001' THEN
		END;
		BEGIN
			number := purchase(i % 1000 + 1, 1);
			RAISE SQLSTATE 'SK999';
		EXCEPTION WHEN SQLSTATE 'SK999' THEN
		END;
		IF i % 100 = 0 THEN
			COMMIT;
		END IF;
		IF i = n / 100 THEN
			base := memory();
		END IF;
		IF i % (n / 100) = 0 THEN
			growth := greatest(growth, memory() - base);
		END IF;
	END LOOP;
END
$$;

-- n changes of the definition, each followed by calls
CREATE PROCEDURE changes(n int, INOUT growth bigint DEFAULT 0)
	LANGUAGE plpgsql AS $$
DECLARE
	number bigint;
	base bigint;
BEGIN
	FOR i IN 1 .. n LOOP
		PERFORM purchase_attach('product');
		number := purchase(1, 1);
		ALTER TABLE product ALTER stock SET STATISTICS 100;
		number := purchase_restock(1, 1);
		COMMIT;
		ALTER TABLE product RENAME stock TO renamed;
		BEGIN
			number := purchase(1, 1);
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
		END;
		ROLLBACK;
		IF i = n / 10 THEN
			base := memory();
		END IF;
	END LOOP;
	growth := memory() - base;
END
$$;
));
$node->safe_psql('postgres', 'VACUUM ANALYZE product');

# Memory that no context knows of, in kB.
sub process_memory
{
	my ($pid) = @_;

	return 0 unless -r "/proc/$pid/status";
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : 0;
}

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $session = session($node);
	my $pid = ask($session, 'SELECT pg_backend_pid()');

	engine_is($node, $engine);

	# fills the caches
	ask($session, 'SELECT refusals(1000)');
	ask($session, 'CALL calls(10000)');
	ask($session, 'CALL changes(10)');
	ask($session, 'SELECT purchase(0, 1)');
	ask($session, 'SELECT memory()');
	my $memory = ask($session, 'SELECT memory()');
	my $process = process_memory($pid);

	my $growth = ask($session, 'SELECT refusals(500000)');
	cmp_ok($growth, '<', $allowed,
		"$engine: growth by 500,000 refusals in one statement");

	$growth = ask($session, 'CALL calls(500000)');
	cmp_ok($growth, '<', $allowed, "$engine: growth by 500,000 calls");

	$growth = ask($session, 'CALL changes(500)');
	cmp_ok($growth, '<', $allowed,
		"$engine: growth by 500 changes of the definition");

	# each is a statement of its own
	my @errors = split /\n/,
	  ask($session,
		"SELECT 'SELECT purchase(0, 1)' FROM generate_series(1, 5000) \\gexec"
	  );
	is(scalar(grep { $_ eq 'ERROR:  SK002' } @errors),
		5000, "$engine: 5,000 errors");

	cmp_ok(ask($session, 'SELECT memory()') - $memory,
		'<', $allowed, "$engine: growth in all");
	cmp_ok(process_memory($pid) - $process,
		'<', 8192, "$engine: growth of the process in kB");
	$session->quit;
}

server_log_is_clean($node);
done_testing();
