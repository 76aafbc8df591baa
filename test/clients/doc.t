#!/usr/bin/perl
# Sees that what doc/clients.md shows of a program is still in it: after a line
# <!-- FILE --> comes a block of its code, where "..." stands for what is left
# out. Indentation may differ.
use strict;
use warnings;
use Test::More;

sub lines_of
{
	my ($text) = @_;
	$text =~ s/^[ \t]+|[ \t]+$//mg;
	return $text;
}

sub slurp
{
	my ($file) = @_;
	open(my $in, '<', $file) or return undef;
	local $/;
	return <$in>;
}

my $doc = slurp('doc/clients.md');
while ($doc =~ /^<!-- (\S+) -->\n+```\w*\n(.*?)^```$/msg)
{
	my ($file, $block) = ($1, $2);
	my $program = slurp($file);
	my @missing = grep { index("\n" . lines_of($program // ''), "\n" . lines_of($_)) < 0 }
	  split(/^[ \t]*(?:#|\/\/|--)?[ \t]*\.\.\.\n\n?/m, $block);
	ok(!@missing, "$file says so") or diag(@missing);
}
done_testing();
