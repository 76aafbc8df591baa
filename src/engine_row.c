/*
 * engine_row.c
 *	  The row engine: one index scan, one tuple lock, one tuple update, with no
 *	  parser, planner or executor start-up in between.
 *
 * Its preconditions are checked when it is chosen (table_sql_reason() and
 * engine_reason() in stock_table.c): an ordinary heap table, no row security
 * for this user, no rules, statement triggers or transition tables, and a
 * valid, immediate, non-partial unique btree index on just the key column.
 *
 * The path is that of ExecLockRows() and of the logical replication worker,
 * and calls the same composite functions.  Nothing is kept between calls.
 * Everything is released by resource owner and memory context if an error is
 * thrown.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "purchase.h"

typedef struct RowState
{
	IndexScanDesc scan;			/* with the snapshot of the call */
	TupleTableSlot *slot;		/* the row that was looked at or locked last */
	Line	   *slot_line;		/* whose it is */

	/* set up by the first write */
	EState	   *estate;
	ResultRelInfo *rri;
	bool		user_triggers;	/* row triggers that may do anything */
	EPQState	epq;
	TupleTableSlot *copy_slot;	/* for the copy that a line of a cart has */
	TupleTableSlot *old_slot;	/* the row to be written: slot or copy_slot */
	TupleTableSlot *new_slot;
} RowState;

static void
row_open(Cart *cart)
{
	RowState   *state = palloc0(sizeof(RowState));

	state->slot = MakeSingleTupleTableSlot(RelationGetDescr(cart->rel),
										   table_slot_callbacks(cart->rel));
	state->scan = compat_index_beginscan(cart->rel, cart->index,
										 GetActiveSnapshot());
	cart->engine_state = state;
}

static int64
stock_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

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

static void
read_stock(Cart *cart, Line *line, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, cart->st->stock_attno, &isnull);

	line->stock_known = !isnull;
	line->stock = isnull ? 0 : stock_value(value, cart->st->stock_type);
}

/*
 * Find the line's row with a scan.  An MVCC scan: it takes the predicate locks
 * of SERIALIZABLE, which a dirty one would not.
 */
static bool
find_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	RowState   *state = cart->engine_state;
	StockTable *st = cart->st;
	ScanKeyData key;

	ScanKeyEntryInitializeWithInfo(&key, 0, 1, BTEqualStrategyNumber,
								   st->eq_subtype, st->key_collation, &st->eq,
								   line->key);
	index_rescan(scan, &key, 1, NULL, 0);
	if (!index_getnext_slot(scan, ForwardScanDirection, state->slot))
		return false;
	state->slot_line = line;
	line->tid = state->slot->tts_tid;
	read_stock(cart, line, state->slot);
	return true;
}

static bool
row_look(Cart *cart, Line *line)
{
	return find_row(cart, line,
					((RowState *) cart->engine_state)->scan);
}

/*
 * Look again, with a snapshot that sees what was committed since the call
 * began.  The old snapshot stays: other lines' versions depend on it.
 */
static bool
look_again(Cart *cart, Line *line)
{
	IndexScanDesc scan;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	PushActiveSnapshot(GetTransactionSnapshot());
	scan = compat_index_beginscan(cart->rel, cart->index, GetActiveSnapshot());
	found = find_row(cart, line, scan);
	index_endscan(scan);
	return found;
}

static bool
has_key(Cart *cart, Line *line, TupleTableSlot *slot)
{
	StockTable *st = cart->st;
	bool		isnull;
	Datum		key = slot_getattr(slot, st->key_attno, &isnull);

	return !isnull &&
		DatumGetBool(FunctionCall2Coll(&st->eq, st->key_collation, key,
									   line->key));
}

static TM_Result
lock_version(Cart *cart, Line *line, bool wait, bool *moved)
{
	RowState   *state = cart->engine_state;
	int			flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS;
	ItemPointerData tid = line->tid;	/* is moved along the update chain */
	TM_FailureData tmfd;
	TM_Result	result;

	if (!IsolationUsesXactSnapshot())
		flags |= TUPLE_LOCK_FLAG_FIND_LAST_VERSION;

	/*
	 * LockWaitSkip and not LockWaitError, which would raise heapam's own
	 * error for a busy row.
	 */
	ExecClearTuple(state->slot);
	result = table_tuple_lock(cart->rel, &tid, GetActiveSnapshot(),
							  state->slot, GetCurrentCommandId(false),
							  LockTupleNoKeyExclusive,
							  wait ? LockWaitBlock : LockWaitSkip,
							  flags, &tmfd);
	*moved = tmfd.traversed;
	return result;
}

