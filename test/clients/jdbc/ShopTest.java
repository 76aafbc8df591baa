import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

final class ShopTest {
    private static final long PEN = 1, LAMP = 2, CHAIR = 3, DESK = 4, TICKET = 5,
            INK = 6, PRINT = 8, NOTHING = 99;
    private static final UUID FRONT = UUID.fromString("5ea70000-0000-4000-8000-000000000001");

    private static Shop shop;
    private static int count, failed, tries;

    private interface Body {
        void run() throws Exception;
    }

    /** The driver knows no Unix sockets. */
    private static Connection connect(String... options) throws SQLException {
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/"
                + System.getenv("PGDATABASE") + "?" + String.join("&", options);
        return DriverManager.getConnection(url, System.getenv("PGUSER"),
                System.getenv("PGPASSWORD"));
    }

    private static void test(String name, Body body) throws SQLException {
        shop.reset();
        String not = "";
        try {
            body.run();
        } catch (Exception | AssertionError e) {
            System.out.println("# " + e.toString().replace("\n", "\n# "));
            for (StackTraceElement at : e.getStackTrace()) {
                System.out.println("#   at " + at);
            }
            not = "not ";
            failed++;
        }
        System.out.println(not + "ok " + ++count + " - " + name);
    }

    private static void same(Object got, Object expected) {
        if (!Objects.equals(got, expected)) {
            throw new AssertionError(got + " is not " + expected);
        }
    }

    private static long stock(long product) throws SQLException {
        return shop.trySell(product, 1_000_000).remaining();
    }

    /** What the shop says of a failure: its class, or null if there was none. */
    private static Class<?> failure(Body selling) throws Exception {
        try {
            selling.run();
            return null;
        } catch (SaleException e) {
            return e.getClass();
        }
    }

    /** The driver's exception is the cause, and tells all. */
    private static void failsAs(Class<?> expected, long product, long quantity,
            String... told) throws SQLException {
        try {
            shop.sell(product, quantity);
        } catch (SaleException e) {
            same(e.getClass(), expected);
            same(e.isRetryable(), expected == ProductBusyException.class);
            same(e.getCause().getClass(), PSQLException.class);
            ServerErrorMessage server = ((PSQLException) e.getCause()).getServerErrorMessage();
            same(List.of(server.getSQLState(), server.getMessage(), server.getDetail(),
                    server.getTable(), server.getColumn()), List.of(told));
            return;
        }
        throw new AssertionError("it was sold");
    }

    /** Has a buyer who has not committed yet while the rest is done. */
    private static void whileSelling(long product, Body meanwhile) throws Exception {
        try (Connection connection = connect()) {
            Shop other = new Shop(connection);
            connection.setAutoCommit(false);
            other.sell(product, 1);
            meanwhile.run();
            connection.commit();
        }
    }

    /** A transaction that orders the next of these each time it is run. */
    private static Shop.Work attempts(Shop.Line... orders) {
        tries = 0;
        return () -> {
            Shop.Line order = orders[tries++];
            shop.order(order.productId(), (int) order.quantity(), () -> { });
        };
    }

    private static Shop.Line order(long product, long quantity) {
        return new Shop.Line(product, quantity);
    }

    private static String text(Shop.Line order) throws Exception {
        try {
            Shop.retrying(1, attempts(order));
            return null;
        } catch (SaleException e) {
            return e.getMessage();
        }
    }

    private static Class<?> patientBuyer() throws Exception {
        try (Connection connection = connect()) {
            Shop buyer = new Shop(connection);
            return failure(() -> Shop.retrying(1000, () -> buyer.order(TICKET, 1, () -> { })));
        }
    }

    private static List<Shop.SoldLine> hold(long order, Shop.Line... lines) throws SQLException {
        return shop.hold(order, List.of(lines), Duration.ofMinutes(15), null);
    }

    private static long holdPrints(long order, long quantity, String buyer) throws SQLException {
        return shop.hold(order, List.of(order(PRINT, quantity)), Duration.ofMinutes(15), buyer)
                .get(0).remaining();
    }

