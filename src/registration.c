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

#include "purchase.h"

#define REGISTRATION "purchase_registration"
#define DEFAULT_OWNER "purchase_default_owner"

enum
{
	ANUM_STOCK_TABLE = 1,
	ANUM_KEY_COLUMN,
	ANUM_STOCK_COLUMN,
	ANUM_IS_DEFAULT,
	ANUM_LOCK_WAIT
};

/*
 * The OID stays when it is no longer known to be right: its invalidations must
 * be recognised even if one comes in while it is being looked up.
 */
Oid			registration_relid = InvalidOid;

bool		registration_known = false;

/*
 * The registrations stand in the same schema as every function of the
 * extension, wherever it was moved to.
 */
Oid
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

/*
 * Who may write the registrations by hand: the owners of the extension and of the
 * database, and superusers.
 */
bool
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
uint64
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
	guc_level = compat_restrict_search_path();

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

bool
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
char *
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
void
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
