"""Units that are held until they are paid, the services alone."""

import uuid
from datetime import timedelta
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import TransactionTestCase
from django.urls import reverse

from .. import services
from ..admin import HoldAdmin
from ..models import Hold, OrderLine, Payment, Product, Sale
from ..services.errors import (
    HoldExpiredError,
    OutOfStockError,
    ProductBusyError,
    SaleIdConflictError,
    SaleNotFoundError,
    SaleSettledError,
)
from .shop import CHAIR, DESK, INK, LAMP, PEN, fill, meanwhile, stock

ORDER = uuid.UUID("0de70000-0000-4000-8000-000000000001")
OTHER = uuid.UUID("0de70000-0000-4000-8000-000000000002")


def lapse(order_id):
    """Its time is over: by the table, as nobody wants to wait for it."""
    Hold.objects.filter(sale_id=order_id).update(expires_at="2020-01-01T00:00Z")


def balance(product_id):
    """What is left, held, sold, and their sum with what came back broken: never
    another than there was.
    """
    held = sum(hold.qty for hold in Hold.objects.filter(product=product_id))
    sales = Sale.objects.filter(product=product_id, state="sold")
    sold = sum(sale.qty - sale.released - sale.returned for sale in sales)
    broken = sum(sale.discarded for sale in sales)
    left = stock(product_id)
    return left, held, sold, left + held + sold + broken


def order_lines():
    return list(OrderLine.objects.order_by("product")
                .values_list("product", "quantity"))


class Refusals:
    def refused(self, error, sqlstate, function, *args):
        with self.assertRaises(error) as caught:
            function(*args)
        self.assertFalse(caught.exception.retryable)
        cause = caught.exception.__cause__
        self.assertIs(type(cause), DatabaseError)
        self.assertEqual(cause.__cause__.diag.sqlstate, sqlstate)
        self.assertNotIn(str(ORDER), str(caught.exception))


