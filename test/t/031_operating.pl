# What doc/operating.md tells to look at when sales stop: each query is asked in the
# situation that it is for, and shows it; and each situation looks to the shop as the
# document says.  The failover drill, pasted into a shell, prints what is shown.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $doc = slurp_file("$FindBin::Bin/../../doc/operating.md");
my %query = $doc =~ m{^[ ]*<!-- test/t/031_operating\.pl (\w+) -->\n+[ ]*```\w+\n(.*?)^[ ]*```$}smg;
my %asked;

# by_query(NAME, NODE, ROLE): what the document's query shows
sub by_query
{
	my ($name, $node, $role) = @_;

	$asked{$name} = 1;
	# background_psql ends its queries with a line of its own
	return $node->safe_psql('postgres', $query{$name} // die("no query $name"),
		extra_params => [ '-U', $role // 'watcher' ]) =~ s/\n;$//gmr;
}

sub pid_of
{
	my ($session) = @_;

	return ask($session, 'SELECT pg_backend_pid()');
}

# Wait until a backend waits for this.
sub wait_for_event
{
	my ($node, $pid, $event) = @_;

	$node->poll_query_until('postgres',
		"SELECT wait_event = '$event' FROM pg_stat_activity WHERE pid = $pid")
	  or die "backend $pid does not wait for $event";
	return;
}

my $primary = new_node('primary',
	allows_streaming => 1,
	conf => "max_prepared_transactions = 5
autovacuum = off
deadlock_timeout = 10min");
create_shop($primary, 50, 100);
$primary->safe_psql('postgres', 'ALTER TABLE product ADD CHECK (stock >= 0);
CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
GRANT SELECT ON product TO watcher');
my $superuser = $primary->safe_psql('postgres', 'SELECT current_user');
$primary->backup('base');

my $buyer = session($primary);
my $other = session($primary);
my $waiter = session($primary);
my ($buyer_pid, $other_pid, $waiter_pid) = map { pid_of($_) } ($buyer, $other, $waiter);

# from 17 on, the extension has wait events of its own
my $waits_for_product = qr/^active\|(?:Lock\|(?:transactionid|tuple|userlock)|Extension\|PurchaseProduct)\|1\|/m;

# ----------------------------------------------------------------
# A transaction that holds the product, and does nothing
# ----------------------------------------------------------------

is(ask($other, "SET application_name = 'forgetful'; BEGIN; SELECT purchase(42, 1)"), 99, 'a sale is open');
is(sqlstate($primary, 'SELECT purchase(42, 1)'), '55P03', 'the shop sees: busy');
begin_query($waiter, "SET purchase.lock_wait = -1; SELECT purchase(42, 1)");
wait_for_wait($primary, $waiter_pid) if $primary->pg_version < 17;
wait_for_event($primary, $waiter_pid, 'PurchaseProduct') if $primary->pg_version >= 17;
like(by_query('waits', $primary), $waits_for_product, 'waits: somebody waits for a product');
like(by_query('waits', $primary), qr/^idle in transaction\|Client\|ClientRead\|1\|/m,
	'waits: somebody is idle in a transaction');
is(by_query('holds', $primary) =~ s/\|[^|]*\|SELECT/|SELECT/gr,
	"holds|$other_pid|forgetful|idle in transaction|SELECT purchase(42, 1)\nwaits|$waiter_pid|031_operating.pl|active|SELECT purchase(42, 1)",
	'holds: who holds it, and who waits');
like(by_query('idle', $primary), qr/^$other_pid\|forgetful\|[^|]+\|SELECT purchase\(42, 1\)$/, 'idle: it is found');
like(by_query('horizon', $primary), qr/^client backend\|$other_pid\|forgetful\|/m,
	'horizon: what it has written keeps old versions');
like(by_query('terminate', $primary, $superuser), qr/^t$/, 'terminate: it is ended');
is(end_query($waiter), 99, 'who waited sells');
eval { $other->quit };
is(by_query('idle', $primary), '', 'idle: nobody is left');

# ----------------------------------------------------------------
# A table lock, behind a report
# ----------------------------------------------------------------

$other = session($primary);
$other_pid = pid_of($other);
ask($other, 'BEGIN; SELECT count(*) FROM product');
ask($waiter, "SET application_name = 'migration'");
begin_query($waiter, 'ALTER TABLE product ADD COLUMN more integer');
wait_for_event($primary, $waiter_pid, 'relation');
is(sqlstate($primary, "SET lock_timeout = '1s'; SELECT purchase(42, 1)"), '55P03',
	'the shop sees: with lock_timeout, busy');
is(sqlstate($primary, "SET statement_timeout = '1s'; SELECT purchase(42, 1)"), '57014',
	'the shop sees: with statement_timeout, cancelled');
begin_query($buyer, 'SELECT purchase(42, 1)');
wait_for_event($primary, $buyer_pid, 'relation');
like(by_query('waits', $primary), qr/^active\|Lock\|relation\|2\|/m, 'waits: two wait for a table');
like(by_query('table_locks', $primary),
	qr/^f\|AccessExclusiveLock\|$waiter_pid\|migration\|[^|]*\|{(?:$other_pid)}\|ALTER TABLE product/m,
	'table_locks: who waits for it, and for whom');
like(by_query('holds', $primary), qr/^locks table\|$other_pid\|.*^waits\|$buyer_pid\|/ms,
	'holds: as far as it goes');
ask($other, 'ROLLBACK');
is(end_query($waiter), '', 'the report ends: the table is altered');
is(end_query($buyer), 98, 'and the sale goes on');

ask($waiter, 'BEGIN; LOCK TABLE product IN EXCLUSIVE MODE');
like(by_query('table_locks', $primary), qr/^t\|ExclusiveLock\|$waiter_pid\|/,
	'table_locks: who has it');
ask($waiter, 'ROLLBACK');
is(by_query('table_locks', $primary), '', 'table_locks: nobody any more');

# ----------------------------------------------------------------
# What keeps old versions: a snapshot, a slot
# ----------------------------------------------------------------

ask($other, "SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM product");
ask($buyer, 'SELECT purchase(1, 1)');
like(by_query('horizon', $primary), qr/^client backend\|$other_pid\|report\|[1-9]/, 'horizon: a snapshot');
ask($other, 'ROLLBACK');
is(by_query('horizon', $primary), '', 'horizon: nothing any more');

# ----------------------------------------------------------------
# A prepared transaction that nobody has ended
# ----------------------------------------------------------------

ask($other, "BEGIN; SELECT purchase(42, 1) \\g /dev/null\nPREPARE TRANSACTION 'left over'");
is(sqlstate($primary, 'SELECT purchase(42, 1)'), '55P03', 'the shop sees: busy');
like(by_query('prepared', $primary), qr/^left over\|/, 'prepared: it is found');
like(by_query('holds', $primary), qr/^holds\|\|\|prepared\|/, 'holds: prepared');
like(by_query('horizon', $primary), qr/^prepared transaction\|left over\|/m,
	'horizon: it keeps old versions');
$primary->safe_psql('postgres', "ROLLBACK PREPARED 'left over'");
is(by_query('prepared', $primary), '', 'prepared: gone');

# ----------------------------------------------------------------
# A synchronous standby that is gone
# ----------------------------------------------------------------

$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('standby')");
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_slot_name = 'standby'
hot_standby_feedback = on
wal_receiver_status_interval = 1");
$standby->start;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
  or die 'no synchronous standby';
like(by_query('standbys', $primary), qr/^standby\|streaming\|sync\|/, 'standbys: it is there');

# a report on it keeps old versions here
my $report = session($standby);
ask($report, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM product');
$primary->poll_query_until('postgres', "SELECT xmin IS NOT NULL FROM pg_replication_slots")
  or die 'no feedback arrives';
ask($buyer, 'SELECT purchase(1, 1)');
like(by_query('horizon', $primary), qr/^replication slot\|standby\|/m, 'horizon: a report on a standby');
eval { $report->quit };
$standby->stop;

begin_query($buyer, 'SELECT purchase(42, 1)');
wait_for_event($primary, $buyer_pid, 'SyncRep');
like(by_query('waits', $primary), qr/^active\|IPC\|SyncRep\|1\|/m, 'waits: for a standby');
is(by_query('standbys', $primary), '', 'standbys: none');
like(by_query('log_kept', $primary), qr/^standby\|f\|/m, 'log_kept: its slot is not active');
like(by_query('holds', $primary), qr/^holds\|$buyer_pid\|[^|]*\|active\|/, 'holds: who waits for the standby holds it');
is(sqlstate($primary, 'SELECT purchase(42, 1)'), '55P03', 'the shop sees: busy');
begin_query($other, "SET statement_timeout = '10ms'; SELECT purchase(2, 1)");
wait_for_event($primary, $other_pid, 'SyncRep');
$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$primary->reload;
is(end_query($buyer), 97, 'no standby is asked for any more: who waited is told');
is(end_query($other), 99, 'and statement_timeout did not end the wait');
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('standby')");

# ----------------------------------------------------------------
# The shop is refused
# ----------------------------------------------------------------

$primary->safe_psql('postgres', 'ALTER DATABASE postgres SET default_transaction_read_only = on');
is(sqlstate($primary, 'SELECT purchase(42, 1)'), '25006', 'the shop sees: read-only');
like(by_query('server', $primary), qr/^f\|on\|/, 'server: read-only');
$primary->safe_psql('postgres', 'BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT');
like(by_query('server', $primary), qr/^f\|off\|/, 'server: read and write');

$primary->safe_psql('postgres', q(CREATE ROLE shop LOGIN CONNECTION LIMIT 1;
GRANT SELECT (id, stock), UPDATE (stock) ON product TO shop));
{
	my $only = $primary->background_psql('postgres', extra_params => [ '-U', 'shop' ]);
	my ($ret, $out, $err) = $primary->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'shop' ]);

	like($err, qr/too many connections for role "shop"/, 'the shop sees: too many connections');
	like(by_query('connections', $primary), qr/^shop\|1\|1\|/m, 'connections: one of one');
	$only->quit;
}

$primary->safe_psql('postgres', 'SELECT purchase_set_stock(42, 0)');
is(sqlstate($primary, 'SELECT purchase(42, 1)'), 'SK002', 'the shop sees: out of stock');
is(by_query('stock', $primary), '0|0', 'stock: nothing left');
$primary->safe_psql('postgres', 'SELECT purchase_restock(42, 5)');

$primary->safe_psql('postgres', "SELECT purchase_guard('product')");
is(sqlstate($primary, 'UPDATE product SET stock = 4 WHERE id = 42'), 'SK005', 'the shop sees: guarded');
is(by_query('guard', $primary), "~purchase_guard_after|O\n~purchase_guard_before|O", 'guard: there');
$primary->safe_psql('postgres', "SELECT purchase_guard('product', false)");
is(by_query('guard', $primary), '', 'guard: gone');

$primary->safe_psql('postgres', "ALTER TABLE product RENAME stock TO units");
is(sqlstate($primary, 'SELECT purchase(42, 1)'), '55000', 'the shop sees: the table was changed');
like(by_query('errors', $primary), qr/purchase_attach/, 'errors: it is to be attached anew');
$primary->safe_psql('postgres', "ALTER TABLE product RENAME units TO stock");
is(by_query('errors', $primary), '', 'errors: none');

# ----------------------------------------------------------------
# Who may keep refusals out of the log
# ----------------------------------------------------------------

is(sqlstate($primary, 'SET ROLE shop; ALTER ROLE shop SET log_min_error_statement = panic'), '42501',
	'log_min_error_statement: the role itself may not');
by_query('quiet', $primary, $superuser);
is($primary->safe_psql('postgres', 'SHOW log_min_error_statement', extra_params => [ '-U', 'shop' ]),
	'panic', 'log_min_error_statement: a superuser may, for the role');
$primary->safe_psql('postgres', 'GRANT SET ON PARAMETER log_min_error_statement TO shop');
is(sqlstate($primary, 'SET ROLE shop; ALTER ROLE shop SET log_min_error_statement = panic'), '',
	'log_min_error_statement: and who was granted it');
{
	my $offset = -s $primary->logfile;
	$primary->psql('postgres', 'SELECT purchase(42, 100) AS quiet', extra_params => [ '-U', 'shop' ]);
	my $log = substr(slurp_file($primary->logfile), $offset);

	like($log, qr/ERROR:  not enough stock of product 42/, 'the refusal is in the log');
	unlike($log, qr/AS quiet/, 'its statement is not');
}

# ----------------------------------------------------------------
# The drill
# ----------------------------------------------------------------

my $drill = $query{drill} // die 'no drill';
my @shown = $drill =~ /^#   (.*)$/mg;
my ($out, $err);
$asked{drill} = 1;
{
	local %ENV = %ENV;
	delete @ENV{qw(PGPORT PGHOST PGAPPNAME)};
	# short, as it is to hold sockets
	$ENV{TMPDIR} = PostgreSQL::Test::Utils::tempdir_short;
	IPC::Run::run([ 'bash', '-u' ], '<', \$drill, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
}
is($out, join('', map { "$_\n" } @shown), 'the drill prints what is shown');
is($err, '', 'and nothing else');

is(join(' ', grep { !$asked{$_} } sort keys %query), '', 'each query of the document was asked');

eval { $_->quit } foreach ($buyer, $other, $waiter);
$primary->stop;
done_testing();
