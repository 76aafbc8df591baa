/*
 * stock_table.c
 *	  Attached tables: registration, what is known of them, and its cache.
 *
 * The registrations are rows of purchase_registration, an ordinary table in
 * the extension's schema.  It keeps the table's OID, which survives a rename,
 * and the columns' names, which survive a dump.  A trigger on it sends a
 * relcache invalidation for it, whoever changes it and how.
 *
 * The cache is one hash table by OID.  Its only callback marks entries as
 * invalid and never frees them: it may run in the middle of anything.  An
 * invalid entry is replaced at the next lookup and its memory is handed to the
 * transaction, because an outer call (a trigger of the table that sells, too)
 * may still be working with it.
 *
 * The lock on the stock table is taken before the cache is believed: taking a
 * lock processes invalidations, and holding it keeps the definition as it is.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "purchase.h"

#define REGISTRATION "purchase_registration"
#define DEFAULT_OWNER "purchase_default_owner"

/* of a product key, in a message */
#define MAX_KEY_BYTES 200

enum
{
	ANUM_STOCK_TABLE = 1,
	ANUM_KEY_COLUMN,
	ANUM_STOCK_COLUMN,
	ANUM_IS_DEFAULT,
	ANUM_LOCK_WAIT
};

typedef struct CacheEntry
{
	Oid			relid;			/* hash key */
	bool		valid;			/* cleared by the callback */
	StockTable *st;				/* NULL if there is none, valid or not */
} CacheEntry;

/* Why a table can't be, or can no longer be, a stock table. */
typedef struct Misfit
{
	int			sqlerrcode;
	char	   *detail;
	char	   *hint;

	/* to repeat in a hint: further arguments of the call */
	const char *more_args;
} Misfit;

static HTAB *cache = NULL;

/*
 * The OID stays when it is no longer known to be right: its invalidations must
 * be recognised even if one comes in while it is being looked up.
 */
static Oid	registration_relid = InvalidOid;
static bool registration_known = false;
static Oid	default_relid = InvalidOid; /* InvalidOid: look it up */

PG_FUNCTION_INFO_V1(purchase_attach);
PG_FUNCTION_INFO_V1(purchase_detach);
PG_FUNCTION_INFO_V1(purchase_stock_table_engine);
PG_FUNCTION_INFO_V1(purchase_registration_changed);

static void cache_init(void);
pg_noreturn static void raise_misfit(Relation rel, Misfit *why);

static char *
relation_literal(Oid relid)
{
	Datum		name = DirectFunctionCall1(regclassout,
										   ObjectIdGetDatum(relid));

	return quote_literal_cstr(DatumGetCString(name));
}

/*
 * A relation's name for use in SQL.
 */
char *
relation_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/*
 * Be deaf to the caller's search_path, until AtEOXact_GUC() of the level that is
 * returned.
 */
int
restrict_search_path(void)
{
	int			guc_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	return guc_level;
}

void
raise_not_attached(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not attached",
					RelationGetRelationName(rel)),
			 errhint("Attach it first: SELECT purchase_attach(%s);",
					 relation_literal(RelationGetRelid(rel))),
			 errtable(rel)));
}

/* ----------------------------------------------------------------
 * Registrations
 * ----------------------------------------------------------------
 */

/*
 * The registrations stand in the same schema as every function of the
 * extension, wherever it was moved to.
 */
static Oid
registration_oid(Oid self)
{
	cache_init();
	if (!registration_known)
	{
		Oid			schema = get_func_namespace(self);

		registration_known = true;
		registration_relid = get_relname_relid(REGISTRATION, schema);
		if (!OidIsValid(registration_relid))
		{
			registration_known = false;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" of extension \"purchase\" does not exist",
							REGISTRATION),
					 errhint("Retry if the extension was just created anew; else create it anew: DROP EXTENSION purchase; CREATE EXTENSION purchase;")));
		}
	}
	return registration_relid;
}

/*
 * Find the registration of the table of this relid, or the default's if that is
 * InvalidOid.
 * As for a catalog, what counts is the latest state, not what the
 * transaction's snapshot sees: else a session at REPEATABLE READ would go on
 * with a registration that is gone.
 */
