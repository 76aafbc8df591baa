'use strict';

// What a shop wants to tell apart when a sale fails, for the Node.js programs
// here. The library's own error is kept as the cause.

class SaleError extends Error {
  constructor(cause) {
    super(cause.message, { cause });
    this.name = this.constructor.name;
  }
}
class ProductNotFoundError extends SaleError {}
class OutOfStockError extends SaleError {}
class InsufficientQuantityError extends SaleError {}
class ProductBusyError extends SaleError {
  retryable = true;
}

const errors = {
  SK001: ProductNotFoundError,
  SK002: OutOfStockError,
  SK003: InsufficientQuantityError,
  '55P03': ProductBusyError,
};

// Makes a function that throws the shop's errors out of one that throws the
// library's. sqlstate(error) finds the code in the library's error.
const translating =
  (sqlstate, sell) =>
  async (...args) => {
    try {
      return await sell(...args);
    } catch (error) {
      const ShopError = errors[sqlstate(error)];
      throw ShopError ? new ShopError(error) : error;
    }
  };

// Repeats a whole transaction while it fails for a reason that passes.
async function retrying(attempt) {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!error.retryable) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * Math.random()));
    }
  }
}

module.exports = {
  ProductNotFoundError,
  OutOfStockError,
  InsufficientQuantityError,
  ProductBusyError,
  translating,
  retrying,
};
