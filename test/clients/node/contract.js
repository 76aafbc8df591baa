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

  // Has a buyer who has not committed yet; returns what has him commit.
  async function beginToSell(id) {
    let sold, commit;
    const hasSold = new Promise((resolve) => (sold = resolve));
    const mayCommit = new Promise((resolve) => (commit = resolve));
    const first = transaction(async (tx) => {
      await sell(tx, id, 1);
      sold();
      await mayCommit;
    });
    await Promise.race([hasSold, first]);
    return () => {
      commit();
      return first;
    };
  }

  async function whileSelling(id, meanwhile) {
    const commit = await beginToSell(id);
    try {
      await meanwhile(commit);
    } finally {
      await commit();
    }
  }

  // A transaction that orders the next of these each time it is run.
  function attempts(...orders) {
    const attempt = async () => {
      const [id, quantity] = orders[attempt.tries++];
      await shop.order(id, quantity, () => {});
    };
    attempt.tries = 0;
    return attempt;
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
      shop.retrying(() => shop.order(ticket, 1, () => {}), 1000),
    );
    const results = await Promise.allSettled(buyers);
    const refused = results.filter(({ reason }) => reason);
    assert.equal(refused.length, 10);
    for (const { reason } of refused)
      assert.equal(reason.constructor, errors.OutOfStockError, reason.stack);
    assert.equal(await stock(ticket), 0);
    assert.equal(await shop.orderLines(), 10);
  });

  test('retries a busy product', () =>
    whileSelling(pen, async (commit) => {
      const attempt = attempts([pen, 1], [pen, 1]);
      await shop.retrying(async () => {
        if (attempt.tries > 0) await commit();
        await attempt();
      });
      assert.equal(attempt.tries, 2);
      assert.equal(await stock(pen), 98);
      assert.equal(await shop.orderLines(), 1);
    }));

  test('retries conflicts', async () => {
    const attempt = attempts([pen, 41], [pen, 42], [pen, 1]);
    await shop.retrying(attempt);
    assert.equal(attempt.tries, 3);
    assert.equal(await stock(pen), 99);
    assert.equal(await shop.orderLines(), 1);
  });

  test('retries nothing else', async () => {
    for (const [order, ShopError] of [
      [[nothing, 1], errors.ProductNotFoundError],
      [[chair, 1], errors.OutOfStockError],
      [[desk, 3], errors.InsufficientQuantityError],
    ]) {
      const attempt = attempts(order, order);
      await assert.rejects(shop.retrying(attempt), ShopError);
      assert.equal(attempt.tries, 1);
    }
    const attempt = attempts([pen, 43], [pen, 43]);
    await assert.rejects(
      shop.retrying(attempt),
      (error) => !(error instanceof errors.SaleError),
    );
    assert.equal(attempt.tries, 1);
  });

  test('gives up', () =>
    whileSelling(pen, async () => {
      const attempt = attempts([pen, 1], [pen, 1], [pen, 1], [pen, 1]);
      await assert.rejects(shop.retrying(attempt, 3), errors.ProductBusyError);
      assert.equal(attempt.tries, 3);
    }));

  test('tells buyers a text of its own', async () => {
    for (const [order, message] of [
      [[nothing, 1], 'There is no such product.'],
      [[chair, 1], 'It is sold out.'],
      [[desk, 3], 'There are not so many left.'],
      [[pen, 41], 'Your order met another. Try again.'],
    ])
      await assert.rejects(shop.retrying(attempts(order), 1), { message });
  });

  // lockWait calls the extension first: from then on the setting is its own.
  test('waits if the connection says so', async () => {
    const setting = shop.lockWait(
      "SELECT purchase(1, 1), current_setting('purchase.lock_wait') AS setting",
    );
    if (process.env.POOLED)
      await assert.rejects(setting, /unsupported startup parameter/);
    else assert.equal(await setting, '2s');
  });
};
