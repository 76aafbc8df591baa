/*
 * cart.c
 *	  The one path of every call: open the stock table, look at all lines, lock
 *	  all, decide, write all.  purchase() is a cart of one line.
 *
 * A decision to sell is made on the locked, latest version of a row.
 *
 * Under READ COMMITTED a refusal may come earlier.  The look sees the latest
 * committed stock, and a refusal from it needs no lock, no transaction id and no
 * WAL.  Under REPEATABLE READ and SERIALIZABLE the look sees the transaction's
 * snapshot, which may be old.  It decides only that there is no such row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/int.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "cart.h"
#include "citus.h"
#include "commit.h"
#include "compat.h"
#include "engine.h"
#include "hold.h"
#include "record.h"
#include "settings.h"
#include "stat.h"
#include "stock.h"
#include "wait.h"

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

/* ----------------------------------------------------------------
 * Statistics
 * ----------------------------------------------------------------
 */

/*
 * Count a call that has not sold, once.
 */
static void
count_refusal(Cart *cart)
{
	static const StatCounter counters[] = {
		[OUTCOME_BUSY] = STAT_BUSY,
		[OUTCOME_BUYER_LIMIT_EXCEEDED] = STAT_BUYER_LIMIT_EXCEEDED,
		[OUTCOME_INSUFFICIENT_QUANTITY] = STAT_INSUFFICIENT_QUANTITY,
		[OUTCOME_OUT_OF_STOCK] = STAT_OUT_OF_STOCK,
		[OUTCOME_PRODUCT_NOT_FOUND] = STAT_PRODUCT_NOT_FOUND,
	};
	Outcome		outcome = worst_line(cart)->outcome;

	if (cart->verb == VERB_SELL && outcome > OUTCOME_SOLD)
		stat_add(cart->stat, counters[outcome], 1);
}

/*
 * Count what a cart has done that was not refused.  What a confirm takes anew it counts
 * itself, with the rest of its sale.
 */
static void
count_done(Cart *cart, bool repeated)
{
	int64		units = 0;
	int64		nholds = 0;

	if (cart->stat == NULL)
		return;
	for (Line *line = cart->lines; line < cart->lines + cart->nlines; line++)
	{
		units += line->qty;
		nholds += line->nholds;
	}
	if (repeated)
		stat_add(cart->stat, STAT_REPLAYS, 1);
	else if (cart->verb == VERB_SELL && (cart->sale == NULL || cart->sale->is_new))
	{
		if (cart->sale != NULL && cart->sale->hold_for != NULL)
			stat_add(cart->stat, STAT_HOLDS_MADE, cart->nlines);
		else
			cart_count_sold(cart, units);
	}
	if (nholds > 0)
		cart_count_lapsed(cart, nholds);
}

void
cart_count_sold(Cart *cart, int64 units)
{
	stat_add(cart->stat, STAT_SOLD_CALLS, 1);
	stat_add(cart->stat, STAT_SOLD_UNITS, units);
}

/*
 * Count lapsed holds whose units were taken, by a buyer or back into the stock.
 */
void
cart_count_lapsed(Cart *cart, int64 nholds)
{
	stat_add(cart->stat, STAT_HOLDS_LAPSED, nholds);
	if (cart->verb == VERB_SELL)
		stat_add(cart->stat, STAT_HOLDS_TAKEN, nholds);
}

/* ----------------------------------------------------------------
 * Errors
 * ----------------------------------------------------------------
 */

char *
cart_line_name(Cart *cart, Line *line)
{
	return key_clip(key_product_text(&cart->table.st->key_type, line->product,
									 cart->product_type));
}

/*
 * What became of a line that can't be sold, as a sentence.
 */
static char *
line_detail(Cart *cart, Line *line)
{
	const char *product = cart_line_name(cart, line);

	switch (line->outcome)
	{
		case OUTCOME_PRODUCT_NOT_FOUND:
			return psprintf("Key (%s)=(%s) is not present in table \"%s\".",
							cart->table.st->key_column, product,
							RelationGetRelationName(cart->table.named));
		case OUTCOME_BUSY:
			if (line->lapsed > 0)
				return psprintf("Another transaction holds a lock on a lapsed hold of product %s.",
								product);
			return psprintf("Another transaction holds a lock on the row of product %s.",
							product);
		case OUTCOME_BUYER_LIMIT_EXCEEDED:
			return psprintf("Buyer \"%s\" has " INT64_FORMAT " of product %s and may have " INT64_FORMAT ", " INT64_FORMAT " %s requested.",
							key_clip(text_to_cstring(cart->sale->buyer)), line->bought,
							product, line->limit, line->qty,
							line->qty == 1 ? "was" : "were");
		default:
			return psprintf("Product %s has " INT64_FORMAT " in stock, " INT64_FORMAT " %s requested.",
							product, line_available(line), line->qty,
							line->qty == 1 ? "was" : "were");
	}
}

