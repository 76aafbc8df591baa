/*
 * purchase.c
 *	  Settings, and the SQL functions that take a product key.
 *
 * Each function exists for bigint, uuid and text keys.  None is STRICT: with a
 * NULL quantity, a strict function would sell nothing and say nothing.
 */
#include "postgres.h"

#include <limits.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "purchase.h"

PG_MODULE_MAGIC;

int			purchase_engine = ENGINE_AUTO;
int			purchase_lock_wait = 0;

static const struct config_enum_entry engine_options[] = {
	{"auto", ENGINE_AUTO, false},
	{"row", ENGINE_ROW, false},
	{"sql", ENGINE_SQL, false},
	{NULL, 0, false}
};

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomEnumVariable("purchase.engine",
							 "Sets the engine that sells.",
							 "\"auto\" takes the row engine wherever it can serve. The others are for tests.",
							 &purchase_engine, ENGINE_AUTO, engine_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("purchase.lock_wait",
							"Sets how long a sale waits for a product's row lock.",
							"0 does not wait, -1 waits as long as lock_timeout allows.",
							&purchase_lock_wait, 0, -1, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	MarkGUCPrefixReserved("purchase");
}

static void
require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/*
 * The arguments (product_id, qty, stock_table), or (product_id, stock_table),
 * as a cart of one line.
 */
static void
init_cart(Cart *cart, Line *line, FunctionCallInfo fcinfo, Oid product_type,
		  const char *function, bool has_qty)
{
	int			table_arg = has_qty ? 2 : 1;

	require_argument(fcinfo, 0, "product_id");
	memset(line, 0, sizeof(Line));
	line->product = product_type == TEXTOID ?
		PointerGetDatum(PG_GETARG_TEXT_PP(0)) : PG_GETARG_DATUM(0);
	if (has_qty)
	{
		require_argument(fcinfo, 1, "qty");
		line->qty = PG_GETARG_INT64(1);
		if (line->qty <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("qty must be positive, not " INT64_FORMAT,
							line->qty)));
	}

	memset(cart, 0, sizeof(Cart));
	cart->function = function;
	cart->product_type = product_type;
	cart->nlines = 1;
	cart->lines = line;
	cart->self = fcinfo->flinfo->fn_oid;
	if (!PG_ARGISNULL(table_arg))
		cart->stock_table = PG_GETARG_OID(table_arg);
}

/*
 * purchase(product_id, qty bigint, stock_table regclass) returns bigint
 *
 * Sell qty units; returns what remains.  Raises SK001, SK002, SK003, 55P03.
 */
static Datum
sell(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;

	init_cart(&cart, &line, fcinfo, product_type, "purchase()", true);
	cart_sell(&cart);
	PG_RETURN_INT64(line.stock);
}

/*
 * The row type (outcome text, remaining bigint), once for the backend.
 */
static TupleDesc
try_result_desc(void)
{
	static TupleDesc desc = NULL;

	if (desc == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	new = CreateTemplateTupleDesc(2);

		TupleDescInitEntry(new, 1, "outcome", TEXTOID, -1, 0);
		TupleDescInitEntry(new, 2, "remaining", INT8OID, -1, 0);
		desc = BlessTupleDesc(new);
		MemoryContextSwitchTo(oldcxt);
	}
	return desc;
}

/*
 * purchase_try(product_id, qty bigint, stock_table regclass)
 * returns (outcome text, remaining bigint)
 *
 * Sell, or say why not.  remaining is the stock after a sale or a refusal, and
 * NULL for a product that was not found or is busy.
 */
static Datum
try_sell(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	init_cart(&cart, &line, fcinfo, product_type, "purchase_try()", true);
	cart_try_sell(&cart);

	values[0] = CStringGetTextDatum(outcome_name(line.outcome));
	values[1] = Int64GetDatum(line.stock);
	nulls[1] = !line.stock_known;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(try_result_desc(),
													  values, nulls)));
}

/*
 * purchase_restock(product_id, qty bigint, stock_table regclass)
 * returns bigint
 *
 * Add qty units; returns the new stock.  Raises SK001, and 22003 if the stock
 * would not fit the column.
 */
static Datum
restock(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;

	init_cart(&cart, &line, fcinfo, product_type, "purchase_restock()", true);
	cart_restock(&cart);
	PG_RETURN_INT64(line.stock);
}

/*
 * purchase_available(product_id, stock_table regclass) returns bigint
 *
 * The stock as the calling statement sees it, without a lock.  Raises SK001.
 */
static Datum
available(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;

	init_cart(&cart, &line, fcinfo, product_type, "purchase_available()",
			  false);
	cart_read(&cart);
	PG_RETURN_INT64(line.stock);
}

/*
 * One C function for each key type.
 */
#define SQL_FUNCTION(name, implementation, product_type) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return implementation(fcinfo, product_type); \
	}

SQL_FUNCTION(purchase_bigint, sell, INT8OID)
SQL_FUNCTION(purchase_uuid, sell, UUIDOID)
SQL_FUNCTION(purchase_text, sell, TEXTOID)
SQL_FUNCTION(purchase_try_bigint, try_sell, INT8OID)
SQL_FUNCTION(purchase_try_uuid, try_sell, UUIDOID)
SQL_FUNCTION(purchase_try_text, try_sell, TEXTOID)
SQL_FUNCTION(purchase_restock_bigint, restock, INT8OID)
SQL_FUNCTION(purchase_restock_uuid, restock, UUIDOID)
SQL_FUNCTION(purchase_restock_text, restock, TEXTOID)
SQL_FUNCTION(purchase_available_bigint, available, INT8OID)
SQL_FUNCTION(purchase_available_uuid, available, UUIDOID)
SQL_FUNCTION(purchase_available_text, available, TEXTOID)
