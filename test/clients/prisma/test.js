'use strict';

const { Prisma } = require('@prisma/client');
const contract = require('../node/contract');
const shop = require('./shop');
const { prisma } = shop;

contract({
  ...shop,
  db: prisma,
  transaction: (work) => prisma.$transaction(work),
  LibraryError: Prisma.PrismaClientKnownRequestError,
  // The table is not handed on.
  fields({ meta }) {
    const { originalCode, originalMessage, detail, column } =
      meta.driverAdapterError.cause;
    return {
      code: originalCode,
      message: originalMessage,
      detail,
      column,
    };
  },
  reset: () => prisma.$executeRaw`SELECT shop_reset()`,
  orderLines: () => prisma.orderLine.count(),
  async lockWait(query) {
    const [{ setting }] = await shop.patientPrisma.$queryRawUnsafe(query);
    return setting;
  },
  // The connection whose COMMIT failed is not given back to the pool, which would
  // wait for it.
  async close() {
    await prisma.$executeRaw`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    prisma.$disconnect();
    await shop.patientPrisma.$disconnect();
  },
});
