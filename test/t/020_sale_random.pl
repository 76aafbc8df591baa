# Sessions sell and hold with ids, confirm, release, extend, return, let holds lapse and
# expire them, at random, on few products with little stock: with ids that many of them
# use at a time, repeated and with other arguments, single and in carts, next to sales
# without an id, in and out of transactions, with savepoints and rollbacks, at all
# isolation levels and with both engines.  Backends are terminated, and the server
# crashes.
#
# Of some products one buyer may have only few, and there are two buyers at a time, whom
# all sessions serve.  Nobody ever has more than he may have.  Whenever all are done, one
# session goes on alone, and is answered exactly as the tables foretell.
#
# What the clients were told is compared with the tables whenever all are done: the
# books balance to the unit, no id is lost, sold or returned twice or unasked, or names
# two things, nothing is left locked, and what is there can be sold.  Rounds of
# transactions that make one call each have no deadlock.
#
# RANDOM_SECONDS says for how long (15), RANDOM_SEED repeats what is generated.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use List::Util qw(sum0 uniq);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;
use Time::HiRes qw(time usleep);

my $seconds = $ENV{RANDOM_SECONDS} || 15;
my $seed = $ENV{RANDOM_SEED} // int(rand(1_000_000));
my $sessions = 8;
my $scripts = 2;    # of a session, each by a connection of its own
my $transactions = 150;    # of a script
my $ids = 200;    # of a round
my $products = 9;
my $plenty = 1;    # this product never runs out
my $lapsed = 2;    # nor does this one, but its units are in lapsed holds
my $crowded = 9;    # nor this one, but all want to buy it at a time
my %limit = (6 => 2, 7 => 4, 8 => 0, $crowded => 3);    # how many one buyer may have
my $late = 7;    # two sales of all that one may have never fit, also if it was raised
my $buyer_ids = 25;    # so many ids in a row have the same two buyers

srand($seed);
note "RANDOM_SEED=$seed";

