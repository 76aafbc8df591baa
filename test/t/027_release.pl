# make release says what does not agree on the version, each in a line, and tags only
# what agrees.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'There is no git.' if system('git --version >/dev/null 2>&1') != 0;

my $repo = PostgreSQL::Test::Utils::tempdir() . '/repo';
my ($major, $minor) = slurp_file("$FindBin::Bin/../../purchase.control") =~ /^default_version = '(\d+)\.(\d+)'/m;
my $sql = "$major.$minor";
my ($version) = slurp_file("$FindBin::Bin/../../META.json") =~ /^  "version": "(.*)",/m;
my $kept = "test/upgrade/purchase--$sql.sql";
my ($next_sql, $next) = ("$major." . ($minor + 1), "$major." . ($minor + 1) . '.0');

sub run_in_repo
{
	my $out = qx(cd $repo && { @_; } 2>&1);

	return ($? >> 8, $out);
}

sub git
{
	my ($status, $out) = run_in_repo(join ' && ', map { "git $_" } @_);

	die "git: $out" if $status;
	return $out;
}

sub file { return slurp_file("$repo/$_[0]") }

sub write_file
{
	my ($name, $text) = @_;

	unlink "$repo/$name";
	append_to_file("$repo/$name", $text);
	return;
}

# change(FILE, FROM, TO): in the file, which must have it
sub change
{
	my ($name, $from, $to) = @_;
	my $text = file($name);

	$text =~ s/$from/$to/ or die "$name has no $from";
	write_file($name, $text);
	return;
}

sub commit { return git('add -A', 'commit -q --allow-empty -m test') }

# says(ARGUMENT, LINES, NAME): what is complained of, and nothing else
sub says
{
	my ($argument, $lines, $name) = @_;
	my ($status, $out) = run_in_repo("test/release $argument");

	is($out, join('', map { "$_\n" } @$lines), $name);
	is($status, @$lines ? 1 : 0, 'and ends with an error if there is something') ;
	return;
}

