/*
 * sale.c
 *	  What can be done with a sale that has an id: confirm, release, extend, return;
 *	  and expire what has lapsed.
 *
 * Each call locks the sale's lines, then their holds, and then, where stock is given
 * back or taken anew, runs a cart of these lines.  The holds of a sale are nobody's
 * but whose lock its lines are.
 *
 * These calls always wait: to give back must not fail as busy, and who has paid must
 * not be refused because somebody else is in the way.
 *
 * A call that does not touch the products asks all the same whether the user may
 * update them, row security included.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "cart.h"
#include "citus.h"
#include "hold.h"
#include "outcome.h"
#include "relation.h"
#include "sale.h"
#include "stat.h"
#include "wait.h"

static void
open_cart(Cart *cart, Verb verb)
{
	cart->verb = verb;
	cart->patience = PATIENCE_UNBOUNDED;
	cart_open(cart);
}

static void
open_sale(Cart *cart, Verb verb, Record *record)
{
	open_cart(cart, verb);
	record_lock(cart, record);
}

/*
 * Make a cart's lines of those of a record for which use() holds.  Their keys are of
 * the column's type already.
 */
static void
take_lines(Cart *cart, Record *record, bool (*use) (SaleLine *))
{
	cart->product_type = InvalidOid;
	cart->lines = palloc0(record->nlines * sizeof(Line));
	cart->nlines = 0;
	for (int i = 0; i < record->nlines; i++)
	{
		SaleLine   *line = &record->lines[i];

		if (!use(line))
			continue;
		cart->lines[cart->nlines].product = line->product;
		cart->lines[cart->nlines].qty = line->has_hold ? line->units :
			line->qty - line->released - line->returned;
		cart->nlines++;
	}
}

static bool
is_any(pg_attribute_unused() SaleLine *line)
{
	return true;
}

static bool
is_held(SaleLine *line)
{
	return line->has_hold;
}

static bool
is_sold(SaleLine *line)
{
	return sale_line_sold(line) > 0;
}

static bool
is_in_state(Record *record, SaleState state)
{
	for (int i = 0; i < record->nlines; i++)
		if (record->lines[i].state == state)
			return true;
	return false;
}

static void
raise_if_hidden(Cart *cart, Line *line)
{
	if (line->outcome == OUTCOME_PRODUCT_NOT_FOUND && !line->no_such_key &&
		sales_find_product(cart, line))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for product %s", cart_line_name(cart, line)),
				 errdetail("Row security of table \"%s\" does not let %s update it.",
						   RelationGetRelationName(cart->table.named),
						   GetUserNameFromId(GetUserId(), false)),
				 errtablecolname(cart->table.named, cart->table.st->key_column)));
}

/*
 * Who may not sell may do nothing else with a sale, nor know what has become of it.  Not
 * even whether it has the cart's own lines, which are asked for without a record, and
 * are prepared anew when they are run.
 */
static void
check_may_sell(const Cart *cart, Record *record)
{
	Cart		check = *cart;

	if (!cart_is_under_row_security(&check))
		return;
	if (record != NULL)
		take_lines(&check, record, is_any);
	cart_check_policies(&check);
	for (int i = 0; i < check.nlines; i++)
		raise_if_hidden(&check, &check.lines[i]);
}

/*
 * Take units anew for the lines whose own are gone, or raise.
 */
static void
take_anew(Cart *cart, Record *record)
{
	Outcome		outcome;

	take_lines(cart, record, sale_line_is_expired);
	if (cart->nlines == 0)
		return;
	cart->sale->buyer = record->buyer;
	outcome = cart_run(cart);
	if (outcome == OUTCOME_BUSY)
		cart_raise(cart);
	for (int i = 0; i < cart->nlines; i++)
		raise_if_hidden(cart, &cart->lines[i]);
	if (outcome > OUTCOME_SOLD)
		raise_hold_expired(cart, cart_detail(cart),
						   "Pay back what was paid for it, and release it, so that no later confirm sells it.");
}

/*
 * Sell what a sale holds.  Returns false if that was done before.
 */