/*
 * For use in ereport().
 */
static int
errmsg_line(Cart *cart, Line *line)
{
	const char *product = cart_line_name(cart, line);

	switch (line->outcome)
	{
		case OUTCOME_PRODUCT_NOT_FOUND:
			return errmsg("product %s not found", product);
		case OUTCOME_OUT_OF_STOCK:
			return errmsg("product %s is out of stock", product);
		case OUTCOME_BUYER_LIMIT_EXCEEDED:
			return errmsg("limit per buyer of product %s exceeded", product);
		case OUTCOME_INSUFFICIENT_QUANTITY:
			return errmsg("not enough stock of product %s", product);
		default:
			Assert(line->outcome == OUTCOME_BUSY);
			return errmsg("product %s is busy", product);
	}
}

/*
 * What became of each line that can't be sold, each in a line of text.
 */
char *
cart_detail(Cart *cart)
{
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < cart->nlines; i++)
		if (cart->lines[i].outcome > OUTCOME_SOLD)
			appendStringInfo(&detail, "%s%s", detail.len > 0 ? "\n" : "",
							 line_detail(cart, &cart->lines[i]));
	return detail.data;
}

/*
 * Raise one error for all lines that can't be sold.  Its SQLSTATE is that of the
 * worst line, and its detail names each line.
 */
void
cart_raise(Cart *cart)
{
	Line	   *worst = worst_line(cart);
	Outcome		outcome = worst->outcome;
	int			nfailed = 0;

	count_refusal(cart);
	for (int i = 0; i < cart->nlines; i++)
		nfailed += cart->lines[i].outcome > OUTCOME_SOLD;

	if (outcome == OUTCOME_BUSY && cart->sale != NULL && cart->sale->busy)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("sale \"%s\" is busy", sale_name(cart->sale)),
				 errdetail("Another transaction sells with this id."),
				 cart->lock_wait == 0 ?
				 errhint("Retry the transaction, or wait for the other: SET purchase.lock_wait = '1s';") :
				 errhint("Retry the transaction."),
				 errtable(cart->table.named)));
	ereport(ERROR,
			(errcode(outcome_sqlstate(outcome)),
			 nfailed == 1 ? errmsg_line(cart, worst) :
			 errmsg("%d of %d products cannot be sold",
					nfailed, cart->nlines),
			 errdetail_internal("%s", cart_detail(cart)),
			 outcome == OUTCOME_BUSY && cart->lock_wait == 0 && worst->lapsed == 0 ?
			 errhint("Retry the transaction, or wait for the lock: SET purchase.lock_wait = '1s';") :
			 outcome == OUTCOME_BUSY ? errhint("Retry the transaction.") :
			 outcome == OUTCOME_INSUFFICIENT_QUANTITY && nfailed == 1 ?
			 errhint("A quantity of up to " INT64_FORMAT " can be sold.",
					 line_available(worst)) :
			 outcome == OUTCOME_BUYER_LIMIT_EXCEEDED && nfailed == 1 &&
			 worst->limit > worst->bought ?
			 errhint("A quantity of up to " INT64_FORMAT " can be sold to this buyer.",
					 worst->limit - worst->bought) : 0,
			 errtablecolname(cart->table.named, outcome == OUTCOME_PRODUCT_NOT_FOUND ?
							 cart->table.st->key_column :
							 outcome == OUTCOME_BUYER_LIMIT_EXCEEDED ?
							 cart->table.st->limit_column : cart->table.st->stock_column)));
}

typedef struct Wait
{
	Cart	   *cart;
	Line	   *line;
	LockResult	result;
} Wait;

static void
lock_waiting(void *arg)
{
	Wait	   *wait = arg;

	wait->result = wait->cart->engine->lock(wait->cart, wait->line, true);
}

/*
 * The wait ran out, an error of the server's.  Only its words are replaced: this
 * still ends the transaction or subtransaction.
 */
static void
raise_busy(void *arg)
{
	Wait	   *wait = arg;

	wait->line->lapsed = 0;
	wait->line->outcome = OUTCOME_BUSY;
	cart_raise(wait->cart);
}

/*
 * Lock a line's row, waiting as long as purchase.lock_wait allows.
 */
static LockResult
lock_and_wait(Cart *cart, Line *line)
{
	Wait		wait = {.cart = cart,.line = line};

	cart->waiting = line;
	wait_within(cart->lock_wait, lock_waiting, raise_busy, &wait, cart->stat);
	cart->waiting = NULL;
	return wait.result;
}

