# DROP EXTENSION and CREATE EXTENSION again, in sessions that have used it: they
# remember nothing of the old one, neither its tables nor its functions, also
# if both happen in one transaction, or are rolled back.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Shop;
use Test::More;

my $node = new_node('shop');
create_shop($node, 10, 100);
$node->safe_psql(
	'postgres', q(
CREATE TABLE other (code text PRIMARY KEY, stock int NOT NULL);
INSERT INTO other VALUES ('1', 10);
CREATE FUNCTION sell_in_plpgsql() RETURNS bigint LANGUAGE plpgsql AS
	'BEGIN RETURN purchase(1, 1); END';
CREATE SCHEMA elsewhere;
));

foreach my $engine ('auto', 'sql')
{
	local $ENV{PGOPTIONS} = "-c purchase.engine=$engine";
	my $user = session($node);
	my $admin = session($node);
	my $stock = 100;

	# in all the ways in which a session may remember it; three units
	my $sells = sub {
		my ($session, $title) = @_;

		is( ask($session,
				'SELECT purchase(1, 1); EXECUTE sale; SELECT sell_in_plpgsql()'
			),
			join("\n", $stock - 1, $stock - 2, $stock - 3),
			"$engine: $title");
		$stock -= 3;
	};

	foreach ($user, $admin)
	{
		ask($_, 'PREPARE sale AS SELECT purchase(1, 1)');
		$sells->($_, 'used before');
	}
	engine_is($node, $engine);

	ask($admin, 'DROP EXTENSION purchase');
	is(ask($user, 'SELECT purchase(1, 1)'),
		'ERROR:  42883', "$engine: the functions are gone");
	is(ask($user, 'EXECUTE sale'),
		'ERROR:  42883', "$engine: also from a prepared statement");
	is(ask($user, 'SELECT sell_in_plpgsql()'),
		'ERROR:  42883', "$engine: also from PL/pgSQL");

	ask($admin, 'CREATE EXTENSION purchase');
	is(ask($_, 'SELECT purchase(1, 1)'),
		'ERROR:  55000', "$engine: nothing is attached")
	  foreach ($user, $admin);
	is( ask($_, "SELECT purchase(1, 1, 'product')"),
		'ERROR:  55000', "$engine: not even the table of before")
	  foreach ($user, $admin);

	ask($admin, "SELECT purchase_attach('other'); SELECT purchase_attach('product')");
	is(ask($_, "SELECT purchase_available(1)"),
		10, "$engine: another default")
	  foreach ($user, $admin);
	ask($admin, "SELECT purchase_attach('product', is_default => true)");
	$sells->($_, 'sold after it was created again') foreach ($user, $admin);

	# in one transaction, and undone
	is( ask($admin, "BEGIN; DROP EXTENSION purchase; CREATE EXTENSION purchase"),
		'', "$engine: in a transaction");
	is(ask($admin, 'SAVEPOINT s; SELECT purchase(1, 1)'),
		'ERROR:  55000', "$engine: nothing is attached in it");
	ask($admin, "ROLLBACK TO s; SELECT purchase_attach('other')");
	is(ask($admin, "SELECT purchase_available(1)"),
		10, "$engine: another table is attached in it");
	ask($admin, 'ROLLBACK');
	$sells->($_, 'sold after that was rolled back') foreach ($admin, $user);

	# and done
	ask($admin,
		"BEGIN; DROP EXTENSION purchase; CREATE EXTENSION purchase; SELECT purchase_attach('product'); COMMIT"
	);
	$sells->($_, 'sold after that was committed') foreach ($user, $admin);

	# in another schema
	ask($admin, 'ALTER EXTENSION purchase SET SCHEMA elsewhere');
	ask($_, 'SET search_path = elsewhere, public') foreach ($user, $admin);
	$sells->($_, 'sold after it was moved') foreach ($user, $admin);
	ask($admin,
		"DROP EXTENSION purchase; CREATE EXTENSION purchase SCHEMA public; SELECT purchase_attach('product')"
	);
	ask($_, 'RESET search_path') foreach ($user, $admin);
	$sells->($_, 'sold after it was created elsewhere') foreach ($user, $admin);

	# with the table, and a session whose transaction is older
	ask($user, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM product');
	ask($admin, 'DROP EXTENSION purchase; CREATE EXTENSION purchase');
	is(ask($user, "SELECT purchase(1, 1, 'product')"),
		'ERROR:  55000', "$engine: an older snapshot knows no better");
	ask($user, 'ROLLBACK');
	ask($admin,
		"ALTER TABLE product RENAME TO former; CREATE TABLE product (LIKE former INCLUDING ALL); SELECT purchase_attach('product'); INSERT INTO product SELECT * FROM former"
	);
	$sells->($_, 'sold from a table that took its place') foreach ($user, $admin);
	is( ask($admin, 'SELECT stock FROM former WHERE id = 1'),
		$stock + 6, "$engine: and not from the former one");

	# a library that is loaded before the extension is there
	ask($admin, 'DROP EXTENSION purchase');
	is( sqlstate($node, "LOAD 'purchase'; SELECT purchase(1, 1)"),
		'42883', "$engine: just the library");

	$_->quit foreach ($user, $admin);
	$node->safe_psql(
		'postgres', "
DROP TABLE product;
ALTER TABLE former RENAME TO product;
UPDATE product SET stock = 100;
CREATE EXTENSION purchase;
SELECT purchase_attach('product');
");
}

server_log_is_clean($node);
done_testing();
