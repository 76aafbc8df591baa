import asyncio
import os
import unittest

import asyncpg
from asyncpg.exceptions import UnknownPostgresError

import shop
import tap
from contract import FRONT, Cancelled, psql

# What PgBouncer before 1.21 asks for in transaction mode: no prepared
# statements.
options = {"statement_cache_size": 0} if "POOLED" in os.environ else {}


class Asyncpg(unittest.IsolatedAsyncioTestCase):
    async def connect(self):
        connection = await shop.connect(**options)
        self.addAsyncCleanup(connection.close)
        return connection

    async def asyncSetUp(self):
        psql("SELECT shop_reset()")
        self.connection = await self.connect()

    async def refused(self, sale, expected, cause, *fields):
        with self.assertRaises(expected) as caught:
            await sale
        error = caught.exception.__cause__
        self.assertIs(type(error), cause)
        self.assertEqual((error.sqlstate, error.message, error.detail,
                          error.table_name, error.column_name), fields)
        return caught.exception

    async def test_sells_by_bigint_key(self):
        self.assertEqual(await shop.sell(self.connection, 1, 3), 97)

    async def test_sells_by_uuid_key(self):
        self.assertEqual(await shop.sell_seat(self.connection, FRONT, 2), 98)

    async def test_sells_by_a_key_of_unknown_type(self):
        sale = "SELECT purchase($1, $2)"
        self.assertEqual(await self.connection.fetchval(sale, "1", 1), 99)
        with self.assertRaises(asyncpg.DataError):
            await self.connection.fetchval(sale, 1, 1)

    async def test_the_table_may_be_a_parameter(self):
        self.assertEqual(await self.connection.fetchval(
            "SELECT purchase($1::uuid, $2, $3)",
            FRONT, 1, "shop_seat"), 99)

    async def test_sells_a_cart(self):
        self.assertEqual(await shop.sell_cart(
            self.connection, [(6, 1), (1, 10), (6, 2)]), {1: 90, 6: 97})

    async def test_says_why_not_without_raising(self):
        async with self.connection.transaction():
            self.assertEqual(await shop.try_to_sell(self.connection, 4, 3),
                             ("insufficient_quantity", 2))
            self.assertEqual(await shop.try_to_sell(self.connection, 4, 2),
                             ("sold", 0))
        self.assertEqual(psql("SELECT purchase_available(4)"), "0")

    async def test_sells_with_an_order_line(self):
        await shop.order(self.connection, 1, 2)
        self.assertEqual(psql("SELECT purchase_available(1), quantity"
                              " FROM shop_order_line"), "98|2")

    async def test_rolls_back_sale_and_order_line_together(self):
        with self.assertRaises(Cancelled):
            async with self.connection.transaction():
                await shop.order(self.connection, 1, 1)
                raise Cancelled
        self.assertEqual(psql("SELECT purchase_available(1), count(*)"
                              " FROM shop_order_line"), "100|0")

    async def test_product_not_found(self):
        await self.refused(
            shop.sell(self.connection, 99, 1), shop.ProductNotFoundError,
            UnknownPostgresError, "SK001", "product 99 not found",
            'Key (id)=(99) is not present in table "shop_product".',
            "shop_product", "id")

    async def test_out_of_stock(self):
        await self.refused(
            shop.sell(self.connection, 3, 1), shop.OutOfStockError,
            UnknownPostgresError, "SK002", "product 3 is out of stock",
            "Product 3 has 0 in stock, 1 was requested.", "shop_product", "stock")

    async def test_insufficient_quantity(self):
        await self.refused(
            shop.sell(self.connection, 4, 3), shop.InsufficientQuantityError,
            UnknownPostgresError, "SK003", "not enough stock of product 4",
            "Product 4 has 2 in stock, 3 were requested.", "shop_product", "stock")

    async def buy_while_another_does(self):
        other = await self.connect()
        async with other.transaction():
            await shop.sell(other, 2, 1)
            return await self.refused(
                shop.sell(self.connection, 2, 1), shop.ProductBusyError,
                asyncpg.LockNotAvailableError, "55P03", "product 2 is busy",
                "Another transaction holds a lock on the row of product 2.",
                "shop_product", "stock")

    async def test_busy(self):
        error = await self.buy_while_another_does()
        self.assertTrue(error.retryable)

    async def test_two_buyers_of_the_last_unit(self):
        await self.buy_while_another_does()
        with self.assertRaises(shop.OutOfStockError):
            await shop.sell(self.connection, 2, 1)
        self.assertEqual(psql("SELECT purchase_available(2)"), "0")

    async def buy_a_ticket(self):
        connection = await self.connect()
        while True:
            try:
                await shop.order(connection, 5, 1)
                return "sold"
            except shop.ProductBusyError:
                continue
            except shop.OutOfStockError:
                return "out of stock"

    async def test_twenty_buyers_of_ten_units(self):
        answers = await asyncio.gather(*(self.buy_a_ticket() for _ in range(20)))
        self.assertEqual(sorted(answers), ["out of stock"] * 10 + ["sold"] * 10)
        self.assertEqual(psql("SELECT purchase_available(5), sum(quantity)"
                              " FROM shop_order_line"), "0|10")

    def attempts(self, *orders):
        """A transaction that orders the next of these each time it is run."""
        orders = iter(orders)
        self.tries = 0

        async def attempt():
            self.tries += 1
            await shop.order(self.connection, *next(orders))

        return attempt

    async def test_retries_a_busy_product(self):
        other = await self.connect()
        sale = other.transaction()
        await sale.start()
        await shop.sell(other, 1, 1)
        attempt = self.attempts((1, 1), (1, 1))

        async def attempt_again():
            if self.tries > 0:
                await sale.commit()
            await attempt()

        await shop.retrying(attempt_again)
        self.assertEqual(self.tries, 2)
        self.assertEqual(psql("SELECT purchase_available(1), quantity"
                              " FROM shop_order_line"), "98|1")

    async def test_retries_conflicts(self):
        await shop.retrying(self.attempts((1, 41), (1, 42), (1, 1)))
        self.assertEqual(self.tries, 3)
        self.assertEqual(psql("SELECT purchase_available(1), quantity"
                              " FROM shop_order_line"), "99|1")

    async def test_retries_nothing_else(self):
        for order, error in (((99, 1), shop.ProductNotFoundError),
                             ((3, 1), shop.OutOfStockError),
                             ((4, 3), shop.InsufficientQuantityError),
                             ((1, 43), asyncpg.CheckViolationError)):
            with self.assertRaises(error):
                await shop.retrying(self.attempts(order, order))
            self.assertEqual(self.tries, 1)

    async def test_gives_up(self):
        other = await self.connect()
        async with other.transaction():
            await shop.sell(other, 1, 1)
            with self.assertRaises(shop.ProductBusyError):
                await shop.retrying(self.attempts(*[(1, 1)] * 4), tries=3)
        self.assertEqual(self.tries, 3)

    async def test_tells_buyers_a_text_of_its_own(self):
        for order, text in (((99, 1), "There is no such product."),
                            ((3, 1), "It is sold out."),
                            ((4, 3), "There are not so many left."),
                            ((1, 42), "Your order met another. Try again.")):
            with self.assertRaises(shop.PurchaseError) as caught:
                await shop.retrying(self.attempts(order), tries=1)
            self.assertEqual(str(caught.exception), text)

    # The setting is the extension's own once the session has called it.
    @unittest.skipIf("POOLED" in os.environ, "see the next one")
    async def test_waits_if_the_connection_says_so(self):
        connection = await shop.connect_patiently()
        self.addAsyncCleanup(connection.close)
        await shop.sell(connection, 1, 1)
        self.assertEqual(await connection.fetchval("SHOW purchase.lock_wait"), "2s")

    @unittest.skipUnless("POOLED" in os.environ, "PgBouncer's own")
    async def test_pgbouncer_refuses_options(self):
        with self.assertRaisesRegex(Exception, "unsupported startup parameter"):
            await shop.connect_patiently()


print(f"# version: asyncpg {asyncpg.__version__}")
tap.run(Asyncpg)
