"""One contract, two implementations of the service."""

from contextlib import ExitStack
from io import StringIO

from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase, TransactionTestCase, override_settings

from .. import services
from ..models import OrderLine, Seat
from ..services.errors import (
    ConflictError,
    InsufficientQuantityError,
    OutOfStockError,
    ProductBusyError,
    ProductNotFoundError,
)
from .shop import (
    CHAIR, DESK, FRONT, INK, LAMP, PEN, TICKET, Unguarded, at_the_same_time, fill,
    meanwhile, stock,
)

orm = override_settings(SHOP_SERVICE="shop.services.orm")
extension = override_settings(SHOP_SERVICE="shop.services.extension")


class Cancelled(Exception):
    pass


class Sales:
    """In a transaction that TestCase rolls back: it must survive refusals."""

    @classmethod
    def setUpTestData(cls):
        fill()

    def refused(self, expected, product_id, quantity, available):
        with self.assertRaises(expected) as caught:
            services.purchase(product_id, quantity)
        error = caught.exception
        self.assertEqual((error.product_id, error.requested, error.available),
                         (product_id, quantity, available))
        self.assertFalse(error.retryable)

    def test_sells_by_bigint_key(self):
        self.assertEqual(services.purchase(PEN, 3), 97)
        self.assertEqual(stock(PEN), 97)

    def test_sells_by_uuid_key(self):
        self.assertEqual(services.purchase(FRONT, 2, model=Seat), 98)
        self.assertEqual(Seat.objects.get(pk=FRONT).stock, 98)

    def test_sells_all_that_is_left(self):
        self.assertEqual(services.purchase(DESK, 2), 0)

    def test_says_why_not_without_raising(self):
        self.refused(InsufficientQuantityError, DESK, 3, 2)
        self.assertEqual(services.purchase(DESK, 2), 0)
        self.refused(OutOfStockError, DESK, 1, 0)

    def test_product_not_found(self):
        self.refused(ProductNotFoundError, 99, 1, None)

    def test_out_of_stock(self):
        self.refused(OutOfStockError, CHAIR, 1, 0)

    def test_insufficient_quantity(self):
        self.refused(InsufficientQuantityError, DESK, 3, 2)
        self.assertEqual(stock(DESK), 2)

    def test_sells_a_cart(self):
        self.assertEqual(services.purchase_cart([(INK, 1), (PEN, 10), (INK, 2)]),
                         {PEN: 90, INK: 97})
        self.assertEqual((stock(PEN), stock(INK)), (90, 97))

    def test_a_cart_names_every_line_that_failed(self):
        with self.assertRaises(OutOfStockError) as caught:
            services.purchase_cart([(DESK, 3), (PEN, 1), (CHAIR, 1)])
        self.assertEqual(
            [(line.product_id, line.requested, line.available)
             for line in caught.exception.lines],
            [(CHAIR, 1, 0), (DESK, 3, 2)])
        self.assertEqual(stock(PEN), 100)

    def test_sells_with_an_order_line(self):
        line = services.order(PEN, 2)
        self.assertEqual((line.product_id, line.quantity), (PEN, 2))
        self.assertEqual(stock(PEN), 98)

    def test_no_order_line_without_a_sale(self):
        with self.assertRaises(OutOfStockError):
            services.order(CHAIR, 1)
        self.assertFalse(OrderLine.objects.exists())


@orm
class OrmSales(Unguarded, Sales, TestCase):
    tap_suffix = " (ORM)"


@extension
class ExtensionSales(Sales, TestCase):
    tap_suffix = " (purchase)"


# Django's foreign keys are deferred: they lock the product when the transaction
# commits, those of other schemas at once.
def insert_order_line_that_locks():
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    OrderLine.objects.create(product_id=PEN, quantity=1)


