"""How many one buyer may have: the services alone, and the admin."""

import uuid

from django.contrib.auth.models import User
from django.db import connection
from django.test import TransactionTestCase
from django.urls import reverse

from .. import services
from ..models import Product, Sale
from ..services.errors import (
    BuyerLimitExceededError,
    BuyerRequiredError,
    OutOfStockError,
    ProductBusyError,
    SaleIdConflictError,
)
from ..services.sqlstates import purchase_errors
from .shop import CHAIR, PEN, PRINT, fill, meanwhile, stock
from .test_checkout import ORDER, OTHER, balance, lapse


def hold(quantity, buyer="ann", order_id=None):
    return services.hold(order_id or uuid.uuid4(), [(PRINT, quantity)], buyer)


class Limits(TransactionTestCase):
    def setUp(self):
        fill()

    def refused(self, quantity, has, may_have=2):
        with self.assertRaises(BuyerLimitExceededError) as caught:
            hold(quantity)
        error = caught.exception
        self.assertEqual((error.product_id, error.requested, error.has, error.may_have),
                         (PRINT, quantity, has, may_have))
        self.assertFalse(error.retryable)

    def test_what_is_held_counts(self):
        self.refused(3, has=0)
        hold(1)
        self.refused(2, has=1)
        hold(1)
        self.refused(1, has=2)
        self.assertEqual(balance(PRINT), (8, 2, 0, 10))
        self.assertEqual(Sale.objects.count(), 2)

    def test_what_is_paid_counts(self):
        for _ in range(2):      # which is answered as the first time
            hold(2, order_id=ORDER)
        services.pay(ORDER, "pay_1")
        self.refused(1, has=2)
        self.assertEqual(balance(PRINT), (8, 0, 2, 10))

    def test_others_are_not_affected(self):
        hold(2)
        self.assertEqual(hold(2, buyer="bob"), {PRINT: 6})
        self.refused(1, has=2)
        self.assertEqual(services.hold(ORDER, [(PEN, 50)], "ann"), {PEN: 50})

    def test_what_is_cancelled_does_not_count(self):
        hold(2, order_id=ORDER)
        services.cancel(ORDER)
        self.assertEqual(hold(2), {PRINT: 8})

    def test_what_came_back_does_not_count(self):
        hold(2, order_id=ORDER)
        services.pay(ORDER, "pay_1")
        services.refund_part(ORDER, uuid.uuid4(), PRINT, 1)
        self.refused(2, has=1)
        self.assertEqual(hold(1), {PRINT: 8})
        services.refund(ORDER, restock=False)
        self.refused(2, has=1)
        self.assertEqual(hold(1), {PRINT: 7})
        self.refused(1, has=2)

    def test_a_part_that_is_released_does_not_count(self):
        hold(2, order_id=ORDER)
        with connection.cursor() as cursor:
            cursor.execute("SELECT purchase_release(%s::text, %s, 1)", [ORDER, PRINT])
        services.pay(ORDER, "pay_1")
        self.refused(2, has=1)

    # He can have these anew, so the text must not say that he has them.
    def test_holds_that_have_lapsed(self):
        hold(2, order_id=ORDER)
        lapse(ORDER)
        self.refused(3, has=0)
        self.assertEqual(hold(2), {PRINT: 8})
        self.assertEqual(balance(PRINT), (8, 2, 0, 10))

    def test_the_last_units_come_first(self):
        with self.assertRaises(OutOfStockError) as caught:
            services.hold(ORDER, [(PRINT, 3), (CHAIR, 1)], "ann")
        self.assertEqual([(type(line), getattr(line, "may_have", None))
                          for line in caught.exception.lines],
                         [(OutOfStockError, None), (BuyerLimitExceededError, 2)])

    def test_two_windows(self):
        with meanwhile(lambda: hold(2)):
            with self.assertRaises(ProductBusyError):
                hold(2)
        self.refused(2, has=2)
        self.assertEqual(balance(PRINT), (8, 2, 0, 10))

    def test_an_order_is_one_buyers(self):
        hold(1, order_id=ORDER)
        with self.assertRaises(SaleIdConflictError):
            hold(1, buyer="bob", order_id=ORDER)

    def test_a_buyer_must_be_known(self):
        for sell in (lambda: hold(1, buyer=None), lambda: services.purchase(PRINT, 1),
                     lambda: services.purchase_cart([(PEN, 1), (PRINT, 1)]),
                     lambda: services.order(PRINT, 1)):
            with self.assertRaises(BuyerRequiredError):
                sell()
        self.assertEqual((stock(PRINT), stock(PEN)), (10, 100))

    def test_the_admin_sets_the_limit(self):
        self.client.force_login(User.objects.create(
            username="clerk", is_staff=True, is_superuser=True))
        url = reverse("admin:shop_product_change", args=[PRINT])
        hold(2, order_id=ORDER)
        for limit in 3, 1:
            self.client.post(url, {"name": "print", "per_buyer": limit})
            self.assertEqual(Product.objects.get(pk=PRINT).per_buyer, limit)
            self.refused(2, has=2, may_have=limit)
        self.client.post(url, {"name": "print", "per_buyer": ""})
        self.assertEqual(hold(5), {PRINT: 3})

    def test_what_a_call_that_raises_brings(self):
        hold(1)
        with self.assertRaises(BuyerLimitExceededError) as caught:
            with connection.cursor() as cursor, purchase_errors(PRINT, 2):
                cursor.execute("SELECT purchase(%s, 2, sale_id => %s::text,"
                               " buyer => 'ann')", [PRINT, OTHER])
        diag = caught.exception.__cause__.__cause__.diag
        self.assertEqual(
            (diag.sqlstate, diag.message_primary, diag.message_detail, diag.table_name,
             diag.column_name),
            ("SK004", "limit per buyer of product 7 exceeded",
             'Buyer "ann" has 1 of product 7 and may have 2, 2 were requested.',
             "shop_product", "per_buyer"))