bool
find_registration(Oid self, Registration *registration)
{
	Relation	reg = table_open(registration_oid(self), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	if (OidIsValid(registration->relid))
		ScanKeyInit(&key, ANUM_STOCK_TABLE, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(registration->relid));
	else
		ScanKeyInit(&key, ANUM_IS_DEFAULT, BTEqualStrategyNumber, F_BOOLEQ,
					BoolGetDatum(true));

	/* a few rows, read once per change: no index */
	scan = systable_beginscan(reg, InvalidOid, false, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(reg);
		bool		isnull;
		Datum		value;

		value = heap_getattr(tuple, ANUM_STOCK_TABLE, desc, &isnull);
		registration->relid = DatumGetObjectId(value);
		value = heap_getattr(tuple, ANUM_KEY_COLUMN, desc, &isnull);
		registration->key_column = pstrdup(NameStr(*DatumGetName(value)));
		value = heap_getattr(tuple, ANUM_STOCK_COLUMN, desc, &isnull);
		registration->stock_column = pstrdup(NameStr(*DatumGetName(value)));
		value = heap_getattr(tuple, ANUM_LOCK_WAIT, desc, &isnull);
		registration->lock_wait = isnull ? LOCK_WAIT_UNSET : DatumGetInt32(value);
		found = true;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(reg, AccessShareLock);
	return found;
}

/* ----------------------------------------------------------------
 * Inspection: does a relation fit, and which engine can serve it?
 * ----------------------------------------------------------------
 */

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
			if ((relation_is_updatable(RelationGetRelid(rel), NIL, false,
									   NULL) & (1 << CMD_UPDATE)) == 0)
				return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
							  psprintf("View \"%s\" is not automatically updatable.", name),
							  "Attach the table below it.");
			break;
		case RELKIND_FOREIGN_TABLE:
			if ((relation_is_updatable(RelationGetRelid(rel), NIL, false,
									   NULL) & (1 << CMD_UPDATE)) == 0)
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
		(relation_is_updatable(RelationGetRelid(rel), NIL, false,
							   bms_make_singleton(att->attnum - FirstLowInvalidHeapAttributeNumber)) &
		 (1 << CMD_UPDATE)) == 0)
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("Column \"%s\" of view \"%s\" is not updatable.",
							   st->stock_column,
							   RelationGetRelationName(rel)),
					  "Attach the table below it.");
	if (st->stock_type != att->atttypid)
		st->sql_reason = "the stock column is of a domain type";
	return true;
}

/*
 * Is it a unique index on just this column: valid, not partial, and with the
 * column's own collation, so that it is unique in the sense in which rows are
 * searched?
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
			st->eq_subtype = type;
			st->eq_operator = get_opfamily_member(opfamily, type, type,
												  BTEqualStrategyNumber);
			fmgr_info_cxt(get_opfamily_proc(opfamily, type, type,
											BTORDER_PROC),
						  &st->cmp, st->cxt);
		}
		index_close(index, AccessShareLock);
	}
	list_free(indexes);

	if (OidIsValid(st->index) && !immediate)
		st->sql_reason = "the unique constraint of the key is deferrable";
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
							   relation_name(rel), find_column(rel, "id") ? "stock_id" : "id",
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
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	return false;
}

static bool
inspect_key_column(Relation rel, StockTable *st, Misfit *why)
{
	Form_pg_attribute att = find_column(rel, st->key_column);
	char		relkind = rel->rd_rel->relkind;
	Oid			func;

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
	st->key_type = getBaseType(att->atttypid);
	st->key_collation = att->attcollation;

	if (relkind == RELKIND_VIEW || relkind == RELKIND_FOREIGN_TABLE ||
		(relkind == RELKIND_PARTITIONED_TABLE && has_foreign_partition(rel)))
	{
		/* no index can say what is unique there */
		TypeCacheEntry *type = lookup_type_cache(st->key_type,
												 TYPECACHE_EQ_OPR |
												 TYPECACHE_CMP_PROC);

		/* what has an order can be equal, too */
		if (!OidIsValid(type->cmp_proc))
			return misfit(why, ERRCODE_DATATYPE_MISMATCH,
						  psprintf("Column \"%s\" is of type %s, which has no order.",
								   st->key_column,
								   format_type_be(att->atttypid)),
						  "Name a key column of another type.");
		st->eq_operator = type->eq_opr;
		fmgr_info_cxt(type->cmp_proc, &st->cmp, st->cxt);
	}
	else if (!find_key_index(rel, att, st))
		return misfit(why, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("Column \"%s\" of table \"%s\" has no unique index of its own.",
							   st->key_column, RelationGetRelationName(rel)),
					  psprintf(relkind == RELKIND_PARTITIONED_TABLE ?
							   "Create one: CREATE UNIQUE INDEX ON %s (%s); or, as that takes a table that is partitioned by this column, attach a view of the table." :
							   "Create one, not partial and not on an expression: CREATE UNIQUE INDEX ON %s (%s);",
							   relation_name(rel),
							   quote_identifier(st->key_column)));

	fmgr_info_cxt(get_opcode(st->eq_operator), &st->eq, st->cxt);
	getTypeInputInfo(st->key_type, &func, &st->key_ioparam);
	fmgr_info_cxt(func, &st->key_input, st->cxt);
	return true;
}

/*
 * Citus keeps the rows of a distributed table elsewhere: the table itself is
 * an ordinary one without rows.
 */
