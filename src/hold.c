/*
 * hold.c
 *	  Lapsed holds: counting and taking their units.
 *
 * That a hold has lapsed is nothing that anybody has to do: it means that others may
 * take its units.  Who needs them takes them while he has the product's row, and puts
 * what he doesn't need back into the stock, all with his one update of the row.
 *
 * Whose hold it is locks it without that row: its sale row, then the hold.  So who
 * takes it never waits, but skips what is locked, and lets the server check state,
 * units and end again on the version that it has locked.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "hold.h"
#include "record.h"

/*
 * The time that decides what has lapsed.  To read is to see all as of one moment: of
 * the snapshot, as far as one can know it.
 */
static TimestampTz
lapse_time(Cart *cart)
{
	if (cart->verb != VERB_READ)
		return GetCurrentTimestamp();
	return IsolationUsesXactSnapshot() ? GetCurrentTransactionStartTimestamp() :
		GetCurrentStatementStartTimestamp();
}

static void
lapsed_params(Cart *cart, SaleParams *params)
{
	sale_params_init(params);
	sale_param(params, SALE_PARAM_TIME, TimestampTzGetDatum(lapse_time(cart)));
}

/*
 * Count the units of a product's lapsed holds that the active snapshot sees.  This
 * takes no lock.
 */
void
hold_count_lapsed(Cart *cart, Line *line)
{
	SaleContext context;
	SaleParams	params;
	bool		isnull;

	lapsed_params(cart, &params);
	sale_param(&params, SALE_PARAM_PRODUCT, line->key);
	sales_begin(&context, cart);
	(void) sales_run(cart, SALE_LAPSED_UNITS, &params, true);
	line->lapsed = DatumGetInt64(sales_value(0, 1, &isnull));
	sales_end(&context);
}

/*
 * Count what the cart's buyer has of a product, lapsed holds included, and how much of
 * that is in those.
 */
void
hold_count_bought(Cart *cart, Line *line, int64 *lapsed)
{
	SaleContext context;
	SaleParams	params;
	bool		isnull;

	lapsed_params(cart, &params);
	sale_param(&params, SALE_PARAM_PRODUCT, line->key);
	sale_param(&params, SALE_PARAM_BUYER, PointerGetDatum(cart->sale->buyer));
	sales_begin(&context, cart);
	(void) sales_run(cart, SALE_BOUGHT, &params, true);
	line->bought = DatumGetInt64(sales_value(0, 1, &isnull));
	*lapsed = 0;
	if (DatumGetBool(sales_value(0, 2, &isnull)))
	{
		(void) sales_run(cart, SALE_BUYERS_HOLDS, &params, true);
		line->bought += DatumGetInt64(sales_value(0, 1, &isnull));
		*lapsed = DatumGetInt64(sales_value(0, 2, &isnull));
	}
	sales_end(&context);
}

/* A hold that is locked, and what its line has released before. */
typedef struct LapsedHold
{
	text	   *sale_id;
	SaleLine	line;
} LapsedHold;

/*
 * Lock lapsed holds of a product, the first to have ended first, until the line has
 * what it needs.
 */
static List *
lock_lapsed(Cart *cart, Line *line, MemoryContext cxt)
{
	SaleParams	params;
	Portal		portal;
	List	   *holds = NIL;

	lapsed_params(cart, &params);
	sale_param(&params, SALE_PARAM_PRODUCT, line->key);
	if (line->to_free > 0)
		sale_param(&params, SALE_PARAM_BUYER, PointerGetDatum(cart->sale->buyer));
	portal = sales_cursor(cart, SALE_LAPSED_HOLDS, &params);
	while (cart->verb == VERB_EXPIRE ? line->nholds < cart->max_holds :
		   line->stock + line->taken < line->qty || line->to_free > 0)
	{
		MemoryContext spi;
		LapsedHold *hold;
		bool		isnull;
		bool		own;

		SPI_cursor_fetch(portal, true, 1);
		if (SPI_processed == 0)
			break;
		own = DatumGetBool(sales_value(0, 5, &isnull));
		/* his own come first, so there are no more */
		if (!own && line->stock + line->taken >= line->qty && cart->verb != VERB_EXPIRE)
			break;
		spi = MemoryContextSwitchTo(cxt);
		hold = palloc0(sizeof(LapsedHold));
		hold->sale_id = (text *) PG_DETOAST_DATUM_COPY(sales_value(0, 1, &isnull));
		hold->line.line = DatumGetInt32(sales_value(0, 2, &isnull));
		hold->line.units = DatumGetInt64(sales_value(0, 3, &isnull));
		hold->line.released = DatumGetInt64(sales_value(0, 4, &isnull));
		hold->line.has_hold = true;
		holds = lappend(holds, hold);
		MemoryContextSwitchTo(spi);
		SPI_freetuptable(SPI_tuptable);
		line->taken += hold->line.units;
		if (own)
			line->to_free -= hold->line.units;
		line->nholds++;
	}
	SPI_cursor_close(portal);
	return holds;
}

/*
 * Take units of lapsed holds of a product, whose row is locked: what the line needs to
 * be sold, or to expire them, as many holds as are allowed.  They are to come back with
 * the update of the row.
 */
void
hold_take_lapsed(Cart *cart, Line *line)
{
	SaleContext context;
	List	   *holds;
	ListCell   *lc;

	sales_begin(&context, cart);
	holds = lock_lapsed(cart, line, context.cxt);
	sales_end(&context);

	foreach(lc, holds)
	{
		LapsedHold *hold = lfirst(lc);

		record_settle(cart, hold->sale_id, &hold->line, SALE_EXPIRED, hold->line.released);
	}
}

/*
 * Make the cart's lines of all products that have lapsed holds.
 */
void
hold_lapsed_products(Cart *cart)
{
	KeyType    *kt = &cart->table.st->key_type;
	SaleContext context;
	SaleParams	params;
	MemoryContext spi;

	lapsed_params(cart, &params);
	sales_begin(&context, cart);
	cart->nlines = sales_run(cart, SALE_LAPSED_PRODUCTS, &params, false);
	spi = MemoryContextSwitchTo(context.cxt);
	cart->lines = palloc0(Max(cart->nlines, 1) * sizeof(Line));
	for (int i = 0; i < cart->nlines; i++)
		cart->lines[i].product = sales_key(i, 1, kt);
	MemoryContextSwitchTo(spi);
	sales_end(&context);
}
