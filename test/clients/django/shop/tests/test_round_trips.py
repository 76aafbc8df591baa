"""How often each implementation goes to the server, BEGIN and COMMIT included.

Counted between Django and the server, by the queries that pass.
"""

import os
import shutil
import socket
import tempfile
import threading
from contextlib import contextmanager

from django.db import connection
from django.test import TransactionTestCase

from .. import services
from ..services.errors import OutOfStockError
from .shop import CHAIR, DESK, INK, PEN, TICKET, Unguarded, fill
from .test_services import extension, orm


class Proxy:
    """A Unix socket that passes one connection on and notes its queries."""

    def __init__(self, host, port):
        self.directory = tempfile.mkdtemp()
        self.port = port
        self.queries = []
        name = f".s.PGSQL.{port}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(self.directory, name))
        self.listener.listen()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(os.path.join(host, name))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        client, _ = self.listener.accept()
        threading.Thread(target=self.answers, args=(client,), daemon=True).start()
        stream = client.makefile("rb")
        kind = b""                  # the first message has none
        while True:
            head = stream.read(4)
            if len(head) < 4:
                break
            body = stream.read(int.from_bytes(head, "big") - 4)
            if kind == b"Q":
                self.queries.append(body.rstrip(b"\0").decode())
            self.server.sendall(kind + head + body)
            kind = stream.read(1)
        self.server.close()

    def answers(self, client):
        while data := self.server.recv(8192):
            client.sendall(data)

    def close(self):
        self.listener.close()
        shutil.rmtree(self.directory)


@contextmanager
def counted():
    settings = connection.settings_dict
    host = settings["HOST"]
    proxy = Proxy(host, settings["PORT"])
    connection.close()
    settings["HOST"] = proxy.directory
    try:
        connection.ensure_connection()
        proxy.queries.clear()
        yield proxy.queries
    finally:
        connection.close()
        settings["HOST"] = host
        proxy.close()


class RoundTrips:
    def setUp(self):
        fill()

    def costs(self, count, function, *args):
        with counted() as queries:
            function(*args)
            self.assertEqual(len(queries), count, queries)

    def refuse(self):
        with self.assertRaises(OutOfStockError):
            services.purchase(CHAIR, 1)

    def test_round_trips_of_a_sale(self):
        self.costs(self.sale, services.purchase, PEN, 1)

    def test_round_trips_of_a_refusal(self):
        self.costs(self.refusal, self.refuse)

    def test_round_trips_of_a_sale_with_an_order_line(self):
        self.costs(self.order, services.order, PEN, 1)

    def test_round_trips_of_a_cart_of_four(self):
        self.costs(self.cart, services.purchase_cart,
                   [(PEN, 1), (DESK, 1), (TICKET, 1), (INK, 1)])


@orm
class OrmRoundTrips(Unguarded, RoundTrips, TransactionTestCase):
    tap_suffix = " (ORM)"
    sale = 4        # BEGIN, SELECT ... FOR UPDATE NOWAIT, UPDATE, COMMIT
    refusal = 3     # BEGIN, SELECT ... FOR UPDATE NOWAIT, ROLLBACK
    order = 7       # BEGIN, SAVEPOINT, SELECT, UPDATE, RELEASE, INSERT, COMMIT
    cart = 7        # BEGIN, SELECT, 4 UPDATE, COMMIT


@extension
class ExtensionRoundTrips(RoundTrips, TransactionTestCase):
    tap_suffix = " (purchase)"
    sale = 1
    refusal = 1
    order = 4       # BEGIN, purchase_try, INSERT, COMMIT
    cart = 1
