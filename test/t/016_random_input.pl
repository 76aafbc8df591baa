# Every function of the extension is called with odd arguments, at random, by
# several sessions, in and out of transactions, with both engines: no crash, no
# internal error, and the books balance: what all tables have lost is what the
# calls say that they sold.
#
# RANDOM_SECONDS says for how long (8), RANDOM_SEED repeats what is generated.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{RANDOM_SECONDS} || 8;
my $seed = $ENV{RANDOM_SEED} || int(rand(1_000_000));
my $sessions = 4;

srand($seed);
note "RANDOM_SEED=$seed";

my $node = new_node('shop',
	conf => "deadlock_timeout = 20ms
log_min_messages = error
log_min_error_statement = error
log_line_prefix = '%e '
lc_messages = 'C'");
$node->safe_psql(
	'postgres', q(
CREATE EXTENSION purchase;
CREATE TABLE goods (id int PRIMARY KEY, note text, stock int NOT NULL);
CREATE TABLE tags (sku text PRIMARY KEY, stock smallint NOT NULL);
CREATE TABLE units (id uuid PRIMARY KEY, stock bigint NOT NULL CHECK (stock >= 0));
CREATE TABLE parts (id bigint PRIMARY KEY, stock bigint NOT NULL) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE unknown_stock (id int PRIMARY KEY, stock int);
CREATE TABLE nothing (id int, stock int);
CREATE VIEW shown AS SELECT id, stock FROM goods WHERE id < 4;
CREATE TABLE movement (qty bigint NOT NULL);
INSERT INTO goods SELECT id, 'x', 20 FROM generate_series(1, 2000) AS id;
INSERT INTO tags SELECT chr(96 + n), 32760 FROM generate_series(1, 5) AS n;
INSERT INTO tags SELECT n, 3 FROM generate_series(1, 5) AS n;
INSERT INTO units SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 30
	FROM generate_series(1, 5) AS n;
INSERT INTO parts SELECT id, 30 FROM generate_series(1, 5) AS id;
INSERT INTO parts VALUES (6, 9223372036854775800);
INSERT INTO unknown_stock VALUES (1, NULL), (2, 5);
CREATE VIEW total AS SELECT (SELECT sum(stock) FROM goods) +
	(SELECT sum(stock) FROM tags) + (SELECT sum(stock) FROM units) +
	(SELECT sum(stock) FROM parts) + (SELECT sum(stock) FROM unknown_stock) AS units;
CREATE ROLE guest;
GRANT ALL ON movement TO guest;
GRANT SELECT, UPDATE (stock) ON goods TO guest;
GRANT SELECT ON tags TO guest;
));

my @attach = (
	"SELECT purchase_attach('goods', is_default => true)",
	"SELECT purchase_keep_sales('goods')",
	"SELECT purchase_attach('tags')",
	"SELECT purchase_attach('units')",
	"SELECT purchase_attach('parts')",
	"SELECT purchase_attach('unknown_stock')",
	"SELECT purchase_attach('shown', key_column => 'id')");
$node->safe_psql('postgres', join(';', @attach));
my $before = $node->safe_psql('postgres', 'SELECT units FROM total');

sub one_of { return $_[ rand @_ ]; }

sub quoted { return map { "'$_'" } @_; }

# by type; NULL comes in later
my %values = (
	'bigint' => [
		1 .. 6, 1 .. 6, 0, -1, 32767, 32768, 2147483647, 2147483648,
		9223372036854775800, '9223372036854775807',
		"'-9223372036854775808'"
	],
	'uuid' => [
		quoted(
			(map { "00000000-0000-0000-0000-00000000000$_" } 1 .. 6),
			'{ffffffff-ffff-ffff-ffff-ffffffffffff}')
	],
	'text' => [
		quoted(
			1 .. 6, 'a' .. 'f', ' 1', '01', '+2', '', ' ', "''", '\\',
			"\xc3\xa4", '{1,2}', '{1,1}', '{}', '{a,NULL}', '{', '{{1,2}}', '1e1',
			'9223372036854775808',
			'00000000-0000-0000-0000-000000000001'),
		"repeat('x', 10000)"
	],
	'regclass' => [
		quoted(
			'goods', 'goods', 'tags', 'tags', 'units', 'units', 'parts',
			'parts', 'shown', 'unknown_stock', 'parts_1', 'nothing',
			'goods_pkey', 'pg_class', 'purchase_registration'),
		0, 4294967295
	],
	'name' =>
	  [ quoted('stock', 'stock', 'id', 'sku', 'Stock', '', 'ctid', 'note') ],
	'interval' => [ quoted('1 hour', '0', '-1 s', '1000 years') ],
	'boolean' => [ 'true', 'false' ]);

sub array
{
	my ($type) = @_;
	my @elements = map { value($type, 0.02) } 0 .. rand(one_of(2, 5, 12));
	my $text = 'ARRAY[' . join(', ', @elements) . "]::$type\[]";

	return one_of("'{}'", "'{{1,2},{3,4}}'", "'[5:6]={1,2}'", "'{'")
	  . "::$type\[]"
	  if rand() < 0.03;
	return "ARRAY(SELECT n FROM generate_series(1, 1000) AS n)::$type\[]"
	  if rand() < 0.03;
	return $text;
}

sub value
{
	my ($type, $nulls) = @_;

	return "NULL::$type" if rand() < ($nulls // 0.05);
	return array($1) if $type =~ /(.*)\[\]$/;
	return "NULL::$type" unless $values{$type};
	return one_of(@{ $values{$type} }) . "::$type";
}

sub qty
{
	my ($type) = @_;

	return value($type) if rand() < 0.1;
	return one_of(1, 1, 1, 2, 3, 25) . '::bigint' unless $type =~ /\[\]/;
	return 'ARRAY['
	  . join(', ', map { one_of(1, 1, 2, 40) } 0 .. rand(3))
	  . ']::bigint[]';
}

# All functions, whatever there is: name, arguments' types and names.
my @functions = map { [ split /\|/ ] } split /\n/,
  $node->safe_psql(
	'postgres', q(
SELECT proname, string_agg(format_type(t, NULL), ','),
	string_agg(coalesce(proargnames[n], ''), ',')
FROM pg_proc AS p
	JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	JOIN pg_extension AS e ON e.oid = d.refobjid AND extname = 'purchase'
	LEFT JOIN unnest(proargtypes::oid[]) WITH ORDINALITY AS a (t, n) ON true
WHERE prorettype <> 'trigger'::regtype
GROUP BY p.oid, proname));
cmp_ok(scalar @functions, '>', 20, 'the functions');

sub call
{
	my ($name, $types, $names) = @{ one_of(@functions) };
	my @types = split /,/, $types // '';
	my @names = split /,/, $names // '';
	my @args = map { $names[$_] =~ /^(?:qty|stock$)/ ? qty($types[$_]) : value($types[$_]) }
	  0 .. $#types;
	my $sign = $name eq 'purchase_restock' ? '-' : '';
	my %at = map { $names[$_] => $_ } 0 .. $#names;

	# no id twice, and no hold, or what is told would not be what was sold
	if (exists $at{sale_id} && $name !~ /confirm|release|extend/)
	{
		$args[ $at{sale_id} ] = one_of("''", "''", 'NULL', "repeat('x', 256)",
			'gen_random_uuid()::text', 'gen_random_uuid()::text');
		$args[ $at{hold_for} ] = 'NULL';
		splice @args, $at{stock_table} + 1 if rand() < 0.7;
	}

	# the lengths of a cart's arrays mostly agree
	@args[ 0, 1 ] = map { "($_)[1:1]" } @args[ 0, 1 ]
	  if $name =~ /cart$/ && $types[0] =~ /\[\]/ && rand() < 0.5;
	# most often the table that has such keys
	if ($name =~ /^purchase(_try|_restock|_set_stock|_cart|_try_cart)?$/ && rand() < 0.7)
	{
		$args[ $at{stock_table} ] = $types[0] =~ /uuid/ ? "'units'"
		  : $types[0] =~ /text/ ? one_of("'tags'", 'NULL')
		  : one_of("'goods'", "'parts'", "'shown'", 'NULL');
	}
	# a default is one more way to call it
	pop @args if $#args > 0 && $names[$#args] eq 'stock_table' && rand() < 0.1;

	return "INSERT INTO movement SELECT $sign q FROM (VALUES ($args[1])) AS v (q), LATERAL $name("
	  . join(', ', $args[0], 'q', @args[ 2 .. $#args ])
	  . ') AS r WHERE r IS NOT NULL'
	  if $name =~ /^purchase(_restock)?$/;
	# what was null before counted for nothing
	return "INSERT INTO movement SELECT coalesce(r, 0) - q FROM (VALUES ($args[1])) AS v (q), LATERAL $name("
	  . join(', ', $args[0], 'q', @args[ 2 .. $#args ])
	  . ') AS r'
	  if $name eq 'purchase_set_stock';
	return "INSERT INTO movement SELECT q FROM (VALUES ($args[1])) AS v (q), LATERAL $name("
	  . join(', ', $args[0], 'q', @args[ 2 .. $#args ])
	  . ") AS r WHERE outcome = 'sold'"
	  if $name eq 'purchase_try';
	return "INSERT INTO movement SELECT qty FROM $name("
	  . join(', ', @args)
	  . ') AS r'
	  . ($name =~ /try/ ? " WHERE outcome = 'sold'" : '')
	  if $name =~ /cart$/;
	# rarely, or nothing else would succeed
	return call() if $name =~ /attach|detach|guard/ && rand() < 0.9;
	return "SELECT * FROM $name(" . join(', ', @args) . ')';
}

sub setting
{
	return one_of(
		(map { "SET purchase.engine = $_" } 'auto', 'row', 'sql', 'none'),
		(map { "SET purchase.lock_wait = $_" } -2, -1, 0, 0, 1, "'1s'"),
		(map { "SET statement_timeout = '$_'" } '60s', '60s', '2ms'),
		(map { "SET lock_timeout = '$_'" } '0', '0', '3ms'),
		(map { "SET default_transaction_isolation = '$_'" }
			  'read committed', 'read committed', 'repeatable read', 'serializable'),
		(map { "SET search_path = $_" } 'public', 'pg_temp, public', "''"),
		'SET ROLE guest', 'RESET ROLE', 'RESET ROLE', 'RESET ALL', 'RESET ALL',
		'DISCARD ALL');
}

sub transaction
{
	my @steps = map { call() } 0 .. rand 4;

	splice @steps, rand @steps, 0, 'SAVEPOINT s', call(),
	  one_of('ROLLBACK TO s', 'RELEASE s')
	  if rand() < 0.5;
	return ('BEGIN' . one_of('', '', ' READ ONLY', ' ISOLATION LEVEL SERIALIZABLE'),
		@steps, one_of('COMMIT', 'COMMIT', 'ROLLBACK'));
}

sub script
{
	my @statements;

	while (@statements < 300)
	{
		my $chance = rand();

		push @statements,
		    $chance < 0.15 ? transaction()
		  : $chance < 0.23 ? setting()
		  : $chance < 0.27 ? one_of(@attach)
		  :                  call();
	}
	return join(";\n", @statements, 'ROLLBACK') . ";\n";
}

my $end = time() + $seconds;
my %seen;
my $calls = 0;
my $lost = '';
my $bad = '';
for (my $round = 0; $round == 0 || time() < $end; $round++)
{
	my @running;

	foreach my $i (1 .. $sessions)
	{
		my $file = $node->basedir . "/script$i.sql";
		my %psql = (out => '', err => '');

		unlink $file;
		append_to_file($file, script());
		$psql{run} = IPC::Run::start(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres'),
				'-v', 'VERBOSITY=verbose', '-f', $file
			],
			'>', \$psql{out}, '2>', \$psql{err},
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
		push @running, \%psql;
	}
	foreach my $psql (@running)
	{
		$psql->{run}->finish;
		$lost .= $psql->{err} if $psql->{run}->result(0) != 0;
		$bad .= "$_\n" foreach $psql->{err} =~ /^.*XX\d\d\d: .*$/mg;
		$seen{$1}++ while $psql->{err} =~ /(?:ERROR|FATAL): +(\w{5}):/g;
	}
	# who lost the table, and the role, gets them back
	$node->safe_psql('postgres', join(';', @attach));
	$calls += $sessions * 300;
}
note "about $calls statements; ", join ' ',
  map { "$_: $seen{$_}" } sort keys %seen;

is($lost, '', 'no session was lost');
is($bad, '', 'no internal error');
is( $node->safe_psql(
		'postgres',
		"SELECT $before - units - (SELECT coalesce(sum(qty), 0) FROM movement) FROM total"
	),
	0,
	'the books balance');
foreach my $movement ('> 0', '< 0')
{
	cmp_ok(
		$node->safe_psql(
			'postgres', "SELECT count(*) FROM movement WHERE qty $movement"),
		'>', 10,
		"units moved: $movement");
}
# it gets as far as it should
ok($seen{$_}, "seen: $_")
  foreach qw(SK001 SK002 SK003 22004 22023 22P02 42501 55000);

server_log_is_clean($node);
done_testing();
