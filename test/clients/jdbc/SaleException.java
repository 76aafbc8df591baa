import java.sql.SQLException;

/** What a shop wants to tell apart when a sale fails. */
abstract class SaleException extends RuntimeException {
    SaleException(SQLException cause) {
        super(cause.getMessage(), cause);
    }

    boolean isRetryable() {
        return false;
    }

    /** Throws the shop's exception for the driver's, or returns the driver's. */
    static SQLException translate(SQLException e) {
        switch (String.valueOf(e.getSQLState())) {
            case "SK001": throw new ProductNotFoundException(e);
            case "SK002": throw new OutOfStockException(e);
            case "SK003": throw new InsufficientQuantityException(e);
            case "55P03": throw new ProductBusyException(e);
            default: return e;
        }
    }
}

final class ProductNotFoundException extends SaleException {
    ProductNotFoundException(SQLException cause) {
        super(cause);
    }
}

final class OutOfStockException extends SaleException {
    OutOfStockException(SQLException cause) {
        super(cause);
    }
}

final class InsufficientQuantityException extends SaleException {
    InsufficientQuantityException(SQLException cause) {
        super(cause);
    }
}

final class ProductBusyException extends SaleException {
    ProductBusyException(SQLException cause) {
        super(cause);
    }

    @Override
    boolean isRetryable() {
        return true;
    }
}
