"""What was sold comes back, and the money is noted with it: the services alone, and
the admin.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import DatabaseError, connection, transaction
from django.test import TransactionTestCase
from django.urls import reverse

from .. import services
from ..models import Payment, Refund
from ..services.errors import (
    ReturnExceedsSaleError,
    SaleIdConflictError,
    SaleNotFoundError,
)
from .shop import INK, PEN, fill, meanwhile
from .test_checkout import ORDER, OTHER, Refusals, balance
from .test_stale import somebody_waits

REFUND, SECOND = uuid.uuid4(), uuid.uuid4()


def sell(order_id, *lines):
    services.hold(order_id, lines)
    services.confirm(order_id)


def refunds():
    return sorted(Refund.objects.values_list("order_id", "product", "units"), key=str)


class Refunds(Refusals, TransactionTestCase):
    def setUp(self):
        fill()

    def test_the_button_is_pressed_twice(self):
        sell(ORDER, (PEN, 2), (INK, 1))
        self.assertEqual(services.refund(ORDER), 3)
        self.assertEqual(services.refund(ORDER), 0)
        self.assertEqual(refunds(), [(ORDER, None, 3)])
        self.assertEqual(balance(PEN), (100, 0, 0, 100))
        self.assertEqual(balance(INK), (100, 0, 0, 100))

    def while_another_is_under_way(self, first, second):
        def run():
            try:
                return second()
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            with meanwhile(first):
                answer = pool.submit(run)
                while not answer.done() and not somebody_waits():
                    pass
            return answer.result()

    def test_the_second_click_waits_for_the_first(self):
        sell(ORDER, (PEN, 2))

        def press():
            return services.refund(ORDER)

        self.assertEqual(self.while_another_is_under_way(press, press), 0)
        self.assertEqual(refunds(), [(ORDER, None, 2)])
        self.assertEqual(balance(PEN), (100, 0, 0, 100))

    def test_a_part_of_an_order(self):
        sell(ORDER, (PEN, 3), (INK, 1))
        for _ in range(2):
            self.assertEqual(services.refund_part(ORDER, REFUND, PEN, 1), 1)
        self.assertEqual(refunds(), [(ORDER, PEN, 1)])
        self.assertEqual(balance(PEN), (98, 0, 2, 100))
        self.assertEqual(services.refund_part(ORDER, SECOND, PEN, 1), 1)
        self.assertEqual(services.refund(ORDER), 2)
        self.assertEqual(refunds(), [(ORDER, PEN, 1), (ORDER, PEN, 1), (ORDER, None, 2)])
        self.assertEqual(services.refund_part(ORDER, REFUND, PEN, 1), 1)
        self.assertEqual(balance(PEN), (100, 0, 0, 100))
        self.assertEqual(balance(INK), (100, 0, 0, 100))

    def test_the_same_part_waits_for_the_first_time(self):
        sell(ORDER, (PEN, 3))

        def press():
            return services.refund_part(ORDER, REFUND, PEN, 1)

        self.assertEqual(self.while_another_is_under_way(press, press), 1)
        self.assertEqual(refunds(), [(ORDER, PEN, 1)])
        self.assertEqual(balance(PEN), (98, 0, 2, 100))

    # So what was paid back already can be told from the table, also of another product.
    def test_a_refund_sees_those_before_it(self):
        sell(ORDER, (PEN, 3), (INK, 2))

        @transaction.atomic
        def refund_and_look():
            services.refund_part(ORDER, SECOND, INK, 1)
            return refunds()

        seen = self.while_another_is_under_way(
            lambda: services.refund_part(ORDER, REFUND, PEN, 1), refund_and_look)
        self.assertEqual(seen, [(ORDER, PEN, 1), (ORDER, INK, 1)])

    def test_what_is_broken_is_not_sold_again(self):
        sell(ORDER, (PEN, 3))
        for _ in range(2):
            self.assertEqual(
                services.refund_part(ORDER, REFUND, PEN, 1, restock=False), 1)
        self.assertEqual(balance(PEN), (97, 0, 2, 100))
        self.assertEqual(services.refund(ORDER, restock=False), 2)
        self.assertEqual(balance(PEN), (97, 0, 0, 100))
        self.assertEqual(refunds(), [(ORDER, PEN, 1), (ORDER, None, 2)])

    def test_SK101_nothing_was_sold(self):
        self.refused(SaleNotFoundError, "SK101", services.refund, ORDER)
        self.refused(SaleNotFoundError, "SK101",
                     services.refund_part, ORDER, REFUND, PEN, 1)
        self.assertEqual(refunds(), [])

    def test_SK104_what_is_held_is_not_sold(self):
        services.hold(ORDER, [(PEN, 2)])
        self.refused(ReturnExceedsSaleError, "SK104", services.refund, ORDER)
        services.cancel(ORDER)
        self.refused(ReturnExceedsSaleError, "SK104",
                     services.refund_part, ORDER, REFUND, PEN, 1)
        self.assertEqual(refunds(), [])

    def test_SK104_more_than_was_sold(self):
        sell(ORDER, (PEN, 3))
        services.refund_part(ORDER, REFUND, PEN, 2)
        self.refused(ReturnExceedsSaleError, "SK104",
                     services.refund_part, ORDER, SECOND, PEN, 2)
        self.assertEqual(refunds(), [(ORDER, PEN, 2)])
        self.assertEqual(balance(PEN), (99, 0, 1, 100))

    def test_SK201_another_refund(self):
        sell(ORDER, (PEN, 3), (INK, 1))
        sell(OTHER, (PEN, 1))
        services.refund_part(ORDER, REFUND, PEN, 1)
        for args in ((ORDER, REFUND, PEN, 2), (ORDER, REFUND, INK, 1),
                     (OTHER, REFUND, PEN, 1), (ORDER, REFUND, PEN, 1, False),
                     (ORDER, OTHER, PEN, 1)):
            self.refused(SaleIdConflictError, "SK201", services.refund_part, *args)
        self.assertEqual(refunds(), [(ORDER, PEN, 1)])

    # Else the units would be back, and nobody would know whom to pay.
    def test_units_and_money_or_neither(self):
        sell(ORDER, (PEN, 3))
        failure = patch.object(Refund, "save", side_effect=DatabaseError)
        for function, args in ((services.refund, [ORDER]),
                               (services.refund_part, [ORDER, REFUND, PEN, 1])):
            with failure, self.assertRaises(DatabaseError):
                function(*args)
            self.assertEqual(balance(PEN), (97, 0, 3, 100))
        self.assertEqual(services.refund_part(ORDER, REFUND, PEN, 1), 1)
        self.assertEqual(services.refund(ORDER), 2)
        self.assertEqual(refunds(), [(ORDER, PEN, 1), (ORDER, None, 2)])


class RefundsInTheAdmin(TransactionTestCase):
    def setUp(self):
        fill()
        self.clerk = User.objects.create(username="clerk", is_staff=True)
        self.allow("view_payment", "view_refund", "add_refund")
        self.client.force_login(self.clerk)
        for order_id, payment_id in (ORDER, "pay_1"), (OTHER, "pay_2"):
            services.hold(order_id, [(PEN, 2)])
            services.pay(order_id, payment_id)

    def allow(self, *names):
        self.clerk.user_permissions.set(Permission.objects.filter(codename__in=names))

    def press(self, action, *payments):
        response = self.client.post(reverse("admin:shop_payment_changelist"),
                                    {"action": action, "_selected_action": payments})
        return [str(message) for message in get_messages(response.wsgi_request)]

    def test_refunds_orders_once(self):
        self.assertCountEqual(self.press("take_back", "pay_1", "pay_2"), [
            "pay_1: 2 units are back.", "pay_2: 2 units are back."])
        self.assertIn("pay_1: 0 units are back.", self.press("take_back", "pay_1"))
        self.assertEqual(refunds(), [(ORDER, None, 2), (OTHER, None, 2)])
        self.assertEqual(balance(PEN), (100, 0, 0, 100))

    def test_refunds_what_is_broken(self):
        self.assertEqual(self.press("take_back_broken", "pay_1"),
                         ["pay_1: 2 units are back."])
        self.assertEqual(balance(PEN), (96, 0, 2, 100))

    def test_says_why_not_and_refunds_the_others(self):
        late = uuid.uuid4()
        services.hold(late, [(PEN, 1)])
        services.cancel(late)
        services.pay(late, "late")
        Payment.objects.create(pk="lost", order_id=uuid.uuid4())
        self.assertCountEqual(self.press("take_back", "late", "lost", "pay_1"), [
            "late: It is not sold.", "lost: There is no such order.",
            "pay_1: 2 units are back."])

    def test_lets_only_those_refund_who_may(self):
        self.allow("view_payment")
        self.assertEqual(self.press("take_back", "pay_1"), [])
        self.assertEqual(refunds(), [])

    def test_lists_refunds(self):
        services.refund_part(ORDER, REFUND, PEN, 1)
        response = self.client.get(reverse("admin:shop_refund_changelist"))
        self.assertContains(response, REFUND)
        self.assertContains(response, "pen")
