"""Sell with asyncpg."""

import asyncio
import random
from contextlib import contextmanager

import asyncpg


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
    except asyncpg.PostgresError as error:
        if error.sqlstate not in ERRORS:
            raise
        raise ERRORS[error.sqlstate]() from error


async def retrying(attempt, tries=10):
    """Runs a whole transaction, and again while it fails for what passes."""
    delay = 0.01
    for left in reversed(range(tries)):
        try:
            with purchase_errors():     # COMMIT can fail, too
                return await attempt()
        except PurchaseError as error:
            if not error.retryable or not left:
                raise
        await asyncio.sleep(random.uniform(0, delay))
        delay = min(2 * delay, 0.1)


def connect(**options):
    return asyncpg.connect(**options)       # PGHOST, PGDATABASE, ...


def connect_patiently():
    return connect(server_settings={"purchase.lock_wait": "2s"})


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
