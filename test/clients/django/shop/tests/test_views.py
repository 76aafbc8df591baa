"""Views in isolation: no database, no server, the service is a mock."""

from unittest.mock import patch

from django.test import SimpleTestCase
from rest_framework.test import APIRequestFactory

from .. import views
from ..services.errors import (
    ConflictError,
    InsufficientQuantityError,
    OutOfStockError,
    ProductBusyError,
    ProductNotFoundError,
    StockGuardedError,
)


class Views(SimpleTestCase):
    def post(self, data, **outcome):
        request = APIRequestFactory().post("/products/4/purchase", data, format="json")
        with patch.object(views.services, "purchase", **outcome) as self.service:
            return views.ProductView.as_view()(request, pk=4)

    def answers(self, error, status):
        response = self.post({"quantity": 3}, side_effect=error)
        self.assertEqual(response.status_code, status)
        return response

    def test_answers_200(self):
        response = self.post({"quantity": 3}, return_value=7)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.data, {"product": 4, "remaining": 7})
        self.service.assert_called_once_with(4, 3, model=views.Product)

    def test_answers_400_to_a_bad_quantity(self):
        for quantity in (0, -1, "x", None, 10**20):
            response = self.post({"quantity": quantity}, return_value=7)
            self.assertEqual(response.status_code, 400)
            self.service.assert_not_called()

    def test_answers_404(self):
        response = self.answers(ProductNotFoundError(4, 3), 404)
        self.assertEqual(response.data["error"], "product_not_found")

    def test_answers_409_out_of_stock(self):
        response = self.answers(OutOfStockError(4, 3, 0), 409)
        self.assertEqual(response.data["error"], "out_of_stock")

    def test_answers_409_insufficient_quantity(self):
        response = self.answers(InsufficientQuantityError(4, 3, 2), 409)
        self.assertEqual(response.data, {
            "error": "insufficient_quantity", "product": 4, "requested": 3,
            "available": 2, "retryable": False})

    def test_answers_409_stock_guarded(self):
        response = self.answers(StockGuardedError(4, 3), 409)
        self.assertEqual(response.data["error"], "stock_guarded")
        self.assertFalse(response.data["retryable"])

    def test_answers_503_busy(self):
        response = self.answers(ProductBusyError(4, 3), 503)
        self.assertTrue(response.data["retryable"])
        self.assertEqual(response["Retry-After"], "1")

    def test_answers_503_to_a_conflict(self):
        response = self.answers(ConflictError(None, None), 503)
        self.assertEqual(response.data, {
            "error": "conflict", "product": None, "requested": None,
            "available": None, "retryable": True})

    def test_hides_no_other_error(self):
        with self.assertRaises(ZeroDivisionError):
            self.post({"quantity": 3}, side_effect=ZeroDivisionError)
