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
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "blockers.h"
#include "cart.h"
#include "commit.h"
#include "compat.h"
#include "distribute.h"
#include "sale.h"
#include "settings.h"
#include "stat.h"

/* of a sale_id; bigger ones would not all fit into an index */
#define MAX_SALE_ID_BYTES 255

PG_MODULE_MAGIC_EXT(.name = "purchase",.version = PURCHASE_VERSION);

int			purchase_engine = ENGINE_AUTO;
int			purchase_lock_wait = 0;
bool		purchase_lock_wait_is_set = false;
int			purchase_early_release = EARLY_RELEASE_OFF;

static const struct config_enum_entry engine_options[] = {
	{"auto", ENGINE_AUTO, false},
	{"row", ENGINE_ROW, false},
	{"sql", ENGINE_SQL, false},
	{NULL, 0, false}
};

/*
 * A table's own lock_wait holds unless the setting is set at all, with whatever
 * value.  GUC keeps "extra" beside the value, through RESET, SET LOCAL and
 * rollbacks.
 */
static bool
check_lock_wait(pg_attribute_unused() int *newval, void **extra,
				GucSource source)
{
	bool	   *is_set = compat_guc_malloc(sizeof(bool));

	if (is_set == NULL)
		return false;
	*is_set = source > PGC_S_DEFAULT;
	*extra = is_set;
	return true;
}

static void
assign_lock_wait(pg_attribute_unused() int newval, void *extra)
{
	purchase_lock_wait_is_set = *(bool *) extra;
}

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
							PGC_USERSET, GUC_UNIT_MS,
							check_lock_wait, assign_lock_wait, NULL);
	DefineCustomEnumVariable("purchase.early_release",
							 "Sets whether the rows of a sale are free before its commit is durable.",
							 "\"local\" frees them when it is flushed, before a standby has confirmed, \"on\" before the flush, too. The client is told when it is durable, as always.",
							 &purchase_early_release, EARLY_RELEASE_OFF,
							 early_release_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("purchase");
	if (process_shared_preload_libraries_in_progress)
		stat_request_memory();
}

static void
require_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

static Datum
require_product(FunctionCallInfo fcinfo, int n, Oid product_type)
{
	require_argument(fcinfo, n, "product_id");
	return product_type == TEXTOID ? PointerGetDatum(PG_GETARG_TEXT_PP(n)) :
		PG_GETARG_DATUM(n);
}

static void
check_qty(int64 qty)
{
	if (qty <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("qty must be positive, not " INT64_FORMAT, qty)));
}

static void
init_cart(Cart *cart, FunctionCallInfo fcinfo, const char *function,
		  Oid product_type, int nlines, Line *lines, int table_arg)
{
	memset(cart, 0, sizeof(Cart));
	cart->function = function;
	cart->product_type = product_type;
	cart->nlines = nlines;
	cart->lines = lines;
	cart->self = fcinfo->flinfo->fn_oid;
	if (PG_ARGISNULL(table_arg))
		return;
	cart->stock_table = PG_GETARG_OID(table_arg);

	/* "-" and 0 are regclass values, too, but only NULL means the default */
	if (!OidIsValid(cart->stock_table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist",
						cart->stock_table),
				 errhint("Leave stock_table out, or give NULL, for the default stock table.")));
}

/*
 * The arguments (product_id, qty, stock_table), or (product_id, stock_table),
 * as a cart of one line.  qty may have another name.
 */
static void
line_from_args(Cart *cart, Line *line, FunctionCallInfo fcinfo,
			   const char *function, Oid product_type, const char *qty_name)
{
	memset(line, 0, sizeof(Line));
	line->product = require_product(fcinfo, 0, product_type);
	if (qty_name != NULL)
	{
		require_argument(fcinfo, 1, qty_name);
		line->qty = PG_GETARG_INT64(1);
	}
	init_cart(cart, fcinfo, function, product_type, 1, line, qty_name ? 2 : 1);
}

static void
raise_needs_id(const char *arg)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s needs a sale_id", arg),
			 errhint("Give the sale an id of your own, for example that of the order.")));
}

/*
 * An id of text, maybe empty.
 */
static text *
get_id(FunctionCallInfo fcinfo, int n, const char *name, const char *null_hint)
{
	text	   *id;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 null_hint != NULL ? errhint("%s", null_hint) : 0));
	id = PG_GETARG_TEXT_PP(n);
	if (VARSIZE_ANY_EXHDR(id) > MAX_SALE_ID_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be longer than %d bytes", name, MAX_SALE_ID_BYTES),
				 errdetail("It has %d bytes.", (int) VARSIZE_ANY_EXHDR(id))));
	return id;
}

