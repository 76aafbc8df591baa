/*
 * engine_row.c
 *	  The row engine: one index scan and one tuple update, with no parser,
 *	  planner or executor start-up in between.
 *
 * Its preconditions are checked when it is chosen (table_sql_reason() and
 * engine_reason() in stock_table.c): an ordinary heap table, no row security
 * for this user, no rules, statement triggers or transition tables, and a
 * valid, immediate, non-partial unique btree index on just the key column.
 *
 * A row is found by an index scan, as ExecIndexScan() would.  If nobody holds
 * it and its table asks for no more than to check and to store it, one
 * heap_update() locks and writes it.  Else it is locked as by ExecLockRows(),
 * and written as by the logical replication worker, which calls the same
 * composite functions.
 *
 * Nothing is kept between calls.  Everything is released by resource owner and
 * memory context if an error is thrown.
 *
 * No buffer stays pinned between look, lock and write: what an active snapshot
 * sees, or a lock of ours holds, nobody prunes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "purchase.h"

/* So many more versions of a row its page shall have room for. */
#define ROOM 4

typedef struct RowState
{
	IndexScanDesc scan;			/* with the snapshot of the call */
	TupleTableSlot *lock_slot;	/* set up by the first lock */
	TupleTableSlot *new_slot;	/* set up by the first write */
	ExprState **checks;			/* with the first CHECK of a plain table */
	ExprContext *check_context;

	/* set up by the first write that needs the executor */
	EState	   *estate;
	ResultRelInfo *rri;
	EPQState	epq;
	TupleTableSlot *old_slot;
} RowState;

static void
row_open(Cart *cart)
{
	RowState   *state = palloc0(sizeof(RowState));

	state->scan = compat_index_beginscan(cart->rel, cart->index,
										 GetActiveSnapshot());
	cart->engine_state = state;
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

/*
 * Take a version of a line's row, palloc'd, as what is known of it.
 */
static void
set_row(Cart *cart, Line *line, HeapTuple row)
{
	bool		isnull;
	Datum		value = heap_getattr(row, cart->st->stock_attno,
									 RelationGetDescr(cart->rel), &isnull);

	if (line->row != NULL)
		heap_freetuple(line->row);
	line->row = row;
	line->stock_known = !isnull;
	line->stock = isnull ? 0 : stock_value(value, cart->st->stock_type);
}

/*
 * Does nobody hold this row?  Asked while its page is locked.  A guess, as
 * that may change at once; and if there are several lockers, "no".
 */
static bool
is_free(HeapTupleHeader row)
{
	if (row->t_infomask & HEAP_XMAX_INVALID)
		return true;
	return HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
		(row->t_infomask & HEAP_XMAX_IS_MULTI) == 0 &&
		!TransactionIdIsInProgress(HeapTupleHeaderGetRawXmax(row));
}

/*
 * Is another transaction about to commit a new version of this row, or does it
 * hold a lock that an update has to wait for?  Asked while its page is locked.
 * If there are several lockers, "no", as we may be one of them.
 */
static bool
is_contended(HeapTupleHeader row)
{
	TransactionId xmax = HeapTupleHeaderGetRawXmax(row);

	if ((row->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) != 0)
		return false;
	if (HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
		HEAP_XMAX_IS_KEYSHR_LOCKED(row->t_infomask))
		return false;
	return !TransactionIdIsCurrentTransactionId(xmax) &&
		TransactionIdIsInProgress(xmax);
}

/*
 * Has a row's page little room left?  A guess if the page is not locked.
 */
static bool
is_crowded(Buffer buffer, HeapTuple row)
{
	Page		page = BufferGetPage(buffer);

	return PageIsFull(page) ||
		PageGetHeapFreeSpace(page) < ROOM * MAXALIGN(row->t_len);
}

/*
 * Fetch the version that the scan's snapshot sees, of the row whose index
 * entry the scan has come to.
 *
 * This is index_fetch_heap(), but that it does not prune the page.  Who visits
 * a page to read all of it may well do that whenever less than a tenth of it is
 * left; a sale would do it nearly every time, for the one version before, and
 * it is dearer than all the rest.  make_room() does it when room is needed.
 */
static bool
fetch_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	ItemPointerData tid = scan->xs_heaptid;
	Buffer		buffer = ReadBuffer(cart->rel, ItemPointerGetBlockNumber(&tid));
	HeapTupleData tuple;
	bool		all_dead;
	bool		found;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, cart->rel, buffer, scan->xs_snapshot,
								   &tuple, &all_dead, true);
	if (found)
	{
		line->free = cart->verb != VERB_READ && is_free(tuple.t_data);
		line->contended = !line->free && is_contended(tuple.t_data);
		line->crowded = is_crowded(buffer, &tuple);
		line->root = scan->xs_heaptid;
		set_row(cart, line, heap_copytuple(&tuple));
		pgstat_count_heap_fetch(scan->indexRelation);
	}
	UnlockReleaseBuffer(buffer);

	if (!scan->xactStartedInRecovery)
		scan->kill_prior_tuple = all_dead;
	return found;
}