static bool
is_citus_table(Oid relid)
{
	Oid			catalog = get_relname_relid("pg_dist_partition",
											PG_CATALOG_NAMESPACE);
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	bool		found;

	if (!OidIsValid(catalog))
		return false;
	rel = table_open(catalog, AccessShareLock);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * The preconditions of the row engine that the table decides; see
 * engine_reason() for those that depend on the user.
 */
static const char *
table_sql_reason(Relation rel)
{
	Form_pg_class form = rel->rd_rel;
	TriggerDesc *trig;

	switch (form->relkind)
	{
		case RELKIND_PARTITIONED_TABLE:
			return "the table is partitioned";
		case RELKIND_VIEW:
			return "it is a view";
		case RELKIND_FOREIGN_TABLE:
			return "it is a foreign table";
	}
	if (form->relam != HEAP_TABLE_AM_OID)
		return "its access method is not heap";
	if (form->relhassubclass &&
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		return "other tables inherit from the table";
	if (rel->rd_rules != NULL)
		return "the table has rules";
	/* not earlier: a look into a catalog may replace it */
	trig = rel->trigdesc;
	if (trig != NULL &&
		(trig->trig_update_before_statement ||
		 trig->trig_update_after_statement))
		return "the table has statement triggers on UPDATE";
	if (trig != NULL &&
		(trig->trig_update_new_table || trig->trig_update_old_table))
		return "the table has triggers with transition tables";
	if (is_citus_table(RelationGetRelid(rel)))
		return "the table is distributed by Citus";
	return NULL;
}

/*
 * Does a foreign key of the table ask anything of a row whose stock alone
 * changes?  With several columns it may: MATCH FULL forbids that only some are
 * null, which an old row may violate if the constraint is not valid yet.
 */
static bool
foreign_keys_ask(Relation rel, AttrNumber stock_attno)
{
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);

		if (fk->nkeys > 1 || fk->conkey[0] == stock_attno)
			return true;
	}
	return false;
}

/*
 * Is it the stock, or generated from it?
 */
static bool
changes_with_stock(Relation rel, AttrNumber attno, AttrNumber stock_attno)
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
 * Does what changes with the stock belong to a key: a unique index that a foreign
 * key could reference?  Then heap_update() wants the row FOR UPDATE.
 */
static bool
stock_is_in_key(Relation rel, AttrNumber stock_attno)
{
	Bitmapset  *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	int			i = -1;

	while ((i = bms_next_member(keys, i)) >= 0)
	{
		AttrNumber	attno = i + FirstLowInvalidHeapAttributeNumber;

		if (attno > 0 && changes_with_stock(rel, attno, stock_attno))
			return true;
	}
	return false;
}

/*
 * What is to be known of a table and all below it: does the stock belong to a key
 * of any, and is any of them guarded?  A lock of another strength than the update's
 * would not be wrong, but the update would wait then.  That a single partition
 * gets such an index of its own is noticed with the parent's next change.
 */
static void
inspect_below(StockTable *st, const char *stock_column)
{
	List	   *relids;
	ListCell   *lc;

	/* below a view, nobody has locked it yet */
	LockRelationOid(st->target, AccessShareLock);
	relids = find_all_inheritors(st->target, AccessShareLock, NULL);
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
 * The column of the relation below a view that one of the view's is, or
 * InvalidAttrNumber if it is none.
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
 * Follow a view down by one step, and the columns with it.  False if a rule or a
 * trigger replaces the update, or the stock is computed; a view that another
 * one reads need not be updatable by itself then.  A key that is computed can't
 * be followed.
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
 * The triggers of foreign keys do nothing as long as the keys stay what they
 * are: not those that a product table has as the referenced table, and as the
 * referencing one, only for rows that this transaction has written.  The
 * executor would ask each of them for each row, RI_FKey_pk_upd_check_required()
 * and RI_FKey_fk_upd_check_required() in ri_triggers.c.
 */
static RowTriggers
row_triggers(Relation rel, StockTable *st)
{
	bool		referencing = foreign_keys_ask(rel, st->stock_attno);
	RowTriggers result = ROW_TRIGGERS_NONE;

	/* not earlier: a look into a catalog may replace it */
	TriggerDesc *trigdesc = rel->trigdesc;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];
		RowTriggers kind = ROW_TRIGGERS_INTERNAL;
		int			ri_type = RI_FKey_trigger_type(trigger->tgfoid);

		if (!TRIGGER_FOR_ROW(trigger->tgtype) ||
			!TRIGGER_FOR_UPDATE(trigger->tgtype) ||
			trigger->tgenabled == TRIGGER_DISABLED ||
			trigger->tgfoid == st->guard_function)
			continue;
		if (!trigger->tgisinternal)
			kind = ROW_TRIGGERS_USER;
		else if (ri_type == RI_TRIGGER_PK && !st->stock_in_key)
			kind = ROW_TRIGGERS_NONE;
		else if (ri_type == RI_TRIGGER_FK && !referencing)
			kind = ROW_TRIGGERS_OF_NEW_ROWS;
		result = Max(result, kind);
	}
	return result;
}