static bool
sale_confirm(Cart *cart)
{
	Record		record;
	int64		units = 0;
	int64		nholds = 0;
	bool		done = false;

	open_sale(cart, VERB_SELL, &record);
	check_may_sell(cart, &record);
	take_anew(cart, &record);
	for (int i = 0; i < record.nlines; i++)
	{
		SaleLine   *line = &record.lines[i];
		int64		released;

		if (!line->has_hold && !sale_line_is_expired(line))
			continue;
		released = line->has_hold ? line->qty - line->units : line->released;
		record_settle(cart, cart->sale->id, line, SALE_SOLD, released);
		units += line->qty - released;
		nholds += line->has_hold;
		done = true;
	}
	if (!done && !is_in_state(&record, SALE_SOLD))
		raise_sale_settled(cart, SALE_RELEASED);
	cart_judge_limits_again(cart);
	if (done)
		cart_count_sold(cart, units);
	stat_add(cart->stat, STAT_HOLDS_CONFIRMED, nholds);
	cart_close(cart);
	return done;
}

typedef struct Run
{
	Cart	   *cart;
	Outcome		outcome;
} Run;

static bool
run_cart(void *arg)
{
	Run		   *run = arg;

	run->outcome = cart_run(run->cart);
	return run->outcome <= OUTCOME_SOLD;
}

/*
 * Run a cart all lines of which are undone if one fails.
 */
static Outcome
run_all_or_none(Cart *cart)
{
	Run			run = {.cart = cart};
	ErrorData  *error;

	if (cart->nlines == 1)
		return cart_run(cart);

	/* what is opened in the subtransaction would be closed with it */
	if (OidIsValid(cart->table.st->index))
		(void) stock_table_index(&cart->table);
	error = run_in_subtransaction(run_cart, &run);
	if (error != NULL)
		ReThrowError(error);
	return run.outcome;
}

/*
 * Give the cart's lines back to the stock.  Those whose product is gone are left out.
 * Returns the units.
 */
static int64
give_back(Cart *cart)
{
	int64		units = 0;

	while (cart->nlines > 0 && run_all_or_none(cart) > OUTCOME_SOLD)
	{
		int			n = 0;

		for (int i = 0; i < cart->nlines; i++)
		{
			Line	   *line = &cart->lines[i];

			if (line->outcome != OUTCOME_PRODUCT_NOT_FOUND)
			{
				cart->lines[n++] = *line;
				continue;
			}
			raise_if_hidden(cart, line);
			ereport(NOTICE,
					(errmsg("product %s not found, its units are given up",
							cart_line_name(cart, line))));
		}
		if (n == cart->nlines)
			cart_raise(cart);
		cart->nlines = n;
	}
	for (int i = 0; i < cart->nlines; i++)
		units += cart->lines[i].qty;
	return units;
}

/*
 * Give back what a sale holds.  Returns the units: 0 if that was done before, or if
 * others have taken them.  What they have taken is released, too: a payment that was
 * paid back must not be sold after all by a confirm that comes twice.
 */
static int64
sale_release(Cart *cart)
{
	Record		record;
	int64		units;
	int64		nholds = 0;

	open_sale(cart, VERB_RESTOCK, &record);
	check_may_sell(cart, &record);
	if (is_in_state(&record, SALE_SOLD))
		raise_sale_settled(cart, SALE_SOLD);
	take_lines(cart, &record, is_held);
	units = give_back(cart);
	for (int i = 0; i < record.nlines; i++)
		if (record.lines[i].state != SALE_RELEASED)
		{
			record_settle(cart, cart->sale->id, &record.lines[i], SALE_RELEASED,
						  record.lines[i].qty);
			nholds += record.lines[i].has_hold;
		}
	stat_add(cart->stat, STAT_HOLDS_RELEASED, nholds);
	cart_close(cart);
	return units;
}

pg_noreturn static void raise_not_part(Cart *cart, int sqlerrcode);

