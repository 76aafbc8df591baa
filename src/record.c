/*
 * record.c
 *	  What is recorded of a sale with an id: claim the id, record the lines, find
 *	  them again, and answer a repeat.
 *
 * An id is claimed for the time of a call, by a lock on its hash in the lock manager.
 * So two calls with one id are never in the middle at a time, and the sale is recorded
 * when it is made, with what remained: a refusal has nothing to take back.  Who has
 * the lock then looks for line 1 of the sale, whatever the snapshot: what is there but
 * not committed is a claim in progress, too, and is waited for as a transaction is.
 * That this is enough relies on the unique index: who inserts without the lock, by
 * hand, gets, or gives, an error.
 *
 * A sale's rows are the locks of its lines.  Whoever holds, confirms, releases or returns takes
 * them before their holds, and both before the products.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "commit.h"
#include "compat.h"
#include "record.h"
#include "stat.h"

/* Of a row's queue, the offset number stands there: see row_lock.c. */
#define CLAIM_FIELD4 0x4000
#define CLAIM_HASH_BITS 0x3fff

static const char *const state_names[] = {
	[SALE_HELD] = "held",
	[SALE_SOLD] = "sold",
	[SALE_RELEASED] = "released",
	[SALE_EXPIRED] = "expired",
	[SALE_RETURNED] = "returned",
};

char *
sale_name(Sale *sale)
{
	return key_clip(text_to_cstring(sale->id));
}

/* ----------------------------------------------------------------
 * Errors
 *
 * What rests on what another transaction did waits until that is durable, unless the
 * transaction is to be tried again.
 * ----------------------------------------------------------------
 */

void
raise_sale_not_found(Cart *cart)
{
	ereport(ERROR,
			(errcode(ERRCODE_SALE_NOT_FOUND),
			 errmsg("sale \"%s\" not found", sale_name(cart->sale)),
			 errdetail("Table \"%s\" has no sale with this id.",
					   RelationGetRelationName(cart->table.named)),
			 errtable(cart->table.named)));
}

/*
 * The transaction's snapshot does not see a sale that is there, or sees one that is not.
 */
pg_noreturn static void raise_sale_has_changed(Cart *cart, const char *what);

static void
raise_sale_has_changed(Cart *cart, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("Sale \"%s\" was %s after this transaction began.",
					   sale_name(cart->sale), what),
			 errhint("Retry the transaction."),
			 errtable(cart->table.named)));
}

void
raise_hold_expired(Cart *cart, const char *detail, const char *hint)
{
	stat_add(cart->stat, STAT_HOLD_EXPIRED, 1);
	commit_wait_durable();
	ereport(ERROR,
			(errcode(ERRCODE_HOLD_EXPIRED),
			 errmsg("the hold of sale \"%s\" has expired", sale_name(cart->sale)),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint),
			 errtablecolname(cart->table.named, cart->table.st->stock_column)));
}

void
raise_units_taken(Cart *cart, Datum product)
{
	char	   *text = key_product_text(&cart->table.st->key_type, product,
										InvalidOid);

	raise_hold_expired(cart, psprintf("Its time was over, and its units of product %s were taken.",
									  key_clip(text)),
					   "To buy again takes a new id.");
}

void
raise_sale_settled(Cart *cart, SaleState state)
{
	commit_wait_durable();
	ereport(ERROR,
			(errcode(ERRCODE_SALE_SETTLED),
			 errmsg("sale \"%s\" is %s already", sale_name(cart->sale),
					state_names[state]),
			 state == SALE_SOLD ?
			 errdetail("What is sold is no longer held.") :
			 errdetail("What was released can't be held or sold any more."),
			 errtable(cart->table.named)));
}

/*
 * More is to be returned than was sold of a line.
 */
