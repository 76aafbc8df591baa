/*
 * guard_place.c
 *	  Puts the guard's triggers before a table, and takes them away.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "guard.h"
#include "guard_place.h"
#include "inspect.h"
#include "registration.h"
#include "relation.h"

#define BEFORE_TRIGGER "~purchase_guard_before"
#define AFTER_TRIGGER "~purchase_guard_after"

PG_FUNCTION_INFO_V1(purchase_guard);

/*
 * Drop the guard's own triggers of a table, under whatever name; those that a
 * partition has got from its parent go with the parent's.
 */
static void
drop_triggers(Oid relid, Oid function)
{
	Relation	rel = table_open(relid, AccessExclusiveLock);
	char	   *table = relation_name(RelationGetRelid(rel));
	List	   *names = NIL;
	ListCell   *lc;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid == function && !trigger->tgisclone)
			names = lappend(names, pstrdup(trigger->tgname));
	}
	table_close(rel, NoLock);

	foreach(lc, names)
		run_ddl(psprintf("DROP TRIGGER %s ON %s",
						 quote_identifier(lfirst(lc)), table));
}

static void
create_trigger(Relation rel, const char *name, const char *when,
			   const char *column, Oid function)
{
	const char *table = relation_name(RelationGetRelid(rel));
	const char *trigger = quote_identifier(name);
	const char *quoted = quote_identifier(column);

	run_ddl(psprintf("CREATE TRIGGER %s %s UPDATE ON %s FOR EACH ROW"
					 " WHEN (OLD.%s IS DISTINCT FROM NEW.%s)"
					 " EXECUTE FUNCTION %s()",
					 trigger, when, table, quoted, quoted,
					 quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
												GUARD_FUNCTION)));
	run_ddl(psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION purchase",
					 trigger, table));
}

/*
 * Put the guard before a column, or if there is none, take it away.  This runs as
 * the user, who owns the table, with a safe search_path.
 */
static void
guard_place(Relation rel, const char *column, Oid function)
{
	Oid			relid = RelationGetRelid(rel);
	int			guc_level = compat_restrict_search_path();
	List	   *relids = list_make1_oid(relid);
	ListCell   *lc;

	SPI_connect();

	/* those that stood before single partitions are no longer needed */
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && column != NULL)
		relids = find_all_inheritors(relid, AccessExclusiveLock, NULL);
	foreach(lc, relids)
		drop_triggers(lfirst_oid(lc), function);
	if (column != NULL)
	{
		create_trigger(rel, BEFORE_TRIGGER, "BEFORE", column, function);
		create_trigger(rel, AFTER_TRIGGER, "AFTER", column, function);
	}

	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

/*
 * Let a table's own guard follow a registration that has another stock column
 * now, or none.  One that has been put before the right column, disabled or not,
 * stays as it is.
 */
void
guard_follow(Relation rel, Oid function, AttrNumber attno)
{
	TriggerDesc *trigdesc = rel->trigdesc;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];

		if (trigger->tgfoid != function || trigger->tgisclone ||
			guard_column(trigger) == attno)
			continue;
		guard_place(rel, attno == InvalidAttrNumber ? NULL :
					NameStr(TupleDescAttr(RelationGetDescr(rel),
										  attno - 1)->attname), function);
		return;
	}
}

/*
 * Has it the guard from a partitioned table above it?
 */
static bool
guarded_by_parent(Relation rel, Oid function)
{
	TriggerDesc *trigdesc = rel->trigdesc;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
		if (trigdesc->triggers[i].tgfoid == function &&
			trigdesc->triggers[i].tgisclone)
			return true;
	return false;
}

static void
check_guardable(Relation rel, bool enabled, Oid function)
{
	const char *name = RelationGetRelationName(rel);

	if (enabled && rel->rd_rel->relkind == RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot guard view \"%s\"", name),
				 errhint("Attach and guard the table below it: sales through the view pass its guard."),
				 errtable(rel)));
	if (enabled && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
		rel->rd_rel->relhassubclass &&
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot guard table \"%s\"", name),
				 errdetail("Other tables inherit from it, and have no trigger of their parent's."),
				 errhint("Make it a partitioned table, or attach and guard each table by itself."),
				 errtable(rel)));
	if (guarded_by_parent(rel, function))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is guarded with the table that it is a partition of",
						name),
				 errhint("Call purchase_guard() for that table."),
				 errtable(rel)));
}

/*
 * purchase_guard(stock_table regclass, enabled boolean) returns void
 *
 * Let nothing but purchase change the stock of existing rows, or again
 * everything.  Called again, it mends what was disabled or dropped by hand.
 */
Datum
purchase_guard(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Oid			function = guard_function(self);
	Registration registration;
	Relation	rel;
	bool		enabled;

	PreventCommandIfReadOnly("purchase_guard()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "stock_table" : "enabled")));
	enabled = PG_GETARG_BOOL(1);

	rel = relation_open_owned(PG_GETARG_OID(0), AccessExclusiveLock);
	registration.relid = RelationGetRelid(rel);
	if (!registration_find(self, &registration))
		raise_not_attached(rel);
	check_guardable(rel, enabled, function);
	if (enabled)
		(void) inspect_registered(self, rel, &registration);

	guard_place(rel, enabled ? registration.stock_column : NULL, function);
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}
