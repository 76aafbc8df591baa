/*
 * guard.c
 *	  Nothing goes around purchase: two row triggers that refuse every other
 *	  change of a stock column.
 *
 * The BEFORE trigger has a name that sorts last, so that it sees the row as other
 * BEFORE triggers have changed it.  An update that moves a row to another partition
 * fires only this one.  The AFTER trigger sees what BEFORE triggers with a later name
 * have changed.  Both have a WHEN clause, so that a statement that does not change
 * the stock costs very little.  They have no column list, as a trigger can change a
 * column that the statement does not name.
 *
 * The row engine doesn't fire them.  The sql engine announces one update at a time:
 * which row, and its stock before and after.  Each trigger lets the announced update
 * pass once.  If a trigger runs another statement that looks like it, that one uses
 * up the announcement, and the announced update itself fails.
 *
 * The triggers depend on the extension (ALTER TRIGGER ... DEPENDS ON EXTENSION)
 * and are dropped with it.  They fire in ordinary sessions only (not ENABLE
 * ALWAYS), so that a subscriber applies what the publisher has sold.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/partition.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/primnodes.h"
#include "nodes/readfuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "guard.h"
#include "outcome.h"
#include "registration.h"
#include "stock.h"

static Announcement *announced = NULL;

PG_FUNCTION_INFO_V1(purchase_guard_stock);

/* ----------------------------------------------------------------
 * Announcements
 * ----------------------------------------------------------------
 */

/*
 * Announce the one update that may pass.  Until it is withdrawn, it hides the
 * announcement of an outer call.
 */
void
guard_announce(Announcement *announcement)
{
	announcement->before_passed = false;
	announcement->after_passed = false;
	announcement->outer = announced;
	announced = announcement;
}

void
guard_withdraw(Announcement *announcement)
{
	announced = announcement->outer;
}

static Oid
base_type(Relation rel, AttrNumber attno)
{
	return getBaseType(TupleDescAttr(RelationGetDescr(rel),
									 attno - 1)->atttypid);
}

static int64
stock_of(Relation rel, AttrNumber attno, HeapTuple tuple, bool *isnull)
{
	Datum		value = heap_getattr(tuple, attno, RelationGetDescr(rel),
									 isnull);

	return *isnull ? 0 : stock_value(value, base_type(rel, attno));
}

static bool
has_announced_key(Relation rel, HeapTuple tuple)
{
	AttrNumber	attno;
	Datum		key;
	bool		isnull;

	/* a view computes the key: compare only the figures, which pass once */
	if (announced->key_column == NULL)
		return true;
	attno = get_attnum(RelationGetRelid(rel), announced->key_column);
	if (attno <= 0)
		return false;
	key = heap_getattr(tuple, attno, RelationGetDescr(rel), &isnull);
	return !isnull && key_equals(announced->key_type, key, announced->key);
}

/*
 * Is this the update that was announced?  Of the table, or of a partition of it.
 */
static bool
is_announced(TriggerData *trigdata, AttrNumber attno)
{
	Relation	rel = trigdata->tg_relation;
	Oid			relid = RelationGetRelid(rel);
	Oid			target;
	int64		stock;
	bool		isnull;

	if (announced == NULL || !OidIsValid(announced->target))
		return false;
	target = announced->target;
	if (relid != target &&
		!(rel->rd_rel->relispartition &&
		  list_member_oid(get_partition_ancestors(relid), target)))
		return false;

	stock = stock_of(rel, attno, trigdata->tg_trigtuple, &isnull);
	if (isnull != announced->old_isnull || stock != announced->old_stock)
		return false;
	stock = stock_of(rel, attno, trigdata->tg_newtuple, &isnull);
	if (isnull || stock != announced->new_stock)
		return false;
	return has_announced_key(rel, trigdata->tg_trigtuple);
}

static bool
pass(TriggerData *trigdata, AttrNumber attno)
{
	bool	   *passed;

	if (!is_announced(trigdata, attno))
		return false;
	passed = TRIGGER_FIRED_BEFORE(trigdata->tg_event) ?
		&announced->before_passed : &announced->after_passed;
	if (*passed)
		return false;
	*passed = true;
	return true;
}

/* ----------------------------------------------------------------
 * The triggers
 * ----------------------------------------------------------------
 */

/*
 * The column that a guard's trigger watches is the one in its WHEN clause.  That
 * stays right when the column is renamed, and in partitions.
 */