void
raise_return_exceeds_sale(Cart *cart, SaleLine *line, int64 qty)
{
	char	   *product = key_clip(key_product_text(&cart->table.st->key_type,
													line->product, InvalidOid));

	commit_wait_durable();
	if (line->state != SALE_SOLD)
		ereport(ERROR,
				(errcode(ERRCODE_RETURN_EXCEEDS_SALE),
				 errmsg("sale \"%s\" is not sold", sale_name(cart->sale)),
				 errdetail("Its units of product %s are %s.", product,
						   sale_line_is_expired(line) ? "expired" :
						   state_names[line->state]),
				 line->has_hold ?
				 errhint("Give them back with purchase_release().") : 0,
				 errtable(cart->table.named)));
	ereport(ERROR,
			(errcode(ERRCODE_RETURN_EXCEEDS_SALE),
			 errmsg("return exceeds sale \"%s\"", sale_name(cart->sale)),
			 errdetail("Of product %s, " INT64_FORMAT " were sold and " INT64_FORMAT " returned, " INT64_FORMAT " %s to be returned.",
					   product, line->qty - line->released, line->returned, qty,
					   qty == 1 ? "was" : "were"),
			 errtable(cart->table.named)));
}

pg_noreturn static void raise_conflict(Cart *cart, const char *message,
									   const char *what);

/*
 * An id names something else.  No word of what that consists of: it may be somebody
 * else's.
 */
static void
raise_conflict(Cart *cart, const char *message, const char *what)
{
	commit_wait_durable();
	ereport(ERROR,
			(errcode(ERRCODE_SALE_ID_CONFLICT),
			 errmsg_internal("%s", message),
			 what != NULL ? errdetail("It was made with %s.", what) : 0,
			 errhint("Repeat a call with the arguments of the first one, or take a new id."),
			 errtable(cart->table.named)));
}

/*
 * Of a call that names a sale.
 */
static void
check_is_sale(Cart *cart, Record *record)
{
	if (record->return_of != NULL)
		raise_conflict(cart, psprintf("id \"%s\" names a return, not a sale",
									  sale_name(cart->sale)), NULL);
}

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

static SaleState
state_from_name(Cart *cart, const char *name)
{
	for (size_t i = 0; i < lengthof(state_names); i++)
		if (strcmp(name, state_names[i]) == 0)
			return (SaleState) i;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("sale \"%s\" is in an unknown state, \"%s\"",
					sale_name(cart->sale), name),
			 errtable(cart->table.named)));
}

static int64
int64_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = sales_value(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static void *
varlena_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = sales_value(row, column, &isnull);

	return isnull ? NULL : PG_DETOAST_DATUM_COPY(value);
}

/*
 * Take up the lines that a plan has found.
 */
static void
take_up(Cart *cart, Record *record, uint64 nlines)
{
	bool		isnull;
	Datum		value;

	memset(record, 0, sizeof(Record));
	record->nlines = nlines;
	record->lines = palloc0(Max(nlines, 1) * sizeof(SaleLine));
	for (uint64 i = 0; i < nlines; i++)
	{
		SaleLine   *line = &record->lines[i];

		line->line = DatumGetInt32(sales_value(i, 1, &isnull));
		line->product = sales_key(i, 2, &cart->table.st->key_type);
		line->qty = int64_value(i, 3);
		line->state = state_from_name(cart,
									  TextDatumGetCString(sales_value(i, 4, &isnull)));
		line->released = int64_value(i, 5);
		line->remaining = int64_value(i, 6);
		line->returned = int64_value(i, 9);
		line->discarded = int64_value(i, 10);
	}
	if (nlines == 0)
		return;
	value = sales_value(0, 7, &isnull);
	if (!isnull)
	{
		record->hold_for = palloc(sizeof(Interval));
		*record->hold_for = *DatumGetIntervalP(value);
	}
	record->buyer = varlena_value(0, 8);
	record->return_of = varlena_value(0, 11);
}

/*
 * A line is held if it is unsettled and has a hold.  One whose hold is gone counts as
 * expired, and a hold that has more units than the line has left has only those.
 */
static void
take_up_hold(SaleLine *line, int64 units, TimestampTz expires_at)
{
	line->has_hold = line->state == SALE_HELD;
	line->units = Max(Min(units, line->qty - line->released), 0);
	line->expires_at = expires_at;
}