class Checkout(Refusals, TransactionTestCase):
    def setUp(self):
        fill()

    def take(self, order_id, product_id, quantity):
        """Somebody else buys what is held for this order."""
        lapse(order_id)
        services.purchase(product_id, quantity)

    def test_holds_a_cart(self):
        lines = [(INK, 1), (PEN, 2), (INK, 2)]
        self.assertEqual(services.hold(ORDER, lines, buyer="ann"), {PEN: 98, INK: 97})
        self.assertEqual(balance(PEN), (98, 2, 0, 100))
        self.assertEqual(balance(INK), (97, 3, 0, 100))
        self.assertEqual(
            list(Sale.objects.order_by("line").values_list(
                "sale_id", "line", "product__name", "qty", "state", "hold_for", "buyer")),
            [(str(ORDER), 1, "pen", 2, "held", timedelta(minutes=15), "ann"),
             (str(ORDER), 2, "ink", 3, "held", timedelta(minutes=15), "ann")])

    def test_a_repeated_hold_answers_what_it_did(self):
        for _ in range(2):
            self.assertEqual(services.hold(ORDER, [(PEN, 2)]), {PEN: 98})
        services.purchase(PEN, 1)
        self.assertEqual(services.hold(ORDER, [(PEN, 2)]), {PEN: 98})
        services.confirm(ORDER)
        self.assertEqual(services.hold(ORDER, [(PEN, 2)]), {PEN: 98})
        self.assertEqual(stock(PEN), 97)

    def test_holds_nothing_if_one_line_fails(self):
        with self.assertRaises(OutOfStockError) as caught:
            services.hold(ORDER, [(PEN, 1), (CHAIR, 1)])
        self.assertEqual([line.product_id for line in caught.exception.lines], [CHAIR])
        self.assertEqual((stock(PEN), Sale.objects.count()), (100, 0))
        services.hold(ORDER, [(PEN, 1)])    # its number is free

    def test_SK201_another_cart(self):
        services.hold(ORDER, [(PEN, 2)])
        for lines in [(PEN, 3)], [(INK, 2)], [(PEN, 2), (INK, 1)]:
            self.refused(SaleIdConflictError, "SK201", services.hold, ORDER, lines)
        self.assertEqual(balance(PEN), (98, 2, 0, 100))

    def test_a_second_click_is_busy_while_the_first_is_under_way(self):
        with meanwhile(lambda: services.hold(ORDER, [(PEN, 2)])):
            with self.assertRaises(ProductBusyError) as caught:
                services.hold(ORDER, [(PEN, 2)])
        self.assertTrue(caught.exception.retryable)
        self.assertEqual(services.hold(ORDER, [(PEN, 2)]), {PEN: 98})

    def test_confirms(self):
        services.hold(ORDER, [(PEN, 2), (INK, 1)])
        self.assertIs(services.confirm(ORDER), True)
        self.assertIs(services.confirm(ORDER), False)
        self.assertEqual(order_lines(), [(PEN, 2), (INK, 1)])
        self.assertEqual(balance(PEN), (98, 0, 2, 100))

    def test_orders_what_is_left_of_a_hold(self):
        services.hold(ORDER, [(PEN, 3), (INK, 1), (DESK, 1)])
        with connection.cursor() as cursor:
            for product_id, quantity in (PEN, 1), (DESK, 1):
                cursor.execute("SELECT purchase_release(%s::text, %s, %s)",
                               [ORDER, product_id, quantity])
        services.confirm(ORDER)
        self.assertEqual(order_lines(), [(PEN, 2), (INK, 1)])
        self.assertEqual(balance(PEN), (98, 0, 2, 100))

    def test_SK101_no_such_order(self):
        for function in services.confirm, services.cancel:
            self.refused(SaleNotFoundError, "SK101", function, ORDER)
        self.refused(SaleNotFoundError, "SK101", services.pay, ORDER, "pay_1")
        self.assertFalse(Payment.objects.exists())

    def test_cancels(self):
        services.hold(ORDER, [(PEN, 2), (INK, 1)])
        self.assertEqual(services.cancel(ORDER), 3)
        self.assertEqual(services.cancel(ORDER), 0)
        self.assertEqual(balance(PEN), (100, 0, 0, 100))
        self.refused(SaleSettledError, "SK103", services.confirm, ORDER)
        self.refused(SaleSettledError, "SK103", services.hold, ORDER,
                     [(PEN, 2), (INK, 1)])

    def test_SK103_what_is_paid_is_not_cancelled(self):
        services.hold(ORDER, [(PEN, 2)])
        services.confirm(ORDER)
        self.refused(SaleSettledError, "SK103", services.cancel, ORDER)
        self.assertEqual(balance(PEN), (98, 0, 2, 100))

    def test_SK102_the_units_were_taken(self):
        services.hold(ORDER, [(LAMP, 1)])
        self.take(ORDER, LAMP, 1)
        self.refused(HoldExpiredError, "SK102", services.confirm, ORDER)
        self.refused(HoldExpiredError, "SK102", services.hold, ORDER, [(LAMP, 1)])
        self.assertFalse(OrderLine.objects.exists())

    def pays(self, payment_id, refund, order_id=ORDER):
        payment = services.pay(order_id, payment_id)
        self.assertIs(payment.refund, refund)
        self.assertEqual(payment, Payment.objects.get(pk=payment_id, refund=refund))

    def test_a_payment_that_is_told_twice(self):
        services.hold(ORDER, [(PEN, 2)])
        self.pays("pay_1", False)
        self.pays("pay_1", False)
        self.assertEqual(order_lines(), [(PEN, 2)])

    def test_a_second_payment_is_paid_back(self):
        services.hold(ORDER, [(PEN, 2)])
        self.pays("pay_1", False)
        self.pays("pay_2", True)
        self.pays("pay_1", False)
        self.assertEqual(order_lines(), [(PEN, 2)])

    def test_a_payment_that_is_late_and_in_time(self):
        services.hold(ORDER, [(LAMP, 1)])
        lapse(ORDER)
        self.pays("pay_1", False)
        self.assertEqual(balance(LAMP), (0, 0, 1, 1))

    def test_a_payment_that_is_too_late_is_paid_back(self):
        services.hold(ORDER, [(LAMP, 1)])
        self.take(ORDER, LAMP, 1)
        self.pays("pay_1", True)
        self.assertFalse(OrderLine.objects.exists())

    # Else the buyer would have his money and the lamp.
    def test_a_payment_that_was_paid_back_buys_nothing_later(self):
        services.hold(ORDER, [(LAMP, 1)])
        self.take(ORDER, LAMP, 1)
        self.pays("pay_1", True)
        services.restock(LAMP, 1)
        self.pays("pay_1", True)
        self.assertEqual((stock(LAMP), OrderLine.objects.count()), (1, 0))

    def test_a_payment_of_what_was_cancelled_is_paid_back(self):
        services.hold(ORDER, [(LAMP, 1)])
        services.cancel(ORDER)
        self.pays("pay_1", True)
        self.assertEqual(balance(LAMP), (1, 0, 0, 1))

    def test_a_refund_keeps_the_transaction_that_it_is_in(self):
        services.hold(ORDER, [(LAMP, 1)])
        services.hold(OTHER, [(DESK, 1)])
        self.take(ORDER, LAMP, 1)
        self.pays("pay_1", True)
        self.pays("pay_2", False, OTHER)
        self.assertEqual(order_lines(), [(DESK, 1)])


