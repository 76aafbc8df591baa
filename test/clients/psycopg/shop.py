"""Sell with psycopg (3)."""

from contextlib import contextmanager

import psycopg


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
    except psycopg.DatabaseError as error:
        if error.sqlstate not in ERRORS:
            raise
        raise ERRORS[error.sqlstate](error.diag.message_detail) from error


def connect(**options):
    return psycopg.connect(autocommit=True, **options)  # PGHOST, PGDATABASE, ...


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


def try_to_sell(connection, product_id, qty):
    return connection.execute(
        "SELECT outcome, remaining FROM purchase_try(%s, %s)",
        (product_id, qty)).fetchone()


def order(connection, product_id, qty):
    with connection.transaction():
        sell(connection, product_id, qty)
        connection.execute("INSERT INTO shop_order_line (product_id, quantity)"
                           " VALUES (%s, %s)", (product_id, qty))
