/*
 * inspect.c
 *	  Does a relation fit as a stock table, and which engine could serve it?
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "citus.h"
#include "compat.h"
#include "guard.h"
#include "inspect.h"
#include "relation.h"
#include "stock.h"

static bool
misfit(Misfit *why, int sqlerrcode, char *detail, char *hint)
{
	why->sqlerrcode = sqlerrcode;
	why->detail = detail;
	why->hint = hint;
	return false;
}

/*
 * The call that attaches the table, with the arguments that were given, for a
 * hint.
 */
static char *
attach_call(Relation rel, const char *stock_column, const char *key_column,
			Misfit *why)
{
	StringInfoData call;

	initStringInfo(&call);
	appendStringInfo(&call, "SELECT purchase_attach(%s",
					 relation_literal(RelationGetRelid(rel)));
	if (strcmp(stock_column, "stock") != 0)
		appendStringInfo(&call, ", stock_column => %s",
						 quote_literal_cstr(stock_column));
	if (key_column != NULL)
		appendStringInfo(&call, ", key_column => %s",
						 quote_literal_cstr(key_column));
	appendStringInfo(&call, "%s);", why->more_args);
	return call.data;
}

/*
 * A rule that replaces UPDATE leaves nothing to lock, and nothing to return.
 */
static bool
has_instead_rule(Relation rel)
{
	RuleLock   *rules = rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
		if (rules->rules[i]->event == CMD_UPDATE && rules->rules[i]->isInstead)
			return true;
	return false;
}

/*
 * Would an UPDATE of these columns be possible?  NULL stands for any.
 */
static bool
is_updatable(Relation rel, Bitmapset *cols)
{
	return (relation_is_updatable(RelationGetRelid(rel), NIL, false, cols) &
			(1 << CMD_UPDATE)) != 0;
}

/*
 * Can another session, or anybody at all, update it?
 */
static bool
inspect_relation(Relation rel, Misfit *why)
{
	const char *name = RelationGetRelationName(rel);

	if (IsSystemRelation(rel))
		return misfit(why, ERRCODE_WRONG_OBJECT_TYPE,
					  psprintf("\"%s\" is a system catalog.", name),
					  "Attach a table of your own.");

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			if (!is_updatable(rel, NULL))
				return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							  psprintf("View \"%s\" is not automatically updatable.", name),
							  "Attach the table below it.");
			break;
		case RELKIND_FOREIGN_TABLE:
			if (!is_updatable(rel, NULL))
				return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							  psprintf("Foreign table \"%s\" does not allow updates.", name),
							  "Attach the table on the server that holds it.");
			break;
		default:
			return misfit(why, ERRCODE_WRONG_OBJECT_TYPE,
						  psprintf("\"%s\" is not a table.", name),
						  "Attach a table, a partitioned table or an updatable view.");
	}

	if (has_instead_rule(rel))
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("A rule on \"%s\" replaces UPDATE.", name),
					  "Attach the table that is updated in the end.");
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return misfit(why, ERRCODE_WRONG_OBJECT_TYPE,
					  psprintf("Table \"%s\" is temporary: no other session can buy from it.", name),
					  "Attach a permanent or an unlogged table.");
	return true;
}

static Form_pg_attribute
find_column(Relation rel, const char *column)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), column) == 0)
			return att;
	}
	return NULL;
}

