'use strict';

const test = require('node:test');
const { QueryFailedError } = require('typeorm');
const contract = require('../node/contract');
const shop = require('./shop');
const { dataSource } = shop;

test.before(() => dataSource.initialize());

contract({
  ...shop,
  db: dataSource.manager,
  transaction: (work) => dataSource.transaction(work),
  LibraryError: QueryFailedError,
  fields: ({ driverError }) => ({
    code: driverError.code,
    message: driverError.message,
    detail: driverError.detail,
    table: driverError.table,
    column: driverError.column,
  }),
  reset: () => dataSource.query('SELECT shop_reset()'),
  orderLines: () => dataSource.manager.count(shop.OrderLine),
  async lockWait(query) {
    await shop.patientSource.initialize();
    const [{ setting }] = await shop.patientSource.query(query);
    await shop.patientSource.destroy();
    return setting;
  },
  close: () => dataSource.destroy(),
});
