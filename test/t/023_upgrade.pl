# ALTER EXTENSION purchase UPDATE: whoever comes from an older version has all that a
# new installation has, and nothing else, and sells meanwhile.
#
# The versions are those whose install scripts test/upgrade keeps, and the newest.  As
# long as there is no other, or to see that the comparison finds what an upgrade script
# forgets, the next version is made up here.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;
use Upgrade;

my ($path) = own_installation();
my $sharedir = qx($path/bin/pg_config --sharedir);
chomp $sharedir;
my $dir = "$sharedir/extension";
my $node = new_node('upgrade', install_path => $path);
my ($newest) = slurp_file("$dir/purchase.control") =~ /^default_version = '(.*)'/m;
my $script = slurp_file("$dir/purchase--$newest.sql");

# Files are links to those of other tests: write them anew.
sub write_file
{
	my ($name, $text) = @_;

	unlink "$dir/$name";
	append_to_file("$dir/$name", $text);
	return;
}

sub install { return "CREATE EXTENSION purchase VERSION '$_[0]'" }
sub update { return "ALTER EXTENSION purchase UPDATE TO '$_[0]'" }

# An old version, with the library as it is now: it sells until it is updated, and
# after.
sub sells_while_old
{
	my ($old, $new) = @_;
	my $dbname = "shop_$old";
	my $stock = 100;

	$dbname =~ tr/./_/;
	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	$node->safe_psql($dbname, install($old));
	$node->safe_psql($dbname, q(
CREATE TABLE product (id bigint PRIMARY KEY, stock bigint NOT NULL);
INSERT INTO product VALUES (1, 100);
SELECT purchase_attach('product');
SELECT purchase_keep_sales('product');
SELECT purchase_guard('product');
));
	my $before = session($node, $dbname);
	ask($before, 'PREPARE sale AS SELECT purchase(1, 1)');
	foreach my $when ("with the SQL of $old", "updated to $new")
	{
		foreach my $session ($before, session($node, $dbname))
		{
			my $id = $when =~ tr/a-z0-9//cdr . ($session == $before ? 'before' : 'after');

			is( ask($session, "SELECT purchase(1, 1, sale_id => '$id'); SELECT purchase(1, 1, sale_id => '$id')"),
				join("\n", ($stock - 1) x 2),
				"$when, it sells, and answers again");
			is( ask($session, "SELECT (purchase_cart(ARRAY[1], ARRAY[2], sale_id => '$id hold', hold_for => '1 hour')).remaining"),
				$stock - 3, "$when, it holds");
			is(ask($session, "SELECT purchase_confirm('$id hold'), purchase_return('$id hold'); SELECT purchase_available(1)"),
				"t|2\n" . ($stock - 1), "$when, it confirms and takes back");
			is(ask($session, 'UPDATE product SET stock = 5'), 'ERROR:  SK005', "$when, the guard is there");
			is(ask($session, 'SELECT count(*) FROM purchase_check() WHERE severity = $$error$$'), 0,
				"$when, the doctor finds no error");
			$stock -= 1;
			$session->quit if $session != $before;
		}
		is(ask($before, 'EXECUTE sale'), --$stock, "$when, a prepared statement sells");
		next if $when eq "updated to $new";

		# the first call of a session, whose transaction is open meanwhile
		my $open = session($node, $dbname);
		is(ask($open, 'BEGIN; SELECT purchase(1, 1)'), --$stock, 'a transaction has sold');
		is(sqlstate($node, "SET lock_timeout = '20s'; " . update($new), $dbname), '', 'the update does not wait for it');
		is(ask($open, 'SELECT purchase(1, 1); COMMIT'), --$stock, 'and it goes on');
		$open->quit;
	}
	is(ask($before, 'SELECT extversion FROM pg_extension WHERE extname = $$purchase$$'),
		$new, "$old is $new now");
	$before->quit;
	return;
}

# each version that was released
my %released = map { /purchase--(.*)\.sql$/; $1 => slurp_file($_) }
  glob "$FindBin::Bin/../upgrade/purchase--*.sql";

