# What the TAP tests share: a server with the extension and a small shop, loads
# by pgbench, and sessions whose errors are compared by SQLSTATE.
#
# The shop declares no CHECK (stock >= 0): it would hide a unit sold twice.
package Shop;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node create_shop engine_is books_balance session ask
  sqlstate begin_query end_query wait_for_wait start_pgbench finish_pgbench
  $sell server_log_is_clean);

# A sale as a shop does it: with its order line, in one transaction.
our $sell = <<'SQL';
\set product random(1, 10)
\set qty random(1, 3)
BEGIN;
SELECT outcome = 'sold' AS sold FROM purchase_try(:product, :qty) \gset
\if :sold
INSERT INTO order_line VALUES (:product, :qty);
END;
\else
ROLLBACK;
\endif
SQL

# new_node(NAME, conf => TEXT, install_path => DIRECTORY, OPTION_OF_INIT => VALUE, ...):
# a running server.
sub new_node
{
	my ($name, %init) = @_;
	my $conf = delete $init{conf} // '';
	my $path = delete $init{install_path};
	my $node = PostgreSQL::Test::Cluster->new($name,
		defined $path ? (install_path => $path) : ());

	$node->init(%init);
	$node->append_conf(
		'postgresql.conf', qq(
log_statement = none
# so that a test that waits for ever fails
statement_timeout = 60s
max_connections = 60
shared_buffers = 16MB
$conf
));
	$node->start;
	return $node;
}

# create_shop(NODE, PRODUCTS, STOCK, DATABASE)
sub create_shop
{
	my ($node, $products, $stock, $dbname) = @_;

	$node->safe_psql(
		$dbname // 'postgres', qq(
CREATE EXTENSION purchase;
CREATE TABLE product (
	id bigint PRIMARY KEY,
	name text NOT NULL,
	initial bigint NOT NULL,
	stock bigint NOT NULL);
CREATE TABLE order_line (
	product_id bigint NOT NULL REFERENCES product,
	qty bigint NOT NULL,
	outcome text NOT NULL DEFAULT 'sold');
CREATE VIEW books AS
	SELECT p.id, p.initial, p.stock, p.initial - p.stock AS sold,
		COALESCE(l.qty, 0) AS ordered
	FROM product p LEFT JOIN
		(SELECT product_id, sum(qty) AS qty FROM order_line
		 WHERE outcome IN ('sold', 'restocked') GROUP BY product_id) l
		ON l.product_id = p.id;
INSERT INTO product
	SELECT id, 'product ' || id, $stock, $stock
	FROM generate_series(1, $products) AS id;
SELECT purchase_attach('product');
));
	return;
}

# The engine that serves new sessions is the one that this run is for.
sub engine_is
{
	my ($node, $setting) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $node->safe_psql(
			'postgres',
			"SELECT engine FROM purchase_stock_tables WHERE stock_table = 'product'::regclass"
		),
		$setting eq 'sql' ? 'sql' : 'row',
		"engine for purchase.engine = $setting");
	return;
}

# Units sold = initial - stock = units of committed order lines, each product.
sub books_balance
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $node->safe_psql(
			'postgres',
			'SELECT * FROM books WHERE sold <> ordered OR stock < 0'),
		'', $name);
	return;
}

# A psql that stays and goes on after an error.
sub session
{
	my ($node, $dbname, %params) = @_;

	return $node->background_psql(
		$dbname // 'postgres',
		on_error_stop => 0,
		extra_params =>
		  [ '-v', 'VERBOSITY=sqlstate', @{ $params{extra_params} // [] } ]);
}

# What a session said: the answer, or "ERROR:  <SQLSTATE>".
sub answer
{
	my ($session, $out) = @_;
	my $err = $session->{stderr};

	$session->{stderr} = '';
	chomp($out, $err);
	$err =~ s/^psql:[^:]*:\d+: //gm;
	return $err ne '' ? $err : $out;
}

sub ask
{
	my ($session, $query) = @_;

	$session->{stderr} = '';
	return answer($session, scalar $session->query($query));
}

# Send a query that waits; end_query() fetches the answer.
sub begin_query
{
	my ($session, $query) = @_;

	$session->{stderr} = '';
	$session->query_until(qr/begin_query\r?\n/,
		"\\echo begin_query\n$query\n;\n");
	return;
}

sub end_query
{
	my ($session) = @_;

	return answer($session, scalar $session->query(''));
}

# The SQLSTATE with which a statement in a session of its own fails, or ''.
sub sqlstate
{
	my ($node, $query, $dbname) = @_;
	my ($ret, $out, $err) = $node->psql($dbname // 'postgres', $query,
		extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);

	return $err =~ /(?:ERROR|FATAL): +(\w{5})/ ? $1 : $err;
}

# Wait until a backend waits for a lock.  From 17 on, waits for a product or for the id of a
# sale have names of their own.
sub wait_for_wait
{
	my ($node, $pid, $dbname) = @_;

	$node->poll_query_until($dbname // 'postgres',
		"SELECT wait_event_type = 'Lock' OR wait_event LIKE 'Purchase%' FROM pg_stat_activity WHERE pid = $pid"
	) or die "backend $pid does not wait for a lock";
	return;
}

my $script_count = 0;

# start_pgbench(NODE, SCRIPTS, OPTION...): a load in the background.  SCRIPTS is
# the text of a script or a hash of texts and weights.
sub start_pgbench
{
	my ($node, $scripts, @options) = @_;
	my %load = (out => '', err => '');
	my @files;
	local $ENV{PGAPPNAME} = 'pgbench';

	$scripts = { $scripts => 1 } unless ref $scripts;
	foreach my $text (sort keys %$scripts)
	{
		my $file = $node->basedir . '/load' . ++$script_count . '.sql';

		append_to_file($file, $text);
		push @files, '-f', "$file\@$scripts->{$text}";
	}
	$load{run} = IPC::Run::start(
		[
			'pgbench', '-n', '-h', $node->host, '-p', $node->port, @files,
			@options, 'postgres'
		],
		'>', \$load{out}, '2>', \$load{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%load;
}

# The exit status of a load, which is 2 if one of its clients was aborted.
#
# That doesn't count if it was by an error that a plain UPDATE can run into as
# well, in all supported majors: a row has key-share locks of foreign keys and
# was updated by a transaction that has just aborted.  Then there is a moment in
# which DoesMultiXactIdConflict() takes the update for aborted already, and
# MultiXactIdExpand() for one in progress.
sub finish_pgbench
{
	my ($load) = @_;
	my @aborted;

	$load->{run}->finish;
	note $load->{out}, substr($load->{err}, 0, 1000);
	@aborted = grep { /client \d+ (?:script \d+ )?aborted/ } split /\n/,
	  $load->{err};
	return 0
	  if @aborted
	  && !grep { !/new multixact has more than one updating member/ }
	  @aborted;
	return $load->{run}->result(0);
}

# What no backend may ever write to the log.
sub server_log_is_clean
{
	my ($node) = @_;
	my @bad = grep { /PANIC:|TRAP:|leak|not closed|XX000|signal (?!9:)\d+:/ }
	  split /\n/, slurp_file($node->logfile);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is("@bad", '', 'server log of ' . $node->name . ' is clean');
	return;
}

1;
