"""What the tests sell, and simultaneous buyers."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

from django.db import connection, transaction

from ..models import Hold, Product, Sale, Seat

PEN, LAMP, CHAIR, DESK, TICKET, INK, PRINT = range(1, 8)
FRONT = uuid.UUID("5ea70000-0000-4000-8000-000000000001")


def fill():
    Hold.objects.all().delete()     # not Django's, so not emptied after a test
    Sale.objects.all().delete()
    Product.objects.bulk_create([
        Product(id=PEN, name="pen", stock=100),
        Product(id=LAMP, name="lamp", stock=1),
        Product(id=CHAIR, name="chair", stock=0),
        Product(id=DESK, name="desk", stock=2),
        Product(id=TICKET, name="ticket", stock=10),
        Product(id=INK, name="ink", stock=100),
        Product(id=PRINT, name="print", stock=10, per_buyer=2),
    ])
    Seat.objects.create(id=FRONT, name="front", stock=100)


def stock(product_id):
    return Product.objects.get(pk=product_id).stock


def guard(enabled):
    with connection.cursor() as cursor:
        cursor.execute("SELECT purchase_guard('shop_product', %s),"
                       " purchase_guard('shop_seat', %s)", [enabled, enabled])


def take_guard_away(add_cleanup):
    """Until the cleanup, which doesn't set what the migration has not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_trigger WHERE tgrelid = 'shop_product'::regclass"
                       " AND tgfoid = 'purchase_guard_stock'::regproc")
        if cursor.rowcount > 0:
            add_cleanup(guard, True)
    guard(False)


class Unguarded:
    """For tests of a shop that writes the stock itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        take_guard_away(cls.addClassCleanup)


def at_the_same_time(count, function):
    """Each thread has its own connection, as each request has."""
    def run(number):
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@contextmanager
def meanwhile(function):
    """Another connection has called it and not committed yet."""
    called, commit = Event(), Event()
    problems = []

    def run():
        try:
            with transaction.atomic():
                function()
                called.set()
                commit.wait(30)
        except Exception as problem:
            problems.append(problem)
        finally:
            called.set()
            connection.close()

    thread = Thread(target=run)
    thread.start()
    called.wait()
    try:
        yield
    finally:
        commit.set()
        thread.join()
    if problems:
        raise problems[0]
