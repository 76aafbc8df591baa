import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** Sells through JDBC, on one connection. */
final class Shop {
    record Line(long productId, long quantity) {}

    record SoldLine(long productId, long quantity, long remaining) {}

    /** remaining is null for a product that is busy or was not found. */
    record Outcome(String outcome, Long remaining) {}

    /** What is done within a transaction. */
    interface Work {
        void run() throws SQLException;
    }

    /** In the URL of a connection whose sales wait for a busy product. */
    static final String PATIENTLY = "options=-c%20purchase.lock_wait=2s";

    private final Connection connection;

    Shop(Connection connection) {
        this.connection = connection;
    }

    /** Returns what remains. */
    long sell(long productId, long quantity) throws SQLException {
        String sql = "SELECT purchase(?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, productId);
            statement.setLong(2, quantity);
            return number(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    long sellSeat(UUID seatId, long quantity) throws SQLException {
        String sql = "SELECT purchase(?, ?, 'shop_seat')";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setObject(1, seatId);
            statement.setLong(2, quantity);
            return number(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    private static long number(PreparedStatement statement) throws SQLException {
        try (ResultSet row = statement.executeQuery()) {
            row.next();
            return row.getLong(1);
        }
    }

    /** All lines or none. */
    List<SoldLine> sellCart(List<Line> lines) throws SQLException {
        Array ids = bigints(lines.stream().map(Line::productId).toArray(Long[]::new));
        Array quantities = bigints(lines.stream().map(Line::quantity).toArray(Long[]::new));
        String sql = "SELECT * FROM purchase_cart(?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setArray(1, ids);
            statement.setArray(2, quantities);
            return soldLines(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    private static List<SoldLine> soldLines(PreparedStatement statement) throws SQLException {
        List<SoldLine> sold = new ArrayList<>();
        try (ResultSet row = statement.executeQuery()) {
            while (row.next()) {
                sold.add(new SoldLine(row.getLong("product_id"),
                        row.getLong("qty"), row.getLong("remaining")));
            }
        }
        return sold;
    }

    /** All lines or none. Repeated, it answers what it did the first time. */
    List<SoldLine> hold(long orderId, List<Line> lines, Duration time, String buyer)
            throws SQLException {
        Array ids = bigints(lines.stream().map(Line::productId).toArray(Long[]::new));
        Array quantities = bigints(lines.stream().map(Line::quantity).toArray(Long[]::new));
        String sql = "SELECT * FROM purchase_cart(?, ?,"
                + " sale_id => ?::text, hold_for => ?::interval, buyer => ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setArray(1, ids);
            statement.setArray(2, quantities);
            statement.setLong(3, orderId);
            statement.setString(4, time.toString());    // PT15M
            statement.setString(5, buyer);
            return soldLines(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    /** False if that was done before. After HoldExpiredException, pay back. */
    boolean confirm(long orderId) throws SQLException {
        String sql = "SELECT purchase_confirm(?::text)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, orderId);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return row.getBoolean(1);
            }
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    /** Returns the units that are given back. */
    long release(long orderId) throws SQLException {
        String sql = "SELECT purchase_release(?::text)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, orderId);
            return number(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    /** All that is left of an order. Returns the units: 0 if that was done before. */
    long takeBack(long orderId, boolean restock) throws SQLException {
        String sql = "SELECT purchase_return(?::text, restock => ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, orderId);
            statement.setBoolean(2, restock);
            return number(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    /** Repeated with the refund's id, it answers the same, and does nothing. */
    long takeBackPart(long orderId, UUID refundId, Line line, boolean restock)
            throws SQLException {
        String sql = "SELECT purchase_return(?::text, ?, ?, ?::text, restock => ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, orderId);
            statement.setLong(2, line.productId());
            statement.setLong(3, line.quantity());
            statement.setObject(4, refundId);
            statement.setBoolean(5, restock);
            return number(statement);
        } catch (SQLException e) {
            throw SaleException.translate(e);
        }
    }

    private Array bigints(Long[] values) throws SQLException {
        return connection.createArrayOf("bigint", values);
    }

    Outcome trySell(long productId, long quantity) throws SQLException {
        String sql = "SELECT * FROM purchase_try(?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, productId);
            statement.setLong(2, quantity);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return new Outcome(row.getString("outcome"),
                        row.getObject("remaining", Long.class));
            }
        }
    }

    /** The sale, the order line and the payment, or nothing. */
    void order(long productId, int quantity, Work pay) throws SQLException {
        transaction(() -> {
            sell(productId, quantity);
            String sql = "INSERT INTO shop_order_line (product_id, quantity) VALUES (?, ?)";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                statement.setLong(1, productId);
                statement.setInt(2, quantity);
                statement.executeUpdate();
            }
            pay.run();
        });
    }

    void transaction(Work work) throws SQLException {
        connection.setAutoCommit(false);
        try {
            work.run();
            connection.commit();
        } catch (SQLException e) {
            connection.rollback();
            throw SaleException.translate(e);       // COMMIT can fail, too
        } catch (RuntimeException e) {
            connection.rollback();
            throw e;
        } finally {
            connection.setAutoCommit(true);
        }
    }

    /** Runs a whole transaction, and again while it fails for what passes. */
    static void retrying(int tries, Work attempt) throws SQLException, InterruptedException {
        for (long delay = 10;; delay = Math.min(2 * delay, 100)) {
            try {
                attempt.run();
                return;
            } catch (SaleException e) {
                if (!e.isRetryable() || --tries <= 0) {
                    throw e;
                }
            }
            Thread.sleep((long) (Math.random() * delay));
        }
    }

    /** The call comes first: from then on the setting is the extension's own. */
    String lockWait() throws SQLException {
        String sql = "SELECT purchase(1, 1), current_setting('purchase.lock_wait')";
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getString(2);
        }
    }

    int orderLines() throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT count(*) FROM shop_order_line")) {
            row.next();
            return row.getInt(1);
        }
    }

    void reset() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("SELECT shop_reset()");
        }
    }
}
