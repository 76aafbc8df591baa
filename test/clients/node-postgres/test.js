'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { DatabaseError } = require('pg');
const contract = require('../node/contract');
const errors = require('../node/errors');
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

const { pool, hold, confirm, release, takeBack, takeBackPart } = shop;
const [pen, lamp, ink, print] = [1, 2, 6, 8];
const line = (productId, quantity) => ({ productId, quantity });

async function value(sql, ...values) {
  const { rows } = await pool.query({ text: sql, values, rowMode: 'array' });
  return rows[0][0];
}

// Its time is over, and somebody else buys what was held.
async function taken(orderId, productId, quantity) {
  await value(
    `UPDATE shop_product_hold SET expires_at = '2020-01-01'
     WHERE sale_id = $1 RETURNING true`,
    orderId,
  );
  await shop.sell(pool, productId, quantity);
}

function fails(doing, ShopError, code) {
  return assert.rejects(doing, (error) => {
    assert.equal(error.constructor, ShopError, error.stack);
    assert.equal(error.message, ShopError.text);
    assert.ok(error.cause instanceof DatabaseError);
    assert.equal(error.cause.code, code);
    assert.ok(!error.retryable);
    return true;
  });
}

test('holds and confirms', async () => {
  let left = 100;
  for (const orderId of [7, 2n ** 40n, 'seven', randomUUID()]) {
    left -= 1;
    for (let times = 0; times < 2; times++)
      assert.deepEqual(await hold(pool, orderId, [line(ink, 1), line(pen, 1)]), [
        left,
        left,
      ]);
    assert.equal(await confirm(pool, orderId), true);
    assert.equal(await confirm(pool, orderId), false);
  }
  assert.equal(
    await value(`SELECT count(*) || ' ' || min(hold_for) || ' ' || max(hold_for)
                 FROM shop_product_sale WHERE state = 'sold'`),
    '8 00:15:00 00:15:00',
  );
});

test('another cart of the same number', async () => {
  await hold(pool, 7, [line(pen, 2)]);
  await fails(hold(pool, 7, [line(pen, 3)]), errors.SaleIdConflictError, 'SK201');
});

test('the time was over', async () => {
  await hold(pool, 7, [line(lamp, 1)]);
  await taken(7, lamp, 1);
  await fails(confirm(pool, 7), errors.HoldExpiredError, 'SK102');
  await fails(hold(pool, 7, [line(lamp, 1)]), errors.HoldExpiredError, 'SK102');
});

test('releases', async () => {
  await fails(release(pool, 7), errors.SaleNotFoundError, 'SK101');
  await hold(pool, 7, [line(pen, 2), line(ink, 1)]);
  assert.equal(await release(pool, 7), 3);
  assert.equal(await release(pool, 7), 0);
  await fails(confirm(pool, 7), errors.SaleSettledError, 'SK103');
});

async function sold(orderId) {
  await hold(pool, orderId, [line(pen, 2), line(ink, 1)]);
  await confirm(pool, orderId);
}

// Of the pens and the ink, and how many of them are broken.
async function left(...expected) {
  const sql = `SELECT ARRAY[purchase_available($1), purchase_available($2),
    sum(discarded)]::integer[] FROM shop_product_sale WHERE state = 'sold'`;
  assert.deepEqual(await value(sql, pen, ink), expected);
}

test('takes back once', async () => {
  for (const orderId of [7, 2n ** 40n, 'seven', randomUUID()]) {
    await sold(orderId);
    assert.equal(await takeBack(pool, orderId), 3);
    assert.equal(await takeBack(pool, orderId), 0);
    await left(100, 100, 0);
  }
});

test('takes back a part once for each refund', async () => {
  for (const refundId of [8, 2n ** 41n, 'eight', randomUUID()]) {
    const orderId = `of ${refundId}`;
    await sold(orderId);
    for (let times = 0; times < 2; times++)
      assert.equal(await takeBackPart(pool, orderId, refundId, line(pen, 1)), 1);
    await left(99, 99, 0);
    await fails(
      takeBackPart(pool, orderId, refundId, line(pen, 2)),
      errors.SaleIdConflictError,
      'SK201',
    );
    assert.equal(await takeBack(pool, orderId), 2);
    await left(100, 100, 0);
  }
});

test('takes back what is broken', async () => {
  await sold(7);
  await takeBackPart(pool, 7, 8, line(pen, 1), false);
  await left(98, 99, 1);
  assert.equal(await takeBack(pool, 7, false), 2);
  await left(98, 99, 3);
});

test('takes back no more than was sold', async () => {
  await fails(takeBack(pool, 7), errors.SaleNotFoundError, 'SK101');
  await hold(pool, 7, [line(pen, 2)]);
  await fails(takeBack(pool, 7), errors.ReturnExceedsSaleError, 'SK104');
  await confirm(pool, 7);
  await fails(
    takeBackPart(pool, 7, 8, line(pen, 3)),
    errors.ReturnExceedsSaleError,
    'SK104',
  );
  await left(98, 100, 0);
});

test('takes back with the money or not at all', async () => {
  await sold(7);
  const refund = shop.transaction(async (client) => {
    await takeBack(client, 7);
    throw new Error('no money');
  });
  await assert.rejects(refund, /no money/);
  await left(98, 99, 0);
  assert.equal(await takeBack(pool, 7), 3);
});

test('no more than one buyer may have', async () => {
  assert.deepEqual(await hold(pool, 7, [line(print, 2)], 'ann'), [8]);
  const more = () => hold(pool, 8, [line(print, 1)], 'ann');
  await fails(more(), errors.BuyerLimitExceededError, 'SK004');
  assert.deepEqual(await hold(pool, 9, [line(print, 2)], 70), [6]);
  await confirm(pool, 7);
  await takeBackPart(pool, 7, 'back', line(print, 1));
  assert.deepEqual(await more(), [6]);
});

// All is sent as text, with its type open. A number is as many seconds.
test('what needs no cast', async () => {
  const sql = 'SELECT purchase(1, 1, sale_id => $1, hold_for => $2)';
  const times = ['15 minutes', 900, 15 * 60 * 1000];
  for (const [number, time] of times.entries()) await value(sql, number, time);
  for (const [number, time] of ['00:15:00', '00:15:00', '250:00:00'].entries())
    assert.equal(
      await value(
        'SELECT hold_for::text FROM shop_product_sale WHERE sale_id = $1',
        number,
      ),
      time,
    );
});
