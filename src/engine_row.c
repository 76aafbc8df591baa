/*
 * engine_row.c
 *	  The row engine: one index scan and one tuple update, with no parser,
 *	  planner or executor start-up in between.
 *
 * Its preconditions are checked when it is chosen (table_sql_reasons()
 * in inspect.c, engine_reasons() in engine.c): an ordinary heap table, no row security
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

#include "row.h"

static void
row_open(Cart *cart)
{
	RowState   *state = palloc0(sizeof(RowState));

	state->scan = compat_index_beginscan(cart->rel, cart->index,
										 GetActiveSnapshot());
	cart->engine_state = state;
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
