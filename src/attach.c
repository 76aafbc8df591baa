/*
 * attach.c
 *	  SQL functions that attach and detach a table, and say what serves it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "distribute.h"
#include "engine.h"
#include "guard.h"
#include "guard_place.h"
#include "inspect.h"
#include "registration.h"
#include "relation.h"
#include "sale.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(purchase_attach);
PG_FUNCTION_INFO_V1(purchase_detach);
PG_FUNCTION_INFO_V1(purchase_stock_table_engine);
PG_FUNCTION_INFO_V1(purchase_registration_changed);

static bool
is_member_of(const char *role)
{
	Oid			roleid = get_role_oid(role, true);

	return OidIsValid(roleid) && has_privs_of_role(GetUserId(), roleid);
}

/*
 * All calls that name no table sell from the default, and fire its triggers
 * with their own rights.  So the first table ever attached is the default, but
 * after that only the owner of the present one may put another in its place.  If
 * it was detached or dropped, only its last owner and the roles that may write the
 * registrations may do so.  The owner is remembered in a table of its own, by
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

	vacant = !registration_find(self, &current) ||
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

	owner = registration_last_owner(reg);
	if ((owner == NULL && !OidIsValid(current.relid) && registration_is_empty(reg)) ||
		(owner != NULL && is_member_of(owner)) ||
		registration_may_write(reg))
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
 * Sales are kept by the key, and holds have units of the stock: with another column of
 * either, they would go to another product, or into another stock.  A column that only
 * has another name now is the same.
 */
static void
check_columns_of_sales(Oid self, Relation rel, const char *key_column,
					   const char *stock_column)
{
	Registration registration = {.relid = RelationGetRelid(rel)};

	if (!registration_find(self, &registration) ||
		!OidIsValid(registration.sale_table))
		return;
	if (strcmp(registration.key_column, key_column) != 0 &&
		get_attnum(registration.relid, registration.key_column) != InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" keeps sales by column \"%s\"",
						RelationGetRelationName(rel), registration.key_column),
				 errhint("To take another key, detach it first: SELECT purchase_detach(%s);",
						 relation_literal(registration.relid)),
				 errtable(rel)));
	if (strcmp(registration.stock_column, stock_column) != 0 &&
		get_attnum(registration.relid, registration.stock_column) != InvalidAttrNumber)
		sale_check_no_holds(self, rel);
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
	if (!PG_ARGISNULL(5))
		appendStringInfo(&args, ", early_release => %s",
						 quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(5))));
	return args.data;
}

/*
 * purchase_attach(stock_table regclass, stock_column name, key_column name,
 *				   is_default boolean, lock_wait text, early_release text)
 * returns void
 *
 * Register a table, or register it anew.  Its guard, if it has one, is put before
 * the new stock column.
 */
Datum
purchase_attach(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Registration registration = {
		.lock_wait = LOCK_WAIT_UNSET,
		.early_release = EARLY_RELEASE_ON,
	};
	Relation	rel;
	Relation	reg;
	StockTable *st;
	Misfit		why;
	bool		is_default;

	PreventCommandIfReadOnly("purchase_attach()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "stock_table" : "stock_column")));
	if (!PG_ARGISNULL(4))
		registration.lock_wait =
			parse_lock_wait(text_to_cstring(PG_GETARG_TEXT_PP(4)));
	if (!PG_ARGISNULL(5))
	{
		const char *level = text_to_cstring(PG_GETARG_TEXT_PP(5));

		if (!commit_parse_level(level, &registration.early_release))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for early_release: \"%s\"", level),
					 errhint("Available values: off, local, on.")));
	}

	rel = relation_open_owned(PG_GETARG_OID(0), AccessShareLock);
	why.more_args = further_args(fcinfo);
	st = inspect(self, rel, PG_ARGISNULL(2) ? NULL : NameStr(*PG_GETARG_NAME(2)),
				 NameStr(*PG_GETARG_NAME(1)), &why);
	if (st == NULL)
		ereport(ERROR,
				(errcode(why.sqlerrcode),
				 errmsg("cannot attach \"%s\"", RelationGetRelationName(rel)),
				 errdetail("%s", why.detail),
				 errhint("%s", why.hint),
				 errtable(rel)));
	registration.relid = st->relid;
	registration.key_column = st->key_column;
	registration.stock_column = st->stock_column;
	check_columns_of_sales(self, rel, st->key_column, st->stock_column);

	/* one at a time: two first ones would both become the default */
	reg = table_open(registration_relid(self), ShareRowExclusiveLock);
	is_default = becomes_default(self, reg, st->relid, !PG_ARGISNULL(3),
								 !PG_ARGISNULL(3) && PG_GETARG_BOOL(3));
	registration_store(reg, &registration, is_default);
	guard_follow(rel, st->guard_function, st->stock_attno);
	distribute_remind(rel);

	table_close(reg, NoLock);
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * purchase_detach(stock_table regclass) returns void
 *
 * Forget a registration, and take the table's guard away.  55000 if it has holds.
 * The registration of a dropped table anybody may tidy away, unless it was the
 * default.
 */
