'use strict';

// Sells with Drizzle on top of node-postgres, which takes the connection from
// the environment: PGHOST, PGPORT, PGUSER, PGDATABASE.
const { sql } = require('drizzle-orm');
const { drizzle } = require('drizzle-orm/node-postgres');
const { bigint, integer, pgTable } = require('drizzle-orm/pg-core');
const { Pool } = require('pg');
const { retryingFor, translating } = require('../node/errors');

const pool = new Pool({ max: 20 });
const db = drizzle(pool);

// Its sales wait for a busy product.
const patientPool = new Pool({
  max: 20,
  options: '-c purchase.lock_wait=2s',
});
const patientDb = drizzle(patientPool);

const orderLine = pgTable('shop_order_line', {
  id: bigint({ mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
  productId: bigint('product_id', { mode: 'number' }).notNull(),
  quantity: integer().notNull(),
});

// A DrizzleQueryError has the error of node-postgres as its cause.
const sqlstate = (error) => error.cause?.code;

const retrying = retryingFor(sqlstate);

// Sells with db or, within a transaction, with its tx; returns what remains. A
// bigint comes from the server as a string.
const sell = translating(sqlstate, async (db, productId, quantity) => {
  const { rows } = await db.execute(
    sql`SELECT purchase(${productId}, ${quantity}) AS remaining`,
  );
  return Number(rows[0].remaining);
});

const sellSeat = translating(sqlstate, async (db, seatId, quantity) => {
  const { rows } = await db.execute(
    sql`SELECT purchase(${seatId}, ${quantity}, 'shop_seat') AS remaining`,
  );
  return Number(rows[0].remaining);
});

// All lines or none. An array has to be wrapped in sql.param, or it becomes a
// list of parameters.
const sellCart = translating(sqlstate, async (db, lines) => {
  const productIds = sql.param(lines.map((line) => line.productId));
  const quantities = sql.param(lines.map((line) => line.quantity));
  const { rows } = await db.execute(
    sql`SELECT * FROM purchase_cart(${productIds}, ${quantities})`,
  );
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(db, productId, quantity) {
  const { rows } = await db.execute(
    sql`SELECT * FROM purchase_try(${productId}, ${quantity})`,
  );
  const { outcome, remaining } = rows[0];
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return db.transaction(async (tx) => {
    await sell(tx, productId, quantity);
    await tx.insert(orderLine).values({ productId, quantity });
    await pay();
  });
}

module.exports = {
  pool,
  patientPool,
  db,
  patientDb,
  retrying,
  orderLine,
  sell,
  sellSeat,
  sellCart,
  trySell,
  order,
};