static text *
require_id(FunctionCallInfo fcinfo, int n, const char *name)
{
	text	   *id = get_id(fcinfo, n, name, NULL);

	if (VARSIZE_ANY_EXHDR(id) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	return id;
}

static Interval *
require_hold_for(FunctionCallInfo fcinfo, int n)
{
	Interval   *hold_for;
	TimestampTz now = GetCurrentTimestamp();

	require_argument(fcinfo, n, "hold_for");
	hold_for = PG_GETARG_INTERVAL_P(n);
	if (hold_end(hold_for, now) <= now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hold_for must be positive")));
	return hold_for;
}

/*
 * The arguments (sale_id text, hold_for interval, buyer text), of which the first is ''
 * for a sale without an id.
 */
static void
sale_from_args(Cart *cart, Sale *sale, FunctionCallInfo fcinfo, int n)
{
	text	   *id = get_id(fcinfo, n, "sale_id",
							"A sale without an id can't be repeated: if that is meant, leave sale_id out.");

	if (VARSIZE_ANY_EXHDR(id) == 0)
	{
		if (!PG_ARGISNULL(n + 1))
			raise_needs_id("hold_for");
		if (!PG_ARGISNULL(n + 2))
			raise_needs_id("buyer");
		return;
	}
	memset(sale, 0, sizeof(Sale));
	sale->id = id;
	if (!PG_ARGISNULL(n + 1))
		sale->hold_for = require_hold_for(fcinfo, n + 1);
	if (!PG_ARGISNULL(n + 2))
		sale->buyer = get_id(fcinfo, n + 2, "buyer", NULL);
	sale->is_new = true;
	cart->sale = sale;
}

/*
 * purchase(product_id, qty bigint, stock_table regclass, sale_id text,
 *			hold_for interval, buyer text) returns bigint
 *
 * Sell qty units; returns what remains.  Raises SK001, SK002, SK003, 55P03.  With an
 * id, a repeat returns the same and sells nothing; raises SK201 if it has other
 * arguments.  With hold_for, the units are only held for that time; a repeat then
 * raises SK102 if others have taken them, SK103 if they were released.
 */
static Datum
sell(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;
	Sale		sale;

	line_from_args(&cart, &line, fcinfo, "purchase()", product_type, "qty");
	check_qty(line.qty);
	sale_from_args(&cart, &sale, fcinfo, 3);
	cart_sell(&cart);
	PG_RETURN_INT64(line.remaining);
}

/*
 * What is left of a line's product, as far as it is known.
 */
static bool
remaining_stock(Line *line, Datum *value)
{
	switch (line->outcome)
	{
		case OUTCOME_HELD:
		case OUTCOME_SOLD:
			*value = Int64GetDatum(line->remaining);
			return true;
		case OUTCOME_BUSY:
		case OUTCOME_PRODUCT_NOT_FOUND:
			*value = (Datum) 0;
			return false;
		default:
			*value = Int64GetDatum(line_available(line));
			return !line->stock_isnull;
	}
}

/*
 * A value of the row type that the SQL function is declared to return, which must
 * be (text, bigint).
 *
 * get_call_result_type() would find out more of the type, and copy it.
 */
static Datum
try_result(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	Oid			type = get_fn_expr_rettype(fcinfo->flinfo);
	TupleDesc	desc;

	/* a call that is not part of an expression, as by PQfn() */
	if (!OidIsValid(type))
		type = get_func_rettype(fcinfo->flinfo->fn_oid);

	desc = lookup_type_cache(type, TYPECACHE_TUPDESC)->tupDesc;
	if (desc == NULL || desc->natts != 2 ||
		TupleDescAttr(desc, 0)->atttypid != TEXTOID ||
		TupleDescAttr(desc, 1)->atttypid != INT8OID)
		elog(ERROR, "unexpected result type");
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/*
 * purchase_try(product_id, qty bigint, stock_table regclass, sale_id text,
 *				hold_for interval, buyer text)
 * returns purchase_try_result (outcome text, remaining bigint)
 *
 * Sell or hold, or say why not; SK1xx and SK201 are raised all the same.  remaining is
 * the stock after a sale or a refusal, and NULL for a product that was not found or is
 * busy.
 */
static Datum
try_sell(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;
	Sale		sale;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	line_from_args(&cart, &line, fcinfo, "purchase_try()", product_type,
				   "qty");
	check_qty(line.qty);
	sale_from_args(&cart, &sale, fcinfo, 3);
	cart_try_sell(&cart);

	values[0] = CStringGetTextDatum(outcome_name(line.outcome));
	nulls[1] = !remaining_stock(&line, &values[1]);
	PG_RETURN_DATUM(try_result(fcinfo, values, nulls));
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

	line_from_args(&cart, &line, fcinfo, "purchase_restock()", product_type,
				   "qty");
	check_qty(line.qty);
	cart_restock(&cart);
	PG_RETURN_INT64(line.remaining);
}

/*
 * purchase_set_stock(product_id, stock bigint, stock_table regclass)
 * returns bigint
 *
 * Set the stock to what was counted; returns what it was before, NULL
 * included.  Raises SK001, 22023 for a negative stock, and 22003 for one that
 * does not fit the column.
 */
static Datum
set_stock(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;

	line_from_args(&cart, &line, fcinfo, "purchase_set_stock()", product_type,
				   "stock");
	if (line.qty < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stock must not be negative, but is " INT64_FORMAT,
						line.qty)));
	cart_set_stock(&cart);
	if (line.stock_isnull)
		PG_RETURN_NULL();
	PG_RETURN_INT64(line.stock);
}

/*
 * purchase_available(product_id, stock_table regclass) returns bigint
 *
 * The stock as the calling statement sees it, without a lock, and the units of lapsed
 * holds.  Raises SK001.
 */
static Datum
available(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;

	line_from_args(&cart, &line, fcinfo, "purchase_available()", product_type,
				   NULL);
	cart_read(&cart);
	PG_RETURN_INT64(line_available(&line));
}

/*
 * purchase_blockers(product_id, stock_table regclass)
 * returns rows (pid integer, role text, since timestamptz, usename name,
 *				 application_name text, client_addr inet, state text, query text)
 *
 * The backends that hold the product, or have locked its table, and those that wait for it;
 * a prepared transaction has no pid.  Of other users' backends, who is no member of
 * pg_read_all_stats sees as much as in pg_stat_activity.  Raises SK001, 0A000 where it can't
 * be told where the row is, and 55000 on a standby.
 */
static Datum
blockers(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Line		line;

	line_from_args(&cart, &line, fcinfo, "purchase_blockers()", product_type,
				   NULL);
	InitMaterializedSRF(fcinfo, 0);
	blockers_find(&cart, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * The elements of an array argument of one dimension, none of them NULL.
 */
static int
array_elements(ArrayType *array, const char *name, Datum **elements)
{
	int			nelements;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have one dimension, not %d", name,
						ARR_NDIM(array))));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", name)));

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign,
					  elements, NULL, &nelements);
	return nelements;
}