static bool
inspect_stock_column(Relation rel, StockTable *st, Misfit *why)
{
	Form_pg_attribute att = find_column(rel, st->stock_column);

	if (att == NULL)
		return misfit(why, ERRCODE_UNDEFINED_COLUMN,
					  psprintf("Table \"%s\" has no column \"%s\".",
							   RelationGetRelationName(rel), st->stock_column),
					  psprintf("Name the column that holds the stock: %s",
							   attach_call(rel, "...", st->key_column, why)));

	st->stock_attno = att->attnum;
	st->stock_type = getBaseType(att->atttypid);
	if (!is_stock_type(st->stock_type))
		return misfit(why, ERRCODE_DATATYPE_MISMATCH,
					  psprintf("Column \"%s\" is of type %s.",
							   st->stock_column,
							   format_type_be(att->atttypid)),
					  "Stock is counted in a smallint, integer or bigint column.");
	if (att->attgenerated != '\0' || att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
		return misfit(why, ERRCODE_GENERATED_ALWAYS,
					  psprintf("Column \"%s\" is generated.",
							   st->stock_column),
					  "Attach a column that an UPDATE can write.");
	if (rel->rd_rel->relkind == RELKIND_VIEW &&
		!is_updatable(rel, bms_make_singleton(att->attnum -
											  FirstLowInvalidHeapAttributeNumber)))
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("Column \"%s\" of view \"%s\" is not updatable.",
							   st->stock_column,
							   RelationGetRelationName(rel)),
					  "Attach the table below it.");
	if (st->stock_type != att->atttypid)
		st->sql_reasons |= SQL_REASON(SQL_DOMAIN);
	return true;
}

/*
 * Is it a unique index on just this column?  It must be valid and not partial, and
 * have the column's collation, so that "unique" and "equal" mean the same.
 */
static bool
is_key_index(Relation index, Form_pg_attribute att)
{
	Form_pg_index form = index->rd_index;

	return form->indisunique && form->indisvalid && form->indisready &&
		form->indislive && form->indnkeyatts == 1 &&
		form->indkey.values[0] == att->attnum &&
		index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_indcollation[0] == att->attcollation &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/*
 * Find the key's index, and with it what "equal" means.  A deferrable one can
 * hold duplicates until it is checked, so it comes last.
 */
static bool
find_key_index(Relation rel, Form_pg_attribute att, StockTable *st)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		immediate = false;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (is_key_index(index, att) && !immediate)
		{
			Oid			opfamily = index->rd_opfamily[0];
			Oid			type = index->rd_opcintype[0];

			immediate = index->rd_index->indimmediate;
			st->index = RelationGetRelid(index);
			st->index_may_be_new = index->rd_index->indcheckxmin;
			key_type_init(&st->key_type, getBaseType(att->atttypid),
						  att->attcollation,
						  get_opfamily_member(opfamily, type, type,
											  BTEqualStrategyNumber),
						  type,
						  get_opfamily_proc(opfamily, type, type,
											BTORDER_PROC),
						  st->cxt);
		}
		index_close(index, AccessShareLock);
	}
	list_free(indexes);

	if (OidIsValid(st->index) && !immediate)
		st->sql_reasons |= SQL_REASON(SQL_DEFERRABLE_KEY);
	return OidIsValid(st->index);
}

/*
 * Without a name, the key is the primary key's only column.
 */
static bool
find_primary_key(Relation rel, StockTable *st, Misfit *why)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	int			natts = 0;
	AttrNumber	attno = InvalidAttrNumber;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indisprimary)
		{
			natts = index->rd_index->indnkeyatts;
			attno = index->rd_index->indkey.values[0];
		}
		index_close(index, AccessShareLock);
	}

	if (natts == 0)
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("\"%s\" has no primary key.",
							   RelationGetRelationName(rel)),
					  psprintf("Name a column that identifies a product by itself: %s",
							   attach_call(rel, st->stock_column, "...", why)));
	if (natts > 1)
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("The primary key of \"%s\" has %d columns.",
							   RelationGetRelationName(rel), natts),
					  psprintf("Name a unique column, or add one: ALTER TABLE %s ADD COLUMN %s bigint GENERATED ALWAYS AS IDENTITY UNIQUE; %s",
							   relation_name(RelationGetRelid(rel)), find_column(rel, "id") ? "stock_id" : "id",
							   attach_call(rel, st->stock_column,
										   find_column(rel, "id") ? "stock_id" : "id",
										   why)));
	st->key_column = MemoryContextStrdup(st->cxt,
										 NameStr(TupleDescAttr(RelationGetDescr(rel),
															   attno - 1)->attname));
	return true;
}

