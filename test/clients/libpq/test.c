/*
 * test.c
 *	  What reaches a user of libpq.
 */
#include "shop.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRONT	"5ea70000-0000-4000-8000-000000000001"

static int	ntests;
static int	nfailed;

static void
is(const char *got, const char *wanted, const char *name)
{
	bool		good = strcmp(got, wanted) == 0;

	printf("%sok %d - %s\n", good ? "" : "not ", ++ntests, name);
	if (!good)
	{
		printf("#      got: %s\n#   wanted: %s\n", got, wanted);
		nfailed++;
	}
}

static PGconn *
open_connection(void)
{
	PGconn	   *conn = PQconnectdb("");

	if (PQstatus(conn) != CONNECTION_OK)
	{
		fputs(PQerrorMessage(conn), stderr);
		exit(2);
	}
	return conn;
}

/*
 * Execute with text parameters, whose types the server finds out.  Returns the
 * rows as text, or the error.
 */
static const char *
sql(PGconn *conn, const char *query, int nparams, ...)
{
	static char answer[1000];
	const char *values[5];
	FILE	   *out = fmemopen(answer, sizeof(answer), "w");
	va_list		args;
	PGresult   *res;

	va_start(args, nparams);
	for (int i = 0; i < nparams; i++)
		values[i] = va_arg(args, const char *);
	va_end(args);

	res = PQexecParams(conn, query, nparams, NULL, values, NULL, NULL, 0);
	if (shop_error(res) != SHOP_OK)
		fputs(PQresultErrorMessage(res), out);
	for (int row = 0; row < PQntuples(res); row++)
	{
		for (int col = 0; col < PQnfields(res); col++)
			fprintf(out, "%s%s", col > 0 ? "|" : row > 0 ? "; " : "",
					PQgetvalue(res, row, col));
	}
	fputc('\0', out);
	fclose(out);
	PQclear(res);
	return answer;
}

/*
 * Sell, and say what came of it: what remains, or all there is to know about
 * the error.
 */
static const char *
sell(PGconn *conn, int64_t product_id, int64_t qty)
{
	static const int fields[] = {PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_PRIMARY,
		PG_DIAG_MESSAGE_DETAIL, PG_DIAG_TABLE_NAME, PG_DIAG_COLUMN_NAME};
	static char answer[1000];
	int64_t		remaining;
	PGresult   *res;
	ShopError	error = shop_sell(conn, product_id, qty, &remaining, &res);

	if (error == SHOP_OK)
		snprintf(answer, sizeof(answer), "%" PRId64, remaining);
	else
	{
		strcpy(answer, shop_error_name(error));
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		{
			const char *value = PQresultErrorField(res, fields[i]);

			strcat(strcat(answer, "|"), value ? value : "(null)");
		}
		PQclear(res);
	}
	return answer;
}

static atomic_int nsold,
			nrefused;

static void *
buy_a_ticket(void *arg)
{
	PGconn	   *conn = open_connection();
	int64_t		remaining;
	ShopError	error;

	(void) arg;
	do
	{
		PGresult   *res;

		error = shop_sell(conn, 5, 1, &remaining, &res);
		PQclear(res);
	} while (error == SHOP_PRODUCT_BUSY);
	if (error == SHOP_OK)
		nsold++;
	else if (error == SHOP_OUT_OF_STOCK)
		nrefused++;
	PQfinish(conn);
	return NULL;
}

static void
test_twenty_buyers(PGconn *conn)
{
	pthread_t	threads[20];
	char		answer[100];

	for (int i = 0; i < 20; i++)
		pthread_create(&threads[i], NULL, buy_a_ticket, NULL);
	for (int i = 0; i < 20; i++)
		pthread_join(threads[i], NULL);
	snprintf(answer, sizeof(answer), "%d sold, %d out of stock, %s left",
			 nsold, nrefused, sql(conn, "SELECT purchase_available(5)", 0));
	is(answer, "10 sold, 10 out of stock, 0 left", "twenty buyers of ten units");
}

static void
test_sales(PGconn *conn)
{
	is(sell(conn, 1, 3), "97", "sells by bigint key");
	is(sql(conn, "SELECT purchase($1::uuid, $2, 'shop_seat')", 2, FRONT, "2"),
	   "98", "sells by uuid key");
	is(sql(conn, "SELECT purchase($1, $2)", 2, "1", "7"),
	   "90", "sells by a key of unknown type");

	PQclear(PQprepare(conn, "sell", "SELECT purchase($1::bigint, $2)", 0, NULL));
	PQclear(PQexecPrepared(conn, "sell", 2, (const char *[]) {"1", "1"},
						   NULL, NULL, 0));
	PQclear(PQexecPrepared(conn, "sell", 2, (const char *[]) {"1", "1"},
						   NULL, NULL, 0));
	is(sql(conn, "SELECT purchase_available(1)", 0), "88",
	   "sells by a prepared statement");

	is(sql(conn, "SELECT * FROM purchase_cart($1::bigint[], $2)", 2,
		   "{6,1,6}", "{1,8,2}"),
	   "1|8|80; 6|3|97", "sells a cart");
	is(sql(conn, "SELECT * FROM purchase_cart($1, $2)", 2, "{6,1,6}", "{1,1,2}"),
	   "1|1|79; 6|3|94", "sells a cart of unknown type");

	sql(conn, "BEGIN", 0);
	is(sql(conn, "SELECT * FROM purchase_try($1::bigint, $2)", 2, "4", "3"),
	   "insufficient_quantity|2", "says why not without raising");
	is(sql(conn, "SELECT * FROM purchase_try($1::bigint, $2)", 2, "4", "2"),
	   "sold|0", "sells in the same transaction");
	sql(conn, "ROLLBACK", 0);

	sql(conn, "BEGIN", 0);
	is(sell(conn, 1, 1), "78", "sells in a transaction");
	sql(conn, "INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)",
		2, "1", "1");
	sql(conn, "ROLLBACK", 0);
	is(sql(conn, "SELECT purchase_available(1), count(*) FROM shop_order_line", 0),
	   "79|0", "rolls back sale and order line together");
}

