# What a shop wants to tell apart when a sale fails, for the Ruby programs here.
# The message is for the buyer. What the server says names tables: it stays in the
# library's own error, which Ruby keeps as the cause.
class SaleError < StandardError
  def initialize(text = self.class::TEXT)
    super
  end

  def retryable?
    false
  end
end

class ProductNotFoundError < SaleError
  TEXT = 'There is no such product.'.freeze
end

class OutOfStockError < SaleError
  TEXT = 'It is sold out.'.freeze
end

class InsufficientQuantityError < SaleError
  TEXT = 'There are not so many left.'.freeze
end

class BuyerLimitExceededError < SaleError
  TEXT = 'You may not have so many.'.freeze
end

class ProductBusyError < SaleError
  TEXT = 'Somebody else is buying it. Try again.'.freeze

  def retryable?
    true
  end
end

class StockGuardedError < SaleError
  TEXT = 'The stock has changed meanwhile. Look at it again.'.freeze
end

class SaleNotFoundError < SaleError
  TEXT = 'There is no such order.'.freeze
end

class HoldExpiredError < SaleError
  TEXT = 'Your time was over, and others have bought it.'.freeze
end

class SaleSettledError < SaleError
  TEXT = 'It is too late for that.'.freeze
end

class ReturnExceedsSaleError < SaleError
  TEXT = 'There are not so many to return.'.freeze
end

class SaleIdConflictError < SaleError
  TEXT = 'There is another order of this number.'.freeze
end

class ConflictError < SaleError
  TEXT = 'Your order met another. Try again.'.freeze

  def retryable?
    true
  end
end

SALE_ERRORS = {
  'SK001' => ProductNotFoundError,
  'SK002' => OutOfStockError,
  'SK003' => InsufficientQuantityError,
  'SK004' => BuyerLimitExceededError,
  'SK005' => StockGuardedError,
  'SK101' => SaleNotFoundError,
  'SK102' => HoldExpiredError,
  'SK103' => SaleSettledError,
  'SK104' => ReturnExceedsSaleError,
  'SK201' => SaleIdConflictError,
  '55P03' => ProductBusyError,
  '40001' => ConflictError, # serialization failure
  '40P01' => ConflictError  # deadlock
}.freeze

# Runs a whole transaction, and again while it fails for what passes.
def retrying(tries: 10)
  delay = 0.01
  begin
    yield
  rescue SaleError => e
    raise if !e.retryable? || (tries -= 1) <= 0

    sleep(rand * delay)
    delay = [2 * delay, 0.1].min
    retry
  end
end