class Buyers:
    """With several connections."""

    def setUp(self):
        fill()

    def test_rolls_back_sale_and_order_line_together(self):
        with self.assertRaises(Cancelled), transaction.atomic():
            services.order(PEN, 1)
            raise Cancelled
        self.assertEqual(stock(PEN), 100)
        self.assertFalse(OrderLine.objects.exists())

    def test_busy(self):
        with meanwhile(lambda: services.purchase(LAMP, 1)):
            with self.assertRaises(ProductBusyError) as caught:
                services.purchase(LAMP, 1)
        self.assertTrue(caught.exception.retryable)

    def test_two_buyers_of_the_last_unit(self):
        with meanwhile(lambda: services.purchase(LAMP, 1)):
            with self.assertRaises(ProductBusyError):
                services.purchase(LAMP, 1)
        with self.assertRaises(OutOfStockError):
            services.purchase(LAMP, 1)
        self.assertEqual(stock(LAMP), 0)

    def test_sells_beside_an_uncommitted_order_line(self):
        with meanwhile(lambda: OrderLine.objects.create(product_id=PEN, quantity=1)):
            self.assertEqual(services.purchase(PEN, 1), 99)

    def test_a_cart_is_busy_if_a_line_is(self):
        with meanwhile(lambda: services.purchase(INK, 1)):
            with self.assertRaises(ProductBusyError):
                services.purchase_cart([(PEN, 1), (INK, 1)])
        self.assertEqual((stock(PEN), stock(INK)), (100, 99))

    def test_twenty_buyers_of_ten_units(self):
        def buy():
            while True:
                try:
                    services.order(TICKET, 1)
                    return "sold"
                except ProductBusyError:
                    continue
                except OutOfStockError:
                    return "out of stock"

        self.assertEqual(sorted(at_the_same_time(20, buy)),
                         ["out of stock"] * 10 + ["sold"] * 10)
        self.assertEqual(stock(TICKET), 0)
        self.assertEqual(OrderLine.objects.count(), 10)

    def attempts(self, *steps):
        """A transaction that sells and then does the next of these each time it
        is run: raises this SQLSTATE, or what it is given to call.
        """
        steps = iter(steps)
        self.tries = 0

        def attempt():
            self.tries += 1
            step = next(steps)
            with transaction.atomic():
                if callable(step):
                    return step()
                services.order(PEN, 1)
                with connection.cursor() as cursor:
                    cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'relation x'"
                                   f" USING ERRCODE = '{step}'; END $$")

        return attempt

    def order_a_pen(self):
        return services.order(PEN, 1)

    def test_retries_a_busy_product(self):
        attempt = self.attempts(self.order_a_pen, self.order_a_pen)
        with ExitStack() as sale:
            sale.enter_context(meanwhile(self.order_a_pen))

            def attempt_again():
                if self.tries > 0:
                    sale.close()        # commits
                return attempt()

            services.retrying(attempt_again)
        self.assertEqual(self.tries, 2)
        self.assertEqual(stock(PEN), 98)
        self.assertEqual(OrderLine.objects.count(), 2)

    def test_retries_conflicts(self):
        services.retrying(self.attempts("40001", "40P01", "55P03", self.order_a_pen))
        self.assertEqual(self.tries, 4)
        self.assertEqual(stock(PEN), 99)
        self.assertEqual(OrderLine.objects.count(), 1)

    def test_retries_nothing_else(self):
        for step, error in ((lambda: services.order(99, 1), ProductNotFoundError),
                            (lambda: services.order(CHAIR, 1), OutOfStockError),
                            (lambda: services.order(DESK, 3),
                             InsufficientQuantityError),
                            ("23514", IntegrityError)):
            with self.assertRaises(error):
                services.retrying(self.attempts(step, step))
            self.assertEqual(self.tries, 1)
        self.assertEqual(stock(PEN), 100)

    def test_gives_up(self):
        with meanwhile(self.order_a_pen):
            with self.assertRaises(ProductBusyError):
                services.retrying(self.attempts(*[self.order_a_pen] * 4), tries=3)
        self.assertEqual(self.tries, 3)

    def test_tells_buyers_a_text_of_its_own(self):
        with self.assertRaises(ConflictError) as caught:
            services.retrying(self.attempts("40001"), tries=1)
        self.assertTrue(caught.exception.retryable)
        self.assertNotIn("relation", str(caught.exception))


@orm
class OrmBuyers(Unguarded, Buyers, TransactionTestCase):
    tap_suffix = " (ORM)"

    def test_is_busy_beside_an_order_line_that_locks_its_product(self):
        with meanwhile(insert_order_line_that_locks):
            with self.assertRaises(ProductBusyError):
                services.purchase(PEN, 1)


@extension
class ExtensionBuyers(Buyers, TransactionTestCase):
    tap_suffix = " (purchase)"

    databases = {"default", "patient"}

    # The setting is the extension's own once the session has called it.
    def test_waits_if_the_connection_says_so(self):
        self.addCleanup(connections["patient"].close)
        with connections["patient"].cursor() as cursor:
            cursor.execute("SELECT purchase(%s, 1)", [PEN])
            cursor.execute("SHOW purchase.lock_wait")
            self.assertEqual(cursor.fetchone(), ("2s",))

    def test_sells_beside_an_order_line_that_locks_its_product(self):
        with meanwhile(insert_order_line_that_locks):
            self.assertEqual(services.purchase(PEN, 1), 99)

    def test_refuses_beside_an_uncommitted_sale_of_too_little_stock(self):
        with meanwhile(lambda: services.purchase(DESK, 1)):
            with self.assertRaises(InsufficientQuantityError):
                services.purchase(DESK, 3)


class Migrations(TestCase):
    def test_models_and_migrations_agree(self):
        call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())
