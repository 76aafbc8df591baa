# The alerts of doc/monitoring: Prometheus takes the rules, each fires when it is to, and
# doc/monitoring.md says what to do.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

my $doc = "$FindBin::Bin/../../doc";
my $promtool = "$ENV{MONITORING_TOOLS}/promtool";
my @alerts = slurp_file("$doc/monitoring/alerts.yaml") =~ /- alert: (\w+)/g;
my $tests = slurp_file("$FindBin::Bin/alerts_test.yaml");
my $text = slurp_file("$doc/monitoring.md");

command_ok([ $promtool, 'check', 'rules', "$doc/monitoring/alerts.yaml" ],
	'the rules are valid');
command_ok([ $promtool, 'test', 'rules', "$FindBin::Bin/alerts_test.yaml" ],
	'they fire when they are to');
is(scalar @alerts, 4, 'four alerts');
foreach my $alert (@alerts)
{
	like($tests, qr/alertname: $alert\n\s+exp_alerts:\n\s+- exp_labels/,
		"there is a test that $alert fires");
	like($tests, qr/alertname: $alert\n\s+exp_alerts: \[\]/,
		"there is a test that $alert does not fire");
	like($text, qr/^### $alert$/m, "monitoring.md says what to do for $alert");
}
done_testing();