/*
 * Find the line's row with a scan.  An MVCC scan: it takes the predicate locks
 * of SERIALIZABLE, which a dirty one would not.
 */
static bool
find_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	StockTable *st = cart->st;
	ScanKeyData key;

	ScanKeyEntryInitializeWithInfo(&key, 0, 1, BTEqualStrategyNumber,
								   st->eq_subtype, st->key_collation, &st->eq,
								   line->key);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_tid(scan, ForwardScanDirection) != NULL)
		if (fetch_row(cart, line, scan))
			return true;
	return false;
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
has_key(Cart *cart, Line *line)
{
	StockTable *st = cart->st;
	bool		isnull;
	Datum		key = heap_getattr(line->row, st->key_attno,
								   RelationGetDescr(cart->rel), &isnull);

	return !isnull &&
		DatumGetBool(FunctionCall2Coll(&st->eq, st->key_collation, key,
									   line->key));
}

static TM_Result
lock_version(Cart *cart, Line *line, bool wait, bool *moved)
{
	RowState   *state = cart->engine_state;
	int			flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS;
	ItemPointerData tid = line->row->t_self;	/* is moved along the update
												 * chain */
	TM_FailureData tmfd;
	TM_Result	result;

	if (!IsolationUsesXactSnapshot())
		flags |= TUPLE_LOCK_FLAG_FIND_LAST_VERSION;

	if (state->lock_slot == NULL)
		state->lock_slot =
			MakeSingleTupleTableSlot(RelationGetDescr(cart->rel),
									 table_slot_callbacks(cart->rel));

	/*
	 * LockWaitSkip and not LockWaitError, which would raise heapam's own
	 * error for a busy row.
	 */
	result = table_tuple_lock(cart->rel, &tid, GetActiveSnapshot(),
							  state->lock_slot, GetCurrentCommandId(false),
							  cart->st->stock_in_key ? LockTupleExclusive :
							  LockTupleNoKeyExclusive,
							  wait ? LockWaitBlock : LockWaitSkip,
							  flags, &tmfd);
	if (result == TM_Ok)
	{
		set_row(cart, line, ExecCopySlotHeapTuple(state->lock_slot));
		line->crowded =
			is_crowded(((BufferHeapTupleTableSlot *) state->lock_slot)->buffer,
					   line->row);
	}
	*moved = tmfd.traversed;

	/* no pin is left, or the page could not be pruned */
	ExecClearTuple(state->lock_slot);
	return result;
}

/*
 * A place in the queue for a row.
 *
 * Who waits for a row waits for the transaction that wrote the version that was
 * found.  Of many, each then goes through all versions that were written
 * meanwhile, to wait for the last one's writer, so that a commit wakes them all
 * and all but one in vain.  In a queue of their own, only the first waits for
 * the row.  It leaves the queue when it has the row's lock; then the next one
 * looks at the row's latest version and waits for that one's writer.
 *
 * The queue's lock has the root of the row's HOT chain as its name: where the
 * index entry points to.  Whoever waits in the queue, or at its head for the
 * row, has an active snapshot that sees the row there, so that nobody can put
 * another row in that place: no two rows share a queue.  An update that is not
 * HOT gives the row a new root, and who comes later another queue: then two wait
 * for the row, which is as well.
 *
 * So the lock adds no deadlock.  It is held only by who waits for the row, and
 * to wait for it means to wait for the row's holder.  That holder itself never
 * queues up for the row: is_contended() denies it.  A transaction holds at most
 * one of these locks, and none when a call is over.
 *
 * The lock's type is that of a module that PostgreSQL has no longer, so that
 * nobody's advisory locks get in the way.
 */
