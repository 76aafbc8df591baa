'use strict';

const postgres = require('postgres');
const contract = require('../node/contract');
const shop = require('./shop');
const { sql } = shop;

contract({
  ...shop,
  db: sql,
  transaction: (work) => sql.begin(work),
  LibraryError: postgres.PostgresError,
  fields: (error) => ({
    code: error.code,
    message: error.message,
    detail: error.detail,
    table: error.table_name,
    column: error.column_name,
  }),
  reset: () => sql`SELECT shop_reset()`,
  orderLines: async () => (await sql`SELECT * FROM shop_order_line`).length,
  lockWait: async (query) => (await shop.patientSql.unsafe(query))[0].setting,
  async close() {
    await sql.end();
    await shop.patientSql.end();
  },
});