static void
raise_not_part(Cart *cart, int sqlerrcode)
{
	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("product %s is not part of sale \"%s\"",
					cart_line_name(cart, &cart->lines[0]), sale_name(cart->sale)),
			 errtablecolname(cart->table.named, cart->table.st->key_column)));
}

/*
 * The line of a sale that has the product of the cart's only line; raises if there is none.
 */
static SaleLine *
find_line(Cart *cart, Record *record, int sqlerrcode)
{
	KeyType    *kt = &cart->table.st->key_type;
	Datum		key;

	if (key_from_product(kt, cart->lines[0].product, cart->product_type, &key))
	{
		for (int i = 0; i < record->nlines; i++)
			if (key_equals(kt, record->lines[i].product, key))
				return &record->lines[i];
	}
	raise_not_part(cart, sqlerrcode);
}

/*
 * Give back a part of what a sale holds: the cart's only line.
 */
int64
sale_release_part(Cart *cart)
{
	Record		record;
	SaleLine   *line;
	int64		qty = cart->lines[0].qty;
	int64		units = 0;

	open_sale(cart, VERB_RESTOCK, &record);
	check_may_sell(cart, NULL);
	line = find_line(cart, &record, ERRCODE_INVALID_PARAMETER_VALUE);
	if (line->state == SALE_SOLD)
		raise_sale_settled(cart, SALE_SOLD);
	if (line->has_hold && qty > line->units)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sale \"%s\" holds fewer units of product %s",
						sale_name(cart->sale), cart_line_name(cart, &cart->lines[0])),
				 errdetail("It holds " INT64_FORMAT ", " INT64_FORMAT " were to be released.",
						   line->units, qty),
				 errtablecolname(cart->table.named, cart->table.st->stock_column)));
	if (line->has_hold)
	{
		units = give_back(cart);
		if (qty == line->units)
		{
			record_settle(cart, cart->sale->id, line, SALE_RELEASED, line->qty);
			stat_add(cart->stat, STAT_HOLDS_RELEASED, 1);
		}
		else
			record_reduce_hold(cart, line, qty);
	}
	cart_close(cart);
	return units;
}

/*
 * Let a hold last longer, from now on.  Returns when it ends, never earlier than
 * before.
 */
static TimestampTz
sale_extend(Cart *cart)
{
	Record		record;
	TimestampTz result;

	open_sale(cart, VERB_RESTOCK, &record); /* no limit is asked for */
	check_may_sell(cart, &record);
	if (is_in_state(&record, SALE_SOLD))
		raise_sale_settled(cart, SALE_SOLD);
	take_lines(cart, &record, sale_line_is_expired);
	if (cart->nlines > 0)
		raise_units_taken(cart, cart->lines[0].product);
	if (!is_in_state(&record, SALE_HELD))
		raise_sale_settled(cart, SALE_RELEASED);
	result = record_extend_holds(cart, &record,
								 hold_end(cart->sale->hold_for,
										  GetCurrentTimestamp()));
	cart_close(cart);
	return result;
}

/* ----------------------------------------------------------------
 * Returns
 * ----------------------------------------------------------------
 */

/*
 * Take back all that is sold and was not returned.  Returns the units: 0 if that was
 * done before.
 */
static int64
sale_return(Cart *cart, bool restock)
{
	Record		record;
	int64		units = 0;

	open_sale(cart, VERB_RESTOCK, &record);
	check_may_sell(cart, &record);
	if (!is_in_state(&record, SALE_SOLD))
	{
		SaleLine   *line = &record.lines[0];

		for (int i = 0; i < record.nlines && !line->has_hold; i++)
			if (record.lines[i].has_hold)
				line = &record.lines[i];
		raise_return_exceeds_sale(cart, line, 0);
	}
	take_lines(cart, &record, is_sold);
	if (restock)
		(void) give_back(cart);
	for (int i = 0; i < record.nlines; i++)
	{
		int64		qty = sale_line_sold(&record.lines[i]);

		if (qty > 0)
			record_note_return(cart, &record.lines[i], qty, restock);
		units += qty;
	}
	cart_close(cart);
	return units;
}

