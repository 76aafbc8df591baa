"""What a call that raises brings to Django, and what becomes of it."""

from django.db import DatabaseError, OperationalError, connection, transaction
from django.test import TransactionTestCase

from ..services.errors import (
    InsufficientQuantityError,
    OutOfStockError,
    ProductBusyError,
    ProductNotFoundError,
)
from ..services.sqlstates import purchase_errors
from .shop import CHAIR, DESK, LAMP, PEN, fill, meanwhile, stock


def sell(product_id, quantity):
    with connection.cursor() as cursor, purchase_errors(product_id, quantity):
        cursor.execute("SELECT purchase(%s, %s)", [product_id, quantity])
        return cursor.fetchone()[0]


class SqlStates(TransactionTestCase):
    def setUp(self):
        fill()

    def refused(self, product_id, quantity, expected, django_class, *fields):
        with self.assertRaises(expected) as caught:
            sell(product_id, quantity)
        error = caught.exception.__cause__
        self.assertIs(type(error), django_class)
        diag = error.__cause__.diag
        self.assertEqual((diag.sqlstate, diag.message_primary, diag.message_detail,
                          diag.table_name, diag.column_name), fields)

    def test_sells(self):
        self.assertEqual(sell(PEN, 3), 97)

    def test_SK001(self):
        self.refused(99, 1, ProductNotFoundError, DatabaseError, "SK001",
                     "product 99 not found",
                     'Key (id)=(99) is not present in table "shop_product".',
                     "shop_product", "id")

    def test_SK002(self):
        self.refused(CHAIR, 1, OutOfStockError, DatabaseError, "SK002",
                     "product 3 is out of stock",
                     "Product 3 has 0 in stock, 1 was requested.",
                     "shop_product", "stock")

    def test_SK003(self):
        self.refused(DESK, 3, InsufficientQuantityError, DatabaseError, "SK003",
                     "not enough stock of product 4",
                     "Product 4 has 2 in stock, 3 were requested.",
                     "shop_product", "stock")

    def test_55P03(self):
        with meanwhile(lambda: sell(LAMP, 1)):
            self.refused(LAMP, 1, ProductBusyError, OperationalError, "55P03",
                         "product 2 is busy",
                         "Another transaction holds a lock on the row of product 2.",
                         "shop_product", "stock")

    def test_within_a_transaction_a_call_that_raises_needs_a_savepoint(self):
        with transaction.atomic():
            with self.assertRaises(OutOfStockError), transaction.atomic():
                sell(CHAIR, 1)
            sell(PEN, 1)
        self.assertEqual(stock(PEN), 99)