/*
 * Is it one whose rows need no more than to be checked and stored?
 */
static bool
is_plain(Relation rel, RowTriggers triggers)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attgenerated != '\0')
			return false;
	return !rel->rd_rel->relispartition &&
		triggers <= ROW_TRIGGERS_OF_NEW_ROWS;
}

/*
 * Fill a new StockTable below parent, or say what does not fit.  A NULL
 * key_column stands for the primary key.
 */
static StockTable *
inspect(Oid self, Relation rel, const char *key_column,
		const char *stock_column, MemoryContext parent, Misfit *why)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "purchase stock table",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
	StockTable *st = palloc0(sizeof(StockTable));
	const char *reason;
	bool		fits;

	st->relid = RelationGetRelid(rel);
	st->cxt = cxt;
	st->key_column = key_column ? pstrdup(key_column) : NULL;
	st->stock_column = pstrdup(stock_column);

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
	reason = table_sql_reason(rel);
	if (reason != NULL)
		st->sql_reason = reason;
	inspect_target(rel, st, self);
	st->triggers = row_triggers(rel, st);
	st->plain = is_plain(rel, st->triggers);

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
 * Raise what makes that a table no longer fits its registration.
 */
static void
raise_misfit(Relation rel, Misfit *why)
{
	const char *literal = relation_literal(RelationGetRelid(rel));

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("stock table \"%s\" no longer fits its registration",
					RelationGetRelationName(rel)),
			 errdetail("%s", why->detail),
			 errhint("Attach it again, SELECT purchase_attach(%s, ...), or give it up: SELECT purchase_detach(%s);",
					 literal, literal),
			 errtable(rel)));
}

void
check_registration(Oid self, Relation rel, Registration *registration)
{
	Misfit		why = {.more_args = ""};

	if (inspect(self, rel, registration->key_column,
				registration->stock_column, CurrentMemoryContext,
				&why) == NULL)
		raise_misfit(rel, &why);
}

/* ----------------------------------------------------------------
 * Cache
 * ----------------------------------------------------------------
 */

static void
relcache_callback(pg_attribute_unused() Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	if (relid == InvalidOid || relid == registration_relid)
	{
		registration_known = false;
		default_relid = InvalidOid;
		hash_seq_init(&seq, cache);
		while ((entry = hash_seq_search(&seq)) != NULL)
			entry->valid = false;
		return;
	}

	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry != NULL)
		entry->valid = false;
}

/*
 * Nothing may be remembered before the callback is there: so whoever reads the
 * registrations or the cache calls this first.
 */
static void
cache_init(void)
{
	HASHCTL		ctl;

	if (cache != NULL)
		return;
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(CacheEntry);
	ctl.hcxt = CacheMemoryContext;
	cache = hash_create("purchase stock tables", 16, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

static void
free_plans(void *arg)
{
	StockTable *st = arg;

	for (int i = 0; i < N_PLANS; i++)
		if (st->plans[i] != NULL)
			SPI_freeplan(st->plans[i]);
}

/*
 * Is there a StockTable, and are its plans what they should be?  A schema's new
 * name, for one, invalidates plans but not the table.
 */
static bool
plans_are_valid(StockTable *st)
{
	for (int i = 0; st != NULL && i < N_PLANS; i++)
		if (st->plans[i] != NULL && !SPI_plan_is_valid(st->plans[i]))
			return false;
	return st != NULL;
}

/*
 * Drop what is no longer valid, of this table and of others, which may have
 * been dropped themselves.  An outer call may be using it: it goes with the
 * transaction.
 */
static void
sweep_cache(void)
{
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->valid && plans_are_valid(entry->st))
			continue;
		if (entry->st != NULL)
			MemoryContextSetParent(entry->st->cxt, TopTransactionContext);
		hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Read the registration of a locked relation anew.  If an invalidation comes
 * in meanwhile, the entry serves this call, as if it had come a moment
 * earlier, and the next one reads again.
 */
static StockTable *
build_entry(Cart *cart, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Registration registration = {.relid = relid};
	CacheEntry *entry;
	StockTable *st;
	Misfit		why = {.more_args = ""};
	MemoryContextCallback *callback;

	if (!find_registration(cart->self, &registration))
		raise_not_attached(rel);

	sweep_cache();
	entry = hash_search(cache, &relid, HASH_ENTER, NULL);
	entry->valid = true;
	entry->st = NULL;
	st = inspect(cart->self, rel, registration.key_column,
				 registration.stock_column, CurrentMemoryContext, &why);
	if (st == NULL)
		raise_misfit(rel, &why);
	st->lock_wait = registration.lock_wait;

	callback = MemoryContextAllocZero(st->cxt, sizeof(MemoryContextCallback));
	callback->func = free_plans;
	callback->arg = st;
	MemoryContextRegisterResetCallback(st->cxt, callback);
	MemoryContextSetParent(st->cxt, CacheMemoryContext);
	entry->st = st;
	return st;
}

static StockTable *
lookup(Cart *cart, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	if (entry != NULL && entry->valid && plans_are_valid(entry->st))
		return entry->st;
	return build_entry(cart, rel);
}

static Oid
default_stock_table(Cart *cart)
{
	if (!OidIsValid(default_relid))
	{
		Registration registration = {.relid = InvalidOid};

		if (!find_registration(cart->self, &registration))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("there is no default stock table"),
					 errhint("Attach one, SELECT purchase_attach('your_table'), or name an attached table as the last argument.")));
		default_relid = registration.relid;
	}
	return default_relid;
}

