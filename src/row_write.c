/*
 * row_write.c
 *	  The row engine: a row is written.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "row.h"

static Datum
stock_datum(int64 stock, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return Int16GetDatum((int16) stock);
		case INT4OID:
			return Int32GetDatum((int32) stock);
		default:
			return Int64GetDatum(stock);
	}
}

/*
 * Set up the new row: as it is, but for the stock, and without what dropped
 * columns left.
 */
static TupleTableSlot *
fill_new_slot(Cart *cart, Line *line, int64 stock)
{
	RowState   *state = cart->engine_state;
	TupleDesc	desc = RelationGetDescr(cart->rel);
	int			stock_index = cart->st->stock_attno - 1;
	TupleTableSlot *slot;

	if (state->new_slot == NULL)
		state->new_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	slot = ExecClearTuple(state->new_slot);

	heap_deform_tuple(line->row, desc, slot->tts_values, slot->tts_isnull);
	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attisdropped)
			slot->tts_isnull[i] = true;
	slot->tts_values[stock_index] = stock_datum(stock, cart->st->stock_type);
	slot->tts_isnull[stock_index] = false;
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(cart->rel);

	/* set by the update: a BEFORE trigger may skip it without a word */
	ItemPointerSetInvalid(&slot->tts_tid);
	return slot;
}

/*
 * What the guard asks is known here: that it is us, and after the write, in
 * write_line() of cart.c, that no other trigger has changed the stock.  The
 * TriggerDesc is a copy of our own.
 */
static void
disable_guard(StockTable *st, TriggerDesc *trigdesc)
{
	for (int i = 0; i < trigdesc->numtriggers; i++)
		if (trigdesc->triggers[i].tgfoid == st->guard_function)
			trigdesc->triggers[i].tgenabled = TRIGGER_DISABLED;
}

/*
 * The executor state that ExecSimpleRelationUpdate() wants, and index entries.
 */
static EState *
executor_state(Cart *cart)
{
	RowState   *state = cart->engine_state;
	EState	   *estate = state->estate;
	ResultRelInfo *rri;

	if (estate != NULL)
		return estate;

	estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	init_range_table(estate, cart->range);
	InitResultRelInfo(rri, cart->rel, 1, NULL, 0);
	/* where AFTER triggers look for it */
	estate->es_opened_result_relations = list_make1(rri);
	estate->es_snapshot = GetActiveSnapshot();
	compat_EvalPlanQualInit(&state->epq, estate);
	ExecOpenIndices(rri, false);

	/* don't let it ask triggers that have nothing to do */
	if (cart->st->triggers == ROW_TRIGGERS_NONE)
		rri->ri_TrigDesc = NULL;
	else if (cart->st->guarded)
		disable_guard(cart->st, rri->ri_TrigDesc);

	state->estate = estate;
	state->rri = rri;
	state->old_slot = MakeSingleTupleTableSlot(RelationGetDescr(cart->rel),
											   &TTSOpsHeapTuple);
	return estate;
}

/*
 * Clean up a page that has no room for many more versions of a row.  Only to
 * be called without a pin on it.
 */
static void
make_room(Cart *cart, Line *line)
{
	Buffer		buffer;

	if (!line->crowded)
		return;
	buffer = ReadBuffer(cart->rel, ItemPointerGetBlockNumber(&line->row->t_self));
	compat_heap_page_prune_opt(cart->rel, buffer);
	ReleaseBuffer(buffer);
}

/*
 * Update a row of a plain table.  Of the executor that needs nothing but, if the
 * new version has to go to another page, index entries.
 *
 * False, with nothing written, if it takes the executor, be it to say which
 * constraint is violated.  And for a row that is not locked, if it is no longer
 * what the look saw, or somebody holds it: heap_update() finds that out with
 * the page locked, so that what it does update is the latest version.
 */
