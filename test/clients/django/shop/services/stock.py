"""What the shop does with its stock beside selling it. The guard lets nothing
else change the stock of a product that there is.
"""

from django.db import connection

from ..models import Product
from .sqlstates import purchase_errors


def restock(product_id, quantity, model=Product):
    """Adds what was delivered. Returns what there is now."""
    return call("purchase_restock", product_id, quantity, model)


def set_stock(product_id, counted, model=Product):
    """Sets what was counted. Returns what there was before."""
    return call("purchase_set_stock", product_id, counted, model)


def call(function, product_id, quantity, model):
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor, purchase_errors(product_id, quantity):
        cursor.execute(f"SELECT {function}(%s, %s, %s)", [product_id, quantity, table])
        return cursor.fetchone()[0]
