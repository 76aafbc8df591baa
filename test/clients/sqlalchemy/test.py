import unittest
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg2.extras
import sqlalchemy
from sqlalchemy.orm import Session, declarative_base
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


class Careless(declarative_base()):
    """The same table, mapped without further thought."""
    __tablename__ = "shop_product"
    id = sqlalchemy.Column(sqlalchemy.BigInteger, primary_key=True)
    name = sqlalchemy.Column(sqlalchemy.Text, nullable=False)
    stock = sqlalchemy.Column(sqlalchemy.Integer, nullable=False)


def pen():
    return psql("SELECT name, stock FROM shop_product WHERE id = 1")


class StaleObjects(unittest.TestCase):
    """Somebody changes the name of the pen, and meanwhile one is sold."""

    def setUp(self):
        psql("SELECT shop_reset()")
        psql("SELECT purchase_guard('shop_product')")
        self.addCleanup(psql, "SELECT purchase_guard('shop_product', false)")

    def unguarded(self):
        psql("SELECT purchase_guard('shop_product', false)")

    def renamed(self, model):
        """A detached copy, as a form or a cache keeps one; a pen is sold since."""
        with Session(engine) as session:
            copy = session.get(model, 1)
        copy.name = "Pen"
        psql("SELECT purchase(1, 1)")
        return copy

    def merge(self, copy):
        with shop.purchase_errors(), Session(engine) as session, session.begin():
            return session.merge(copy)

    def write_all_columns(self, copy):
        with shop.purchase_errors(), Session(engine) as session, session.begin():
            session.add(copy)
            for column in ("name", "stock"):
                sqlalchemy.orm.attributes.flag_modified(copy, column)

    # The well-known mistake: read, subtract, write.
    def take(self, qty):
        with shop.purchase_errors(), Session(engine) as session, session.begin():
            product = session.get(Careless, 1)
            psql("SELECT purchase(1, 1)")
            product.stock -= qty

    def refused(self, function, *args):
        with self.assertRaises(shop.StockGuardedError) as caught:
            function(*args)
        cause = caught.exception.__cause__
        self.assertIs(type(cause), sqlalchemy.exc.DatabaseError)
        self.assertEqual(cause.orig.pgcode, "SK005")
        self.assertEqual(cause.orig.diag.message_primary,
                         'column "stock" of table "shop_product" is guarded')
        self.assertEqual((cause.orig.diag.table_name, cause.orig.diag.column_name),
                         ("shop_product", "stock"))
        self.assertFalse(caught.exception.retryable)
        self.assertEqual(str(caught.exception), shop.StockGuardedError.text)

    def test_a_merged_copy_brings_back_what_was_sold_without_the_guard(self):
        self.unguarded()
        self.merge(self.renamed(Careless))
        self.assertEqual(pen(), "Pen|100")

    def test_a_merged_copy_is_refused(self):
        self.refused(self.merge, self.renamed(Careless))
        self.assertEqual(pen(), "pen|99")

    def test_all_columns_bring_back_what_was_sold_without_the_guard(self):
        self.unguarded()
        self.write_all_columns(self.renamed(Careless))
        self.assertEqual(pen(), "Pen|100")

    def test_all_columns_are_refused(self):
        self.refused(self.write_all_columns, self.renamed(Careless))
        self.assertEqual(pen(), "pen|99")

    def test_a_subtraction_in_Python_loses_a_sale_without_the_guard(self):
        self.unguarded()
        self.take(2)
        self.assertEqual(pen(), "pen|98")       # of 100, and three are sold

    def test_a_subtraction_in_Python_is_refused(self):
        self.refused(self.take, 2)
        self.assertEqual(pen(), "pen|99")

    # The limit of the guard: it sees a value that is there already. The same
    # code fails at once when nobody else has sold just as many.
    def test_a_subtraction_that_comes_to_the_stock_that_is_there_passes(self):
        self.take(1)
        self.assertEqual(pen(), "pen|99")       # of 100, and two are sold

    def test_changed_columns_are_saved(self):
        with Session(engine) as session, session.begin():
            product = session.get(Careless, 1)
            psql("SELECT purchase(1, 1)")
            product.name = "Pen"
        self.assertEqual(pen(), "Pen|99")

    def test_all_columns_of_a_fresh_object_are_saved(self):
        psql("SELECT purchase(1, 1)")
        with Session(engine) as session:
            copy = session.get(Careless, 1)
        copy.name = "Pen"
        self.write_all_columns(copy)
        self.assertEqual(pen(), "Pen|99")

    def test_a_copy_without_the_stock_is_merged(self):
        psql("SELECT purchase(1, 1)")
        self.merge(Careless(id=1, name="Pen"))
        self.assertEqual(pen(), "Pen|99")

    # From here on with the shop's own mapping.
    def test_the_shop_leaves_out_the_stock(self):
        for guarded in (True, False):
            self.setUp()
            if not guarded:
                self.unguarded()
            self.merge(self.renamed(shop.Product))
            self.assertEqual(pen(), "Pen|99")

    def test_the_shop_leaves_out_the_stock_of_all_columns(self):
        self.write_all_columns(self.renamed(shop.Product))
        self.assertEqual(pen(), "Pen|99")

    def test_the_shop_shows_the_stock_that_there_is(self):
        copy = self.renamed(shop.Product)
        with Session(engine) as session, session.begin():
            product = session.merge(copy)
            session.flush()
            self.assertEqual(product.stock, 99)

    def test_the_shop_adds_a_product(self):
        with Session(engine) as session, session.begin():
            session.add(shop.Product(id=7, name="cup", stock=5))
        self.assertEqual(psql("SELECT stock FROM shop_product WHERE id = 7"), "5")

    def test_the_shop_restocks_and_counts(self):
        with Session(engine) as session, session.begin():
            self.assertEqual(shop.restock(session, 1, 20), 120)
            self.assertEqual(shop.set_stock(session, 1, 90), 120)
        self.assertEqual(pen(), "pen|90")
        with self.assertRaises(shop.ProductNotFoundError), Session(engine) as session:
            shop.set_stock(session, 99, 1)


print(f"# version: SQLAlchemy {sqlalchemy.__version__},"
      f" psycopg2 {psycopg2.__version__.split()[0]}")
tap.run(SQLAlchemy, StaleObjects)