Datum
purchase_detach(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Oid			relid;
	Relation	rel = NULL;
	Relation	reg;
	Registration registration;

	PreventCommandIfReadOnly("purchase_detach()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stock_table must not be null")));

	registration.relid = relid = PG_GETARG_OID(0);
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		rel = relation_open_owned(relid, AccessShareLock);

	/* in the order of purchase_keep_sales(), so that the two don't deadlock */
	if (rel != NULL && registration_find(self, &registration) &&
		OidIsValid(registration.sale_table))
		LockRelationOid(relid, ShareRowExclusiveLock);
	reg = table_open(registration_relid(self), ShareRowExclusiveLock);
	if (rel != NULL && registration_find(self, &registration) &&
		OidIsValid(registration.sale_table))
		sale_check_no_holds(self, rel);
	if (!registration_delete(reg, relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not attached",
						rel ? RelationGetRelationName(rel) :
						psprintf("%u", relid))));
	table_close(reg, NoLock);

	if (rel != NULL)
	{
		guard_follow(rel, guard_function(self), InvalidAttrNumber);
		distribute_remind(rel);
		relation_close(rel, NoLock);
	}
	PG_RETURN_VOID();
}

/*
 * The codes of some reasons, as an array of text.
 */
static Datum
reason_codes(uint32 reasons)
{
	Datum		codes[N_SQL_REASONS];
	int			n = 0;

	for (int i = 0; i < N_SQL_REASONS; i++)
		if (reasons & SQL_REASON(i))
			codes[n++] = CStringGetTextDatum(sql_reason_code(i));
	return PointerGetDatum(construct_array(codes, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * What would serve the current user, and why it is not the row engine.  NULL, and
 * why in words, if the table no longer fits its registration.
 */
static const char *
serving_engine(Oid self, Relation rel, uint32 *reasons, const char **why_none)
{
	Registration registration = {.relid = RelationGetRelid(rel)};
	StockTable *st;
	Misfit		why = {.more_args = ""};

	if (!registration_find(self, &registration))
	{
		*why_none = "the table is not attached";
		return NULL;
	}
	st = inspect(self, rel, registration.key_column,
				 registration.stock_column, &why);
	if (st == NULL)
	{
		*why_none = why.detail;
		return NULL;
	}
	*reasons = engine_sql_reasons(st, rel);
	if (purchase_engine == ENGINE_SQL)
		*reasons |= SQL_REASON(SQL_SETTING);
	return *reasons != 0 ? engine_sql.name : engine_row.name;
}

/*
 * purchase_stock_table_engine(stock_table regclass)
 * returns (engine text, reason text, reasons text[])
 *
 * For the view purchase_stock_tables and for purchase_check(): the engine that
 * would serve the current user, and why it is not the row engine, the first
 * reason in words and the codes of all reasons.  A registration that no longer
 * fits has no engine, and no codes.
 */
Datum
purchase_stock_table_engine(PG_FUNCTION_ARGS)
{
	Relation	rel;
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {true, true, true};
	const char *engine = NULL;
	const char *reason = "the table was dropped";
	uint32		reasons = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (rel != NULL)
	{
		engine = serving_engine(fcinfo->flinfo->fn_oid, rel, &reasons,
								&reason);
		relation_close(rel, AccessShareLock);
	}

	if (engine != NULL)
	{
		values[0] = CStringGetTextDatum(engine);
		values[2] = reason_codes(reasons);
		nulls[0] = nulls[2] = false;
		reason = sql_reason_text(reasons);
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
