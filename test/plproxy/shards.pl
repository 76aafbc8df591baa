# A shop on two shards behind PL/Proxy, as doc/scale.md shows it, with the files of
# doc/plproxy as they are: what comes through, calls repeated after the connection to a
# shard was lost, and carts that cross shards, with a shard that dies in between.
#
# One shard has the row engine, the other the sql engine.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use Doc;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

# That a connection was dropped is no news here.
$ENV{PGOPTIONS} = '-c client_min_messages=error';

my $top = "$FindBin::Bin/../..";

# A commit that is to be confirmed by a standby waits for ever: see lose_answer().
my $conf = "synchronous_standby_names = 'nobody'
synchronous_commit = local
wal_level = replica
max_wal_senders = 1
restart_after_crash = on";
my @shard = (
	new_node('shard0', conf => "$conf\npurchase.engine = auto"),
	new_node('shard1', conf => "$conf\npurchase.engine = sql"));
my $proxy = new_node('proxy');

# ----------------------------------------------------------------
# What doc/scale.md shows
# ----------------------------------------------------------------

my $doc = slurp_file("$top/doc/scale.md");
my ($commands) = $doc =~ /^## PL\/Proxy\n.*?^```sh\n(.*?)^```$/ms;

foreach my $node (@shard, $proxy)
{
	my ($name, $host, $port) = ($node->name, $node->host, $node->port);

	$node->safe_psql('postgres', 'CREATE DATABASE shop');
	$commands =~ s/host=$name /host=$host port=$port /g;
}
{
	my $out;

	ok( IPC::Run::run(
			[ 'bash', '-e', '-c', "cd '$top'\n$commands" ],
			'>' => \$out,
			'2>&1'),
		'the files can be run as they are') or diag $out;
}
is_as_shown($proxy, 'shop', 'scale.md',
	statements($doc, 'test/plproxy/shards.pl'));

# ----------------------------------------------------------------
# What the rest needs
# ----------------------------------------------------------------

my $session = session($proxy, 'shop');
$session->set_query_timer_restart;
my $lost = 'ERROR:  XX000';

# on(SHARD, QUERY), and a session there
sub on
{
	my ($shard, $query) = @_;

	return $shard[$shard]->safe_psql('shop', $query);
}

sub session_on
{
	my ($shard) = @_;

	return session($shard[$shard], 'shop');
}

# What a call through the proxy says, in the session that saw all losses.
sub call
{
	my ($query) = @_;

	return ask($session, $query =~ /^[A-Z]/ ? $query : "SELECT $query");
}

