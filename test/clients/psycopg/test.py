import os
import unittest
from functools import partial

import psycopg

import shop
import tap
from contract import Contract

# What PgBouncer before 1.21 asks for in transaction mode: no prepared
# statements.
if "POOLED" in os.environ:
    shop.connect = partial(shop.connect, prepare_threshold=None)


class Psycopg(Contract, unittest.TestCase):
    shop = shop
    error_classes = {
        "SK001": psycopg.DatabaseError,
        "SK002": psycopg.DatabaseError,
        "SK003": psycopg.DatabaseError,
        "55P03": psycopg.errors.LockNotAvailable,
    }

    check_violation = psycopg.errors.CheckViolation

    def fields(self, error):
        return (error.sqlstate, error.diag.message_primary, error.diag.message_detail,
                error.diag.table_name, error.diag.column_name)

    def test_busy_is_an_operational_error(self):
        self.assertTrue(issubclass(psycopg.errors.LockNotAvailable,
                                   psycopg.OperationalError))

    def test_a_key_of_unknown_type_sells_as_text(self):
        self.assertEqual(shop.sell(self.connection, "1", 1), 99)

    # psycopg prepares what it executed five times.
    @unittest.skipIf("POOLED" in os.environ, "PgBouncer 1.18 keeps none")
    def test_a_prepared_statement(self):
        for _ in range(10):
            remaining = shop.sell(self.connection, 1, 1)
        self.assertEqual(remaining, 90)
        count = self.connection.execute(
            "SELECT count(*) FROM pg_prepared_statements"
            " WHERE statement = 'SELECT purchase($1, $2)'").fetchone()[0]
        self.assertEqual(count, 1)


libpq = psycopg.pq.version()
print(f"# version: psycopg {psycopg.__version__},"
      f" libpq {libpq // 10000}.{libpq % 10000}")
tap.run(Psycopg)
