# A dump keeps the registrations, with the names of their tables: after a restore
# one sells as before.  In all formats, for a superuser and for a database owner
# who is none, as the extension is trusted; also if another one restores it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop');
my $dir = $node->basedir;

$node->safe_psql('postgres',
	'CREATE ROLE owner LOGIN; CREATE ROLE other LOGIN');

# as($ROLE, ...): options for a command
sub as
{
	my ($role) = @_;

	return $role eq 'superuser' ? () : ('-U', $role);
}

sub run_sql
{
	my ($role, $dbname, $sql) = @_;
	my ($ret, $out, $err) =
	  $node->psql($dbname, $sql, extra_params => [ as($role) ]);

	is($err, '', "$dbname: no error");
	return $out;
}

sub create_database
{
	my ($role, $dbname) = @_;

	$node->safe_psql('postgres',
		"CREATE DATABASE $dbname"
		  . ($role eq 'superuser' ? '' : " OWNER $role"));
	return;
}

# The extension and the tables are each in a schema of its own; a name needs
# quotes, and a table that was attached is gone.
my $shop = q(
CREATE SCHEMA sales;
CREATE EXTENSION purchase SCHEMA sales;
CREATE SCHEMA "The Shop";
CREATE TABLE "The Shop"."Product" ("Id" uuid PRIMARY KEY,
	"In Stock" int NOT NULL CHECK ("In Stock" >= 0));
INSERT INTO "The Shop"."Product" VALUES ('6ecd8c99-4036-403d-bf84-cf8400f67836', 10);
CREATE TABLE public.ticket (id int, code text UNIQUE, stock bigint NOT NULL);
INSERT INTO public.ticket VALUES (1, 'row 1', 10), (2, NULL, 10);
CREATE TABLE public.dropped (id int PRIMARY KEY, stock int);
SELECT sales.purchase_attach('public.ticket', key_column => 'code', lock_wait => '1s');
SELECT sales.purchase_guard('public.ticket');
SELECT sales.purchase_attach('"The Shop"."Product"', 'In Stock', is_default => true);
SELECT sales.purchase_attach('public.dropped');
DROP TABLE public.dropped;
);

my $registrations = q(
SELECT stock_table, key_column, stock_column, is_default, lock_wait, engine
FROM sales.purchase_stock_tables WHERE engine IS NOT NULL ORDER BY is_default DESC);