typedef struct Queue
{
	bool		joined;
	ItemPointerData root;
} Queue;

static void
set_queue_tag(LOCKTAG *tag, Cart *cart, ItemPointer root)
{
	tag->locktag_field1 = MyDatabaseId;
	tag->locktag_field2 = RelationGetRelid(cart->rel);
	tag->locktag_field3 = ItemPointerGetBlockNumber(root);
	tag->locktag_field4 = ItemPointerGetOffsetNumber(root);
	tag->locktag_type = LOCKTAG_USERLOCK;
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

static void
leave_queue(Cart *cart, Queue *queue)
{
	LOCKTAG		tag;

	if (!queue->joined)
		return;
	set_queue_tag(&tag, cart, &queue->root);
	(void) LockRelease(&tag, ExclusiveLock, false);
	queue->joined = false;
}

/*
 * Wait for the head of the row's queue.  False if it was reached before.
 */
static bool
join_queue(Cart *cart, Line *line, Queue *queue)
{
	LOCKTAG		tag;

	if (queue->joined && ItemPointerEquals(&queue->root, &line->root))
		return false;
	leave_queue(cart, queue);
	set_queue_tag(&tag, cart, &line->root);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	queue->joined = true;
	queue->root = line->root;
	return true;
}

/*
 * Lock the version that was looked at, or where the isolation level allows it,
 * the latest one.  False if it is gone, or has got another key.
 */
static bool
lock_looked_at(Cart *cart, Line *line, bool wait, LockResult *result)
{
	bool		moved;

	switch (lock_version(cart, line, wait, &moved))
	{
		case TM_Ok:
			*result = LOCK_OK;
			return !moved || has_key(cart, line);

		case TM_WouldBlock:
			*result = LOCK_BUSY;
			return true;

		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update"),
						 errhint("Retry the transaction."),
						 errtable(cart->rel)));
			return false;

		case TM_SelfModified:
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("the product's row was already modified by an operation triggered by the current command"),
					 errtable(cart->rel)));

		default:
			elog(ERROR, "unexpected result of table_tuple_lock");
	}
}

/*
 * Lock the latest version of a line's row.  Under READ COMMITTED what was looked
 * at may be stale: somebody was faster, or we have waited in the queue.  Another
 * row may have the key by now, so look again.
 */
static LockResult
row_lock(Cart *cart, Line *line, bool wait)
{
	Queue		queue = {false};
	LockResult	result;
	bool		looked_again = false;

	for (;;)
	{
		bool		waited = wait && line->contended &&
			join_queue(cart, line, &queue);

		if ((!waited || IsolationUsesXactSnapshot()) &&
			lock_looked_at(cart, line, wait, &result))
			break;

		if (looked_again)
			PopActiveSnapshot();
		looked_again = true;
		if (!look_again(cart, line))
		{
			result = LOCK_NO_ROW;
			break;
		}
	}
	if (looked_again)
		PopActiveSnapshot();
	leave_queue(cart, &queue);
	return result;
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

/* ----------------------------------------------------------------
 * Constraints
 * ----------------------------------------------------------------
 */

/*
 * The table's CHECK constraints.  The executor would read them from their
 * stored text anew for each ResultRelInfo, which is the dearest part of a small
 * update; so they are read once.
 */
static int
read_checks(Cart *cart)
{
	StockTable *st = cart->st;
	TupleConstr *constr = RelationGetDescr(cart->rel)->constr;
	int			n = constr ? constr->num_check : 0;

	if (n > 0 && st->checks == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(st->cxt);
		Expr	  **checks = palloc(n * sizeof(Expr *));

		for (int i = 0; i < n; i++)
			checks[i] = compat_parse_check(cart->rel, &constr->check[i]);
		st->checks = checks;
		MemoryContextSwitchTo(oldcxt);
	}
	return n;
}

/*
 * Hand them to the executor.
 */
static void
prepare_checks(Cart *cart, EState *estate, ResultRelInfo *rri)
{
	int			n = read_checks(cart);
	MemoryContext oldcxt;

	if (n == 0 || compat_check_exprs(rri) != NULL)
		return;
	/* the executor complains if one is missing */
	if (n != cart->rel->rd_rel->relchecks)
		return;

	oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	compat_check_exprs(rri) = palloc0(n * sizeof(ExprState *));
	for (int i = 0; i < n; i++)
		if (cart->st->checks[i] != NULL)
			compat_check_exprs(rri)[i] = ExecPrepareExpr(cart->st->checks[i],
														 estate);
	MemoryContextSwitchTo(oldcxt);
}

static bool
is_not_built_in(Oid funcid, pg_attribute_unused() void *context)
{
	return funcid >= FirstNormalObjectId;
}

/*
 * Could the plan of a CHECK become wrong while the table's definition stays the
 * same?  Not if it is made of nothing but columns, constants, and operators
 * and functions of the server.  The types are asked for, too: how those of a
 * user are compared, even by a function of the server, may change.
 */
static bool
may_change(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_OpExpr:
		case T_FuncExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_RelabelType:
			return exprType(node) >= FirstNormalObjectId ||
				check_functions_in_node(node, is_not_built_in, context) ||
				expression_tree_walker(node, may_change, context);
		case T_List:
			return expression_tree_walker(node, may_change, context);
		default:
			return true;
	}
}

