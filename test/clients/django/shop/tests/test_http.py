"""Through HTTP, with a live server and simultaneous requests."""

import json
import secrets
import uuid
from collections import Counter
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from django.contrib.auth.models import User
from django.test import Client, LiveServerTestCase

from .. import services
from ..models import Hold, OrderLine, Payment, Refund, Sale
from .shop import (
    CHAIR, DESK, FRONT, INK, LAMP, PEN, PRINT, TICKET, Unguarded, at_the_same_time,
    fill, meanwhile, stock,
)
from .test_checkout import balance, lapse
from .test_services import extension, orm


class Browser:
    def setUp(self):
        fill()

    def send(self, method, path, data=None, **headers):
        request = Request(self.live_server_url + path, json.dumps(data).encode(),
                          {"Content-Type": "application/json", **headers},
                          method=method)
        try:
            with urlopen(request) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def post(self, path, data):
        return self.send("POST", path, data)

    def patiently(self, *request, **headers):
        """As a page does: what is busy is sent again."""
        while True:
            status, body = self.send(*request, **headers)
            if not body.get("retryable"):
                return status, body.get("error") or body


class Http(Browser):
    def test_sells_over_http(self):
        self.assertEqual(self.post(f"/products/{PEN}/purchase", {"quantity": 3}),
                         (200, {"product": PEN, "remaining": 97}))

    def test_sells_a_seat_over_http(self):
        self.assertEqual(self.post(f"/seats/{FRONT}/purchase", {"quantity": 1}),
                         (200, {"product": str(FRONT), "remaining": 99}))

    def test_sells_a_cart_over_http(self):
        lines = [{"product": INK, "quantity": 1}, {"product": PEN, "quantity": 2}]
        self.assertEqual(self.post("/cart", lines),
                         (200, {"remaining": {str(PEN): 98, str(INK): 99}}))

    def test_a_cart_over_http_says_which_lines_failed(self):
        lines = [{"product": DESK, "quantity": 3}, {"product": PEN, "quantity": 1},
                 {"product": 99, "quantity": 1}]
        status, body = self.post("/cart", lines)
        self.assertEqual((status, body["error"]), (404, "product_not_found"))
        self.assertEqual([(line["product"], line["error"], line["available"])
                          for line in body["lines"]],
                         [(DESK, "insufficient_quantity", 2),
                          (99, "product_not_found", None)])

    def test_refusals_over_http(self):
        for product, quantity, status, error in (
                (99, 1, 404, "product_not_found"),
                (CHAIR, 1, 409, "out_of_stock"),
                (DESK, 3, 409, "insufficient_quantity")):
            answer, body = self.post(f"/products/{product}/purchase",
                                     {"quantity": quantity})
            self.assertEqual((answer, body["error"], body["retryable"]),
                             (status, error, False))

    def test_the_last_unit_over_http(self):
        buy = f"/products/{LAMP}/purchase", {"quantity": 1}
        with meanwhile(lambda: services.purchase(LAMP, 1)):
            status, body = self.post(*buy)
            self.assertEqual((status, body["error"], body["retryable"]),
                             (503, "busy", True))
        status, body = self.post(*buy)
        self.assertEqual((status, body["error"]), (409, "out_of_stock"))

    def test_twenty_requests_for_ten_units(self):
        def buy():
            while True:
                status, body = self.post("/orders", {"product": TICKET, "quantity": 1})
                if not body.get("retryable"):
                    return status, body.get("error")

        self.assertEqual(Counter(at_the_same_time(20, buy)),
                         {(200, None): 10, (409, "out_of_stock"): 10})
        self.assertEqual(stock(TICKET), 0)
        self.assertEqual(OrderLine.objects.count(), 10)


@orm
class OrmHttp(Unguarded, Http, LiveServerTestCase):
    tap_suffix = " (ORM)"


@extension
class ExtensionHttp(Http, LiveServerTestCase):
    tap_suffix = " (purchase)"