/*
 * Lock the latest version of the row that was looked at.  Under READ COMMITTED
 * it may be gone or have got another key by now; then another row may have the
 * key, so look again.
 */
static LockResult
row_lock(Cart *cart, Line *line, bool wait)
{
	RowState   *state = cart->engine_state;
	bool		again = false;
	bool		moved;
	LockResult	result;

	for (;;)
	{
		switch (lock_version(cart, line, wait, &moved))
		{
			case TM_Ok:
				if (moved && !has_key(cart, line, state->slot))
					break;
				state->slot_line = line;
				line->tid = state->slot->tts_tid;
				if (cart->nlines > 1)
					line->row = ExecCopySlotHeapTuple(state->slot);
				read_stock(cart, line, state->slot);
				result = LOCK_OK;
				goto done;

			case TM_WouldBlock:
				result = LOCK_BUSY;
				goto done;

			case TM_Updated:
			case TM_Deleted:
				if (IsolationUsesXactSnapshot())
					ereport(ERROR,
							(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							 errmsg("could not serialize access due to concurrent update"),
							 errhint("Retry the transaction."),
							 errtable(cart->rel)));
				break;

			case TM_SelfModified:
				ereport(ERROR,
						(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
						 errmsg("the product's row was already modified by an operation triggered by the current command"),
						 errtable(cart->rel)));

			default:
				elog(ERROR, "unexpected result of table_tuple_lock");
		}

		if (again)
			PopActiveSnapshot();
		again = true;
		if (!look_again(cart, line))
		{
			result = LOCK_NO_ROW;
			goto done;
		}
	}

done:
	if (again)
		PopActiveSnapshot();
	return result;
}

/*
 * Hand the executor the table's CHECK constraints.  It would read them from
 * their stored text anew for each ResultRelInfo, which is the dearest part of
 * a small update; so they are read once.  Only read, not planned: a plan would
 * depend on functions that may be replaced.
 */
static void
prepare_checks(Cart *cart, EState *estate, ResultRelInfo *rri)
{
	StockTable *st = cart->st;
	TupleConstr *constr = RelationGetDescr(cart->rel)->constr;
	int			n = constr ? constr->num_check : 0;
	MemoryContext oldcxt;

	/* the executor complains if one is missing */
	if (n == 0 || n != cart->rel->rd_rel->relchecks)
		return;

	if (st->checks == NULL)
	{
		Expr	  **checks;

		oldcxt = MemoryContextSwitchTo(st->cxt);
		checks = palloc(n * sizeof(Expr *));
		for (int i = 0; i < n; i++)
			checks[i] = compat_parse_check(cart->rel, &constr->check[i]);
		st->checks = checks;
		MemoryContextSwitchTo(oldcxt);
	}

	oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	compat_check_exprs(rri) = palloc0(n * sizeof(ExprState *));
	for (int i = 0; i < n; i++)
		if (st->checks[i] != NULL)
			compat_check_exprs(rri)[i] = ExecPrepareExpr(st->checks[i], estate);
	MemoryContextSwitchTo(oldcxt);
}

typedef enum TriggerKind
{
	TRIGGERS_NONE,				/* none that could do anything */
	TRIGGERS_INTERNAL,
	TRIGGERS_USER,				/* may do anything */
} TriggerKind;

/*
 * What row triggers does an update of the stock fire?  Those that a product
 * table has from the foreign keys of its order lines do nothing as long as the
 * key stays what it is; the executor would ask them for each row.
 */
static TriggerKind
trigger_kind(StockTable *st, TriggerDesc *trigdesc)
{
	TriggerKind kind = TRIGGERS_NONE;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];

		if (!TRIGGER_FOR_ROW(trigger->tgtype) ||
			!TRIGGER_FOR_UPDATE(trigger->tgtype))
			continue;
		if (!trigger->tgisinternal)
			return TRIGGERS_USER;
		if (st->stock_in_key ||
			RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_PK)
			kind = TRIGGERS_INTERNAL;
	}
	return kind;
}

/*
 * Make the executor state that ExecSimpleRelationUpdate() wants.
 */
static void
begin_write(Cart *cart)
{
	RowState   *state = cart->engine_state;
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);
	TriggerKind triggers;

	init_range_table(estate, cart->range);
	InitResultRelInfo(rri, cart->rel, 1, NULL, 0);
	/* where AFTER triggers look for it */
	estate->es_opened_result_relations = list_make1(rri);
	estate->es_snapshot = GetActiveSnapshot();
	compat_EvalPlanQualInit(&state->epq, estate);
	ExecOpenIndices(rri, false);
	prepare_checks(cart, estate, rri);

	state->estate = estate;
	state->rri = rri;
	triggers = trigger_kind(cart->st, rri->ri_TrigDesc);
	if (triggers == TRIGGERS_NONE)
		rri->ri_TrigDesc = NULL;
	state->user_triggers = (triggers == TRIGGERS_USER);
	if (cart->nlines > 1)
		state->copy_slot = MakeSingleTupleTableSlot(RelationGetDescr(cart->rel),
													&TTSOpsHeapTuple);
	state->new_slot = MakeSingleTupleTableSlot(RelationGetDescr(cart->rel),
											   &TTSOpsVirtual);
}