/*
 * A table with foreign partitions can have no unique index.
 */
static bool
has_foreign_partition(Relation rel)
{
	List	   *relids = find_all_inheritors(RelationGetRelid(rel),
											 AccessShareLock, NULL);
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

static bool
inspect_key_column(Relation rel, StockTable *st, Misfit *why)
{
	Form_pg_attribute att = find_column(rel, st->key_column);
	char		relkind = rel->rd_rel->relkind;

	if (att == NULL)
		return misfit(why, ERRCODE_UNDEFINED_COLUMN,
					  psprintf("Table \"%s\" has no column \"%s\".",
							   RelationGetRelationName(rel), st->key_column),
					  psprintf("Name the column that identifies a product: %s",
							   attach_call(rel, st->stock_column, "...", why)));
	if (att->attnum == st->stock_attno)
		return misfit(why, ERRCODE_INVALID_PARAMETER_VALUE,
					  psprintf("Column \"%s\" cannot be both the key and the stock.",
							   st->key_column),
					  "Name two different columns.");

	st->key_attno = att->attnum;
	if (relkind == RELKIND_VIEW || relkind == RELKIND_FOREIGN_TABLE ||
		(relkind == RELKIND_PARTITIONED_TABLE && has_foreign_partition(rel)))
	{
		/* no index can say what is unique there */
		TypeCacheEntry *type = lookup_type_cache(getBaseType(att->atttypid),
												 TYPECACHE_EQ_OPR |
												 TYPECACHE_CMP_PROC);

		/* a type with an order has an equality, too */
		if (!OidIsValid(type->cmp_proc))
			return misfit(why, ERRCODE_DATATYPE_MISMATCH,
						  psprintf("Column \"%s\" is of type %s, which has no order.",
								   st->key_column,
								   format_type_be(att->atttypid)),
						  "Name a key column of another type.");
		key_type_init(&st->key_type, type->type_id, att->attcollation,
					  type->eq_opr, InvalidOid, type->cmp_proc, st->cxt);
	}
	else if (!find_key_index(rel, att, st))
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("Column \"%s\" of table \"%s\" has no unique index of its own.",
							   st->key_column, RelationGetRelationName(rel)),
					  psprintf(relkind == RELKIND_PARTITIONED_TABLE ?
							   "Create one: CREATE UNIQUE INDEX ON %s (%s); or, as that takes a table that is partitioned by this column, attach a view of the table." :
							   "Create one, not partial and not on an expression: CREATE UNIQUE INDEX ON %s (%s);",
							   relation_name(RelationGetRelid(rel)),
							   quote_identifier(st->key_column)));

	return true;
}

/*
 * Why the row engine can't serve this table, as far as the table's definition
 * decides.  See engine_sql_reasons() for the reasons that depend on the user or on a
 * setting.
 */
