# What doc/monitoring brings from pg_stat_purchase to a dashboard: the exporter shows what the
# view does, Prometheus takes it and the alerts, and every panel of the dashboard shows
# something.

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use Doc;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $doc = "$FindBin::Bin/../../doc";
my $http = HTTP::Tiny->new;
my $node = new_node('shop',
	conf => q(shared_preload_libraries = 'purchase'
max_prepared_transactions = 1));

# ----------------------------------------------------------------
# Programs, which end with this one, however it ends
# ----------------------------------------------------------------

my @running;

# start_program(NAME, ENVIRONMENT, ARGUMENT...)
sub start_program
{
	my ($name, $env, @args) = @_;
	my $log = "$PostgreSQL::Test::Utils::log_path/$name.log";
	local @ENV{ keys %$env } = values %$env;

	push @running,
	  IPC::Run::start(
		[ 'setpriv', '--pdeathsig', 'KILL', "$ENV{MONITORING_TOOLS}/$name", @args ],
		'<', \undef, '>', $log, '2>&1');
	return;
}

END
{
	local $?;
	$_->kill_kill foreach @running;
}

# Ask until the answer satisfies, or for too long.  Returns the last answer.
sub poll
{
	my ($url, $satisfies) = @_;
	my $content;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $response = $http->get($url);

		$content = $response->{content};
		return $content if $response->{success} && $satisfies->($content);
		select undef, undef, undef, 0.1;
	}
	die "$url: $content";
}

# ----------------------------------------------------------------
# Each kind of event, each another number of times
# ----------------------------------------------------------------

$node->safe_psql(
	'postgres', q(
CREATE EXTENSION purchase;
CREATE TABLE ticket (id bigint PRIMARY KEY, stock integer NOT NULL, per_buyer integer);
INSERT INTO ticket VALUES (1, 1000, NULL), (2, 0, NULL), (3, 1000, 1), (4, 10, NULL),
	(5, 9, NULL), (6, 1, NULL), (7, 100, NULL);
-- a name that is to be quoted everywhere
CREATE TABLE "Seat ""A""\" (LIKE ticket INCLUDING ALL);
INSERT INTO "Seat ""A""\" VALUES (1, 10, NULL);
CREATE TABLE never_sold (LIKE ticket INCLUDING ALL);
-- before that whose holds the exporter may read: it passes over the row of an error
SELECT purchase_attach('"Seat ""A""\"'), purchase_keep_sales('"Seat ""A""\"');
SELECT purchase_attach('never_sold');
SELECT purchase_attach('ticket', is_default => true);
SELECT purchase_keep_sales('ticket', limit_column => 'per_buyer');

CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
GRANT SELECT ON ticket_hold TO monitor;
));
$node->safe_psql(
	'postgres', q(
SELECT purchase(1, 2, '"Seat ""A""\"', sale_id => 'a', hold_for => '1 h');
SELECT purchase(1, 3, '"Seat ""A""\"');

SELECT purchase_try(99, 1) FROM generate_series(1, 2);
SELECT purchase_try(2, 1) FROM generate_series(1, 3);
SELECT purchase_try(4, 11) FROM generate_series(1, 4);
SELECT purchase_try(3, 2, sale_id => 'limit', buyer => 'ann') FROM generate_series(1, 5);
SELECT purchase(1, 1, sale_id => 'again') FROM generate_series(0, 7);

SELECT purchase(1, 1, sale_id => 'r' || i, hold_for => '1 h') FROM generate_series(1, 8) AS i;
SELECT purchase_release('r' || i) FROM generate_series(1, 8) AS i;
SELECT purchase(5, 1, sale_id => 't' || i, hold_for => '1 h') FROM generate_series(1, 9) AS i;
SELECT purchase(6, 1, sale_id => 'e', hold_for => '1 h');
UPDATE ticket_hold SET expires_at = now();
SELECT purchase(5, 9);
SELECT purchase_expire();
DO $$
BEGIN
	FOR i IN 1 .. 15 LOOP
		BEGIN
			PERFORM purchase_confirm('t1');
		EXCEPTION WHEN SQLSTATE 'SK102' THEN NULL;
		END;
	END LOOP;
END $$;
SELECT purchase(1, 1, sale_id => 'c' || i, hold_for => '1 h') FROM generate_series(1, 12) AS i;
SELECT purchase_confirm('c' || i) FROM generate_series(1, 12) AS i;
SELECT purchase(7, 3, sale_id => 'o' || i, hold_for => '1 h') FROM generate_series(1, 2) AS i;
UPDATE ticket_hold SET expires_at = now();
SELECT purchase(7, 4, sale_id => 'l' || i, hold_for => '1 h') FROM generate_series(1, 4) AS i;

SET purchase.early_release = on;
DO $$ BEGIN FOR i IN 1 .. 13 LOOP PERFORM purchase(1, 1); COMMIT; END LOOP; END $$;
));

