'use strict';

// Sells with Prisma, through its adapter for node-postgres, which takes the
// connection from the environment: PGHOST, PGPORT, PGUSER, PGDATABASE.
const { PrismaPg } = require('@prisma/adapter-pg');
const { PrismaClient } = require('@prisma/client');
const { retryingFor, translating } = require('../node/errors');

const prisma = new PrismaClient({ adapter: new PrismaPg({ max: 20 }) });

// Its sales wait for a busy product.
const patientPrisma = new PrismaClient({
  adapter: new PrismaPg({ max: 20, options: '-c purchase.lock_wait=2s' }),
});

// A PrismaClientKnownRequestError (P2010, or P2034 for 40001) has the adapter's
// error inside, and COMMIT throws that alone. The server's is its cause.
const sqlstate = (error) =>
  (error.meta?.driverAdapterError ?? error).cause?.originalCode;

const retrying = retryingFor(sqlstate);

// Sells with prisma or, within a transaction, with its tx; returns what remains.
const sell = translating(sqlstate, async (prisma, productId, quantity) => {
  const [{ remaining }] =
    await prisma.$queryRaw`SELECT purchase(${productId}, ${quantity}) AS remaining`;
  return Number(remaining);
});

const sellSeat = translating(sqlstate, async (prisma, seatId, quantity) => {
  const [{ remaining }] = await prisma.$queryRaw`
    SELECT purchase(${seatId}, ${quantity}, 'shop_seat') AS remaining`;
  return Number(remaining);
});

// All lines or none.
const sellCart = translating(sqlstate, async (prisma, lines) => {
  const productIds = lines.map((line) => line.productId);
  const quantities = lines.map((line) => line.quantity);
  const rows = await prisma.$queryRaw`
    SELECT * FROM purchase_cart(${productIds}, ${quantities})`;
  return rows.map((row) => ({
    productId: Number(row.product_id),
    quantity: Number(row.qty),
    remaining: Number(row.remaining),
  }));
});

async function trySell(prisma, productId, quantity) {
  const [{ outcome, remaining }] =
    await prisma.$queryRaw`SELECT * FROM purchase_try(${productId}, ${quantity})`;
  return { outcome, remaining: remaining === null ? null : Number(remaining) };
}

// The sale, the order line and the payment, or nothing.
function order(productId, quantity, pay) {
  return prisma.$transaction(async (tx) => {
    await sell(tx, productId, quantity);
    await tx.orderLine.create({ data: { productId, quantity } });
    await pay();
  });
}

module.exports = {
  prisma,
  patientPrisma,
  retrying,
  sell,
  sellSeat,
  sellCart,
  trySell,
  order,
};
