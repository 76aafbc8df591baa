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
  close: () => shop.pool.end(),
});