/* ----------------------------------------------------------------
 * The path
 * ----------------------------------------------------------------
 */

/*
 * Sales may be visible before they are durable.  An answer that rests on one must
 * wait until a crash can no longer undo it.
 */
static void
wait_until_flushed(Cart *cart, Line *line)
{
	if (line->outcome == OUTCOME_PRODUCT_NOT_FOUND)
		commit_wait_all_flushed();	/* who sold may have deleted it, too */
	else if (line->outcome != OUTCOME_BUSY)
		cart->engine->wait_flushed(cart, line);
}

/*
 * If the stock alone does not suffice, or is to be told, count what is lapsed, too.
 * For a row that is locked, what was committed before counts.
 */
static void
count_lapsed(Cart *cart, Line *line, bool locked)
{
	if (!sales_kept(cart) ||
		(cart->verb != VERB_READ &&
		 (cart->verb != VERB_SELL || line->stock >= line->qty)))
		return;
	if (locked)
		PushActiveSnapshot(GetTransactionSnapshot());
	hold_count_lapsed(cart, line);
	if (locked)
		PopActiveSnapshot();
}

static Outcome
shortage(Line *line)
{
	return line_available(line) <= 0 ? OUTCOME_OUT_OF_STOCK :
		OUTCOME_INSUFFICIENT_QUANTITY;
}

/*
 * May the buyer have so many units of a product?  All that he has counts, held or
 * bought.  But his own lapsed holds he gives up first, if they would be in the way.
 *
 * What he has can grow only with a sale, or a hold, that has locked the product.
 * So it is counted with a snapshot that is taken after that lock, or, where the row is
 * written in one step, with that of the look, as that step fails if the row has changed
 * since.
 */
static void
judge_limit(Cart *cart, Line *line, bool locked)
{
	int64		lapsed;
	int64		excess;

	if (cart->verb != VERB_SELL || cart->table.st->limit_column == NULL)
		return;
	if (cart->table.st->limit_misfit != NULL)
		raise_limit_misfit(cart->table.st, cart->table.named);
	if (line->limit < 0)
		return;
	/* held before there were limits, and taken anew by a confirm */
	if (cart->sale != NULL && !cart->sale->is_new && cart->sale->buyer == NULL)
		return;
	if (cart->sale == NULL || cart->sale->buyer == NULL)
	{
		line->outcome = OUTCOME_BUYER_LIMIT_EXCEEDED;
		if (IsolationUsesXactSnapshot() && !locked)
			return;				/* the stock comes first */
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("product %s has a limit per buyer", cart_line_name(cart, line)),
				 errhint("Name the buyer: sale_id => '...', buyer => '...'"),
				 errtablecolname(cart->table.named, cart->table.st->limit_column)));
	}
	if (locked)
		PushActiveSnapshot(GetTransactionSnapshot());
	hold_count_bought(cart, line, &lapsed);
	if (locked)
		PopActiveSnapshot();
	if (pg_add_s64_overflow(line->bought, line->qty, &excess))
		excess = PG_INT64_MAX;
	excess -= line->limit;
	if (excess > lapsed)
	{
		line->outcome = OUTCOME_BUYER_LIMIT_EXCEEDED;
		line->bought -= lapsed;
	}
	else
		line->to_free = Max(excess, 0);
}

/* Sales that this session has made, rolled back or not. */
static uint64 nsales = 0;

/*
 * The lines of a sale were judged before the first was written.  If a trigger has sold
 * something meanwhile, count again, now that all is recorded.
 */
void
cart_judge_limits_again(Cart *cart)
{
	if (nsales <= cart->nsales + 1 || cart->sale->buyer == NULL)
		return;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (Line *line = cart->lines; line < cart->lines + cart->nlines; line++)
	{
		int64		lapsed;

		if (cart->table.st->limit_attno == InvalidAttrNumber || line->limit < 0)
			continue;
		hold_count_bought(cart, line, &lapsed);
		if (line->bought > line->limit)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
					 errmsg("limit per buyer of product %s exceeded", cart_line_name(cart, line)),
					 errdetail("A trigger has sold to buyer \"%s\" in the middle of this sale.",
							   key_clip(text_to_cstring(cart->sale->buyer))),
					 errtablecolname(cart->table.named, cart->table.st->limit_column)));
	}
	PopActiveSnapshot();
}

/*
 * What a line's stock means for it.
 */
