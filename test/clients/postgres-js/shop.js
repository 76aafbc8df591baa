'use strict';

// Sells with postgres.js, which takes what it is not told from the environment:
// PGHOST, PGPORT, PGUSER, PGDATABASE.
const postgres = require('postgres');
const { retryingFor, translating } = require('../node/errors');

// Behind PgBouncer: prepare: false.
const sql = postgres({ max: 20, prepare: !process.env.POOLED });

// Its sales wait for a busy product.
const patientSql = postgres({
  max: 20,
  connection: { 'purchase.lock_wait': '2s' },
});

const sqlstate = (error) => error.code;

const retrying = retryingFor(sqlstate);

// Sells with sql or, within a transaction, with its tx; returns what remains. A
// bigint comes from the server as a string.
const sell = translating(sqlstate, async (sql, productId, quantity) => {
  const [{ remaining }] =
    await sql`SELECT purchase(${productId}, ${quantity}) AS remaining`;
  return Number(remaining);
});

const sellSeat = translating(sqlstate, async (sql, seatId, quantity) => {
  const [{ remaining }] =
    await sql`SELECT purchase(${seatId}, ${quantity}, 'shop_seat') AS remaining`;
  return Number(remaining);
});

// All lines or none. Without the cast, the array would be sent as if it were a
// string.
const sellCart = translating(sqlstate, async (sql, lines) => {
  const productIds = lines.map((line) => line.productId);
  const quantities = lines.map((line) => line.quantity);
  const rows = await sql`
    SELECT * FROM purchase_cart(${productIds}::bigint[], ${quantities})`;
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(sql, productId, quantity) {
  const [{ outcome, remaining }] =
    await sql`SELECT * FROM purchase_try(${productId}, ${quantity})`;
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return sql.begin(async (tx) => {
    await sell(tx, productId, quantity);
    const line = { product_id: productId, quantity };
    await tx`INSERT INTO shop_order_line ${tx(line)}`;
    await pay();
  });
}

module.exports = {
  sql,
  patientSql,
  retrying,
  sell,
  sellSeat,
  sellCart,
  trySell,
  order,
};