/*
 * Open and lock the relation that the call is about.
 */
static Relation
open_relation(Cart *cart, LOCKMODE lockmode)
{
	/* a lock that the transaction has already would not process them */
	AcceptInvalidationMessages();

	for (;;)
	{
		bool		named = OidIsValid(cart->stock_table);
		Oid			relid = named ? cart->stock_table :
			default_stock_table(cart);
		Relation	rel = try_relation_open(relid, lockmode);

		if (rel == NULL && named)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));

		/* another may have become the default while we waited */
		if (!named && relid != default_stock_table(cart))
		{
			if (rel != NULL)
				relation_close(rel, lockmode);
			continue;
		}
		if (rel == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the default stock table was dropped"),
					 errhint("Attach another: SELECT purchase_attach('your_table', is_default => true);")));
		return rel;
	}
}

/* ----------------------------------------------------------------
 * Engine
 * ----------------------------------------------------------------
 */

/*
 * Why the row engine can't serve this table for this user, or NULL.
 */
static const char *
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

static void
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

static const char *
user_name(void)
{
	return quote_identifier(GetUserNameFromId(GetUserId(), false));
}

/*
 * The rights that "UPDATE t SET stock = ... WHERE key = ..." needs, or for
 * reading, SELECT.  Those on the relation by the executor's own check, so that
 * its hooks see it.
 */
static void
check_rights(Cart *cart, LOCKMODE lockmode)
{
	bool		read = (cart->verb == VERB_READ);
	Oid			schema = RelationGetNamespace(cart->rel);
	AclResult	usage = may_use_schema(schema, GetUserId());

	if (usage != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s",
						get_namespace_name(schema)),
				 errhint("Its owner can grant what is missing: GRANT USAGE ON SCHEMA %s TO %s;",
						 quote_identifier(get_namespace_name(schema)),
						 user_name())));

	cart->range = make_one_relation(cart->rel, lockmode,
									read ? ACL_SELECT : ACL_SELECT | ACL_UPDATE,
									cart->st->selected_cols,
									read ? NULL : cart->st->updated_cols);
	if (!has_permissions(cart->range))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg(cart->rel->rd_rel->relkind == RELKIND_VIEW ?
						"permission denied for view %s" :
						"permission denied for table %s",
						RelationGetRelationName(cart->rel)),
				 errhint("Its owner can grant what is missing: GRANT SELECT (%s, %s)%s ON %s TO %s;",
						 quote_identifier(cart->st->key_column),
						 quote_identifier(cart->st->stock_column),
						 read ? "" :
						 psprintf(", UPDATE (%s)",
								  quote_identifier(cart->st->stock_column)),
						 relation_name(cart->rel), user_name())));
}

/*
 * Open the stock table of a call: find it, lock it, check the caller's rights
 * and choose the engine.  The locks stay until the end of the transaction, as
 * after an UPDATE.
 */
void
stock_table_open(Cart *cart)
{
	LOCKMODE	lockmode = cart->verb == VERB_READ ? AccessShareLock :
		RowExclusiveLock;

	cache_init();
	cart->rel = open_relation(cart, lockmode);
	cart->st = lookup(cart, cart->rel);

	check_rights(cart, lockmode);
	choose_engine(cart, lockmode);
}

void
stock_table_close(Cart *cart)
{
	if (cart->index != NULL)
		index_close(cart->index, NoLock);
	relation_close(cart->rel, NoLock);
}

/* ----------------------------------------------------------------
 * Keys
 * ----------------------------------------------------------------
 */

static bool
int64_to_key(StockTable *st, int64 value, Datum *key)
{
	switch (st->key_type)
	{
		case INT8OID:
			*key = Int64GetDatum(value);
			return true;
		case INT4OID:
			*key = Int32GetDatum((int32) value);
			return value >= PG_INT32_MIN && value <= PG_INT32_MAX;
		default:
			Assert(st->key_type == INT2OID);
			*key = Int16GetDatum((int16) value);
			return value >= PG_INT16_MIN && value <= PG_INT16_MAX;
	}
}

