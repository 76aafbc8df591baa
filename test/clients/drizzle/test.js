'use strict';

const { DrizzleQueryError, sql } = require('drizzle-orm');
const contract = require('../node/contract');
const shop = require('./shop');
const { db } = shop;

contract({
  ...shop,
  transaction: (work) => db.transaction(work),
  LibraryError: DrizzleQueryError,
  fields: ({ cause }) => ({
    code: cause.code,
    message: cause.message,
    detail: cause.detail,
    table: cause.table,
    column: cause.column,
  }),
  reset: () => db.execute(sql`SELECT shop_reset()`),
  orderLines: () => db.$count(shop.orderLine),
  async lockWait(query) {
    const { rows } = await shop.patientDb.execute(query);
    return rows[0].setting;
  },
  async close() {
    await shop.pool.end();
    await shop.patientPool.end();
  },
});
