'use strict';

// What a shop wants to tell apart when a sale fails, for the Node.js programs
// here. The message is for the buyer. What the server says names tables: it stays
// in the library's own error, which is the cause.

class SaleError extends Error {
  constructor(cause) {
    super(new.target.text, { cause });
    this.name = new.target.name;
  }
}
class ProductNotFoundError extends SaleError {
  static text = 'There is no such product.';
}
class OutOfStockError extends SaleError {
  static text = 'It is sold out.';
}
class InsufficientQuantityError extends SaleError {
  static text = 'There are not so many left.';
}
class BuyerLimitExceededError extends SaleError {
  static text = 'You may not have so many.';
}
class SaleNotFoundError extends SaleError {
  static text = 'There is no such order.';
}
class HoldExpiredError extends SaleError {
  static text = 'Your time was over, and others have bought it.';
}
class SaleSettledError extends SaleError {
  static text = 'It is too late for that.';
}
class ReturnExceedsSaleError extends SaleError {
  static text = 'There are not so many to return.';
}
class SaleIdConflictError extends SaleError {
  static text = 'There is another order of this number.';
}
class ProductBusyError extends SaleError {
  static text = 'Somebody else is buying it. Try again.';
  retryable = true;
}
class ConflictError extends SaleError {
  static text = 'Your order met another. Try again.';
  retryable = true;
}

const errors = {
  SK001: ProductNotFoundError,
  SK002: OutOfStockError,
  SK003: InsufficientQuantityError,
  SK004: BuyerLimitExceededError,
  SK101: SaleNotFoundError,
  SK102: HoldExpiredError,
  SK103: SaleSettledError,
  SK104: ReturnExceedsSaleError,
  SK201: SaleIdConflictError,
  '55P03': ProductBusyError,
  40001: ConflictError, // serialization failure
  '40P01': ConflictError, // deadlock
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

// Makes a function that runs a whole transaction, and again while it fails for
// what passes. COMMIT can fail, too, so its error is translated here.
function retryingFor(sqlstate) {
  const once = translating(sqlstate, (attempt) => attempt());
  return async (attempt, tries = 10) => {
    for (let delay = 10; ; delay = Math.min(2 * delay, 100)) {
      try {
        return await once(attempt);
      } catch (error) {
        if (!error.retryable || --tries <= 0) throw error;
      }
      const pause = Math.random() * delay;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  };
}

module.exports = {
  SaleError,
  ProductNotFoundError,
  OutOfStockError,
  InsufficientQuantityError,
  BuyerLimitExceededError,
  SaleNotFoundError,
  HoldExpiredError,
  SaleSettledError,
  ReturnExceedsSaleError,
  SaleIdConflictError,
  ProductBusyError,
  ConflictError,
  translating,
  retryingFor,
};
