'use strict';

const { DatabaseError } = require('sequelize');
const contract = require('../node/contract');
const shop = require('./shop');
const { sequelize } = shop;

contract({
  ...shop,
  db: null,
  transaction: (work) => sequelize.transaction(work),
  LibraryError: DatabaseError,
  fields: ({ parent }) => ({
    code: parent.code,
    message: parent.message,
    detail: parent.detail,
    table: parent.table,
    column: parent.column,
  }),
  reset: () => sequelize.query('SELECT shop_reset()'),
  orderLines: () => shop.OrderLine.count(),
  async lockWait(query) {
    const [[{ setting }]] = await shop.patientSequelize.query(query);
    return setting;
  },
  async close() {
    await sequelize.close();
    await shop.patientSequelize.close();
  },
});