static void
sale_params(SaleParams *params, text *id)
{
	sale_params_init(params);
	sale_param(params, SALE_PARAM_ID, PointerGetDatum(id));
}

static void
line_params(SaleParams *params, text *id, int line)
{
	sale_params(params, id);
	sale_param(params, SALE_PARAM_LINE, Int32GetDatum(line));
}

/*
 * What the active snapshot sees of the cart's sale, holds included.
 */
static void
look(Cart *cart, Record *record)
{
	SaleContext context;
	SaleParams	params;
	uint64		nlines;
	MemoryContext spi;

	sale_params(&params, cart->sale->id);
	sales_begin(&context, cart);
	nlines = sales_run(cart, SALE_LOOK, &params, true);
	spi = MemoryContextSwitchTo(context.cxt);
	take_up(cart, record, nlines);
	for (uint64 i = 0; i < nlines; i++)
	{
		bool		isnull;
		Datum		expires_at = sales_value(i, 13, &isnull);

		if (!isnull)
			take_up_hold(&record->lines[i], int64_value(i, 12),
						 DatumGetTimestampTz(expires_at));
	}
	MemoryContextSwitchTo(spi);
	sales_end(&context);
}

/*
 * Does a snapshot see the first line of the cart's sale?  This is asked for every new
 * sale, mostly in vain, so without SPI.  A dirty snapshot sees what is not yet
 * committed, too: then *xid is the transaction that has inserted it, if there is none
 * that is committed.
 */