    /** Its time is over, and somebody else buys what was held. */
    private static void taken(long order, long product, long quantity) throws SQLException {
        try (Connection other = connect(); Statement statement = other.createStatement()) {
            statement.executeUpdate("UPDATE shop_product_hold SET expires_at = '2020-01-01'"
                    + " WHERE sale_id = '" + order + "'");
            new Shop(other).sell(product, quantity);
        }
    }

    private static void sellWithId(long order) throws SQLException {
        hold(order, order(PEN, 2), order(INK, 1));
        shop.confirm(order);
    }

    /** Of the pens and the ink, and how many of them are broken. */
    private static List<Long> left() throws SQLException {
        String sql = "SELECT sum(discarded) FROM shop_product_sale WHERE state = 'sold'";
        try (Connection other = connect(); Statement statement = other.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return List.of(stock(PEN), stock(INK), row.getLong(1));
        }
    }

    private static void fails(Class<?> expected, String sqlState, Body body) throws Exception {
        try {
            body.run();
        } catch (SaleException e) {
            same(e.getClass(), expected);
            same(e.isRetryable(), false);
            same(e.getCause().getClass(), PSQLException.class);
            same(((SQLException) e.getCause()).getSQLState(), sqlState);
            return;
        }
        throw new AssertionError("it did not fail");
    }

    /** Holds with parameters that have no cast; returns the SQLSTATE of a refusal. */
    private static String holdWith(Object orderId, Object time) throws Exception {
        String sql = "SELECT purchase(1, 1, sale_id => ?, hold_for => ?)";
        try (Connection other = connect();
                PreparedStatement statement = other.prepareStatement(sql)) {
            statement.setObject(1, orderId);
            statement.setObject(2, time);
            statement.executeQuery();
            return null;
        } catch (SQLException e) {
            return e.getSQLState();
        }
    }

    public static void main(String[] args) throws Exception {
        try (Connection connection = connect()) {
            System.out.println("# version: pgjdbc " + connection.getMetaData().getDriverVersion()
                    + ", Java " + System.getProperty("java.version"));
            shop = new Shop(connection);
            run();
        }
        System.out.println("1.." + count);
        System.exit(failed > 0 ? 1 : 0);
    }

    private static void run() throws Exception {
        test("sells by bigint key", () -> {
            same(shop.sell(PEN, 3), 97L);
            same(shop.sell(PEN, 1), 96L);
        });

        test("sells by uuid key", () -> same(shop.sellSeat(FRONT, 2), 98L));

        test("sells a cart", () -> same(
                shop.sellCart(List.of(new Shop.Line(INK, 1), new Shop.Line(PEN, 2),
                        new Shop.Line(INK, 3))),
                List.of(new Shop.SoldLine(PEN, 2, 98), new Shop.SoldLine(INK, 4, 96))));

        test("says why not without raising", () -> {
            shop.transaction(() -> {
                same(shop.trySell(CHAIR, 1), new Shop.Outcome("out_of_stock", 0L));
                same(shop.trySell(NOTHING, 1), new Shop.Outcome("product_not_found", null));
                same(shop.trySell(PEN, 1), new Shop.Outcome("sold", 99L));
            });
            same(stock(PEN), 99L);
        });

        test("rolls back sale and order line together", () -> {
            try {
                shop.order(PEN, 2, () -> {
                    throw new IllegalStateException("not paid");
                });
                throw new AssertionError("it was sold");
            } catch (IllegalStateException e) {
                same(e.getMessage(), "not paid");
            }
            same(List.of(stock(PEN), shop.orderLines()), List.of(100L, 0));
            shop.order(PEN, 2, () -> { });
            same(List.of(stock(PEN), shop.orderLines()), List.of(98L, 1));
        });

        test("product not found", () -> failsAs(ProductNotFoundException.class, NOTHING, 1,
                "SK001", "product 99 not found",
                "Key (id)=(99) is not present in table \"shop_product\".",
                "shop_product", "id"));

        test("out of stock", () -> failsAs(OutOfStockException.class, CHAIR, 1,
                "SK002", "product 3 is out of stock",
                "Product 3 has 0 in stock, 1 was requested.",
                "shop_product", "stock"));

        test("insufficient quantity",
                () -> failsAs(InsufficientQuantityException.class, DESK, 3,
                        "SK003", "not enough stock of product 4",
                        "Product 4 has 2 in stock, 3 were requested.",
                        "shop_product", "stock"));

        test("busy", () -> whileSelling(LAMP,
                () -> failsAs(ProductBusyException.class, LAMP, 1,
                        "55P03", "product 2 is busy",
                        "Another transaction holds a lock on the row of product 2.",
                        "shop_product", "stock")));

        test("two buyers of the last unit", () -> {
            whileSelling(LAMP, () -> same(failure(() -> shop.sell(LAMP, 1)),
                    ProductBusyException.class));
            same(failure(() -> shop.sell(LAMP, 1)), OutOfStockException.class);
            same(stock(LAMP), 0L);
        });

        test("twenty buyers of ten units", () -> {
            ExecutorService threads = Executors.newFixedThreadPool(20);
            List<Callable<Class<?>>> buyers = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                buyers.add(ShopTest::patientBuyer);
            }
            int refused = 0;
            for (Future<Class<?>> buyer : threads.invokeAll(buyers)) {
                if (buyer.get() != null) {
                    same(buyer.get(), OutOfStockException.class);
                    refused++;
                }
            }
            threads.shutdown();
            same(refused, 10);
            same(List.of(stock(TICKET), shop.orderLines()), List.of(0L, 10));
        });