/*
 * Plan the CHECK constraints, once.  False if one of them may change.
 */
static bool
plan_checks(Cart *cart)
{
	StockTable *st = cart->st;
	MemoryContext oldcxt;
	Expr	  **planned;
	int			n;

	if (st->planned_checks != NULL)
		return true;

	n = read_checks(cart);
	st->plain = n == cart->rel->rd_rel->relchecks;
	for (int i = 0; i < n; i++)
		if (may_change((Node *) st->checks[i], NULL))
			st->plain = false;
	if (!st->plain)
		return false;

	planned = MemoryContextAllocZero(st->cxt, (n + 1) * sizeof(Expr *));
	for (int i = 0; i < n; i++)
	{
		Expr	   *check = st->checks[i];

		if (check != NULL)
			check = expression_planner(check);
		oldcxt = MemoryContextSwitchTo(st->cxt);
		planned[i] = copyObject(check);
		MemoryContextSwitchTo(oldcxt);
	}
	st->planned_checks = planned;
	return true;
}

/*
 * Does a row of a plain table satisfy all constraints?  Each call makes ready
 * to run what is planned: whether the user may execute it is asked then, and a
 * constraint may itself run SQL that sells.
 */
static bool
satisfies_constraints(Cart *cart, TupleTableSlot *slot)
{
	RowState   *state = cart->engine_state;
	TupleDesc	desc = slot->tts_tupleDescriptor;
	int			n = desc->constr ? desc->constr->num_check : 0;

	if (desc->constr != NULL && desc->constr->has_not_null)
		for (int i = 0; i < desc->natts; i++)
			if (slot->tts_isnull[i] && TupleDescAttr(desc, i)->attnotnull)
				return false;

	if (n > 0 && state->check_context == NULL)
	{
		state->checks = palloc0(n * sizeof(ExprState *));
		for (int i = 0; i < n; i++)
			state->checks[i] = ExecInitExpr(cart->st->planned_checks[i], NULL);
		state->check_context = CreateStandaloneExprContext();
	}
	for (int i = 0; i < n; i++)
	{
		ResetExprContext(state->check_context);
		state->check_context->ecxt_scantuple = slot;
		if (!ExecCheck(state->checks[i], state->check_context))
			return false;
	}
	return true;
}

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

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
static bool
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

static bool
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

static void
row_close(Cart *cart)
{
	RowState   *state = cart->engine_state;

	index_endscan(state->scan);
	if (state->check_context != NULL)
		FreeExprContext(state->check_context, true);
	if (state->estate != NULL)
	{
		EvalPlanQualEnd(&state->epq);
		/* the indexes, and what a cascade of a foreign key has opened */
		ExecCloseResultRelations(state->estate);
		ExecResetTupleTable(state->estate->es_tupleTable, false);
		FreeExecutorState(state->estate);
		ExecDropSingleTupleTableSlot(state->old_slot);
	}
	if (state->new_slot != NULL)
		ExecDropSingleTupleTableSlot(state->new_slot);
	if (state->lock_slot != NULL)
		ExecDropSingleTupleTableSlot(state->lock_slot);
	pfree(state);
}

const Engine engine_row = {
	.name = "row",
	.open = row_open,
	.look = row_look,
	.lock = row_lock,
	.write = row_write,
	.write_free = row_write_free,
	.close = row_close,
};