/*
 * Convert a product key from the type of the SQL function's argument (bigint,
 * uuid or text) to the base type of the key column.  False if it is out of
 * that type's range, so that no row can have it.
 *
 * Other types go through text and the type's input function, without a type
 * modifier or a domain's constraints: what a column could not hold is not
 * found, and need not be an error.
 */
bool
stock_table_key(StockTable *st, Datum product, Oid type, Datum *key)
{
	bool		integer_key = st->key_type == INT8OID ||
		st->key_type == INT4OID || st->key_type == INT2OID;
	char	   *text;

	if (type == INT8OID && integer_key)
		return int64_to_key(st, DatumGetInt64(product), key);

	if (type == st->key_type || (type == TEXTOID && st->key_type == VARCHAROID))
	{
		*key = product;
		return true;
	}

	text = product_text(product, type);
	if (integer_key)
	{
		/* an untyped parameter shall find the same as a bigint one */
		char	   *end;
		int64		value;

		errno = 0;
		value = strtoi64(text, &end, 10);
		if (end != text && *end == '\0')
			return errno == 0 && int64_to_key(st, value, key);
	}
	*key = InputFunctionCall(&st->key_input, text, st->key_ioparam, -1);
	return true;
}

/*
 * A product key as text, palloc'd.
 */
char *
product_text(Datum product, Oid type)
{
	switch (type)
	{
		case INT8OID:
			return psprintf(INT64_FORMAT, DatumGetInt64(product));
		case UUIDOID:
			return DatumGetCString(DirectFunctionCall1(uuid_out, product));
		default:
			Assert(type == TEXTOID);
			return TextDatumGetCString(product);
	}
}

/*
 * Cut the text of a key to what has room in a message.
 */
char *
clip_key(char *text)
{
	int			len = strlen(text);

	if (len > MAX_KEY_BYTES)
		text[pg_mbcliplen(text, len, MAX_KEY_BYTES)] = '\0';
	return text;
}

/* ----------------------------------------------------------------
 * SQL functions
 * ----------------------------------------------------------------
 */

/* of a statement on the registrations */
#define N_VALUES 6

/*
 * Who may write the registrations by hand: the owners of the extension and of the
 * database, and superusers.
 */
static bool
may_write_registrations(Relation reg)
{
	return pg_class_aclcheck(RelationGetRelid(reg), GetUserId(),
							 ACL_INSERT) == ACLCHECK_OK;
}

/*
 * Run statements on the registrations: as the role that owns them, deaf to the
 * caller's search_path, and on their latest state, as find_registration()
 * reads them.  In a statement, %1$s is that table and %2$s purchase_default_owner;
 * $1 is the stock table, $2 the key column, $3 the stock column, $4 whether it is
 * the default, $5 whether the caller may write registrations himself, $6 its
 * lock_wait or null.  Returns how many rows the last statement changed.
 */
static uint64
change_registrations(Relation reg, Datum *values, int nstatements,
					 const char *const *statements)
{
	static Oid	types[N_VALUES] = {REGCLASSOID, NAMEOID, NAMEOID, BOOLOID, BOOLOID, INT4OID};
	const char *name = relation_name(reg);
	const char *owner_name =
		quote_qualified_identifier(get_namespace_name(RelationGetNamespace(reg)),
								   DEFAULT_OWNER);
	char		nulls[N_VALUES + 1] = "      ";
	Oid			userid;
	int			sec_context;
	int			guc_level;
	uint64		changed;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(reg->rd_rel->relowner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	guc_level = restrict_search_path();

	if (DatumGetInt32(values[5]) == LOCK_WAIT_UNSET)
		nulls[5] = 'n';

	SPI_connect();
	for (int i = 0; i < nstatements; i++)
	{
		SPIPlanPtr	plan = SPI_prepare(psprintf(statements[i], name, owner_name),
									   N_VALUES, types);

		if (plan == NULL ||
			SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(),
								 InvalidSnapshot, false, true, 0) < 0)
			elog(ERROR, "could not change the registrations");
	}
	changed = SPI_processed;
	SPI_finish();

	AtEOXact_GUC(true, guc_level);
	SetUserIdAndSecContext(userid, sec_context);
	return changed;
}

Relation
open_owned_relation(Oid relid, LOCKMODE lockmode)
{
	Relation	rel = try_relation_open(relid, lockmode);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
	return rel;
}

static bool
is_empty(Relation rel)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot,
										  0, NULL);
	bool		empty = !HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return empty;
}

/*
 * The role that owned the last default table, or NULL if there never was one.
 */
static char *
last_default_owner(Relation reg)
{
	Relation	rel = table_openrv(makeRangeVar(get_namespace_name(RelationGetNamespace(reg)),
												DEFAULT_OWNER, -1),
								   AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot,
										  0, NULL);
	HeapTuple	tuple = systable_getnext(scan);
	char	   *owner = NULL;
	bool		isnull;

	if (HeapTupleIsValid(tuple))
		owner = pstrdup(NameStr(*DatumGetName(heap_getattr(tuple, 1,
														   RelationGetDescr(rel),
														   &isnull))));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return owner;
}

