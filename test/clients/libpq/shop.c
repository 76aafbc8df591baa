/*
 * shop.c
 *	  Sell with libpq.
 */
#include "shop.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* pg_type.h of the server's headers has these. */
#define INT8OID 20

/*
 * What a result says, as one of this shop's errors.  PQresultErrorField() has
 * the message, the detail, and the table and column that it is about: for the
 * log, not for the buyer.
 */
ShopError
shop_error(const PGresult *res)
{
	static const struct
	{
		char		sqlstate[6];
		ShopError	error;
	}			errors[] = {
		{"SK001", SHOP_PRODUCT_NOT_FOUND},
		{"SK002", SHOP_OUT_OF_STOCK},
		{"SK003", SHOP_INSUFFICIENT_QUANTITY},
		{"55P03", SHOP_PRODUCT_BUSY},
		{"40001", SHOP_CONFLICT},	/* serialization failure */
		{"40P01", SHOP_CONFLICT},	/* deadlock */
	};
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (PQresultStatus(res) == PGRES_TUPLES_OK ||
		PQresultStatus(res) == PGRES_COMMAND_OK)
		return SHOP_OK;
	for (size_t i = 0; sqlstate && i < sizeof(errors) / sizeof(errors[0]); i++)
	{
		if (strcmp(sqlstate, errors[i].sqlstate) == 0)
			return errors[i].error;
	}
	return SHOP_OTHER_ERROR;
}

const char *
shop_error_name(ShopError error)
{
	static const char *const names[] = {
		"ok", "product not found", "out of stock", "insufficient quantity",
		"busy", "conflict", "other error",
	};

	return names[error];
}

/*
 * What the buyer reads.
 */
const char *
shop_error_text(ShopError error)
{
	static const char *const texts[] = {
		"It is yours.", "There is no such product.", "It is sold out.",
		"There are not so many left.",
		"Somebody else is buying it. Try again.",
		"Your order met another. Try again.", "Something went wrong.",
	};

	return texts[error];
}

/*
 * A connection whose sales wait for a busy product.
 */
PGconn *
shop_connect_patiently(void)
{
	return PQconnectdb("options='-c purchase.lock_wait=2s'");
}

/*
 * Sell, in the caller's transaction if there is one.  Binary parameters: bigint
 * is eight bytes, most significant first.  On failure the caller may look at
 * the result that failed, and has to PQclear() it.
 */
ShopError
shop_sell(PGconn *conn, int64_t product_id, int64_t qty, int64_t *remaining,
		  PGresult **failure)
{
	uint64_t	id_be = htobe64((uint64_t) product_id);
	uint64_t	qty_be = htobe64((uint64_t) qty);
	const Oid	types[] = {INT8OID, INT8OID};
	const char *const values[] = {(char *) &id_be, (char *) &qty_be};
	const int	lengths[] = {sizeof(id_be), sizeof(qty_be)};
	const int	formats[] = {1, 1};
	PGresult   *res = PQexecParams(conn, "SELECT purchase($1, $2)", 2, types,
								   values, lengths, formats, 1);
	ShopError	error = shop_error(res);

	*failure = NULL;
	if (error != SHOP_OK)
	{
		*failure = res;
		return error;
	}

	uint64_t	answer_be;

	memcpy(&answer_be, PQgetvalue(res, 0, 0), sizeof(answer_be));
	*remaining = (int64_t) be64toh(answer_be);
	PQclear(res);
	return SHOP_OK;
}

static ShopError
command(PGconn *conn, const char *sql)
{
	PGresult   *res = PQexec(conn, sql);
	ShopError	error = shop_error(res);

	PQclear(res);
	return error;
}

/*
 * A transaction: the sale and its order line, or nothing.
 */
ShopError
shop_order(PGconn *conn, int64_t product_id, int64_t qty)
{
	char		insert[200];
	int64_t		remaining;
	PGresult   *failure;
	ShopError	error = command(conn, "BEGIN");

	snprintf(insert, sizeof(insert),
			 "INSERT INTO shop_order_line (product_id, quantity)"
			 " VALUES (%" PRId64 ", %" PRId64 ")", product_id, qty);
	if (error == SHOP_OK)
	{
		error = shop_sell(conn, product_id, qty, &remaining, &failure);
		PQclear(failure);
	}
	if (error == SHOP_OK)
		error = command(conn, insert);
	if (error == SHOP_OK)
		error = command(conn, "COMMIT");	/* which can fail, too */
	if (PQtransactionStatus(conn) == PQTRANS_INERROR)
		command(conn, "ROLLBACK");
	return error;
}

/*
 * Run a whole transaction, and again while it fails for what passes.
 */
ShopError
shop_retry(PGconn *conn, int tries, ShopTransaction attempt, void *arg)
{
	for (unsigned delay = 10000;; delay = delay < 50000 ? 2 * delay : 100000)
	{
		ShopError	error = attempt(conn, arg);
		unsigned	random = 0;

		if ((error != SHOP_PRODUCT_BUSY && error != SHOP_CONFLICT) ||
			--tries <= 0)
			return error;
		(void) !getrandom(&random, sizeof(random), 0);
		usleep(random % delay);
	}
}
