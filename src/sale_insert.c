/*
 * sale_insert.c
 *	  Insert what is recorded of a sale without a plan, where the table lets us.
 *
 * A plan's way through the executor is the greater part of a small insertion.  Most of
 * it sees to what these tables do not have unless their owner gave it to them:
 * triggers, rules, CHECKs, defaults.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "sale_table.h"

static const SaleColumn *
find_column(const SaleColumn *columns, const char *name)
{
	for (; columns->name != NULL; columns++)
		if (strcmp(columns->name, name) == 0)
			return columns;
	return NULL;
}

/*
 * One of our columns gets a value that needs no cast, not even to a length, and maybe
 * NULL if it is a nullable one of ours.  Any other must be happy with NULL.
 */
static bool
is_plain_attribute(KeyType *kt, Form_pg_attribute att, const SaleColumn *columns)
{
	const SaleColumn *column = find_column(columns, NameStr(att->attname));

	if (column == NULL)
		return !att->atthasdef && !att->attnotnull &&
			get_typtype(att->atttypid) != TYPTYPE_DOMAIN;
	return (OidIsValid(column->type) || att->atttypid == kt->type) &&
		att->atttypmod == -1 && att->attidentity == '\0' &&
		(!att->attnotnull || column->never_null);
}

/*
 * Whoever calls stays who he is, so no index may run anybody's function: it would have
 * his rights.  What is in a built-in operator family only a superuser has put there.
 */
static bool
are_plain_indexes(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	bool		result = true;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		result = result &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
		for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
			result = result && index->rd_opfamily[i] < FirstNormalObjectId;
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return result;
}

/*
 * Does an insertion ask for no more than to store the row and its index entries?
 */
bool
sale_insert_is_plain(Relation rel, KeyType *kt, const SaleColumn *columns)
{
	TupleDesc	desc = RelationGetDescr(rel);
	TriggerDesc *triggers = rel->trigdesc;

	if (rel->rd_rules != NULL || rel->rd_rel->relchecks > 0 ||
		(triggers != NULL &&
		 (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
		  triggers->trig_insert_before_statement ||
		  triggers->trig_insert_after_statement)))
		return false;
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			!is_plain_attribute(kt, TupleDescAttr(desc, i), columns))
			return false;
	return are_plain_indexes(rel);
}

static void
fill_slot(TupleTableSlot *slot, SaleTable *table, SaleParams *params)
{
	ExecStoreAllNullTuple(slot);
	for (int i = 0; i < N_SALE_PARAMS; i++)
	{
		if (table->attnos[i] == InvalidAttrNumber || params->nulls[i] == 'n')
			continue;
		slot->tts_values[table->attnos[i] - 1] = params->values[i];
		slot->tts_isnull[table->attnos[i] - 1] = false;
	}
}

/*
 * Insert rows into one of the tables, for which sale_insert_is_plain() holds, and which
 * is locked.
 */
void
sale_insert(Oid relid, SaleTable *table, SaleParams *params, int nrows)
{
	Relation	rel = table_open(relid, NoLock);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel),
													&TTSOpsVirtual);

	InitResultRelInfo(rri, rel, 1, NULL, 0);
	ExecOpenIndices(rri, false);
	for (int i = 0; i < nrows; i++)
	{
		fill_slot(slot, table, &params[i]);
		ResetPerTupleExprContext(estate);
		table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
		(void) compat_insert_index_tuples(rri, slot, estate, false, false);
	}
	ExecCloseIndices(rri);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
}