class Checkouts(Browser, LiveServerTestCase):
    def hold(self, order, product, quantity):
        return self.patiently("PUT", f"/checkouts/{order}",
                              [{"product": product, "quantity": quantity}])

    def pay(self, order, payment):
        return self.patiently("POST", "/payments",
                              {"order": str(order), "payment": payment})

    def test_a_checkout_over_http(self):
        order = uuid.uuid4()
        for _ in range(2):
            self.assertEqual(self.hold(order, PEN, 2), (200, {"remaining": {"1": 98}}))
        self.assertEqual(self.hold(order, PEN, 3), (409, "sale_id_conflict"))
        for _ in range(2):
            self.assertEqual(self.pay(order, "pay_1"),
                             (200, {"payment": "pay_1", "refund": False}))
        self.assertEqual(self.send("DELETE", f"/checkouts/{order}")[1]["error"],
                         "sale_settled")
        self.assertEqual(balance(PEN), (98, 0, 2, 100))

    def test_a_cancelled_checkout_over_http(self):
        order = uuid.uuid4()
        url = f"/checkouts/{order}"
        self.assertEqual(self.send("DELETE", url)[0], 404)
        self.assertEqual(self.pay(order, "pay_1"), (404, "sale_not_found"))
        self.hold(order, PEN, 2)
        for released in 2, 0:
            self.assertEqual(self.send("DELETE", url), (200, {"released": released}))
        self.assertEqual(self.pay(order, "pay_1"),
                         (200, {"payment": "pay_1", "refund": True}))
        self.assertEqual(balance(PEN), (100, 0, 0, 100))

    def test_a_payment_that_is_too_late_over_http(self):
        order = uuid.uuid4()
        self.hold(order, LAMP, 1)
        lapse(order)
        services.purchase(LAMP, 1)
        self.assertEqual(self.hold(order, LAMP, 1), (409, "hold_expired"))
        self.assertEqual(self.pay(order, "pay_1"),
                         (200, {"payment": "pay_1", "refund": True}))

    def test_twenty_checkouts_for_ten_units(self):
        def check_out():
            order = uuid.uuid4()
            held = self.hold(order, TICKET, 1)
            if held[0] != 200:
                return held
            return self.pay(order, f"pay_{order}")[1]["refund"]

        self.assertEqual(Counter(map(str, at_the_same_time(20, check_out))),
                         {"False": 10, "(409, 'out_of_stock')": 10})
        self.assertEqual(balance(TICKET), (0, 0, 10, 10))
        self.assertEqual(OrderLine.objects.count(), 10)

    def test_every_request_is_sent_three_times(self):
        orders = [uuid.uuid4() for _ in range(8)] * 3
        again = iter(orders)
        held = at_the_same_time(24, lambda: self.hold(next(again), TICKET, 2))
        self.assertEqual({status for status, _ in held}, {200, 409})
        self.assertEqual(balance(TICKET), (0, 10, 0, 10))
        winners = [order for order in orders if Sale.objects.filter(sale_id=order)]
        self.assertEqual(len(winners), 15)
        self.assertEqual(Counter(status for status, _ in held), {200: 15, 409: 9})

        again = iter(winners)

        def pay():
            order = next(again)
            return self.pay(order, f"pay_{order}")[1]["refund"]

        self.assertEqual(at_the_same_time(15, pay), [False] * 15)
        self.assertEqual(balance(TICKET), (0, 0, 10, 10))
        self.assertEqual((OrderLine.objects.count(), Payment.objects.count()), (5, 5))

    def test_two_payments_at_the_same_time(self):
        order = uuid.uuid4()
        self.hold(order, PEN, 1)
        payments = iter(range(10))

        def pay():
            return self.pay(order, f"pay_{next(payments)}")[1]["refund"]

        self.assertEqual(Counter(at_the_same_time(10, pay)), {False: 1, True: 9})
        self.assertEqual(balance(PEN), (99, 0, 1, 100))
        self.assertEqual(OrderLine.objects.count(), 1)

    # What is paid is paid for good; what is cancelled is paid back.
    def test_paid_and_cancelled_at_the_same_time(self):
        for number in range(5):
            order = uuid.uuid4()
            self.hold(order, PEN, 1)
            requests = iter([lambda: self.pay(order, f"pay_{order}"),
                             lambda: self.send("DELETE", f"/checkouts/{order}")])
            at_the_same_time(2, lambda: next(requests)())
            refund = Payment.objects.get(order_id=order).refund
            state = Sale.objects.get(sale_id=order).state
            self.assertIn((refund, state), [(False, "sold"), (True, "released")])
        self.assertEqual(balance(PEN)[1::2], (0, 100))

    # Each lapses at once, so that buyers take from buyers, and some pay too late.
    def test_holds_that_lapse_while_others_buy(self):
        def check_out():
            order = uuid.uuid4()
            if self.hold(order, TICKET, 3)[0] != 200:
                return "sold out"
            lapse(order)
            self.hold(uuid.uuid4(), TICKET, 3)      # by one who never pays
            return "refund" if self.pay(order, f"pay_{order}")[1]["refund"] else "sold"

        answers = Counter(at_the_same_time(12, check_out))
        sold = balance(TICKET)[2]
        self.assertEqual(balance(TICKET)[3], 10)
        self.assertEqual(answers["sold"], sold // 3)
        self.assertEqual(OrderLine.objects.count(), sold // 3)
        self.assertEqual(Payment.objects.filter(refund=True).count(), answers["refund"])
        self.assertFalse(Hold.objects.filter(
            sale_id__in=Sale.objects.exclude(state="held").values("sale_id")).exists())


class RefundsOverHttp(Browser, LiveServerTestCase):
    def setUp(self):
        super().setUp()
        self.order = uuid.uuid4()
        services.hold(self.order, [(PEN, 3)])
        services.pay(self.order, "pay_1")

    def refund(self, **data):
        return self.post(f"/checkouts/{self.order}/refund", data)

    def refund_part(self, refund, quantity=1, **data):
        url = f"/checkouts/{self.order}/refunds/{refund}"
        status, body = self.send("PUT", url,
                                 {"product": PEN, "quantity": quantity, **data})
        return status, body.get("error") or body["returned"]

    def refunded(self, *units):
        self.assertEqual(sorted(Refund.objects.values_list("units", flat=True)),
                         sorted(units))

    def test_a_refund_over_http(self):
        for units in 3, 0:
            self.assertEqual(self.refund(), (200, {"returned": units}))
        self.refunded(3)
        self.assertEqual(balance(PEN), (100, 0, 0, 100))

    def test_parts_of_an_order_over_http(self):
        first, second = uuid.uuid4(), uuid.uuid4()
        for _ in range(2):
            self.assertEqual(self.refund_part(first), (200, 1))
        self.assertEqual(self.refund_part(first, 2), (409, "sale_id_conflict"))
        self.assertEqual(self.refund_part(second, 3), (409, "return_exceeds_sale"))
        self.assertEqual(self.refund_part(second, 1, broken=True), (200, 1))
        self.assertEqual(self.refund(broken=True), (200, {"returned": 1}))
        self.refunded(1, 1, 1)
        self.assertEqual(balance(PEN), (98, 0, 0, 100))

    def test_no_refund_over_http(self):
        self.order = uuid.uuid4()
        self.assertEqual(self.refund()[1]["error"], "sale_not_found")
        self.assertEqual(self.refund_part(uuid.uuid4()), (404, "sale_not_found"))
        services.hold(self.order, [(PEN, 3)])
        status, body = self.refund()
        self.assertEqual((status, body["error"], body["retryable"]),
                         (409, "return_exceeds_sale", False))
        self.refunded()

    def test_the_button_is_pressed_ten_times_at_once(self):
        answers = at_the_same_time(10, lambda: self.refund()[1]["returned"])
        self.assertEqual(Counter(answers), {3: 1, 0: 9})
        self.refunded(3)
        self.assertEqual(balance(PEN), (100, 0, 0, 100))

    def test_the_same_part_ten_times_at_once(self):
        refund = uuid.uuid4()
        answers = at_the_same_time(10, lambda: self.refund_part(refund))
        self.assertEqual(answers, [(200, 1)] * 10)
        self.refunded(1)
        self.assertEqual(balance(PEN), (98, 0, 2, 100))

    def test_ten_parts_of_three_units_at_once(self):
        answers = at_the_same_time(10, lambda: self.refund_part(uuid.uuid4()))
        self.assertEqual(Counter(answers),
                         {(200, 1): 3, (409, "return_exceeds_sale"): 7})
        self.refunded(1, 1, 1)
        self.assertEqual(balance(PEN), (100, 0, 0, 100))

    # Whoever comes first: three come back, and as many are paid back.
    def test_a_part_and_the_rest_at_once(self):
        requests = iter([lambda: self.refund_part(uuid.uuid4()), self.refund] * 3)
        at_the_same_time(6, lambda: next(requests)())
        self.assertEqual(sum(Refund.objects.values_list("units", flat=True)), 3)
        self.assertEqual(balance(PEN), (100, 0, 0, 100))


def log_in(name):
    """What the browser sends from then on."""
    client = Client()
    client.force_login(User.objects.create(username=name))
    token = secrets.token_hex(16)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value};"
                      f" csrftoken={token}", "X-CSRFToken": token}


