/*
 * cart.c
 *	  The one path of every call: open the stock table, look at all lines, lock
 *	  all, decide, write all.  purchase() is a cart of one line.
 *
 * A decision to sell is made on the locked, latest version of a row.  Under
 * READ COMMITTED a refusal may come earlier, from a look at the latest
 * committed stock, and then costs no lock, no transaction id and no WAL.
 * Under REPEATABLE READ and SERIALIZABLE the look sees the transaction's
 * snapshot, which may be old, and decides nothing but that a row is not there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "purchase.h"

/* of a product key, in a message */
#define MAX_KEY_BYTES 200

static const struct
{
	const char *name;
	int			sqlerrcode;
}			outcomes[] =
{
	[OUTCOME_AVAILABLE] = {"available", 0},
	[OUTCOME_SOLD] = {"sold", 0},
	[OUTCOME_BUSY] = {"busy", ERRCODE_LOCK_NOT_AVAILABLE},
	[OUTCOME_INSUFFICIENT_QUANTITY] = {"insufficient_quantity", ERRCODE_INSUFFICIENT_QUANTITY},
	[OUTCOME_OUT_OF_STOCK] = {"out_of_stock", ERRCODE_OUT_OF_STOCK},
	[OUTCOME_PRODUCT_NOT_FOUND] = {"product_not_found", ERRCODE_PRODUCT_NOT_FOUND},
};

const char *
outcome_name(Outcome outcome)
{
	return outcomes[outcome].name;
}

/* ----------------------------------------------------------------
 * Errors
 * ----------------------------------------------------------------
 */

static char *
line_name(Cart *cart, Line *line)
{
	char	   *text = product_text(line->product, cart->product_type);
	int			len = strlen(text);

	if (len > MAX_KEY_BYTES)
		text[pg_mbcliplen(text, len, MAX_KEY_BYTES)] = '\0';
	return text;
}

/*
 * Raise what became of a line that can't be sold.
 */
static pg_attribute_noreturn() void
raise_line(Cart *cart, Line *line)
{
	StockTable *st = cart->st;
	const char *product = line_name(cart, line);
	int			sqlerrcode = outcomes[line->outcome].sqlerrcode;

	switch (line->outcome)
	{
		case OUTCOME_PRODUCT_NOT_FOUND:
			ereport(ERROR,
					(errcode(sqlerrcode),
					 errmsg("product %s not found", product),
					 errdetail("Key (%s)=(%s) is not present in table \"%s\".",
							   st->key_column, product,
							   RelationGetRelationName(cart->rel)),
					 errtablecol(cart->rel, st->key_attno)));

		case OUTCOME_BUSY:
			ereport(ERROR,
					(errcode(sqlerrcode),
					 errmsg("product %s is busy", product),
					 errdetail("Another transaction holds a lock on its row."),
					 errhint("Retry the transaction, or wait for the lock: SET purchase.lock_wait = '1s';"),
					 errtablecol(cart->rel, st->stock_attno)));

		case OUTCOME_OUT_OF_STOCK:
		case OUTCOME_INSUFFICIENT_QUANTITY:
			ereport(ERROR,
					(errcode(sqlerrcode),
					 line->outcome == OUTCOME_OUT_OF_STOCK ?
					 errmsg("product %s is out of stock", product) :
					 errmsg("not enough stock of product %s", product),
					 errdetail("Product %s has " INT64_FORMAT " in stock, " INT64_FORMAT " %s requested.",
							   product, line->stock, line->qty,
							   line->qty == 1 ? "was" : "were"),
					 line->outcome == OUTCOME_INSUFFICIENT_QUANTITY ?
					 errhint("A quantity of up to " INT64_FORMAT " can be sold.",
							 line->stock) : 0,
					 errtablecol(cart->rel, st->stock_attno)));

		default:
			elog(ERROR, "unexpected outcome %d", line->outcome);
	}
}

/* ----------------------------------------------------------------
 * Subtransactions and waiting
 * ----------------------------------------------------------------
 */

/*
 * Call a function in a subtransaction.  Returns the error that it threw, if
 * any, after the subtransaction was rolled back; in the caller's context.
 */
