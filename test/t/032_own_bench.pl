# doc/bench/own.sh, which a shop runs on its own table: it prints lines that can be
# compared with doc/benchmarks.md, and leaves the table, and all else, as it was.  It says
# so if a unit is lost or sold twice, which a trigger does here.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $script = "$FindBin::Bin/../../doc/bench/own.sh";
my $node = new_node('shop');

$node->safe_psql('postgres', q(
CREATE SCHEMA ext;
CREATE EXTENSION purchase SCHEMA ext;
CREATE SCHEMA "my shop";
CREATE TABLE log (of_table text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log SELECT format('%s %s, %s indexes, %s CHECKs, referenced by %s', relnamespace::regnamespace,
		reloptions, (SELECT count(*) FROM pg_index WHERE indrelid = TG_RELID),
		(SELECT count(*) FROM pg_constraint WHERE conrelid = TG_RELID AND contype = 'c'),
		(SELECT count(*) FROM pg_constraint WHERE confrelid = TG_RELID))
		FROM pg_class WHERE oid = TG_RELID;
	RETURN NEW;
END $$;
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW."left" := OLD."left";
	RETURN NEW;
END $$;

-- a text key, names to be quoted, a generated column, a guard, a trigger, order lines,
-- another default
CREATE TABLE "my shop"."Part" (
	"Key" text COLLATE "C" PRIMARY KEY,
	number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
	"left" integer NOT NULL CHECK ("left" >= 0),
	twice integer GENERATED ALWAYS AS (number * 2) STORED,
	UNIQUE (number, "Key")
) WITH (fillfactor = 85, autovacuum_enabled = off);
INSERT INTO "my shop"."Part" ("Key", "left")
	SELECT 'it''s :n1 no. ' || g, 3 FROM generate_series(1, 50) AS g;
CREATE TABLE line (part text REFERENCES "my shop"."Part");
CREATE TABLE pair (n integer, part text, FOREIGN KEY (n, part) REFERENCES "my shop"."Part" (number, "Key"));
CREATE TRIGGER note BEFORE UPDATE ON "my shop"."Part" FOR EACH ROW EXECUTE FUNCTION note();
SELECT ext.purchase_attach('"my shop"."Part"', stock_column => 'left');
SELECT ext.purchase_guard('"my shop"."Part"');

-- a bigint key, and row security
CREATE TABLE product (id bigint PRIMARY KEY, stock integer NOT NULL);
CREATE INDEX ON product (stock);
INSERT INTO product SELECT g, 0 FROM generate_series(1, 1000) AS g;
ALTER TABLE product ENABLE ROW LEVEL SECURITY;
CREATE TABLE other (id bigint PRIMARY KEY, stock integer NOT NULL);
CREATE TABLE parted (id bigint PRIMARY KEY, stock integer NOT NULL) PARTITION BY RANGE (id);
SELECT ext.purchase_attach('product', is_default => false);
SELECT ext.purchase_attach('parted', is_default => false);
));

my $everything = q(
SELECT * FROM "my shop"."Part" ORDER BY 1;
SELECT * FROM product ORDER BY 1;
SELECT count(*) FROM log;
SELECT * FROM ext.purchase_stock_tables ORDER BY 1;
SELECT oid, relname, relfilenode FROM pg_class WHERE relname NOT LIKE 'pg\_%' ORDER BY 1;
SELECT oid, tgname, tgenabled FROM pg_trigger ORDER BY 1;
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%temp%' ORDER BY 1);

# measure(TABLE, VARIABLE => VALUE, ...): its exit code, output and errors
sub measure
{
	my ($table, %variables) = @_;
	local %ENV = (
		%ENV,
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGDATABASE => 'postgres',
		CLIENTS => 4,
		SECONDS_EACH => 1,
		ROUNDS => 1,
		%variables);
	my ($out, $err);

	IPC::Run::run([ 'sh', $script, $table ], '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	note $out, $err;
	return ($? >> 8, $out, $err);
}

my $number = qr/[\d,]+/;
my $ratio = qr/\d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\)/;
my $lines = qr{
^\|[ ]purchase[ ]is,[ ]times[ ]as[ ]fast[ ]as[ ]\|[ ]sold/s[ ]\|[ ]bare[ ]UPDATE[ ]\|[ ]SELECT[ ]FOR[ ]UPDATE,[ ]UPDATE[ ]\|\n
\|---\|--:\|--:\|--:\|\n
\|[ ]Cold,[ ]1[ ]client[ ]\|[ ]$number[ ]\|[ ]–[ ]\|[ ]–[ ]\|\n
\|[ ]Cold,[ ]4[ ]clients[ ]\|[ ]$number[ ]\|[ ]$ratio[ ]\|[ ]$ratio[ ]\|\n
\|[ ]Hot,[ ]4[ ]clients,[ ]not[ ]waiting[ ]\|[ ]$number[ ]\|[ ]–[ ]\|[ ]$ratio[ ]\|\n
\|[ ]Hot,[ ]4[ ]clients[ ]\|[ ]$number[ ]\|[ ]$ratio[ ]\|[ ]–[ ]\|\n
\|[ ]Early,[ ]hot,[ ]4[ ]clients[ ]\|[ ]$number[ ]\|[ ]$ratio[ ]\|[ ]–[ ]\|\n
}xm;
my $before = $node->safe_psql('postgres', $everything);
my ($code, $out, $err);

($code, $out, $err) = measure('"my shop"."Part"', ROUNDS => 2);
is($code, 0, 'text key: it runs');
like($out, $lines, 'text key: it prints lines');
like($out, qr/^Left out: triggers, 1\./m, 'text key: it says that a trigger is left out');
unlike($out, qr/Beware/, 'text key: the same engine serves the copy');
like($out, qr/^- No unit was lost or sold twice: [1-9]\d* sales in 17 runs$/m,
	'text key: it has counted');
is($err, '', 'text key: nothing else is said');
is($node->safe_psql('postgres', $everything), $before, 'text key: all is as it was');

# as one that may read the table and create a schema, no more
$node->safe_psql('postgres', q(
CREATE ROLE tester LOGIN;
GRANT CREATE ON DATABASE postgres TO tester;
GRANT USAGE ON SCHEMA ext TO tester;
GRANT SELECT ON product TO tester;
CREATE POLICY all_of_it ON product USING (true)));
$before = $node->safe_psql('postgres', $everything);
($code, $out, $err) = measure('product', PGUSER => 'tester');
is($code, 0, 'bigint key: it runs');
like($out, $lines, 'bigint key: it prints lines');
unlike($out, qr/Left out/, 'bigint key: nothing is left out');
like($out, qr/^Beware: the sql engine serves your table, the row engine its copy/m,
	'bigint key: row security is not copied, and it says what that means');
is($err, '', 'bigint key: nothing else is said');
is($node->safe_psql('postgres', $everything), $before, 'bigint key: all is as it was');

# triggers
$node->safe_psql('postgres', 'CREATE TRIGGER lose BEFORE UPDATE ON "my shop"."Part" FOR EACH ROW EXECUTE FUNCTION lose()');
$before = $node->safe_psql('postgres', $everything);
($code, $out, $err) = measure('"my shop"."Part"', TRIGGERS => 1);
isnt($code, 0, 'a trigger gives back what is sold: it fails');
like($err, qr/^alone, purchase: [1-9]\d* units were sold, and 0 are gone from the stock/m,
	'a trigger gives back what is sold: it is told');
is( $node->safe_psql('postgres', 'SELECT DISTINCT of_table FROM log'),
	'purchase_bench {fillfactor=85,autovacuum_enabled=off}, 3 indexes, 1 CHECKs, referenced by 2',
	'the triggers fired for a table that is like it');
$node->safe_psql('postgres', 'TRUNCATE log');
$before =~ s/(?:^\d+\|log\|)\K\d+//m;
(my $after = $node->safe_psql('postgres', $everything)) =~ s/(?:^\d+\|log\|)\K\d+//m;
is($after, $before, 'and all else is as it was');

# what can't be measured
foreach my $case (
	[ 'other', qr/Only an ordinary table that is attached can be measured/ ],
	[ 'parted', qr/Only an ordinary table that is attached can be measured/ ],
	[ 'nowhere', qr/relation "nowhere" does not exist/ ])
{
	my ($table, $message) = @$case;

	($code, $out, $err) = measure($table);
	isnt($code, 0, "$table: it fails");
	like($err, $message, "$table: it says why");
}
$node->safe_psql('postgres', 'CREATE SCHEMA purchase_bench; CREATE TABLE purchase_bench.product (id bigint)');
($code, $out, $err) = measure('product');
isnt($code, 0, 'there is such a schema: it fails');
like($err, qr/There is a schema purchase_bench/, 'there is such a schema: it says so');
is($node->safe_psql('postgres', "SELECT to_regclass('purchase_bench.product')"),
	'purchase_bench.product', 'there is such a schema: it stays');

$node->stop;
done_testing();
