'use strict';

const { DatabaseError } = require('pg');
const contract = require('../node/contract');
const shop = require('./shop');

contract({
  ...shop,
  db: shop.pool,
  LibraryError: DatabaseError,
  fields: ({ code, message, detail, table, column }) => ({
    code,
    message,
    detail,
    table,
    column,
  }),
  reset: () => shop.pool.query('SELECT shop_reset()'),
  async orderLines() {
    const { rows } = await shop.pool.query('SELECT * FROM shop_order_line');
    return rows.length;
  },
  async lockWait(query) {
    const { rows } = await shop.patientPool.query(query);
    return rows[0].setting;
  },
  async close() {
    await shop.pool.end();
    await shop.patientPool.end();
  },
});
