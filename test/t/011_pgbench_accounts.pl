# Sells from a table that this project did not design: that of a fresh
# "pgbench -i", with its own types, names and fillfactor, to pgbench itself, which
# writes its history as the order lines.  In all query modes, as a driver may
# prepare statements or not; parameters are untyped then.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop');
$node->command_ok([ 'pgbench', '-i', '-q', '-s', 1, 'postgres' ],
	'pgbench -i');
is( $node->safe_psql(
		'postgres', "CREATE EXTENSION purchase;
SELECT purchase_attach('pgbench_accounts', stock_column => 'abalance', key_column => 'aid');
SELECT stock_table, key_column, stock_column, is_default, engine FROM purchase_stock_tables"
	),
	"\npgbench_accounts|aid|abalance|t|row",
	'attached');
is( sqlstate($node, 'SELECT purchase(1, 1)'),
	'SK002', 'all accounts are empty at first');
# a thousand accounts, some of them wanted by many
$node->safe_psql('postgres',
	'UPDATE pgbench_accounts SET abalance = 10 WHERE aid <= 1000');

my $sale = <<'SQL';
\set aid random_zipfian(1, 1000, 1.2)
BEGIN;
SELECT outcome = 'sold' AS sold FROM purchase_try(:aid, 1) \gset
\if :sold
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, -1, CURRENT_TIMESTAMP);
\endif
END;
SQL

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";

	foreach my $mode ('simple', 'extended', 'prepared')
	{
		my $before =
		  $node->safe_psql('postgres', 'SELECT count(*) FROM pgbench_history');
		my $load =
		  start_pgbench($node, $sale, '-M', $mode, '-c', 8, '-t', 100);

		is(finish_pgbench($load), 0, "$engine, $mode: pgbench sells");
		cmp_ok(
			$node->safe_psql('postgres', 'SELECT count(*) FROM pgbench_history'),
			'>', $before, "$engine, $mode: some were sold");
		is( $node->safe_psql(
				'postgres', 'SELECT a.aid, abalance, sold FROM pgbench_accounts a
LEFT JOIN (SELECT aid, -sum(delta) AS sold FROM pgbench_history GROUP BY 1) h USING (aid)
WHERE abalance <> CASE WHEN aid <= 1000 THEN 10 ELSE 0 END - COALESCE(sold, 0)
	OR abalance < 0'),
			'',
			"$engine, $mode: each account has what was not sold");
	}
}

# pgbench's own script may run at the same time
my $own = start_pgbench($node, $sale, '-M', 'prepared', '-c', 4, '-t', 100,
	'-b', 'tpcb-like');
is(finish_pgbench($own), 0, 'beside updates that pgbench itself makes');

server_log_is_clean($node);
done_testing();
