"""Sell with SQLAlchemy."""

from contextlib import contextmanager

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Product(Base):
    __tablename__ = "shop_product"
    id = Column(BigInteger, primary_key=True)
    stock = Column(Integer, nullable=False)


class OrderLine(Base):
    __tablename__ = "shop_order_line"
    id = Column(BigInteger, primary_key=True)
    product_id = Column(ForeignKey(Product.id), nullable=False)
    quantity = Column(Integer, nullable=False)


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
    except DBAPIError as error:
        # psycopg 3 calls it sqlstate
        if error.orig.pgcode not in ERRORS:
            raise
        raise ERRORS[error.orig.pgcode](error.orig.diag.message_detail) from error


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