/*
 * Claim the id of a return, waiting as long as it takes.  False if there is the same
 * return already.
 */
static bool
claim_return(Cart *cart, Return *ret)
{
	ClaimResult claim;

	do
	{
		claim = record_claim(cart, true);
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		claim = record_check_claim(cart, claim);
		if (claim == CLAIM_TAKEN)
			record_repeat_return(cart, ret);
		PopActiveSnapshot();
	} while (claim == CLAIM_AGAIN);
	return claim == CLAIM_OK;
}

static void
return_part(Cart *cart, Return *ret, Sale *id)
{
	Record		record;
	SaleLine   *line;
	bool		is_there = false;

	record_lock(cart, &record);
	line = find_line(cart, &record, ERRCODE_RETURN_EXCEEDS_SALE);
	if (ret->qty > sale_line_sold(line))
		raise_return_exceeds_sale(cart, line, ret->qty);
	if (ret->restock)
	{
		(void) give_back(cart);
		is_there = cart->nlines > 0;
	}
	record_note_return(cart, line, ret->qty, ret->restock);
	cart->sale = id;
	record_store_return(cart, ret, record.buyer, is_there ? cart->lines : NULL);
}

/*
 * Take back a part of what is sold: the cart's only line.  Returns its units, also if that
 * was done before with the same return_id.
 *
 * The order of locks is that of all calls: the id, the sale's rows, the product.
 */
int64
sale_return_part(Cart *cart, text *return_id, bool restock)
{
	Sale	   *sale = cart->sale;
	Sale		id = {.id = return_id};
	Line	   *line = &cart->lines[0];
	Return		ret = {.sale_id = sale->id,.qty = line->qty,.restock = restock};
	bool		is_new;

	open_cart(cart, VERB_RESTOCK);
	check_may_sell(cart, NULL);
	if (!key_from_product(&cart->table.st->key_type, line->product,
						  cart->product_type, &ret.product))
		raise_not_part(cart, ERRCODE_RETURN_EXCEEDS_SALE);
	cart->sale = &id;
	is_new = claim_return(cart, &ret);
	cart->sale = sale;
	if (is_new)
		return_part(cart, &ret, &id);
	cart->sale = &id;
	record_unclaim(cart);
	cart_close(cart);
	return ret.qty;
}

/* ----------------------------------------------------------------
 * Expiry
 * ----------------------------------------------------------------
 */

/*
 * Expire the lapsed holds of the cart's only product.  Where that is gone, the holds
 * are only tidied away; where the user may not update it, they stay.
 */
static bool
expire_product(void *arg)
{
	Cart	   *cart = arg;
	Line	   *line = cart->lines;

	cart_open(cart);
	if (cart_run(cart) == OUTCOME_PRODUCT_NOT_FOUND && !sales_find_product(cart, line))
	{
		hold_take_lapsed(cart, line);
		cart_count_lapsed(cart, line->nholds);
		if (line->nholds > 0)
			ereport(NOTICE,
					(errmsg("product %s not found, " INT64_FORMAT " units that were held of it are given up",
							cart_line_name(cart, line), line->taken)));
	}
	cart_close(cart);
	return true;
}

/*
 * What is wrong with one product must not keep the others from being tidied.  But not
 * every error is one product's.
 */
static void
warn_or_rethrow(Cart *cart, ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			ReThrowError(error);
	}
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not expire holds of product %s: %s",
					cart_line_name(cart, cart->lines), error->message)));
	FreeErrorData(error);
	cart->lines[0].nholds = 0;
}

static int
compare_products(const void *a, const void *b, void *arg)
{
	return key_compare(arg, ((const Line *) a)->product,
					   ((const Line *) b)->product);
}

/*
 * Give the units of lapsed holds back to the stock, product by product in the order of
 * carts.  Returns how many holds, max_holds at most; what somebody has locked is left
 * for the next time.
 */
