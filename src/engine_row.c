/*
 * engine_row.c
 *	  The row engine: one index scan and one tuple update, with no parser,
 *	  planner or executor start-up in between.
 *
 * Its preconditions are checked when it is chosen (table_sql_reasons() in
 * inspect.c, engine_sql_reasons() in engine.c): an ordinary heap table, no row
 * security for this user, no rules, statement triggers or transition tables, and
 * a valid, immediate, non-partial unique btree index on just the key column.
 *
 * A row is found by an index scan, as ExecIndexScan() would, or where the last one
 * has found it (row_find.c).  If nobody holds it and its table asks for no more than
 * to check and to store it, one heap_update() locks and writes it.  Else it is locked
 * as by ExecLockRows() (row_lock.c), and checked and written as by the logical
 * replication worker (row_check.c, row_write.c).
 *
 * Nothing is kept between calls but what belongs to the StockTable: a RowTable, and
 * RowPlaces.  Everything is released by resource owner and memory context if an error
 * is thrown.
 *
 * No heap page stays pinned between look, lock and write: what an active snapshot
 * sees, or a lock of ours holds, nobody prunes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "executor/executor.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "row.h"

static void
row_open(Cart *cart)
{
	cart->engine_state = palloc0(offsetof(RowState, lines) +
								 cart->nlines * sizeof(RowLine));
}

static void
row_close(Cart *cart)
{
	RowState   *state = cart->engine_state;

	if (state->scan != NULL)
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
	.wait_flushed = row_wait_flushed,
	.close = row_close,
};
