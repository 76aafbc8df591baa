"""The well-known recipe."""

from collections import Counter

from django.db import OperationalError, transaction

from ..models import Product
from .errors import (
    InsufficientQuantityError,
    OutOfStockError,
    ProductBusyError,
    ProductNotFoundError,
    cart_error,
)


def is_busy(error):
    return getattr(error.__cause__, "pgcode", None) == "55P03"


@transaction.atomic
def purchase(product_id, quantity, model=Product):
    try:
        product = model.objects.select_for_update(nowait=True).get(pk=product_id)
    except model.DoesNotExist:
        raise ProductNotFoundError(product_id, quantity)
    except OperationalError as error:
        if is_busy(error):
            raise ProductBusyError(product_id, quantity) from error
        raise
    if product.stock == 0:
        raise OutOfStockError(product_id, quantity, 0)
    if product.stock < quantity:
        raise InsufficientQuantityError(product_id, quantity, product.stock)
    product.stock -= quantity
    product.save(update_fields=["stock"])
    return product.stock


@transaction.atomic
def purchase_cart(lines):
    quantities = Counter()
    for product_id, quantity in lines:
        quantities[product_id] += quantity

    # Locked in the order of the key, lest two carts deadlock.
    try:
        products = {product.pk: product for product in
                    Product.objects.select_for_update(nowait=True)
                    .filter(pk__in=quantities).order_by("pk")}
    except OperationalError as error:
        if is_busy(error):      # of which one, nobody says
            raise ProductBusyError(None, None) from error
        raise

    errors = []
    for product_id, quantity in sorted(quantities.items()):
        product = products.get(product_id)
        if product is None:
            errors.append(ProductNotFoundError(product_id, quantity))
        elif product.stock == 0:
            errors.append(OutOfStockError(product_id, quantity, 0))
        elif product.stock < quantity:
            errors.append(InsufficientQuantityError(product_id, quantity,
                                                    product.stock))
    if errors:
        raise cart_error(errors)

    for product_id, quantity in quantities.items():
        product = products[product_id]
        product.stock -= quantity
        product.save(update_fields=["stock"])
    return {product_id: product.stock for product_id, product in products.items()}
