import java.sql.SQLException;

/**
 * What a shop wants to tell apart when a sale fails. The message is for the buyer.
 * What the server says names tables: it stays in the driver's exception, the cause.
 */
abstract class SaleException extends RuntimeException {
    SaleException(String text, SQLException cause) {
        super(text, cause);
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
            case "SK004": throw new BuyerLimitExceededException(e);
            case "SK101": throw new SaleNotFoundException(e);
            case "SK102": throw new HoldExpiredException(e);
            case "SK103": throw new SaleSettledException(e);
            case "SK104": throw new ReturnExceedsSaleException(e);
            case "SK201": throw new SaleIdConflictException(e);
            case "55P03": throw new ProductBusyException(e);
            case "40001":                           // serialization failure
            case "40P01": throw new ConflictException(e);   // deadlock
            default: return e;
        }
    }
}

final class ProductNotFoundException extends SaleException {
    ProductNotFoundException(SQLException cause) {
        super("There is no such product.", cause);
    }
}

final class OutOfStockException extends SaleException {
    OutOfStockException(SQLException cause) {
        super("It is sold out.", cause);
    }
}

final class InsufficientQuantityException extends SaleException {
    InsufficientQuantityException(SQLException cause) {
        super("There are not so many left.", cause);
    }
}

final class BuyerLimitExceededException extends SaleException {
    BuyerLimitExceededException(SQLException cause) {
        super("You may not have so many.", cause);
    }
}

final class SaleNotFoundException extends SaleException {
    SaleNotFoundException(SQLException cause) {
        super("There is no such order.", cause);
    }
}

final class HoldExpiredException extends SaleException {
    HoldExpiredException(SQLException cause) {
        super("Your time was over, and others have bought it.", cause);
    }
}

final class SaleSettledException extends SaleException {
    SaleSettledException(SQLException cause) {
        super("It is too late for that.", cause);
    }
}

final class ReturnExceedsSaleException extends SaleException {
    ReturnExceedsSaleException(SQLException cause) {
        super("There are not so many to return.", cause);
    }
}

final class SaleIdConflictException extends SaleException {
    SaleIdConflictException(SQLException cause) {
        super("There is another order of this number.", cause);
    }
}

final class ProductBusyException extends SaleException {
    ProductBusyException(SQLException cause) {
        super("Somebody else is buying it. Try again.", cause);
    }

    @Override
    boolean isRetryable() {
        return true;
    }
}

final class ConflictException extends SaleException {
    ConflictException(SQLException cause) {
        super("Your order met another. Try again.", cause);
    }

    @Override
    boolean isRetryable() {
        return true;
    }
}