# says(QUERY, ANSWER, NAME)
sub says
{
	my ($query, $answer, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is(call($query), $answer, $name);
}

# A new product on this shard, and how many of it were delivered.
my %delivered;
my $last_id = 100;

sub product
{
	my ($shard, $stock) = @_;
	my $id;

	do { $id = ++$last_id } until call("purchase_shard($id)") eq $shard;
	call("add_product($id, $stock)");
	$delivered{$id} = $stock;
	return $id;
}

sub restock
{
	my ($id, $qty) = @_;

	$delivered{$id} += $qty;
	return call("purchase_restock($id, $qty)");
}

sub stock
{
	return join ' ', map { call("purchase_available($_)") } @_;
}

# The states of a sale: on shard 0, on shard 1.
sub states
{
	my ($id) = @_;

	return join ' ', map {
		on($_, "SELECT COALESCE(min(state), '-') FROM product_sale
			WHERE sale_id = '$id'")
	} 0, 1;
}

# What was delivered is in stock, held, or sold and not returned, on the shard that has it.
sub books_agree
{
	my ($name) = @_;
	my %have;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $shard (0, 1)
	{
		$have{ $_->[0] } .= $_->[1] foreach map { [ split /\|/ ] } split /\n/, on($shard, q(
			SELECT id, stock
				+ COALESCE((SELECT sum(qty) FROM product_hold WHERE product_id = id), 0)
				+ COALESCE((SELECT sum(qty - released - returned) FROM product_sale
					WHERE product_id = id AND state = 'sold'), 0)
			FROM product WHERE id > 100));
	}
	is_deeply(\%have, \%delivered, $name);
	return;
}

sub let_lapse
{
	my ($shard, $id) = @_;

	return on($shard,
		"UPDATE product_hold SET expires_at = '2000-01-01' WHERE sale_id = '$id'");
}

# Settings of new connections to a shard's shop.
sub set_on
{
	my ($shard, $setting) = @_;

	return $shard[$shard]->safe_psql('postgres', "ALTER DATABASE shop $setting");
}

# Wait until one backend of a shard's shop waits, and for this.
sub wait_on
{
	my ($shard, $condition) = @_;

	$shard[$shard]->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity
			WHERE datname = 'shop' AND state = 'active' AND $condition")
	  or die "nobody waits on shard $shard: $condition";
	return;
}

# begin(QUERY): a call that will wait, in a session with new connections
sub begin
{
	my ($query) = @_;
	my $caller = session($proxy, 'shop');

	begin_query($caller, "SELECT $query");
	return $caller;
}

# The answer to it.
sub end
{
	my ($caller) = @_;
	my $answer = end_query($caller);

	$caller->quit;
	return $answer;
}

# The session's connection to a shard that was down: the first call finds it broken.
sub start
{
	my ($shard) = @_;

	$shard[$shard]->start;
	call("purchase_release_on($shard, 'none')");
	return;
}

my %stop = (
	'the backend is terminated' => sub {
		my ($shard) = @_;
		$shard[$shard]->safe_psql('postgres', q(
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = 'shop' AND state = 'active'));
	},
	'the shard stops' => sub {
		my ($shard) = @_;
		$shard[$shard]->stop('immediate');
		start($shard);
	},
	'a backend is killed' => sub {
		my ($shard) = @_;
		my $node = $shard[$shard];
		my $start = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
		my $pid = $node->safe_psql('postgres', q(
			SELECT pid FROM pg_stat_activity
			WHERE datname = 'shop' AND state = 'active'));

		kill 'KILL', $pid;
		# the others go with it; this one's successors come after recovery
		$node->poll_query_until('postgres',
			"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
		  or die 'no recovery';
		call("purchase_release_on($shard, 'none')");
	});

# ----------------------------------------------------------------
# Errors
# ----------------------------------------------------------------

{
	my ($p, $q) = (product(0, 3), product(1, 3));
	my $verbose = sub {
		my ($node, $query) = @_;
		my ($ret, $out, $err) = $node->psql('shop', $query,
			extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		return $err;
	};
	my ($here, $there) = map {
		$verbose->($_, "SELECT purchase($p, 4)")
	} $shard[0], $proxy;

	like($here, qr/ERROR:  SK003: not enough stock of product $p$/m, 'on the shard: message');
	like($here, qr/^TABLE NAME:  product\n+COLUMN NAME:  stock$/m, 'on the shard: fields');
	like($there,
		qr/ERROR:  SK003: public\.purchase\(5\): \[shop\] REMOTE ERROR: not enough stock of product $p$/m,
		'the SQLSTATE comes through, the message with something before it');
	like($there, qr/^DETAIL:  Remote detail: Product $p has 3 in stock, 4 were requested\.$/m,
		'so does the DETAIL');
	like($there, qr/^HINT:  Remote hint: A quantity of up to 3 can be sold\.$/m,
		'and the HINT');
	unlike($there, qr/^(?:SCHEMA|TABLE|COLUMN) NAME:/m, 'fields do not');

	says("purchase($p, 1, 'e1')", 2, 'sold');
	says("purchase($q, 1, 'e2', '1 hour')", 2, 'held');
	says("purchase($q, 1, 'e3', '1 hour')", 1, 'held');
	says("purchase_release('e3', $q)", 1, 'released');
	says($_->[0], "ERROR:  $_->[1]", "$_->[1] comes through")
	  foreach (
		[ 'purchase(99, 1)', 'SK001' ],
		[ 'purchase(NULL, 1)', 'XX000' ],
		[ "purchase($p, 3)", 'SK003' ],
		[ "purchase_confirm('e4', $p)", 'SK101' ],
		[ "purchase_release('e1', $p)", 'SK103' ],
		[ "purchase_confirm('e3', $q)", 'SK103' ],
		[ "purchase_return('e2', $q)", 'SK104' ],
		[ "purchase_return('e1', $p, 2, 'r1')", 'SK104' ],
		[ "purchase($p, 2, 'e1')", 'SK201' ],
		[ "purchase($p, 0)", '22023' ],
		[ "purchase($p, NULL)", '22004' ]);
	says("purchase($p, 2, 'e5')", 0, 'sold out');
	says("purchase($p, 1)", 'ERROR:  SK002', 'SK002 comes through');

	my $other = session_on(1);
	ask($other, "BEGIN; SELECT purchase_restock($q, 1)");
	says("purchase($q, 1)", 'ERROR:  55P03', '55P03 comes through');
	ask($other, 'ROLLBACK');
	$other->quit;
}

# ----------------------------------------------------------------
# Settling, and a sale with its order line
# ----------------------------------------------------------------

{
	my $p = product(1, 10);

	says("purchase($p, 4, 's1', '1 hour', 'ann')", 6, 'held for ann');
	says("purchase_release('s1', $p, 1)", 1, 'a part is released');
	says("purchase_extend('s1', $p, '2 hours') > now() + interval '1 hour'", 't', 'extended');
	says("purchase_confirm('s1', $p)", 't', 'confirmed');
	says("purchase_confirm('s1', $p)", 'f', 'confirmed before');
	says("purchase_return('s1', $p, 1, 'r1')", 1, 'a part is returned');
	says("purchase_return('s1', $p, 1, 'r1')", 1, 'the same part');
	says("purchase_return('s1', $p, restock => false)", 2, 'the rest, broken');
	$delivered{$p} -= 2;
	says("SELECT outcome, remaining FROM purchase_try($p, 8, 's2', '1 hour', 'bob')",
		'held|0', 'tried');
	is( on(1, "SELECT sale_id, buyer FROM product_sale WHERE sale_id IN ('s1', 's2') ORDER BY 1"),
		"s1|ann\ns2|bob",
		'the buyer is on the shard');

	my $o = product(0, 10);
	my $lines = "SELECT count(*), sum(qty) FROM order_line WHERE product_id = $o";

	says("purchase_order($o, 2, 'o1', 'ann')", 8, 'sale and order line');
	says("purchase_order($o, 2, 'o1', 'ann')", 8, 'repeated');
	is(on(0, $lines), '1|2', 'one order line');
	on(0, 'ALTER TABLE order_line ADD CONSTRAINT few CHECK (qty < 5)');
	says("purchase_order($o, 5, 'o2')", 'ERROR:  23514', 'the order line fails');
	is(stock($o), 8, 'so does the sale');
	is(on(0, "SELECT count(*) FROM product_sale WHERE sale_id = 'o2'"),
		0, 'and its id is free');
	on(0, 'ALTER TABLE order_line DROP CONSTRAINT few');
	says("purchase_order($o, 5, 'o2')", 3, 'sold with it');
}

# ----------------------------------------------------------------
# A product is on one shard only
# ----------------------------------------------------------------

is(sqlstate($shard[1], "SELECT add_product(" . product(0, 1) . ", 1)", 'shop'),
	'23514', "no shard takes the other's products");

# ----------------------------------------------------------------
# Roles and settings
# ----------------------------------------------------------------

{
	my $p = product(1, 10);
	my $buyer = "SET ROLE buyer; SELECT purchase($p, 1, 'by buyer')";
	my $other = session_on(1);
	my $place = call(q(SELECT option_value FROM pg_foreign_server,
		pg_options_to_table(srvoptions) WHERE option_name = 'p1'));
	my $caller;

	$_->safe_psql('shop', 'CREATE ROLE buyer LOGIN') foreach (@shard, $proxy);
	is(sqlstate($proxy, $buyer, 'shop'), '42501', 'who has no USAGE can not call');
	call('GRANT USAGE ON FOREIGN SERVER shop TO buyer');
	is(sqlstate($proxy, $buyer, 'shop'), '42501', 'nor who has no rights on the shard');
	on(1, 'GRANT SELECT, UPDATE ON product TO buyer');
	is(sqlstate($proxy, $buyer, 'shop'), '', 'who has both can');
	is(on(1, "SELECT created_by FROM product_sale WHERE sale_id = 'by buyer'"),
		'buyer', 'and is known there');

	ask($other, "BEGIN; SELECT purchase($p, 1, sale_id => 'first')");
	call("SET purchase.lock_wait = '-1'");
	says("purchase($p, 1)", 'ERROR:  55P03', "the proxy's lock_wait does nothing");
	call('RESET purchase.lock_wait');
	call("ALTER SERVER shop OPTIONS (SET p1
		'$place options=''-c purchase.lock_wait=-1''')");
	$caller = begin("purchase($p, 1, 'second')");
	wait_on(1, "wait_event_type IN ('Lock', 'Extension')");
	ask($other, 'COMMIT');
	is(end($caller), 7, 'that of the connection does');

	# A cancel reaches the shard.
	ask($other, "BEGIN; SELECT purchase($p, 1, sale_id => 'third')");
	$caller = begin("purchase($p, 1, 'cancelled')");
	wait_on(1, "wait_event_type IN ('Lock', 'Extension')");
	call(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity
		WHERE query LIKE '%''cancelled''%' AND pid <> pg_backend_pid()));
	is(end($caller), 'ERROR:  57014', 'a call is cancelled');
	is( on(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type IN ('Lock', 'Extension')"),
		0, 'and waits no longer on the shard');
	ask($other, 'COMMIT');
	says("purchase($p, 1, 'cancelled')", 5, 'repeated, it sells');
	is(stock($p), 5, 'once');
	call("ALTER SERVER shop OPTIONS (SET p1 '$place')");
	$other->quit;
}

# ----------------------------------------------------------------
# The connection to the shard is lost
# ----------------------------------------------------------------

# lose_answer(SHARD, HOW, QUERY): it is committed, but the answer never comes
sub lose_answer
{
	my ($shard, $how, $query) = @_;
	my ($caller, $answer);

	set_on($shard, 'SET synchronous_commit = on');
	$caller = begin($query);
	wait_on($shard, "wait_event = 'SyncRep'");
	set_on($shard, 'RESET synchronous_commit');
	$stop{$how}->($shard);
	return end($caller);
}

# lose_call(SHARD, HOW, PRODUCT, QUERY): it is not committed, as it waits for the product
sub lose_call
{
	my ($shard, $how, $product, $query) = @_;
	my $other = session_on($shard);
	my $caller;

	ask($other, "BEGIN; SELECT FROM product WHERE id = $product FOR UPDATE");
	set_on($shard, "SET purchase.lock_wait = '-1'");
	$caller = begin($query);
	wait_on($shard, "wait_event_type IN ('Lock', 'Extension')");
	set_on($shard, 'RESET purchase.lock_wait');
	$stop{$how}->($shard);
	eval { $other->quit };
	return end($caller);
}

foreach my $shard (0, 1)
{
	foreach my $how (sort keys %stop)
	{
		my $title = "shard $shard, $how";
		my ($p, $q, $r) = map { product($shard, 10) } 1 .. 3;
		my $sell = "purchase($p, 1, 'lost $p')";
		my $order = "purchase_order($q, 1, 'lost $q')";
		my $again = "purchase($r, 1, 'lost $r')";

		like(lose_answer($shard, $how, $sell), qr/^ERROR:  (XX000|57P0\d)/,
			"$title after the commit: an error");
		is(stock($p), 9, "$title after the commit: it is sold");
		says($sell, 9, "$title after the commit: repeated, the same answer");
		is(stock($p), 9, "$title after the commit: and one sale");

		lose_answer($shard, $how, $order);
		says($order, 9, "$title, with its order line: repeated");
		is( on($shard, "SELECT count(*), sum(qty) FROM order_line WHERE product_id = $q"),
			'1|1', "$title, with its order line: one sale, one line");

		like(lose_call($shard, $how, $r, $again), qr/^ERROR:  (XX000|57P0\d)/,
			"$title before the commit: an error");
		is(stock($r), 10, "$title before the commit: nothing is sold");
		says($again, 9, "$title before the commit: repeated, it is sold");
	}
}

# so it is the id that does it
{
	my $p = product(0, 10);

	lose_answer(0, 'the backend is terminated', "purchase($p, 1)");
	says("purchase($p, 1)", 8, 'without an id, it is sold twice');
	$delivered{$p} -= 2;
}
books_agree('lost connections: the books agree');

# ----------------------------------------------------------------
# Carts
# ----------------------------------------------------------------

# cart(ID, STOCK OF THE PRODUCT ON EACH SHARD): calls for one of two units of each
sub cart
{
	my ($id, @stock) = @_;
	my @p = (product(0, $stock[0]), product(1, $stock[1]));
	my $ids = "ARRAY[$p[0], $p[1]]";

	return {
		id => $id,
		p => \@p,
		sell => "SELECT remaining FROM purchase_cart($ids, ARRAY[2, 2], '$id')",
		hold => "SELECT remaining FROM purchase_cart($ids, ARRAY[2, 2], '$id', '1 hour')",
		confirm => "purchase_confirm_cart($ids, '$id')",
		cancel => "purchase_cancel_cart($ids, '$id')",
	};
}

# cart_is(CART, STATES, STOCKS, NAME)
sub cart_is
{
	my ($cart, $states, $stocks, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(states($cart->{id}) . ', ' . stock(@{ $cart->{p} }), "$states, $stocks", $name);
	return;
}

# Nothing happens
{
	my $c = cart('c1', 10, 10);

	says($c->{sell}, "8\n8", 'a cart is sold');
	cart_is($c, 'sold sold', '8 8', 'on both shards');
	says($c->{sell}, "8\n8", 'repeated, the same answer');
	says($c->{confirm}, 'f', 'confirmed before');
	cart_is($c, 'sold sold', '8 8', 'and nothing is sold');
	says($c->{hold}, 'ERROR:  SK201', 'another call with its id');
	cart_is($c, 'sold sold', '8 8', '... changes nothing');
	says($c->{cancel}, 4, 'returned');
	says($c->{cancel}, 0, 'once');
	cart_is($c, 'sold sold', '10 10', 'on both shards');

	$c = cart('c2', 10, 10);
	says($c->{hold}, "8\n8", 'a cart is held');
	says($c->{hold}, "8\n8", 'repeated, the same answer');
	cart_is($c, 'held held', '8 8', 'on both shards');
	says($c->{confirm}, 't', 'confirmed');
	cart_is($c, 'sold sold', '8 8', 'sold on both shards');

	$c = cart('c3', 10, 10);
	call($c->{hold});
	says($c->{cancel}, 4, 'cancelled');
	cart_is($c, 'released released', '10 10', 'nothing is held');
	says($c->{confirm}, 'ERROR:  SK103', 'and can not be confirmed');
	says($c->{cancel}, 0, 'cancelled once more');

	says("purchase_cart(ARRAY[$c->{p}[0]], ARRAY[1, 2], 'c4')", 'ERROR:  22004',
		'arrays of unequal length');
}

# A shard refuses
foreach my $shard (0, 1)
{
	foreach ([ 0, 'SK002' ], [ 1, 'SK003' ])
	{
		my ($stock, $code) = @$_;
		my @stock = $shard ? (10, $stock) : ($stock, 10);
		my $c = cart("refused $shard $code", @stock);

		says($c->{sell}, "ERROR:  $code", "shard $shard refuses: $code");
		cart_is($c, $shard ? 'released -' : '- -', "@stock", '... and all is given back');
		restock($c->{p}[$shard], 10);
		says($c->{sell}, $shard ? 'ERROR:  SK103' : $stock + 8 . "\n8",
			'... and whether the id is used up');
	}
}

# A shard is busy
{
	my $c = cart('busy', 10, 10);
	my $other = session_on(1);

	ask($other, "BEGIN; SELECT FROM product WHERE id = $c->{p}[1] FOR UPDATE");
	says($c->{sell}, 'ERROR:  55P03', 'a shard is busy');
	cart_is($c, 'held -', '8 10', '... and the other keeps what it holds');
	ask($other, 'ROLLBACK');
	$other->quit;
	says($c->{sell}, "8\n8", '... until the call is repeated');
	cart_is($c, 'sold sold', '8 8', '... and sells');
}

# What the documentation warns of: a cart that PL/Proxy splits.
{
	my @p = (product(0, 10), product(1, 1));

	on($_, q(CREATE FUNCTION sell_split(ids bigint[], qtys bigint[]) RETURNS SETOF bigint
		BEGIN ATOMIC SELECT remaining FROM purchase_cart(ids, qtys); END))
	  foreach (0, 1);
	call(q(CREATE FUNCTION sell_split(ids bigint[], qtys bigint[]) RETURNS SETOF bigint
		LANGUAGE plproxy AS
		$$ CLUSTER 'shop'; SPLIT ids, qtys; RUN ON hashint8(ids); $$));
	says("sell_split(ARRAY[$p[0], $p[1]], ARRAY[2, 2])", 'ERROR:  SK003',
		'SPLIT: a shard refuses');
	ok( $shard[0]->poll_query_until('shop',
			"SELECT stock = 8 FROM product WHERE id = $p[0]"),
		'... and the other sells');
	$delivered{ $p[0] } -= 2;
}

# A wrong id: the other cart is on both shards, or on one
{
	my $c = cart('right', 10, 10);
	my @p = @{ $c->{p} };
	my $q = product(1, 0);

	call($c->{hold});
	says("purchase_cart(ARRAY[$p[0], $p[1]], ARRAY[2, 1], 'right', '1 hour')",
		'ERROR:  SK201', 'another cart with the same id');
	says("purchase_cart(ARRAY[$p[0], $q], ARRAY[1, 1], 'right', '1 hour')",
		'ERROR:  SK201', 'another one');
	cart_is($c, 'held held', '8 8', '... leaves the first as it is');
}

# A shard is down when the cart is to be held, then when it is to be confirmed
foreach my $shard (0, 1)
{
	my $c = cart("down $shard", 10, 10);

	$shard[$shard]->stop('immediate');
	says($c->{hold}, $lost, "shard $shard is down: not held");
	start($shard);
	cart_is($c, $shard ? 'held -' : '- -', $shard ? '8 10' : '10 10', '... there');
	says($c->{hold}, "8\n8", '... until the call is repeated');

	$shard[$shard]->stop('immediate');
	says($c->{confirm}, $lost, "shard $shard is down: not confirmed");
	start($shard);
	cart_is($c, $shard ? 'sold held' : 'held held', '8 8', '... there, but held');
	says($c->{confirm}, 't', '... until the call is repeated');
	cart_is($c, 'sold sold', '8 8', '... and it is sold');
}

# The release after a refusal can't be sent: the hold lapses
{
	my $c = cart('release', 2, 2);
	my @p = @{ $c->{p} };
	my $other = session_on(1);
	my $caller;

	ask($other, "BEGIN; SELECT purchase($p[1], 2, sale_id => 'faster')");
	set_on(1, "SET purchase.lock_wait = '-1'");
	$caller = begin($c->{sell} =~ s/^SELECT //r);
	wait_on(1, "wait_event_type IN ('Lock', 'Extension')");
	set_on(1, 'RESET purchase.lock_wait');
	$shard[0]->stop('immediate');
	ask($other, 'COMMIT');
	$other->quit;
	is(end($caller), 'ERROR:  SK002', 'refused, and the other shard has died');
	start(0);
	cart_is($c, 'held -', '0 0', '... still holding');
	let_lapse(0, 'release');
	is(stock($p[0]), 2, '... until its time is over');
	says("purchase($p[0], 2, 'next')", 0, '... and others take the units');
}

# ----------------------------------------------------------------
# A shard dies between hold and confirm
# ----------------------------------------------------------------

# Who changes this sale on a shard waits at its gate.
on($_, q(
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
CREATE TRIGGER gate BEFORE UPDATE ON product_sale
	FOR EACH ROW WHEN (NEW.sale_id LIKE 'gate%') EXECUTE FUNCTION gate()))
  foreach (0, 1);

# between(CART, CALL, GATE, DEAD): the call is at the gate of one shard, the other dies
sub between
{
	my ($c, $call, $gate, $dead) = @_;
	my $keeper = session_on($gate);
	my ($caller, $answer);

	ask($keeper, 'SELECT pg_advisory_lock(1)');
	$caller = begin($c->{$call} =~ s/^SELECT //r);
	wait_on($gate, "wait_event = 'advisory'");
	$shard[$dead]->stop('immediate');
	$keeper->quit;
	$answer = end($caller);
	start($dead);
	return $answer;
}

# The same call completes it.
{
	my $c = cart('gate 1', 10, 10);

	is(between($c, 'sell', 0, 1), $lost, 'a shard dies between hold and confirm');
	cart_is($c, 'sold held', '8 8', '... and still holds');
	says($c->{sell}, "8\n8", '... and the same call repeated sells');
	cart_is($c, 'sold sold', '8 8', '... once');
	says($c->{sell}, "8\n8", '... and once more');
	cart_is($c, 'sold sold', '8 8', '... nothing');
}

# So it does after the proxy has died.
{
	my $c = cart('gate proxy', 10, 10);
	my $keeper = session_on(0);
	my $caller;

	ask($keeper, 'SELECT pg_advisory_lock(1)');
	$caller = begin($c->{sell} =~ s/^SELECT //r);
	wait_on(0, "wait_event = 'advisory'");
	$proxy->stop('immediate');
	$keeper->quit;
	eval { $_->quit } foreach ($caller, $session);
	$shard[0]->poll_query_until('shop',
		"SELECT state = 'sold' FROM product_sale WHERE sale_id = '$c->{id}'")
	  or die 'the shard did not go on';
	$proxy->start;
	$session = session($proxy, 'shop');
	$session->set_query_timer_restart;
	cart_is($c, 'sold held', '8 8', 'the proxy dies between hold and confirm');
	says($c->{sell}, "8\n8", '... and the same call repeated sells');
	cart_is($c, 'sold sold', '8 8', '... once');
}

# It confirms, and dies before it says so.
{
	my $c = cart('unheard', 10, 10);

	call($c->{hold});
	like(lose_answer(1, 'the shard stops', $c->{confirm}), qr/^ERROR/,
		'a shard dies after it has confirmed');
	cart_is($c, 'sold sold', '8 8', '... durably');
	says($c->{confirm}, 'f', '... and the same call repeated says so');
}

# The hold lapses, and nobody needs the units: still good.
{
	my $c = cart('gate 2', 10, 10);

	is(between($c, 'sell', 0, 1), $lost, 'a shard dies between hold and confirm');
	let_lapse(1, 'gate 2');
	is(stock(@{ $c->{p} }), '8 10', '... and the hold lapses');
	says($c->{sell}, "8\n8", '... and the same call repeated sells');
	cart_is($c, 'sold sold', '8 8', '... once');
}

# The hold lapses and others take the units: what is sold comes back.
foreach my $call ('sell', 'confirm')
{
	my $c = cart("gate 3 $call", 10, 2);
	my @p = @{ $c->{p} };

	call($c->{hold}) if $call eq 'confirm';
	is(between($c, $call, 0, 1), $lost, "$call: a shard dies between hold and confirm");
	let_lapse(1, $c->{id});
	says("purchase($p[1], 2, 'taker $call')", 0, '... and others take the units');
	says($c->{$call}, 'ERROR:  SK102', '... so that it is not sold');
	cart_is($c, 'sold released', '10 0', '... and what was sold is returned');
	restock($p[1], 10);
	says($c->{$call}, 'ERROR:  SK103', '... for ever');
	says($c->{confirm}, 'ERROR:  SK103', '... however it is called');
	cart_is($c, 'sold released', '10 10', '... and all is there');
}

# The shard that is to return what it sold dies before it does.
{
	my $c = cart('gate 4', 10, 2);
	my @p = @{ $c->{p} };

	is(between($c, 'sell', 0, 1), $lost, 'a shard dies between hold and confirm');
	let_lapse(1, $c->{id});
	call("purchase($p[1], 2, 'taker 4')");
	is(between($c, 'confirm', 1, 0), $lost, '... the other one before it returns');
	cart_is($c, 'sold released', '8 0', '... so that it is half sold');
	says($c->{confirm}, 'ERROR:  SK103', '... until the call is repeated');
	cart_is($c, 'sold released', '10 0', '... and nothing is');
}

# half_confirmed(NAME): a cart that is sold on shard 0, and whose confirm has found no
# units on shard 1; it waits on shard 0 to release the cart, until COMMIT by $keeper.
sub half_confirmed
{
	my ($name) = @_;
	my $c = cart($name, 10, 2);
	my @p = @{ $c->{p} };
	my ($keeper, $other) = (session_on(0), session_on(1));
	my $lock = "BEGIN; SELECT FROM product_sale WHERE sale_id = '$name' FOR UPDATE";
	my $caller;

	call($c->{hold});
	on(0, "SELECT purchase_confirm('$name')");
	let_lapse(1, $name);
	call("purchase($p[1], 2, 'taker $name')");
	ask($other, $lock);
	$caller = begin($c->{confirm});
	wait_on(1, "wait_event_type IN ('Lock', 'Extension')");
	ask($keeper, $lock);
	ask($other, 'COMMIT');
	$other->quit;
	wait_on(0, "wait_event_type IN ('Lock', 'Extension')");
	return ($c, $caller, $keeper);
}

# The shard that has no units dies before it is told to release: nothing is returned, as
# it may find units when the call is repeated.
{
	my ($c, $caller, $keeper) = half_confirmed('found');

	$shard[1]->stop('immediate');
	ask($keeper, 'COMMIT');
	$keeper->quit;
	is(end($caller), 'ERROR:  08000', 'what is not sold can not be released');
	start(1);
	cart_is($c, 'sold expired', '8 0', '... so nothing is returned');
	restock($c->{p}[1], 5);
	says($c->{confirm}, 't', '... and the call repeated finds units');
	cart_is($c, 'sold sold', '8 3', '... and sells them');
}

# Units are found by another session, which confirms, before this one releases.
{
	my ($c, $caller, $keeper) = half_confirmed('raced');

	restock($c->{p}[1], 5);
	says("purchase_confirm('raced', $c->{p}[1])", 't', 'another session confirms');
	ask($keeper, 'COMMIT');
	$keeper->quit;
	is(end($caller), 'f', '... so this one gives nothing back');
	cart_is($c, 'sold sold', '8 3', '... and it is sold');
}
books_agree('carts: the books agree');

# ----------------------------------------------------------------
# More partitions than databases
# ----------------------------------------------------------------

{
	my $parts = call(q(SELECT string_agg(
			format('ADD p%s %L', substr(option_name, 2)::integer + 2, option_value), ', ')
		FROM pg_foreign_server, pg_options_to_table(srvoptions)));
	my (%of, @p);

	says("ALTER SERVER shop OPTIONS ($parts)", '', 'four partitions');
	foreach (1 .. 40)
	{
		$last_id++;
		$of{ call("hashint8($last_id) & 3") } = $last_id;
	}
	@p = @of{ 0 .. 3 };
	foreach (@p)
	{
		says("add_product($_, 10)", '', "a product in each");
		$delivered{$_} = 10;
	}
	says("purchase_shards(ARRAY[$p[0], $p[1], $p[2], $p[3]])", '{0,1}', 'on two shards');
	my $sell = "SELECT sum(remaining) FROM purchase_cart(ARRAY[$p[0], $p[1], $p[2], $p[3]],
		ARRAY[1, 1, 1, 1], 'four')";
	says($sell, 36, 'a cart of all');
	says($sell, 36, 'repeated');
	is(stock(@p), '9 9 9 9', 'sold once');
}

# ----------------------------------------------------------------
# Load, while a shard dies
# ----------------------------------------------------------------

{
	my @p = (product(0, 400), product(1, 300));
	my $sell = "purchase_cart(ARRAY[$p[0], $p[1]], ARRAY[1, 1], 'load ' || n)";
	my ($before, @load, @sold);

	# Each id is used several times, by several sessions at once.
	set_on($_, "SET purchase.lock_wait = '10s'") foreach (0, 1);
	call('CREATE TABLE load_end (); CREATE TABLE load_answer (n integer, code text)');
	foreach (1 .. 5)
	{
		push @load, session($proxy, 'shop');
		begin_query($load[-1], "
DO \$\$
DECLARE
	n integer;
BEGIN
	LOOP
		n := 1 + random() * 599;
		BEGIN
			PERFORM $sell;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
		EXIT WHEN EXISTS (SELECT FROM load_end);
	END LOOP;
END
\$\$");
	}
	$before = 0;
	foreach my $shard (1, 0, 1)
	{
		$before += 40;
		$shard[1]->poll_query_until('shop',
			"SELECT count(*) >= $before FROM product_sale
				WHERE product_id = $p[1] AND state = 'sold'")
		  or die 'nothing is sold';
		$shard[$shard]->stop('immediate');
		start($shard);
	}
	call('INSERT INTO load_end DEFAULT VALUES');
	foreach (@load)
	{
		is(end_query($_), '', 'load, and each shard dies');
		$_->quit;
	}

	# Whoever has got no answer repeats the call.
	says("DO \$\$
DECLARE
	n integer;
	code text;
BEGIN
	FOR n IN 1 .. 600 LOOP
		BEGIN
			code := 'sold';
			PERFORM $sell;
		EXCEPTION WHEN OTHERS THEN code := SQLSTATE;
		END;
		INSERT INTO load_answer VALUES (n, code);
	END LOOP;
END
\$\$", '', 'all are called once more');
	@sold = map {
		on($_, q(SELECT string_agg(sale_id, ',' ORDER BY sale_id COLLATE "C")
			FROM product_sale
			WHERE sale_id LIKE 'load%' AND state = 'sold' AND returned < qty))
	} 0, 1;
	is($sold[0], $sold[1], 'what is sold on one shard is sold on the other');
	is( call(q(SELECT string_agg(id, ',' ORDER BY id COLLATE "C")
			FROM (SELECT 'load ' || n AS id FROM load_answer WHERE code = 'sold') AS s)),
		$sold[0], 'as the callers are told');
	note call('SELECT code, count(*) FROM load_answer GROUP BY 1 ORDER BY 1');
	is(on($_, "SELECT count(*) FROM product_hold WHERE sale_id LIKE 'load%'"),
		0, 'nothing is held any more')
	  foreach (0, 1);
}
books_agree('load: the books agree');

$session->quit;
server_log_is_clean($_) foreach (@shard, $proxy);
done_testing();