system('cp', '-r', "$FindBin::Bin/../..", $repo) == 0 or die "cp: $?";
system("rm -rf $repo/.git $repo/build $repo/test/upgrade/purchase--*.sql $repo/debian/* $repo/doc/* $repo/purchase--*--*.sql");
write_file($_, "# purchase\n") foreach 'README.md', 'doc/doctor.md';
git('init -q -b main', 'config user.name test', 'config user.email test@example.com');
change('CHANGELOG.md', qr/## \[Unreleased\]\n\K.*?(?=## \[)/s, "\n");
change('CHANGELOG.md', qr/^## \[(?!Unr).*/m, "## [$version] - 2026-01-02");
write_file('CHANGELOG.md', file('CHANGELOG.md') . "\n[$version]: https://example.com\n");
commit();

says('--check', [], 'the files agree');
says($version, [ "$kept is new, for tests of upgrades: commit it",
	'the working tree has changes that are not committed', "$version is not tagged." ],
	'the first call writes the script that is kept');
is(file($kept), file("purchase--$sql.sql"), 'as it is installed');
commit();
is((run_in_repo('test/release'))[0], 2, 'no version');
is((run_in_repo('test/release 1.0'))[0], 2, 'two numbers');

# each is undone
foreach (
	[ 'META.json', qr/^  "version": "\K[^"]*/m, '7.7.7', "the version in META.json is 7.7.7, not $version" ],
	[ 'META.json', qr/^      "version": "\K[^"]*/m, '7.7.7', "the version that META.json provides is 7.7.7, not $version" ],
	[ 'META.json', qr/"name": "purchase",/, '"name": "purchase"', 'META.json is no JSON, or has no version',
		"the version in META.json is missing, not $version", "the version that META.json provides is missing, not $version" ],
	[ 'CHANGELOG.md', qr/^## \[\Q$version\E\]/m, '## [0.0.1]', "the newest version in CHANGELOG.md is 0.0.1, not $version" ],
	[ 'CHANGELOG.md', qr/2026-01-02/, 'soon', "CHANGELOG.md has no date: \"## [$version] - soon\" should be \"## [$version] - YYYY-MM-DD\"" ],
	[ 'CHANGELOG.md', qr/2026-01-02/, '2026-13-02', "CHANGELOG.md has no date: \"## [$version] - 2026-13-02\" should be \"## [$version] - YYYY-MM-DD\"" ],
	[ 'CHANGELOG.md', qr/2026-01-02\n\K.*?(?=^\[|^## )/ms, "\n", "CHANGELOG.md says nothing of $version" ],
	[ 'CHANGELOG.md', qr/\n\[\Q$version\E\]: .*?\z/s, "\n", "CHANGELOG.md has no link for [$version]" ],
	[ 'CHANGELOG.md', qr/## \[Unreleased\]\n\K/, "\n- news\n", 'CHANGELOG.md has text below [Unreleased]' ],
	[ 'src/sql/head.sql', qr/\A/, "-- new\n", "$kept is new, for tests of upgrades: commit it" ],
	[ 'Makefile', qr/^SQL_PARTS = .*\K\)/m, 'x)', "the install script purchase--$sql.sql does not build" ],
	[ 'README.md', qr/\A/, "unzip purchase-7.7.7.zip\n", "README.md:1: purchase-7.7.7.zip is not of $version" ],
	[ 'doc/doctor.md', qr/\A/, "git checkout v7.7.7\n", "doc/doctor.md:1: git checkout v7.7.7 is not of $version" ],
	[ 'doc/doctor.md', qr/\A/, "cp purchase--7.7.sql /\n", "doc/doctor.md:1: purchase--7.7.sql is not of $version" ])
{
	my ($name, $from, $to, @lines) = @$_;

	change($name, $from, $to);
	commit();
	my ($status, $out) = run_in_repo("test/release $version 2>/dev/null");
	my @more = $lines[0] =~ /is new/ ? 'the working tree has changes that are not committed' : ();
	is($out, join('', map { "$_\n" } @lines, @more, "$version is not tagged."), "$name: $lines[0]");
	is($status, 1, 'and it is an error');
	git('checkout -q .', 'reset -q --hard HEAD~1');
}

change('purchase.control', qr/\Q$sql\E/, $next_sql);
commit();
like((run_in_repo("test/release $version"))[1],
	qr/^default_version in purchase.control is \Q$next_sql\E, not \Q$sql\E\n.*^no purchase--A--B.sql leads from \Q$sql\E to \Q$next_sql\E$/ms,
	'the extension has another version, and nothing leads to it');
git('reset -q --hard HEAD~1', 'clean -q -f test/upgrade');

mkdir "$repo/$_" foreach 'debian', 'doc/packages';
write_file('doc/packages/purchase.spec', "Version:\t7.7.7\n");
says('--check', [ "Version in doc/packages/purchase.spec is 7.7.7, not $version" ], 'the spec of an RPM');
unlink "$repo/doc/packages/purchase.spec";
write_file('debian/changelog', "purchase (7.7.7-1) unstable; urgency=medium\n");
commit();
says($version, [ "the newest version in debian/changelog is 7.7.7, not $version", "$version is not tagged." ], 'debian/changelog');
says('--check', [ "the newest version in debian/changelog is 7.7.7, not $version" ], 'also without a release');
write_file('debian/changelog', "purchase (1:$version-2) unstable; urgency=medium\n");
commit();
says('--check', [], 'with an epoch and a revision');

write_file('new', '');
says($version, [ 'the working tree has changes that are not committed', "$version is not tagged." ], 'something is not committed');
unlink "$repo/new";
git('checkout -q -b other');
says($version, [ 'the branch is other, not main', "$version is not tagged." ], 'another branch');
git('checkout -q main', "tag v$version HEAD~1");
says($version, [ "the tag v$version is on another commit", "$version is not tagged." ], 'the tag is taken');
git("tag -d v$version");

# all agrees
my ($status, $out) = run_in_repo("make -s release VERSION=$version");
is($status, 0, 'it is a release');
like($out, qr/^v\Q$version\E is tagged\..*git push origin main v\Q$version\E$/ms, 'and says what remains');
is(git("cat-file -t v$version"), "tag\n", 'with an annotated tag');
is(git("rev-parse v$version^{commit}"), git('rev-parse HEAD'), 'on this commit');
is((run_in_repo("test/release $version"))[0], 0, 'once more does no harm');

# after it
change('src/sql/head.sql', qr/\A/, "-- new\n");
commit();
says('--check', [ "the SQL is not that of $sql, see $kept: it needs a version of its own" ], 'SQL that was released does not change');
change('purchase.control', qr/\Q$sql\E/, $next_sql);
foreach (qr/^  "version": "\K[^"]*/m, qr/^      "version": "\K[^"]*/m)
{
	change('META.json', $_, $next);
}
says('--check', [ "the newest version in CHANGELOG.md is $version, not $next",
	"no purchase--A--B.sql leads from $sql to $next_sql",
	"the newest version in debian/changelog is $version, not $next" ], 'a new version of it needs more');
write_file("purchase--$sql--$next_sql.sql", "SELECT 1;\n");
change('CHANGELOG.md', qr/## \[Unreleased\]\n\K/, "\n- news\n");
unlink "$repo/debian/changelog";
says('--check', [ "purchase--$sql--$next_sql.sql does not say how to use it: \\echo Use \"ALTER EXTENSION purchase UPDATE ...\" to load this file. \\quit" ],
	'what is new may wait, the script must say how it is used');
write_file("purchase--$sql--$next_sql.sql", qq(\\echo Use "ALTER EXTENSION purchase UPDATE TO '$next_sql'" to load this file. \\quit\n));
says('--check', [], 'and then all agrees');
git('rm -q ' . $kept);
commit();
like((run_in_repo("test/release $next"))[1], qr/^\Q$kept is missing, $sql was released\E$/m, 'scripts of what was released are kept');

done_testing();