class LimitsOverHttp(Browser, LiveServerTestCase):
    def setUp(self):
        super().setUp()
        self.ann, self.bob = log_in("ann"), log_in("bob")

    def hold(self, buyer, quantity, order=None):
        return self.patiently("PUT", f"/checkouts/{order or uuid.uuid4()}",
                              [{"product": PRINT, "quantity": quantity}], **buyer)

    def test_one_too_many_over_http(self):
        self.assertEqual(self.hold(self.ann, 2), (200, {"remaining": {"7": 8}}))
        status, body = self.send("PUT", f"/checkouts/{uuid.uuid4()}",
                                 [{"product": PRINT, "quantity": 1}], **self.ann)
        line = {"error": "buyer_limit_exceeded", "product": PRINT, "requested": 1,
                "available": 8, "retryable": False, "has": 2, "may_have": 2}
        self.assertEqual((status, body), (409, {**line, "lines": [line]}))
        self.assertEqual(balance(PRINT), (8, 2, 0, 10))
        self.assertEqual(self.hold(self.bob, 2), (200, {"remaining": {"7": 6}}))

    def test_a_limit_after_a_refund_over_http(self):
        order = uuid.uuid4()
        self.hold(self.ann, 2, order)
        self.post("/payments", {"order": str(order), "payment": "pay_1"})
        self.assertEqual(self.hold(self.ann, 1), (409, "buyer_limit_exceeded"))
        self.send("PUT", f"/checkouts/{order}/refunds/{uuid.uuid4()}",
                  {"product": PRINT, "quantity": 1})
        self.assertEqual(self.hold(self.ann, 1), (200, {"remaining": {"7": 8}}))
        self.assertEqual(self.hold(self.ann, 1), (409, "buyer_limit_exceeded"))
        self.assertEqual(balance(PRINT), (8, 1, 1, 10))

    def test_who_has_not_logged_in_gets_none(self):
        for method, path, data in (
                ("PUT", f"/checkouts/{uuid.uuid4()}", [{"product": PRINT, "quantity": 1}]),
                ("POST", f"/products/{PRINT}/purchase", {"quantity": 1}),
                ("POST", "/cart", [{"product": PRINT, "quantity": 1}]),
                ("POST", "/orders", {"product": PRINT, "quantity": 1})):
            status, body = self.send(method, path, data)
            self.assertEqual((status, body["error"], body["retryable"]),
                             (403, "buyer_required", False))
        self.assertEqual(stock(PRINT), 10)

    def test_two_windows_at_the_same_time(self):
        for number in range(1, 6):
            buyer = log_in(f"buyer {number}")
            answers = at_the_same_time(2, lambda: self.hold(buyer, 2))
            self.assertCountEqual(answers, [
                (200, {"remaining": {"7": 10 - 2 * number}}),
                (409, "buyer_limit_exceeded" if number < 5 else "out_of_stock")])

    def test_ten_windows_at_the_same_time(self):
        buyers = iter([self.ann, self.bob] * 10)
        answers = at_the_same_time(20, lambda: self.hold(next(buyers), 1)[0])
        self.assertEqual(Counter(answers), {200: 4, 409: 16})
        self.assertEqual(balance(PRINT), (6, 4, 0, 10))
        for buyer in User.objects.all():
            self.assertEqual(Hold.objects.filter(buyer=buyer.pk).count(), 2)