static void
decide(Cart *cart, Line *line, bool locked)
{
	if (line->stock_isnull && cart->verb != VERB_SET_STOCK)
	{
		wait_until_flushed(cart, line);
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the stock of product %s is null",
						cart_line_name(cart, line)),
				 errhint("Set it, and declare column \"%s\" NOT NULL.",
						 cart->table.st->stock_column),
				 errtablecolname(cart->table.named, cart->table.st->stock_column)));
	}

	count_lapsed(cart, line, locked);
	line->outcome = cart->verb != VERB_SELL || line_available(line) >= line->qty ?
		OUTCOME_AVAILABLE : shortage(line);
	line->to_free = 0;
	if (line->outcome == OUTCOME_AVAILABLE)
		judge_limit(cart, line, locked);
}

/*
 * Could the column hold what the line would write?
 */
static bool
has_room(Cart *cart, Line *line)
{
	int64		max = stock_max(cart->table.st->stock_type);

	switch (cart->verb)
	{
		case VERB_RESTOCK:
			return line->stock <= max - line->qty;
		case VERB_SET_STOCK:
			return line->qty <= max;
		default:
			return line->taken <= line->qty ||
				line->stock <= max - (line->taken - line->qty);
	}
}

/*
 * Look at a line's row.  True if it may be written at once.  That holds for
 * REPEATABLE READ, too: the engine finds out whether the look saw the latest
 * version.  Only a refusal needs a lock first.
 */
static bool
look_at_line(Cart *cart, Line *line)
{
	LookResult	result;

	CHECK_FOR_INTERRUPTS();
	line->lapsed = line->taken = line->nholds = line->to_free = 0;
	result = line->no_such_key ? LOOK_NONE : cart->engine->look(cart, line);
	if (result == LOOK_NONE)
	{
		line->outcome = OUTCOME_PRODUCT_NOT_FOUND;
		return false;
	}

	line->outcome = OUTCOME_AVAILABLE;
	if (!IsolationUsesXactSnapshot() || cart->verb == VERB_READ)
		decide(cart, line, false);
	else if (result == LOOK_FREE)
	{
		judge_limit(cart, line, false);
		if (line->outcome != OUTCOME_AVAILABLE)
			line->to_free = 1;	/* decided when it is locked */
		line->outcome = OUTCOME_AVAILABLE;
	}
	if (result != LOOK_FREE || line->to_free > 0 || line->stock_isnull || cart->verb == VERB_EXPIRE)
		return false;
	return cart->verb != VERB_SELL ? has_room(cart, line) :
		line->stock >= line->qty;
}

static void
lock_line(Cart *cart, Line *line, bool wait)
{
	LockResult	result = wait ? lock_and_wait(cart, line) :
		cart->engine->lock(cart, line, false);

	switch (result)
	{
		case LOCK_OK:
			decide(cart, line, true);
			break;
		case LOCK_BUSY:
			line->lapsed = 0;	/* it is the row, not a hold */
			line->outcome = OUTCOME_BUSY;
			break;
		case LOCK_NO_ROW:
			line->outcome = OUTCOME_PRODUCT_NOT_FOUND;
			break;
	}
}

static void
check_overflow(Cart *cart, Line *line)
{
	const char *product;
	const char *type;
	const char *column = cart->table.st->stock_column;

	if (has_room(cart, line))
		return;
	wait_until_flushed(cart, line);
	product = cart_line_name(cart, line);
	type = format_type_be(cart->table.st->stock_type);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("stock of product %s out of range", product),
			 cart->verb == VERB_SET_STOCK ?
			 errdetail("The value " INT64_FORMAT " exceeds type %s of column \"%s\".",
					   line->qty, type, column) :
			 errdetail("Product %s has " INT64_FORMAT " in stock; adding " INT64_FORMAT " exceeds type %s of column \"%s\".",
					   product, line->stock,
					   cart->verb == VERB_RESTOCK ? line->qty : line->taken - line->qty,
					   type, column),
			 errtablecolname(cart->table.named, cart->table.st->stock_column)));
}

static bool
write_free_line(Cart *cart, Line *line)
{
	CHECK_FOR_INTERRUPTS();
	if (!cart->engine->write_free(cart, line))
		return false;
	line->outcome = OUTCOME_SOLD;
	return true;
}

