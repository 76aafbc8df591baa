"""Sell with psycopg2."""

from contextlib import contextmanager

import psycopg2
import psycopg2.extras

psycopg2.extras.register_uuid()     # so that uuid.UUID is a parameter


class PurchaseError(Exception):
    retryable = False


class ProductNotFoundError(PurchaseError):
    pass


class OutOfStockError(PurchaseError):
    pass


class InsufficientQuantityError(PurchaseError):
    pass


class ProductBusyError(PurchaseError):
    retryable = True


ERRORS = {
    "SK001": ProductNotFoundError,
    "SK002": OutOfStockError,
    "SK003": InsufficientQuantityError,
    "55P03": ProductBusyError,
}


@contextmanager
def purchase_errors():
    try:
        yield
    except psycopg2.DatabaseError as error:
        if error.pgcode not in ERRORS:
            raise
        raise ERRORS[error.pgcode](error.diag.message_detail) from error


def connect():
    connection = psycopg2.connect("")       # PGHOST, PGDATABASE, ...
    connection.autocommit = True            # until transaction() begins one
    return connection


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
