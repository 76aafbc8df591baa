"""Sell with SQLAlchemy."""

import random
import time
from contextlib import contextmanager

from sqlalchemy import (
    BigInteger, Column, ForeignKey, Integer, Text, event, func, inspect, select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import declarative_base, object_session

Base = declarative_base()


class Product(Base):
    __tablename__ = "shop_product"
    id = Column(BigInteger, primary_key=True)
    name = Column(Text, nullable=False)
    stock = Column(Integer, nullable=False)


@event.listens_for(Product, "before_update")
def leave_out_stock(mapper, connection, product):
    """Whatever a stale copy says. The next look at it reads it from the table."""
    if inspect(product).attrs.stock.history.has_changes():
        object_session(product).expire(product, ["stock"])


class OrderLine(Base):
    __tablename__ = "shop_order_line"
    id = Column(BigInteger, primary_key=True)
    product_id = Column(ForeignKey(Product.id), nullable=False)
    quantity = Column(Integer, nullable=False)


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


class StockGuardedError(PurchaseError):
    text = "The stock has changed meanwhile. Look at it again."


class ConflictError(PurchaseError):
    text = "Your order met another. Try again."
    retryable = True


ERRORS = {
    "SK001": ProductNotFoundError,
    "SK002": OutOfStockError,
    "SK003": InsufficientQuantityError,
    "SK005": StockGuardedError,
    "55P03": ProductBusyError,
    "40001": ConflictError,     # serialization failure
    "40P01": ConflictError,     # deadlock
}


@contextmanager
def purchase_errors():
    try:
        yield
    except DBAPIError as error:
        # psycopg 3 calls it sqlstate
        if error.orig.pgcode not in ERRORS:
            raise
        raise ERRORS[error.orig.pgcode]() from error


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


# Arguments of create_engine() for sessions that wait for a busy product.
PATIENTLY = {"connect_args": {"options": "-c purchase.lock_wait=2s"}}


def sell(session, product_id, qty):
    with purchase_errors():
        return session.scalar(select(func.purchase(product_id, qty)))


def sell_seat(session, seat_id, qty):
    with purchase_errors():
        return session.scalar(select(func.purchase(seat_id, qty, "shop_seat")))


def sell_cart(session, lines):
    product_ids, qtys = map(list, zip(*lines))
    sold = func.purchase_cart(product_ids, qtys).table_valued(
        "product_id", "remaining")
    with purchase_errors():
        return dict(session.execute(select(sold)).all())


def try_to_sell(session, product_id, qty):
    answer = func.purchase_try(product_id, qty).table_valued("outcome", "remaining")
    return tuple(session.execute(select(answer)).one())


def order(session, product_id, qty):
    sell(session, product_id, qty)
    session.add(OrderLine(product_id=product_id, quantity=qty))
    session.flush()


def restock(session, product_id, qty):
    """Returns what there is now."""
    with purchase_errors():
        return session.scalar(select(func.purchase_restock(product_id, qty)))


def set_stock(session, product_id, counted):
    """Returns what there was before."""
    with purchase_errors():
        return session.scalar(select(func.purchase_set_stock(product_id, counted)))
