# What tests of upgrades share: an installation of their own, whose files they may
# change, and a description of all that the extension has in a database.
package Upgrade;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(own_installation installed_library description
  description_in differences signatures);

# own_installation(): a copy of the server with the extension, which no other test
# uses.  Returns what PostgreSQL::Test calls an install_path, and the DESTDIR.
sub own_installation
{
	my $root = PostgreSQL::Test::Utils::tempdir() . '/root';
	my $bindir = qx($ENV{PG_CONFIG} --bindir);

	chomp $bindir;
	$bindir =~ s{/bin$}{} or die "no directory of programs: $bindir";
	# links to files: who writes one anew, as make install does, has one of his own
	system('cp', '-al', "$ENV{PURCHASE_TMP}/root", $root) == 0 or die "cp: $?";
	return ("$root$bindir", $root);
}

sub installed_library
{
	my ($path) = @_;
	my $dir = qx($path/bin/pg_config --pkglibdir);

	chomp $dir;
	return "$dir/purchase.so";
}

# A line for everything, in words that have no OID in them.
my $describe = <<'SQL';
WITH RECURSIVE object AS (
    SELECT 'pg_extension'::regclass::oid AS classid, oid AS objid
    FROM pg_extension WHERE extname = 'purchase'
    UNION
    SELECT d.classid, d.objid
    FROM object AS o
    JOIN pg_depend AS d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype IN ('e', 'i', 'a')
),
named AS (
    SELECT o.*, i.type || ' ' || i.identity AS name
    FROM object AS o, pg_identify_object(o.classid, o.objid, 0) AS i
    WHERE i.identity !~ 'pg_toast\.'
),
rights AS (
    SELECT 'pg_proc'::regclass::oid AS classid, oid AS objid, proowner AS owner, proacl AS acl FROM pg_proc
    UNION ALL
    SELECT 'pg_class'::regclass, oid, relowner, relacl FROM pg_class
    UNION ALL
    SELECT 'pg_type'::regclass, oid, typowner, typacl FROM pg_type
),
fact (classid, objid, fact) AS (
    SELECT classid, objid, 'is there' FROM named
    UNION ALL
    SELECT 'pg_extension'::regclass, e.oid, concat_ws(' ', 'version', extversion,
        'schema', extnamespace::regnamespace, 'relocatable', extrelocatable)
    FROM pg_extension AS e
    UNION ALL
    SELECT 'pg_extension'::regclass, e.oid, concat_ws(' ', 'dumps', c.relid::regclass, c.condition)
    FROM pg_extension AS e, unnest(e.extconfig, e.extcondition) AS c (relid, condition)
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, pg_get_functiondef(oid) FROM pg_proc WHERE prokind <> 'a' AND oid IN (SELECT objid FROM named)
    UNION ALL
    SELECT classid, objid, 'owner ' || pg_get_userbyid(owner) FROM rights
    UNION ALL
    SELECT classid, objid, 'right ' || item::text FROM rights, unnest(acl) AS item
    UNION ALL
    SELECT 'pg_class'::regclass, oid, concat_ws(' ', 'relation', relkind, relpersistence,
        (SELECT amname FROM pg_am AS a WHERE a.oid = relam), reloptions, 'row security',
        relrowsecurity, relforcerowsecurity, 'identity', relreplident, 'partition',
        relispartition, pg_get_expr(relpartbound, oid))
    FROM pg_class
    UNION ALL
    SELECT 'pg_class'::regclass, oid, pg_get_viewdef(oid) FROM pg_class
    WHERE relkind IN ('v', 'm') AND oid IN (SELECT objid FROM named)
    UNION ALL
    SELECT 'pg_class'::regclass, indexrelid, concat_ws(' ', pg_get_indexdef(indexrelid),
        'valid', indisvalid, 'clustered', indisclustered, 'identity', indisreplident)
    FROM pg_index WHERE indexrelid IN (SELECT objid FROM named)
    UNION ALL
    SELECT 'pg_class'::regclass, seqrelid, concat_ws(' ', 'sequence', seqtypid::regtype, seqstart,
        seqincrement, seqmax, seqmin, seqcache, seqcycle)
    FROM pg_sequence
    UNION ALL
    -- with its number, by which C knows it; minor releases of 2026 count changes of a row
    -- type in an option
    SELECT 'pg_class'::regclass, a.attrelid, concat_ws(' ', 'column', a.attnum, a.attname,
        format_type(a.atttypid, a.atttypmod), nullif(a.attcollation, 0)::regcollation, 'not null',
        a.attnotnull, 'identity', a.attidentity, 'generated', a.attgenerated, 'storage',
        a.attstorage, a.attcompression, 'options', (SELECT string_agg(o, ', ') FROM unnest(a.attoptions) AS o
            WHERE o !~ '^pg_attver='), 'default',
        pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'pg_class'::regclass, a.attrelid, concat_ws(' ', 'right on', a.attname, item)
    FROM pg_attribute AS a, unnest(a.attacl) AS item
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid, concat_ws(' ', pg_get_constraintdef(oid), 'validated', convalidated)
    FROM pg_constraint
    UNION ALL
    SELECT 'pg_trigger'::regclass, oid, concat_ws(' ', pg_get_triggerdef(oid), 'enabled', tgenabled)
    FROM pg_trigger
    UNION ALL
    SELECT 'pg_rewrite'::regclass, oid, concat_ws(' ', pg_get_ruledef(oid), 'enabled', ev_enabled)
    FROM pg_rewrite WHERE oid IN (SELECT objid FROM named)
    UNION ALL
    SELECT 'pg_policy'::regclass, oid, concat_ws(' ', polcmd, polpermissive, polroles::regrole[],
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy
    UNION ALL
    SELECT 'pg_type'::regclass, oid, concat_ws(' ', 'type', typtype, typcategory, typispreferred, typlen,
        typalign, typstorage, typinput, typoutput, 'of', format_type(nullif(typbasetype, 0), typtypmod),
        'not null', typnotnull, 'default', typdefault)
    FROM pg_type
    UNION ALL
    SELECT 'pg_type'::regclass, enumtypid, concat_ws(' ', 'label', row_number() OVER
        (PARTITION BY enumtypid ORDER BY enumsortorder), enumlabel)
    FROM pg_enum
    UNION ALL
    SELECT 'pg_operator'::regclass, oid, concat_ws(' ', oprresult::regtype, oprcode, oprcom::regoperator,
        oprnegate::regoperator, oprcanmerge, oprcanhash, oprrest, oprjoin)
    FROM pg_operator
    UNION ALL
    SELECT 'pg_cast'::regclass, oid, concat_ws(' ', castfunc::regprocedure, castcontext, castmethod)
    FROM pg_cast
    UNION ALL
    SELECT classoid, objoid, concat_ws(' ', 'comment', (SELECT attname FROM pg_attribute
        WHERE classoid = 'pg_class'::regclass AND attrelid = objoid AND attnum = objsubid AND objsubid > 0),
        description)
    FROM pg_description
    UNION ALL
    SELECT classoid, objoid, concat_ws(' ', 'label', objsubid, provider, label) FROM pg_seclabel
    UNION ALL
    -- pg_dump leaves these out
    SELECT classoid, objoid, concat_ws(' ', 'right of the extension', objsubid, privtype, item)
    FROM pg_init_privs, unnest(initprivs) AS item
    UNION ALL
    SELECT d.classid, d.objid, concat_ws(' ', 'depends', d.deptype, 'on', r.type, r.identity)
    FROM pg_depend AS d, pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) AS r
    WHERE d.objid IN (SELECT objid FROM named)
    UNION ALL
    SELECT classid, objid, 'cannot be compared: ' || classid::regclass
    FROM named
    WHERE classid NOT IN ('pg_extension'::regclass, 'pg_proc'::regclass, 'pg_class'::regclass,
        'pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass,
        'pg_policy'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass,
        'pg_cast'::regclass, 'pg_attrdef'::regclass)
)
SELECT DISTINCT regexp_replace(n.name || ': ' || f.fact, '\s+', ' ', 'g')
FROM named AS n JOIN fact AS f USING (classid, objid)
ORDER BY 1;
SQL

# The rows that the extension's tables have from the start.
my $rows = <<'SQL';
SELECT format('SELECT %L || t::text FROM %s AS t ORDER BY 1', 'row of ' || c.oid::regclass || ': ', c.oid::regclass)
FROM pg_class AS c
JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE d.refclassid = 'pg_extension'::regclass AND c.relkind = 'r'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'purchase')
ORDER BY c.relname
\gexec
SQL