/*
 * The row as it is, but for the stock, and without what dropped columns left.
 */
static void
fill_new_slot(Cart *cart, int64 stock)
{
	RowState   *state = cart->engine_state;
	TupleTableSlot *old = state->old_slot;
	TupleTableSlot *new = state->new_slot;
	TupleDesc	desc = old->tts_tupleDescriptor;
	int			natts = desc->natts;
	int			stock_index = cart->st->stock_attno - 1;

	slot_getallattrs(old);
	ExecClearTuple(new);
	memcpy(new->tts_values, old->tts_values, natts * sizeof(Datum));
	memcpy(new->tts_isnull, old->tts_isnull, natts * sizeof(bool));
	for (int i = 0; i < natts; i++)
		if (TupleDescAttr(desc, i)->attisdropped)
			new->tts_isnull[i] = true;
	new->tts_values[stock_index] = stock_datum(stock, cart->st->stock_type);
	new->tts_isnull[stock_index] = false;
	ExecStoreVirtualTuple(new);
	new->tts_tableOid = RelationGetRelid(cart->rel);

	/* set by the update: a BEFORE trigger may skip it without a word */
	ItemPointerSetInvalid(&new->tts_tid);
}

/*
 * Take up a line's row again, which is locked, but is not the one locked last.
 * A trigger that an earlier line fired may have changed it since; then what
 * was decided must still hold.
 */
static bool
fetch_again(Cart *cart, Line *line, int64 delta)
{
	RowState   *state = cart->engine_state;
	LockResult	result;

	if (!state->user_triggers)
	{
		ExecStoreHeapTuple(line->row, state->copy_slot, false);
		state->old_slot = state->copy_slot;
		return true;
	}

	CommandCounterIncrement();
	if (!look_again(cart, line))
		result = LOCK_NO_ROW;
	else
		result = row_lock(cart, line, true);
	PopActiveSnapshot();
	return result == LOCK_OK && line->stock_known &&
		(delta > 0 || line->stock >= -delta);
}

/*
 * Update the row.  If a BEFORE trigger has changed it meanwhile, heapam throws
 * an internal error; give it the words and the SQLSTATE of ExecUpdate().
 */
static void
update_row(RowState *state)
{
	MemoryContext cxt = CurrentMemoryContext;
	ErrorData  *error;

	if (!state->user_triggers)
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

static void
row_write(Cart *cart, Line *line, int64 delta)
{
	RowState   *state = cart->engine_state;

	if (state->estate == NULL)
		begin_write(cart);
	state->old_slot = state->slot;
	if (state->slot_line != line && !fetch_again(cart, line, delta))
	{
		line->stock_known = false;
		return;
	}
	ResetPerTupleExprContext(state->estate);
	state->estate->es_output_cid = GetCurrentCommandId(true);
	fill_new_slot(cart, line->stock + delta);

	if (state->rri->ri_TrigDesc != NULL)
		AfterTriggerBeginQuery();
	update_row(state);
	if (ItemPointerIsValid(&state->new_slot->tts_tid))
		read_stock(cart, line, state->new_slot);
	else
		line->stock_known = false;
	if (state->rri->ri_TrigDesc != NULL)
		AfterTriggerEndQuery(state->estate);
}

static void
row_close(Cart *cart)
{
	RowState   *state = cart->engine_state;

	index_endscan(state->scan);
	if (state->estate != NULL)
	{
		EvalPlanQualEnd(&state->epq);
		/* the indexes, and what a cascade of a foreign key has opened */
		ExecCloseResultRelations(state->estate);
		ExecResetTupleTable(state->estate->es_tupleTable, false);
		FreeExecutorState(state->estate);
		if (state->copy_slot != NULL)
			ExecDropSingleTupleTableSlot(state->copy_slot);
		ExecDropSingleTupleTableSlot(state->new_slot);
	}
	ExecDropSingleTupleTableSlot(state->slot);
	pfree(state);
}

const Engine engine_row = {
	.name = "row",
	.open = row_open,
	.look = row_look,
	.lock = row_lock,
	.write = row_write,
	.close = row_close,
};
