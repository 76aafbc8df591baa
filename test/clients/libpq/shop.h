/*
 * shop.h
 *	  Sell with libpq.
 */
#ifndef SHOP_H
#define SHOP_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum ShopError
{
	SHOP_OK,
	SHOP_PRODUCT_NOT_FOUND,
	SHOP_OUT_OF_STOCK,
	SHOP_INSUFFICIENT_QUANTITY,
	SHOP_PRODUCT_BUSY,			/* to be retried */
	SHOP_CONFLICT,				/* to be retried */
	SHOP_OTHER_ERROR,
} ShopError;

extern ShopError shop_error(const PGresult *res);
extern const char *shop_error_name(ShopError error);
extern const char *shop_error_text(ShopError error);
extern PGconn *shop_connect_patiently(void);
extern ShopError shop_sell(PGconn *conn, int64_t product_id, int64_t qty,
						   int64_t *remaining, PGresult **failure);
extern ShopError shop_order(PGconn *conn, int64_t product_id, int64_t qty);

typedef ShopError (*ShopTransaction) (PGconn *conn, void *arg);
extern ShopError shop_retry(PGconn *conn, int tries, ShopTransaction attempt,
							void *arg);

#endif							/* SHOP_H */