/*
 * If the table is the default, remember who owns it.
 */
static void
remember_default_owner(Relation reg, Datum *values)
{
	static const char *const statements[] = {
		"DELETE FROM %2$s WHERE EXISTS"
		" (SELECT FROM %1$s WHERE stock_table = $1 AND is_default)",
		"INSERT INTO %2$s SELECT pg_get_userbyid(c.relowner)"
		" FROM %1$s AS r JOIN pg_class AS c ON c.oid = r.stock_table"
		" WHERE r.stock_table = $1 AND r.is_default",
	};

	change_registrations(reg, values, lengthof(statements), statements);
}

static bool
is_member_of(const char *role)
{
	Oid			roleid = get_role_oid(role, true);

	return OidIsValid(roleid) && has_privs_of_role(GetUserId(), roleid);
}

/*
 * All calls that name no table sell from the default, and fire its triggers
 * with their own rights.  So the first table ever attached is the default, but
 * after that only who owns the present one may put another in its place.  If
 * it was detached or dropped, that is up to its last owner and to those who may
 * write the registrations.  The owner is remembered in a table of its own, by
 * name, which can be dumped: an empty list of registrations says nothing.
 */
static bool
becomes_default(Oid self, Relation reg, Oid relid, bool given, bool wanted)
{
	Registration current = {.relid = InvalidOid};
	const char *owner;
	bool		vacant;

	if (given && !wanted)
		return false;

	vacant = !find_registration(self, &current) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(current.relid));
	if (current.relid == relid)
		return true;
	if (!vacant)
	{
		if (!given)
			return false;
		if (!owns_relation(current.relid, GetUserId()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be owner of table %s to replace it as the default",
							get_rel_name(current.relid)),
					 errhint("Attach the table with is_default => false and name it in each call.")));
		return true;
	}

	owner = last_default_owner(reg);
	if ((owner == NULL && !OidIsValid(current.relid) && is_empty(reg)) ||
		(owner != NULL && is_member_of(owner)) ||
		may_write_registrations(reg))
		return true;
	ereport(given ? ERROR : NOTICE,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("only the owner of the last default stock table or of the extension can choose a new one"),
			 given ?
			 errhint("Attach the table with is_default => false and name it in each call.") :
			 errhint("The table is attached: name it in each call.")));
	return false;
}

/*
 * A lock_wait as text, in the form that the setting takes.
 */
static int
parse_lock_wait(const char *text)
{
	const char *hint = NULL;
	int			result;

	if (!parse_int(text, &result, GUC_UNIT_MS, &hint) || result < -1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for lock_wait: \"%s\"", text),
				 hint ? errhint("%s", _(hint)) :
				 errhint("Give it as the setting purchase.lock_wait takes it: '500ms', '2s', '0' or '-1'.")));
	return result;
}

/*
 * The arguments of purchase_attach that say nothing of the columns, for a hint.
 */
static char *
further_args(FunctionCallInfo fcinfo)
{
	StringInfoData args;

	initStringInfo(&args);
	if (!PG_ARGISNULL(3))
		appendStringInfo(&args, ", is_default => %s",
						 PG_GETARG_BOOL(3) ? "true" : "false");
	if (!PG_ARGISNULL(4))
		appendStringInfo(&args, ", lock_wait => %s",
						 quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(4))));
	return args.data;
}

/*
 * purchase_attach(stock_table regclass, stock_column name, key_column name,
 *				   is_default boolean, lock_wait text) returns void
 *
 * Register a table, or register it anew.  Its guard, if it has one, is put before
 * the new stock column.
 */