static uint32
table_sql_reasons(Relation rel)
{
	Form_pg_class form = rel->rd_rel;
	TriggerDesc *trig;
	uint32		reasons = 0;

	switch (form->relkind)
	{
		case RELKIND_PARTITIONED_TABLE:
			return SQL_REASON(SQL_PARTITIONED);
		case RELKIND_VIEW:
			return SQL_REASON(SQL_VIEW);
		case RELKIND_FOREIGN_TABLE:
			return SQL_REASON(SQL_FOREIGN_TABLE);
	}
	if (form->relam != HEAP_TABLE_AM_OID)
		reasons |= SQL_REASON(SQL_ACCESS_METHOD);
	if (form->relhassubclass &&
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		reasons |= SQL_REASON(SQL_INHERITANCE);
	if (citus_is_table(RelationGetRelid(rel)))
		reasons |= SQL_REASON(SQL_CITUS);

	/* not earlier: reading a catalog may replace them */
	if (rel->rd_rules != NULL)
		reasons |= SQL_REASON(SQL_RULES);
	trig = rel->trigdesc;
	if (trig != NULL &&
		(trig->trig_update_before_statement ||
		 trig->trig_update_after_statement))
		reasons |= SQL_REASON(SQL_STATEMENT_TRIGGERS);
	if (trig != NULL &&
		(trig->trig_update_new_table || trig->trig_update_old_table))
		reasons |= SQL_REASON(SQL_TRANSITION_TABLES);
	return reasons;
}

/*
 * Is a column the stock, or generated from it?
 */
bool
inspect_changes_with_stock(Relation rel, AttrNumber attno, AttrNumber stock_attno)
{
	Bitmapset  *used = NULL;

	if (attno == stock_attno)
		return true;
	if (TupleDescAttr(RelationGetDescr(rel), attno - 1)->attgenerated == '\0')
		return false;
	pull_varattnos(build_column_default(rel, attno), 1, &used);
	return bms_is_member(stock_attno - FirstLowInvalidHeapAttributeNumber,
						 used);
}

/*
 * Does a column that changes with the stock belong to a key, that is, to a unique
 * index that a foreign key could reference?  Then heap_update() needs the row locked
 * FOR UPDATE.
 */
static bool
stock_is_in_key(Relation rel, AttrNumber stock_attno)
{
	Bitmapset  *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	int			i = -1;

	while ((i = bms_next_member(keys, i)) >= 0)
	{
		AttrNumber	attno = i + FirstLowInvalidHeapAttributeNumber;

		if (attno > 0 && inspect_changes_with_stock(rel, attno, stock_attno))
			return true;
	}
	return false;
}

/*
 * Remember relations whose change makes the StockTable invalid.
 */
void
inspect_add_below(StockTable *st, List *relids)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(st->cxt);

	st->below = list_concat(st->below, relids);
	MemoryContextSwitchTo(oldcxt);
}

/*
 * What must be known of a table and of all tables below it: does the stock belong to
 * a key of any, and is any of them guarded?
 *
 * With a lock weaker than the update needs, nothing would be sold twice, but the
 * update would wait.
 */
static void
inspect_below(StockTable *st, const char *stock_column)
{
	List	   *relids;
	ListCell   *lc;

	/* below a view, nobody has locked it yet */
	LockRelationOid(st->target, AccessShareLock);
	relids = find_all_inheritors(st->target, AccessShareLock, NULL);
	inspect_add_below(st, relids);
	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		AttrNumber	attno = get_attnum(lfirst_oid(lc), stock_column);

		if (attno > 0)
		{
			st->stock_in_key |= stock_is_in_key(rel, attno);
			st->guarded |= guard_watches(rel, st->guard_function, attno);
		}
		table_close(rel, NoLock);
	}
}

/*
 * The column of the relation below a view that a column of the view shows, or
 * InvalidAttrNumber if that one is computed.
 */
static AttrNumber
column_below(Query *query, int rtindex, AttrNumber attno)
{
	TargetEntry *tle = get_tle_by_resno(query->targetList, attno);
	Var		   *var;

	if (tle == NULL || !IsA(tle->expr, Var))
		return InvalidAttrNumber;
	var = (Var *) tle->expr;
	return var->varno == rtindex && var->varattno > 0 ? var->varattno :
		InvalidAttrNumber;
}

/*
 * Go from a view to the relation below it, and from its columns to the columns
 * there.  False if a rule or a trigger replaces the update, or the stock is computed.
 * A key that is computed becomes InvalidAttrNumber.
 */