/*
 * The arguments (product_ids[], qtys[], stock_table) as a cart.
 */
static void
cart_from_args(Cart *cart, FunctionCallInfo fcinfo, const char *function,
			   ArrayType *products)
{
	Datum	   *product;
	Datum	   *qty;
	Line	   *lines;
	int			nlines = array_elements(products, "product_ids", &product);
	int			nqtys;

	require_argument(fcinfo, 1, "qtys");
	nqtys = array_elements(PG_GETARG_ARRAYTYPE_P(1), "qtys", &qty);
	if (nqtys != nlines)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("product_ids and qtys must be of the same length"),
				 errdetail("product_ids has %d elements, qtys has %d.",
						   nlines, nqtys)));

	lines = palloc0(Max(nlines, 1) * sizeof(Line));
	for (int i = 0; i < nlines; i++)
	{
		lines[i].product = product[i];
		lines[i].qty = DatumGetInt64(qty[i]);
		check_qty(lines[i].qty);
	}
	init_cart(cart, fcinfo, function, ARR_ELEMTYPE(products), nlines, lines,
			  2);
}

/*
 * purchase_cart(product_ids[], qtys bigint[], stock_table regclass, sale_id text,
 *				 hold_for interval, buyer text)
 * returns rows (product_id, qty, remaining)
 *
 * Sell all lines or none; a row for each product, in key order.  Raises as
 * purchase() does, once for all lines, with the SQLSTATE of the worst.
 *
 * purchase_try_cart(product_ids[], qtys bigint[], stock_table regclass, sale_id text,
 *					 hold_for interval, buyer text)
 * returns rows (product_id, qty, outcome, remaining)
 *
 * The same without raising.  If not all can be sold, none is, and those that
 * could have been say "available".
 */
