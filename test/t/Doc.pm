# The SQL that documents show, and what psql prints for it.
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
#   program that it is from, which is for test/clients/doc.t, or that of a test, which
#   runs it.
package Doc;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use Test::More;

our @EXPORT = qw(statements is_as_shown);

# What may hold a semicolon that ends no statement.
my $opaque = qr/'[^']*' | "[^"]*" | \$(?<tag>\w*)\$.*?\$\g{tag}\$ | --[^\n]*/xs;

# A statement, or a command of psql, and the lines below it.
my $statement = qr{
	(?<query> (?: $opaque | [^;\\] )*+ (?: ; | \\[^\n]* ))
	(?: [ \t]* (?:--[^\n]*)? \n (?<below> (?:[ \t]*--[^\n]*\n)* ) )?
}xs;

# statements(TEXT, TEST): what a document says, [LINE, QUERY, OUTPUT]..., or of that,
# what it leaves to this test.
sub statements
{
	my ($text, $test) = @_;
	my @statements;

	while (
		$text =~ m{
			(?: ^<!--[ ](?<left_to> not[ ]run:|test/\S+)[^\n]*-->\n+ )?
			^[ \t]*```sql\n (?<sql> .*? ) ^[ \t]*```$
			(?: \n+^```\n (?<error> ERROR:.*? ) ^```$ )?
		}xsmg)
	{
		my ($sql, $error) = @+{qw(sql error)};
		my $line = 1 + (substr($text, 0, $-[2]) =~ tr/\n//);

		next if ($+{left_to} // '') ne ($test // '');
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

# is_as_shown(NODE, DATABASE, NAME, STATEMENT...): one test for each.
sub is_as_shown
{
	my ($node, $dbname, $name, @statements) = @_;
	my @outputs = outputs($node, $dbname, map { $_->[1] } @statements);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

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
	return;
}

1;