static void
write_line(Cart *cart, Line *line)
{
	CHECK_FOR_INTERRUPTS();
	check_overflow(cart, line);
	if (!cart->engine->write(cart, line))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the update of product %s did not take place",
						cart_line_name(cart, line)),
				 errdetail("A trigger or rule on table \"%s\" suppressed it or took the units.",
						   RelationGetRelationName(cart->table.named)),
				 errtablecolname(cart->table.named, cart->table.st->stock_column)));

	/* the guard refuses any other change, a trigger's, too */
	if (cart->table.st->guarded && line->remaining != line_new_stock(cart, line))
		ereport(ERROR,
				(errcode(ERRCODE_STOCK_GUARDED),
				 errmsg("column \"%s\" of table \"%s\" is guarded",
						cart->table.st->stock_column,
						RelationGetRelationName(cart->table.named)),
				 errdetail("A trigger has changed the stock of product %s from " INT64_FORMAT " to " INT64_FORMAT ".",
						   cart_line_name(cart, line), line_new_stock(cart, line),
						   line->remaining),
				 errtablecolname(cart->table.named, cart->table.st->stock_column)));
	line->outcome = OUTCOME_SOLD;
}

typedef struct Claim
{
	Cart	   *cart;
	ClaimResult result;
} Claim;

static void
claim_waiting(void *arg)
{
	Claim	   *claim = arg;

	wait_begins(WAIT_FOR_SALE_ID);
	claim->result = record_claim(claim->cart, true);
}

static void
set_outcomes(Cart *cart, Outcome outcome)
{
	for (int i = 0; i < cart->nlines; i++)
		cart->lines[i].outcome = outcome;
}

/*
 * The wait for an id ran out.
 */
static void
raise_id_busy(void *arg)
{
	Claim	   *claim = arg;

	claim->cart->sale->busy = true;
	set_outcomes(claim->cart, OUTCOME_BUSY);
	cart_raise(claim->cart);
}

bool
cart_is_under_row_security(Cart *cart)
{
	return check_enable_rls(cart->table.st->relid, InvalidOid, true) == RLS_ENABLED;
}

static bool
lock_all(void *arg)
{
	Cart	   *cart = arg;

	for (Line *line = cart->lines; line < cart->lines + cart->nlines; line++)
	{
		line->outcome = line->no_such_key ||
			cart->engine->lock(cart, line, false) == LOCK_NO_ROW ?
			OUTCOME_PRODUCT_NOT_FOUND : OUTCOME_AVAILABLE;
	}
	return false;
}

/*
 * Policies for an UPDATE apply to a row that is locked.  So lock all lines to find out,
 * and let them go again.  One that is busy has passed them.
 */
static void
lock_and_undo(Cart *cart)
{
	ErrorData  *error = run_in_subtransaction(lock_all, cart);

	if (error != NULL)
		ReThrowError(error);
}

/*
 * Answer as it was answered when the sale with the cart's id was made.  But what somebody
 * has bought whose products the user may not sell is nothing that he is told: for him
 * they are not found.
 */
static void
repeat_sale(Cart *cart)
{
	bool		hidden = false;

	if (cart_is_under_row_security(cart))
	{
		lock_and_undo(cart);
		for (Line *line = cart->lines; line < cart->lines + cart->nlines; line++)
			if (line->outcome == OUTCOME_PRODUCT_NOT_FOUND)
				hidden = hidden || line->no_such_key ||
					sales_find_product(cart, line);
	}
	if (!hidden)
		record_repeat(cart);
}

/*
 * Claim the cart's id, waiting as long as purchase.lock_wait allows.
 */
static ClaimResult
claim_id(Cart *cart)
{
	Claim		claim = {.cart = cart};

	cart->sale->busy = false;
	claim.result = record_claim(cart, false);
	if (claim.result == CLAIM_BUSY && cart->lock_wait != 0)
	{
		cart->waiting = cart->lines;
		wait_within(cart->lock_wait, claim_waiting, raise_id_busy, &claim, cart->stat);
		cart->waiting = NULL;
	}
	return claim.result;
}

static bool
needs_lapsed(Cart *cart, Line *line)
{
	return line->outcome == OUTCOME_AVAILABLE &&
		(cart->verb == VERB_EXPIRE ||
		 (cart->verb == VERB_SELL && (line->stock < line->qty || line->to_free > 0)));
}

/*
 * Take lapsed holds for each line that needs some.  False, and its outcome, if one
 * does not get enough: busy if those would have sufficed that had to be skipped.
 */
static bool
take_for_lines(void *arg)
{
	Cart	   *cart = arg;

	for (Line *line = cart->lines; line < cart->lines + cart->nlines; line++)
	{
		if (!needs_lapsed(cart, line))
			continue;
		hold_take_lapsed(cart, line);
		if (line->to_free > 0)
		{
			/* one of his own that somebody has locked counts */
			line->outcome = OUTCOME_BUYER_LIMIT_EXCEEDED;
			return false;
		}
		if (cart->verb == VERB_EXPIRE || line->stock + line->taken >= line->qty)
			continue;

		/* what it has taken it no longer sees; it comes back with the rest */
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
		hold_count_lapsed(cart, line);
		PopActiveSnapshot();
		line->lapsed += line->taken;
		line->outcome = line_available(line) >= line->qty ? OUTCOME_BUSY :
			shortage(line);
		return false;
	}
	return true;
}

