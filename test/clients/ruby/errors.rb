# What a shop wants to tell apart when a sale fails, for the Ruby programs here.
# Ruby keeps the library's own error as the cause.
class SaleError < StandardError
  def retryable?
    false
  end
end

class ProductNotFoundError < SaleError; end

class OutOfStockError < SaleError; end

class InsufficientQuantityError < SaleError; end

class ProductBusyError < SaleError
  def retryable?
    true
  end
end

SALE_ERRORS = {
  'SK001' => ProductNotFoundError,
  'SK002' => OutOfStockError,
  'SK003' => InsufficientQuantityError,
  '55P03' => ProductBusyError
}.freeze

# Repeats a whole transaction while it fails for a reason that passes.
def retrying
  yield
rescue SaleError => e
  raise unless e.retryable?

  sleep(rand * 0.02)
  retry
end