static bool
sees_first_line(Cart *cart, Snapshot snapshot, TransactionId *xid)
{
	SaleTable  *table = &cart->table.st->sales->sale;
	Relation	rel = table_open(cart->table.st->sale_table, NoLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		found = false;

	ScanKeyInit(&keys[0], table->attnos[SALE_PARAM_ID], BTEqualStrategyNumber,
				F_TEXTEQ, PointerGetDatum(cart->sale->id));
	ScanKeyInit(&keys[1], table->attnos[SALE_PARAM_LINE], BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(1));
	*xid = InvalidTransactionId;

	/* of a row that is being updated, both versions may be found */
	scan = systable_beginscan(rel, table->index, true, snapshot, 2, keys);
	while (!found && HeapTupleIsValid(systable_getnext(scan)))
	{
		if (snapshot->snapshot_type == SNAPSHOT_DIRTY &&
			TransactionIdIsValid(snapshot->xmin))
			*xid = snapshot->xmin;
		else
			found = true;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	if (found)
		*xid = InvalidTransactionId;
	return found || TransactionIdIsValid(*xid);
}

/*
 * Does the active snapshot see a sale with the cart's id?
 */
bool
record_exists(Cart *cart)
{
	TransactionId xid;

	sales_open(cart);
	return sees_first_line(cart, GetActiveSnapshot(), &xid);
}

/*
 * The same, whatever the transaction's snapshot sees.
 */
static bool
exists_by_now(Cart *cart)
{
	bool		result;

	/* what this transaction has recorded itself, too */
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	result = record_exists(cart);
	PopActiveSnapshot();
	return result;
}

/*
 * Lock the cart's sale, waiting as long as it takes: its lines, then their holds, read
 * after that with a new snapshot.
 */
void
record_lock(Cart *cart, Record *record)
{
	SaleContext context;
	SaleParams	params;
	uint64		n;
	MemoryContext spi;

	sale_params(&params, cart->sale->id);
	sales_begin(&context, cart);
	n = sales_run(cart, SALE_LOCK, &params, false);
	spi = MemoryContextSwitchTo(context.cxt);
	take_up(cart, record, n);
	MemoryContextSwitchTo(spi);

	n = sales_run(cart, SALE_LOCK_HOLDS, &params, false);
	for (uint64 i = 0, j = 0; i < n; i++)
	{
		bool		isnull;
		int			number = DatumGetInt32(sales_value(i, 1, &isnull));

		while (j < (uint64) record->nlines && record->lines[j].line < number)
			j++;
		if (j < (uint64) record->nlines && record->lines[j].line == number)
			take_up_hold(&record->lines[j], int64_value(i, 2),
						 DatumGetTimestampTz(sales_value(i, 3, &isnull)));
	}
	sales_end(&context);
	check_is_sale(cart, record);
	if (record->nlines > 0)
		return;
	if (IsolationUsesXactSnapshot() && exists_by_now(cart))
		raise_sale_has_changed(cart, "made");
	raise_sale_not_found(cart);
}

/* ----------------------------------------------------------------
 * Repeats
 * ----------------------------------------------------------------
 */

/*
 * How a recorded sale differs from what is asked now; NULL if it doesn't.
 */
static const char *
difference(Cart *cart, Record *record)
{
	Sale	   *sale = cart->sale;

	if (record->nlines != cart->nlines)
		return "other products";
	for (int i = 0; i < cart->nlines; i++)
	{
		Line	   *line = &cart->lines[i];
		SaleLine   *old = &record->lines[i];

		if (line->no_such_key ||
			!key_equals(&cart->table.st->key_type, line->key, old->product))
			return "other products";
		if (line->qty != old->qty)
			return "another quantity";
	}
	if ((sale->hold_for == NULL) != (record->hold_for == NULL) ||
		(sale->hold_for != NULL &&
		 !DatumGetBool(DirectFunctionCall2(interval_eq,
										   IntervalPGetDatum(sale->hold_for),
										   IntervalPGetDatum(record->hold_for)))))
		return "another hold_for";
	if ((sale->buyer == NULL) != (record->buyer == NULL) ||
		(sale->buyer != NULL &&
		 !datum_image_eq(PointerGetDatum(sale->buyer),
						 PointerGetDatum(record->buyer), false, -1)))
		return "another buyer";
	return NULL;
}

/*
 * The first answer can be given again as long as nothing of a hold was taken, and not
 * all of it was released.
 */
static void
check_repeatable(Cart *cart, Record *record)
{
	bool		all_released = true;

	for (int i = 0; i < record->nlines; i++)
	{
		SaleLine   *line = &record->lines[i];

		if (sale_line_is_expired(line))
			raise_units_taken(cart, line->product);
		all_released = all_released && line->state == SALE_RELEASED;
	}
	if (all_released)
		raise_sale_settled(cart, SALE_RELEASED);
}

/*
 * An answer that something was done before must not be lost with a crash or a
 * failover.  With synchronous standbys it takes a lock that writes, so that our own
 * commit waits for them as any other.
 */
static void
rely_on_sale(Cart *cart)
{
	SaleContext context;
	SaleParams	params;

	commit_wait_flushed_to_end();
	if (!commit_waits_for_standby())
		return;
	line_params(&params, cart->sale->id, 1);
	sales_begin(&context, cart);
	(void) sales_run(cart, SALE_RELY_ON, &params, false);
	sales_end(&context);
}

/*
 * Answer what was answered when the sale with the cart's id was made.
 */
void
record_repeat(Cart *cart)
{
	Record		record;
	const char *what;

	look(cart, &record);
	check_is_sale(cart, &record);
	what = difference(cart, &record);
	if (what != NULL)
		raise_conflict(cart, psprintf("sale id \"%s\" names another sale",
									  sale_name(cart->sale)), what);
	check_repeatable(cart, &record);
	for (int i = 0; i < cart->nlines; i++)
	{
		cart->lines[i].outcome = cart->sale->hold_for ? OUTCOME_HELD : OUTCOME_SOLD;
		cart->lines[i].remaining = record.lines[i].remaining;
	}
	rely_on_sale(cart);
}

/*
 * Is what was recorded with the cart's id the same return?
 */
void
record_repeat_return(Cart *cart, Return *ret)
{
	Record		record;
	SaleLine   *line;
	const char *what = NULL;

	look(cart, &record);
	line = &record.lines[0];
	if (record.return_of == NULL)
		raise_conflict(cart, psprintf("id \"%s\" names a sale, not a return",
									  sale_name(cart->sale)), NULL);
	if (!datum_image_eq(PointerGetDatum(record.return_of),
						PointerGetDatum(ret->sale_id), false, -1))
		what = "another sale";
	else if (!key_equals(&cart->table.st->key_type, line->product, ret->product))
		what = "another product";
	else if (line->qty != ret->qty)
		what = "another quantity";
	else if ((line->discarded == 0) != ret->restock)
		what = "another restock";
	if (what != NULL)
		raise_conflict(cart, psprintf("return id \"%s\" names another return",
									  sale_name(cart->sale)), what);
	rely_on_sale(cart);
}

/* ----------------------------------------------------------------
 * Claiming and recording
 * ----------------------------------------------------------------
 */

static bool
take_claim(Cart *cart, bool wait)
{
	Sale	   *sale = cart->sale;
	LOCKTAG    *tag = &sale->claim;
	uint64		hash = hash_bytes_extended((unsigned char *) VARDATA_ANY(sale->id),
										   VARSIZE_ANY_EXHDR(sale->id), 0);

	tag->locktag_field1 = MyDatabaseId;
	tag->locktag_field2 = cart->table.st->sale_table;
	tag->locktag_field3 = (uint32) hash;
	tag->locktag_field4 = CLAIM_FIELD4 | ((hash >> 32) & CLAIM_HASH_BITS);
	tag->locktag_type = LOCKTAG_USERLOCK;
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
	sale->claimed = LockAcquire(tag, ExclusiveLock, false, !wait) !=
		LOCKACQUIRE_NOT_AVAIL;
	return sale->claimed;
}

/*
 * Claim the cart's id until record_unclaim().  With wait, never CLAIM_BUSY.  What is taken
 * need not be claimed: the same sale may be repeated by many at a time.
 *
 * For a new id one look is enough: there is no version at all, not even a dead one.  A
 * version that is updated can't be pruned before the look comes to the new one, as
 * the transaction's snapshot still sees it.  Else what is committed is there, whoever
 * works on it, and what a dirty snapshot finds of others is a claim in progress.  But
 * that can miss a row that is being updated: the old version is gone when it comes
 * there, and the new one was not yet in the index.  So the latest snapshot has the last
 * word.
 */
ClaimResult
record_claim(Cart *cart, bool wait)
{
	SnapshotData dirty;
	TransactionId xid;

	sales_open(cart);
	if (!cart->sale->claimed && !take_claim(cart, wait))
		return exists_by_now(cart) ? CLAIM_TAKEN : CLAIM_BUSY;
	if (!sees_first_line(cart, SnapshotAny, &xid))
		return CLAIM_OK;

	InitDirtySnapshot(dirty);
	while (!exists_by_now(cart))
	{
		if (!sees_first_line(cart, &dirty, &xid) || !TransactionIdIsValid(xid))
			return exists_by_now(cart) ? CLAIM_TAKEN : CLAIM_FREED;
		if (!wait)
			return CLAIM_BUSY;
		XactLockTableWait(xid, NULL, NULL, XLTW_None);
	}
	return CLAIM_TAKEN;
}

void
record_unclaim(Cart *cart)
{
	if (cart->sale->claimed)
		LockRelease(&cart->sale->claim, ExclusiveLock, false);
	cart->sale->claimed = false;
}

/*
 * With the call's snapshot, which is not older than the claim, unless it is that of the
 * transaction: does it see the same?  A claim of what is taken is given up: the answer may
 * have to wait for a standby, and nobody for us.  So it is where the sale was deleted
 * meanwhile: CLAIM_AGAIN.
 */
ClaimResult
record_check_claim(Cart *cart, ClaimResult claim)
{
	bool		seen;

	if (claim != CLAIM_TAKEN && claim != CLAIM_FREED)
		return claim;
	seen = record_exists(cart);
	if (IsolationUsesXactSnapshot() && seen != (claim == CLAIM_TAKEN))
		raise_sale_has_changed(cart, seen ? "deleted" : "made");
	if (claim == CLAIM_FREED)
		return CLAIM_OK;
	record_unclaim(cart);
	return seen ? CLAIM_TAKEN : CLAIM_AGAIN;
}

/*
 * When a hold ends that begins now.
 */
TimestampTz
hold_end(Interval *hold_for, TimestampTz now)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(now),
												   IntervalPGetDatum(hold_for)));
}

