'use strict';

const { DatabaseError } = require('pg');
const contract = require('../node/contract');
const shop = require('./shop');
const { db } = shop;

contract({
  ...shop,
  transaction: (work) => db.transaction(work),
  LibraryError: DatabaseError,
  // Knex puts the statement before the message.
  fields: ({ code, message, detail, table, column }) => ({
    code,
    message: message.replace(/^.* - /, ''),
    detail,
    table,
    column,
  }),
  reset: () => db.raw('SELECT shop_reset()'),
  orderLines: async () => (await db('shop_order_line')).length,
  lockWait: async (query) => (await shop.patientDb.raw(query)).rows[0].setting,
  async close() {
    await db.destroy();
    await shop.patientDb.destroy();
  },
});