ErrorData *
run_in_subtransaction(void (*fn) (void *), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		fn(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return error;
}

/*
 * Lock a line's row, waiting as long as purchase.lock_wait allows.
 *
 * The server's lock_timeout starts anew with each thing that is waited for,
 * and a contended row can be two: the place at the head of its queue, then the
 * transaction that holds it.  So its timer is started here, once for all, with
 * lock_timeout itself out of the way.
 */
static LockResult
lock_and_wait(Cart *cart, Line *line)
{
	MemoryContext cxt = CurrentMemoryContext;
	const int	bound = cart->lock_wait > 0 && LockTimeout > 0 ?
		Min(cart->lock_wait, LockTimeout) : cart->lock_wait;
	const int	guc_level = NewGUCNestLevel();
	LockResult	result;

	if (bound > 0 && LockTimeout > 0)
		(void) set_config_option("lock_timeout", "0", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);

	cart->waiting = line;
	PG_TRY();
	{
		if (bound > 0)
			enable_timeout_after(LOCK_TIMEOUT, bound);
		result = cart->engine->lock(cart, line, true);
		if (bound > 0)
		{
			/* it may have fired just now: then that must be known as such */
			disable_timeout(LOCK_TIMEOUT, true);
			CHECK_FOR_INTERRUPTS();
		}
	}
	PG_CATCH();
	{
		if (bound > 0)
			disable_timeout(LOCK_TIMEOUT, false);
		if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		{
			/* only the words change: this still ends the (sub)transaction */
			MemoryContextSwitchTo(cxt);
			FlushErrorState();
			line->outcome = OUTCOME_BUSY;
			line->stock_known = false;
			raise_line(cart, line);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	cart->waiting = NULL;

	AtEOXact_GUC(true, guc_level);
	return result;
}

/* ----------------------------------------------------------------
 * The path
 * ----------------------------------------------------------------
 */

/*
 * What a line's stock means for it.  Returns whether it can be sold.
 */
static bool
decide(Cart *cart, Line *line)
{
	if (!line->stock_known)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the stock of product %s is null",
						line_name(cart, line)),
				 errhint("Set it, and declare column \"%s\" NOT NULL.",
						 cart->st->stock_column),
				 errtablecol(cart->rel, cart->st->stock_attno)));

	if (cart->verb != VERB_SELL || line->stock >= line->qty)
		line->outcome = OUTCOME_AVAILABLE;
	else if (line->stock <= 0)
		line->outcome = OUTCOME_OUT_OF_STOCK;
	else
		line->outcome = OUTCOME_INSUFFICIENT_QUANTITY;
	return line->outcome == OUTCOME_AVAILABLE;
}

static void
look_at_line(Cart *cart, Line *line)
{
	line->outcome = OUTCOME_AVAILABLE;
	line->stock_known = false;
	if (line->no_such_key || !cart->engine->look(cart, line))
		line->outcome = OUTCOME_PRODUCT_NOT_FOUND;
	else if (!IsolationUsesXactSnapshot() || cart->verb == VERB_READ)
		(void) decide(cart, line);
}

static void
lock_line(Cart *cart, Line *line)
{
	LockResult	result = cart->lock_wait == 0 ?
		cart->engine->lock(cart, line, false) :
		lock_and_wait(cart, line);

	switch (result)
	{
		case LOCK_OK:
			(void) decide(cart, line);
			break;
		case LOCK_BUSY:
			line->outcome = OUTCOME_BUSY;
			line->stock_known = false;
			break;
		case LOCK_NO_ROW:
			line->outcome = OUTCOME_PRODUCT_NOT_FOUND;
			line->stock_known = false;
			break;
	}
}

static void
write_line(Cart *cart, Line *line)
{
	int64		delta = cart->verb == VERB_SELL ? -line->qty : line->qty;

	cart->engine->write(cart, line, delta);
	if (!line->stock_known)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the update of product %s did not take place",
						line_name(cart, line)),
				 errdetail("A trigger on table \"%s\" suppressed it or left no stock.",
						   RelationGetRelationName(cart->rel)),
				 errtablecol(cart->rel, cart->st->stock_attno)));
	line->outcome = OUTCOME_SOLD;
}

/*
 * The worst outcome of a cart's lines.
 */
static Line *
worst_line(Cart *cart)
{
	Line	   *worst = &cart->lines[0];

	for (int i = 1; i < cart->nlines; i++)
		if (cart->lines[i].outcome > worst->outcome)
			worst = &cart->lines[i];
	return worst;
}

static bool
all_available(Cart *cart)
{
	return worst_line(cart)->outcome == OUTCOME_AVAILABLE;
}