Datum
purchase_attach(PG_FUNCTION_ARGS)
{
	static const char *const statements[] = {
		"DELETE FROM %1$s WHERE ($5 OR NOT is_default) AND NOT EXISTS"
		" (SELECT FROM pg_class WHERE oid = stock_table)",
		"UPDATE %1$s SET is_default = false"
		" WHERE is_default AND $4 AND stock_table <> $1",
		"INSERT INTO %1$s (stock_table, key_column, stock_column, is_default, lock_wait)"
		" VALUES ($1, $2, $3, $4, $6) ON CONFLICT (stock_table) DO UPDATE"
		" SET key_column = $2, stock_column = $3, is_default = $4, lock_wait = $6",
	};
	Oid			self = fcinfo->flinfo->fn_oid;
	Relation	rel;
	Relation	reg;
	StockTable *st;
	Misfit		why;
	NameData	key_column;
	NameData	stock_column;
	int			lock_wait = LOCK_WAIT_UNSET;
	bool		is_default;
	Datum		values[N_VALUES];

	PreventCommandIfReadOnly("purchase_attach()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "stock_table" : "stock_column")));
	if (!PG_ARGISNULL(4))
		lock_wait = parse_lock_wait(text_to_cstring(PG_GETARG_TEXT_PP(4)));

	rel = open_owned_relation(PG_GETARG_OID(0), AccessShareLock);
	why.more_args = further_args(fcinfo);
	st = inspect(self, rel, PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2)),
				 NameStr(*PG_GETARG_NAME(1)), CurrentMemoryContext, &why);
	if (st == NULL)
		ereport(ERROR,
				(errcode(why.sqlerrcode),
				 errmsg("cannot attach \"%s\"", RelationGetRelationName(rel)),
				 errdetail("%s", why.detail),
				 errhint("%s", why.hint),
				 errtable(rel)));
	namestrcpy(&key_column, st->key_column);
	namestrcpy(&stock_column, st->stock_column);

	/* one at a time: two first ones would both become the default */
	reg = table_open(registration_oid(self), ShareRowExclusiveLock);
	is_default = becomes_default(self, reg, RelationGetRelid(rel),
								 !PG_ARGISNULL(3),
								 !PG_ARGISNULL(3) && PG_GETARG_BOOL(3));

	values[0] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[1] = NameGetDatum(&key_column);
	values[2] = NameGetDatum(&stock_column);
	values[3] = BoolGetDatum(is_default);
	values[4] = BoolGetDatum(may_write_registrations(reg));
	values[5] = Int32GetDatum(lock_wait);
	change_registrations(reg, values, lengthof(statements), statements);
	remember_default_owner(reg, values);
	guard_follow(rel, st->guard_function, st->stock_attno);

	table_close(reg, NoLock);
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * purchase_detach(stock_table regclass) returns void
 *
 * Forget a registration, and take the table's guard away.  The registration of a
 * dropped table anybody may tidy away, unless it was the default.
 */
Datum
purchase_detach(PG_FUNCTION_ARGS)
{
	static const char *const statements[] = {
		"DELETE FROM %1$s WHERE stock_table = $1 AND ($5 OR NOT is_default"
		" OR EXISTS (SELECT FROM pg_class WHERE oid = stock_table))",
	};
	Oid			self = fcinfo->flinfo->fn_oid;
	Oid			relid;
	Relation	rel = NULL;
	Relation	reg;
	NameData	unused = {""};
	Datum		values[N_VALUES];

	PreventCommandIfReadOnly("purchase_detach()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stock_table must not be null")));

	relid = PG_GETARG_OID(0);
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		rel = open_owned_relation(relid, AccessShareLock);

	reg = table_open(registration_oid(self), ShareRowExclusiveLock);
	values[0] = ObjectIdGetDatum(relid);
	values[1] = values[2] = NameGetDatum(&unused);
	values[3] = BoolGetDatum(false);
	values[4] = BoolGetDatum(may_write_registrations(reg));
	values[5] = Int32GetDatum(LOCK_WAIT_UNSET);
	remember_default_owner(reg, values);
	if (change_registrations(reg, values, lengthof(statements),
							 statements) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not attached",
						rel ? RelationGetRelationName(rel) :
						psprintf("%u", relid))));
	table_close(reg, NoLock);

	if (rel != NULL)
	{
		guard_follow(rel, guard_function(self), InvalidAttrNumber);
		relation_close(rel, NoLock);
	}
	PG_RETURN_VOID();
}

/*
 * purchase_stock_table_engine(stock_table regclass)
 * returns (engine text, reason text)
 *
 * For the view purchase_stock_tables: the engine that would serve the current
 * user, and why it is not the row engine.  A registration that no longer fits
 * has no engine.
 */
Datum
purchase_stock_table_engine(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {true, true};
	const char *engine = NULL;
	const char *reason = NULL;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		reason = "the table was dropped";
	else
	{
		Oid			self = fcinfo->flinfo->fn_oid;
		Registration registration = {.relid = relid};
		StockTable *st = NULL;
		Misfit		why = {.more_args = ""};

		if (!find_registration(self, &registration))
			reason = "the table is not attached";
		else
		{
			st = inspect(self, rel, registration.key_column,
						 registration.stock_column, CurrentMemoryContext, &why);
			reason = st ? engine_reason(st, rel) : why.detail;
		}
		if (st != NULL)
		{
			if (reason == NULL && purchase_engine == ENGINE_SQL)
				reason = "purchase.engine is sql";
			engine = reason ? engine_sql.name : engine_row.name;
		}
		relation_close(rel, AccessShareLock);
	}

	if (engine != NULL)
	{
		values[0] = CStringGetTextDatum(engine);
		nulls[0] = false;
	}
	if (reason != NULL)
	{
		values[1] = CStringGetTextDatum(reason);
		nulls[1] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/*
 * The trigger on the registrations: tell all sessions to read them again.
 */
Datum
purchase_registration_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a trigger",
						"purchase_registration_changed")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}
