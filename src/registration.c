/*
 * registration.c
 *	  The rows of purchase_registration: which tables are attached, and how.
 *
 * It is an ordinary table in the extension's schema.  It keeps the table's OID,
 * which survives a rename, and the columns' names, which survive a dump.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "registration.h"
#include "relation.h"

#define REGISTRATION "purchase_registration"
#define DEFAULT_OWNER "purchase_default_owner"

enum
{
	ANUM_STOCK_TABLE = 1,
	ANUM_KEY_COLUMN,
	ANUM_STOCK_COLUMN,
	ANUM_IS_DEFAULT,
	ANUM_LOCK_WAIT,
	ANUM_EARLY_RELEASE,
	ANUM_SALE_TABLE,
	ANUM_HOLD_TABLE,
	ANUM_LIMIT_COLUMN
};

/*
 * The registrations stand in the same schema as every function of the
 * extension, wherever it was moved to.
 */
Oid
registration_relid(Oid self)
{
	Oid			relid = get_relname_relid(REGISTRATION,
										  get_func_namespace(self));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" of extension \"purchase\" does not exist",
						REGISTRATION),
				 errhint("Retry if the extension was just created anew; else create it anew: DROP EXTENSION purchase; CREATE EXTENSION purchase;")));
	return relid;
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

/*
 * A copy of the first row of a table of ours, or of the first that a key finds;
 * NULL if there is none.
 *
 * As for a catalog, what counts is the latest state, not what the
 * transaction's snapshot sees: else a session at REPEATABLE READ would go on
 * with a registration that is gone.
 */
static HeapTuple
latest_row(Relation rel, ScanKey key)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	/* a few rows, read once per change: no index */
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot,
										  key ? 1 : 0, key);
	HeapTuple	tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/*
 * A column of a row.  Until ALTER EXTENSION ... UPDATE, the SQL may be older than the
 * library, and not have the column yet: then it is null.
 */
static Datum
column_value(HeapTuple tuple, TupleDesc desc, AttrNumber attno, bool *isnull)
{
	if (attno > desc->natts)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return heap_getattr(tuple, attno, desc, isnull);
}

/*
 * See that the registrations have the columns to be written, up to this one.
 */
static void
require_column(Relation reg, AttrNumber attno)
{
	if (attno > RelationGetNumberOfAttributes(reg))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the SQL of extension \"purchase\" is older than its library"),
				 errhint("Let the owner of the extension update it: ALTER EXTENSION purchase UPDATE;")));
}

/*
 * Find the registration of the table of this relid, or the default's if that is
 * InvalidOid.
 */
