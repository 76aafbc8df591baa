# What doc/holds.md shows of pg_cron, run by it: old sales are forgotten, and lapsed holds
# expire.  It runs jobs once a minute at most.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $sharedir = qx(pg_config --sharedir);
chomp $sharedir;
plan skip_all => 'There is no pg_cron for this server.'
  if !-e "$sharedir/extension/pg_cron.control";

my ($jobs) = slurp_file("$FindBin::Bin/../../doc/holds.md") =~
  m{<!-- test/t/022_cron.pl -->\n```sql\n(.*?)```}s;
my $node = new_node('cron',
	conf => "shared_preload_libraries = 'pg_cron'
cron.use_background_workers = on");

$node->safe_psql('postgres', q(
CREATE EXTENSION pg_cron;
CREATE EXTENSION purchase;
CREATE TABLE ticket (id bigint PRIMARY KEY, stock integer NOT NULL);
INSERT INTO ticket VALUES (1, 10);
SELECT purchase_attach('ticket'), purchase_keep_sales('ticket');
SELECT purchase(1, 1, sale_id => 'old'), purchase(1, 1, sale_id => 'new'),
	purchase(1, 2, sale_id => 'lapsed', hold_for => '1 hour');
UPDATE ticket_sale SET settled_at = now() - interval '91 days' WHERE sale_id = 'old';
UPDATE ticket_hold SET expires_at = now();
));
$node->safe_psql('postgres', $jobs);
is( $node->safe_psql('postgres', 'SELECT jobname, schedule FROM cron.job ORDER BY jobname'),
	"expire holds|*/5 * * * *\nforget sales|10 3 * * *",
	'two jobs are scheduled');
$node->safe_psql('postgres',
	q(SELECT cron.alter_job(jobid, schedule => '* * * * *') FROM cron.job));
ok( $node->poll_query_until('postgres',
		q(SELECT count(DISTINCT jobid) = 2 FROM cron.job_run_details WHERE end_time IS NOT NULL)),
	'both have run');
is( $node->safe_psql('postgres',
		q(SELECT DISTINCT status FROM cron.job_run_details WHERE end_time IS NOT NULL)),
	'succeeded',
	'without an error');
is( $node->safe_psql('postgres',
		q(SELECT string_agg(sale_id || ' ' || state, ', ' ORDER BY sale_id) FROM ticket_sale)),
	'lapsed expired, new sold',
	'the old sale is forgotten, and the hold has expired');
is($node->safe_psql('postgres', 'SELECT stock FROM ticket'), 8, 'its units are back');
$node->stop;
done_testing();
