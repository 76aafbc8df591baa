from rest_framework import serializers, status, views
from rest_framework.response import Response

from . import services
from .models import Product, Seat
from .services import errors

STATUS = {
    errors.ProductNotFoundError: status.HTTP_404_NOT_FOUND,
    errors.OutOfStockError: status.HTTP_409_CONFLICT,
    errors.InsufficientQuantityError: status.HTTP_409_CONFLICT,
    errors.BuyerLimitExceededError: status.HTTP_409_CONFLICT,
    errors.BuyerRequiredError: status.HTTP_403_FORBIDDEN,
    errors.StockGuardedError: status.HTTP_409_CONFLICT,
    errors.SaleNotFoundError: status.HTTP_404_NOT_FOUND,
    errors.HoldExpiredError: status.HTTP_409_CONFLICT,
    errors.SaleSettledError: status.HTTP_409_CONFLICT,
    errors.ReturnExceedsSaleError: status.HTTP_409_CONFLICT,
    errors.SaleIdConflictError: status.HTTP_409_CONFLICT,
    errors.ProductBusyError: status.HTTP_503_SERVICE_UNAVAILABLE,
    errors.ConflictError: status.HTTP_503_SERVICE_UNAVAILABLE,
}


class LineSerializer(serializers.Serializer):
    quantity = serializers.IntegerField(min_value=1, max_value=10_000)


class CartLineSerializer(LineSerializer):
    product = serializers.IntegerField()


class PaymentSerializer(serializers.Serializer):
    payment = serializers.CharField(max_length=255)
    order = serializers.UUIDField()


class RefundSerializer(serializers.Serializer):
    broken = serializers.BooleanField(default=False)


class PartRefundSerializer(CartLineSerializer, RefundSerializer):
    pass


def valid(serializer):
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


class ProductView(views.APIView):
    model = Product

    def post(self, request, pk):
        line = valid(LineSerializer(data=request.data))
        remaining = services.purchase(pk, line["quantity"], model=self.model)
        return Response({"product": pk, "remaining": remaining})


class SeatView(ProductView):
    model = Seat


class OrderView(views.APIView):
    def post(self, request):
        line = valid(CartLineSerializer(data=request.data))
        order_line = services.retrying(
            lambda: services.order(line["product"], line["quantity"]))
        return Response({"order_line": order_line.pk})


def cart(request):
    lines = valid(CartLineSerializer(data=request.data, many=True, allow_empty=False))
    return [(line["product"], line["quantity"]) for line in lines]


class CartView(views.APIView):
    def post(self, request):
        return Response({"remaining": services.purchase_cart(cart(request))})


class CheckoutView(views.APIView):
    """The page chooses a new order_id when it is opened, and sends it each time."""

    def put(self, request, order_id):
        lines = cart(request)
        buyer = str(request.user.pk) if request.user else None
        remaining = services.retrying(lambda: services.hold(order_id, lines, buyer))
        return Response({"remaining": remaining})

    def delete(self, request, order_id):
        return Response({"released": services.cancel(order_id)})


class PaymentView(views.APIView):
    """The provider's webhook: it is repeated until the answer is 200."""

    def post(self, request):
        told = valid(PaymentSerializer(data=request.data))
        payment = services.retrying(
            lambda: services.pay(told["order"], told["payment"]))
        return Response({"payment": payment.pk, "refund": payment.refund})


class RefundView(views.APIView):
    """A button, which may be pressed twice: all that is left of an order."""

    def post(self, request, order_id):
        broken = valid(RefundSerializer(data=request.data))["broken"]
        units = services.retrying(
            lambda: services.refund(order_id, restock=not broken))
        return Response({"returned": units})


class PartRefundView(views.APIView):
    """The page chooses a new refund_id when it is opened, and sends it each time."""

    def put(self, request, order_id, refund_id):
        part = valid(PartRefundSerializer(data=request.data))
        units = services.retrying(lambda: services.refund_part(
            order_id, refund_id, part["product"], part["quantity"],
            restock=not part["broken"]))
        return Response({"returned": units})


def exception_handler(error, context):
    if not isinstance(error, errors.PurchaseError):
        return views.exception_handler(error, context)

    response = Response(describe(error), STATUS[type(error)])
    if error.lines:
        response.data["lines"] = [describe(line) for line in error.lines]
    if error.retryable:
        response["Retry-After"] = "1"
    return response


def describe(error):
    described = {
        "error": error.code,
        "product": error.product_id,
        "requested": error.requested,
        "available": error.available,
        "retryable": error.retryable,
    }
    if isinstance(error, errors.BuyerLimitExceededError):
        described.update(has=error.has, may_have=error.may_have)
    return described