static Datum
sell_cart(FunctionCallInfo fcinfo, ArrayType *products, bool try)
{
	Cart		cart;
	Sale		sale;
	ReturnSetInfo *rsinfo;

	cart_from_args(&cart, fcinfo,
				   try ? "purchase_try_cart()" : "purchase_cart()", products);
	sale_from_args(&cart, &sale, fcinfo, 3);
	InitMaterializedSRF(fcinfo, 0);
	rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	if (cart.nlines == 0)
	{
		if (cart.sale != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a sale with an id must have a product")));
		return (Datum) 0;
	}

	if (try)
		cart_try_sell(&cart);
	else
		cart_sell(&cart);

	for (int i = 0; i < cart.nlines; i++)
	{
		Line	   *line = &cart.lines[i];
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};
		int			n = 0;

		values[n++] = line->product;
		values[n++] = Int64GetDatum(line->qty);
		if (try)
			values[n++] = CStringGetTextDatum(outcome_name(line->outcome));
		nulls[n] = !remaining_stock(line, &values[n]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

static Datum
cart_of_array(FunctionCallInfo fcinfo, bool try)
{
	require_argument(fcinfo, 0, "product_ids");
	return sell_cart(fcinfo, PG_GETARG_ARRAYTYPE_P(0), try);
}

/*
 * The same for product_ids as the text of an array: the form that an untyped
 * parameter resolves to, as among array types none is preferred.
 */
static Datum
cart_of_text(FunctionCallInfo fcinfo, bool try)
{
	FmgrInfo	array_in;
	Datum		products;

	require_argument(fcinfo, 0, "product_ids");
	fmgr_info(F_ARRAY_IN, &array_in);
	products = InputFunctionCall(&array_in,
								 text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 TEXTOID, -1);
	return sell_cart(fcinfo, DatumGetArrayTypeP(products), try);
}

/*
 * The arguments (sale_id text, ..., stock_table) of what is done with a sale, as a cart
 * whose lines are not known yet.
 */
static void
sale_id_from_args(Cart *cart, Sale *sale, FunctionCallInfo fcinfo,
				  const char *function, int table_arg)
{
	init_cart(cart, fcinfo, function, InvalidOid, 0, NULL, table_arg);
	memset(sale, 0, sizeof(Sale));
	sale->id = require_id(fcinfo, 0, "sale_id");
	cart->sale = sale;
}

/*
 * The arguments (product_id, qty bigint) after that, of a line of the sale.
 */
static void
line_of_sale_from_args(Cart *cart, Line *line, FunctionCallInfo fcinfo,
					   Oid product_type)
{
	memset(line, 0, sizeof(Line));
	line->product = require_product(fcinfo, 1, product_type);
	require_argument(fcinfo, 2, "qty");
	line->qty = PG_GETARG_INT64(2);
	check_qty(line->qty);
	cart->product_type = product_type;
	cart->lines = line;
	cart->nlines = 1;
}

/*
 * purchase_confirm(sale_id text, stock_table regclass) returns boolean
 *
 * Sell what is held; false if that was done before.  What others have taken of it
 * since its time was over is taken anew, if there is enough; else SK102.  Raises SK101,
 * and SK103 if it was released.
 */
PG_FUNCTION_INFO_V1(purchase_confirm);

Datum
purchase_confirm(PG_FUNCTION_ARGS)
{
	Cart		cart;
	Sale		sale;
	SaleCall	call = {.action = ACTION_CONFIRM};

	sale_id_from_args(&cart, &sale, fcinfo, "purchase_confirm()", 1);
	PG_RETURN_BOOL(distribute_act(&cart, &call) > 0);
}

/*
 * purchase_release(sale_id text, stock_table regclass) returns bigint
 *
 * Give back all that is held; returns the units, 0 if there are none any more.  Raises
 * SK101, and SK103 if it is sold.
 */
PG_FUNCTION_INFO_V1(purchase_release);

Datum
purchase_release(PG_FUNCTION_ARGS)
{
	Cart		cart;
	Sale		sale;
	SaleCall	call = {.action = ACTION_RELEASE};

	sale_id_from_args(&cart, &sale, fcinfo, "purchase_release()", 1);
	PG_RETURN_INT64(distribute_act(&cart, &call));
}

/*
 * purchase_release(sale_id text, product_id, qty bigint, stock_table regclass)
 * returns bigint
 *
 * Give back a part of what is held.  Raises as above, and 22023 for more than is held,
 * or for a product that the sale does not have.
 */
static Datum
release_part(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Sale		sale;
	Line		line;

	sale_id_from_args(&cart, &sale, fcinfo, "purchase_release()", 3);
	line_of_sale_from_args(&cart, &line, fcinfo, product_type);
	PG_RETURN_INT64(sale_release_part(&cart));
}

static bool
require_restock(FunctionCallInfo fcinfo, int n)
{
	require_argument(fcinfo, n, "restock");
	return PG_GETARG_BOOL(n);
}

/*
 * purchase_return(sale_id text, restock boolean, stock_table regclass) returns bigint
 *
 * Take back all that was sold, and with restock, give it to the stock; returns the units,
 * 0 if that was done before.  Raises SK101, and SK104 if it is not sold.
 */
PG_FUNCTION_INFO_V1(purchase_return);

Datum
purchase_return(PG_FUNCTION_ARGS)
{
	Cart		cart;
	Sale		sale;
	SaleCall	call = {.action = ACTION_RETURN};

	sale_id_from_args(&cart, &sale, fcinfo, "purchase_return()", 2);
	call.restock = require_restock(fcinfo, 1);
	PG_RETURN_INT64(distribute_act(&cart, &call));
}

/*
 * purchase_return(sale_id text, product_id, qty bigint, return_id text, restock boolean,
 *				   stock_table regclass) returns bigint
 *
 * Take back a part of what was sold; returns the units, and does nothing if that was done
 * with the same return_id before.  Raises SK101, SK104 for more than was sold and not yet
 * returned, or for a product that the sale does not have, SK201 for a return_id of another
 * return or sale.
 */
static Datum
return_part(FunctionCallInfo fcinfo, Oid product_type)
{
	Cart		cart;
	Sale		sale;
	Line		line;
	text	   *return_id;

	sale_id_from_args(&cart, &sale, fcinfo, "purchase_return()", 5);
	line_of_sale_from_args(&cart, &line, fcinfo, product_type);
	return_id = require_id(fcinfo, 3, "return_id");
	PG_RETURN_INT64(sale_return_part(&cart, return_id, require_restock(fcinfo, 4)));
}

/*
 * purchase_extend(sale_id text, hold_for interval, stock_table regclass)
 * returns timestamptz
 *
 * Let a hold last for hold_for from now on, if that is longer; returns its end.  Raises
 * SK101, SK102 if others have taken its units, SK103 if it is sold or was released.
 */
PG_FUNCTION_INFO_V1(purchase_extend);

Datum
purchase_extend(PG_FUNCTION_ARGS)
{
	Cart		cart;
	Sale		sale;
	SaleCall	call = {.action = ACTION_EXTEND};

	sale_id_from_args(&cart, &sale, fcinfo, "purchase_extend()", 2);
	call.hold_for = require_hold_for(fcinfo, 1);
	PG_RETURN_TIMESTAMPTZ(distribute_act(&cart, &call));
}

static int64
get_max(FunctionCallInfo fcinfo, int n)
{
	int64		max = PG_ARGISNULL(n) ? PG_INT64_MAX : PG_GETARG_INT64(n);

	if (max <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max must be positive, not " INT64_FORMAT, max)));
	return max;
}

/*
 * purchase_expire(max bigint, stock_table regclass) returns bigint
 *
 * Give the units of lapsed holds back to the stock, of max holds at most, NULL for all;
 * returns how many.
 */
PG_FUNCTION_INFO_V1(purchase_expire);

Datum
purchase_expire(PG_FUNCTION_ARGS)
{
	Cart		cart;
	SaleCall	call = {.action = ACTION_EXPIRE};

	init_cart(&cart, fcinfo, "purchase_expire()", InvalidOid, 0, NULL, 1);
	call.max = get_max(fcinfo, 0);
	PG_RETURN_INT64(distribute_act(&cart, &call));
}

/*
 * purchase_forget(older_than interval, max bigint, forget_limits boolean,
 *				   stock_table regclass) returns bigint
 *
 * Delete sales, and returns, that were settled so long ago and have not changed since, max
 * at most, NULL for all; returns how many.  Their ids are free then.  For the table's
 * owner: 42501.
 */
PG_FUNCTION_INFO_V1(purchase_forget);

Datum
purchase_forget(PG_FUNCTION_ARGS)
{
	Cart		cart;
	TimestampTz now = GetCurrentTimestamp();
	SaleCall	call = {.action = ACTION_FORGET};

	init_cart(&cart, fcinfo, "purchase_forget()", InvalidOid, 0, NULL, 3);
	require_argument(fcinfo, 0, "older_than");
	require_argument(fcinfo, 2, "forget_limits");
	call.before = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
														  TimestampTzGetDatum(now),
														  PG_GETARG_DATUM(0)));
	if (call.before > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("older_than must not be negative")));
	call.max = get_max(fcinfo, 1);
	call.forget_limits = PG_GETARG_BOOL(2);
	PG_RETURN_INT64(distribute_act(&cart, &call));
}

/*
 * purchase_on_shard(product_id bigint, action text, sale_id text, hold_for interval,
 *					 restock boolean, max bigint, before timestamptz,
 *					 forget_limits boolean, stock_table regclass) returns bigint
 *
 * One of the functions above, but only with the sales in the shard of a distributed table that
 * has a product.  They send this to each node that it concerns.
 */
PG_FUNCTION_INFO_V1(purchase_on_shard);

Datum
purchase_on_shard(PG_FUNCTION_ARGS)
{
	Cart		cart;
	Line		line = {.product = require_product(fcinfo, 0, INT8OID)};
	Sale		sale = {.id = NULL};
	SaleCall	call = {.action = ACTION_CONFIRM};
	char	   *action;

	require_argument(fcinfo, 1, "action");
	action = text_to_cstring(PG_GETARG_TEXT_PP(1));
	while (call.action < N_ACTIONS && strcmp(action, sale_actions[call.action]) != 0)
		call.action++;
	if (call.action == N_ACTIONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no action \"%s\"", action)));

	init_cart(&cart, fcinfo, psprintf("purchase_%s()", action), INT8OID, 1, &line, 8);
	if (call.action < ACTION_EXPIRE)
	{
		sale.id = require_id(fcinfo, 2, "sale_id");
		cart.sale = &sale;
	}
	if (call.action == ACTION_EXTEND)
		call.hold_for = require_hold_for(fcinfo, 3);
	else if (call.action == ACTION_RETURN)
		call.restock = require_restock(fcinfo, 4);
	else if (call.action >= ACTION_EXPIRE)
		call.max = get_max(fcinfo, 5);
	if (call.action == ACTION_FORGET)
	{
		require_argument(fcinfo, 6, "before");
		require_argument(fcinfo, 7, "forget_limits");
		call.before = PG_GETARG_TIMESTAMPTZ(6);
		call.forget_limits = PG_GETARG_BOOL(7);
	}
	PG_RETURN_INT64(sale_act(&cart, &call));
}

