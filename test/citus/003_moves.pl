# On Citus: no sale is lost while shards move, in either way, nor when a worker dies.  As a
# control, without the lock on the shard's metadata sales are lost.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../t";
use CitusCluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $shardless = PostgreSQL::Test::Utils::tempdir() . '/shardless.so';
system('cc', '-shared', '-fPIC', '-o', $shardless, "$FindBin::Bin/shardless.c") == 0
  or die 'shardless.c does not compile';

# Each client tells what was sold to it, in a table of the coordinator's.
my $sell = q(\set id random(1, 20)
SELECT outcome = 'sold' AS sold FROM purchase_try(:id::bigint, 1) \gset
\if :sold
INSERT INTO sold VALUES (:id);
\endif
);

sub move_shards
{
	my ($load, $mode, @nodes) = @_;
	my $moves = 0;

	while ($load->{run}->pumpable)
	{
		$load->{run}->pump_nb;
		my ($shard, $from, $to) = split /\|/, $nodes[0]->safe_psql('postgres', qq(
SELECT shardid, nodeport, CASE nodeport WHEN ${\$nodes[1]->port} THEN ${\$nodes[2]->port} ELSE ${\$nodes[1]->port} END
FROM citus_shards WHERE table_name = 'product'::regclass ORDER BY random() LIMIT 1));
		my ($ret, $out, $err) = $nodes[0]->psql('postgres', "SELECT citus_move_shard_placement($shard, '${\$nodes[1]->host}', $from, '${\$nodes[1]->host}', $to, '$mode')");

		$ret == 0 ? $moves++ : diag($err);
	}
	return $moves;
}

# Units that were sold, and are still in stock.
sub lost
{
	my ($coordinator) = @_;

	return $coordinator->safe_psql('postgres', q(
SELECT COALESCE(sum(stock + sold - initial), 0)
FROM product JOIN (SELECT id, count(*) AS sold FROM sold GROUP BY id) AS s USING (id)));
}

sub sell_and_move
{
	my ($name, $mode) = @_;
	my @nodes = new_cluster($name);
	my $coordinator = $nodes[0];

	distribute_shop($coordinator, 20, 1000000);
	$coordinator->safe_psql('postgres', 'CREATE TABLE sold (id bigint)');
	my $load = start_pgbench($coordinator, $sell, '-c', 4, '-T', 12);
	my $moves = move_shards($load, $mode, @nodes);

	note("$moves moves, lost " . lost($coordinator) . ' of ' . $coordinator->safe_psql('postgres', 'SELECT count(*) FROM sold'));
	cmp_ok($moves, '>', 3, "$name: shards moved");
	return ($load, @nodes);
}

foreach my $mode ('block_writes', 'force_logical')
{
	my ($load, @nodes) = sell_and_move($mode, $mode);

	is(finish_pgbench($load), 0, "$mode: nobody was told of it");
	is(lost($nodes[0]), 0, "$mode: no sale is lost");
	server_log_is_clean($_) for @nodes;
	$_->stop for @nodes;
}

{
	local $ENV{LD_PRELOAD} = $shardless;
	my ($load, @nodes) = sell_and_move('control', 'block_writes');

	finish_pgbench($load);
	cmp_ok(lost($nodes[0]), '>', 0, 'control: without the lock, sales are lost');
	$_->stop for @nodes;
}

# A worker dies in the middle of transactions over both, and comes back.
my @nodes = new_cluster('dies');
my ($coordinator, @workers) = @nodes;
distribute_shop($coordinator, 20, 100000);
my ($one, $two) = (product_on(@nodes))[ 1, 2 ];
my $load = start_pgbench($coordinator, qq(\\set id random(1, 1000000000)
BEGIN;
SELECT purchase($one, 1, sale_id => :id::text);
SELECT purchase($two, 1, sale_id => :id::text);
COMMIT;
), '-c', 4, '-t', 100000);
$coordinator->poll_query_until('postgres', 'SELECT count(*) > 50 FROM product_sale') or die 'nothing is sold';
$workers[1]->stop('immediate');
isnt(finish_pgbench($load), 0, 'who sells from a dead node is told');
is($coordinator->safe_psql('postgres', "SELECT purchase($one, 1) IS NOT NULL"), 't', 'the other node sells on')
  or diag($coordinator->safe_psql('postgres', 'SELECT * FROM pg_prepared_xacts'));
isnt(sqlstate($coordinator, "SELECT purchase($two, 1)"), '', 'the dead one does not');
$workers[1]->start;
$coordinator->safe_psql('postgres', 'SELECT recover_prepared_transactions()');
is($coordinator->safe_psql('postgres', "SELECT purchase($two, 1) IS NOT NULL"), 't', 'it is back');
is($coordinator->safe_psql('postgres', 'SELECT count(*) FROM (SELECT sale_id FROM product_sale GROUP BY 1 HAVING count(*) <> 2) AS s'),
	'0', 'what was sold over both is sold on both, or on none');
is($coordinator->safe_psql('postgres', q(SELECT string_agg((initial - stock - sold)::text, ' ') FROM product
	JOIN (SELECT product_id AS id, sum(qty) AS sold FROM product_sale GROUP BY 1) AS s USING (id))), '1 1',
	'and the books agree');

done_testing();