static bool
step_below(Oid *relid, AttrNumber *key_attno, AttrNumber *stock_attno)
{
	Relation	view = table_open(*relid, AccessShareLock);
	Query	   *query = get_view_query(view);
	List	   *from = query->jointree->fromlist;
	bool		simple = !has_instead_rule(view) &&
		(view->trigdesc == NULL ||
		 !view->trigdesc->trig_update_instead_row) &&
		list_length(from) == 1 && IsA(linitial(from), RangeTblRef);

	if (simple)
	{
		int			rtindex = linitial_node(RangeTblRef, from)->rtindex;
		RangeTblEntry *rte = rt_fetch(rtindex, query->rtable);

		*relid = rte->relid;
		*key_attno = column_below(query, rtindex, *key_attno);
		*stock_attno = column_below(query, rtindex, *stock_attno);
		simple = rte->rtekind == RTE_RELATION &&
			*stock_attno != InvalidAttrNumber;
	}
	table_close(view, NoLock);
	return simple;
}

/*
 * Find the table that is updated in the end, and look at it.
 */
static void
inspect_target(Relation rel, StockTable *st, Oid self)
{
	Oid			relid = RelationGetRelid(rel);
	AttrNumber	key_attno = st->key_attno;
	AttrNumber	stock_attno = st->stock_attno;

	st->guard_function = guard_function(self);
	while (get_rel_relkind(relid) == RELKIND_VIEW)
	{
		CHECK_FOR_INTERRUPTS();
		inspect_add_below(st, list_make1_oid(relid));
		if (!step_below(&relid, &key_attno, &stock_attno))
			return;
	}

	st->target = relid;
	if (key_attno != InvalidAttrNumber)
		st->target_key = MemoryContextStrdup(st->cxt,
											 get_attname(relid, key_attno,
														 false));
	inspect_below(st, get_attname(relid, stock_attno, false));
}

/*
 * What is to be known of a relation as a stock table, in a memory context of its
 * own below the current one; or NULL, and why it does not fit.  A NULL key_column
 * stands for the primary key.
 */
StockTable *
inspect(Oid self, Relation rel, const char *key_column,
		const char *stock_column, Misfit *why)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "purchase stock table",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	StockTable *st = palloc0(sizeof(StockTable));
	bool		fits;

	st->relid = RelationGetRelid(rel);
	st->cxt = cxt;
	st->key_column = key_column ? pstrdup(key_column) : NULL;
	st->stock_column = pstrdup(stock_column);
	st->lock_wait = LOCK_WAIT_UNSET;
	st->early_release = EARLY_RELEASE_ON;

	MemoryContextSwitchTo(oldcxt);
	fits = inspect_relation(rel, why) &&
		inspect_stock_column(rel, st, why) &&
		(st->key_column || find_primary_key(rel, st, why)) &&
		inspect_key_column(rel, st, why);
	if (!fits)
	{
		MemoryContextDelete(cxt);
		return NULL;
	}
	st->sql_reasons |= table_sql_reasons(rel);
	st->distributed_by_key = (st->sql_reasons & SQL_REASON(SQL_CITUS)) != 0 &&
		citus_is_distributed_by(st->relid, st->key_column);
	inspect_target(rel, st, self);

	MemoryContextSwitchTo(cxt);
	st->updated_cols = bms_make_singleton(st->stock_attno -
										  FirstLowInvalidHeapAttributeNumber);
	st->selected_cols = bms_add_member(bms_copy(st->updated_cols),
									   st->key_attno -
									   FirstLowInvalidHeapAttributeNumber);
	MemoryContextSwitchTo(oldcxt);
	return st;
}

/*
 * What the owners of all that is sold from with this table allow: of the tables and
 * views below it, and above a partition, as far as they are attached, too.
 */
static EarlyRelease
early_release_around(Oid self, StockTable *st)
{
	EarlyRelease level = EARLY_RELEASE_ON;
	List	   *relids = list_copy(st->below);
	ListCell   *lc;

	if (get_rel_relispartition(st->relid))
		relids = list_concat(relids, get_partition_ancestors(st->relid));
	foreach(lc, relids)
	{
		Registration registration = {.relid = lfirst_oid(lc)};

		if (registration_find(self, &registration))
			level = Min(level, registration.early_release);
	}
	return level;
}

