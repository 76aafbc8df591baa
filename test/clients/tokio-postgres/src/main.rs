//! The contract of README.md.

mod shop;

use shop::{
    order, patiently, retrying, sell, sell_cart, sell_seat, try_sell, SaleError, SoldLine,
};
use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

const PEN: i64 = 1;
const LAMP: i64 = 2;
const CHAIR: i64 = 3;
const DESK: i64 = 4;
const TICKET: i64 = 5;
const INK: i64 = 6;
const NOTHING: i64 = 99;
const FRONT: Uuid = Uuid::from_u128(0x5ea70000_0000_4000_8000_000000000001);

type Outcome = Result<(), Box<dyn Error>>;

/// The library doesn't read the environment.
fn config() -> Config {
    let env = |name| std::env::var(name).unwrap();
    let mut config = Config::new();
    config
        .host(&env("PGHOST"))
        .port(env("PGPORT").parse().unwrap())
        .user(&env("PGUSER"))
        .dbname(&env("PGDATABASE"));
    config
}

async fn connect_with(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn connect() -> Client {
    connect_with(&config()).await
}

macro_rules! same {
    ($got:expr, $expected:expr) => {
        let (got, expected) = ($got, $expected);
        if got != expected {
            return Err(format!("{:?} is not {:?}", got, expected).into());
        }
    };
}

macro_rules! fails_as {
    ($selling:expr, $error:ident) => {
        match $selling {
            Err(SaleError::$error(_)) => (),
            other => return Err(format!("{:?} is not {}", other, stringify!($error)).into()),
        }
    };
}

/// Expects the code, message, detail, table and column of the library's error.
fn tells<T>(result: Result<T, SaleError>, told: [&str; 5]) -> Outcome {
    let error = result.err().ok_or("it was sold")?;
    same!(error.is_retryable(), told[0] == "55P03");
    let e = error
        .cause()
        .as_db_error()
        .ok_or("it's no error of the server")?;
    same!(
        [
            Some(e.code().code()),
            Some(e.message()),
            e.detail(),
            e.table(),
            e.column()
        ],
        told.map(Some)
    );
    Ok(())
}

async fn state(client: &Client, product: i64, stock: i64, order_lines: i64) -> Outcome {
    same!(try_sell(client, product, 1_000_000).await?.1, Some(stock));
    let row = client
        .query_one("SELECT count(*) FROM shop_order_line", &[])
        .await?;
    same!(row.get::<_, i64>(0), order_lines);
    Ok(())
}

async fn sells_by_bigint_key() -> Outcome {
    let client = connect().await;
    same!(sell(&client, PEN, 3).await?, 97);
    same!(sell(&client, PEN, 1).await?, 96);
    Ok(())
}

async fn sells_by_uuid_key() -> Outcome {
    same!(sell_seat(&connect().await, FRONT, 2).await?, 98);
    Ok(())
}

async fn sells_a_cart() -> Outcome {
    let sold = |product_id, quantity, remaining| SoldLine {
        product_id,
        quantity,
        remaining,
    };
    same!(
        sell_cart(&connect().await, &[(INK, 1), (PEN, 2), (INK, 3)]).await?,
        [sold(PEN, 2, 98), sold(INK, 4, 96)]
    );
    Ok(())
}

async fn says_why_not() -> Outcome {
    let mut client = connect().await;
    let tx = client.transaction().await?;
    same!(
        try_sell(&tx, CHAIR, 1).await?,
        ("out_of_stock".into(), Some(0))
    );
    same!(
        try_sell(&tx, NOTHING, 1).await?,
        ("product_not_found".into(), None)
    );
    same!(try_sell(&tx, PEN, 1).await?, ("sold".into(), Some(99)));
    tx.commit().await?;
    state(&client, PEN, 99, 0).await
}

async fn rolls_back() -> Outcome {
    let mut client = connect().await;
    let unpaid: Outcome = order(&mut client, PEN, 2, || Err("not paid".into())).await;
    same!(unpaid.unwrap_err().to_string(), "not paid");
    state(&client, PEN, 100, 0).await?;
    order(&mut client, PEN, 2, || Outcome::Ok(())).await?;
    state(&client, PEN, 98, 1).await
}

async fn product_not_found() -> Outcome {
    let client = connect().await;
    fails_as!(sell(&client, NOTHING, 1).await, ProductNotFound);
    tells(
        sell(&client, NOTHING, 1).await,
        [
            "SK001",
            "product 99 not found",
            "Key (id)=(99) is not present in table \"shop_product\".",
            "shop_product",
            "id",
        ],
    )
}

async fn out_of_stock() -> Outcome {
    let client = connect().await;
    fails_as!(sell(&client, CHAIR, 1).await, OutOfStock);
    tells(
        sell(&client, CHAIR, 1).await,
        [
            "SK002",
            "product 3 is out of stock",
            "Product 3 has 0 in stock, 1 was requested.",
            "shop_product",
            "stock",
        ],
    )
}

async fn insufficient_quantity() -> Outcome {
    let client = connect().await;
    fails_as!(sell(&client, DESK, 3).await, InsufficientQuantity);
    tells(
        sell(&client, DESK, 3).await,
        [
            "SK003",
            "not enough stock of product 4",
            "Product 4 has 2 in stock, 3 were requested.",
            "shop_product",
            "stock",
        ],
    )
}

async fn busy() -> Outcome {
    let (mut other, client) = (connect().await, connect().await);
    let tx = other.transaction().await?;
    sell(&tx, LAMP, 1).await?;
    fails_as!(sell(&client, LAMP, 1).await, ProductBusy);
    tells(
        sell(&client, LAMP, 1).await,
        [
            "55P03",
            "product 2 is busy",
            "Another transaction holds a lock on the row of product 2.",
            "shop_product",
            "stock",
        ],
    )
}

async fn two_buyers() -> Outcome {
    let (mut other, client) = (connect().await, connect().await);
    let tx = other.transaction().await?;
    sell(&tx, LAMP, 1).await?;
    fails_as!(sell(&client, LAMP, 1).await, ProductBusy);
    tx.commit().await?;
    fails_as!(sell(&client, LAMP, 1).await, OutOfStock);
    state(&client, LAMP, 0, 0).await
}

async fn patient_buyer() -> Result<(), SaleError> {
    let client = Mutex::new(connect().await);
    retrying(1000, || async {
        order(&mut *client.lock().await, TICKET, 1, || Ok(())).await
    })
    .await
}

/// Orders the next of these each time it is tried; returns how often that was.
async fn buy(tries: u32, orders: &[(i64, i32)]) -> (u32, Result<(), SaleError>) {
    let client = Mutex::new(connect().await);
    let tried = Cell::new(0);
    let result = retrying(tries, || async {
        let (product, quantity) = orders[tried.get() as usize];
        tried.set(tried.get() + 1);
        order(&mut *client.lock().await, product, quantity, || Ok(())).await
    })
    .await;
    (tried.get(), result)
}

async fn retries_busy() -> Outcome {
    let mut other = connect().await;
    let tx = other.transaction().await?;
    sell(&tx, PEN, 1).await?;
    let (tx, client) = (Cell::new(Some(tx)), Mutex::new(connect().await));
    let tried = Cell::new(0);
    retrying(10, || async {
        tried.set(tried.get() + 1);
        if tried.get() == 2 {
            tx.take().unwrap().commit().await?;
        }
        order(&mut *client.lock().await, PEN, 1, || Ok(())).await
    })
    .await?;
    same!(tried.get(), 2);
    state(&connect().await, PEN, 98, 1).await
}

async fn retries_conflicts() -> Outcome {
    let (tried, result) = buy(10, &[(PEN, 41), (PEN, 42), (PEN, 1)]).await;
    result?;
    same!(tried, 3);
    state(&connect().await, PEN, 99, 1).await
}

async fn retries_nothing_else() -> Outcome {
    let (tried, result) = buy(10, &[(NOTHING, 1); 2]).await;
    fails_as!(result, ProductNotFound);
    same!(tried, 1);
    let (tried, result) = buy(10, &[(CHAIR, 1); 2]).await;
    fails_as!(result, OutOfStock);
    same!(tried, 1);
    let (tried, result) = buy(10, &[(DESK, 3); 2]).await;
    fails_as!(result, InsufficientQuantity);
    same!(tried, 1);
    let (tried, result) = buy(10, &[(PEN, 43); 2]).await;
    fails_as!(result, Other);
    same!(tried, 1);
    state(&connect().await, PEN, 100, 0).await
}

async fn gives_up() -> Outcome {
    let mut other = connect().await;
    let tx = other.transaction().await?;
    sell(&tx, PEN, 1).await?;
    let (tried, result) = buy(3, &[(PEN, 1); 4]).await;
    fails_as!(result, ProductBusy);
    same!(tried, 3);
    tx.rollback().await?;
    Ok(())
}

async fn tells_buyers() -> Outcome {
    for (order, text) in [
        ((NOTHING, 1), "There is no such product."),
        ((CHAIR, 1), "It is sold out."),
        ((DESK, 3), "There are not so many left."),
        ((PEN, 41), "Your order met another. Try again."),
    ] {
        let (_, result) = buy(1, &[order]).await;
        same!(result.unwrap_err().to_string(), text);
    }
    Ok(())
}

/// The call comes first: from then on the setting is the extension's own.
async fn waits() -> Outcome {
    let client = connect_with(patiently(&mut config())).await;
    let sql = "SELECT purchase(1, 1), current_setting('purchase.lock_wait')";
    let row = client.query_one(sql, &[]).await?;
    same!(row.get::<_, String>(1), "2s");
    Ok(())
}

async fn twenty_buyers() -> Outcome {
    let buyers: Vec<_> = (0..20).map(|_| tokio::spawn(patient_buyer())).collect();
    let mut sold = 0;
    for buyer in buyers {
        match buyer.await? {
            Ok(()) => sold += 1,
            Err(SaleError::OutOfStock(_)) => (),
            Err(other) => return Err(other.into()),
        }
    }
    same!(sold, 10);
    state(&connect().await, TICKET, 0, 10).await
}

struct Tests {
    client: Client,
    count: u32,
    failed: u32,
}

impl Tests {
    async fn test(&mut self, name: &str, body: impl Future<Output = Outcome>) {
        self.client
            .execute("SELECT shop_reset()", &[])
            .await
            .unwrap();
        let mut not = "";
        if let Err(error) = body.await {
            println!("# {}", error.to_string().replace('\n', "\n# "));
            self.failed += 1;
            not = "not ";
        }
        self.count += 1;
        println!("{}ok {} - {}", not, self.count, name);
    }
}

/// As Cargo.lock has them.
fn print_versions() {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if line == "name = \"tokio-postgres\"" {
            let version = lines.next().unwrap_or_default().split('"').nth(1);
            println!("# version: tokio-postgres {}", version.unwrap_or("?"));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    print_versions();
    let mut tests = Tests {
        client: connect().await,
        count: 0,
        failed: 0,
    };
    tests
        .test("sells by bigint key", sells_by_bigint_key())
        .await;
    tests.test("sells by uuid key", sells_by_uuid_key()).await;
    tests.test("sells a cart", sells_a_cart()).await;
    tests
        .test("says why not without raising", says_why_not())
        .await;
    tests
        .test("rolls back sale and order line together", rolls_back())
        .await;
    tests.test("product not found", product_not_found()).await;
    tests.test("out of stock", out_of_stock()).await;
    tests
        .test("insufficient quantity", insufficient_quantity())
        .await;
    tests.test("busy", busy()).await;
    tests
        .test("two buyers of the last unit", two_buyers())
        .await;
    tests
        .test("twenty buyers of ten units", twenty_buyers())
        .await;
    tests.test("retries a busy product", retries_busy()).await;
    tests.test("retries conflicts", retries_conflicts()).await;
    tests
        .test("retries nothing else", retries_nothing_else())
        .await;
    tests.test("gives up", gives_up()).await;
    tests
        .test("tells buyers a text of its own", tells_buyers())
        .await;
    tests
        .test("waits if the connection says so", waits())
        .await;
    println!("1..{}", tests.count);
    std::process::exit(i32::from(tests.failed > 0));
}