static bool
write_plain(Cart *cart, Line *line, bool locked)
{
	StockTable *st = cart->st;
	int64		stock = line_new_stock(cart, line);
	RowState   *state = cart->engine_state;
	TupleTableSlot *slot;
	TM_FailureData tmfd;
	LockTupleMode lockmode;
	compat_UpdateIndexes update_indexes;

	if (!st->plain || !plan_checks(cart))
		return false;
	if (st->triggers == ROW_TRIGGERS_OF_NEW_ROWS &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(line->row->t_data)))
		return false;

	slot = fill_new_slot(cart, line, stock);
	if (!satisfies_constraints(cart, slot))
		return false;
	CheckCmdReplicaIdentity(cart->rel, CMD_UPDATE);

	make_room(cart, line);
	if (compat_table_tuple_update(cart->rel, &line->row->t_self, slot,
								  GetCurrentCommandId(true), locked, &tmfd,
								  &lockmode, &update_indexes) != TM_Ok)
	{
		line->contended = !locked;
		return false;
	}
	if (compat_update_indexes(update_indexes))
	{
		EState	   *estate = executor_state(cart);

		ResetPerTupleExprContext(estate);
		compat_insert_index_tuples(state->rri, slot, estate, update_indexes);
	}
	line->remaining = stock;
	return true;
}

/*
 * That table_tuple_update() need not wait is documented, and heap_update()
 * returns TM_BeingModified then.  But nobody in core asks for it, and an
 * assertion says so: with assertions, every row is locked first.
 */
bool
row_write_free(Cart *cart, Line *line)
{
#ifdef USE_ASSERT_CHECKING
	const bool	possible = false;
#else
	const bool	possible = true;
#endif

	return possible && write_plain(cart, line, false);
}

/*
 * Take up a line's row again, which is locked.  A trigger that an earlier line
 * fired may have changed it since; then what was decided must still hold.
 */
static bool
fetch_again(Cart *cart, Line *line)
{
	LockResult	result;

	CommandCounterIncrement();
	if (!look_again(cart, line))
		result = LOCK_NO_ROW;
	else
		result = row_lock(cart, line, true);
	PopActiveSnapshot();
	return result == LOCK_OK && line->stock_known &&
		(cart->verb != VERB_SELL || line->stock >= line->qty);
}

/*
 * Update the row.  If a BEFORE trigger has changed it meanwhile, heapam throws
 * an internal error; give it the words and the SQLSTATE of ExecUpdate().
 */
static void
update_row(RowState *state, bool user_triggers)
{
	MemoryContext cxt = CurrentMemoryContext;
	ErrorData  *error;

	if (!user_triggers)
	{
		ExecSimpleRelationUpdate(state->rri, state->estate, &state->epq,
								 state->old_slot, state->new_slot);
		return;
	}

	PG_TRY();
	{
		ExecSimpleRelationUpdate(state->rri, state->estate, &state->epq,
								 state->old_slot, state->new_slot);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (error->funcname == NULL ||
			(strcmp(error->funcname, "heap_update") != 0 &&
			 strcmp(error->funcname, "simple_table_tuple_update") != 0 &&
			 strcmp(error->funcname, "simple_heap_update") != 0))
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
				 errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")));
	}
	PG_END_TRY();
}

bool
row_write(Cart *cart, Line *line)
{
	RowState   *state = cart->engine_state;
	EState	   *estate;
	TupleTableSlot *slot;
	bool		isnull = true;

	if (write_plain(cart, line, true))
		return true;

	/* a user's trigger may have changed it, or a foreign key's cascade */
	if (cart->st->triggers >= ROW_TRIGGERS_INTERNAL && line != cart->lines &&
		!fetch_again(cart, line))
		return false;
	make_room(cart, line);
	estate = executor_state(cart);
	prepare_checks(cart, estate, state->rri);
	ResetPerTupleExprContext(estate);
	estate->es_output_cid = GetCurrentCommandId(true);
	ExecStoreHeapTuple(line->row, state->old_slot, false);
	slot = fill_new_slot(cart, line, line_new_stock(cart, line));

	if (state->rri->ri_TrigDesc != NULL)
		AfterTriggerBeginQuery();
	update_row(state, cart->st->triggers == ROW_TRIGGERS_USER);
	if (ItemPointerIsValid(&slot->tts_tid))
	{
		Datum		stock = slot_getattr(slot, cart->st->stock_attno, &isnull);

		line->remaining = isnull ? 0 : stock_value(stock, cart->st->stock_type);
	}
	if (state->rri->ri_TrigDesc != NULL)
		AfterTriggerEndQuery(estate);
	return !isnull;
}
