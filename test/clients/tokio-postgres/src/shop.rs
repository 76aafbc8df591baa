//! Sells with tokio-postgres. The crate postgres is the same without async.
//!
//! A parameter is sent as the type that the server wants it to be: the casts say
//! so, as otherwise that would be text.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;
use tokio_postgres::{Client, Config, Error, GenericClient};
use uuid::Uuid;

/// What a shop wants to tell apart when a sale fails, with the library's error.
#[derive(Debug)]
pub enum SaleError {
    ProductNotFound(Error),
    OutOfStock(Error),
    InsufficientQuantity(Error),
    ProductBusy(Error),
    Conflict(Error),
    Other(Error),
}

impl From<Error> for SaleError {
    fn from(error: Error) -> Self {
        match error.code().map(|code| code.code()) {
            Some("SK001") => SaleError::ProductNotFound(error),
            Some("SK002") => SaleError::OutOfStock(error),
            Some("SK003") => SaleError::InsufficientQuantity(error),
            Some("55P03") => SaleError::ProductBusy(error),
            // A serialization failure, and a deadlock.
            Some("40001") | Some("40P01") => SaleError::Conflict(error),
            _ => SaleError::Other(error),
        }
    }
}

impl SaleError {
    pub fn cause(&self) -> &Error {
        match self {
            SaleError::ProductNotFound(error)
            | SaleError::OutOfStock(error)
            | SaleError::InsufficientQuantity(error)
            | SaleError::ProductBusy(error)
            | SaleError::Conflict(error)
            | SaleError::Other(error) => error,
        }
    }

    pub fn is_retryable(&self) -> bool {
        matches!(self, SaleError::ProductBusy(_) | SaleError::Conflict(_))
    }
}

/// For the buyer. What the server says names tables: it stays in the cause.
impl fmt::Display for SaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SaleError::ProductNotFound(_) => "There is no such product.",
            SaleError::OutOfStock(_) => "It is sold out.",
            SaleError::InsufficientQuantity(_) => "There are not so many left.",
            SaleError::ProductBusy(_) => "Somebody else is buying it. Try again.",
            SaleError::Conflict(_) => "Your order met another. Try again.",
            SaleError::Other(_) => "Something went wrong.",
        })
    }
}

impl std::error::Error for SaleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause())
    }
}

/// Runs a whole transaction, and again while it fails for what passes.
pub async fn retrying<T, F>(mut tries: u32, mut attempt: impl FnMut() -> F) -> Result<T, SaleError>
where
    F: Future<Output = Result<T, SaleError>>,
{
    let mut delay = 10;
    loop {
        let result = attempt().await;
        tries -= 1;
        match result {
            Err(error) if error.is_retryable() && tries > 0 => (),
            other => return other,
        }
        // The standard library has no other random numbers.
        let random = RandomState::new().build_hasher().finish() % delay;
        tokio::time::sleep(Duration::from_millis(random)).await;
        delay = 100.min(2 * delay);
    }
}

/// For a connection whose sales wait for a busy product.
pub fn patiently(config: &mut Config) -> &mut Config {
    config.options("-c purchase.lock_wait=2s")
}

/// Returns what remains. The client may be a transaction.
pub async fn sell(
    client: &impl GenericClient,
    product_id: i64,
    quantity: i64,
) -> Result<i64, SaleError> {
    let row = client
        .query_one("SELECT purchase($1::bigint, $2)", &[&product_id, &quantity])
        .await?;
    Ok(row.get(0))
}

pub async fn sell_seat(
    client: &impl GenericClient,
    seat_id: Uuid,
    quantity: i64,
) -> Result<i64, SaleError> {
    let row = client
        .query_one(
            "SELECT purchase($1::uuid, $2, 'shop_seat')",
            &[&seat_id, &quantity],
        )
        .await?;
    Ok(row.get(0))
}

#[derive(Debug, PartialEq)]
pub struct SoldLine {
    pub product_id: i64,
    pub quantity: i64,
    pub remaining: i64,
}

/// Sells all lines, each a product and a quantity, or none.
pub async fn sell_cart(
    client: &impl GenericClient,
    lines: &[(i64, i64)],
) -> Result<Vec<SoldLine>, SaleError> {
    let (ids, quantities): (Vec<i64>, Vec<i64>) = lines.iter().copied().unzip();
    let rows = client
        .query(
            "SELECT * FROM purchase_cart($1::bigint[], $2)",
            &[&ids, &quantities],
        )
        .await?;
    let sold = |row: &tokio_postgres::Row| SoldLine {
        product_id: row.get("product_id"),
        quantity: row.get("qty"),
        remaining: row.get("remaining"),
    };
    Ok(rows.iter().map(sold).collect())
}

/// The outcome and what remains: None for a product that is busy or was not
/// found.
pub async fn try_sell(
    client: &impl GenericClient,
    product_id: i64,
    quantity: i64,
) -> Result<(String, Option<i64>), Error> {
    let row = client
        .query_one(
            "SELECT * FROM purchase_try($1::bigint, $2)",
            &[&product_id, &quantity],
        )
        .await?;
    Ok((row.get("outcome"), row.get("remaining")))
}

/// The sale, the order line and the payment, or nothing: a transaction that is
/// dropped is rolled back.
pub async fn order<E: From<SaleError> + From<Error>>(
    client: &mut Client,
    product_id: i64,
    quantity: i32,
    pay: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let transaction = client.transaction().await?;
    sell(&transaction, product_id, quantity.into()).await?;
    transaction
        .execute(
            "INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)",
            &[&product_id, &quantity],
        )
        .await?;
    pay()?;
    transaction.commit().await?;
    Ok(())
}
