# Early release and the loss of a server: every sale that a client was told of is
# there afterwards, and at most one more for each client.
#
# With flushes that take 30 ms longer, most sales are visible and not yet flushed
# when the server is stopped.  With a synchronous standby, that one is promoted
# after the primary is gone.  A control that does not wait loses sales that it was
# told of, so the test can fail.
#
# CRASHES=100 stops the server as often, for each setting.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $crashes = $ENV{CRASHES} // 4;
my $clients = 8;
my $dir = PostgreSQL::Test::Utils::tempdir;
system_or_bail('cc', '-shared', '-fPIC', '-o', "$dir/flush_gate.so",
	"$FindBin::Bin/flush_gate.c", '-ldl');

sub start_slow
{
	my ($node) = @_;
	local $ENV{LD_PRELOAD} = "$dir/flush_gate.so";
	local $ENV{FLUSH_DELAY} = 30000;

	$node->start;
	return;
}

sub sold
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		'SELECT initial - stock FROM product WHERE id = 1');
}

# Sell product 1 until some of it is sold, then lose the server.  Returns what was
# sold before, and what the clients were told of since.
sub lose_in_a_load
{
	my ($node, $settings) = @_;
	my $before = sold($node);
	my $load;
	{
		local $ENV{PGOPTIONS} = $settings;
		$load = start_pgbench($node, 'SELECT purchase(1, 1)',
			'-c', $clients, '-T', 60);
	}

	$node->poll_query_until('postgres',
		"SELECT initial - stock >= $before + 60 FROM product WHERE id = 1")
	  or die 'the load does not sell';
	$node->stop('immediate');
	finish_pgbench($load);
	$load->{out} =~ /^number of transactions actually processed: (\d+)/m
	  or die "pgbench does not say how much it was told: $load->{out}";
	return ($before, $1);
}

# as new_node(), but started slowly
sub slow_node
{
	my ($name, %init) = @_;
	my $node = new_node($name, %init);

	create_shop($node, 1, 1000000);
	$node->stop;
	start_slow($node);
	return $node;
}

my $conf = 'wal_sync_method = fdatasync
fsync = on
checkpoint_timeout = 1h';

my $node = slow_node('shop', conf => $conf);
foreach my $engine ('auto', 'sql')
{
	foreach (1 .. $crashes)
	{
		my ($before, $told) = lose_in_a_load($node,
			"-c purchase.engine=$engine -c purchase.early_release=on -c purchase.lock_wait=-1"
		);
		start_slow($node);
		my $sold = sold($node) - $before;
		ok( $told <= $sold && $sold <= $told + $clients,
			"$engine: told of $told, sold $sold");
		cmp_ok($told, '>', 0, "$engine: some were told");
	}
}

# the control: told at once, and not durable
my $lost = 0;
foreach (1 .. 10)
{
	my ($before, $told) = lose_in_a_load($node,
		'-c synchronous_commit=off -c purchase.lock_wait=-1');
	start_slow($node);
	$lost += $told - (sold($node) - $before);
	last if $lost > 0;
}
cmp_ok($lost, '>', 0, 'without the wait, a crash loses what clients were told of');
$node->stop;

# a synchronous standby takes over
foreach my $level ('on', 'local')
{
	foreach my $n (1 .. ($crashes + 1) / 2)
	{
		my $primary = new_node("primary_${level}_$n",
			allows_streaming => 1, conf => $conf);
		my $standby = PostgreSQL::Test::Cluster->new("standby_${level}_$n");

		create_shop($primary, 1, 1000000);
		$primary->backup('base');
		$standby->init_from_backup($primary, 'base', has_streaming => 1);
		start_slow($standby);
		$primary->append_conf('postgresql.conf',
			"synchronous_standby_names = '*'");
		$primary->reload;
		$primary->poll_query_until('postgres',
			"SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')"
		) or die 'no synchronous standby';

		my ($before, $told) = lose_in_a_load($primary,
			"-c purchase.early_release=$level -c purchase.lock_wait=-1");
		$standby->promote;
		my $sold = sold($standby) - $before;
		cmp_ok($told, '>', 0, "$level: some were told");
		ok( $told <= $sold && $sold <= $told + $clients,
			"$level, standby promoted: told of $told, sold $sold");
		$standby->stop;
	}
}

# With the standby stopped nobody is told, and the row is free.  When it comes back,
# all are.
my $primary = new_node('primary', allows_streaming => 1, conf => $conf);
my $standby = PostgreSQL::Test::Cluster->new('standby');
create_shop($primary, 2, 100);
$primary->safe_psql('postgres', 'CREATE TABLE other (n int); INSERT INTO other VALUES (0)');
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
  or die 'no synchronous standby';

sub wait_for_standby_of
{
	my ($pid) = @_;

	$primary->poll_query_until('postgres',
		"SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $pid")
	  or die "backend $pid does not wait for the standby";
	return;
}

foreach my $level ('on', 'local')
{
	my @session = map { session($primary) } 1 .. 4;
	my @pid = map { ask($_, 'SELECT pg_backend_pid()') } @session;
	my $before =
	  $primary->safe_psql('postgres', 'SELECT stock FROM product WHERE id = 2');

	ask($_, "SET purchase.early_release = $level") foreach @session;
	$standby->stop;
	foreach my $i (0 .. 2)
	{
		begin_query($session[$i], 'SELECT purchase(2, 1)');
		wait_for_standby_of($pid[$i]);
	}
	is( $primary->safe_psql('postgres', 'SELECT stock FROM product WHERE id = 2'),
		$before - 3,
		"$level: the standby is stopped, and three have sold");

	# a cancel ends the wait, a warning says what that means, as for any commit
	$primary->safe_psql('postgres', "SELECT pg_cancel_backend($pid[0])");
	like(end_query($session[0]), qr/01000/, "$level: one is cancelled, and warned");
	# a terminated one is not told
	$primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid[1])");
	$primary->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid[1])");
	eval { $session[1]->quit };

	# DDL in the transaction, or remote_apply: the row stays locked
	foreach my $late (
		"BEGIN; SELECT purchase(2, 1) \\g /dev/null\nALTER TABLE other ALTER n SET NOT NULL; COMMIT",
		"SET synchronous_commit = remote_apply; SELECT purchase(2, 1) \\g /dev/null\n")
	{
		begin_query($session[3], $late);
		wait_for_standby_of($pid[3]);
		is(ask($session[0], 'SELECT outcome FROM purchase_try(2, 1)'),
			'busy', "$level: not early: $late");
		$primary->safe_psql('postgres', "SELECT pg_cancel_backend($pid[3])");
		end_query($session[3]);
	}

	$standby->start;
	is(end_query($session[2]), $before - 3, "$level: it is back, and who has waited is told");
	is(ask($session[0], 'SELECT purchase(2, 1)'), $before - 6, "$level: and all goes on");
	eval { $_->quit } foreach @session[ 0, 2, 3 ];
}

done_testing();
