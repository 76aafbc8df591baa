import os
import unittest

import psycopg2

import shop
import tap
from contract import Contract


class Psycopg2(Contract, unittest.TestCase):
    shop = shop
    error_classes = {
        "SK001": psycopg2.DatabaseError,
        "SK002": psycopg2.DatabaseError,
        "SK003": psycopg2.DatabaseError,
        "55P03": psycopg2.errors.LockNotAvailable,
    }

    check_violation = psycopg2.errors.CheckViolation

    def fields(self, error):
        return (error.pgcode, error.diag.message_primary, error.diag.message_detail,
                error.diag.table_name, error.diag.column_name)

    def test_busy_is_an_operational_error(self):
        self.assertTrue(issubclass(psycopg2.errors.LockNotAvailable,
                                   psycopg2.OperationalError))

    def test_a_key_of_another_type_sells_as_text(self):
        self.assertEqual(shop.sell(self.connection, "1", 1), 99)

    # psycopg2 prepares nothing by itself. Behind a pooler in transaction mode,
    # what PREPARE made may be missing after the transaction.
    def test_a_prepared_statement_in_one_transaction(self):
        with shop.transaction(self.connection), self.connection.cursor() as cursor:
            cursor.execute("PREPARE sell (bigint, bigint) AS SELECT purchase($1, $2)")
            cursor.execute("EXECUTE sell (%s, %s)", (1, 1))
            cursor.execute("EXECUTE sell (%s, %s)", (1, 1))
            self.assertEqual(cursor.fetchone(), (98,))
            cursor.execute("DEALLOCATE sell")

    @unittest.skipIf("POOLED" in os.environ, "PREPARE belongs to a server connection")
    def test_a_prepared_statement_in_many_transactions(self):
        with self.connection.cursor() as cursor:
            cursor.execute("PREPARE sell (bigint, bigint) AS SELECT purchase($1, $2)")
            cursor.execute("EXECUTE sell (%s, %s)", (1, 1))
            cursor.execute("EXECUTE sell (%s, %s)", (1, 1))
            self.assertEqual(cursor.fetchone(), (98,))


version = psycopg2.__version__.split()[0]
libpq = psycopg2.extensions.libpq_version()
print(f"# version: psycopg2 {version}, libpq {libpq // 10000}.{libpq % 10000}")
tap.run(Psycopg2)