/*
 * The C functions behind the SQL functions: one for each key type.
 */
#define SQL_FUNCTION(name, implementation, arg) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return implementation(fcinfo, arg); \
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
SQL_FUNCTION(purchase_set_stock_bigint, set_stock, INT8OID)
SQL_FUNCTION(purchase_set_stock_uuid, set_stock, UUIDOID)
SQL_FUNCTION(purchase_set_stock_text, set_stock, TEXTOID)
SQL_FUNCTION(purchase_release_bigint, release_part, INT8OID)
SQL_FUNCTION(purchase_release_uuid, release_part, UUIDOID)
SQL_FUNCTION(purchase_release_text, release_part, TEXTOID)
SQL_FUNCTION(purchase_return_bigint, return_part, INT8OID)
SQL_FUNCTION(purchase_return_uuid, return_part, UUIDOID)
SQL_FUNCTION(purchase_return_text, return_part, TEXTOID)
SQL_FUNCTION(purchase_available_bigint, available, INT8OID)
SQL_FUNCTION(purchase_available_uuid, available, UUIDOID)
SQL_FUNCTION(purchase_available_text, available, TEXTOID)
SQL_FUNCTION(purchase_blockers_bigint, blockers, INT8OID)
SQL_FUNCTION(purchase_blockers_uuid, blockers, UUIDOID)
SQL_FUNCTION(purchase_blockers_text, blockers, TEXTOID)

/* one C function for all array types, and one for the text of an array */
SQL_FUNCTION(purchase_cart_array, cart_of_array, false)
SQL_FUNCTION(purchase_cart_text, cart_of_text, false)
SQL_FUNCTION(purchase_try_cart_array, cart_of_array, true)
SQL_FUNCTION(purchase_try_cart_text, cart_of_text, true)
