"""The same with the extension.

The try functions don't raise, so that the caller's transaction goes on after a
refusal and needs no savepoint; what they answer becomes the shop's exceptions.
"""

from django.db import connection

from ..models import Product
from .errors import ERRORS, cart_error

OUTCOMES = {error.code: error for error in ERRORS}


def purchase(product_id, quantity, model=Product):
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, remaining FROM purchase_try(%s, %s, %s)",
                       [product_id, quantity, table])
        outcome, remaining = cursor.fetchone()
    if outcome != "sold":
        raise OUTCOMES[outcome](product_id, quantity, remaining)
    return remaining


def purchase_cart(lines):
    product_ids, quantities = map(list, zip(*lines))
    with connection.cursor() as cursor:
        cursor.execute("SELECT product_id, qty, outcome, remaining"
                       " FROM purchase_try_cart(%s, %s)", [product_ids, quantities])
        return cart_answer(cursor.fetchall())


def cart_answer(rows):
    errors = [OUTCOMES[outcome](product_id, quantity, remaining)
              for product_id, quantity, outcome, remaining in rows
              if outcome in OUTCOMES]
    if errors:
        raise cart_error(errors)
    return {product_id: remaining for product_id, _, _, remaining in rows}
