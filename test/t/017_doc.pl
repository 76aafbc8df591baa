# The SQL that README.md and doc/*.md show, pasted into psql from the top of
# each document, in a database of its own, prints what they say it does.
#
# How to write it:
#
# - Blocks that begin with ```sql are run in their order.
# - Comment lines right below a statement are what psql prints for it, errors
#   and notices included.  All other comments are prose:
#
#       SELECT purchase(42, 3);    -- behind a statement
#       --  purchase
#       --         2
#
#       -- below an empty line
#       SELECT purchase(42, 3);
#
# - A block without a language that begins with "ERROR:", right below, is what
#   psql prints for the block's last statement.
# - The width of columns, the rule below their names and the number of rows
#   don't matter, the names may be left out, and "..." stands for any text, on a
#   line of its own for any lines.
# - What a statement prints need not be shown, but each error must be.
# - <!-- not run: REASON --> above a block leaves it out.  So does the name of a
#   program that it is from, which is for test/clients/doc.t.
#
# All documents share one server: name their roles differently.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# What may hold a semicolon that ends no statement.
my $opaque = qr/'[^']*' | "[^"]*" | \$(?<tag>\w*)\$.*?\$\g{tag}\$ | --[^\n]*/xs;

# A statement, or a command of psql, and the lines below it.
my $statement = qr{
	(?<query> (?: $opaque | [^;\\] )*+ (?: ; | \\[^\n]* ))
	(?: [ \t]* (?:--[^\n]*)? \n (?<below> (?:[ \t]*--[^\n]*\n)* ) )?
}xs;

# What a document says: [LINE, QUERY, OUTPUT]...
sub statements
{
	my ($text) = @_;
	my @statements;

	while (
		$text =~ m{
			(?<left_out> ^<!--[ ](?:not[ ]run:|test/)[^\n]*-->\n+ )?
			^[ \t]*```sql\n (?<sql> .*? ) ^[ \t]*```$
			(?: \n+^```\n (?<error> ERROR:.*? ) ^```$ )?
		}xsmg)
	{
		my ($sql, $error) = @+{qw(sql error)};
		my $line = 1 + (substr($text, 0, $-[2]) =~ tr/\n//);

		next if $+{left_out};
		while ($sql =~ /\G(?:\s+|--[^\n]*\n)*/gc && $sql =~ /\G$statement/gc)
		{
			my ($query, $below) = ($+{query}, $+{below} // '');
			my $above = substr($sql, 0, $-[0]);

			$below =~ s/^[ \t]*-- ?//mg;
			push @statements, [ $line + ($above =~ tr/\n//), $query, $below ];
		}
		die "line $line: the block's last statement has no end"
		  if pos($sql) < length $sql;
		$statements[-1][2] .= $error // '';
	}
	return @statements;
}

# What psql prints for each of the queries.
sub outputs
{
	my ($node, $dbname, @queries) = @_;
	my $mark = "end of a statement\n";
	my ($out, $err);

	IPC::Run::run(
		[ 'psql', '-Xq', '-d', $node->connstr($dbname) ],
		'<' => \join('', map { "$_\n\\echo $mark\\warn $mark" } @queries),
		'>' => \$out,
		'2>' => \$err) or die "psql: $err";
	my @out = split /^$mark/m, $out, -1;
	my @err = split /^$mark/m, $err, -1;
	die "as many outputs as queries were expected: $out$err"
	  unless @out == @err && @out == 1 + @queries;
	return map { $out[$_] . $err[$_] } 0 .. $#queries;
}

# Without what does not matter.
sub normalized
{
	my ($output) = @_;

	$output =~ s/^[-+]+\n|^\(\d+ rows?\)\n//mg;
	$output =~ s/^\s+|\s+$//mg;
	$output =~ s/[ \t]*\|[ \t]*/|/g;
	$output =~ s/[ \t]+/ /g;
	return $output;
}

sub is_output
{
	my ($got, $expected, $name) = @_;
	my $pattern = join '.*', map { quotemeta } split /\.\.\./,
	  normalized($expected), -1;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	# a line of its own stands for none, too
	$pattern =~ s/\\\n\.\*(?=\\\n|\z)/(?:\\n(?s:.*))?/g;
	like(normalized($got), qr/\A(?:[^\n]*\n)?$pattern\z/, $name);
	return;
}

my $node = new_node('doc');
my $top = "$FindBin::Bin/../..";
my $count = 0;

foreach my $file ("$top/README.md", sort glob "$top/doc/*.md")
{
	my ($name) = $file =~ /([^\/]+)$/;
	my @statements = statements(slurp_file($file));
	my $dbname = 'doc' . ++$count;

	next unless @statements;
	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	my @outputs = outputs($node, $dbname, map { $_->[1] } @statements);
	foreach (@statements)
	{
		my ($line, $query, $expected) = @$_;
		my $output = shift @outputs;
		my ($first) = split /\n/, $query;

		if ($expected eq '')
		{
			($output) = $output =~ /^(ERROR:.*)/ms;
			is($output, undef, "$name:$line: $first");
		}
		else
		{
			is_output($output, $expected, "$name:$line: $first");
		}
	}
}

done_testing();
