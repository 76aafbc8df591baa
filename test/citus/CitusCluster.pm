# A cluster of Citus: a coordinator and two workers, with a distributed shop.
package CitusCluster;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use lib "$FindBin::Bin/../t";
use Shop;

our @EXPORT = qw(new_cluster set_on distribute_shop node_of product_on);

# new_cluster(NAME, conf => TEXT): (coordinator, worker, worker).
sub new_cluster
{
	my ($name, %opts) = @_;
	my @nodes = map {
		new_node("$name$_", conf => "shared_preload_libraries = 'citus, purchase'
citus.node_conninfo = 'sslmode=disable'
citus.shard_count = 8
citus.enable_statistics_collection = off
citus.log_remote_commands = off
wal_level = logical
max_prepared_transactions = 100
max_worker_processes = 32
max_wal_senders = 10
max_replication_slots = 10
statement_timeout = 0
ssl = off
" . ($opts{conf} // ''));
	} 0 .. 2;

	for my $node (@nodes)
	{
		$node->append_conf('postgresql.conf',
			"citus.local_hostname = '" . $node->host . "'");
		$node->restart;
		$node->safe_psql('postgres', 'CREATE EXTENSION citus');
	}
	$nodes[0]->safe_psql('postgres', join(";\n",
			"SELECT citus_set_coordinator_host('" . $nodes[0]->host . "', " . $nodes[0]->port . ')',
			map { "SELECT citus_add_node('" . $_->host . "', " . $_->port . ')' } @nodes[ 1, 2 ]));
	return @nodes;
}

# distribute_shop(COORDINATOR, PRODUCTS, STOCK): with sales and limits, registered on every node.
sub distribute_shop
{
	my ($coordinator, $products, $stock) = @_;

	$coordinator->safe_psql('postgres', qq(
CREATE EXTENSION purchase;
CREATE TABLE product (id bigint PRIMARY KEY, initial bigint NOT NULL, stock bigint NOT NULL,
	per_buyer integer);
SELECT purchase_attach('product'), purchase_keep_sales('product', limit_column => 'per_buyer');
SELECT create_distributed_table('product', 'id');
INSERT INTO product SELECT g, $stock, $stock FROM generate_series(1, $products) AS g;
SET client_min_messages = warning;
SELECT purchase_distribute('product');
));
	return;
}

# set_on(SETTING, NODE...): for all sessions, from now on.
sub set_on
{
	my ($setting, @nodes) = @_;

	foreach my $node (@nodes)
	{
		$node->append_conf('postgresql.conf', $setting);
		$node->reload;
		$node->poll_query_until('postgres', 'SELECT pg_conf_load_time() > backend_start
			FROM pg_stat_activity WHERE pid = pg_backend_pid()', 'f');
	}
	return;
}

# The number of the worker that has a product's row.
sub node_of
{
	my ($product, @nodes) = @_;
	my $port = $nodes[0]->safe_psql('postgres', qq(
SELECT nodeport FROM citus_shards
WHERE table_name = 'product'::regclass
	AND shardid = get_shard_id_for_distribution_column('product', $product)));

	return (grep { $nodes[$_]->port == $port } 1, 2)[0];
}

# The first products that each worker has, as a list by the worker's number.
sub product_on
{
	my (@nodes) = @_;
	my @found;

	for my $product (1 .. 20)
	{
		$found[ node_of($product, @nodes) ] //= $product;
	}
	return @found;
}

1;