static void
check_overflow(Cart *cart, Line *line)
{
	int64		max = cart->st->stock_type == INT2OID ? PG_INT16_MAX :
		cart->st->stock_type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;

	if (line->stock > max - line->qty)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("stock of product %s out of range",
						line_name(cart, line)),
				 errdetail("Product %s has " INT64_FORMAT " in stock; adding " INT64_FORMAT " exceeds type %s of column \"%s\".",
						   line_name(cart, line), line->stock, line->qty,
						   format_type_be(cart->st->stock_type),
						   cart->st->stock_column),
				 errtablecol(cart->rel, cart->st->stock_attno)));
}

static void
run_lines(Cart *cart)
{
	for (int i = 0; i < cart->nlines; i++)
		look_at_line(cart, &cart->lines[i]);
	if (cart->verb == VERB_READ || !all_available(cart))
		return;

	for (int i = 0; i < cart->nlines; i++)
		lock_line(cart, &cart->lines[i]);
	if (!all_available(cart))
		return;

	if (cart->verb == VERB_RESTOCK)
		for (int i = 0; i < cart->nlines; i++)
			check_overflow(cart, &cart->lines[i]);
	for (int i = 0; i < cart->nlines; i++)
		write_line(cart, &cart->lines[i]);
}

static void
convert_keys(Cart *cart)
{
	for (int i = 0; i < cart->nlines; i++)
	{
		Line	   *line = &cart->lines[i];

		line->no_such_key = !stock_table_key(cart->st, line->product,
											 cart->product_type, &line->key);
	}
}

/*
 * Run a cart: every line has an outcome then, but the stock table stays open
 * for the error that may be raised from it.
 */
static void
run_cart(Cart *cart)
{
	stock_table_open(cart);
	convert_keys(cart);

	/*
	 * As for the queries of a volatile function, all earlier commands of this
	 * transaction are seen.  Without the increment, a second call in one
	 * statement would not find what the first one wrote.
	 */
	if (cart->verb == VERB_READ)
		PushActiveSnapshot(GetActiveSnapshot());
	else
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
	}
	cart->engine->open(cart);
	run_lines(cart);
	cart->engine->close(cart);
	PopActiveSnapshot();
}

static void
run_or_raise(Cart *cart)
{
	Line	   *worst;

	run_cart(cart);
	worst = worst_line(cart);
	if (worst->outcome > OUTCOME_SOLD)
		raise_line(cart, worst);
	stock_table_close(cart);
}

static void
prevent_if_read_only(Cart *cart)
{
	/* heap_update() does not look: a standby would fail inside of it */
	PreventCommandIfReadOnly(cart->function);
	PreventCommandIfParallelMode(cart->function);
}

/*
 * Sell all lines, or raise.
 */
void
cart_sell(Cart *cart)
{
	prevent_if_read_only(cart);
	cart->verb = VERB_SELL;
	cart->lock_wait = purchase_lock_wait;
	run_or_raise(cart);
}

static void
try_cart(void *arg)
{
	Cart	   *cart = arg;

	run_cart(cart);
	stock_table_close(cart);
}

/*
 * Sell all lines, or say in their outcomes why not.
 *
 * A wait that runs out is an error of the server's.  To go on after it needs a
 * subtransaction, so that is begun only when there is something to wait for.
 */
void
cart_try_sell(Cart *cart)
{
	ErrorData  *error;

	prevent_if_read_only(cart);
	cart->verb = VERB_SELL;
	cart->lock_wait = 0;
	try_cart(cart);
	if (purchase_lock_wait == 0 || worst_line(cart)->outcome != OUTCOME_BUSY)
		return;

	cart->lock_wait = purchase_lock_wait;
	error = run_in_subtransaction(try_cart, cart);
	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE ||
		cart->waiting == NULL)
		ReThrowError(error);
	FreeErrorData(error);
}

/*
 * Give stock back.  This always waits for the row: to fail as busy would leak
 * units.
 */
void
cart_restock(Cart *cart)
{
	prevent_if_read_only(cart);
	cart->verb = VERB_RESTOCK;
	cart->lock_wait = -1;
	run_or_raise(cart);
}

/*
 * Read the stock as the calling statement sees it, without a lock.
 */
void
cart_read(Cart *cart)
{
	cart->verb = VERB_READ;
	run_or_raise(cart);
}
