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
  close: () => prisma.$disconnect(),
});