/*
 * Take lapsed holds in a subtransaction, so that who is refused leaves nobody's hold
 * locked.
 */
static bool
take_lapsed(Cart *cart)
{
	Line	   *end = cart->lines + cart->nlines;
	ErrorData  *error;

	for (Line *line = cart->lines;; line++)
	{
		if (line == end)
			return true;
		if (needs_lapsed(cart, line))
			break;
	}
	error = run_in_subtransaction(take_for_lines, cart);
	if (error != NULL)
		ReThrowError(error);
	return worst_line(cart)->outcome <= OUTCOME_SOLD;
}

/*
 * Look at all lines, lock all, write all.  The cart may be refused after each
 * step, but only when all lines have gone through it, so that each has its outcome.
 * Where the look decides nothing, a cart with a missing product goes on, too.
 *
 * If nobody holds any of the rows, each line is locked and written in one step.  If
 * one was taken meanwhile, what was already written is rolled back with the
 * transaction, or with the subtransaction of the try functions.
 */
static void
run_lines(Cart *cart)
{
	Line	   *end = cart->lines + cart->nlines;
	bool		available;
	bool		free = true;

	for (Line *line = cart->lines; line < end; line++)
		free = look_at_line(cart, line) && free;
	available = worst_line(cart)->outcome == OUTCOME_AVAILABLE;
	if (cart->verb == VERB_READ || (!IsolationUsesXactSnapshot() && !available))
		return;

	/* a cart that can't be sold does not wait for the rest of its lines */
	for (Line *line = cart->lines; line < end; line++)
	{
		if (line->outcome != OUTCOME_AVAILABLE ||
			(available && free && write_free_line(cart, line)))
			continue;
		lock_line(cart, line, available && cart->lock_wait != 0);
		available = available && line->outcome == OUTCOME_AVAILABLE;
	}
	if (!available || !take_lapsed(cart))
		return;

	for (Line *line = cart->lines; line < end; line++)
		if (line->outcome == OUTCOME_AVAILABLE &&
			(cart->verb != VERB_EXPIRE || line->nholds > 0))
			write_line(cart, line);
}

static int
compare_lines(const void *a, const void *b, void *arg)
{
	const Line *x = a;
	const Line *y = b;
	int			order;

	if (x->no_such_key || y->no_such_key)
		order = x->no_such_key - y->no_such_key;
	else
		order = key_compare(&((Cart *) arg)->table.st->key_type, x->key,
							y->key);
	return order != 0 ? order : x->position - y->position;
}

/*
 * Sort the lines by key, so that carts don't deadlock each other, and merge lines
 * of the same product.
 */
static void
merge_lines(Cart *cart)
{
	Line	   *last = cart->lines;

	qsort_arg(cart->lines, cart->nlines, sizeof(Line), compare_lines, cart);
	for (int i = 1; i < cart->nlines; i++)
	{
		Line	   *line = &cart->lines[i];

		if (last->no_such_key || line->no_such_key ||
			key_compare(&cart->table.st->key_type, last->key, line->key) != 0)
			*++last = *line;
		else if (pg_add_s64_overflow(last->qty, line->qty, &last->qty))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("total quantity of product %s out of range",
							cart_line_name(cart, line))));
	}
	cart->nlines = last - cart->lines + 1;
}

static void
prepare_lines(Cart *cart)
{
	for (int i = 0; i < cart->nlines; i++)
	{
		Line	   *line = &cart->lines[i];

		line->position = i;
		line->no_such_key = !key_from_product(&cart->table.st->key_type,
											  line->product,
											  cart->product_type, &line->key);
	}
	if (cart->nlines > 1)
		merge_lines(cart);
}

/*
 * How long a sale waits for a row: what the session says, or else the table.
 */
static int
lock_wait_as_set(StockTable *st)
{
	if (purchase_lock_wait_is_set || st->lock_wait == LOCK_WAIT_UNSET)
		return purchase_lock_wait;
	return st->lock_wait;
}

static void
prevent_if_parallel(Cart *cart)
{
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot execute %s during a parallel operation",
						cart->function),
				 errhint("Declare the function that calls it PARALLEL UNSAFE.")));
}

static void
prevent_if_read_only(Cart *cart)
{
	/* heap_update() does not check it, and would fail late on a standby */
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s in a read-only transaction",
						cart->function),
				 RecoveryInProgress() ?
				 errhint("This server is a standby: connect to its primary.") :
				 errhint("Begin the transaction as READ WRITE, and see that default_transaction_read_only is off.")));
	prevent_if_parallel(cart);
}