my $node = new_node('shop',
	conf => 'deadlock_timeout = 20ms
log_min_messages = log
restart_after_crash = on');
my $dir = $node->basedir;
create_shop($node, $products, 0);

my $set_limits = 'UPDATE product SET per_buyer = CASE id '
  . join(' ', map { "WHEN $_ THEN $limit{$_}" } sort keys %limit) . ' END';
$node->safe_psql(
	'postgres', qq(
CREATE EXTENSION amcheck;
ALTER TABLE product ADD per_buyer bigint;
$set_limits;
SELECT purchase_keep_sales('product', limit_column => 'per_buyer');
ALTER TABLE order_line ADD call text;
UPDATE product SET stock = CASE id WHEN $plenty THEN 10000000 WHEN $crowded THEN 10000000 WHEN $lapsed THEN 0 ELSE 12 END;
UPDATE product SET initial = stock;
DROP VIEW books;
CREATE VIEW held AS
	SELECT h.*, LEAST(h.qty, s.qty - s.released) AS units, expires_at <= now() AS has_lapsed
	FROM product_hold AS h JOIN product_sale AS s USING (sale_id, line)
	WHERE s.state = 'held';
CREATE VIEW wrong_books AS
	SELECT id, initial, stock, units
	FROM product LEFT JOIN
		(SELECT product_id AS id, sum(units) AS units
		 FROM (SELECT product_id, units FROM held
			UNION ALL SELECT product_id, qty - released - returned + discarded
				FROM product_sale WHERE state = 'sold'
			UNION ALL SELECT product_id, qty FROM order_line
				WHERE outcome IN ('sold', 'restocked')) AS taken
		 GROUP BY product_id) AS taken USING (id)
	WHERE initial <> stock + COALESCE(units, 0) OR stock < 0;
CREATE VIEW sale_line AS
	SELECT s.*, COALESCE(parts, 0) AS parts, COALESCE(discarded_parts, 0) AS discarded_parts
	FROM product_sale AS s LEFT JOIN
		(SELECT return_of AS sale_id, product_id, sum(qty) AS parts, sum(discarded) AS discarded_parts
		 FROM product_sale WHERE return_of IS NOT NULL GROUP BY return_of, product_id) AS r
		USING (sale_id, product_id)
	WHERE return_of IS NULL;
-- What has no row of its own has come back as the rest of the line, at once.
CREATE VIEW wrong_returns AS
	SELECT sale_id, line, state, qty, released, returned, discarded, returned_at, parts,
		discarded_parts
	FROM sale_line
	WHERE returned > CASE state WHEN 'sold' THEN qty - released ELSE 0 END
		OR returned < parts
		OR discarded - discarded_parts NOT IN (0, returned - parts)
		OR (returned > 0) <> (returned_at IS NOT NULL)
		OR (returned > parts AND returned < qty - released)
	UNION ALL SELECT r.sale_id, r.line, r.state, r.qty, r.released, r.returned, r.discarded,
		r.returned_at, NULL, NULL
	FROM product_sale AS r LEFT JOIN product_sale AS s
		ON s.sale_id = r.return_of AND s.product_id = r.product_id AND s.return_of IS NULL
	WHERE (r.state = 'returned' OR r.return_of IS NOT NULL)
		AND (s.state IS DISTINCT FROM 'sold' OR r.buyer IS DISTINCT FROM s.buyer
			OR r.state <> 'returned' OR r.return_of IS NULL OR r.line <> 1
			OR r.discarded NOT IN (0, r.qty)
			OR (r.discarded = 0) <> (r.remaining IS NOT NULL));
CREATE VIEW buyer_has AS
	SELECT product_id, buyer, sum(units) AS units, sum(lapsed) AS lapsed
	FROM (SELECT product_id, buyer, units, CASE WHEN has_lapsed THEN units ELSE 0 END AS lapsed
			FROM held
		UNION ALL SELECT product_id, buyer, qty - released - returned, 0
			FROM product_sale WHERE state = 'sold'
		UNION ALL SELECT product_id, NULL, qty, 0 FROM order_line WHERE outcome = 'sold') AS u
	GROUP BY product_id, buyer;
-- Limits are only raised, so this holds at any time.
CREATE VIEW wrong_limits AS
	SELECT product_id, buyer, units, lapsed, per_buyer
	FROM buyer_has JOIN product ON id = product_id
	WHERE units > per_buyer OR (units > 0 AND per_buyer IS NOT NULL AND buyer IS NULL);
-- What a sale is to be answered if nobody else does anything: with which SQLSTATE, what
-- becomes of which line, and what remains.  The stock comes first, then the buyer's own
-- lapsed holds if they are in the way, then those that ended first.
CREATE FUNCTION expected(products bigint[], qtys bigint[], who text,
	OUT state text, OUT outcomes text, OUT remaining text, OUT what text) LANGUAGE sql AS \$\$
	WITH line AS (
		SELECT id, sum(qty) AS qty FROM unnest(products, qtys) AS l (id, qty) GROUP BY id),
	wanted AS (
		SELECT id, line.qty, stock, per_buyer, COALESCE(b.lapsed, 0) AS own_lapsed,
			COALESCE(b.units, 0) + line.qty - per_buyer AS excess
		FROM line JOIN product USING (id)
			LEFT JOIN buyer_has AS b ON product_id = id AND buyer = who),
	lapsed_hold AS (
		SELECT id, w.qty, stock, excess, own, h.units,
			sum(h.units) OVER (PARTITION BY id ORDER BY own DESC, expires_at) - h.units AS before
		FROM wanted AS w JOIN held AS h ON product_id = id AND has_lapsed,
			COALESCE(excess > 0 AND buyer = who, false) AS own),
	taken AS (
		SELECT id, sum(units) AS lapsed,
			sum(units) FILTER (WHERE stock + before < qty OR (own AND before < excess)) AS units,
			bool_or(own AND before < excess) AS gives_up
		FROM lapsed_hold GROUP BY id),
	judged AS (
		SELECT id, stock + COALESCE(units, 0) - qty AS remaining, gives_up,
			CASE WHEN per_buyer IS NOT NULL AND who = '' AND (available >= qty
					-- there the product is asked about before its stock is decided
					OR current_setting('transaction_isolation') <> 'read committed')
				THEN '22004'
				WHEN available <= 0 THEN 'out_of_stock'
				WHEN available < qty THEN 'insufficient_quantity'
				WHEN excess > own_lapsed THEN 'buyer_limit_exceeded'
				ELSE 'available' END AS outcome
		FROM wanted LEFT JOIN taken USING (id),
			LATERAL (SELECT stock + COALESCE(lapsed, 0)) AS a (available))
	SELECT CASE WHEN bool_or(outcome = '22004') THEN '22004'
			WHEN bool_or(outcome = 'out_of_stock') THEN 'SK002'
			WHEN bool_or(outcome = 'insufficient_quantity') THEN 'SK003'
			WHEN bool_or(outcome = 'buyer_limit_exceeded') THEN 'SK004'
			ELSE '00000' END,
		string_agg(outcome, ',' ORDER BY id),
		string_agg(id || ' ' || remaining, ',' ORDER BY id),
		CASE WHEN bool_or(gives_up) THEN 'gives up' ELSE 'gives up nothing' END
	FROM judged \$\$;
CREATE ROLE buyer;
GRANT SELECT, UPDATE (stock) ON product TO buyer;
GRANT SELECT, INSERT ON order_line TO buyer;
));

sub pick { return $_[ rand @_ ] }

# One of all products; of those with a limit as often as given.
sub some_product
{
	my ($limited) = @_;

	return pick(grep { !defined $limit{$_} } 1 .. $products) if rand() >= $limited;
	return pick(map { ($_) x ($limit{$_} > 0 ? 3 : 1) } sort keys %limit);
}

# ----------------------------------------------------------------
# What is called
# ----------------------------------------------------------------

# id => what it is to sell
my %sale;

# All sessions meet at every so many ids of a round to return them, in many parts, so
# these are mostly sold.
my $return_step = 4;

sub new_sale
{
	my ($id, $is_returned, $choose, @buyers) = @_;
	my $n = pick(1, 1, 1, 2, 3);
	my @products = map { $choose->() } 1 .. $n;

	@products = map { rand() < 0.5 ? $_ : pick($plenty, $lapsed) } @products
	  if $is_returned;
	$products[-1] = $products[0] if rand() < 0.3;
	push @buyers, @buyers, '' if rand() < 0.1 || !is_limited({ products => \@products });
	return $sale{$id} = {
		id => $id,
		products => \@products,
		qtys => [ map { $is_returned ? pick(2, 4, 6) : pick(1, 1, 2, 3) } 1 .. $n ],
		hold => $is_returned ? pick(0, 0, 1) : pick(0, 1, 1),
		buyer => pick(@buyers)
	};
}

sub is_limited { return grep { defined $limit{$_} } @{ $_[0]{products} } }

# Who buys at a time.
sub buyers { return map { "$_ $_[0]" } 'ann', 'bob' }

# The same id with another argument.
sub changed
{
	my ($sale) = @_;
	my %other = %$sale;
	my @change = (
		sub { $other{qtys} = [ $sale->{qtys}[0] + 1, @{ $sale->{qtys} }[ 1 .. $#{ $sale->{qtys} } ] ] },
		sub { $other{products} = [ map { 1 + $_ % $products } @{ $sale->{products} } ] },
		sub { $other{hold} = !$sale->{hold} },
		sub { $other{buyer} = $sale->{buyer} . 'x' },
		sub { $other{id} = some_return($sale)->{id} });

	pick(@change)->();
	return \%other;
}

# One of the returns of parts of a sale, each of which has an id and is asked for again
# and again.
sub some_return
{
	my ($sale) = @_;

	$sale->{returns} //= [
		map {
			{
				id => "$sale->{id} back $_",
				sale => $sale->{id},
				product => pick(@{ $sale->{products} }),
				qty => pick(1, 1, 2),
				restock => pick(0, 1, 1)
			}
		} 1 .. 2
	];
	return pick(@{ $sale->{returns} });
}

# The same return with another argument, or one with the id of a sale.
sub changed_return
{
	my ($return, $other_sale) = @_;
	my %other = %$return;
	my @change = (
		sub { $other{qty}++ },
		sub { $other{product} = 1 + $return->{product} % $products },
		sub { $other{restock} = !$return->{restock} },
		sub { $other{sale} = $other_sale->{id} },
		sub { $other{id} = pick($return->{sale}, $other_sale->{id}) });

	pick(@change)->();
	return \%other;
}

# The arguments, as the sale table shows them.
sub request
{
	my ($sale) = @_;
	my %qty;

	$qty{ $sale->{products}[$_] } += $sale->{qtys}[$_]
	  foreach 0 .. $#{ $sale->{products} };
	return join('|',
		join(',', map { "$_ $qty{$_}" } sort { $a <=> $b } keys %qty),
		$sale->{hold} ? 't' : 'f', $sale->{buyer});
}

sub return_request
{
	my ($return) = @_;

	return join('|',
		"$return->{product} $return->{qty} of $return->{sale}",
		$return->{restock} ? 't' : 'f', '');
}

# Each returns the words that came out, and what remains of which product.
sub sale_sql
{
	my ($sale) = @_;
	my ($product, $qty) = ($sale->{products}[0], $sale->{qtys}[0]);
	my $cart = sprintf('ARRAY[%s], ARRAY[%s]',
		join(',', @{ $sale->{products} }),
		join(',', @{ $sale->{qtys} }));
	my $options = "sale_id => '$sale->{id}'";
	my @calls = (
		sub { "SELECT 'done', string_agg(product_id || ' ' || remaining, ',' ORDER BY product_id::int) FROM purchase_cart($cart, $options)" },
		sub { "SELECT string_agg(outcome, ',' ORDER BY product_id::int), string_agg(product_id || ' ' || remaining, ',' ORDER BY product_id::int) FROM purchase_try_cart($cart, $options)" });

	$options .= ", hold_for => '1 hour'" if $sale->{hold};
	$options .= ", buyer => '$sale->{buyer}'" if $sale->{buyer} ne '';
	push @calls,
	  (
		sub { "SELECT 'done', '$product ' || purchase($product, $qty, $options)" },
		sub { "SELECT outcome, '$product ' || remaining FROM purchase_try($product, $qty, $options)" }
	  ) if @{ $sale->{products} } == 1;
	return pick(@calls)->();
}

my $call_count = 0;

# No two holds end at the same time, so that it is known which are taken first.
my $long_ago = "timestamptz '2000-01-01' + random() * interval '1 year'";

my @audits = map { "SELECT * FROM wrong_$_" } 'books', 'returns', 'limits';

# How many holds are expired at a time.  Where all are, nobody has to take any.
my @expire;

sub order
{
	my ($values, $call) = @_;

	return "INSERT INTO order_line (call, product_id, qty, outcome) SELECT $call, $values RETURNING outcome";
}

sub plain_sql
{
	my ($call) = @_;
	my ($a, $b) = map { some_product(0.1) } 1 .. 2;
	my $qty = pick(1, 1, 2, 3);

	return order(
		pick(
			"$a, $qty, outcome FROM purchase_try($a, $qty)",
			"$a, $qty, 'sold' FROM purchase($a, $qty)",
			"product_id::int, qty, outcome FROM purchase_try_cart(ARRAY[$a, $b], ARRAY[$qty, 1])",
			"product_id::int, qty, 'sold' FROM purchase_cart(ARRAY[$a, $b], ARRAY[1, $qty])"
		),
		$call);
}

sub restock_sql
{
	my ($call, $product, $qty) = @_;

	$product //= $lapsed + 1 + int(rand($products - $lapsed));
	$qty //= pick(1, 2);
	return order("$product, -$qty, 'restocked' FROM purchase_restock($product, $qty)",
		$call);
}

sub return_sql
{
	my ($call, $id) = @_;
	my $return = $call->{return};
	my $arguments = $call->{kind} eq 'refund'
	  ? "'$return->{sale}', $return->{product}, $return->{qty}, '$return->{id}'"
	  : "'$id'";

	return "SELECT purchase_return($arguments"
	  . ($call->{restock} ? pick('', ', restock => true') : ', restock => false') . ')';
}

# Errors that a call may raise, but for those of transactions.
my %may_raise = (
	sale => [ 'SK002', 'SK003', 'SK004', '22004', '55P03', 'SK102', 'SK103', 'SK201' ],
	plain => [ 'SK002', 'SK003', '22004', '55P03' ],
	# to take units anew, it may have to skip holds
	confirm => [ 'SK101', 'SK102', 'SK103', 'SK201', '55P03' ],
	release => [ 'SK101', 'SK103', 'SK201' ],
	part => [ 'SK101', 'SK103', 'SK201', '22023' ],
	extend => [ 'SK101', 'SK102', 'SK103', 'SK201' ],
	return => [ 'SK101', 'SK104', 'SK201' ],
	refund => [ 'SK101', 'SK104', 'SK201' ]);

my @kinds = (
	('sale') x 34, ('changed') x 3, ('confirm') x 17, ('release') x 5,
	('part') x 6, ('extend') x 6, ('lapse') x 15, ('expire') x 1,
	('return') x 3, ('refund') x 14, ('changed refund') x 4,
	('plain') x 10, ('restock') x 7, ('audit') x 1, ('raise') x 1);

# A call for this sale, or one that needs no sale.
sub new_call
{
	my ($next_sale, $is_owner, $kind) = @_;
	my %call = (kind => $kind // pick(@kinds), number => ++$call_count);
	my $sale = $call{sale} = $next_sale->($call{kind} =~ /return|refund/);

	$call{kind} = 'sale'
	  if $call{kind} =~ /lapse|audit|raise/ && !$is_owner
	  || $call{kind} eq 'raise' && rand() < 0.9;

	# what has the id of a return is no sale
	$call{sale} = $sale = { %$sale, id => some_return($sale)->{id} }
	  if $call{kind} =~ /confirm|release|part|extend|return/
	  && rand() < ($call{kind} eq 'return' ? 0.2 : 0.06);
	my $id = $sale->{id};
	if ($call{kind} eq 'changed')
	{
		$call{kind} = 'sale';
		$call{sale} = changed($sale);
	}
	elsif ($call{kind} =~ /refund/)
	{
		my $return = some_return($sale);

		$return = changed_return($return, $next_sale->()) if $call{kind} ne 'refund';
		@call{ 'kind', 'return', 'restock' } = ('refund', $return, $return->{restock});
		$call{sale} = $sale{ $return->{sale} };
	}
	elsif ($call{kind} eq 'return')
	{
		$call{restock} = pick(0, 1, 1);
	}
	$call{sql} =
		$call{kind} eq 'sale' ? sale_sql($call{sale})
	  : $call{kind} eq 'confirm' ? "SELECT purchase_confirm('$id')"
	  : $call{kind} eq 'release' ? "SELECT purchase_release('$id')"
	  : $call{kind} eq 'part'
	  ? "SELECT purchase_release('$id', $sale->{products}[0], " . pick(1, 1, 2) . ')'
	  : $call{kind} eq 'extend' ? "SELECT purchase_extend('$id', '1 hour') > now()"
	  : $call{kind} eq 'lapse'
	  ? "UPDATE product_hold SET expires_at = $long_ago WHERE sale_id = '$id' AND line = " . pick(1, 1, 2)
	  : $call{kind} eq 'expire' ? 'SELECT purchase_expire(' . pick(@expire) . ') >= 0'
	  : $call{kind} =~ /return|refund/ ? return_sql(\%call, $id)
	  : $call{kind} eq 'plain' ? plain_sql($call{number})
	  : $call{kind} eq 'restock' ? restock_sql($call{number})
	  : $call{kind} eq 'raise'
	  ? 'UPDATE product SET per_buyer = per_buyer + 1 WHERE per_buyer BETWEEN 1 AND 5 AND id = '
	  . pick(sort keys %limit)
	  : pick(@audits);
	return \%call;
}

my $plain = sub { { kind => $_[0], sql => $_[1] // $_[0] } };

# While all these are locked, or all but some, who needs their units is busy, or has what
# he holds.
sub lock_some
{
	my ($ids, $sale) = @_;

	return [
		$plain->('BEGIN'),
		$plain->(
			'lock',
			'SELECT count(*) FROM (SELECT FROM ' . pick('product_sale', 'product_hold')
			  . " WHERE sale_id LIKE '$ids' AND random() < " . pick(0.9, 0.98, 2)
			  . ' FOR UPDATE SKIP LOCKED) AS l'),
		(map { { kind => 'audit', sql => $_, sale => $sale, number => 0 } } (@audits) x 2),
		$plain->('COMMIT')
	];
}

# A transaction, as a list of statements.
sub new_transaction
{
	my ($next_sale, $is_owner, $one_call) = @_;
	my $call = sub { new_call($next_sale, $is_owner) };
	my @statements;

	return lock_some('lapsed %', $next_sale->()) if $is_owner && rand() < 0.02;
	return [ $call->() ] if rand() < ($one_call ? 0.6 : 0.3);
	push @statements, $plain->('BEGIN'), $call->();
	if (!$one_call)
	{
		push @statements, $call->() if rand() < 0.4;
		if (rand() < 0.5)
		{
			push @statements, $plain->('SAVEPOINT', 'SAVEPOINT s'), $call->(),
			  pick($plain->('ROLLBACK TO', 'ROLLBACK TO s'),
				$plain->('RELEASE', 'RELEASE s'));
			push @statements, $call->() if rand() < 0.5;
		}
	}
	push @statements, $plain->(pick('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'));
	return \@statements;
}

# One call, which may be rolled back.
sub transaction_of
{
	my ($call) = @_;

	return pick([$call],
		[ $plain->('BEGIN'), $call, $plain->(pick('COMMIT', 'ROLLBACK')) ]);
}

# Transactions that return all parts of one sale in turn.
sub return_parts
{
	my ($sale, $next_sale) = @_;
	my @transactions;

	foreach my $part (@{ $sale->{returns} })
	{
		my $kind =
		  rand() < 0.003 ? 'return' : rand() < 0.1 ? 'changed refund' : 'refund';
		my $call = new_call(
			sub { $_[0] ? { %$sale, returns => [$part] } : $next_sale->() },
			0, $kind);

		push @transactions, transaction_of($call);
	}
	return @transactions;
}

# All sessions at a time want more for the same buyers, one after another, than those may
# have.
sub crowd
{
	my ($round, $session, $is_owner) = @_;
	my @transactions;

	foreach my $n (1 .. 10)
	{
		my ($buyer) = buyers("$round $n");
		my @sales;

		foreach my $i (1 .. 4)
		{
			push @sales,
			  new_sale("$round crowd $session.$n.$i", 0, sub { $crowded }, $buyer);
			push @transactions,
			  map { transaction_of($_) } new_call(sub { $sales[-1] }, $is_owner, 'sale'),
			  new_call(sub { pick(@sales) },
				$is_owner, pick(('lapse') x 3, 'confirm', 'return', 'part'));
			push @transactions, lock_some("$round crowd %", $sales[0])
			  if $is_owner && rand() < 0.1;
		}
	}
	return @transactions;
}

# What a connection runs: SQL, and then transactions.
sub write_script
{
	my ($name, $one_call, $is_owner, $sql, @transactions) = @_;
	my %script = (
		out => "$dir/$name.out",
		file => "$dir/$name.sql",
		one_call => $one_call,
		transactions => \@transactions,
		engine => pick('auto', 'sql'),
		isolation =>
		  pick('read committed', 'read committed', 'repeatable read', 'serializable'));
	my $text = "SET purchase.engine = $script{engine};
SET default_transaction_isolation = '$script{isolation}';
SET purchase.lock_wait = " . pick(0, "'5ms'", -1) . ';
SET purchase.early_release = ' . pick('on', 'local', 'off') . ";\n";

	$text .= "SET ROLE buyer;\n" unless $is_owner;
	$text .= $sql;
	$text .= join('',
		"\\echo >\n",
		map { "$_->{sql};\n\\echo ! :SQLSTATE :LAST_ERROR_MESSAGE\n" } @$_)
	  foreach @{ $script{transactions} };
	append_to_file($script{file}, $text);
	return \%script;
}

# Random transactions; at first some, as soon as all may.
sub new_script
{
	my ($name, $next_sale, $one_call, $is_owner, @first) = @_;

	return write_script(
		$name,
		$one_call,
		$is_owner,
		@first ? "SELECT pg_advisory_xact_lock_shared(0);\n" : '',
		@first,
		map {
			my $progress = $_ / $transactions;

			new_transaction(sub { $next_sale->($progress, @_) }, $is_owner, $one_call)
		} 0 .. $transactions - 1);
}

sub psql
{
	my ($script) = @_;

	return 'psql -XAt -h ' . $node->host . ' -p ' . $node->port
	  . " -f $script->{file} postgres > $script->{out} 2>> $dir/err";
}

# ----------------------------------------------------------------
# What was answered
# ----------------------------------------------------------------

# Of an id: what was acknowledged, and whether something was that nobody has heard of,
# as the connection was lost.
my %told;
my %order_told;
my %order_maybe;

my $all_released = qr/^released(,released)*$/;

# What errors have said of an id in this round: it is there, sold, a return, ...
my @claims;
my $any_sale = qr/^(?!returned)./;

# Everything that is wrong, with what belongs to it.
my @wrong;

# How often what came out of a call.
my %seen;

sub wrong
{
	my ($script, $statement, @what) = @_;

	push @wrong,
	  join(' ', @what, "$script->{engine}, $script->{isolation}:", $statement->{sql});
	return;
}

# The answers of a script: for each transaction those of its statements, as far as it
# got.
sub read_answers
{
	my ($script) = @_;
	my (@transactions, @lines);

	foreach (split /\n/, -e $script->{out} ? slurp_file($script->{out}) : '')
	{
		if (/^>$/)
		{
			push @transactions, [];
		}
		elsif (/^! (\S+) ?(.*)$/)
		{
			push @{ $transactions[-1] },
			  { state => $1, message => $2, lines => [@lines] };
		}
		else
		{
			push @lines, $_;
			next;
		}
		@lines = ();
	}
	return @transactions;
}

sub check_error
{
	my ($script, $statement, $answer, $alone) = @_;
	my $kind = $statement->{kind};
	my ($state, $message) = @{$answer}{ 'state', 'message' };
	my @may = @{ $may_raise{$kind} // [] };

	$seen{ $script->{engine} }{"$kind $state"}++;
	$seen{ $script->{engine} }{"$kind $1"}++ if $message =~ /(names .*|is not sold|return exceeds)/;
	push @may, '40001' if $script->{isolation} ne 'read committed';
	push @may, '40P01' if !$script->{one_call};
	push @may, '25P02', '3B001' if !$alone;
	# see finish_pgbench()
	return if $message =~ /new multixact has more than one updating member/;
	wrong($script, $statement, "raised $state, $message:")
	  unless grep { $_ eq $state } @may;

	wrong($script, $statement, "$state:")
	  if $kind eq 'sale'
	  && ( ($state =~ /^(SK004|22004)$/ && !is_limited($statement->{sale}))
		|| $state eq ($statement->{sale}{buyer} eq '' ? 'SK004' : '22004'));

	# an error tells of others only where the transaction itself has done nothing
	return if !$alone;
	my ($id) = $message =~ /"(.*)"/;
	push @claims,
	  [
		$script, $statement, $id,
		$state eq 'SK102' ? qr/expired|sold|released/
		: $message =~ /is sold already|return exceeds/ ? qr/sold/
		: $message =~ /is released already/ ? $all_released
		: $message =~ /names a return,|names another return/ ? qr/^returned$/
		: $any_sale
	  ] if $state =~ /^SK(102|103|104|201)$/;
	wrong($script, $statement, "$state, but there is plenty:")
	  if $state =~ /^SK00[23]$/ && !grep { $_ > $lapsed } @{ $statement->{sale}{products} // [] }
	  and $kind eq 'sale';
	return;
}

# An id names one thing, and this is what was told first of it.
sub check_first_answer
{
	my ($script, $call, $id, $request, $answer) = @_;
	my $told = $told{$id} //= {};
	my $is_repeated = defined $told->{request};

	wrong($script, $call, "$id twice: $request, $answer instead of $told->{request}, $told->{remaining}:")
	  if $is_repeated
	  && ($told->{request} ne $request || $told->{remaining} ne $answer);
	@{$told}{ 'request', 'remaining' } = ($request, $answer);
	$seen{ $script->{engine} }{ "$call->{kind} " . ($is_repeated ? 'repeated' : 'new') }++;
	return;
}

# What a call of a committed transaction has answered.
sub check_answer
{
	my ($script, $call, $answer) = @_;
	my ($kind, $id) = ($call->{kind}, $call->{sale}{id});
	my $line = $answer->{lines}[0] // '';
	my ($outcome, $remaining) = split /\|/, $line;

	if ($kind eq 'audit')
	{
		wrong($script, $call, "@{$answer->{lines}}") if $line ne '';
	}
	elsif ($kind eq 'sale')
	{
		$seen{ $script->{engine} }{"sale $_"}++ foreach split /,/, $outcome;
		return if $outcome !~ /^(done|sold|held)/;
		wrong($script, $call, "answered $outcome:")
		  if $outcome ne 'done'
		  && grep { $_ ne ($call->{sale}{hold} ? 'held' : 'sold') } split /,/,
		  $outcome;
		check_first_answer($script, $call, $id, request($call->{sale}), $remaining);
	}
	elsif ($kind eq 'confirm')
	{
		$seen{ $script->{engine} }{"confirm $line"}++;
		$told{$id}{sold} = 1;
		wrong($script, $call, 'confirmed twice:')
		  if $line eq 't' && $told{$id}{confirmed}++;
	}
	elsif ($kind eq 'release' || $kind eq 'part')
	{
		$seen{ $script->{engine} }{ "$kind " . ($line > 0 ? 'some' : 'none') }++;
		$told{$id}{released} += $line;
		$told{$id}{all_released} = 1 if $kind eq 'release';
	}
	elsif ($kind eq 'return')
	{
		$seen{ $script->{engine} }{ 'return ' . ($line > 0 ? 'some' : 'none') }++;
		$told{$id}{sold} = $told{$id}{all_returned} = 1;
		$told{$id}{returned} += $line;
		$told{$id}{discarded} += $call->{restock} ? 0 : $line;
	}
	elsif ($kind eq 'refund')
	{
		my $return = $call->{return};

		$told{$id}{sold} = 1;
		wrong($script, $call, "answered $line:") if $line ne $return->{qty};
		check_first_answer($script, $call, $return->{id}, return_request($return), $line);
	}
	elsif ($kind eq 'extend' || $kind eq 'expire')
	{
		$seen{ $script->{engine} }{$kind}++;
		wrong($script, $call, "answered $line:") if $line ne 't';
	}
	elsif ($kind eq 'raise')
	{
		$seen{ $script->{engine} }{$kind}++;
	}
	elsif ($kind eq 'plain' || $kind eq 'restock')
	{
		$order_told{ $call->{number} } = 1;
		$seen{ $script->{engine} }{"$kind $_"}++
		  foreach grep { !/^INSERT/ } @{ $answer->{lines} };
	}
	return;
}

# The words of the try functions need no commit to be true.
sub check_refusal
{
	my ($script, $call, $answer) = @_;
	my ($outcomes) = split /\|/, $answer->{lines}[0] // '';

	return if $call->{kind} ne 'sale' || $outcomes !~ /out_of_stock|insufficient|limit/;
	my @products = uniq(sort { $a <=> $b } @{ $call->{sale}{products} });
	my @outcomes = split /,/, $outcomes;
	wrong($script, $call, "$outcomes, but there is plenty:")
	  if grep {
		$outcomes[$_] =~ /out_of_stock|insufficient/ && $products[$_] <= $lapsed
	  } 0 .. $#products;
	wrong($script, $call, "$outcomes, but there is no limit:")
	  if grep {
		$outcomes[$_] =~ /limit/ && (!defined $limit{ $products[$_] } || $call->{sale}{buyer} eq '')
	  } 0 .. $#products;
	return;
}

sub check_transaction
{
	my ($script, $statements, $answers) = @_;
	my $alone = 1 == grep { $_->{sale} } @$statements;
	my $began = $statements->[0]{kind} eq 'BEGIN';
	my @done;
	my $mark = 0;

	foreach my $i (0 .. $#$statements)
	{
		my ($statement, $answer) = ($statements->[$i], $answers->[$i]);
		my $kind = $statement->{kind};

		if (!$answer)
		{
			foreach (grep { $_->{sale} } @$statements)
			{
				my $kind = $_->{kind};

				$seen{ $script->{engine} }{"$kind lost"}++;

				# a return of a part has a row that tells
				$told{ $kind eq 'refund' ? $_->{return}{id} : $_->{sale}{id} }
				  { $kind eq 'return' ? 'maybe_returned' : 'maybe' } = 1;
				$order_maybe{ $_->{number} } = 1;
			}
			return;
		}
		if ($answer->{state} ne '00000')
		{
			check_error($script, $statement, $answer, $alone);
			return if !$began;
		}
		elsif ($statement->{sale})
		{
			push @done, [ $statement, $answer ];
			check_refusal($script, $statement, $answer);
		}
		elsif ($kind eq 'SAVEPOINT')
		{
			$mark = @done;
		}
		elsif ($kind eq 'ROLLBACK TO')
		{
			splice(@done, $mark);
		}
	}
	check_answer($script, @$_)
	  foreach !$began || ($answers->[-1]{lines}[0] // '') eq 'COMMIT' ? @done : ();
	return;
}

# ----------------------------------------------------------------
# All are done: is everything as they were told?
# ----------------------------------------------------------------

# id => what the table had at the last quiet point
my %known;

sub sales
{
	my %found;

	foreach (
		split /\n/,
		$node->safe_psql(
			'postgres', q(
SELECT sale_id, string_agg(product_id || ' ' || qty, ',' ORDER BY line),
	hold_for IS NOT NULL, COALESCE(buyer, ''),
	string_agg(product_id || ' ' || remaining, ',' ORDER BY line),
	string_agg(state, ',' ORDER BY line), sum(released),
	sum(returned - parts), sum(discarded - discarded_parts), sum(returned),
	sum(qty - released - returned) FILTER (WHERE state = 'sold')
FROM sale_line GROUP BY sale_id, hold_for, buyer
UNION ALL SELECT sale_id, product_id || ' ' || qty || ' of ' || return_of, discarded = 0, '',
	qty::text, state, released, returned, 0, 0, 0
FROM product_sale WHERE return_of IS NOT NULL)))
	{
		my ($id, @columns) = split /\|/, $_, -1;

		push @wrong, "$id is two things" if $found{$id};
		$found{$id} = {
			request => join('|', @columns[ 0 .. 2 ]),
			remaining => $columns[3],
			states => $columns[4],
			released => $columns[5],
			# as the rest of lines, at once
			returned => $columns[6],
			discarded => $columns[7],
			all_returned => $columns[8],
			left => $columns[9]
		};
	}
	return \%found;
}

# What may become of a line's state.
sub may_become
{
	my ($old, $new) = @_;

	return
	  $old eq $new
	  || $old eq 'held'
	  || ($old eq 'expired' && $new =~ /^(sold|released)$/);
}

sub check_sale
{
	my ($id, $sale, $told, $before) = @_;

	return "$id is lost" if !$sale && ($before || $told->{request});
	return () if !$sale;
	return "$id was sold, but nobody was told"
	  if !defined $told->{request} && !$told->{maybe};
	return "$id was sold otherwise: $sale->{request}, $sale->{remaining}"
	  if defined $told->{request}
	  && ( $told->{request} ne $sale->{request}
		|| $told->{remaining} ne $sale->{remaining});
	return "$id is not sold" if $told->{sold} && $sale->{states} !~ /sold/;
	return "$id is still held" if $told->{sold} && $sale->{states} =~ /held/;
	return "$id was sold, but nobody has confirmed it"
	  if $sale->{states} =~ /sold/
	  && $sale->{request} =~ /\|t\|/
	  && !$told->{confirmed}
	  && !$told->{maybe};
	return "$id is not released"
	  if $told->{all_released} && $sale->{states} !~ $all_released;
	# with all, what others had taken is released, too
	return "$id has $sale->{released} units released"
	  if $sale->{released} < ($told->{released} // 0)
	  || ( $sale->{released} > ($told->{released} // 0)
		&& !$told->{all_released}
		&& !$told->{maybe});
	return "$id has $sale->{$_} units $_"
	  foreach grep {
		$sale->{$_} < ($told->{$_} // 0)
		  || ($sale->{$_} > ($told->{$_} // 0) && !$told->{maybe_returned})
	  } 'returned', 'discarded';
	return "$id has $sale->{left} units that were not returned"
	  if $told->{all_returned} && $sale->{left} ne '0';
	if ($before)
	{
		my @new = split /,/, $sale->{states};

		return "$id was $before->{request}, $before->{states}"
		  if $before->{request} ne $sale->{request}
		  || $before->{all_returned} > $sale->{all_returned}
		  || grep { !may_become($_, shift @new) } split /,/, $before->{states};
	}
	return ();
}

sub check_sales
{
	my $sales = sales();

	foreach my $id (sort(uniq(keys %told, keys %$sales)))
	{
		my @what = check_sale($id, $sales->{$id}, $told{$id} // {}, $known{$id});

		push @wrong, "@what, now " . ($sales->{$id}{states} // '') if @what;
	}
	foreach (@claims)
	{
		my ($script, $statement, $id, $state) = @$_;
		my $is = $sales->{$id}{states} // '';

		wrong($script, $statement, "$id is '$is' and not as the error has said:")
		  if $is !~ $state;
	}
	%known = %$sales;
	@claims = ();
	return;
}

sub check_orders
{
	my %found = map { $_ => 1 } split /\n/,
	  $node->safe_psql('postgres',
		'SELECT DISTINCT call FROM order_line WHERE call IS NOT NULL');

	push @wrong, map { "order $_ is lost" } grep { !$found{$_} } keys %order_told;
	push @wrong, map { "order $_ is there, but nobody was told" }
	  grep { !$order_told{$_} && !$order_maybe{$_} } keys %found;
	$order_told{$_} = 1 foreach keys %found;
	return;
}

sub is_empty
{
	my ($query, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->safe_psql('postgres', $query), '', $name);
	return;
}

# All that is available can be sold, and not one more, nothing is busy, and the other
# way round.
sub check_stock
{
	my ($title) = @_;

	foreach my $engine ('auto', 'sql')
	{
		is_empty(
			"BEGIN;
SET LOCAL purchase.engine = $engine;
SELECT id, stock, lapsed, n, more, rest
FROM (SELECT id, stock, (SELECT COALESCE(sum(units), 0) FROM held WHERE has_lapsed AND product_id = id) AS lapsed,
		purchase_available(id) AS n FROM product) AS p,
	purchase_try(id, n + 1) AS t (more, rest)
WHERE n <> stock + lapsed OR rest <> n
	OR more <> CASE WHEN n > 0 THEN 'insufficient_quantity' ELSE 'out_of_stock' END;
SELECT id, n, outcome
FROM (SELECT id, purchase_available(id) AS n FROM product WHERE per_buyer IS NULL) AS p,
	purchase_try(id, n, sale_id => 'all of ' || id)
WHERE n > 0 AND outcome <> 'sold';
ROLLBACK", "$title, $engine: what is available can be sold, and no more");
		is_empty(
			"BEGIN;
SET LOCAL purchase.engine = $engine;
CREATE TEMP VIEW may_have AS
	SELECT *, GREATEST(LEAST(per_buyer - units + lapsed, n), 0)::bigint AS may
	FROM (SELECT product_id AS id, buyer, units, lapsed, per_buyer
		FROM (TABLE buyer_has UNION ALL SELECT id, 'nobody', 0, 0 FROM product) AS b
			JOIN product ON id = product_id
		WHERE per_buyer IS NOT NULL AND buyer IS NOT NULL
		ORDER BY buyer = 'nobody' DESC, random() LIMIT 200) AS b,
		purchase_available(id) AS n;
SELECT * FROM may_have, purchase_try(id, may + 1, sale_id => 'one more', buyer => buyer)
WHERE outcome <> CASE WHEN n <= 0 THEN 'out_of_stock' WHEN n = may THEN 'insufficient_quantity'
	ELSE 'buyer_limit_exceeded' END;
SELECT * FROM (SELECT DISTINCT ON (id) * FROM may_have WHERE may > 0) AS m,
	purchase_try(id, may, sale_id => 'all of ' || id, buyer => buyer)
WHERE outcome <> 'sold';
SELECT * FROM wrong_limits;
ROLLBACK", "$title, $engine: a buyer can have as many as he may, and no more");
	}
	return;
}

sub check_quiet
{
	my ($title) = @_;

	is_empty('SELECT * FROM wrong_books', "$title: the books balance");
	is_empty('SELECT * FROM wrong_returns', "$title: and what was returned was sold");
	is_empty('SELECT * FROM wrong_limits', "$title: and no buyer has more than he may");
	is_empty('SELECT * FROM product_hold AS h FULL JOIN product_sale AS s USING (sale_id, line)
WHERE (state = \'held\') IS DISTINCT FROM (expires_at IS NOT NULL)
	OR (state = \'held\' AND (h.qty <> s.qty - released OR h.product_id <> s.product_id
		OR h.buyer IS DISTINCT FROM s.buyer))',
		"$title: what is held has a hold, and nothing else has");
	is_empty(
		join(' UNION ALL ',
			map {
				"SELECT '$_' FROM $_ HAVING count(*) <> (SELECT count(*) FROM (SELECT FROM $_ FOR UPDATE SKIP LOCKED) AS f)"
			} ('product', 'product_sale', 'product_hold')),
		"$title: no row is left locked");
	is_empty(
		"SELECT * FROM pg_locks WHERE locktype IN ('userlock', 'advisory')",
		"$title: and no id");
	check_stock($title);
	check_sales();
	check_orders();
	is(join("\n", @wrong), '', "$title: all is as the clients were told");
	@wrong = ();
	return;
}

# ----------------------------------------------------------------
# Rounds
# ----------------------------------------------------------------

# Hold what is left of the product whose units are to be in lapsed holds, and more.
sub let_lapse
{
	my ($round) = @_;

	foreach (
		split /\n/,
		$node->safe_psql(
			'postgres', qq(
INSERT INTO order_line (product_id, qty, outcome)
	SELECT $lapsed, -n, 'restocked'
	FROM (SELECT 700 - purchase_available($lapsed) AS n) AS a, purchase_restock($lapsed, n)
	WHERE n > 0;
SELECT 'lapsed $round.' || i, qty, outcome, remaining
	FROM generate_series(1, (SELECT stock * 2 / 7 FROM product WHERE id = $lapsed)) AS i,
		LATERAL (SELECT (ARRAY[10, 1, 2, 1])[1 + i % 4] AS qty) AS q,
		purchase_try($lapsed, qty, sale_id => 'lapsed $round.' || i, hold_for => '1 hour');
UPDATE product_hold SET expires_at = $long_ago WHERE sale_id LIKE 'lapsed %';
)))
	{
		my ($id, $qty, $outcome, $remaining) = split /\|/;

		die "not held: $_" if $outcome ne 'held';
		$sale{$id} = {
			id => $id,
			products => [$lapsed],
			qtys => [$qty],
			hold => 1,
			buyer => ''
		};
		$told{$id} =
		  { request => request($sale{$id}), remaining => "$lapsed $remaining" };
	}
	return;
}

# Sell what all sessions return at a time.
sub sell_for_return
{
	my ($round) = @_;
	my $id = "$round.0";
	my $sale = $sale{$id} = {
		id => $id,
		products => [ $plenty, $lapsed ],
		qtys => [ 40, 10 ],
		hold => 0,
		buyer => ''
	};

	$sale->{returns} = [
		map {
			{
				id => "$id back $_",
				sale => $id,
				product => pick($plenty, $plenty, $lapsed),
				qty => pick(1, 2),
				restock => pick(0, 1, 1)
			}
		} 1 .. 35
	];
	$told{$id} = {
		request => request($sale),
		remaining => $node->safe_psql('postgres',
			"SELECT string_agg(product_id || ' ' || remaining, ',' ORDER BY product_id::int)
			FROM purchase_cart(ARRAY[$plenty, $lapsed], ARRAY[40, 10], sale_id => '$id')")
	};
	return $sale;
}

# How far the scripts are.
sub written { return sum0(map { -s $_->{out} // 0 } @_) }

# Wait until they are at a random place, or at their end.
my $written_before;

sub wait_for_moment
{
	my ($runs, @scripts) = @_;
	my $moment = rand($written_before);

	usleep(500)
	  while written(@scripts) < $moment && grep { $_->pumpable } @$runs;
	return;
}

# A backend of the load that has written something, if there is one.
my $victim = "SELECT pid FROM pg_stat_activity WHERE application_name = 'load'
	ORDER BY backend_xid IS NULL, random() LIMIT 1";

my %accidents = (
	none => sub { },
	terminated => sub {
		foreach (1 .. 4)
		{
			wait_for_moment(@_);
			$node->safe_psql('postgres',
				"SELECT pg_terminate_backend(pid) FROM ($victim) AS v");
		}
	},
	killed => sub {
		wait_for_moment(@_);
		my $pid = $node->safe_psql('postgres', $victim);
		kill('KILL', $pid) if $pid ne '';
	},
	stopped => sub {
		wait_for_moment(@_);
		$node->stop('immediate');
		$node->start;
	});

# Run scripts of all sessions, and let something happen meanwhile.
sub run_round
{
	my ($round, $accident, $one_call) = @_;
	my @round_ids = map { "$round.$_" } 1 .. $ids;
	my @old_ids = grep { rand() < 0.3 } keys %sale;
	my $sold = sell_for_return($round);
	my $gate = session($node);
	my (@all, @runs);

	ask($gate, 'SELECT pg_advisory_lock(0)');
	@expire = $round % 5 == 0 ? (2, 'NULL') : (1);
	@old_ids = @round_ids if !@old_ids;
	new_sale(
		$round_ids[$_],
		$_ % $return_step == 0,
		sub { some_product(0.5) },
		buyers("$round." . int($_ / $buyer_ids))) foreach 0 .. $#round_ids;
	foreach my $session (1 .. $sessions)
	{
		my @mine;

		foreach my $n (0 .. $scripts - 1)
		{
			# all sessions go through the ids in the same order; what they return
			# was sold just before
			my $next_sale = sub {
				my ($progress, $is_return) = @_;
				my $i = ($n + $progress) / $scripts * $ids + rand(8) - 4;

				$i = $return_step * int(($i - 4) / $return_step) if $is_return;

				return $sale{ rand() < 0.15
					? pick(@old_ids)
					: $round_ids[ $i < 0 ? 0 : $i >= $ids ? -1 : $i ] };
			};
			my $is_owner = rand() < 0.5;

			push @mine,
			  new_script(
				"$round.$session.$n",
				$next_sale,
				$one_call,
				$is_owner,
				$n == 0
				? (return_parts($sold, sub { $next_sale->(0) }),
					crowd($round, $session, $is_owner))
				: ());
		}
		push @all, @mine;

		local $ENV{PGAPPNAME} = 'load';
		push @runs,
		  IPC::Run::start(
			[
				'sh', '-c', join('; ', map { psql($_) } @mine)
			],
			'<', '/dev/null',
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	}
	$node->poll_query_until('postgres',
		"SELECT count(*) = $sessions FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
	  or die 'not all have begun';
	$gate->quit;
	$accidents{$accident}->(\@runs, @all);
	$_->finish foreach @runs;
	$written_before = written(@all) if $accident eq 'none' || !$written_before;
	foreach my $script (@all)
	{
		my @answers = read_answers($script);

		push @wrong, "a connection of round $round was lost"
		  if $accident eq 'none' && @answers < @{ $script->{transactions} };
		check_transaction($script, $_, shift @answers) foreach
		  @{ $script->{transactions} }[ 0 .. $#answers ];
		unlink $script->{file}, $script->{out};
	}

	# just a connection: one that is refused does not read a query
	$node->poll_query_until('postgres', undef, '')
	  or die 'the server did not come back';
	$node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'load')")
	  or die 'a backend does not end';
	return;
}

my @kinds_alone = (
	('sale') x 5, ('confirm') x 4, ('lapse') x 14, ('release') x 1, ('part') x 3,
	('extend') x 2, ('return') x 2, ('refund') x 2, ('restock') x 1);

# A query that foretells the SQLSTATE of a call, and of a sale, what becomes of its lines
# and what remains; nothing if the sale is there already.
sub expected_sql
{
	my ($call) = @_;
	my $sale = $call->{sale};

	return 'SELECT' if $call->{kind} !~ /^(sale|confirm|extend)$/;
	my $line = "FROM product_sale WHERE sale_id = '$sale->{id}'";
	return sprintf(
		"SELECT e.* FROM expected(ARRAY[%s], ARRAY[%s], '$sale->{buyer}') AS e WHERE NOT EXISTS (SELECT $line)",
		join(',', @{ $sale->{products} }),
		join(',', @{ $sale->{qtys} })) if $call->{kind} eq 'sale';

	# what others have taken is judged anew, and nothing else is
	my $state =
	  $call->{kind} eq 'confirm'
	  ? "WHEN e.state <> '00000' THEN 'SK102' WHEN 'sold' = ANY (states) THEN '00000'"
	  : "WHEN 'sold' = ANY (states) THEN 'SK103' WHEN 'expired' = ANY (states) THEN 'SK102'";
	return "SELECT CASE WHEN states IS NULL THEN 'SK101' WHEN is_return THEN 'SK201' $state
		WHEN 'released' = ALL (states) THEN 'SK103' ELSE '00000' END,
	CASE WHEN products IS NULL THEN 'of its own' ELSE 'anew ' || e.state END
FROM (SELECT array_agg(state) AS states, bool_or(return_of IS NOT NULL) AS is_return,
		array_agg(product_id) FILTER (WHERE state = 'expired') AS products,
		array_agg(qty - released) FILTER (WHERE state = 'expired') AS qtys,
		COALESCE(max(buyer), '') AS buyer
	$line) AS s, expected(products, qtys, buyer) AS e";
}

sub check_expected
{
	my ($script, $call, $expected, $answer) = @_;
	my ($outcome, $remaining) = split /\|/, $answer->{lines}[0] // '';
	my ($state, @rest) = split /\|/, $expected;
	my $is_right;

	return if $expected eq '';
	$is_right = $answer->{state} eq $state;
	if ($call->{kind} eq 'sale' && $answer->{state} eq '00000')
	{
		$is_right =
			$state eq '00000'
		  ? $outcome =~ /^(done|sold|held)/ && $remaining eq $rest[1]
		  : $outcome eq $rest[0];
	}
	wrong($script, $call, "answered $answer->{state}, @{$answer->{lines}} instead of $expected:")
	  if !$is_right;
	$seen{alone}{"$call->{kind} $state"}++;
	$seen{alone}{"$call->{kind} $rest[-1]"}++;
	return;
}

# One session goes on alone, and its answers are those that are foretold.
sub run_alone
{
	my ($round) = @_;
	my @calls = map {
		{
			kind => 'restock',
			sale => {},
			number => ++$call_count,
			sql => restock_sql($call_count, $_, 100)
		}
	} $lapsed + 1 .. $products;

	# few sales of few products at a time, so that they get in each other's way
	foreach my $group (1 .. 10)
	{
		my @few = (some_product(1), some_product(0.5));
		my @buyers = buyers("$round alone $group");
		my @sales = map {
			new_sale("$round alone $group.$_", 0, sub { pick(@few) }, @buyers[ 0, 0, 0, 1 ])
		} 1 .. 5;
		my %is_begun;
		my $call = sub {
			my ($sale, $kind) = @_;

			return new_call(sub { $sale }, 1, $is_begun{ $sale->{id} }++ ? $kind : 'sale');
		};

		push @calls, map { $call->(pick(@sales), pick(@kinds_alone)) } 1 .. 40;

		# late, and again when others were returned
		foreach my $kind ('confirm', 'extend', 'return', 'confirm')
		{
			push @calls, map { $call->($_, $kind) } @sales;
		}

		# a lapsed hold that is in its buyer's own way
		my ($hold, $other) = map {
			my $sale = new_sale("$round late $group.$_", 0, sub { $late }, '');

			@{$sale}{ 'products', 'qtys', 'hold', 'buyer' } =
			  ([$late], [ $limit{$late} ], 1, "late $round.$group");
			$sale;
		} 1 .. 2;
		push @calls,
		  map { $call->(@$_) } (
			[ $hold, 'sale' ], [ $hold, 'lapse' ],
			[ $other, 'sale' ], [ $hold, 'extend' ],
			[ $hold, 'confirm' ], [ $other, 'release' ],
			[ $hold, 'confirm' ]);
	}
	my @transactions = map { [ { kind => 'foretell', sql => expected_sql($_) }, $_ ] } @calls;
	my $script = write_script("$round.alone", 1, 1, '', @transactions);

	IPC::Run::run([ 'sh', '-c', psql($script) ], '<', '/dev/null');
	my @answers = read_answers($script);
	push @wrong, 'the connection that was alone was lost' if @answers < @transactions;
	foreach (@transactions)
	{
		my ($foretold, $answer) = @{ shift @answers // [] };

		last if !$answer;
		push @wrong, "$_->[0]{sql}: $foretold->{message}" if $foretold->{state} ne '00000';
		check_expected($script, $_->[1], $foretold->{lines}[0] // '', $answer);
		check_transaction($script, [ $_->[1] ], [$answer]);
	}

	# so that it runs out again
	$node->safe_psql('postgres',
		"UPDATE product SET initial = initial - stock + LEAST(stock, 12), stock = LEAST(stock, 12)
		WHERE id NOT IN ($plenty, $lapsed, $crowded)");
	unlink $script->{file}, $script->{out};
	return;
}

# All ids are settled, and a new book is opened, so that it does not become too long.
sub settle_all
{
	my ($title) = @_;

	is_empty(
		q(
SET purchase.lock_wait = -1;
SELECT sale_id FROM (SELECT DISTINCT sale_id FROM held) AS h
WHERE CASE WHEN random() < 0.5 AND NOT EXISTS (
		SELECT FROM product_sale AS s WHERE s.sale_id = h.sale_id AND state = 'expired')
	THEN NOT purchase_confirm(sale_id)
	ELSE purchase_release(sale_id) = 0 END), "$title: all that is held can be settled");
	is_empty('SELECT * FROM product_hold', "$title: and nothing is held then");
	is_empty('SELECT * FROM wrong_books', "$title: and the books balance");
	is_empty(
		q(
BEGIN;
SELECT * FROM (SELECT sale_id, sum(qty - released - returned) AS units
	FROM product_sale WHERE state = 'sold' GROUP BY sale_id) AS s
WHERE purchase_return(sale_id, restock => random() < 0.5) <> units;
SELECT * FROM product_sale WHERE state = 'sold' AND qty <> released + returned;
SELECT * FROM wrong_books;
SELECT * FROM wrong_returns;
ROLLBACK), "$title: all that is sold can be returned");
	is( $node->safe_psql(
			'postgres',
			"SELECT sum(length(bt_index_check(indexrelid, true)::text)) FROM pg_index WHERE indrelid IN ('product'::regclass, 'product_sale'::regclass, 'product_hold'::regclass)"
		),
		0,
		"$title: no index is damaged");
	is_empty(
		"SELECT v.* FROM unnest('{product, product_sale, product_hold}'::regclass[]) AS t, verify_heapam(t) AS v",
		"$title: and no page");
	$node->safe_psql('postgres',
		'TRUNCATE product_sale, product_hold, order_line; UPDATE product SET initial = stock; '
		  . $set_limits);
	%sale = %told = %known = %order_told = %order_maybe = ();
	return;
}

my $end = time + $seconds;
my @kinds_of_round =
  ('none', 'terminated', 'stopped', 'none', 'terminated', 'killed');
my $round = 0;

while (time < $end || $round < @kinds_of_round)
{
	my $accident = $kinds_of_round[ $round % @kinds_of_round ];
	my $one_call = $round % 4 < 2;
	my $title = ++$round . ($one_call ? ', one call' : ', mixed') . ", $accident";

	let_lapse($round);
	run_round($round, $accident, $one_call);
	run_alone($round);
	check_quiet($title);
	if ($round % 3 == 0)
	{
		is_empty(
			'SELECT n, expired FROM (SELECT count(*) AS n FROM held WHERE has_lapsed) AS h, purchase_expire() AS expired WHERE n <> expired',
			"$title: what has lapsed can be expired");
		check_stock("$title, expired");
		is_empty('SELECT * FROM wrong_books', "$title, expired: the books balance");
	}
	settle_all($title) if $round % 24 == 0;
	last if !Test::More->builder->is_passing;
}
settle_all('in the end');

# nothing of this was missing
my %must_happen = (
	alone => [
		'sale 00000', 'sale SK004', 'sale gives up', 'confirm 00000', 'confirm SK102',
		'confirm anew 00000', 'confirm anew SK004', 'extend 00000', 'extend SK102'
	]);

$must_happen{$_} = [
	map({ "sale $_" } qw(done sold held repeated out_of_stock insufficient_quantity busy
		buyer_limit_exceeded available SK002 SK003 SK004 22004 55P03 SK102 SK103 SK201 40001)),
	map({ "plain $_" } qw(sold out_of_stock insufficient_quantity busy 22004)),
	map({ "confirm $_" } qw(t f SK101 SK103)),
	map({ "release $_" } qw(some none SK101 SK103)),
	map({ "part $_" } qw(some SK101 SK103 22023)),
	map({ "extend$_" } ('', ' SK101', ' SK102', ' SK103')),
	map({ "return $_" } ('some', 'none', 'SK101', 'is not sold', 'names a return, not a sale')),
	map({ "refund $_" } ('new', 'repeated', 'SK101', 'is not sold', 'return exceeds',
		'names another return', 'names a sale, not a return')),
	'expire'
]
  foreach 'auto', 'sql';

foreach my $engine (sort keys %must_happen)
{
	my @missing = grep { !$seen{$engine}{$_} } @{ $must_happen{$engine} };

	is("@missing", '', "all has happened, $engine");
	note "$engine: ", join(', ',
		map { "$_: $seen{$engine}{$_}" } sort keys %{ $seen{$engine} });
}
foreach my $rare ('confirm SK102', 'sale names a return, not a sale')
{
	cmp_ok(sum0(map { $_->{$rare} // 0 } values %seen),
		'>', 0, "$rare has happened, too");
}
note "$round rounds; the seed was $seed";
unlike(slurp_file("$dir/err"), qr/could not expire|leak|not closed/,
	'no strange warning');

server_log_is_clean($node);
done_testing();
