'use strict';

// Sells with node-postgres. What it doesn't find in its arguments and options
// it takes from the environment: PGHOST, PGPORT, PGUSER, PGDATABASE.
const { Pool } = require('pg');
const { retryingFor, translating } = require('../node/errors');

const pool = new Pool({ max: 20 });

// Its sales wait for a busy product.
const patientPool = new Pool({
  max: 20,
  options: '-c purchase.lock_wait=2s',
});

const sqlstate = (error) => error.code;

const retrying = retryingFor(sqlstate);

// Sells with the pool or, within a transaction, with its client; returns what
// remains. A bigint comes from the server as a string.
const sell = translating(sqlstate, async (db, productId, quantity) => {
  const { rows } = await db.query('SELECT purchase($1, $2) AS remaining', [
    productId,
    quantity,
  ]);
  return Number(rows[0].remaining);
});

const sellSeat = translating(sqlstate, async (db, seatId, quantity) => {
  const { rows } = await db.query(
    "SELECT purchase($1, $2, 'shop_seat') AS remaining",
    [seatId, quantity],
  );
  return Number(rows[0].remaining);
});

// All lines or none.
const sellCart = translating(sqlstate, async (db, lines) => {
  const { rows } = await db.query('SELECT * FROM purchase_cart($1, $2)', [
    lines.map((line) => line.productId),
    lines.map((line) => line.quantity),
  ]);
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

// All lines or none. Repeated, it answers what it did the first time.
const hold = translating(sqlstate, async (db, orderId, lines, buyer = null) => {
  const { rows } = await db.query(
    `SELECT * FROM purchase_cart($1, $2,
       sale_id => $3::text, hold_for => '15 minutes', buyer => $4)`,
    [
      lines.map((line) => line.productId),
      lines.map((line) => line.quantity),
      orderId,
      buyer,
    ],
  );
  return rows.map((row) => Number(row.remaining));
});

// False if that was done before. After HoldExpiredError, pay back.
const confirm = translating(sqlstate, async (db, orderId) => {
  const { rows } = await db.query('SELECT purchase_confirm($1::text) AS first', [
    orderId,
  ]);
  return rows[0].first;
});

// Returns the units that are given back.
const release = translating(sqlstate, async (db, orderId) => {
  const { rows } = await db.query('SELECT purchase_release($1::text) AS units', [
    orderId,
  ]);
  return Number(rows[0].units);
});

// All that is left of an order. Returns the units: 0 if that was done before.
const takeBack = translating(sqlstate, async (db, orderId, restock = true) => {
  const { rows } = await db.query(
    'SELECT purchase_return($1::text, restock => $2) AS units',
    [orderId, restock],
  );
  return Number(rows[0].units);
});

// Repeated with the refund's id, it answers the same, and does nothing.
const takeBackPart = translating(
  sqlstate,
  async (db, orderId, refundId, { productId, quantity }, restock = true) => {
    const { rows } = await db.query(
      `SELECT purchase_return($1::text, $2, $3, $4::text,
         restock => $5) AS units`,
      [orderId, productId, quantity, refundId, restock],
    );
    return Number(rows[0].units);
  },
);

async function trySell(db, productId, quantity) {
  const { rows } = await db.query('SELECT * FROM purchase_try($1, $2)', [
    productId,
    quantity,
  ]);
  const { outcome, remaining } = rows[0];
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return transaction(async (client) => {
    await sell(client, productId, quantity);
    await client.query(
      'INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)',
      [productId, quantity],
    );
    await pay();
  });
}

module.exports = {
  pool,
  patientPool,
  retrying,
  sell,
  sellSeat,
  sellCart,
  hold,
  confirm,
  release,
  takeBack,
  takeBackPart,
  trySell,
  transaction,
  order,
};