/*
 * Where the table is distributed, and the shard that has the cart's products is on this
 * node, work on that.  Else the distributed table serves, and Citus finds the rows.
 */
static void
use_local_shard(Cart *cart)
{
	StockTable *st = cart->table.st;
	Oid			shard = InvalidOid;
	Datum		key = (Datum) 0;
	Datum		first = (Datum) 0;

	if (RecoveryInProgress() || st->sql_reasons != SQL_REASON(SQL_CITUS))
		return;
	for (int i = 0; i < cart->nlines; i++)
	{
		Oid			of_line;

		if (!key_from_product(&st->key_type, cart->lines[i].product,
							  cart->product_type, &key))
			return;
		/* a shard may be split: a sale in one has one product */
		if (i > 0 && cart->sale != NULL && !key_equals(&st->key_type, key, first))
			return;
		if (i == 0)
			first = key;
		of_line = citus_local_shard(cart->table.rel, &st->key_type, key,
									cart->verb == VERB_READ);
		if (!OidIsValid(of_line) || (i > 0 && of_line != shard))
			return;
		shard = of_line;
	}
	if (OidIsValid(shard))
		stock_table_use_shard(&cart->table, cart->self, shard, key);
}

/*
 * Open a cart's stock table, which stays open until cart_close(), as an error message
 * needs it.
 */
void
cart_open(Cart *cart)
{
	if (cart->verb == VERB_READ)
		prevent_if_parallel(cart);
	else
		prevent_if_read_only(cart);
	stock_table_open(&cart->table, cart->self, cart->stock_table,
					 cart->verb == VERB_READ ? USE_READ :
					 cart->verb == VERB_SELL ? USE_SELL : USE_WRITE);
	if (cart->table.st->distributed_by_key)
	{
		use_local_shard(cart);
		if (cart->table.rel == cart->table.named && cart->nlines == 1 &&
			IsTransactionBlock() && citus_is_sent())
			raise_shard_moved(cart);
	}
	cart->stat = cart->table.st->stat =
		stat_table(RelationGetRelid(cart->table.named), cart->table.st->stat);
	cart->engine = engine_choose(&cart->table);
	cart->lock_wait = cart->patience == PATIENCE_NONE ? 0 :
		cart->patience == PATIENCE_UNBOUNDED ? -1 :
		lock_wait_as_set(cart->table.st);
}

void
cart_close(Cart *cart)
{
	stock_table_close(&cart->table);
}

/*
 * Begin a command that sees all earlier ones of this transaction, as the queries of a
 * volatile function do.  Without the increment, a second call in one statement would
 * not see what the first one wrote.
 */
static void
begin_command(Cart *cart)
{
	if (cart->verb == VERB_READ)
		PushActiveSnapshot(cart->table.rel == cart->table.named ? GetActiveSnapshot() :
						   GetTransactionSnapshot());
	else
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
	}
	cart->engine->open(cart);
}

static void
end_command(Cart *cart)
{
	cart->engine->close(cart);
	PopActiveSnapshot();
}

/*
 * Run a cart whose id is claimed, or taken by a sale that was made before.
 */
static void
run_claimed(Cart *cart, ClaimResult claim)
{
	if (claim == CLAIM_TAKEN)
		repeat_sale(cart);
	else if (claim == CLAIM_BUSY)
	{
		cart->sale->busy = true;
		set_outcomes(cart, OUTCOME_BUSY);
	}
	else
	{
		run_lines(cart);

		/*
		 * a refusal rests on there being no such sale: let SSI know that we
		 * looked
		 */
		if (worst_line(cart)->outcome == OUTCOME_SOLD)
		{
			nsales++;
			record_store(cart);
			cart_judge_limits_again(cart);
		}
		else if (IsolationIsSerializable())
			(void) record_exists(cart);
	}
	record_unclaim(cart);
}

/*
 * Run a cart that is open.  Every line has an outcome then.  A sale that was made
 * before is answered as it was then.
 *
 * An id is claimed before all else: whose sale it is must be known before a product is
 * locked, and what is looked at then is not older than the claim.  To claim it costs
 * neither a transaction id nor WAL, so that a refusal has nothing to take back.
 */
