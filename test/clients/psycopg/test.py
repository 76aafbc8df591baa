import os
import unittest
import uuid
from datetime import timedelta
from functools import partial

import psycopg

import shop
import tap
from contract import Contract, psql

# What PgBouncer before 1.21 asks for in transaction mode: no prepared
# statements.
if "POOLED" in os.environ:
    shop.connect = partial(shop.connect, prepare_threshold=None)


class Psycopg(Contract, unittest.TestCase):
    shop = shop
    error_classes = {
        "SK001": psycopg.DatabaseError,
        "SK002": psycopg.DatabaseError,
        "SK003": psycopg.DatabaseError,
        "55P03": psycopg.errors.LockNotAvailable,
    }

    check_violation = psycopg.errors.CheckViolation

    def fields(self, error):
        return (error.sqlstate, error.diag.message_primary, error.diag.message_detail,
                error.diag.table_name, error.diag.column_name)

    def test_busy_is_an_operational_error(self):
        self.assertTrue(issubclass(psycopg.errors.LockNotAvailable,
                                   psycopg.OperationalError))

    def test_a_key_of_unknown_type_sells_as_text(self):
        self.assertEqual(shop.sell(self.connection, "1", 1), 99)

    def taken(self, order_id, product_id, qty):
        """Its time is over, and somebody else buys what was held."""
        psql("UPDATE shop_product_hold SET expires_at = '2020-01-01'"
             f" WHERE sale_id = '{order_id}'")
        psql(f"SELECT purchase({product_id}, {qty})")

    def fails(self, expected, sqlstate, function, *args):
        with self.assertRaises(expected) as caught:
            function(self.connection, *args)
        self.assertIs(type(caught.exception.__cause__), psycopg.DatabaseError)
        self.assertEqual(caught.exception.__cause__.sqlstate, sqlstate)
        self.assertEqual(str(caught.exception), expected.text)
        self.assertFalse(expected.retryable)

    def test_holds_and_confirms(self):
        order_ids = 7, 2**40, "seven", uuid.uuid4()
        for held, order_id in enumerate(order_ids, 1):
            for _ in range(2):
                self.assertEqual(
                    shop.hold(self.connection, order_id, [(6, 1), (1, 2)]),
                    {1: 100 - 2 * held, 6: 100 - held})
            self.assertIs(shop.confirm(self.connection, order_id), True)
            self.assertIs(shop.confirm(self.connection, order_id), False)
        self.assertEqual(
            psql("SELECT DISTINCT state, hold_for FROM shop_product_sale"),
            "sold|00:15:00")
        self.assertEqual(psql("SELECT count(DISTINCT sale_id) FROM shop_product_sale"),
                         "4")

    def test_another_cart_of_the_same_number(self):
        shop.hold(self.connection, 7, [(1, 2)])
        self.fails(shop.SaleIdConflictError, "SK201", shop.hold, 7, [(1, 3)])

    def test_the_time_was_over(self):
        shop.hold(self.connection, 7, [(2, 1)])
        self.taken(7, 2, 1)
        self.fails(shop.HoldExpiredError, "SK102", shop.confirm, 7)
        self.fails(shop.HoldExpiredError, "SK102", shop.hold, 7, [(2, 1)])

    def test_releases(self):
        self.fails(shop.SaleNotFoundError, "SK101", shop.release, 7)
        shop.hold(self.connection, 7, [(1, 2), (6, 1)])
        self.assertEqual(shop.release(self.connection, 7), 3)
        self.assertEqual(shop.release(self.connection, 7), 0)
        self.fails(shop.SaleSettledError, "SK103", shop.confirm, 7)
        self.assertEqual(psql("SELECT purchase_available(1)"), "100")

    def sold(self, order_id, *lines):
        shop.hold(self.connection, order_id, lines)
        shop.confirm(self.connection, order_id)

    def left(self):
        """Of the pens and the ink, and how many of them are broken."""
        return psql("SELECT string_agg(purchase_available(id)::text, ' ' ORDER BY id),"
                    " (SELECT sum(discarded) FROM shop_product_sale WHERE state = 'sold')"
                    " FROM shop_product WHERE id IN (1, 6)")

    def test_takes_back_once(self):
        for order_id in 7, "seven", uuid.uuid4():
            self.sold(order_id, (1, 2), (6, 1))
            self.assertEqual(shop.take_back(self.connection, order_id), 3)
            self.assertEqual(shop.take_back(self.connection, order_id), 0)
            self.assertEqual(self.left(), "100 100|0")

    def test_takes_back_a_part_once_for_each_refund(self):
        for refund_id in 8, "eight", uuid.uuid4():
            order_id = f"of {refund_id}"
            self.sold(order_id, (1, 2), (6, 1))
            for _ in range(2):
                self.assertEqual(
                    shop.take_back_part(self.connection, order_id, refund_id, 1, 1), 1)
            self.assertEqual(self.left(), "99 99|0")
            self.fails(shop.SaleIdConflictError, "SK201", shop.take_back_part,
                       order_id, refund_id, 1, 2)
            self.assertEqual(shop.take_back(self.connection, order_id), 2)
            self.assertEqual(self.left(), "100 100|0")

    def test_takes_back_what_is_broken(self):
        self.sold(7, (1, 2), (6, 1))
        shop.take_back_part(self.connection, 7, 8, 1, 1, restock=False)
        self.assertEqual(self.left(), "98 99|1")
        self.assertEqual(shop.take_back(self.connection, 7, restock=False), 2)
        self.assertEqual(self.left(), "98 99|3")

    def test_takes_back_no_more_than_was_sold(self):
        self.fails(shop.SaleNotFoundError, "SK101", shop.take_back, 7)
        shop.hold(self.connection, 7, [(1, 2)])
        self.fails(shop.ReturnExceedsSaleError, "SK104", shop.take_back, 7)
        shop.confirm(self.connection, 7)
        self.fails(shop.ReturnExceedsSaleError, "SK104",
                   shop.take_back_part, 7, 8, 1, 3)
        self.assertEqual(self.left(), "98 100|0")

    def test_takes_back_with_the_money_or_not_at_all(self):
        self.sold(7, (1, 2))
        with self.assertRaises(psycopg.errors.CheckViolation):
            with shop.transaction(self.connection):
                shop.take_back(self.connection, 7)
                self.connection.execute("INSERT INTO shop_order_line"
                                        " (product_id, quantity) VALUES (1, 43)")
        self.assertEqual(self.left(), "98 100|0")
        self.assertEqual(shop.take_back(self.connection, 7), 2)

    def test_no_more_than_one_buyer_may_have(self):
        self.assertEqual(shop.hold(self.connection, 7, [(8, 2)], buyer="ann"), {8: 8})
        self.fails(shop.BuyerLimitExceededError, "SK004",
                   shop.hold, 8, [(8, 1)], "ann")
        self.assertEqual(shop.hold(self.connection, 9, [(8, 2)], buyer=70), {8: 6})
        shop.confirm(self.connection, 7)
        shop.take_back_part(self.connection, 7, "back", 8, 1)
        self.assertEqual(shop.hold(self.connection, 8, [(8, 1)], "ann"), {8: 6})

    def test_what_needs_a_cast(self):
        def hold(*args):
            self.connection.execute(
                "SELECT purchase(1, 1, sale_id => %s, hold_for => %s)", args)

        hold("7", "15 minutes")
        hold("8", timedelta(minutes=15))
        for order_id in 9, uuid.uuid4():
            with self.assertRaises(psycopg.errors.UndefinedFunction):
                hold(order_id, "15 minutes")

    # psycopg prepares what it executed five times.
    @unittest.skipIf("POOLED" in os.environ, "PgBouncer 1.18 keeps none")
    def test_a_prepared_statement(self):
        for _ in range(10):
            remaining = shop.sell(self.connection, 1, 1)
        self.assertEqual(remaining, 90)
        count = self.connection.execute(
            "SELECT count(*) FROM pg_prepared_statements"
            " WHERE statement = 'SELECT purchase($1, $2)'").fetchone()[0]
        self.assertEqual(count, 1)


libpq = psycopg.pq.version()
print(f"# version: psycopg {psycopg.__version__},"
      f" libpq {libpq // 10000}.{libpq % 10000}")
tap.run(Psycopg)
