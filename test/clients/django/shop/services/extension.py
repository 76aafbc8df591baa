"""The same with the extension.

The try functions don't raise, so that the caller's transaction goes on after a
refusal and needs no savepoint; what they answer becomes the shop's exceptions.
"""

from django.db import connection
from django.db.models import F, Sum
from django.db.models.functions import Now

from ..models import Hold, Product, Sale
from .errors import ERRORS, BuyerLimitExceededError, cart_error
from .sqlstates import purchase_errors

OUTCOMES = {error.code: error for error in ERRORS}


def purchase(product_id, quantity, model=Product):
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor, purchase_errors(product_id, quantity):
        cursor.execute("SELECT outcome, remaining FROM purchase_try(%s, %s, %s)",
                       [product_id, quantity, table])
        outcome, remaining = cursor.fetchone()
    if outcome != "sold":
        raise OUTCOMES[outcome](product_id, quantity, remaining)
    return remaining


def purchase_cart(lines):
    product_ids, quantities = map(list, zip(*lines))
    with connection.cursor() as cursor, purchase_errors():
        cursor.execute("SELECT product_id, qty, outcome, remaining"
                       " FROM purchase_try_cart(%s, %s)", [product_ids, quantities])
        return cart_answer(cursor.fetchall())


def cart_answer(rows, buyer=None):
    errors = [OUTCOMES[outcome](product_id, quantity, remaining)
              for product_id, quantity, outcome, remaining in rows
              if outcome in OUTCOMES]
    for error in errors:
        if isinstance(error, BuyerLimitExceededError):
            error.has = units_of(buyer, error.product_id)
            error.may_have = Product.objects.get(pk=error.product_id).per_buyer
    if errors:
        raise cart_error(errors)
    return {product_id: remaining for product_id, _, _, remaining in rows}


def units_of(buyer, product_id):
    """What the limit counts, but for holds that have lapsed: he can have these anew."""
    his = {"buyer": buyer, "product": product_id}
    held = Hold.objects.filter(**his, expires_at__gt=Now()).aggregate(units=Sum("qty"))
    sold = Sale.objects.filter(**his, state="sold").aggregate(
        units=Sum(F("qty") - F("released") - F("returned")))
    return (held["units"] or 0) + (sold["units"] or 0)
