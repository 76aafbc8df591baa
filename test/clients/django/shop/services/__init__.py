"""What the shop does, without HTTP: testable on its own.

Two implementations sell: services.orm and services.extension.
"""

from importlib import import_module

from django.conf import settings
from django.db import transaction

from ..models import OrderLine
from .checkout import cancel, confirm, hold, pay, refund, refund_part
from .retry import retrying
from .stock import restock, set_stock


__all__ = ["cancel", "confirm", "hold", "order", "pay", "purchase", "purchase_cart",
           "refund", "refund_part", "restock", "retrying", "set_stock"]


def implementation():
    return import_module(settings.SHOP_SERVICE)


def purchase(product_id, quantity, **kwargs):
    return implementation().purchase(product_id, quantity, **kwargs)


def purchase_cart(lines):
    return implementation().purchase_cart(lines)


@transaction.atomic
def order(product_id, quantity):
    purchase(product_id, quantity)
    return OrderLine.objects.create(product_id=product_id, quantity=quantity)
