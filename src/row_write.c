/*
 * row_write.c
 *	  The row engine: a row is written.
 *
 * What is done to a row, and in which order, is that of
 * ExecSimpleRelationUpdate(), with the steps left out that the table does not
 * need.  A row that is written in the step that locks it has only CHECKs of
 * built-in functions before the write: if somebody was faster, nothing has
 * happened.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "row.h"
#include "stock.h"

/*
 * What the guard asks is known here: that it is us, and after the write, in
 * write_line() of cart.c, that no other trigger has changed the stock.  The
 * TriggerDesc is a copy of our own.
 */
static void
disable_guard(StockTable *st, TriggerDesc *trigdesc)
{
	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
		if (trigdesc->triggers[i].tgfoid == st->guard_function)
			trigdesc->triggers[i].tgenabled = TRIGGER_DISABLED;
}

/*
 * The executor's state, for triggers, generated columns, index entries, and to
 * say which constraint is violated.
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
	init_range_table(estate, cart->table.range);
	InitResultRelInfo(rri, cart->table.rel, 1, NULL, 0);
	if (cart->table.st->guarded)
		disable_guard(cart->table.st, rri->ri_TrigDesc);
	/* where AFTER triggers look for it */
	estate->es_opened_result_relations = list_make1(rri);
	estate->es_snapshot = GetActiveSnapshot();
	compat_EvalPlanQualInit(&state->epq, estate);
	ExecOpenIndices(rri, false);

	state->estate = estate;
	state->rri = rri;
	return estate;
}

/*
 * Does the write fire triggers that could do anything?
 */
static bool
fires_triggers(RowTable *table, RowLine *row)
{
	return table->triggers == ROW_TRIGGERS_ANY ||
		(table->triggers == ROW_TRIGGERS_OF_NEW_ROWS &&
		 TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->version->t_data)));
}

/*
 * Set up the new version: as it is, except for the stock, and without what
 * dropped columns left.
 */
static TupleTableSlot *
fill_new_slot(Cart *cart, Line *line)
{
	RowState   *state = cart->engine_state;
	StockTable *st = cart->table.st;
	TupleDesc	desc = RelationGetDescr(cart->table.rel);
	int			stock_index = st->stock_attno - 1;
	TupleTableSlot *slot;

	if (state->new_slot == NULL)
		state->new_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	slot = ExecClearTuple(state->new_slot);

	heap_deform_tuple(row_of(cart, line)->version, desc, slot->tts_values,
					  slot->tts_isnull);
	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attisdropped)
			slot->tts_isnull[i] = true;
	slot->tts_values[stock_index] = stock_datum(line_new_stock(cart, line),
												st->stock_type);
	slot->tts_isnull[stock_index] = false;
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(cart->table.rel);
	return slot;
}

/*
 * Clean up a page that has no room for many more versions of a row.  Only to
 * be called without a pin on it.
 */
static void
make_room(Cart *cart, RowLine *row)
{
	Buffer		buffer;

	if (!row->crowded)
		return;
	buffer = ReadBuffer(cart->table.rel,
						ItemPointerGetBlockNumber(&row->version->t_self));
	compat_heap_page_prune_opt(cart->table.rel, buffer);
	ReleaseBuffer(buffer);
}

/*
 * Put the new version in the place of the one that was looked at, or locked, and
 * make the index entries that it needs.  Without wait, it finds out with the page
 * locked whether that is the latest version and nobody holds it.
 */
static TM_Result
store(Cart *cart, RowLine *row, TupleTableSlot *slot, CommandId cid, bool wait,
	  List **recheck_indexes)
{
	RowState   *state = cart->engine_state;
	TM_FailureData tmfd;
	LockTupleMode lockmode;
	compat_UpdateIndexes update_indexes;
	TM_Result	result;

	make_room(cart, row);
	result = compat_table_tuple_update(cart->table.rel, &row->version->t_self,
									   slot, cid, wait,
									   &tmfd, &lockmode, &update_indexes);
	if (result == TM_Ok && compat_update_indexes(update_indexes))
	{
		EState	   *estate = executor_state(cart);

		ResetPerTupleExprContext(estate);
		*recheck_indexes = compat_insert_index_tuples(state->rri, slot, estate, true,
													  compat_only_summarizing(update_indexes));
	}
	return result;
}

/*
 * That table_tuple_update() need not wait is documented, and heap_update()
 * returns TM_BeingModified then.  But nobody in core asks for it, and an
 * assertion says so: with assertions, every row is locked first, unless
 * HEAP_UPDATE_MAY_NOT_WAIT says that the server was built without that one.
 */