class Holds(TransactionTestCase):
    """The admin's list of them."""

    def setUp(self):
        fill()
        self.client.force_login(User.objects.create(
            username="clerk", is_staff=True, is_superuser=True))
        services.hold(ORDER, [(PEN, 2), (INK, 1)], buyer="ann")
        services.hold(OTHER, [(DESK, 1)], buyer="bob")

    def listed(self, **query):
        response = self.client.get(reverse("admin:shop_hold_changelist"), query)
        self.assertEqual(response.status_code, 200)
        self.assertContains(response, "Select hold to view")
        return [(str(hold.product), hold.qty, hold.buyer)
                for hold in response.context["cl"].result_list]

    def test_lists_what_is_held(self):
        self.assertCountEqual(self.listed(), [("pen", 2, "ann"), ("ink", 1, "ann"),
                                              ("desk", 1, "bob")])
        self.assertEqual(self.listed(q="bob"), [("desk", 1, "bob")])

    def test_lists_no_more_what_is_lapsed_or_paid(self):
        lapse(OTHER)
        self.assertCountEqual(self.listed(), [("pen", 2, "ann"), ("ink", 1, "ann")])
        services.confirm(ORDER)
        self.assertEqual(self.listed(), [])

    # The lines of a sale have the same sale_id, and each is an object of its own.
    def test_shows_each_line_and_lets_nobody_change_it(self):
        for hold in Hold.objects.all():
            url = reverse("admin:shop_hold_change", args=[hold.pk])
            response = self.client.get(url)
            self.assertContains(response, hold.product.name)
            self.assertNotContains(response, "_save")
            self.assertEqual(self.client.post(url, {"qty": 50}).status_code, 403)
            url = reverse("admin:shop_hold_delete", args=[hold.pk])
            self.assertEqual(self.client.post(url, {"post": "yes"}).status_code, 403)
        url = reverse("admin:shop_hold_add")
        self.assertEqual(self.client.post(url, {"qty": 50}).status_code, 403)
        self.assertEqual(sum(hold.qty for hold in Hold.objects.all()), 4)

    def test_asks_once_for_all_products(self):
        with self.assertNumQueries(1):
            holds = list(HoldAdmin(Hold, None).get_queryset(None)
                         .select_related(*HoldAdmin.list_select_related))
            self.assertEqual(len({hold.product.name for hold in holds}), 3)


class SalesMigration(TransactionTestCase):
    def setUp(self):
        fill()

    def migrate(self, name):
        call_command("migrate", "shop", name, verbosity=0, stdout=StringIO())

    def test_forgets_the_sales_and_keeps_them_anew(self):
        services.hold(ORDER, [(PEN, 1)])
        services.confirm(ORDER)
        self.migrate("0003")
        try:
            with self.assertRaises(OutOfStockError):
                services.purchase(CHAIR, 1)
            with self.assertRaisesMessage(DatabaseError, "keeps no sales"):
                services.hold(ORDER, [(PEN, 1)])
            with self.assertRaisesMessage(DatabaseError, "is guarded"):
                Product.objects.update(stock=0)
        finally:
            self.migrate("0007")
        services.hold(ORDER, [(PEN, 1)])
        self.assertEqual(balance(PEN), (98, 1, 0, 99))
