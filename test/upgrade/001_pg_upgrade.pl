# A shop moves from PostgreSQL 15 to 17 and 18, as doc/upgrade.md says: by pg_upgrade, a
# dump, and logical replication.  Wherever it arrives, it goes on as if nothing had
# happened.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../t";
use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;
use Upgrade;

my $tmp = $ENV{PURCHASE_TMP};

# The blocks of the document, by their names.
my %said = slurp_file("$FindBin::Bin/../../doc/upgrade.md") =~
  m{^<!-- test/upgrade/001_pg_upgrade.pl: (\w+) -->\n```\w+\n(.*?)^```$}msg;

sub path { return "$tmp/root/usr/lib/postgresql/$_[0]" }

# A server without shop.
sub cluster
{
	my ($major, $name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => path($major));

	# 18 has checksums, and 15 does not, unless they are told
	$node->init(extra => [ '-E', 'UTF8', '--locale=C', $major >= 18 ? '--no-data-checksums' : () ]);
	$node->append_conf('postgresql.conf', "statement_timeout = 60s\nfsync = off\nwal_level = logical\nmax_wal_senders = 5\nmax_replication_slots = 5\n");
	return $node;
}

# make install, for a major
sub install_extension
{
	my ($major) = @_;

	system('tar', '-C', "$tmp/root", '-xf', "$tmp/built/$major.tar") == 0 or die "tar: $?";
	return;
}

# Run commands of the document.
sub run_said
{
	my ($commands, %env) = @_;
	my ($out, $err);
	my $ok;

	# the directory of sockets, and what pg_upgrade leaves
	my $dir = getcwd();
	chdir(PostgreSQL::Test::Utils::tempdir_short()) or die $!;
	{
		local %ENV = (%ENV, %env);
		$ok = IPC::Run::run([ 'bash', '-e', '-o', 'pipefail', '-c', $commands ],
			'<', '/dev/null', '>', \$out, '2>', \$err);
	}
	chdir $dir;
	return ($ok, $out, $err);
}