Outcome
cart_run(Cart *cart)
{
	bool		recorded = cart->sale != NULL && cart->sale->is_new;
	ClaimResult claim = CLAIM_OK;
	Outcome		outcome;

	prepare_lines(cart);
	cart->nsales = nsales;
	do
	{
		if (recorded)
			claim = claim_id(cart);
		begin_command(cart);
		claim = record_check_claim(cart, claim);
		if (claim == CLAIM_AGAIN)
			end_command(cart);
	} while (claim == CLAIM_AGAIN);
	if (recorded)
		run_claimed(cart, claim);
	else
	{
		run_lines(cart);
		nsales++;
	}
	outcome = worst_line(cart)->outcome;
	if (cart->verb == VERB_READ || outcome > OUTCOME_SOLD)
	{
		for (Line *line = cart->lines; line < cart->lines + cart->nlines; line++)
			wait_until_flushed(cart, line);
	}
	else
		commit_early(Min((EarlyRelease) purchase_early_release,
						 cart->table.st->early_release), cart->stat);
	if (outcome <= OUTCOME_SOLD)
		count_done(cart, claim == CLAIM_TAKEN);
	end_command(cart);
	return outcome;
}

/*
 * May a user to whom row security applies update the rows of a cart's lines?  Those that
 * he may not, or that are not there, are product_not_found then.
 */
void
cart_check_policies(Cart *cart)
{
	prepare_lines(cart);
	begin_command(cart);
	lock_and_undo(cart);
	end_command(cart);
}

static void
run_or_raise(Cart *cart)
{
	cart_open(cart);
	if (cart_run(cart) > OUTCOME_SOLD)
		cart_raise(cart);
	cart_close(cart);
}

/*
 * Sell all lines, or raise.
 */
void
cart_sell(Cart *cart)
{
	cart->verb = VERB_SELL;
	run_or_raise(cart);
}

static bool
try_cart(void *arg)
{
	Cart	   *cart = arg;

	cart_open(cart);
	(void) cart_run(cart);
	cart_close(cart);
	return worst_line(cart)->outcome <= OUTCOME_SOLD;
}

/*
 * The subtransaction was rolled back, and with it the lines that were written.
 */
static void
take_back(Cart *cart)
{
	for (int i = 0; i < cart->nlines; i++)
	{
		Line	   *line = &cart->lines[i];

		if (line->outcome == OUTCOME_SOLD || line->outcome == OUTCOME_HELD)
			line->outcome = OUTCOME_AVAILABLE;
	}
}

/*
 * Sell all lines, or say in their outcomes why not.
 *
 * Two things need a subtransaction: to go on after a wait that ran out, which is
 * an error of the server's, and to release the lines that were locked before
 * another one was refused.  A single line that is not waited for needs neither.
 * So a single line is tried without waiting first.  A cart is not: when it then
 * waited, later lines would already be locked, and the order of locks would be
 * wrong.
 */
void
cart_try_sell(Cart *cart)
{
	ErrorData  *error;

	cart->verb = VERB_SELL;
	if (cart->nlines == 1)
	{
		cart->patience = PATIENCE_NONE;
		(void) try_cart(cart);

		/*
		 * if it is busy for holds, the row is locked: no more waiting for the
		 * id
		 */
		if (lock_wait_as_set(cart->table.st) == 0 ||
			cart->lines[0].outcome != OUTCOME_BUSY || cart->lines[0].lapsed > 0)
		{
			count_refusal(cart);
			return;
		}
	}

	cart->patience = PATIENCE_AS_SET;
	error = run_in_subtransaction(try_cart, cart);
	if (error == NULL)
		count_refusal(cart);
	if (error != NULL || worst_line(cart)->outcome > OUTCOME_SOLD)
		take_back(cart);
	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE ||
		cart->waiting == NULL)
		ReThrowError(error);
	FreeErrorData(error);

	/* it is no longer known what the other lines rest on */
	commit_wait_all_flushed();

	/*
	 * The wait ran out before the later lines were locked.  At REPEATABLE
	 * READ their stock is from an old snapshot: that it is too little decides
	 * nothing.
	 */
	for (Line *line = cart->waiting; line < cart->lines + cart->nlines; line++)
		if (line->outcome == OUTCOME_AVAILABLE &&
			line_available(line) < line->qty)
			line->outcome = OUTCOME_BUSY;
}

/*
 * Give stock back.  This always waits for the row: if it failed as busy, the units
 * would be lost.
 */
void
cart_restock(Cart *cart)
{
	cart->verb = VERB_RESTOCK;
	cart->patience = PATIENCE_UNBOUNDED;
	run_or_raise(cart);
}

/*
 * Set the stock of a cart's only line.  This always waits, too: the stock was
 * counted, and a failure would mean to count it again.
 */
void
cart_set_stock(Cart *cart)
{
	cart->verb = VERB_SET_STOCK;
	cart->patience = PATIENCE_UNBOUNDED;
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