        test("retries a busy product", () -> {
            try (Connection connection = connect()) {
                Shop other = new Shop(connection);
                connection.setAutoCommit(false);
                other.sell(PEN, 1);
                Shop.Work attempt = attempts(order(PEN, 1), order(PEN, 1));
                Shop.retrying(10, () -> {
                    if (tries > 0) {
                        connection.commit();
                    }
                    attempt.run();
                });
            }
            same(List.of(tries, stock(PEN), shop.orderLines()), List.of(2, 98L, 1));
        });

        test("retries conflicts", () -> {
            Shop.retrying(10, attempts(order(PEN, 41), order(PEN, 42), order(PEN, 1)));
            same(List.of(tries, stock(PEN), shop.orderLines()), List.of(3, 99L, 1));
        });

        test("retries nothing else", () -> {
            same(failure(() -> Shop.retrying(10, attempts(order(NOTHING, 1), order(PEN, 1)))),
                    ProductNotFoundException.class);
            same(failure(() -> Shop.retrying(10, attempts(order(CHAIR, 1), order(PEN, 1)))),
                    OutOfStockException.class);
            same(failure(() -> Shop.retrying(10, attempts(order(DESK, 3), order(PEN, 1)))),
                    InsufficientQuantityException.class);
            try {
                Shop.retrying(10, attempts(order(PEN, 43), order(PEN, 1)));
                throw new AssertionError("it was sold");
            } catch (SQLException e) {
                same(e.getSQLState(), "23514");
            }
            same(List.of(tries, stock(PEN)), List.of(1, 100L));
        });

        test("gives up", () -> whileSelling(PEN, () -> {
            same(failure(() -> Shop.retrying(3, attempts(order(PEN, 1), order(PEN, 1),
                    order(PEN, 1), order(PEN, 1)))), ProductBusyException.class);
            same(tries, 3);
        }));

        test("tells buyers a text of its own", () -> {
            same(text(order(NOTHING, 1)), "There is no such product.");
            same(text(order(CHAIR, 1)), "It is sold out.");
            same(text(order(DESK, 3)), "There are not so many left.");
            same(text(order(PEN, 41)), "Your order met another. Try again.");
        });

        test("holds and confirms", () -> {
            for (int times = 0; times < 2; times++) {
                same(hold(7, order(INK, 1), order(PEN, 2)),
                        List.of(new Shop.SoldLine(PEN, 2, 98), new Shop.SoldLine(INK, 1, 99)));
            }
            same(List.of(shop.confirm(7), shop.confirm(7)), List.of(true, false));
            same(hold(7, order(INK, 1), order(PEN, 2)).size(), 2);
            same(stock(PEN), 98L);
        });