my ($holder, $buyer) = (session($node), session($node));
my $pid = ask($buyer, 'SELECT pg_backend_pid()');

ask($holder, 'BEGIN; SELECT purchase(1, 2)');
$node->safe_psql('postgres', 'SELECT purchase_try(1, 1) FROM generate_series(1, 6)');
ask($buyer, "SET purchase.lock_wait = '60s'");
begin_query($buyer, 'SELECT purchase(1, 1)');
wait_for_wait($node, $pid);
ask($holder, "PREPARE TRANSACTION 'forgotten'; COMMIT PREPARED 'forgotten'");
end_query($buyer);
ask($buyer, "BEGIN; SELECT purchase(4, 1); PREPARE TRANSACTION 'forgotten'");
ask($holder, 'BEGIN; SELECT purchase(7, 1)');

# ----------------------------------------------------------------
# What the exporter shows
# ----------------------------------------------------------------

# Metric, labels beside datname and stock_table, and what it is of the view.
my @counters = (
	(map { [ 'purchase_calls_total', qq(outcome="$_"), $_ ] }
		  qw(product_not_found out_of_stock insufficient_quantity buyer_limit_exceeded busy
		  hold_expired)),
	[ 'purchase_calls_total', 'outcome="sold"', 'sold_calls' ],
	(map { [ "purchase_${_}_total", '', $_ ] }
		  qw(sold_units replays waits holds_made holds_confirmed holds_released holds_lapsed
		  holds_taken early_releases)),
	[ 'purchase_wait_seconds_total', '', 'wait_time / 1000' ],
	[ 'purchase_durable_seconds_total', '', 'durable_time / 1000' ]);