bool
registration_find(Oid self, Registration *registration)
{
	Relation	reg = table_open(registration_relid(self), AccessShareLock);
	TupleDesc	desc = RelationGetDescr(reg);
	ScanKeyData key;
	HeapTuple	tuple;

	if (OidIsValid(registration->relid))
		ScanKeyInit(&key, ANUM_STOCK_TABLE, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(registration->relid));
	else
		ScanKeyInit(&key, ANUM_IS_DEFAULT, BTEqualStrategyNumber, F_BOOLEQ,
					BoolGetDatum(true));

	tuple = latest_row(reg, &key);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value;

		value = column_value(tuple, desc, ANUM_STOCK_TABLE, &isnull);
		registration->relid = DatumGetObjectId(value);
		value = column_value(tuple, desc, ANUM_KEY_COLUMN, &isnull);
		registration->key_column = pstrdup(NameStr(*DatumGetName(value)));
		value = column_value(tuple, desc, ANUM_STOCK_COLUMN, &isnull);
		registration->stock_column = pstrdup(NameStr(*DatumGetName(value)));
		value = column_value(tuple, desc, ANUM_LOCK_WAIT, &isnull);
		registration->lock_wait = isnull ? LOCK_WAIT_UNSET : DatumGetInt32(value);
		value = column_value(tuple, desc, ANUM_EARLY_RELEASE, &isnull);
		registration->early_release = isnull ? EARLY_RELEASE_ON : EARLY_RELEASE_OFF;
		if (!isnull)
			(void) commit_parse_level(TextDatumGetCString(value),
									  &registration->early_release);
		value = column_value(tuple, desc, ANUM_SALE_TABLE, &isnull);
		registration->sale_table = isnull ? InvalidOid : DatumGetObjectId(value);
		value = column_value(tuple, desc, ANUM_HOLD_TABLE, &isnull);
		registration->hold_table = isnull ? InvalidOid : DatumGetObjectId(value);
		value = column_value(tuple, desc, ANUM_LIMIT_COLUMN, &isnull);
		registration->limit_column = isnull ? NULL : pstrdup(NameStr(*DatumGetName(value)));
	}
	table_close(reg, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/*
 * Does a registration of another table use a table, to sell from it or to keep its
 * sales?
 */
bool
registration_uses(Relation reg, Oid relid, Oid stock_table)
{
	static const AttrNumber columns[] = {ANUM_STOCK_TABLE, ANUM_SALE_TABLE, ANUM_HOLD_TABLE};
	TupleDesc	desc = RelationGetDescr(reg);
	bool		result = false;

	for (size_t i = 0; i < lengthof(columns) && !result; i++)
	{
		ScanKeyData key;
		HeapTuple	tuple;
		bool		isnull;

		if (columns[i] > desc->natts)
			continue;
		ScanKeyInit(&key, columns[i], BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(relid));
		tuple = latest_row(reg, &key);
		result = HeapTupleIsValid(tuple) &&
			DatumGetObjectId(heap_getattr(tuple, ANUM_STOCK_TABLE, desc,
										  &isnull)) != stock_table;
	}
	return result;
}

/*
 * Who may write the registrations by hand: the owners of the extension and of the
 * database, and superusers.
 */
bool
registration_may_write(Relation reg)
{
	return pg_class_aclcheck(RelationGetRelid(reg), GetUserId(),
							 ACL_INSERT) == ACLCHECK_OK;
}

/*
 * Run statements on the registrations: as the role that owns them, with a safe
 * search_path, and on their latest state, as registration_find() reads them.
 *
 * In a statement, %1$s is that table and %2$s purchase_default_owner; $1 is the stock
 * table, $2 the key column, $3 the stock column, $4 whether it is the default, $5
 * whether the caller may write registrations, $6 the lock_wait or null, $7 the
 * early_release or null, $8 and $9 the tables of sales and
 * holds, $10 the limit column or null.  Returns how many rows the last statement changed.
 */
static uint64
change_registrations(Relation reg, Registration *registration,
					 bool is_default, int nstatements,
					 const char *const *statements)
{
	static Oid	types[] = {REGCLASSOID, NAMEOID, NAMEOID, BOOLOID, BOOLOID, INT4OID, TEXTOID,
	REGCLASSOID, REGCLASSOID, NAMEOID};
	Datum		values[] = {
		ObjectIdGetDatum(registration->relid),
		DirectFunctionCall1(namein, CStringGetDatum(registration->key_column)),
		DirectFunctionCall1(namein, CStringGetDatum(registration->stock_column)),
		BoolGetDatum(is_default),
		BoolGetDatum(registration_may_write(reg)),
		Int32GetDatum(registration->lock_wait),
		CStringGetTextDatum(early_release_options[registration->early_release].name),
		ObjectIdGetDatum(registration->sale_table),
		ObjectIdGetDatum(registration->hold_table),
		registration->limit_column == NULL ? (Datum) 0 :
		DirectFunctionCall1(namein, CStringGetDatum(registration->limit_column)),
	};
	char		nulls[] = "          ";
	const char *name = relation_name(RelationGetRelid(reg));
	const char *owner_name =
		quote_qualified_identifier(get_namespace_name(RelationGetNamespace(reg)),
								   DEFAULT_OWNER);
	Oid			userid;
	int			sec_context;
	int			guc_level;
	uint64		changed;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(reg->rd_rel->relowner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	guc_level = compat_restrict_search_path();

	if (registration->lock_wait == LOCK_WAIT_UNSET)
		nulls[5] = 'n';
	if (registration->early_release == EARLY_RELEASE_ON)
		nulls[6] = 'n';
	if (registration->limit_column == NULL)
		nulls[9] = 'n';

	SPI_connect();
	for (int i = 0; i < nstatements; i++)
	{
		SPIPlanPtr	plan = SPI_prepare(psprintf(statements[i], name, owner_name),
									   lengthof(types), types);

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

bool
registration_is_empty(Relation reg)
{
	return !HeapTupleIsValid(latest_row(reg, NULL));
}

/*
 * The role that owned the last default table, or NULL if there never was one.
 */
char *
registration_last_owner(Relation reg)
{
	Relation	rel = table_openrv(makeRangeVar(get_namespace_name(RelationGetNamespace(reg)),
												DEFAULT_OWNER, -1),
								   AccessShareLock);
	HeapTuple	tuple = latest_row(rel, NULL);
	char	   *owner = NULL;
	bool		isnull;

	if (HeapTupleIsValid(tuple))
		owner = NameStr(*DatumGetName(heap_getattr(tuple, 1,
												   RelationGetDescr(rel),
												   &isnull)));
	table_close(rel, AccessShareLock);
	return owner;
}

/*
 * If the table is the default, remember who owns it.
 */
static void
remember_default_owner(Relation reg, Registration *registration)
{
	static const char *const statements[] = {
		"DELETE FROM %2$s WHERE EXISTS"
		" (SELECT FROM %1$s WHERE stock_table = $1 AND is_default)",
		"INSERT INTO %2$s SELECT pg_get_userbyid(c.relowner)"
		" FROM %1$s AS r JOIN pg_class AS c ON c.oid = r.stock_table"
		" WHERE r.stock_table = $1 AND r.is_default",
	};

	change_registrations(reg, registration, false, lengthof(statements),
						 statements);
}

/*
 * Store a registration, in place of the one that the table may have, and tidy
 * away what dropped tables left.
 */
void
registration_store(Relation reg, Registration *registration, bool is_default)
{
	static const char *const statements[] = {
		"DELETE FROM %1$s WHERE ($5 OR NOT is_default) AND NOT EXISTS"
		" (SELECT FROM pg_class WHERE oid = stock_table)",
		"UPDATE %1$s SET is_default = false"
		" WHERE is_default AND $4 AND stock_table <> $1",
		"INSERT INTO %1$s (stock_table, key_column, stock_column, is_default, lock_wait,"
		" early_release)"
		" VALUES ($1, $2, $3, $4, $6, $7) ON CONFLICT (stock_table) DO UPDATE"
		" SET key_column = $2, stock_column = $3, is_default = $4, lock_wait = $6,"
		" early_release = $7",
	};

	require_column(reg, ANUM_EARLY_RELEASE);
	change_registrations(reg, registration, is_default,
						 lengthof(statements), statements);
	remember_default_owner(reg, registration);
}

/*
 * Store which tables keep the sales of a registered table.
 */
void
registration_store_sales(Relation reg, Registration *registration)
{
	static const char *const statements[] = {
		"UPDATE %1$s SET sale_table = $8, hold_table = $9, limit_column = $10"
		" WHERE stock_table = $1",
	};

	require_column(reg, ANUM_LIMIT_COLUMN);
	if (change_registrations(reg, registration, false, lengthof(statements),
							 statements) != 1)
		elog(ERROR, "could not change the registrations");
}

/*
 * Delete a registration; false if there is none.  That of a dropped table anybody
 * may delete, unless it was the default.
 */
bool
registration_delete(Relation reg, Oid relid)
{
	static const char *const statements[] = {
		"DELETE FROM %1$s WHERE stock_table = $1 AND ($5 OR NOT is_default"
		" OR EXISTS (SELECT FROM pg_class WHERE oid = stock_table))",
	};
	Registration registration = {
		.relid = relid,
		.key_column = "",
		.stock_column = "",
		.lock_wait = LOCK_WAIT_UNSET,
		.early_release = EARLY_RELEASE_ON,
	};

	remember_default_owner(reg, &registration);
	return change_registrations(reg, &registration, false,
								lengthof(statements), statements) > 0;
}