        test("another cart of the same number", () -> {
            hold(7, order(PEN, 2));
            fails(SaleIdConflictException.class, "SK201", () -> hold(7, order(PEN, 3)));
            fails(SaleIdConflictException.class, "SK201",
                    () -> shop.hold(7, List.of(order(PEN, 2)), Duration.ofHours(1), null));
        });

        test("the time was over", () -> {
            hold(7, order(LAMP, 1));
            taken(7, LAMP, 1);
            fails(HoldExpiredException.class, "SK102", () -> shop.confirm(7));
            fails(HoldExpiredException.class, "SK102", () -> hold(7, order(LAMP, 1)));
        });

        test("releases", () -> {
            fails(SaleNotFoundException.class, "SK101", () -> shop.release(7));
            hold(7, order(PEN, 2), order(INK, 1));
            same(List.of(shop.release(7), shop.release(7)), List.of(3L, 0L));
            fails(SaleSettledException.class, "SK103", () -> shop.confirm(7));
        });

        test("takes back once", () -> {
            sellWithId(7);
            same(List.of(shop.takeBack(7, true), shop.takeBack(7, true)), List.of(3L, 0L));
            same(left(), List.of(100L, 100L, 0L));
        });

        test("takes back a part once for each refund", () -> {
            UUID refund = UUID.randomUUID();
            sellWithId(7);
            for (int times = 0; times < 2; times++) {
                same(shop.takeBackPart(7, refund, order(PEN, 1), true), 1L);
            }
            same(left(), List.of(99L, 99L, 0L));
            fails(SaleIdConflictException.class, "SK201",
                    () -> shop.takeBackPart(7, refund, order(PEN, 2), true));
            same(shop.takeBack(7, true), 2L);
            same(left(), List.of(100L, 100L, 0L));
        });

        test("takes back what is broken", () -> {
            sellWithId(7);
            same(shop.takeBackPart(7, UUID.randomUUID(), order(PEN, 1), false), 1L);
            same(left(), List.of(98L, 99L, 1L));
            same(shop.takeBack(7, false), 2L);
            same(left(), List.of(98L, 99L, 3L));
        });

        test("takes back no more than was sold", () -> {
            fails(SaleNotFoundException.class, "SK101", () -> shop.takeBack(7, true));
            hold(7, order(PEN, 2));
            fails(ReturnExceedsSaleException.class, "SK104", () -> shop.takeBack(7, true));
            shop.confirm(7);
            fails(ReturnExceedsSaleException.class, "SK104",
                    () -> shop.takeBackPart(7, UUID.randomUUID(), order(PEN, 3), true));
            same(left(), List.of(98L, 100L, 0L));
        });

        test("takes back with the money or not at all", () -> {
            sellWithId(7);
            try {
                shop.transaction(() -> {
                    shop.takeBack(7, true);
                    throw new SQLException("no money");
                });
            } catch (SQLException e) {
                same(e.getMessage(), "no money");
            }
            same(left(), List.of(98L, 99L, 0L));
            same(shop.takeBack(7, true), 3L);
        });

        test("no more than one buyer may have", () -> {
            same(holdPrints(7, 2, "ann"), 8L);
            fails(BuyerLimitExceededException.class, "SK004", () -> holdPrints(8, 1, "ann"));
            same(holdPrints(9, 2, "bob"), 6L);
            shop.confirm(7);
            shop.takeBackPart(7, UUID.randomUUID(), order(PRINT, 1), true);
            same(holdPrints(8, 1, "ann"), 6L);
        });

        test("what needs a cast", () -> {
            PGInterval time = new PGInterval("15 minutes");
            same(holdWith("7", time), null);
            same(holdWith(8L, time), "42883");
            same(holdWith(UUID.randomUUID(), time), "42883");
            same(holdWith("9", "15 minutes"), "42883");
        });

        test("waits if the connection says so", () -> {
            try (Connection connection = connect(Shop.PATIENTLY)) {
                same(new Shop(connection).lockWait(), "2s");
            }
        });
    }
}
