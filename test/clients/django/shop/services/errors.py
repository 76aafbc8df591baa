class PurchaseError(Exception):
    """Says what is known in the shop's words. The server's own names tables and
    is no text for a buyer: it stays in __cause__.
    """
    retryable = False

    def __init__(self, product_id=None, requested=None, available=None):
        self.product_id = product_id
        self.requested = requested
        self.available = available      # None if it isn't known
        self.lines = []                 # of a cart, every line that failed
        super().__init__(f"{self.code}: product {product_id}, {requested} requested,"
                         f" {available} available")


class ProductNotFoundError(PurchaseError):
    code = "product_not_found"


class OutOfStockError(PurchaseError):
    """Nothing left: a smaller quantity won't help."""
    code = "out_of_stock"


class InsufficientQuantityError(PurchaseError):
    """Some left, fewer than asked for."""
    code = "insufficient_quantity"


class BuyerLimitExceededError(PurchaseError):
    """With what the buyer has already, more than one buyer may have."""
    code = "buyer_limit_exceeded"
    has = None          # both for the text that he reads: see services.extension
    may_have = None


class BuyerRequiredError(PurchaseError):
    """It has a limit per buyer: a checkout sells it, to who has logged in."""
    code = "buyer_required"


class StockGuardedError(PurchaseError):
    """An object was saved with a stock that isn't the product's any more."""
    code = "stock_guarded"


class SaleNotFoundError(PurchaseError):
    """Nothing was held for this order."""
    code = "sale_not_found"


class HoldExpiredError(PurchaseError):
    """Its time is over, and others have bought what was held."""
    code = "hold_expired"


class SaleSettledError(PurchaseError):
    """It was paid, and can't be cancelled; or the reverse."""
    code = "sale_settled"


class ReturnExceedsSaleError(PurchaseError):
    """More is to come back than was sold, or it is only held."""
    code = "return_exceeds_sale"


class SaleIdConflictError(PurchaseError):
    """There is an order or a refund of this number, and it is another one."""
    code = "sale_id_conflict"


class ProductBusyError(PurchaseError):
    """Somebody else is buying it."""
    code = "busy"
    retryable = True


class ConflictError(PurchaseError):
    """The transaction met another, on this product or elsewhere."""
    code = "conflict"
    retryable = True


# What is definitive comes before what a retry may cure.
ERRORS = [ProductNotFoundError, OutOfStockError, InsufficientQuantityError,
          BuyerLimitExceededError, ProductBusyError]


def cart_error(errors):
    """The worst of the lines' errors, with all of them."""
    worst = min(errors, key=lambda error: ERRORS.index(type(error)))
    worst.lines = errors
    return worst
