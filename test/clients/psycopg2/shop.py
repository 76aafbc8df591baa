"""Sell with psycopg2."""

import random
import time
from contextlib import contextmanager

import psycopg2
import psycopg2.extras

psycopg2.extras.register_uuid()     # so that uuid.UUID is a parameter


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
    "55P03": ProductBusyError,
    "40001": ConflictError,     # serialization failure
    "40P01": ConflictError,     # deadlock
}


@contextmanager
def purchase_errors():
    try:
        yield
    except psycopg2.DatabaseError as error:
        if error.pgcode not in ERRORS:
            raise
        raise ERRORS[error.pgcode]() from error


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
    connection = psycopg2.connect("", **options)    # PGHOST, PGDATABASE, ...
    connection.autocommit = True            # until transaction() begins one
    return connection


def connect_patiently():
    return connect(options="-c purchase.lock_wait=2s")


@contextmanager
def transaction(connection):
    if connection.autocommit:
        connection.autocommit = False
        try:
            with connection:
                yield
        finally:
            connection.autocommit = True
    else:                                   # within another
        yield


def sell(connection, product_id, qty):
    with purchase_errors(), connection.cursor() as cursor:
        cursor.execute("SELECT purchase(%s, %s)", (product_id, qty))
        return cursor.fetchone()[0]


def sell_seat(connection, seat_id, qty):
    with purchase_errors(), connection.cursor() as cursor:
        cursor.execute("SELECT purchase(%s, %s, 'shop_seat')", (seat_id, qty))
        return cursor.fetchone()[0]


def sell_cart(connection, lines):
    product_ids, qtys = map(list, zip(*lines))
    with purchase_errors(), connection.cursor() as cursor:
        cursor.execute("SELECT product_id, remaining FROM purchase_cart(%s, %s)",
                       (product_ids, qtys))
        return dict(cursor.fetchall())


def try_to_sell(connection, product_id, qty):
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, remaining FROM purchase_try(%s, %s)",
                       (product_id, qty))
        return cursor.fetchone()


def order(connection, product_id, qty):
    with transaction(connection), connection.cursor() as cursor:
        sell(connection, product_id, qty)
        cursor.execute("INSERT INTO shop_order_line (product_id, quantity)"
                       " VALUES (%s, %s)", (product_id, qty))
