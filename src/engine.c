/*
 * engine.c
 *	  The choice of the engine.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/transam.h"
#include "catalog/pg_index.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "purchase.h"

/*
 * Why the row engine can't serve this table for this user, or NULL.
 */
const char *
engine_reason(StockTable *st, Relation rel)
{
	if (st->sql_reason != NULL)
		return st->sql_reason;
	if (compat_snapshots_may_age())
		return "old_snapshot_threshold is set";
	if (rel->rd_rel->relrowsecurity &&
		check_enable_rls(st->relid, InvalidOid, true) == RLS_ENABLED)
		return "row security applies to the user";
	return NULL;
}

/*
 * An index that was built over broken HOT chains must not be used by
 * transactions old enough to see what it lacks; the planner obeys the same
 * rule (get_relation_info() in plancat.c).
 */
static bool
index_is_usable(Relation index)
{
	return !index->rd_index->indcheckxmin ||
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							  TransactionXmin);
}

void
choose_engine(Cart *cart, LOCKMODE lockmode)
{
	const char *reason;

	cart->engine = &engine_sql;
	if (purchase_engine == ENGINE_SQL)
		return;

	reason = engine_reason(cart->st, cart->rel);
	if (reason == NULL)
	{
		cart->index = index_open(cart->st->index, lockmode);
		if (index_is_usable(cart->index))
		{
			cart->engine = &engine_row;
			return;
		}
		index_close(cart->index, NoLock);
		cart->index = NULL;
		reason = "the index of the key is too new for this transaction";
	}
	if (purchase_engine == ENGINE_ROW)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the row engine cannot serve table \"%s\"",
						RelationGetRelationName(cart->rel)),
				 errdetail("The reason: %s.", reason),
				 errhint("Let the engine be chosen: RESET purchase.engine;")));
}