/*
 * What is the same in all new rows of a sale or a return.
 */
static void
new_row_params(SaleParams *params, text *id, SaleState state, text *buyer,
			   TimestampTz now)
{
	sale_params(params, id);
	sale_param(params, SALE_PARAM_STATE, CStringGetTextDatum(state_names[state]));
	sale_param(params, SALE_PARAM_RELEASED, Int64GetDatum(0));
	sale_param(params, SALE_PARAM_RETURNED, Int64GetDatum(0));
	sale_param(params, SALE_PARAM_DISCARDED, Int64GetDatum(0));
	if (buyer != NULL)
		sale_param(params, SALE_PARAM_BUYER, PointerGetDatum(buyer));
	sale_param(params, SALE_PARAM_ROLE,
			   CStringGetTextDatum(GetUserNameFromId(GetUserId(), false)));
	sale_param(params, SALE_PARAM_TIME, TimestampTzGetDatum(now));
	if (state != SALE_HELD)
		sale_param(params, SALE_PARAM_SETTLED, TimestampTzGetDatum(now));
}

/*
 * Record the cart, whose lines have been written.
 */
void
record_store(Cart *cart)
{
	Sale	   *sale = cart->sale;
	bool		held = sale->hold_for != NULL;
	TimestampTz now = GetCurrentTimestamp();
	SaleParams	row;
	SaleParams *all = palloc(cart->nlines * sizeof(SaleParams));

	new_row_params(&row, sale->id, held ? SALE_HELD : SALE_SOLD, sale->buyer, now);
	if (held)
	{
		sale_param(&row, SALE_PARAM_HOLD_FOR, IntervalPGetDatum(sale->hold_for));
		sale_param(&row, SALE_PARAM_EXPIRES,
				   TimestampTzGetDatum(hold_end(sale->hold_for, now)));
	}
	for (int i = 0; i < cart->nlines; i++)
	{
		Line	   *line = &cart->lines[i];

		all[i] = row;
		sale_param(&all[i], SALE_PARAM_LINE, Int32GetDatum(i + 1));
		sale_param(&all[i], SALE_PARAM_PRODUCT, line->key);
		sale_param(&all[i], SALE_PARAM_QTY, Int64GetDatum(line->qty));
		sale_param(&all[i], SALE_PARAM_REMAINING, Int64GetDatum(line->remaining));
		if (held)
			line->outcome = OUTCOME_HELD;
	}
	sales_insert(cart, SALE_INSERT, all, cart->nlines);
	if (held)
		sales_insert(cart, SALE_INSERT_HOLD, all, cart->nlines);
}

