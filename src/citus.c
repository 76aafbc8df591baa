/*
 * citus.c
 *	  Tables that Citus distributes: the shard that has a product's row, if it is on this
 *	  node.
 *
 * A distributed table is an ordinary table of ours on each node, but without rows: they
 * are in its shards, ordinary tables, too, on one node each.  By SQL, which Citus
 * plans, it can be sold from anywhere.  Where a call comes to the node that has the
 * product's shard, as one does that Citus delegates, it works on that shard as on any
 * other table, by either engine, in the distributed table's name.
 *
 * A shard may move to another node.  Who writes it holds Citus's lock on the shard's
 * metadata, as Citus's own statements do, to the end of the transaction; and with that
 * lock, asks where the shard is.  The mover waits for that lock before its last copy, and
 * leaves the old shard where it was for a while: without the lock, or without asking
 * again, a sale would be written there, and lost.
 *
 * Nothing of Citus is linked, or included: its functions are looked for in what is loaded.
 * They have had these signatures from 11.3 on; where one is missing, all is left to Citus.
 */
#include "postgres.h"

#include <dlfcn.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "citus.h"
#include "compat.h"
#include "relation.h"

/* Of Citus's enum LocalExecutionStatus. */
#define LOCAL_EXECUTION_REQUIRED 0
#define LOCAL_EXECUTION_DISABLED 2

/* Citus's functions, by their names there. */
static int32 (*GetLocalGroupId) (void);
static void (*LockShardDistributionMetadata) (int64 shard, LOCKMODE mode);
static void *(*ActiveShardPlacementOnGroup) (int32 group, uint64 shard);
static Oid	(*GetTableLocalShardOid) (Oid relid, uint64 shard);
static int	(*GetCurrentLocalExecutionStatus) (void);
static void (*SetLocalExecutionStatus) (int status);
static void (*SendCommandToWorkersWithMetadata) (const char *command);
static bool (*RelationIsAKnownShard) (Oid relid);
static bool (*IsCitusInternalBackend) (void);

static const struct
{
	const char *name;
	void	   *address;
}			functions[] = {
	{"GetLocalGroupId", &GetLocalGroupId},
	{"LockShardDistributionMetadata", &LockShardDistributionMetadata},
	{"ActiveShardPlacementOnGroup", &ActiveShardPlacementOnGroup},
	{"GetTableLocalShardOid", &GetTableLocalShardOid},
	{"GetCurrentLocalExecutionStatus", &GetCurrentLocalExecutionStatus},
	{"SetLocalExecutionStatus", &SetLocalExecutionStatus},
	{"SendCommandToWorkersWithMetadata", &SendCommandToWorkersWithMetadata},
	{"RelationIsAKnownShard", &RelationIsAKnownShard},
	{"IsCitusInternalBackend", &IsCitusInternalBackend},
};

/*
 * A preloaded library's functions are found by their names alone.
 */
bool
citus_is_loaded(void)
{
	static bool sought = false;
	static bool found = false;

	if (sought)
		return found;
	sought = found = true;
	for (size_t i = 0; i < lengthof(functions); i++)
	{
		void	   *function = dlsym(RTLD_DEFAULT, functions[i].name);

		*(void **) functions[i].address = function;
		found = found && function != NULL;
	}
	return found;
}

/*
 * Is Citus in this database, too?
 */
bool
citus_is_installed(void)
{
	return citus_is_loaded() && OidIsValid(get_extension_oid("citus", true));
}

/*
 * Does Citus keep a table's rows elsewhere?
 */
bool
citus_is_table(Oid relid)
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
 * To the end of the current level of settings, write dates and intervals so that any node
 * reads them alike.
 */
