'use strict';

// The contract of README.md, for the Node.js programs: each has a shop.js, and
// a test.js that calls this with it. See node-postgres for what a shop has.

const path = require('node:path');
const test = require('node:test');
const assert = require('node:assert/strict');
const errors = require('./errors');

const [pen, lamp, chair, desk, ticket, ink, nothing] = [1, 2, 3, 4, 5, 6, 99];
const front = '5ea70000-0000-4000-8000-000000000001';

// What the server says of each failure.
const said = {
  notFound: {
    code: 'SK001',
    message: 'product 99 not found',
    detail: 'Key (id)=(99) is not present in table "shop_product".',
    table: 'shop_product',
    column: 'id',
  },
  outOfStock: {
    code: 'SK002',
    message: 'product 3 is out of stock',
    detail: 'Product 3 has 0 in stock, 1 was requested.',
    table: 'shop_product',
    column: 'stock',
  },
  insufficient: {
    code: 'SK003',
    message: 'not enough stock of product 4',
    detail: 'Product 4 has 2 in stock, 3 were requested.',
    table: 'shop_product',
    column: 'stock',
  },
  busy: {
    code: '55P03',
    message: 'product 2 is busy',
    detail: 'Another transaction holds a lock on the row of product 2.',
    table: 'shop_product',
    column: 'stock',
  },
};

// package.json pins them.
function versions() {
  const { dependencies } = require(path.resolve('package.json'));
  const libraries = Object.entries(dependencies).map((each) => each.join(' '));
  return [...libraries, `Node.js ${process.versions.node}`];
}

module.exports = function contract(shop) {
  const { db, sell, transaction } = shop;

  async function stock(id) {
    const { outcome, remaining } = await shop.trySell(db, id, 1000000);
    return outcome === 'sold' ? NaN : remaining;
  }

  // The shop's error, whose cause is the library's and says what is expected.
  async function failsAs(selling, ShopError, expected) {
    const error = await selling.then(
      () => assert.fail('it was sold'),
      (error) => error,
    );
    assert.equal(error.constructor, ShopError, error.stack);
    assert.ok(error.cause instanceof shop.LibraryError, error.cause.stack);
    assert.deepEqual({ ...expected, ...shop.fields(error.cause) }, expected);
    return error;
  }

  // Has a buyer who has not committed yet while the rest is done.
  async function whileSelling(id, meanwhile) {
    let sold, commit;
    const hasSold = new Promise((resolve) => (sold = resolve));
    const mayCommit = new Promise((resolve) => (commit = resolve));
    const first = transaction(async (tx) => {
      await sell(tx, id, 1);
      sold();
      await mayCommit;
    });
    await Promise.race([hasSold, first]);
    try {
      await meanwhile();
    } finally {
      commit();
      await first;
    }
  }

  console.log(`# version: ${versions().join(', ')}`);
  test.beforeEach(() => shop.reset());
  test.after(() => shop.close());

  test('sells by bigint key', async () => {
    assert.equal(await sell(db, pen, 3), 97);
    assert.equal(await sell(db, pen, 1), 96);
  });

  test('sells by uuid key', async () => {
    assert.equal(await shop.sellSeat(db, front, 2), 98);
  });

  test('sells a cart', async () => {
    const lines = await shop.sellCart(db, [
      { productId: ink, quantity: 1 },
      { productId: pen, quantity: 2 },
      { productId: ink, quantity: 3 },
    ]);
    assert.deepEqual(lines, [
      { productId: pen, quantity: 2, remaining: 98 },
      { productId: ink, quantity: 4, remaining: 96 },
    ]);
  });

  test('says why not without raising', async () => {
    await transaction(async (tx) => {
      assert.deepEqual(await shop.trySell(tx, chair, 1), {
        outcome: 'out_of_stock',
        remaining: 0,
      });
      assert.deepEqual(await shop.trySell(tx, nothing, 1), {
        outcome: 'product_not_found',
        remaining: null,
      });
      assert.deepEqual(await shop.trySell(tx, pen, 1), {
        outcome: 'sold',
        remaining: 99,
      });
    });
    assert.equal(await stock(pen), 99);
  });

  test('rolls back sale and order line together', async () => {
    const failure = new Error('the payment failed');
    const payNothing = () => Promise.reject(failure);
    await assert.rejects(shop.order(pen, 2, payNothing), failure);
    assert.equal(await stock(pen), 100);
    assert.equal(await shop.orderLines(), 0);
    await shop.order(pen, 2, () => {});
    assert.equal(await stock(pen), 98);
    assert.equal(await shop.orderLines(), 1);
  });

  test('product not found', () =>
    failsAs(sell(db, nothing, 1), errors.ProductNotFoundError, said.notFound));

  test('out of stock', () =>
    failsAs(sell(db, chair, 1), errors.OutOfStockError, said.outOfStock));

  test('insufficient quantity', () =>
    failsAs(
      sell(db, desk, 3),
      errors.InsufficientQuantityError,
      said.insufficient,
    ));

  test('busy', () =>
    whileSelling(lamp, async () => {
      const error = await failsAs(
        sell(db, lamp, 1),
        errors.ProductBusyError,
        said.busy,
      );
      assert.equal(error.retryable, true);
    }));

  test('two buyers of the last unit', async () => {
    await whileSelling(lamp, () =>
      assert.rejects(sell(db, lamp, 1), errors.ProductBusyError),
    );
    await assert.rejects(sell(db, lamp, 1), errors.OutOfStockError);
    assert.equal(await stock(lamp), 0);
  });

  test('twenty buyers of ten units', async () => {
    const buyers = Array.from({ length: 20 }, () =>
      errors.retrying(() => shop.order(ticket, 1, () => {})),
    );
    const results = await Promise.allSettled(buyers);
    const refused = results.filter(({ reason }) => reason);
    assert.equal(refused.length, 10);
    for (const { reason } of refused)
      assert.equal(reason.constructor, errors.OutOfStockError, reason.stack);
    assert.equal(await stock(ticket), 0);
    assert.equal(await shop.orderLines(), 10);
  });
};
