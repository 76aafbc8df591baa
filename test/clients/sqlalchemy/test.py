import unittest
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg2.extras
import sqlalchemy
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

import shop
import tap
from contract import Contract, psql

psycopg2.extras.register_uuid()
engine = sqlalchemy.create_engine("postgresql+psycopg2://", poolclass=NullPool)
patient_engine = sqlalchemy.create_engine("postgresql+psycopg2://", poolclass=NullPool,
                                          **shop.PATIENTLY)


# The contract's connection is a session here; what is outside of transaction()
# is a transaction of its own.
@contextmanager
def transaction(session):
    if session.in_transaction():
        yield
    else:
        with session.begin():
            yield


def in_transaction(function):
    def run(session, *args):
        with transaction(session):
            return function(session, *args)
    return run


class SQLAlchemy(Contract, unittest.TestCase):
    shop = SimpleNamespace(
        connect=lambda: Session(engine),
        transaction=transaction,
        sell=in_transaction(shop.sell),
        sell_seat=in_transaction(shop.sell_seat),
        sell_cart=in_transaction(shop.sell_cart),
        try_to_sell=in_transaction(shop.try_to_sell),
        order=in_transaction(shop.order),
        retrying=shop.retrying,
        connect_patiently=lambda: Session(patient_engine),
        PurchaseError=shop.PurchaseError,
        ProductNotFoundError=shop.ProductNotFoundError,
        OutOfStockError=shop.OutOfStockError,
        InsufficientQuantityError=shop.InsufficientQuantityError,
        ProductBusyError=shop.ProductBusyError,
    )
    error_classes = {
        "SK001": sqlalchemy.exc.DatabaseError,
        "SK002": sqlalchemy.exc.DatabaseError,
        "SK003": sqlalchemy.exc.DatabaseError,
        "55P03": sqlalchemy.exc.OperationalError,
    }

    check_violation = sqlalchemy.exc.IntegrityError

    def fields(self, error):
        diag = error.orig.diag
        return (error.orig.pgcode, diag.message_primary, diag.message_detail,
                diag.table_name, diag.column_name)

    def lock_wait(self, session):
        return session.scalar(sqlalchemy.text("SHOW purchase.lock_wait"))

    # The session doesn't see what the database writes: read it anew.
    def test_an_object_shows_its_new_stock_when_refreshed(self):
        with self.connection.begin():
            pen = self.connection.get(shop.Product, 1)
            self.assertEqual(shop.sell(self.connection, pen.id, 1), 99)
            self.assertEqual(pen.stock, 100)
            self.connection.refresh(pen, ["stock"])
            self.assertEqual(pen.stock, 99)
        self.assertEqual(psql("SELECT purchase_available(1)"), "99")


print(f"# version: SQLAlchemy {sqlalchemy.__version__},"
      f" psycopg2 {psycopg2.__version__.split()[0]}")
tap.run(SQLAlchemy)
