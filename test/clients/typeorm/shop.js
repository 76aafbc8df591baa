'use strict';

// Sells with TypeORM on top of node-postgres.
const { DataSource, EntitySchema } = require('typeorm');
const { retryingFor, translating } = require('../node/errors');

const OrderLine = new EntitySchema({
  name: 'OrderLine',
  tableName: 'shop_order_line',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'identity' },
    productId: { name: 'product_id', type: 'bigint' },
    quantity: { type: 'integer' },
  },
});

const options = {
  type: 'postgres',
  host: process.env.PGHOST,
  port: process.env.PGPORT,
  username: process.env.PGUSER,
  database: process.env.PGDATABASE,
  entities: [OrderLine],
  poolSize: 20,
};
const dataSource = new DataSource(options);

// Its sales wait for a busy product.
const patientSource = new DataSource({
  ...options,
  extra: { options: '-c purchase.lock_wait=2s' },
});

// A QueryFailedError has the error of node-postgres as its driverError.
const sqlstate = (error) => error.driverError?.code;

const retrying = retryingFor(sqlstate);

// Sells with dataSource.manager or, within a transaction, with its manager;
// returns what remains. A bigint comes from the server as a string.
const sell = translating(sqlstate, async (manager, productId, quantity) => {
  const [{ remaining }] = await manager.query(
    'SELECT purchase($1, $2) AS remaining',
    [productId, quantity],
  );
  return Number(remaining);
});

const sellSeat = translating(sqlstate, async (manager, seatId, quantity) => {
  const [{ remaining }] = await manager.query(
    "SELECT purchase($1, $2, 'shop_seat') AS remaining",
    [seatId, quantity],
  );
  return Number(remaining);
});

// All lines or none.
const sellCart = translating(sqlstate, async (manager, lines) => {
  const rows = await manager.query('SELECT * FROM purchase_cart($1, $2)', [
    lines.map((line) => line.productId),
    lines.map((line) => line.quantity),
  ]);
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(manager, productId, quantity) {
  const [{ outcome, remaining }] = await manager.query(
    'SELECT * FROM purchase_try($1, $2)',
    [productId, quantity],
  );
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return dataSource.transaction(async (manager) => {
    await sell(manager, productId, quantity);
    await manager.insert(OrderLine, { productId, quantity });
    await pay();
  });
}

module.exports = {
  dataSource,
  patientSource,
  retrying,
  OrderLine,
  sell,
  sellSeat,
  sellCart,
  trySell,
  order,
};
