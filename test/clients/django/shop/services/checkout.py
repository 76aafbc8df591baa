"""From the cart to the payment. The order's number is the id of its sale, so that
each of these can be repeated: by who clicks twice, and by who got no answer.
"""

from datetime import timedelta

from django.db import connection, transaction

from ..models import OrderLine, Payment, Refund, Sale
from .errors import HoldExpiredError, SaleSettledError
from .extension import cart_answer
from .sqlstates import purchase_errors

HOLD_FOR = timedelta(minutes=15)


def hold(order_id, lines, buyer=None):
    """All lines or none. Repeated, it answers what it did the first time."""
    product_ids, quantities = map(list, zip(*lines))
    with connection.cursor() as cursor, purchase_errors():
        cursor.execute(
            "SELECT product_id, qty, outcome, remaining FROM purchase_try_cart("
            "%s, %s, sale_id => %s::text, hold_for => %s, buyer => %s::text)",
            [product_ids, quantities, order_id, HOLD_FOR, buyer])
        return cart_answer(cursor.fetchall(), buyer)


@transaction.atomic
def confirm(order_id):
    """False if that was done before."""
    if not call("purchase_confirm", order_id):
        return False
    OrderLine.objects.bulk_create(
        OrderLine(product_id=line.product_id, quantity=line.qty - line.released)
        for line in Sale.objects.filter(sale_id=order_id, state="sold"))
    return True


def cancel(order_id):
    """Returns the units that are given back."""
    return call("purchase_release", order_id)


@transaction.atomic
def pay(order_id, payment_id):
    """For the payment provider, who may say it twice or late. The same payment waits
    here for the first time, and finds its answer.
    """
    payment, is_new = Payment.objects.get_or_create(
        pk=payment_id, defaults={"order_id": order_id})
    if is_new:
        try:    # confirm() is a savepoint here: the payment stays
            payment.refund = not confirm(order_id)      # it was paid twice
        except (HoldExpiredError, SaleSettledError):
            payment.refund = True
        payment.save()
    return payment


@transaction.atomic
def refund(order_id, restock=True):
    """All that is left of an order. Returns the units: 0 if that was done before."""
    with connection.cursor() as cursor, purchase_errors():
        cursor.execute("SELECT purchase_return(%s::text, restock => %s)",
                       [order_id, restock])
        units = cursor.fetchone()[0]
    if units > 0:
        Refund.objects.create(order_id=order_id, units=units)
    return units


@transaction.atomic
def refund_part(order_id, refund_id, product_id, quantity, restock=True):
    """Repeated with the refund's id, it answers the same, and does nothing."""
    with connection.cursor() as cursor, purchase_errors(product_id, quantity):
        cursor.execute(
            "SELECT purchase_return(%s::text, %s, %s, %s::text, restock => %s)",
            [order_id, product_id, quantity, refund_id, restock])
        units = cursor.fetchone()[0]
    Refund.objects.get_or_create(pk=refund_id, defaults={
        "order_id": order_id, "product_id": product_id, "units": units})
    return units


def call(function, order_id):
    with connection.cursor() as cursor, purchase_errors():
        cursor.execute(f"SELECT {function}(%s::text)", [order_id])
        return cursor.fetchone()[0]
