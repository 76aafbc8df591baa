'use strict';

// Sells with Sequelize on top of node-postgres.
const { DataTypes, QueryTypes, Sequelize } = require('sequelize');
const { retryingFor, translating } = require('../node/errors');

const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const options = {
  dialect: 'postgres',
  host: PGHOST,
  port: PGPORT,
  pool: { max: 20 },
  logging: false,
};
const sequelize = new Sequelize(PGDATABASE, PGUSER, null, options);

// Its sales wait for a busy product.
const patientSequelize = new Sequelize(PGDATABASE, PGUSER, null, {
  ...options,
  dialectOptions: { options: '-c purchase.lock_wait=2s' },
});

const OrderLine = sequelize.define(
  'OrderLine',
  {
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
    productId: { type: DataTypes.BIGINT, field: 'product_id' },
    quantity: DataTypes.INTEGER,
  },
  { tableName: 'shop_order_line', timestamps: false },
);

// A DatabaseError has the error of node-postgres as its parent.
const sqlstate = (error) => error.parent?.code;

const retrying = retryingFor(sqlstate);

// bind sends parameters; replacements would paste them into the statement.
function select(sql, bind, transaction) {
  return sequelize.query(sql, { bind, transaction, type: QueryTypes.SELECT });
}

// Sells, within a transaction if there is one; returns what remains. A bigint
// comes from the server as a string.
const sell = translating(sqlstate, async (transaction, productId, quantity) => {
  const sql = 'SELECT purchase($1, $2) AS remaining';
  const [row] = await select(sql, [productId, quantity], transaction);
  return Number(row.remaining);
});

const sellSeat = translating(
  sqlstate,
  async (transaction, seatId, quantity) => {
    const sql = "SELECT purchase($1, $2, 'shop_seat') AS remaining";
    const [row] = await select(sql, [seatId, quantity], transaction);
    return Number(row.remaining);
  },
);

// All lines or none.
const sellCart = translating(sqlstate, async (transaction, lines) => {
  const sql = 'SELECT * FROM purchase_cart($1, $2)';
  const productIds = lines.map((line) => line.productId);
  const quantities = lines.map((line) => line.quantity);
  const rows = await select(sql, [productIds, quantities], transaction);
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(transaction, productId, quantity) {
  const sql = 'SELECT * FROM purchase_try($1, $2)';
  const [row] = await select(sql, [productId, quantity], transaction);
  const { outcome, remaining } = row;
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return sequelize.transaction(async (transaction) => {
    await sell(transaction, productId, quantity);
    await OrderLine.create({ productId, quantity }, { transaction });
    await pay();
  });
}

module.exports = {
  sequelize,
  patientSequelize,
  retrying,
  OrderLine,
  sell,
  sellSeat,
  sellCart,
  trySell,
  order,
};