void
citus_write_dates(void)
{
	(void) set_config_option("datestyle", "ISO", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Run a query and return the only column of its only row.
 */
Datum
citus_query(const char *sql, int nargs, Oid *types, Datum *values, bool *isnull)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		result = (Datum) 0;
	int			guc_level = compat_restrict_search_path();

	citus_write_dates();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	*isnull = true;
	if (SPI_tuptable != NULL && SPI_processed > 0)
	{
		Oid			type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
		int16		len;
		bool		byval;
		MemoryContext spi;

		get_typlenbyval(type, &len, &byval);
		result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
		spi = MemoryContextSwitchTo(cxt);
		if (!*isnull)
			result = datumCopy(result, byval, len);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
	return result;
}

/*
 * The same of a boolean: is it true?
 */
bool
citus_query_bool(const char *sql, int nargs, Oid *types, Datum *values)
{
	bool		isnull;
	Datum		result = citus_query(sql, nargs, types, values, &isnull);

	return !isnull && DatumGetBool(result);
}

/*
 * Does Citus distribute a table by the hash of this column?
 */
bool
citus_is_distributed_by(Oid relid, const char *column)
{
	Oid			types[] = {REGCLASSOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(column)};

	return citus_is_loaded() &&
		citus_query_bool("SELECT partmethod = 'h' AND column_to_column_name(logicalrelid, partkey) = $2"
						 " FROM pg_dist_partition WHERE logicalrelid = $1",
						 2, types, values);
}

/*
 * Are two tables distributed alike, by hash?
 */
bool
citus_is_colocated(Oid relid, Oid other)
{
	Oid			types[] = {REGCLASSOID, REGCLASSOID};
	Datum		values[] = {ObjectIdGetDatum(relid), ObjectIdGetDatum(other)};

	return citus_query_bool("SELECT true FROM pg_dist_partition AS a, pg_dist_partition AS b"
							" WHERE a.logicalrelid = $1 AND b.logicalrelid = $2 AND a.colocationid = b.colocationid"
							" AND a.partmethod = 'h' AND b.partmethod = 'h'",
							2, types, values);
}

/*
 * The shard that a key belongs to, wherever it is; 0 if there is none.  As the table's
 * owner, as Citus asks for the right to read all of it.
 */
int64
citus_shard_of(Relation rel, KeyType *kt, Datum key)
{
	static const char *const name = "get_shard_id_for_distribution_column";
	Oid			argtypes[] = {REGCLASSOID, ANYOID};
	Oid			funcid = LookupFuncName(list_make2(makeString("pg_catalog"),
												   makeString(pstrdup(name))),
										2, argtypes, false);
	int16		len;
	bool		byval;
	FmgrInfo	function;
	Oid			userid;
	int			sec_context;
	int64		result;

	/* it has to find out the type of its argument */
	get_typlenbyval(kt->type, &len, &byval);
	fmgr_info(funcid, &function);
	fmgr_info_set_expr((Node *) makeFuncExpr(funcid, INT8OID,
											 list_make2(makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
																  ObjectIdGetDatum(RelationGetRelid(rel)), false, true),
														makeConst(kt->type, -1, kt->collation, len, key, false, byval)),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &function);
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	result = DatumGetInt64(FunctionCall2(&function,
										 ObjectIdGetDatum(RelationGetRelid(rel)), key));
	SetUserIdAndSecContext(userid, sec_context);
	return result;
}

/*
 * The shard of a distributed table that a key belongs to, if it is on this node, and will be
 * until the end of the transaction; else InvalidOid.  Who only reads takes no lock, and a
 * snapshot after this: so the rows of a shard that has just arrived are there, and those of
 * one that leaves are what they were.
 *
 * To wait for a shard that is about to move is to wait for DDL: lock_wait does not apply.
 */
Oid
citus_local_shard(Relation rel, KeyType *kt, Datum key, bool to_read)
{
	int64		shard;
	int64		before;

	if (!citus_is_loaded() ||
		GetCurrentLocalExecutionStatus() == LOCAL_EXECUTION_DISABLED)
		return InvalidOid;
	shard = citus_shard_of(rel, kt, key);
	do
	{
		if (shard == 0)
			return InvalidOid;
		if (to_read)
			break;
		LockShardDistributionMetadata(shard, ShareLock);
		before = shard;
		shard = citus_shard_of(rel, kt, key);
	} while (shard != before);	/* split while we waited */
	if (ActiveShardPlacementOnGroup(GetLocalGroupId(), shard) == NULL)
		return InvalidOid;

	/* later statements must see what is written here, by no other connection */
	if (!to_read)
		SetLocalExecutionStatus(LOCAL_EXECUTION_REQUIRED);
	return GetTableLocalShardOid(RelationGetRelid(rel), shard);
}

/*
 * The shard for a key of a table of sales, which must be distributed as the stock table
 * whose shard is locked; else InvalidOid.
 */
Oid
citus_shard_beside(Relation rel, Oid stock_table, KeyType *kt, Datum key)
{
	int64		shard;

	if (!citus_is_colocated(RelationGetRelid(rel), stock_table))
		return InvalidOid;
	shard = citus_shard_of(rel, kt, key);
	return shard == 0 ? InvalidOid :
		GetTableLocalShardOid(RelationGetRelid(rel), shard);
}

/*
 * Is a relation a shard, which only Citus knows when it may be written?
 */
bool
citus_is_shard(Oid relid)
{
	return citus_is_installed() && RelationIsAKnownShard(relid);
}

/*
 * Has another node sent us here?
 */
bool
citus_is_sent(void)
{
	return citus_is_loaded() && IsCitusInternalBackend();
}

/*
 * To the end of the current level of settings, let SQL write shards by their own names.
 */
void
citus_let_write_shards(void)
{
	(void) set_config_option("citus.enable_manual_changes_to_shards", "on",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * How many rows a distributed table has.
 */
int64
citus_count_rows(Oid relid)
{
	bool		isnull;

	return DatumGetInt64(citus_query(psprintf("SELECT count(*) FROM %s", relation_name(relid)),
									 0, NULL, NULL, &isnull));
}

/*
 * Run a command on all other nodes, in this transaction.
 */
void
citus_send_to_workers(const char *command)
{
	SendCommandToWorkersWithMetadata(command);
}
