'use strict';

const { sql } = require('kysely');
const { DatabaseError } = require('pg');
const contract = require('../node/contract');
const shop = require('./shop');
const { db } = shop;

contract({
  ...shop,
  transaction: (work) => db.transaction().execute(work),
  LibraryError: DatabaseError,
  fields: ({ code, message, detail, table, column }) => ({
    code,
    message,
    detail,
    table,
    column,
  }),
  reset: () => sql`SELECT shop_reset()`.execute(db),
  async orderLines() {
    const lines = db.selectFrom('shop_order_line').selectAll();
    return (await lines.execute()).length;
  },
  async lockWait(query) {
    const { rows } = await sql.raw(query).execute(shop.patientDb);
    return rows[0].setting;
  },
  async close() {
    await db.destroy();
    await shop.patientDb.destroy();
  },
});
