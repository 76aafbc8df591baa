"""Sell with asyncpg."""

from contextlib import contextmanager

import asyncpg


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
    except asyncpg.PostgresError as error:
        if error.sqlstate not in ERRORS:
            raise
        raise ERRORS[error.sqlstate](error.detail) from error


# asyncpg asks the server for the types of parameters. Without a cast the key's
# is text, and asyncpg would want a str.

async def sell(connection, product_id, qty):
    with purchase_errors():
        return await connection.fetchval(
            "SELECT purchase($1::bigint, $2)", product_id, qty)


async def sell_seat(connection, seat_id, qty):
    with purchase_errors():
        return await connection.fetchval(
            "SELECT purchase($1::uuid, $2, 'shop_seat')", seat_id, qty)


async def sell_cart(connection, lines):
    product_ids, qtys = zip(*lines)
    with purchase_errors():
        return dict(await connection.fetch(
            "SELECT product_id, remaining FROM purchase_cart($1::bigint[], $2)",
            product_ids, qtys))


async def try_to_sell(connection, product_id, qty):
    return tuple(await connection.fetchrow(
        "SELECT outcome, remaining FROM purchase_try($1::bigint, $2)",
        product_id, qty))


async def order(connection, product_id, qty):
    async with connection.transaction():
        await sell(connection, product_id, qty)
        await connection.execute(
            "INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)",
            product_id, qty)