static void
test_refusals(PGconn *conn)
{
	PGconn	   *other = open_connection();

	is(sell(conn, 99, 1), "product not found|SK001|product 99 not found|"
	   "Key (id)=(99) is not present in table \"shop_product\".|shop_product|id",
	   "product not found");
	is(sell(conn, 3, 1), "out of stock|SK002|product 3 is out of stock|"
	   "Product 3 has 0 in stock, 1 was requested.|shop_product|stock",
	   "out of stock");
	is(sell(conn, 4, 3), "insufficient quantity|SK003|not enough stock of product 4|"
	   "Product 4 has 2 in stock, 3 were requested.|shop_product|stock",
	   "insufficient quantity");

	sql(other, "BEGIN", 0);
	is(sell(other, 2, 1), "0", "one buyer gets the last unit");
	is(sell(conn, 2, 1), "busy|55P03|product 2 is busy|"
	   "Another transaction holds a lock on the row of product 2.|shop_product|stock",
	   "busy");
	sql(other, "COMMIT", 0);
	is(sell(conn, 2, 1), "out of stock|SK002|product 2 is out of stock|"
	   "Product 2 has 0 in stock, 1 was requested.|shop_product|stock",
	   "two buyers of the last unit");
	PQfinish(other);
}

/* A transaction that orders the next of these each time it is run. */
typedef struct Attempts
{
	const int64_t (*orders)[2];
	int			tries;
	PGconn	   *other;			/* commits before the second try */
} Attempts;

static ShopError
attempt(PGconn *conn, void *arg)
{
	Attempts   *a = arg;
	const int64_t *order = a->orders[a->tries++];

	if (a->tries == 2 && a->other)
		sql(a->other, "COMMIT", 0);
	return shop_order(conn, order[0], order[1]);
}

/*
 * Retry, and say what came of it, what the buyer reads, and how many tries that
 * took.
 */
static const char *
retry(PGconn *conn, int tries, PGconn *other, const int64_t (*orders)[2])
{
	static char answer[200];
	Attempts	a = {orders, 0, other};
	ShopError	error = shop_retry(conn, tries, attempt, &a);

	snprintf(answer, sizeof(answer), "%s|%s|%d", shop_error_name(error),
			 shop_error_text(error), a.tries);
	return answer;
}

#define ORDERS(...) (const int64_t [][2]) {__VA_ARGS__}

static void
test_retries(PGconn *conn)
{
	static const char *const state =
		"SELECT purchase_available(1), count(*) FROM shop_order_line";
	PGconn	   *other = open_connection();

	sql(conn, "SELECT shop_reset()", 0);
	sql(other, "BEGIN", 0);
	sell(other, 1, 1);
	is(retry(conn, 10, other, ORDERS({1, 1}, {1, 1})), "ok|It is yours.|2",
	   "retries a busy product");
	is(sql(conn, state, 0), "98|1", "sells it once");

	is(retry(conn, 10, NULL, ORDERS({1, 41}, {1, 42}, {1, 1})),
	   "ok|It is yours.|3", "retries conflicts");
	is(sql(conn, state, 0), "97|2", "sells it once after conflicts");

	is(retry(conn, 10, NULL, ORDERS({1, 43}, {1, 43})),
	   "other error|Something went wrong.|1", "retries nothing else");
	is(retry(conn, 10, NULL, ORDERS({99, 1}, {99, 1})),
	   "product not found|There is no such product.|1",
	   "tries what is not there once");
	is(retry(conn, 10, NULL, ORDERS({3, 1}, {3, 1})),
	   "out of stock|It is sold out.|1", "tries what is sold out once");
	is(retry(conn, 10, NULL, ORDERS({4, 3}, {4, 3})),
	   "insufficient quantity|There are not so many left.|1",
	   "tries what is too few once");

	sql(other, "BEGIN", 0);
	sell(other, 1, 1);
	is(retry(conn, 3, NULL, ORDERS({1, 1}, {1, 1}, {1, 1}, {1, 1})),
	   "busy|Somebody else is buying it. Try again.|3", "gives up");
	sql(other, "ROLLBACK", 0);
	PQfinish(other);

	is(retry(conn, 1, NULL, ORDERS({1, 41})),
	   "conflict|Your order met another. Try again.|1",
	   "tells buyers a text of its own");
}

static void
test_wait(void)
{
	PGconn	   *conn = shop_connect_patiently();

	/* The call comes first: from then on the setting is the extension's own. */
	is(sql(conn, "SELECT purchase(6, 1) > 0,"
		   " current_setting('purchase.lock_wait')", 0),
	   "t|2s", "waits if the connection says so");
	PQfinish(conn);
}

int
main(void)
{
	PGconn	   *conn = open_connection();

	printf("# version: libpq %d.%d\n", PQlibVersion() / 10000,
		   PQlibVersion() % 10000);
	sql(conn, "SELECT shop_reset()", 0);
	test_sales(conn);
	test_refusals(conn);
	test_twenty_buyers(conn);
	test_retries(conn);
	test_wait();
	PQfinish(conn);
	printf("1..%d\n", ntests);
	return nfailed > 0;
}