static void
old_params(SaleParams *params, SaleLine *line)
{
	sale_param(params, SALE_PARAM_OLD_STATE,
			   CStringGetTextDatum(state_names[line->state]));
	sale_param(params, SALE_PARAM_OLD_RELEASED, Int64GetDatum(line->released));
	sale_param(params, SALE_PARAM_OLD_RETURNED, Int64GetDatum(line->returned));
}

/*
 * Settle a line of any sale that is locked, and delete its hold.
 */
void
record_settle(Cart *cart, text *id, SaleLine *line, SaleState state,
			  int64 released)
{
	SaleContext context;
	SaleParams	params;

	line_params(&params, id, line->line);
	sale_param(&params, SALE_PARAM_STATE, CStringGetTextDatum(state_names[state]));
	sale_param(&params, SALE_PARAM_RELEASED, Int64GetDatum(released));
	sale_param(&params, SALE_PARAM_SETTLED, TimestampTzGetDatum(GetCurrentTimestamp()));
	old_params(&params, line);
	sales_begin(&context, cart);
	sales_write_one(cart, SALE_SETTLE, &params);
	if (line->has_hold)
		sales_write_one(cart, SALE_DELETE_HOLD, &params);
	sales_end(&context);
}

/*
 * Note that units were returned of a line that is sold and locked.
 */
