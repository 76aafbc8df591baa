"""Sell with psycopg (3)."""

import random
import time
from contextlib import contextmanager

import psycopg


class PurchaseError(Exception):
    """Its text is for the buyer. The server's, in __cause__, names tables."""
    retryable = False

    def __init__(self):
        super().__init__(self.text)


class ProductNotFoundError(PurchaseError):
    text = "There is no such product."


class OutOfStockError(PurchaseError):
    text = "It is sold out."


class InsufficientQuantityError(PurchaseError):
    text = "There are not so many left."


class BuyerLimitExceededError(PurchaseError):
    text = "You may not have so many."


class SaleNotFoundError(PurchaseError):
    text = "There is no such order."


class HoldExpiredError(PurchaseError):
    text = "Your time was over, and others have bought it."


class SaleSettledError(PurchaseError):
    text = "It is too late for that."


class ReturnExceedsSaleError(PurchaseError):
    text = "There are not so many to return."


class SaleIdConflictError(PurchaseError):
    text = "There is another order of this number."


class ProductBusyError(PurchaseError):
    text = "Somebody else is buying it. Try again."
    retryable = True


class ConflictError(PurchaseError):
    text = "Your order met another. Try again."
    retryable = True


ERRORS = {
    "SK001": ProductNotFoundError,
    "SK002": OutOfStockError,
    "SK003": InsufficientQuantityError,
    "SK004": BuyerLimitExceededError,
    "SK101": SaleNotFoundError,
    "SK102": HoldExpiredError,
    "SK103": SaleSettledError,
    "SK104": ReturnExceedsSaleError,
    "SK201": SaleIdConflictError,
    "55P03": ProductBusyError,
    "40001": ConflictError,     # serialization failure
    "40P01": ConflictError,     # deadlock
}


@contextmanager
def purchase_errors():
    try:
        yield
    except psycopg.DatabaseError as error:
        if error.sqlstate not in ERRORS:
            raise
        raise ERRORS[error.sqlstate]() from error


def retrying(attempt, tries=10):
    """Runs a whole transaction, and again while it fails for what passes."""
    delay = 0.01
    for left in reversed(range(tries)):
        try:
            with purchase_errors():     # COMMIT can fail, too
                return attempt()
        except PurchaseError as error:
            if not error.retryable or not left:
                raise
        time.sleep(random.uniform(0, delay))
        delay = min(2 * delay, 0.1)


def connect(**options):
    return psycopg.connect(autocommit=True, **options)  # PGHOST, PGDATABASE, ...


def connect_patiently():
    return connect(options="-c purchase.lock_wait=2s")


def transaction(connection):
    return connection.transaction()


def sell(connection, product_id, qty):
    with purchase_errors():
        return connection.execute("SELECT purchase(%s, %s)",
                                  (product_id, qty)).fetchone()[0]


def sell_seat(connection, seat_id, qty):
    with purchase_errors():
        return connection.execute("SELECT purchase(%s, %s, 'shop_seat')",
                                  (seat_id, qty)).fetchone()[0]


def sell_cart(connection, lines):
    product_ids, qtys = map(list, zip(*lines))
    with purchase_errors():
        return dict(connection.execute(
            "SELECT product_id, remaining FROM purchase_cart(%s, %s)",
            (product_ids, qtys)))


def hold(connection, order_id, lines, buyer=None):
    """All lines or none. Repeated, it answers what it did the first time."""
    product_ids, qtys = map(list, zip(*lines))
    with purchase_errors():
        return dict(connection.execute(
            "SELECT product_id, remaining FROM purchase_cart(%s, %s,"
            " sale_id => %s::text, hold_for => '15 minutes', buyer => %s::text)",
            (product_ids, qtys, order_id, buyer)))


def confirm(connection, order_id):
    """False if that was done before. After HoldExpiredError, pay back."""
    with purchase_errors():
        return connection.execute("SELECT purchase_confirm(%s::text)",
                                  (order_id,)).fetchone()[0]


def release(connection, order_id):
    """Returns the units that are given back."""
    with purchase_errors():
        return connection.execute("SELECT purchase_release(%s::text)",
                                  (order_id,)).fetchone()[0]


def take_back(connection, order_id, restock=True):
    """All that is left of an order. Returns the units: 0 if that was done before."""
    with purchase_errors():
        return connection.execute("SELECT purchase_return(%s::text, restock => %s)",
                                  (order_id, restock)).fetchone()[0]


def take_back_part(connection, order_id, refund_id, product_id, qty, restock=True):
    """Repeated with the refund's id, it answers the same, and does nothing."""
    with purchase_errors():
        return connection.execute(
            "SELECT purchase_return(%s::text, %s, %s, %s::text, restock => %s)",
            (order_id, product_id, qty, refund_id, restock)).fetchone()[0]


def try_to_sell(connection, product_id, qty):
    return connection.execute(
        "SELECT outcome, remaining FROM purchase_try(%s, %s)",
        (product_id, qty)).fetchone()


def order(connection, product_id, qty):
    with connection.transaction():
        sell(connection, product_id, qty)
        connection.execute("INSERT INTO shop_order_line (product_id, quantity)"
                           " VALUES (%s, %s)", (product_id, qty))
