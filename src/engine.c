/*
 * engine.c
 *	  The choice of the engine, and the reasons for the slower one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/transam.h"
#include "catalog/pg_index.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "engine.h"
#include "settings.h"

/* The codes are for purchase_check(), the texts complete "The reason: ...". */
typedef struct SqlReasonInfo
{
	const char *code;
	const char *text;
} SqlReasonInfo;

static const SqlReasonInfo sql_reasons[] = {
	[SQL_PARTITIONED] = {"partitioned", "the table is partitioned"},
	[SQL_VIEW] = {"view", "it is a view"},
	[SQL_FOREIGN_TABLE] = {"foreign_table", "it is a foreign table"},
	[SQL_ACCESS_METHOD] = {"access_method", "its access method is not heap"},
	[SQL_INHERITANCE] = {"inheritance", "other tables inherit from the table"},
	[SQL_RULES] = {"rules", "the table has rules"},
	[SQL_STATEMENT_TRIGGERS] = {"statement_triggers", "the table has statement triggers on UPDATE"},
	[SQL_TRANSITION_TABLES] = {"transition_tables", "the table has triggers with transition tables"},
	[SQL_CITUS] = {"citus", "the table is distributed by Citus"},
	[SQL_DEFERRABLE_KEY] = {"deferrable_key", "the unique constraint of the key is deferrable"},
	[SQL_DOMAIN] = {"domain", "the stock column is of a domain type"},
	[SQL_OLD_SNAPSHOT_THRESHOLD] = {"old_snapshot_threshold", "old_snapshot_threshold is set"},
	[SQL_ROW_SECURITY] = {"row_security", "row security applies to the user"},
	[SQL_NEW_INDEX] = {"new_index", "the index of the key is too new for this transaction"},
	[SQL_SETTING] = {"setting", "purchase.engine is sql"},
};

const char *
sql_reason_code(SqlReason reason)
{
	return sql_reasons[reason].code;
}

/*
 * The first of some reasons, in words; NULL if there is none.
 */
const char *
sql_reason_text(uint32 reasons)
{
	for (int i = 0; i < N_SQL_REASONS; i++)
		if (reasons & SQL_REASON(i))
			return sql_reasons[i].text;
	return NULL;
}

/*
 * All reasons why the row engine can't serve this table for this user: those of
 * the table, and those that may change from call to call.
 */
uint32
engine_sql_reasons(StockTable *st, Relation rel)
{
	uint32		reasons = st->sql_reasons;

	if (compat_snapshots_may_age())
		reasons |= SQL_REASON(SQL_OLD_SNAPSHOT_THRESHOLD);
	if (rel->rd_rel->relrowsecurity &&
		check_enable_rls(st->relid, InvalidOid, true) == RLS_ENABLED)
		reasons |= SQL_REASON(SQL_ROW_SECURITY);
	return reasons;
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

/*
 * Choose the engine of a call.
 */
const Engine *
engine_choose(OpenTable *table)
{
	uint32		reasons;

	if (purchase_engine == ENGINE_SQL)
		return &engine_sql;

	reasons = engine_sql_reasons(table->st, table->rel);
	if (reasons == 0)
	{
		if (!table->st->index_may_be_new ||
			index_is_usable(stock_table_index(table)))
			return &engine_row;
		reasons = SQL_REASON(SQL_NEW_INDEX);
	}
	if (purchase_engine == ENGINE_ROW)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the row engine cannot serve table \"%s\"",
						RelationGetRelationName(table->named)),
				 errdetail("The reason: %s.", sql_reason_text(reasons)),
				 errhint("Let the engine be chosen: RESET purchase.engine;")));
	return &engine_sql;
}