is($released{$newest} // $script, $script, "the SQL of $newest is as it was released");
delete $released{$newest};
write_file("purchase--$_.sql", $released{$_}) foreach keys %released;
my @fresh = description($node, install($newest));
my %newest = signatures($node, install($newest));
note scalar(@fresh), ' facts';

foreach my $old (sort keys %released)
{
	is(differences(\@fresh, [ description($node, install($old), update($newest)) ]),
		'', "$old, updated to $newest, is as new");
	sells_while_old($old, $newest);
}

# Old SQL runs with the newest library, and new SQL may meet an old one, so one name in C
# takes and returns the same in all versions.
sub signatures_clash
{
	my ($old, $new) = @_;

	return join "\n", map { "$_: $old->{$_}, then $new->{$_}" }
	  grep { exists $new->{$_} && $new->{$_} ne $old->{$_} } sort keys %$old;
}

is(signatures_clash({ signatures($node, install($_)) }, \%newest), '', "$_: no name in C has changed what it takes")
  foreach sort keys %released;

# The next version: of each kind of object some are new, and some are changed.
my ($major, $minor) = split /\./, $newest;
my $next = $major . '.' . ($minor + 1);
my $full = $script;

# Change the install script; returns what was changed.
sub change
{
	my ($from, $to) = @_;

	$full =~ s/$from/$to->()/e or die "the install script has no $from";
	return $&;
}

my $detach = "CREATE FUNCTION purchase_detach(stock_table regclass, quiet boolean DEFAULT false)
    RETURNS void AS 'MODULE_PATHNAME', 'purchase_guard' LANGUAGE C VOLATILE PARALLEL UNSAFE;";
change(qr/CREATE TABLE purchase_registration \(.*?\n\K(?=    CHECK \()/s,
	sub { "    note text DEFAULT 'none',\n" });
change(qr/CREATE VIEW purchase_stock_tables AS[^;]*?\K(?=\n    FROM)/, sub { ', r.note' });
change(qr/CREATE FUNCTION purchase_detach\([^;]*;/, sub { $detach });
change(qr/COMMENT ON FUNCTION purchase_detach\(regclass\K/, sub { ', boolean' });
change(qr/'tables attached with purchase_attach'/, sub { "'attached tables'" });
change(qr/'purchase_default_owner', '\K/, sub { 'WHERE true' });
my ($view) = $full =~ /CREATE (VIEW purchase_stock_tables AS[^;]*;)/;
my ($comment) = $full =~ /(COMMENT ON FUNCTION purchase_detach.*?;)$/ms;

# what both scripts have at their ends
my $both = q(
ALTER FUNCTION purchase_guard(regclass, boolean) STRICT;
ALTER FUNCTION purchase_distribute(regclass) SET search_path = pg_catalog;
ALTER TABLE purchase_registration ENABLE REPLICA TRIGGER purchase_registration_changed;
CREATE TYPE purchase_colour AS ENUM ('red', 'green');
CREATE TYPE purchase_pair AS (one purchase_colour, other text COLLATE "C");
CREATE DOMAIN purchase_units AS bigint DEFAULT 1 CHECK (VALUE >= 0);
CREATE TABLE purchase_note (
    id bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT 2) PRIMARY KEY,
    colour purchase_colour NOT NULL,
    units purchase_units,
    code integer GENERATED ALWAYS AS (7) STORED,
    CONSTRAINT purchase_note_units CHECK (units < 100)
) WITH (fillfactor = 90);
CREATE INDEX purchase_note_colour ON purchase_note (colour) WHERE units > 0;
ALTER TABLE purchase_note ENABLE ROW LEVEL SECURITY;
CREATE POLICY purchase_note_red ON purchase_note USING (colour = 'red');
INSERT INTO purchase_note (colour) VALUES ('red');
COMMENT ON COLUMN purchase_note.units IS 'how many';
GRANT SELECT (id) ON purchase_note TO PUBLIC;
GRANT INSERT ON purchase_note TO pg_database_owner;
SELECT pg_catalog.pg_extension_config_dump('purchase_note', '');
CREATE FUNCTION purchase_noted(id bigint) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT true';
COMMENT ON FUNCTION purchase_noted(bigint) IS 'is there a note';
REVOKE EXECUTE ON FUNCTION purchase_noted(bigint) FROM PUBLIC;
CREATE TRIGGER purchase_note_changed AFTER INSERT OR UPDATE ON purchase_note
    FOR EACH STATEMENT EXECUTE FUNCTION purchase_registration_changed();
CREATE FUNCTION purchase_alike(a purchase_colour, b purchase_colour) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR ~=~ (FUNCTION = purchase_alike, LEFTARG = purchase_colour,
    RIGHTARG = purchase_colour, COMMUTATOR = ~=~);
CREATE CAST (purchase_colour AS integer) WITH INOUT;
);
my $upgrade = qq(\\echo Use "ALTER EXTENSION purchase UPDATE TO '$next'" to load this file. \\quit
ALTER TABLE purchase_registration ADD note text DEFAULT 'none';
COMMENT ON TABLE purchase_registration IS 'attached tables';
SELECT pg_catalog.pg_extension_config_dump('purchase_default_owner', 'WHERE true');
DROP FUNCTION purchase_detach(regclass);
$detach
$comment
CREATE OR REPLACE $view
$both);

write_file("purchase--$next.sql", $full . $both);
write_file("purchase--$newest--$next.sql", $upgrade);
my @next = description($node, install($next));
is(differences(\@next, [ description($node, install($newest), update($next)) ]),
	'', "the upgrade script to $next leads to what its install script does");
is(signatures_clash(\%newest, { signatures($node, install($next)) }), '', 'and no name in C has changed what it takes');
sells_while_old($newest, $next);

# What an upgrade script may forget, in turn, and what is said of it.
foreach (
	[ 'a column', qr/ADD note text DEFAULT/, 'ADD memo text DEFAULT', qr/^- .*column \d+ note /m, qr/r\.note/ ],
	[ 'its default', qr/ADD note text DEFAULT 'none'/, 'ADD note text', qr/^- .*column \d+ note text.* default 'none'/m ],
	[ 'its place', qr/(?=ALTER TABLE purchase_registration ADD)/, "ALTER TABLE purchase_registration ADD x text;\nALTER TABLE purchase_registration DROP x;\n",
		qr/^\+ .*column \d+ note /m ],
	[ 'a column of a view', qr/, r\.note/, '', qr/^- view .*purchase_stock_tables: column \d+ note/m ],
	[ 'a comment', qr/COMMENT ON TABLE purchase_registration[^;]*;/, '', qr/^- .*: comment attached tables$/m ],
	[ 'a comment on what was dropped', qr/COMMENT ON FUNCTION purchase_detach.*?;$/ms, '', qr/^- .*purchase_detach.*: comment forgets/m ],
	[ 'a comment on a column', qr/COMMENT ON COLUMN[^;]*;/, '', qr/^- .*: comment units how many$/m ],
	[ 'the old form of a function', qr/DROP FUNCTION[^;]*;/, '', qr/^\+ function public.purchase_detach\(\S*regclass\): is there$/m ],
	[ 'a default argument', qr/quiet boolean DEFAULT false/, 'quiet boolean', qr/^- .*purchase_detach.*quiet boolean DEFAULT false/m ],
	[ 'a name in C', qr/'purchase_guard'/, "'purchase_distribute'", qr/^\+ .*purchase_detach.*\$purchase_distribute\$/m ],
	[ 'a function', qr/CREATE FUNCTION purchase_noted.*?;\n(?=CREATE TRIGGER)/s, '', qr/^- function public.purchase_noted\(bigint\): is there$/m ],
	[ 'that it is stable', qr/sql STABLE/, 'sql', qr/^- .*STABLE PARALLEL SAFE/m ],
	[ 'that it is parallel safe', qr/ PARALLEL SAFE/, '', qr/^- .*STABLE PARALLEL SAFE/m ],
	[ 'whose rights it has', qr/ SECURITY DEFINER/, '', qr/^- .*SECURITY DEFINER/m ],
	[ 'its search_path', qr/ SET search_path = pg_catalog, pg_temp/, '', qr/^- .*purchase_noted.*SET search_path/m ],
	[ 'a setting of an old one', qr/ALTER FUNCTION purchase_distribute[^;]*;/, '', qr/^- .*purchase_distribute.*SET search_path/m ],
	[ 'that it is strict', qr/ALTER FUNCTION purchase_guard[^;]*;/, '', qr/^- .*purchase_guard.*STRICT/m ],
	[ 'to revoke', qr/REVOKE[^;]*;/, '', qr/^- .*purchase_noted.*: right /m ],
	[ 'to grant', qr/GRANT INSERT[^;]*;/, '', qr/^- .*purchase_note: right pg_database_owner=a/m, qr/^- .*: right of the extension 0 e pg_database_owner=a/m ],
	[ 'to grant a column', qr/GRANT SELECT \(id\)[^;]*;/, '', qr/^- .*: right on id =r/m ],
	[ 'what is dumped', qr/SELECT [^;]*config_dump\('purchase_note[^;]*;/, '', qr/^- .*: dumps purchase_note|dumps public\.purchase_note/m ],
	[ 'which rows are dumped', qr/SELECT [^;]*'WHERE true'\);/, '', qr/^- .*: dumps \S*purchase_default_owner WHERE true$/m ],
	[ 'how a trigger fires', qr/ALTER TABLE purchase_registration ENABLE REPLICA[^;]*;/, '', qr/^- trigger .*enabled R$/m ],
	[ 'what fires a trigger', qr/INSERT OR UPDATE ON/, 'INSERT ON', qr/^- trigger purchase_note_changed .*INSERT OR UPDATE/m ],
	[ 'an index', qr/CREATE INDEX[^;]*;/, '', qr/^- index public.purchase_note_colour: is there$/m ],
	[ 'of what an index is', qr/ WHERE units > 0/, '', qr/^- index .*WHERE/m ],
	[ 'a constraint', qr/units < 100/, 'units < 99', qr/^- table constraint purchase_note_units .*100/m ],
	[ 'not null', qr/colour purchase_colour NOT NULL/, 'colour purchase_colour', qr/^- .*column 2 colour .* not null t/m ],
	[ 'what a sequence counts', qr/INCREMENT 2/, 'INCREMENT 3', qr/^- sequence .*: sequence bigint 1 2 /m ],
	[ 'how a table is stored', qr/ WITH \(fillfactor = 90\)/, '', qr/^- .*fillfactor=90/m ],
	[ 'what is generated', qr/AS \(7\)/, 'AS (8)', qr/^- .*column 4 code .* 7$/m ],
	[ 'row security', qr/ALTER TABLE purchase_note ENABLE ROW[^;]*;/, '', qr/^- .*row security t/m ],
	[ 'a policy', qr/USING \(colour = 'red'\)/, 'USING (true)', qr/^- policy purchase_note_red /m ],
	[ 'a row', qr/INSERT INTO[^;]*;/, '', qr/^- row of purchase_note|^- row of public\.purchase_note/m ],
	[ 'a label', qr/'red', 'green'/, "'red'", qr/^- type public.purchase_colour: label 2 green$/m ],
	[ 'a collation', qr/ COLLATE "C"/, '', qr/^- composite type public.purchase_pair: column 2 other text "C"/m ],
	[ 'a default of a domain', qr/AS bigint DEFAULT 1/, 'AS bigint', qr/^- type public.purchase_units: .* default 1$/m ],
	[ 'a commutator', qr/,\s+COMMUTATOR = ~=~/, '', qr/^- operator .*~=~\(/m ],
	[ 'a cast', qr/CREATE CAST[^;]*;/, '', qr/^- cast \(public.purchase_colour AS integer\): is there$/m ],
	[ 'that an object belongs to it', qr/\z/, "ALTER EXTENSION purchase DROP FUNCTION purchase_noted(bigint);\n",
		qr/^- function public.purchase_noted\(bigint\): is there$/m ])
{
	my ($what, $from, $to, $said, $also) = @$_;
	my $forgetful = $upgrade;

	$forgetful =~ s/$from/$to/ or die "$what: the upgrade script has no $from";
	$forgetful =~ s/$also/'none'/ if $what eq 'a column';
	write_file("purchase--$newest--$next.sql", $forgetful);
	my $found = differences(\@next, [ description($node, install($newest), update($next)) ]);
	like($found, $said, "it is told if an upgrade script forgets $what");
	like($found, $also, 'and what pg_dump would make of it') if $also && $what ne 'a column';
}

# Who sells in that moment is not disturbed.
write_file("purchase--$newest--$next.sql", $upgrade);
create_shop($node, 10, 1000000);
my $load = start_pgbench($node, $sell, '-c', 4, '-t', 1000);
$node->poll_query_until('postgres', 'SELECT count(*) > 100 FROM order_line') or die 'nobody sells';
$node->safe_psql('postgres', update($next));
my $open = $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'");
is(finish_pgbench($load), 0, 'nobody is disturbed who sells while it is updated');
cmp_ok($open, '>', 0, 'which was so');
books_balance($node, 'and the books are right');
$node->safe_psql('postgres', 'DROP EXTENSION purchase; DROP TABLE product, order_line CASCADE');

my $clash = $full =~ s/'purchase_guard' (?=LANGUAGE C VOLATILE PARALLEL UNSAFE;\nCOMMENT ON FUNCTION purchase_detach)/'purchase_detach' /r;
write_file("purchase--$next.sql", $clash);
is(signatures_clash(\%newest, { signatures($node, install($next)) }),
	'purchase_detach: 1 arguments, 0 f void , then 2 arguments, 0 f void ',
	'it is told if a name in C takes another argument');

# A library that knows more columns of the registrations than the SQL does: it sells,
# and what would write such a column says what to do.
my $early = $script;
foreach (qr/^    hold_table regclass,\K\n    limit_column name,[^\n]*/m, qr/, r\.hold_table\K,\s*r\.limit_column/)
{
	$early =~ s/$_// or die "the install script has no $_";
}
$early =~ s/\b\w+\.limit_column/NULL::name/g;
write_file('purchase--0.0.sql', $early);
write_file("purchase--0.0--$newest.sql", 'ALTER TABLE purchase_registration ADD limit_column name;');
$node->safe_psql('postgres', 'CREATE DATABASE early');
$node->safe_psql('early', install('0.0') . q(;
CREATE TABLE product (id bigint PRIMARY KEY, stock bigint NOT NULL, per_buyer int);
INSERT INTO product VALUES (1, 10, 2);
INSERT INTO purchase_registration VALUES ('product', 'id', 'stock', true)));
is($node->safe_psql('early', 'SELECT purchase(1, 1); SELECT outcome FROM purchase_try(1, 1); SELECT purchase_available(1)'),
	"9\nsold\n8", 'the SQL has a column less than the library expects, and it sells');
$node->safe_psql('early', q(CREATE TABLE other (LIKE product INCLUDING ALL); SELECT purchase_attach('other')));
foreach ("SELECT purchase_attach('other', lock_wait => '1s')", "SELECT purchase_detach('other')")
{
	is(sqlstate($node, $_, 'early'), '', "$_ writes nothing that is not there");
}
my ($ret, $out, $err) = $node->psql('early', "SELECT purchase_keep_sales('product', 'per_buyer')");
like($err, qr/ERROR:  the SQL of extension "purchase" is older than its library.*HINT:  .*: ALTER EXTENSION purchase UPDATE;/s,
	'what it can\'t write, it says');
$node->safe_psql('early', update($newest) . q(; SELECT purchase_keep_sales('product', 'per_buyer')));
is(sqlstate($node, 'SELECT purchase(1, 1)', 'early'), '22004', 'once it is updated, it is written, and read');

# New SQL with an old library: it says what is missing, and all stays as it was.
my $gone = 'could not find function "purchase_of_later" in file ".*purchase\.so"';
write_file("purchase--$newest--$next.sql", "CREATE FUNCTION purchase_of_later() RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C;\n");
$node->safe_psql('postgres', install($newest));
($ret, $out, $err) = $node->psql('postgres', update($next));
like($err, qr/$gone/, 'the SQL is not updated with a library that is too old');
is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'purchase'"),
	$newest, 'and stays as it is');

# A library that was put back: what it does not have can't be called, all else can.
$node->safe_psql('postgres', q(
CREATE TABLE product (id bigint PRIMARY KEY, stock bigint NOT NULL);
INSERT INTO product VALUES (1, 10);
SELECT purchase_attach('product');
UPDATE pg_proc SET prosrc = 'purchase_of_later' WHERE oid = 'purchase_restock(bigint,bigint,regclass)'::regprocedure));
($ret, $out, $err) = $node->psql('postgres', 'SELECT purchase_restock(1, 1)');
like($err, qr/$gone/, 'a function that the library does not have');
is($node->safe_psql('postgres', 'SELECT purchase(1, 1)'), 9, 'all others are there');

# What keeps users' objects from being updated, and what they lose.
$node->safe_psql('postgres', q(
CREATE VIEW mine AS SELECT purchase_available(1);
DROP EXTENSION purchase CASCADE;
) . install($newest) . q(;
CREATE FUNCTION tidy(name text) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT purchase_detach(name::regclass); END));
write_file("purchase--$newest--$next.sql", $upgrade);
is(sqlstate($node, update($next)), '2BP01', 'what was made of a function that is dropped stops the update');
$node->safe_psql('postgres', "DROP FUNCTION tidy; SELECT 1; " . update($next));
is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'purchase'"),
	$next, 'and is to be dropped first');

server_log_is_clean($node);
done_testing();