bool
row_write_free(Cart *cart, Line *line)
{
#if defined(USE_ASSERT_CHECKING) && !defined(HEAP_UPDATE_MAY_NOT_WAIT)
	const bool	possible = false;
#else
	const bool	possible = true;
#endif
	RowTable   *table = row_table(cart);
	RowLine    *row = row_of(cart, line);
	TupleTableSlot *slot;
	TM_Result	result;
	List	   *unused;

	if (!possible || table->generated || table->partition ||
		table->planned_checks == NULL || fires_triggers(table, row))
		return false;

	/* it is locked first for the words of an error, too */
	slot = fill_new_slot(cart, line);
	if (!row_check(cart, slot))
		return false;
	CheckCmdReplicaIdentity(cart->table.rel, CMD_UPDATE);

	result = store(cart, row, slot, GetCurrentCommandId(true), false,
				   &unused);
	if (result != TM_Ok)
	{
		row->contended = result != TM_SelfModified;
		return false;
	}
	line->remaining = line_new_stock(cart, line);
	return true;
}

/*
 * Take up a line's row again, which is locked.  A trigger that an earlier line
 * fired may have changed it since; then what was decided must still hold.
 */
static bool
fetch_again(Cart *cart, Line *line)
{
	CommandCounterIncrement();
	return row_lock_latest(cart, line) == LOCK_OK && !line->stock_isnull &&
		(cart->verb != VERB_SELL || line->stock >= line->qty - line->taken);
}

/*
 * What comes before a version is stored, in the executor's order.  False if a
 * BEFORE trigger suppressed the update.
 */
static bool
before_store(Cart *cart, RowLine *row, TupleTableSlot *slot, bool fires)
{
	RowState   *state = cart->engine_state;
	RowTable   *table = row_table(cart);

	if (fires && state->rri->ri_TrigDesc->trig_update_before_row &&
		!compat_ExecBRUpdateTriggers(state->estate, &state->epq, state->rri,
									 &row->version->t_self, slot))
		return false;
	if (table->generated)
		ExecComputeStoredGenerated(state->rri, state->estate, slot,
								   CMD_UPDATE);
	if (!row_check(cart, slot))
	{
		EState	   *estate = executor_state(cart);

		ExecConstraints(state->rri, slot, estate);
	}
	if (table->partition)
		(void) ExecPartitionCheck(state->rri, slot, state->estate, true);
	return true;
}

static bool
write_locked(Cart *cart, Line *line, bool fires)
{
	RowState   *state = cart->engine_state;
	StockTable *st = cart->table.st;
	RowLine    *row = row_of(cart, line);
	TupleTableSlot *slot = fill_new_slot(cart, line);

	/* not later: what a BEFORE trigger does to the row must come after it */
	CommandId	cid = GetCurrentCommandId(true);
	List	   *recheck_indexes = NIL;
	bool		isnull;
	Datum		stock;

	if (!before_store(cart, row, slot, fires))
		return false;

	switch (store(cart, row, slot, cid, true, &recheck_indexes))
	{
		case TM_Ok:
			break;
		case TM_SelfModified:
			/* the words of ExecUpdate() */
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("tuple to be updated was already modified by an operation triggered by the current command"),
					 errhint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")));
		default:
			elog(ERROR, "unexpected result of table_tuple_update");
	}
	stock = slot_getattr(slot, st->stock_attno, &isnull);
	line->remaining = isnull ? 0 : stock_value(stock, st->stock_type);

	if (fires)
		ExecARUpdateTriggers(state->estate, state->rri, NULL, NULL,
							 &row->version->t_self, NULL, slot,
							 recheck_indexes, NULL, false);
	return !isnull;
}

/*
 * Write a row that is locked.
 */
bool
row_write(Cart *cart, Line *line)
{
	RowTable   *table = row_table(cart);
	bool		fires;
	bool		done;

	/*
	 * a user's trigger may have changed it, or a foreign key's cascade, or
	 * what a trigger on the sales has done
	 */
	if (((table->triggers == ROW_TRIGGERS_ANY && line != cart->lines) ||
		 line->nholds > 0) &&
		!fetch_again(cart, line))
		return false;
	CheckCmdReplicaIdentity(cart->table.rel, CMD_UPDATE);

	fires = fires_triggers(table, row_of(cart, line));
	if (fires || table->generated || table->partition)
	{
		EState	   *estate = executor_state(cart);

		ResetPerTupleExprContext(estate);
		estate->es_output_cid = GetCurrentCommandId(true);
	}
	if (fires)
		AfterTriggerBeginQuery();
	done = write_locked(cart, line, fires);
	if (fires)
		AfterTriggerEndQuery(((RowState *) cart->engine_state)->estate);
	return done;
}