# The restored shop sells, and is the same as the dumped one otherwise.
sub restored_shop_sells
{
	my ($role, $dbname) = @_;

	is( run_sql($role, $dbname, $registrations),
		qq("The Shop"."Product"|Id|In Stock|t||row\nticket|code|stock|f|1000|row),
		"$dbname: the registrations");
	is( run_sql(
			$role, $dbname,
			"SELECT count(*) FROM sales.purchase_registration"),
		2,
		"$dbname: no more than those");
	is( run_sql(
			$role, $dbname,
			"SELECT sales.purchase('6ecd8c99-4036-403d-bf84-cf8400f67836', 4);
SET purchase.lock_wait = '1s';
SELECT sales.purchase('row 1', 3, 'ticket')"),
		"6\n7",
		"$dbname: it sells");

	is( sqlstate($node, 'UPDATE ticket SET stock = stock + 1', $dbname),
		'SK005', "$dbname: the guard is there");
	is( run_sql($role, $dbname,
			'SELECT owner = current_user FROM sales.purchase_default_owner'),
		$role eq ($dbname =~ /^([a-z]+)/)[0] ? 't' : 'f',
		"$dbname: who owned the default is remembered");

	# who restored it can go on to change it
	is( run_sql(
			$role, $dbname,
			"CREATE TABLE public.later (id int PRIMARY KEY, stock int NOT NULL);
INSERT INTO public.later VALUES (1, 1);
SELECT sales.purchase_attach('public.later', is_default => true);
SELECT sales.purchase(1, 1);
SELECT sales.purchase_detach('public.later')"),
		"\n0\n",
		"$dbname: and can be changed");
	return;
}

# A dump of a database of $role, restored by $restorer, in a format.
sub dump_and_restore
{
	my ($role, $restorer, $format, @options) = @_;
	my $from = "${role}_shop";
	my $to = lc join('_', $role, $restorer, $format);
	my $file = "$dir/$to.dump";

	create_database($restorer, $to);
	$node->command_ok(
		[ 'pg_dump', as($role), "-F$format", '-f', $file, '--no-owner', $from ],
		"$to: pg_dump");
	if ($format eq 'p')
	{
		$node->command_ok(
			[
				'psql', as($restorer), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f',
				$file, '-d', $to
			],
			"$to: psql");
	}
	else
	{
		$node->command_ok(
			[
				'pg_restore', as($restorer), '--exit-on-error', '--no-owner',
				@options, '-d', $to, $file
			],
			"$to: pg_restore");
	}
	restored_shop_sells($restorer, $to);
	return $to;
}

foreach my $role ('superuser', 'owner')
{
	create_database($role, "${role}_shop");
	run_sql($role, "${role}_shop", $shop);
}
is( run_sql('superuser', 'superuser_shop',
		"SELECT count(*) FROM pg_extension WHERE extname = 'purchase'"),
	1,
	'there is an extension');

dump_and_restore('superuser', 'superuser', 'p');
dump_and_restore('superuser', 'superuser', 'c', '-j', 2);
dump_and_restore('superuser', 'owner', 'd', '-j', 2);
my $copy = dump_and_restore('owner', 'owner', 'p');
dump_and_restore('owner', 'owner', 'c', '-j', 2);
dump_and_restore('owner', 'owner', 't');
dump_and_restore('owner', 'other', 'c');
dump_and_restore('owner', 'superuser', 'c');

# into a database that has the tables already, but lost the rows
my $file = "$dir/again.dump";
$node->command_ok(
	[ 'pg_dump', '-U', 'owner', '-Fc', '-f', $file, $copy ],
	'a dump of what was restored');
$node->command_ok(
	[
		'pg_restore', '-U', 'owner', '--exit-on-error', '--clean',
		'--if-exists', '-d', $copy, $file
	],
	'restored over it, --clean');
is( run_sql('owner', $copy,
		"SELECT sales.purchase('row 1', 7, 'ticket')"),
	0,
	'it sells the rest');

# A database owner restores where the administrator has created the extension,
# and therefore owns it.  Only the extension's comment is not his to restore.
create_database('owner', 'plain');
run_sql('owner', 'plain', q(
CREATE EXTENSION purchase;
CREATE TABLE product (id int PRIMARY KEY, stock int NOT NULL);
INSERT INTO product VALUES (1, 5);
SELECT purchase_attach('product', lock_wait => '2s');
SELECT purchase_guard('product');
));
$node->command_ok([ 'pg_dump', '-U', 'owner', '-Fc', '-f', "$dir/plain.dump", 'plain' ],
	'a dump of a database owner\'s');
create_database('owner', 'prepared');
run_sql('superuser', 'prepared', 'CREATE EXTENSION purchase');
$node->command_ok(
	[
		'pg_restore', '-U', 'owner', '--exit-on-error', '--no-comments', '-d',
		'prepared', "$dir/plain.dump"
	],
	'restored where the administrator created the extension');
is( run_sql('owner', 'prepared',
		'SELECT stock_table, is_default, lock_wait FROM purchase_stock_tables;
SELECT purchase(1, 2);
SELECT owner FROM purchase_default_owner'),
	"product|t|2000\n3\nowner",
	'the registrations are there, and it sells');
is(sqlstate($node, 'UPDATE product SET stock = 9', 'prepared'),
	'SK005', 'the guard, too');
is( run_sql('superuser', 'prepared',
		'DROP EXTENSION purchase; UPDATE product SET stock = 9 RETURNING stock'),
	9,
	'and goes with the extension');

# who owns neither the database nor the tables
is( sqlstate($node,
		"SET ROLE other; INSERT INTO sales.purchase_registration VALUES ('ticket', 'a', 'b', false)",
		$copy),
	'42501',
	'a stranger cannot write registrations');

server_log_is_clean($node);
done_testing();
