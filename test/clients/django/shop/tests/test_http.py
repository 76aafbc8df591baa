"""Through HTTP, with a live server and simultaneous requests."""

import json
from collections import Counter
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from django.test import LiveServerTestCase

from .. import services
from ..models import OrderLine
from .shop import (
    CHAIR, DESK, FRONT, INK, LAMP, PEN, TICKET, Unguarded, at_the_same_time, fill,
    meanwhile, stock,
)
from .test_services import extension, orm


class Http:
    def setUp(self):
        fill()

    def post(self, path, data):
        request = Request(self.live_server_url + path, json.dumps(data).encode(),
                          {"Content-Type": "application/json"})
        try:
            with urlopen(request) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

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