AttrNumber
guard_column(Trigger *trigger)
{
	Bitmapset  *attrs = NULL;

	if (trigger->tgqual != NULL)
		pull_varattnos(stringToNode(trigger->tgqual), PRS2_NEW_VARNO, &attrs);
	return bms_num_members(attrs) != 1 ? InvalidAttrNumber :
		bms_singleton_member(attrs) + FirstLowInvalidHeapAttributeNumber;
}

static bool
may_read(Relation rel, AttrNumber attno)
{
	Oid			relid = RelationGetRelid(rel);

	return check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED &&
		(pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		 pg_attribute_aclcheck(relid, attno, GetUserId(),
							   ACL_SELECT) == ACLCHECK_OK);
}

/*
 * " of product 42", if it can be told and the user may know it.
 */
static char *
of_product(Oid self, Relation rel, HeapTuple tuple)
{
	List	   *relids = list_make1_oid(RelationGetRelid(rel));
	ListCell   *lc;

	if (rel->rd_rel->relispartition)
		relids = list_concat(relids,
							 get_partition_ancestors(RelationGetRelid(rel)));
	foreach(lc, relids)
	{
		Registration registration = {.relid = lfirst_oid(lc)};
		TupleDesc	desc = RelationGetDescr(rel);
		AttrNumber	attno;
		Datum		key;
		bool		isnull;
		Oid			output;
		bool		varlena;

		if (!registration_find(self, &registration))
			continue;
		attno = get_attnum(RelationGetRelid(rel), registration.key_column);
		if (attno <= 0 || !may_read(rel, attno))
			break;
		key = heap_getattr(tuple, attno, desc, &isnull);
		if (isnull)
			break;
		getTypeOutputInfo(TupleDescAttr(desc, attno - 1)->atttypid, &output,
						  &varlena);
		return psprintf(" of product %s",
						key_clip(OidOutputFunctionCall(output, key)));
	}
	return "";
}

static char *
stock_text(Relation rel, AttrNumber attno, HeapTuple tuple)
{
	bool		isnull;
	int64		stock = stock_of(rel, attno, tuple, &isnull);

	return isnull ? "null" : psprintf(INT64_FORMAT, stock);
}

pg_noreturn static void refuse(Oid self, TriggerData *trigdata, AttrNumber attno);

static void
refuse(Oid self, TriggerData *trigdata, AttrNumber attno)
{
	Relation	rel = trigdata->tg_relation;
	const char *column = NameStr(TupleDescAttr(RelationGetDescr(rel),
											   attno - 1)->attname);

	ereport(ERROR,
			(errcode(ERRCODE_STOCK_GUARDED),
			 errmsg("column \"%s\" of table \"%s\" is guarded", column,
					RelationGetRelationName(rel)),
			 may_read(rel, attno) ?
			 errdetail("The stock%s would change from %s to %s, and not by purchase.",
					   of_product(self, rel, trigdata->tg_trigtuple),
					   stock_text(rel, attno, trigdata->tg_trigtuple),
					   stock_text(rel, attno, trigdata->tg_newtuple)) : 0,
			 errhint("Call purchase_restock() or purchase_set_stock(), or leave the column out of the UPDATE: in an ORM, save the changed fields only, or read the object again first (in Django, save(update_fields=...), refresh_from_db())."),
			 errtablecol(rel, attno)));
}

/*
 * purchase_guard_stock() returns trigger
 *
 * Raises SK005 for every change of the stock but the announced one.
 */
Datum
purchase_guard_stock(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	AttrNumber	attno;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ||
		(attno = guard_column(trigdata->tg_trigger)) <= 0 ||
		!is_stock_type(base_type(trigdata->tg_relation, attno)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by a trigger of purchase_guard()",
						GUARD_FUNCTION)));

	if (!pass(trigdata, attno))
		refuse(fcinfo->flinfo->fn_oid, trigdata, attno);
	return PointerGetDatum(trigdata->tg_newtuple);
}

/*
 * The function of the guard's triggers, which stands in the same schema as all
 * of the extension.
 */
Oid
guard_function(Oid self)
{
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(GUARD_FUNCTION),
						   PointerGetDatum(buildoidvector(NULL, 0)),
						   ObjectIdGetDatum(get_func_namespace(self)));
}

/*
 * Does a trigger of the guard keep watch over a column?
 */
bool
guard_watches(Relation rel, Oid function, AttrNumber attno)
{
	TriggerDesc *trigdesc = rel->trigdesc;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];

		if (trigger->tgfoid == function &&
			(trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
			 trigger->tgenabled == TRIGGER_FIRES_ALWAYS) &&
			guard_column(trigger) == attno)
			return true;
	}
	return false;
}