/*
 * Can a column say how many units one buyer may have?
 */
bool
inspect_limit_column(Relation rel, StockTable *st, const char *name, Misfit *why)
{
	Form_pg_attribute att = find_column(rel, name);
	MemoryContext oldcxt;

	if (att == NULL)
		return misfit(why, ERRCODE_UNDEFINED_COLUMN,
					  psprintf("table \"%s\" has no column \"%s\"",
							   RelationGetRelationName(rel), name), NULL);
	if (!is_stock_type(getBaseType(att->atttypid)))
		return misfit(why, ERRCODE_DATATYPE_MISMATCH,
					  psprintf("limit column \"%s\" is of type %s", name,
							   format_type_be(att->atttypid)), NULL);
	if (att->attnum == st->stock_attno || att->attnum == st->key_attno)
		return misfit(why, ERRCODE_INVALID_PARAMETER_VALUE,
					  psprintf("limit column \"%s\" is the %s column", name,
							   att->attnum == st->stock_attno ? "stock" : "key"), NULL);
	/* from 18 on; not in the row, so that the row engine would see no limit */
	if (att->attgenerated == 'v')
		return misfit(why, ERRCODE_DATATYPE_MISMATCH,
					  psprintf("limit column \"%s\" is virtual", name), NULL);
	oldcxt = MemoryContextSwitchTo(st->cxt);
	st->limit_attno = att->attnum;
	st->limit_type = getBaseType(att->atttypid);
	st->selected_cols_to_sell = bms_add_member(bms_copy(st->selected_cols), att->attnum -
											   FirstLowInvalidHeapAttributeNumber);
	MemoryContextSwitchTo(oldcxt);
	return true;
}

void
raise_no_longer_fits(Relation rel, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("stock table \"%s\" no longer fits its registration",
					RelationGetRelationName(rel)),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint),
			 errtable(rel)));
}

/*
 * The limits are not what they were.  This is no reason not to give stock back.
 */
void
raise_limit_misfit(StockTable *st, Relation rel)
{
	raise_no_longer_fits(rel, st->limit_misfit,
						 psprintf("Name another, or none: SELECT purchase_keep_sales(%s, limit_column => '');",
								  relation_literal(st->relid)));
}

static void
find_limit_column(Relation rel, StockTable *st, const char *name)
{
	Misfit		why = {.more_args = ""};

	st->limit_column = MemoryContextStrdup(st->cxt, name);
	if (inspect_limit_column(rel, st, name, &why))
		return;
	st->limit_misfit = MemoryContextStrdup(st->cxt, why.detail);
}

/*
 * The same for a table that is attached: raise if it no longer fits.
 */
StockTable *
inspect_registered(Oid self, Relation rel, Registration *registration)
{
	Misfit		why = {.more_args = ""};
	StockTable *st = inspect(self, rel, registration->key_column,
							 registration->stock_column, &why);
	const char *literal = relation_literal(RelationGetRelid(rel));

	if (st == NULL)
		raise_no_longer_fits(rel, why.detail,
							 psprintf("Attach it again, SELECT purchase_attach(%s, ...), or give it up: SELECT purchase_detach(%s);",
									  literal, literal));
	st->lock_wait = registration->lock_wait;
	st->sale_table = registration->sale_table;
	st->hold_table = registration->hold_table;
	st->sales_in_shards = st->distributed_by_key && OidIsValid(st->sale_table) &&
		citus_is_table(st->sale_table);
	if (registration->limit_column != NULL)
		find_limit_column(rel, st, registration->limit_column);
	st->early_release = Min(registration->early_release,
							early_release_around(self, st));
	return st;
}
