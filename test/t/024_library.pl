# A new library is installed while sessions run: those that have loaded the old one go
# on with it, new ones load the new one; where the server has loaded it for all
# (shared_preload_libraries), that is so from its restart on.
#
# make install, as dpkg and rpm, puts a new file in the place of the old one.  Who
# copies onto the old file changes what sessions are running.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;
use Upgrade;

my ($path, $root) = own_installation();
my $library = installed_library($path);
my $top = "$FindBin::Bin/../..";
my $node = new_node('library', install_path => $path);

sub inode
{
	return (stat $library)[1];
}

# Install the library anew, as a user does; it is another file then.
sub make_install
{
	my $before = inode();

	system('make', '-s', '-C', $top, 'install', "PG_CONFIG=$ENV{PG_CONFIG}", "DESTDIR=$root") == 0
	  or die "make install: $?";
	isnt(inode(), $before, 'make install has made a new file');
	return;
}

# The file that a session runs: its inode.
sub loaded
{
	my ($session) = @_;
	my $pid = ask($session, 'SELECT pg_backend_pid()');
	my %inodes;

	foreach (split /\n/, slurp_file("/proc/$pid/maps"))
	{
		$inodes{$1} = 1 if m{^\S+ \S+ \S+ \S+ (\d+)\s+\S*/purchase\.so(?: \(deleted\))?$};
	}
	return join ' ', keys %inodes;
}

create_shop($node, 1, 100);
$node->safe_psql('postgres', "SELECT purchase_keep_sales('product')");

my $stock = 100;

# what the session has called before, and what it has not
sub sells
{
	my ($session, $id, $title) = @_;

	is( ask($session, "SELECT purchase(1, 1);
SELECT purchase_keep_sales('product');
SELECT remaining FROM purchase_cart(ARRAY[1], ARRAY[2], sale_id => '$id', hold_for => '1 hour');
SELECT purchase_release('$id');
SELECT count(*) FROM purchase_check() WHERE severity = 'error'"),
		join("\n", $stock - 1, '', $stock - 3, 2, 0),
		$title);
	$stock -= 1;
	return;
}

my $first = session($node);
is(ask($first, 'SELECT purchase(1, 1)'), --$stock, 'a session has loaded the library');
my $old = inode();
is(loaded($first), $old, 'the file that is installed');

make_install();
sells($first, 'old', 'it goes on when another was installed');
is(loaded($first), $old, 'with the file that it has loaded');
my $second = session($node);
sells($second, 'new', 'a new session sells');
is(loaded($second), inode(), 'with the new file');
sells($first, 'old again', 'both do, in turn');
is($node->safe_psql('postgres', "SELECT count(*) FROM product_sale WHERE state = 'released'"),
	3, 'and see the same sales');
$_->quit foreach ($first, $second);

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'purchase'");
$node->restart;
$old = inode();
make_install();
$first = session($node);
sells($first, 'preloaded', 'a new session of a server that has it preloaded sells');
is(loaded($first), $old, 'with the old file');
$first->quit;
$node->restart;
$first = session($node);
sells($first, 'restarted', 'after a restart it sells');
is(loaded($first), inode(), 'with the new file');

# which one that is, a server of 18 tells
SKIP:
{
	my ($release) = slurp_file("$top/META.json") =~ /^  "version": "(.*)",/m;
	my $server = ask($first, 'SHOW server_version_num');

	skip 'it shows no versions of libraries', 1 if $server < 180000;
	is(ask($first, "SELECT version FROM pg_get_loaded_modules() WHERE module_name = 'purchase'"),
		$release, 'of this release');
}
$first->quit;

server_log_is_clean($node);
done_testing();
