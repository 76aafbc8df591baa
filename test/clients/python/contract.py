"""What must hold for every synchronous library: see ../README.md.

A library's own test derives from Contract. It names its shop module, the
classes of its exceptions, and how it tells what is in one.
"""

import os
import subprocess
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

FRONT = uuid.UUID("5ea70000-0000-4000-8000-000000000001")


def psql(sql):
    """Looks from outside, with a connection of its own."""
    return subprocess.run(["psql", "-XqAt", "-c", sql], check=True,
                          capture_output=True, text=True).stdout.strip()


class Cancelled(Exception):
    pass


class Contract:
    shop = None
    error_classes = {}      # SQLSTATE -> the library's own class
    check_violation = None  # the class for 23514

    def fields(self, error):
        """SQLSTATE, message, detail, table, column of the library's error."""
        raise NotImplementedError

    def setUp(self):
        psql("SELECT shop_reset()")
        self.connection = self.shop.connect()
        self.addCleanup(self.connection.close)

    def refused(self, expected, *fields):
        """Used with "with": the error is expected, with just these fields."""
        test = self

        class Refused:
            def __enter__(self):
                return self

            def __exit__(self, _, error, traceback):
                test.assertIs(type(error), expected, error)
                cause = error.__cause__
                test.assertIs(type(cause), test.error_classes[fields[0]])
                test.assertEqual(test.fields(cause), fields)
                self.error = error
                return True

        return Refused()

    def test_sells_by_bigint_key(self):
        self.assertEqual(self.shop.sell(self.connection, 1, 3), 97)
        self.assertEqual(psql("SELECT stock FROM shop_product WHERE id = 1"), "97")

    def test_sells_by_uuid_key(self):
        self.assertEqual(self.shop.sell_seat(self.connection, FRONT, 2), 98)
        self.assertEqual(psql(f"SELECT purchase_available('{FRONT}'::uuid, 'shop_seat')"),
                         "98")

    def test_sells_a_cart(self):
        remaining = self.shop.sell_cart(self.connection, [(6, 1), (1, 10), (6, 2)])
        self.assertEqual(remaining, {1: 90, 6: 97})

    def test_a_cart_sells_nothing_if_one_line_fails(self):
        with self.refused(self.shop.OutOfStockError, "SK002",
                          "2 of 3 products cannot be sold",
                          "Product 3 has 0 in stock, 1 was requested.\n"
                          "Product 4 has 2 in stock, 3 were requested.",
                          "shop_product", "stock"):
            self.shop.sell_cart(self.connection, [(4, 3), (1, 1), (3, 1)])
        self.assertEqual(psql("SELECT purchase_available(1)"), "100")

    def test_says_why_not_without_raising(self):
        with self.shop.transaction(self.connection):
            self.assertEqual(self.shop.try_to_sell(self.connection, 4, 3),
                             ("insufficient_quantity", 2))
            self.assertEqual(self.shop.try_to_sell(self.connection, 4, 2),
                             ("sold", 0))
        self.assertEqual(psql("SELECT purchase_available(4)"), "0")

    def test_sells_with_an_order_line(self):
        self.shop.order(self.connection, 1, 2)
        self.assertEqual(psql("SELECT purchase_available(1), product_id, quantity"
                              " FROM shop_order_line"), "98|1|2")

    def test_rolls_back_sale_and_order_line_together(self):
        with self.assertRaises(Cancelled):
            with self.shop.transaction(self.connection):
                self.shop.order(self.connection, 1, 1)
                raise Cancelled
        self.assertEqual(psql("SELECT purchase_available(1), count(*)"
                              " FROM shop_order_line"), "100|0")

    def test_product_not_found(self):
        with self.refused(self.shop.ProductNotFoundError, "SK001",
                          "product 99 not found",
                          'Key (id)=(99) is not present in table "shop_product".',
                          "shop_product", "id"):
            self.shop.sell(self.connection, 99, 1)

    def test_out_of_stock(self):
        with self.refused(self.shop.OutOfStockError, "SK002",
                          "product 3 is out of stock",
                          "Product 3 has 0 in stock, 1 was requested.",
                          "shop_product", "stock"):
            self.shop.sell(self.connection, 3, 1)

    def test_insufficient_quantity(self):
        with self.refused(self.shop.InsufficientQuantityError, "SK003",
                          "not enough stock of product 4",
                          "Product 4 has 2 in stock, 3 were requested.",
                          "shop_product", "stock"):
            self.shop.sell(self.connection, 4, 3)

    def buy_while_another_does(self):
        other = self.shop.connect()
        self.addCleanup(other.close)
        with self.shop.transaction(other):
            self.shop.sell(other, 2, 1)
            with self.refused(self.shop.ProductBusyError, "55P03",
                              "product 2 is busy",
                              "Another transaction holds a lock on the row of product 2.",
                              "shop_product", "stock") as refused:
                self.shop.sell(self.connection, 2, 1)
        return refused.error

    def test_busy(self):
        error = self.buy_while_another_does()
        self.assertTrue(error.retryable)
        self.assertFalse(self.shop.OutOfStockError.retryable)

    def test_two_buyers_of_the_last_unit(self):
        self.buy_while_another_does()
        with self.assertRaises(self.shop.OutOfStockError):
            self.shop.sell(self.connection, 2, 1)
        self.assertEqual(psql("SELECT purchase_available(2)"), "0")

    def buy_a_ticket(self, _):
        connection = self.shop.connect()
        try:
            while True:
                try:
                    self.shop.order(connection, 5, 1)
                    return "sold"
                except self.shop.ProductBusyError:
                    continue
                except self.shop.OutOfStockError:
                    return "out of stock"
        finally:
            connection.close()

    def test_twenty_buyers_of_ten_units(self):
        with ThreadPoolExecutor(20) as pool:
            answers = sorted(pool.map(self.buy_a_ticket, range(20)))
        self.assertEqual(answers, ["out of stock"] * 10 + ["sold"] * 10)
        self.assertEqual(psql("SELECT purchase_available(5), sum(quantity)"
                              " FROM shop_order_line"), "0|10")

    def attempts(self, *orders):
        """A transaction that orders the next of these each time it is run."""
        orders = iter(orders)
        self.tries = 0

        def attempt():
            self.tries += 1
            self.shop.order(self.connection, *next(orders))

        return attempt

    def test_retries_a_busy_product(self):
        other = self.shop.connect()
        self.addCleanup(other.close)
        attempt = self.attempts((1, 1), (1, 1))
        with ExitStack() as sale:
            sale.enter_context(self.shop.transaction(other))
            self.shop.sell(other, 1, 1)

            def attempt_again():
                if self.tries > 0:
                    sale.close()        # commits
                attempt()

            self.shop.retrying(attempt_again)
        self.assertEqual(self.tries, 2)
        self.assertEqual(psql("SELECT purchase_available(1), quantity"
                              " FROM shop_order_line"), "98|1")

    def test_retries_conflicts(self):
        self.shop.retrying(self.attempts((1, 41), (1, 42), (1, 1)))
        self.assertEqual(self.tries, 3)
        self.assertEqual(psql("SELECT purchase_available(1), quantity"
                              " FROM shop_order_line"), "99|1")

    def test_retries_nothing_else(self):
        for order, error in (((99, 1), self.shop.ProductNotFoundError),
                             ((3, 1), self.shop.OutOfStockError),
                             ((4, 3), self.shop.InsufficientQuantityError),
                             ((1, 43), self.check_violation)):
            with self.assertRaises(error):
                self.shop.retrying(self.attempts(order, order))
            self.assertEqual(self.tries, 1)

    def test_gives_up(self):
        other = self.shop.connect()
        self.addCleanup(other.close)
        with self.shop.transaction(other):
            self.shop.sell(other, 1, 1)
            with self.assertRaises(self.shop.ProductBusyError):
                self.shop.retrying(self.attempts(*[(1, 1)] * 4), tries=3)
        self.assertEqual(self.tries, 3)

    def test_tells_buyers_a_text_of_its_own(self):
        for order, text in (((99, 1), "There is no such product."),
                            ((3, 1), "It is sold out."),
                            ((4, 3), "There are not so many left."),
                            ((1, 42), "Your order met another. Try again.")):
            with self.assertRaises(self.shop.PurchaseError) as caught:
                self.shop.retrying(self.attempts(order), tries=1)
            self.assertEqual(str(caught.exception), text)

    def lock_wait(self, connection):
        with connection.cursor() as cursor:
            cursor.execute("SHOW purchase.lock_wait")
            return cursor.fetchone()[0]

    # The setting is the extension's own once the session has called it.
    @unittest.skipIf("POOLED" in os.environ, "see the next one")
    def test_waits_if_the_connection_says_so(self):
        connection = self.shop.connect_patiently()
        self.addCleanup(connection.close)
        self.shop.sell(connection, 1, 1)
        self.assertEqual(self.lock_wait(connection), "2s")

    @unittest.skipIf("POOLED" in os.environ, "see the next one")
    def test_a_patient_sale_waits_for_a_busy_product(self):
        other, patient = self.shop.connect(), self.shop.connect_patiently()
        self.addCleanup(other.close)
        self.addCleanup(patient.close)
        with ThreadPoolExecutor(1) as pool, ExitStack() as sale:
            sale.enter_context(self.shop.transaction(other))
            self.shop.sell(other, 1, 1)
            remaining = pool.submit(self.shop.sell, patient, 1, 1)
            while not remaining.done() and psql(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type IN ('Lock', 'Extension')"
                    " AND datname = current_database()") == "0":
                pass
            sale.close()        # commits
            self.assertEqual(remaining.result(), 98)

    @unittest.skipUnless("POOLED" in os.environ, "PgBouncer's own")
    def test_pgbouncer_refuses_options(self):
        with self.assertRaisesRegex(Exception, "unsupported startup parameter"):
            self.shop.connect_patiently()