static int64
sale_expire(Cart *cart)
{
	int64		nholds = 0;

	open_cart(cart, VERB_EXPIRE);
	cart->product_type = InvalidOid;
	hold_lapsed_products(cart);
	qsort_arg(cart->lines, cart->nlines, sizeof(Line), compare_products,
			  &cart->table.st->key_type);
	for (int i = 0; i < cart->nlines && nholds < cart->max_holds; i++)
	{
		Cart		product = *cart;
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		product.lines = &cart->lines[i];
		product.nlines = 1;
		product.max_holds = cart->max_holds - nholds;
		error = run_in_subtransaction(expire_product, &product);
		if (error != NULL)
			warn_or_rethrow(&product, error);
		nholds += product.lines[0].nholds;
	}
	cart_close(cart);
	return nholds;
}

/* How many old sales are locked at a time. */
#define FORGET_BATCH 1000

/*
 * Forget a sale whose line 1 is locked, if all its lines are old as of now, and nobody has
 * locked one of them.
 */
static bool
forget_sale(Cart *cart, SaleParams *params)
{
	uint64		n = sales_run(cart, SALE_LOCK_OLD, params, false);
	int64		nlines;
	bool		isnull;

	SPI_freetuptable(SPI_tuptable);
	(void) sales_run(cart, SALE_COUNT_LINES, params, false);
	nlines = DatumGetInt64(sales_value(0, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (n == 0 || nlines != (int64) n)
		return false;
	(void) sales_write(cart, SALE_FORGET, params, n);
	return true;
}

/*
 * Forget those that are found by a plan.
 */
static int64
forget_found(Cart *cart, SalePlan plan, SaleParams *params, int64 max)
{
	Portal		portal = sales_cursor(cart, plan, params);
	int64		nsales = 0;

	PinPortal(portal);			/* against a trigger that closes all cursors */
	for (;;)
	{
		SPITupleTable *ids;
		uint64		n;

		SPI_cursor_fetch(portal, true, Min(max - nsales, FORGET_BATCH));
		n = SPI_processed;
		ids = SPI_tuptable;
		for (uint64 i = 0; i < n; i++)
		{
			bool		isnull;

			CHECK_FOR_INTERRUPTS();
			sale_param(params, SALE_PARAM_ID,
					   SPI_getbinval(ids->vals[i], ids->tupdesc, 1, &isnull));
			nsales += forget_sale(cart, params);
		}
		params->nulls[SALE_PARAM_ID] = 'n';
		SPI_freetuptable(ids);
		if (n == 0 || nsales == max)
			break;
	}
	UnpinPortal(portal);
	SPI_cursor_close(portal);
	return nsales;
}

/*
 * Forget sales that were settled, and returned, before a time, and the returns of those
 * that are gone; max at most.  Returns how many.
 *
 * What a buyer still has counts where there are limits, and is kept unless told otherwise.
 * What somebody has locked is left for the next time.
 */
static int64
sale_forget(Cart *cart, TimestampTz before, int64 max, bool forget_limits)
{
	SaleContext context;
	SaleParams	params;
	int64		nsales;

	open_cart(cart, VERB_EXPIRE);
	relation_check_owned(cart->table.named);
	sale_params_init(&params);
	sale_param(&params, SALE_PARAM_TIME, TimestampTzGetDatum(before));
	sale_param(&params, SALE_PARAM_LIMITED,
			   BoolGetDatum(cart->table.st->limit_column != NULL && !forget_limits));
	sales_begin(&context, cart);
	nsales = forget_found(cart, SALE_OLD, &params, max);
	if (nsales < max)
		nsales += forget_found(cart, SALE_OLD_RETURNS, &params, max - nsales);
	sales_end(&context);
	cart_close(cart);
	return nsales;
}

/* ----------------------------------------------------------------
 * All of these
 * ----------------------------------------------------------------
 */

/* As arguments. */
const char *const sale_actions[] = {
	[ACTION_CONFIRM] = "confirm",
	[ACTION_RELEASE] = "release",
	[ACTION_EXTEND] = "extend",
	[ACTION_RETURN] = "return",
	[ACTION_EXPIRE] = "expire",
	[ACTION_FORGET] = "forget",
};

/*
 * Do something with the sales that are kept beside the cart's stock table; or, if the cart
 * has a product, beside the shard that has it.  Returns what the function of that name does,
 * as a number.
 */
int64
sale_act(Cart *cart, SaleCall *call)
{
	switch (call->action)
	{
		case ACTION_CONFIRM:
			return sale_confirm(cart);
		case ACTION_RELEASE:
			return sale_release(cart);
		case ACTION_EXTEND:
			cart->sale->hold_for = call->hold_for;
			return sale_extend(cart);
		case ACTION_RETURN:
			return sale_return(cart, call->restock);
		case ACTION_EXPIRE:
			cart->max_holds = call->max;
			return sale_expire(cart);
		default:
			Assert(call->action == ACTION_FORGET);
			return sale_forget(cart, call->before, call->max, call->forget_limits);
	}
}

/* ----------------------------------------------------------------
 * Questions of a stock table's owner
 * ----------------------------------------------------------------
 */

/*
 * What one of the plans says of the tables that keep a stock table's sales; 0 if one
 * was dropped, -1 if one does not fit.
 */
static int64
ask(Oid self, Relation stock_table, SalePlan plan)
{
	Cart		cart = {.verb = VERB_READ,.self = self};
	Oid			owner = stock_table->rd_rel->relowner;
	SaleTable	unused;
	int64		result = 0;
	const char *why;

	cart.stock_table = RelationGetRelid(stock_table);
	cart_open(&cart);
	why = sales_misfit(cart.table.st, cart.table.st->sale_table, sale_columns,
					   owner, &unused);
	if (why == NULL)
		why = sales_misfit(cart.table.st, cart.table.st->hold_table, hold_columns,
						   owner, &unused);
	if (why == NULL && cart.table.st->sales_in_shards)
		result = plan == SALE_HOLDS ? citus_count_rows(cart.table.st->hold_table) : 0;
	else if (why == NULL)
	{
		SaleContext context;
		SaleParams	params;
		bool		isnull;

		/* whatever the transaction's snapshot sees */
		CommandCounterIncrement();
		PushActiveSnapshot(GetLatestSnapshot());
		sale_params_init(&params);
		sales_begin(&context, &cart);
		(void) sales_run(&cart, plan, &params, true);
		result = DatumGetInt64(sales_value(0, 1, &isnull));
		sales_end(&context);
		PopActiveSnapshot();
	}
	else if (get_rel_name(cart.table.st->sale_table) != NULL &&
			 get_rel_name(cart.table.st->hold_table) != NULL)
		result = -1;
	cart_close(&cart);
	return result;
}

/*
 * What still holds units must not be forgotten: its stock could never come back.  The
 * lock is against a sale that is under way and about to hold something.
 */
void
sale_check_no_holds(Oid self, Relation stock_table)
{
	int64		nholds;

	LockRelation(stock_table, ShareRowExclusiveLock);
	nholds = ask(self, stock_table, SALE_HOLDS);

	if (nholds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot tell whether table \"%s\" has holds",
						RelationGetRelationName(stock_table)),
				 errdetail("The tables that keep its sales do not fit."),
				 errhint("See what purchase_check() says of them, or drop them first."),
				 errtable(stock_table)));
	if (nholds > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has holds",
						RelationGetRelationName(stock_table)),
				 errdetail("Lines of sales that hold units of its stock: " INT64_FORMAT ".",
						   nholds),
				 errhint("Confirm or release them first."),
				 errtable(stock_table)));
}

/*
 * How many rows of the hold table hold nothing, as there is no such line, or it is
 * settled.
 */
int64
sale_stray_holds(Oid self, Relation stock_table)
{
	return ask(self, stock_table, SALE_STRAY_HOLDS);
}

/*
 * How many lines are held by no row of the hold table: their units are neither in stock
 * nor held.
 */
int64
sale_lost_lines(Oid self, Relation stock_table)
{
	return ask(self, stock_table, SALE_LOST_LINES);
}
