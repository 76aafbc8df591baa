# The SQL that README.md and doc/*.md show, pasted into psql from the top of
# each document, in a database of its own, prints what they say it does.
#
# Doc.pm says how to write it.  All documents share one server: name their roles
# differently.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Doc;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# doc/monitoring.md shows counters
my $node = new_node('doc', conf => "shared_preload_libraries = 'purchase'");
my $top = "$FindBin::Bin/../..";
my $count = 0;

foreach my $file ("$top/README.md", sort glob "$top/doc/*.md")
{
	my ($name) = $file =~ /([^\/]+)$/;
	my @statements = statements(slurp_file($file));
	my $dbname = 'doc' . ++$count;

	next unless @statements;
	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	is_as_shown($node, $dbname, $name, @statements);
}

done_testing();
