'use strict';

// Sells with Kysely on top of node-postgres, which takes the connection from
// the environment: PGHOST, PGPORT, PGUSER, PGDATABASE.
const { Kysely, PostgresDialect, sql } = require('kysely');
const { Pool } = require('pg');
const { retryingFor, translating } = require('../node/errors');

const db = new Kysely({
  dialect: new PostgresDialect({ pool: new Pool({ max: 20 }) }),
});

// Its sales wait for a busy product.
const patientPool = new Pool({
  max: 20,
  options: '-c purchase.lock_wait=2s',
});
const patientDb = new Kysely({
  dialect: new PostgresDialect({ pool: patientPool }),
});

// Kysely hands on the errors of node-postgres.
const sqlstate = (error) => error.code;

const retrying = retryingFor(sqlstate);

// Sells with db or, within a transaction, with its trx; returns what remains. A
// bigint comes from the server as a string.
const sell = translating(sqlstate, async (db, productId, quantity) => {
  const { remaining } = await db
    .selectNoFrom(sql`purchase(${productId}, ${quantity})`.as('remaining'))
    .executeTakeFirstOrThrow();
  return Number(remaining);
});

const sellSeat = translating(sqlstate, async (db, seatId, quantity) => {
  const { remaining } = await db
    .selectNoFrom(
      sql`purchase(${seatId}, ${quantity}, 'shop_seat')`.as('remaining'),
    )
    .executeTakeFirstOrThrow();
  return Number(remaining);
});

// All lines or none.
const sellCart = translating(sqlstate, async (db, lines) => {
  const productIds = lines.map((line) => line.productId);
  const quantities = lines.map((line) => line.quantity);
  const { rows } = await sql`
    SELECT * FROM purchase_cart(${productIds}, ${quantities})`.execute(db);
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(db, productId, quantity) {
  const { outcome, remaining } = await db
    .selectFrom(sql`purchase_try(${productId}, ${quantity})`.as('line'))
    .selectAll()
    .executeTakeFirstOrThrow();
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return db.transaction().execute(async (trx) => {
    await sell(trx, productId, quantity);
    await trx
      .insertInto('shop_order_line')
      .values({ product_id: productId, quantity })
      .execute();
    await pay();
  });
}

module.exports = {
  db,
  patientDb,
  retrying,
  sell,
  sellSeat,
  sellCart,
  trySell,
  order,
};