sub label
{
	my ($value) = @_;

	return '"' . ($value =~ s/([\\"])/\\$1/gr) . '"';
}

# metrics(TEXT, PATTERN): {'name{label="value",...}' => value}; not what labels are alike.
sub metrics
{
	my ($text, $pattern) = @_;
	my %metrics;

	while ($text =~ /^(($pattern)\{.*\}) (\S+)$/mg)
	{
		my ($name, $value) = ($1, $3);

		$name =~ s/\bserver="(?:[^"\\]|\\.)*",//;
		$metrics{$name} = $value + 0;
	}
	return \%metrics;
}

my $exporter = 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
my $port = $exporter =~ s/.*://r;

start_program(
	'prometheus-postgres-exporter',
	{
		DATA_SOURCE_NAME => $node->connstr('postgres') . ' user=monitor sslmode=disable'
	},
	"--extend.query-path=$doc/monitoring/postgres_exporter.yaml",
	"--web.listen-address=127.0.0.1:$port");

my $scraped = poll("$exporter/metrics", sub { $_[0] =~ /^pg_up(?:\{.*\})? 1$/m });
my (%expected, %once);

foreach my $counter (@counters)
{
	my ($metric, $labels, $column) = @$counter;
	my $of_ticket;

	foreach (
		split /\n/,
		$node->safe_psql('postgres',
			"SELECT stock_table || ' ' || ($column)::text FROM pg_stat_purchase"))
	{
		my ($table, $value) = /^(.*) (.*)$/;
		my $name = join ',', 'datname="postgres"', grep { $_ ne '' } $labels,
		  'stock_table=' . label($table);

		$expected{"$metric\{$name\}"} = $value + 0;
		$of_ticket = $value if $table eq 'ticket';
	}
	cmp_ok($of_ticket, '>', 0, "$column: there were some");
	ok(!$once{ $of_ticket + 0 }++, "$column: as many as nothing else");
}
is(scalar keys %expected, 3 * @counters, 'three tables');
is_deeply(
	metrics($scraped, 'purchase_(?!held_|oldest_)\w+'),
	\%expected, 'every counter is what the view says, of each table');
is_deeply(
	metrics($scraped, 'purchase_held_\w+'),
	{
		'purchase_held_lines{datname="postgres",state="lapsed",stock_table="ticket"}' => 2,
		'purchase_held_lines{datname="postgres",state="live",stock_table="ticket"}' => 4,
		'purchase_held_units{datname="postgres",state="lapsed",stock_table="ticket"}' => 6,
		'purchase_held_units{datname="postgres",state="live",stock_table="ticket"}' => 16
	},
	'what is held now, of the tables that the exporter may read');

my %oldest = %{ metrics($scraped, 'purchase_oldest_\w+') };
my ($active, $idle, $prepared) =
  map { $oldest{qq(purchase_oldest_transaction_seconds{datname="postgres",state="$_"})} }
  ('active', 'idle in transaction', 'prepared');

is(scalar keys %oldest, 3, 'three kinds of transactions');
cmp_ok($prepared, '>', $idle, 'the prepared one is older');
# of the exporter itself
cmp_ok($idle, '>', $active, 'an idle one is older than any that does something');
is(() = $scraped =~ /^# TYPE purchase_\w+_total counter$/mg,
	12, 'the counters are counters');
is_deeply([ $scraped =~ /^# TYPE (purchase_\w+) (?!counter)/mg ],
	[ sort $scraped =~ /^# TYPE (purchase_(?:held|oldest)_\w+) gauge$/mg ],
	'the others are gauges');

# ----------------------------------------------------------------
# What uses it
# ----------------------------------------------------------------

my %metric = map { $_ => 1 } $scraped =~ /^# TYPE (purchase_\w+)/mg;

sub used_in
{
	my ($file) = @_;

	return slurp_file($file) =~ /\b(purchase_\w+)\b(?!\()/g;
}

foreach my $file ("$doc/monitoring/alerts.yaml", "$doc/monitoring/grafana.json",
	"$FindBin::Bin/alerts_test.yaml")
{
	is_deeply([ grep { !$metric{$_} } used_in($file) ],
		[], "$file: the exporter shows every metric");
}

my %shown = map { $_ => 1 } used_in("$doc/monitoring/grafana.json");
my %told = map { $_ => 1 } used_in("$doc/monitoring.md");

is_deeply([ grep { !$shown{$_} } sort keys %metric ], [], 'every metric is on the dashboard');
is_deeply([ grep { !$told{$_} } sort keys %metric ], [], 'every metric is in monitoring.md');

# ----------------------------------------------------------------
# Prometheus
# ----------------------------------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir();
my $prometheus = 'http://127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();

append_to_file("$dir/prometheus.yml", qq(
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: ['$doc/monitoring/alerts.yaml']
scrape_configs:
  - job_name: shop
    static_configs:
      - targets: ['127.0.0.1:$port']
));
start_program('prometheus', {}, "--config.file=$dir/prometheus.yml",
	"--storage.tsdb.path=$dir/tsdb",
	'--web.listen-address=' . $prometheus =~ s/.*\///r);

# What an expression results in: a list of {metric => {LABEL => VALUE}, value => [TIME, VALUE]}.
sub result
{
	my ($content) = @_;

	return @{ decode_json($content)->{data}{result} };
}

sub query_url
{
	my ($expr) = @_;

	return "$prometheus/api/v1/query?" . $http->www_form_urlencode({ query => $expr });
}

# two samples make a rate
poll(query_url('min(count_over_time(purchase_held_lines[1m])) > 1'),
	sub { result($_[0]) > 0 });

my $dashboard = decode_json(slurp_file("$doc/monitoring/grafana.json"));

foreach my $panel (@{ $dashboard->{panels} })
{
	my ($n, $expr_of) = (0, {});

	foreach my $target (@{ $panel->{targets} })
	{
		my $expr = $target->{expr};

		$expr =~ s/\[\$__rate_interval\]/[1m]/g;
		$expr =~ s/\$(?:instance|datname|stock_table)\b/.*/g;
		# nothing is that old
		$expr =~ s/ offset \w+//g;
		unlike($expr, qr/\$/, "$panel->{title}: all variables are known");

		my @series = result(poll(query_url($expr), sub { 1 }));
		my @labels = $target->{legendFormat} =~ /\{\{(\w+)\}\}/g;

		isnt(scalar @series, 0, "$panel->{title}: there is something to show");
		is_deeply([ grep { my $s = $_; grep { !defined $s->{metric}{$_} } @labels } @series ],
			[], "$panel->{title}: with the labels of its legend");
	}
}
is_deeply([ map { $_->{id} } @{ $dashboard->{panels} } ],
	[ 1 .. @{ $dashboard->{panels} } ], 'each panel has an id of its own');
foreach my $variable (@{ $dashboard->{templating}{list} })
{
	next unless $variable->{type} eq 'query';

	my ($metric, $label) =
	  $variable->{query}{query} =~ /^label_values\((\w+)(?:\{.*\})?, (\w+)\)$/;
	my $values = decode_json(poll("$prometheus/api/v1/label/$label/values?"
			  . $http->www_form_urlencode({ 'match[]' => $metric }), sub { 1 }));

	isnt(scalar @{ $values->{data} }, 0, "variable $variable->{name} has values");
}

my $rules;

poll("$prometheus/api/v1/rules",
	sub {
		$rules = decode_json($_[0])->{data}{groups}[0]{rules};
		return !grep { $_->{health} eq 'unknown' } @$rules;
	});
is_deeply([ map { "$_->{name} $_->{health} $_->{state}" } @$rules ],
	[ map { "Purchase$_ ok inactive" } qw(Busy Stopped Slow Unpaid) ],
	'all rules can be evaluated, and none fires');

# ----------------------------------------------------------------
# What doc/monitoring.md shows, where that needs more than one session
# ----------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE doc');
$node->safe_psql(
	'doc', q(
CREATE EXTENSION purchase;
CREATE TABLE shop_product (id bigint PRIMARY KEY, stock integer NOT NULL);
INSERT INTO shop_product VALUES (42, 10);
SELECT purchase_attach('shop_product');
));

my ($job, $web) = map {
	session($node, 'doc', extra_params => [ '-v', "app=$_" ])
} qw(nightly_report shop);

ask($job, 'SET application_name = nightly_report; BEGIN; SELECT purchase(42, 1)');
ask($job, "SELECT 'sends a mail'");
ask($web, "SET application_name = shop; SET purchase.lock_wait = -1");
$pid = ask($web, 'SELECT pg_backend_pid()');
begin_query($web, 'SELECT purchase(42, 2)');
wait_for_wait($node, $pid, 'doc');
is_as_shown($node, 'doc', 'monitoring.md',
	statements(slurp_file("$doc/monitoring.md"), 'test/monitoring/metrics.pl'));

# the holder was ended, and the buyer goes on
is(end_query($web), '8', 'the buyer buys');
$web->quit;

# ----------------------------------------------------------------
# Without the counters
# ----------------------------------------------------------------

ask($holder, 'ROLLBACK');
$holder->quit;
$buyer->quit;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$scraped = poll("$exporter/metrics",
	sub { $_[0] =~ /^pg_up(?:\{.*\})? 1$/m && $_[0] =~ /^purchase_held/m });
is_deeply(
	[ grep { /_total/ } keys %{ metrics($scraped, 'purchase_\w+') } ],
	[], 'no counters: nothing is said to be 0');
like($scraped, qr/^purchase_oldest_transaction_seconds\{.*state="prepared"\}/m,
	'the rest is there');

server_log_is_clean($node);
$node->stop;
done_testing();
