"""For calls that raise, purchase() and purchase_cart(): what their SQLSTATEs
mean. Django has no exception of its own for them: they are a DatabaseError, or
for "busy" an OperationalError, and psycopg2's is its cause.

    with purchase_errors(product_id, quantity):
        cursor.execute("SELECT purchase(%s, %s)", [product_id, quantity])
"""

from contextlib import contextmanager

from django.db import DatabaseError

from .errors import (
    BuyerLimitExceededError,
    BuyerRequiredError,
    ConflictError,
    HoldExpiredError,
    InsufficientQuantityError,
    OutOfStockError,
    ProductBusyError,
    ProductNotFoundError,
    ReturnExceedsSaleError,
    SaleIdConflictError,
    SaleNotFoundError,
    SaleSettledError,
    StockGuardedError,
)

SQLSTATES = {
    "SK001": ProductNotFoundError,
    "SK002": OutOfStockError,
    "SK003": InsufficientQuantityError,
    "SK004": BuyerLimitExceededError,
    "SK005": StockGuardedError,
    "SK101": SaleNotFoundError,
    "SK102": HoldExpiredError,
    "SK103": SaleSettledError,
    "SK104": ReturnExceedsSaleError,
    "SK201": SaleIdConflictError,
    "22004": BuyerRequiredError,    # of what is sent, nothing else can be null
    "55P03": ProductBusyError,
    "40001": ConflictError,     # serialization failure
    "40P01": ConflictError,     # deadlock
}


@contextmanager
def purchase_errors(product_id=None, quantity=None):
    try:
        yield
    except DatabaseError as error:
        sqlstate = getattr(error.__cause__, "pgcode", None)
        if sqlstate not in SQLSTATES:
            raise
        raise SQLSTATES[sqlstate](product_id, quantity) from error
