'use strict';

// Sells with Knex on top of node-postgres, which takes the connection from the
// environment: PGHOST, PGPORT, PGUSER, PGDATABASE.
const knex = require('knex');
const { retryingFor, translating } = require('../node/errors');

const db = knex({ client: 'pg', connection: {}, pool: { min: 0, max: 20 } });

// Its sales wait for a busy product.
const patientDb = knex({
  client: 'pg',
  connection: { options: '-c purchase.lock_wait=2s' },
  pool: { min: 0, max: 20 },
});

// Knex hands on the errors of node-postgres.
const sqlstate = (error) => error.code;

const retrying = retryingFor(sqlstate);

// Sells with db or, within a transaction, with its trx; returns what remains. A
// bigint comes from the server as a string.
const sell = translating(sqlstate, async (db, productId, quantity) => {
  const { remaining } = await db
    .select({ remaining: db.raw('purchase(?, ?)', [productId, quantity]) })
    .first();
  return Number(remaining);
});

const sellSeat = translating(sqlstate, async (db, seatId, quantity) => {
  const call = db.raw('purchase(?, ?, ?)', [seatId, quantity, 'shop_seat']);
  const { remaining } = await db.select({ remaining: call }).first();
  return Number(remaining);
});

// All lines or none. As a value of its own, an array needs no special care.
const sellCart = translating(sqlstate, async (db, lines) => {
  const productIds = lines.map((line) => line.productId);
  const quantities = lines.map((line) => line.quantity);
  const rows = await db
    .select('*')
    .from(db.raw('purchase_cart(?, ?)', [productIds, quantities]));
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(db, productId, quantity) {
  const { outcome, remaining } = await db
    .from(db.raw('purchase_try(?, ?)', [productId, quantity]))
    .first();
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return db.transaction(async (trx) => {
    await sell(trx, productId, quantity);
    await trx('shop_order_line').insert({ product_id: productId, quantity });
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