# description(NODE, SQL...): what is there after these statements, which are undone.
sub description
{
	my ($node, @sql) = @_;

	return description_in($node, 'postgres', @sql);
}

sub description_in
{
	my ($node, $dbname, @sql) = @_;

	return split /\n/,
	  $node->safe_psql($dbname,
		join(";\n", 'BEGIN', @sql, "SET search_path = pg_catalog;\n$describe$rows\nROLLBACK;"));
}

# What differs, as "- what only the first has" and "+ what only the second has".
sub differences
{
	my ($these, $those) = @_;
	my %in_these = map { $_ => 1 } @$these;
	my %in_those = map { $_ => 1 } @$those;

	return join "\n", sort((map { "- $_" } grep { !$in_those{$_} } @$these),
		(map { "+ $_" } grep { !$in_these{$_} } @$those));
}

# signatures(NODE, SQL...): for each name in C, what a call of it takes and returns.
sub signatures
{
	my ($node, @sql) = @_;

	return map { my ($symbol, $signature) = split /\|/; $symbol => $signature }
	  split /\n/, $node->safe_psql('postgres',
		join(";\n", 'BEGIN', @sql, q(
WITH function AS (
    SELECT p.*, cardinality(COALESCE(proallargtypes, proargtypes::oid[])) AS nargs,
        (SELECT array_agg(a.atttypid::regtype ORDER BY a.attnum) FROM pg_attribute AS a
         JOIN pg_type AS t ON t.typrelid = a.attrelid
         WHERE t.oid = p.prorettype AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_proc AS p
    JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'c'
    WHERE d.refclassid = 'pg_extension'::regclass
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'purchase')
)
SELECT prosrc, string_agg(DISTINCT format('%s arguments, %s %s %s %s', pronargs, nargs - pronargs,
    proretset, prorettype::regtype, columns), '; ')
FROM function GROUP BY prosrc;
ROLLBACK;)));
}

1;