void
record_note_return(Cart *cart, SaleLine *line, int64 qty, bool restock)
{
	SaleContext context;
	SaleParams	params;

	line_params(&params, cart->sale->id, line->line);
	sale_param(&params, SALE_PARAM_RETURNED, Int64GetDatum(line->returned + qty));
	sale_param(&params, SALE_PARAM_DISCARDED,
			   Int64GetDatum(line->discarded + (restock ? 0 : qty)));
	sale_param(&params, SALE_PARAM_RETURNED_AT,
			   TimestampTzGetDatum(GetCurrentTimestamp()));
	old_params(&params, line);
	sales_begin(&context, cart);
	sales_write_one(cart, SALE_NOTE_RETURN, &params);
	sales_end(&context);
}

/*
 * Record a return of a part, which has the cart's id.  line is the one that was given
 * back to the stock, if it was.
 */
void
record_store_return(Cart *cart, Return *ret, text *buyer, Line *line)
{
	SaleParams	params;

	new_row_params(&params, cart->sale->id, SALE_RETURNED, buyer, GetCurrentTimestamp());
	sale_param(&params, SALE_PARAM_LINE, Int32GetDatum(1));
	sale_param(&params, SALE_PARAM_PRODUCT, ret->product);
	sale_param(&params, SALE_PARAM_QTY, Int64GetDatum(ret->qty));
	if (line != NULL)
		sale_param(&params, SALE_PARAM_REMAINING, Int64GetDatum(line->remaining));
	if (!ret->restock)
		sale_param(&params, SALE_PARAM_DISCARDED, Int64GetDatum(ret->qty));
	sale_param(&params, SALE_PARAM_RETURN_OF, PointerGetDatum(ret->sale_id));
	sales_insert(cart, SALE_INSERT, &params, 1);
}

/*
 * Note that a part of a line that is held and locked was released.
 */
void
record_reduce_hold(Cart *cart, SaleLine *line, int64 qty)
{
	SaleContext context;
	SaleParams	params;

	line_params(&params, cart->sale->id, line->line);
	sale_param(&params, SALE_PARAM_STATE, CStringGetTextDatum(state_names[SALE_HELD]));
	sale_param(&params, SALE_PARAM_RELEASED, Int64GetDatum(line->qty - line->units + qty));
	sale_param(&params, SALE_PARAM_QTY, Int64GetDatum(line->units - qty));
	old_params(&params, line);
	sales_begin(&context, cart);
	sales_write_one(cart, SALE_SETTLE, &params);
	sales_write_one(cart, SALE_REDUCE_HOLD, &params);
	sales_end(&context);
}

/*
 * Move the end of a sale's holds, but never to the front; returns the first of the
 * ends.
 */
TimestampTz
record_extend_holds(Cart *cart, Record *record, TimestampTz expires_at)
{
	SaleContext context;
	SaleParams	params;
	TimestampTz result = 0;
	uint64		nholds = 0;
	uint64		n;

	for (int i = 0; i < record->nlines; i++)
		nholds += record->lines[i].has_hold;
	sale_params(&params, cart->sale->id);
	sale_param(&params, SALE_PARAM_EXPIRES, TimestampTzGetDatum(expires_at));
	sales_begin(&context, cart);
	n = sales_write(cart, SALE_EXTEND_HOLDS, &params, nholds);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		TimestampTz end = DatumGetTimestampTz(sales_value(i, 1, &isnull));

		result = i == 0 ? end : Min(result, end);
	}
	sales_end(&context);
	return result;
}