sub sql
{
	my ($node, $sql, $role) = @_;

	return $node->safe_psql('shop', $sql, extra_params => [ '-U', $role // 'postgres' ]);
}

sub state_of
{
	my ($node, $sql, $role) = @_;
	my ($ret, $out, $err) = $node->psql('shop', $sql,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=sqlstate' ]);

	return $err =~ /(?:ERROR|FATAL): +(\w{5})/ ? $1 : "$out$err";
}

# What was delivered is somewhere.
my $books = q(
SELECT 'product ' || id FROM product
LEFT JOIN (SELECT product_id AS id, sum(qty - released - returned + discarded) AS gone FROM product_sale
	WHERE state = 'sold' GROUP BY 1) AS s USING (id)
LEFT JOIN (SELECT product_id AS id, sum(qty) AS held FROM product_hold GROUP BY 1) AS h USING (id)
WHERE stock + COALESCE(gone, 0) + COALESCE(held, 0) <> delivered
UNION ALL
SELECT 'ticket ' || day FROM ticket
LEFT JOIN (SELECT product_id AS day, sum(qty - released - returned + discarded) AS gone FROM ticket_sale
	WHERE state = 'sold' GROUP BY 1) AS s USING (day)
LEFT JOIN (SELECT product_id AS day, sum(qty) AS held FROM ticket_hold GROUP BY 1) AS h USING (day)
WHERE stock + COALESCE(gone, 0) + COALESCE(held, 0) <> 100);
my $tables = 'SELECT stock_table, key_column, stock_column, is_default, lock_wait, early_release, sale_table,
	hold_table, limit_column, engine FROM purchase_stock_tables WHERE engine IS NOT NULL ORDER BY 1';
my $findings = "SELECT t, severity, finding FROM unnest('{product, seat, ticket}'::regclass[]) AS t,
	purchase_check(t) ORDER BY 1, 2, 3";

sub create_shop_of_all
{
	my ($node) = @_;

	$node->safe_psql('postgres', q(
CREATE ROLE clerk;
CREATE ROLE buyer LOGIN;
CREATE ROLE cashier LOGIN;
ALTER ROLE buyer SET statement_timeout = '50s';
CREATE DATABASE shop));
	sql($node, q(
CREATE EXTENSION purchase;
CREATE TABLE product (id bigint PRIMARY KEY, name text, stock bigint NOT NULL CHECK (stock >= 0),
	per_buyer integer, delivered bigint NOT NULL);
INSERT INTO product SELECT i, 'product ' || i, 100, CASE WHEN i = 3 THEN 2 END, 100 FROM generate_series(1, 3) AS i;
INSERT INTO product SELECT i, 'rare ' || i, 1, NULL, 1 FROM generate_series(10, 15) AS i;
CREATE TABLE seat (code text PRIMARY KEY, free integer NOT NULL);
INSERT INTO seat VALUES ('A-17', 100);
CREATE TABLE ticket (day date PRIMARY KEY, stock integer NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE ticket_26 PARTITION OF ticket FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE ticket_27 PARTITION OF ticket FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
INSERT INTO ticket VALUES ('2026-12-24', 100), ('2027-01-01', 100);
CREATE TABLE gone (id int PRIMARY KEY, stock int NOT NULL);
SELECT purchase_attach('product'), purchase_keep_sales('product', limit_column => 'per_buyer'), purchase_guard('product');
SELECT purchase_attach('seat', 'free', 'code', lock_wait => '2s', early_release => 'off');
SELECT purchase_attach('ticket'), purchase_keep_sales('ticket'), purchase_guard('ticket');
SELECT purchase_attach('gone');
DROP TABLE gone;
ALTER TABLE seat OWNER TO clerk;
GRANT SELECT (id, stock, per_buyer), UPDATE (stock) ON product TO buyer;
GRANT SELECT, UPDATE (free) ON seat TO buyer;
GRANT SELECT, UPDATE (stock) ON ticket, product TO cashier;
REVOKE EXECUTE ON FUNCTION purchase_set_stock(bigint, bigint, regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purchase_set_stock(bigint, bigint, regclass) TO cashier;
SELECT purchase(1, 2, sale_id => 'first', buyer => 'ann');
SELECT purchase_try(1, 3, sale_id => 'part');
SELECT purchase_return('part', 1, 1, 'refund', restock => false);
SELECT purchase(3, 2, sale_id => 'limit', buyer => 'ann');
SELECT count(*) FROM purchase_cart(ARRAY[2, 1], ARRAY[1, 1], sale_id => 'settled', hold_for => '1 hour');
SELECT purchase_confirm('settled');
SELECT purchase(2, 1, sale_id => 'live ' || i, hold_for => '1 month') FROM generate_series(1, 6) AS i;
SELECT purchase(i, 1, sale_id => 'lapsed ' || i, hold_for => '1 hour') FROM generate_series(10, 15) AS i;
UPDATE product_hold SET expires_at = now() - interval '1 day' WHERE product_id >= 10;
SELECT purchase('2026-12-24', 2, 'ticket', sale_id => 'first'), purchase('2027-01-01', 1, 'ticket', sale_id => 'held', hold_for => '1 month');
ANALYZE;
));
	return;
}

# goes_on(NODE, STEP, BEFORE): the shop sells; STEP counts what can be used once.
sub goes_on
{
	my ($node, $step, $before) = @_;
	my $name = $node->name;
	my $stock = sql($node, 'SELECT stock FROM product WHERE id = 1');

	is(sql($node, $tables), $before->{tables}, "$name: the same tables are attached");
	is(join("\n", grep { !$before->{findings}{$_} } split /\n/, sql($node, $findings)),
		'', "$name: the doctor finds nothing new");
	is(sql($node, $books), '', "$name: the books are right");

	is(sql($node, "SELECT purchase(1, 2, sale_id => 'first', buyer => 'ann')", 'buyer'),
		98, "$name: a sale that is repeated has its first answer");
	is(sql($node, 'SELECT stock FROM product WHERE id = 1'), $stock, "$name: and sells nothing");
	is(sql($node, "SELECT purchase(1, 1, sale_id => 'of $name', buyer => 'ann'), purchase('A-17', 1, 'seat') IS NOT NULL", 'buyer'),
		($stock - 1) . '|t', "$name: it sells");
	is(sql($node, "SELECT purchase('2026-12-24', 2, 'ticket', sale_id => 'first'), purchase('2027-01-01', 1, 'ticket', sale_id => 'of $name') IS NOT NULL", 'cashier'),
		'98|t', "$name: from partitions, too");
	is(sql($node, "SELECT purchase_confirm('live $step')", 'buyer'), 't', "$name: a live hold is confirmed");
	is(sql($node, "SELECT purchase_confirm('live $step')", 'buyer'), 'f', "$name: once");
	is(sql($node, "SELECT purchase_available(9 + $step)", 'buyer'), 1, "$name: what a lapsed hold has is there");
	is(sql($node, "SELECT purchase(9 + $step, 1, sale_id => 'taken in $name')", 'buyer'), 0, "$name: and is taken");
	is(state_of($node, "SELECT purchase_confirm('lapsed ' || 9 + $step)", 'buyer'), 'SK102', "$name: so it can't be confirmed");
	is(sql($node, "SELECT purchase_return('part', 1, 1, 'refund', restock => false)", 'buyer'), 1, "$name: a return is repeated");
	is(state_of($node, "SELECT purchase(3, 1, sale_id => 'more', buyer => 'ann')", 'buyer'), 'SK004', "$name: limits hold");
	is(state_of($node, $_, 'postgres'), 'SK005', "$name: guarded: $_")
	  foreach 'UPDATE product SET stock = stock + 1', 'UPDATE ticket SET stock = stock + 1', 'UPDATE ticket_27 SET stock = stock + 1';
	is(state_of($node, 'SELECT purchase_set_stock(1, 5)', 'buyer'), '42501', "$name: what was revoked is");
	is(sql($node, 'SELECT purchase_set_stock(1, stock) = stock FROM product WHERE id = 1', 'cashier'), 't', "$name: and what was granted");
	is(state_of($node, 'UPDATE product SET name = $$x$$', 'buyer'), '42501', "$name: rights on columns");
	is(state_of($node, "SELECT purchase('A-17', 1, 'seat')", 'cashier'), '42501', "$name: rights on tables");
	is(sql($node, "SELECT purchase_attach('seat', 'free', 'code', lock_wait => '2s', early_release => 'off')", 'postgres'),
		'', "$name: a table can be attached anew");
	is(sql($node, $books), '', "$name: the books are right after all that");

	# as if it had been installed here, but for what the shop has granted
	return if $before->{is_old};
	$node->safe_psql('postgres', $_) foreach 'DROP DATABASE IF EXISTS fresh', 'CREATE DATABASE fresh';
	# a dump of a view names columns that had no name
	my @facts = map { [ map { s/::regclass AS regclass\b/::regclass/gr }
		  grep { !/^row of |purchase_set_stock\(bigint,.*: right / } @$_ ] }
	  [ description_in($node, 'fresh', 'CREATE EXTENSION purchase') ], [ description_in($node, 'shop') ];
	is(differences(@facts), '', "$name: the extension is as newly installed");
	return;
}

# A shop on 15, and copies of it.
install_extension(15);
my $shop = cluster(15, 'shop15');
$shop->start;
create_shop_of_all($shop);
my %before = (
	tables => sql($shop, $tables),
	findings => { map { $_ => 1 } split /\n/, sql($shop, $findings) });
goes_on($shop, 1, { %before, is_old => 1 });
$shop->stop;

# pg_upgrade, by step: the major, and its mode
foreach my $way ([ [ 17, '' ], [ 18, '--swap' ] ], [ [ 18, '--link' ] ])
{
	my $from = cluster(15, 'from15_' . join '_', map { $_->[0] } @$way);
	my ($old, $n) = (15, 1);

	system('rm', '-rf', $from->data_dir . '/base');
	system('cp', '-r', $shop->data_dir . '/.', $from->data_dir) == 0 or die "cp: $?";
	append_to_file($from->data_dir . '/postgresql.conf', 'port = ' . $from->port . "\n");
	foreach (@$way)
	{
		my ($major, $mode) = @$_;
		my $to = cluster($major, "to$major" . $mode =~ tr/-/_/r);
		my %env = (
			old => path($old) . '/bin', new => path($major) . '/bin',
			old_data => $from->data_dir, new_data => $to->data_dir,
			PGPORTOLD => $from->port, PGPORTNEW => $to->port, PGUSER => 'postgres');
		my $commands = $said{pg_upgrade} =~ s/pg_upgrade( --check)?/pg_upgrade$1 $mode --no-sync/gr;
		my ($ok, $out, $err);

		if (!-e path($major) . '/lib/purchase.so')
		{
			($ok, $out, $err) = run_said($commands, %env);
			ok(!$ok, 'without a library for the new major, pg_upgrade stops');
			foreach (slurp_file("$FindBin::Bin/../../doc/upgrade.md") =~ /^```\n(Your installation.*?)^```.*^```\n(could not load.*?)^```/ms)
			{
				my $message = $_;
				my $files = join '', map { slurp_file($_) } glob $to->data_dir . '/pg_upgrade_output.d/*/loadable_libraries.txt';
				ok(index($out . $files, $message) >= 0, "and says: $message") or diag "$out$err$files";
			}
			install_extension($major);
		}
		($ok, $out, $err) = run_said($commands, %env);
		ok($ok, "pg_upgrade $mode from $old to $major") or diag "$out$err";
		$to->start;
		if ($major < 18)
		{
			($ok, $out, $err) = run_said($said{statistics}, %env, PGHOST => $to->host, PGPORT => $to->port);
			ok($ok, 'statistics are made') or diag "$out$err";
		}
		goes_on($to, ++$n, \%before);
		$to->stop;
		($from, $old) = ($to, $major);
	}
}

# Dump and restore.
$shop->start;
my $to = cluster(18, 'dumped18');
$to->start;
my %env = (new => path(18) . '/bin', from => $shop->connstr, to => $to->connstr('postgres'), PGUSER => 'postgres');
my ($ok, $out, $err) = run_said($said{dump}, %env);
is(join("\n", grep { !/role "postgres" already exists/ } split /\n/, $err), '', 'a dump is restored');
goes_on($to, 2, \%before);
$to->stop;

# Logical replication.
$to = cluster(18, 'replica18');
$to->start;
$env{to} = $to->connstr('postgres');
($ok, $out, $err) = run_said($said{schema}, %env);
is(join("\n", grep { !/role "postgres" already exists/ } split /\n/, $err), '', 'the schema is copied');
my $subscribe = $said{subscribe};
my $connstr = $shop->connstr('shop') =~ s/'/''/gr;
$subscribe =~ s/host=old.example.com dbname=shop/$connstr/ or die;
sql($shop, $said{publish} . 'ALTER PUBLICATION moving ADD TABLE seat, ticket, ticket_sale, ticket_hold');
sql($to, q(SELECT purchase_attach('ticket', is_default => false), purchase_keep_sales('ticket');
SELECT purchase_attach('seat', 'free', 'code', false, lock_wait => '2s', early_release => 'off');));
# the first is the default
$subscribe =~ s/(?<=purchase_attach\('product')/, is_default => true/;
sql($to, $_) foreach map { "$_;" } grep { /\S/ } split /;\n/, $subscribe;
$to->wait_for_subscription_sync($shop, 'moving', 'shop');
is(sql($shop, "SELECT purchase_confirm('live 2'), purchase(2, 1, sale_id => 'late')"), 't|92', 'the old server sells meanwhile');
$shop->poll_query_until('shop', $said{wait}) or die 'the subscriber does not follow';
sql($to, $said{switch});
is(sql($to, "SELECT purchase_confirm('live 2'), purchase(2, 1, sale_id => 'late')"), 'f|92', 'the new one knows what was sold');
goes_on($to, 3, \%before);
$_->stop foreach ($to, $shop);

done_testing();
