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
static struct
{
	int32		(*GetLocalGroupId) (void);
	void		(*LockShardDistributionMetadata) (int64 shard, LOCKMODE mode);
	void	   *(*ActiveShardPlacementOnGroup) (int32 group, uint64 shard);
	Oid			(*GetTableLocalShardOid) (Oid relid, uint64 shard);
	int			(*GetCurrentLocalExecutionStatus) (void);
	void		(*SetLocalExecutionStatus) (int status);
	void		(*SendCommandToWorkersWithMetadata) (const char *command);
} citus;

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
#define FIND(name) \
	found = found && (*(void **) &citus.name = dlsym(RTLD_DEFAULT, #name)) != NULL
	FIND(GetLocalGroupId);
	FIND(LockShardDistributionMetadata);
	FIND(ActiveShardPlacementOnGroup);
	FIND(GetTableLocalShardOid);
	FIND(GetCurrentLocalExecutionStatus);
	FIND(SetLocalExecutionStatus);
	FIND(SendCommandToWorkersWithMetadata);
#undef FIND
	return found;
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
 * Run a query and return the only column of its only row.
 */
Datum
citus_query(const char *sql, int nargs, Oid *types, Datum *values, bool *isnull)
{
	MemoryContext cxt = CurrentMemoryContext;
	Datum		result = (Datum) 0;
	int			guc_level = compat_restrict_search_path();

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
 * Does Citus distribute a table by the hash of this column?
 */
bool
citus_is_distributed_by(Oid relid, const char *column)
{
	Oid			types[] = {REGCLASSOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(column)};
	bool		isnull;
	Datum		result;

	if (!citus_is_loaded())
		return false;
	result = citus_query("SELECT partmethod = 'h' AND column_to_column_name(logicalrelid, partkey) = $2"
						 " FROM pg_dist_partition WHERE logicalrelid = $1",
						 2, types, values, &isnull);
	return !isnull && DatumGetBool(result);
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
 * until the end of the transaction; else InvalidOid.
 *
 * To wait for a shard that is about to move is to wait for DDL: lock_wait does not apply.
 */
Oid
citus_local_shard(Relation rel, KeyType *kt, Datum key)
{
	int64		shard;
	int64		before;

	if (!citus_is_loaded() ||
		citus.GetCurrentLocalExecutionStatus() == LOCAL_EXECUTION_DISABLED)
		return InvalidOid;
	shard = citus_shard_of(rel, kt, key);
	do
	{
		if (shard == 0)
			return InvalidOid;
		citus.		LockShardDistributionMetadata(shard, ShareLock);

		before = shard;
		shard = citus_shard_of(rel, kt, key);
	} while (shard != before);	/* split while we waited */
	if (citus.ActiveShardPlacementOnGroup(citus.GetLocalGroupId(), shard) == NULL)
		return InvalidOid;

	/*
	 * later statements must see what is written here: none by another
	 * connection
	 */
	citus.		SetLocalExecutionStatus(LOCAL_EXECUTION_REQUIRED);
	return citus.GetTableLocalShardOid(RelationGetRelid(rel), shard);
}

/*
 * The same of a table that is distributed as one whose shard is already locked.
 */
Oid
citus_shard_beside(Relation rel, KeyType *kt, Datum key)
{
	int64		shard = citus_shard_of(rel, kt, key);

	return shard == 0 ? InvalidOid :
		citus.		GetTableLocalShardOid(RelationGetRelid(rel), shard);
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
 * How many rows a distributed table has, read as its owner.
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
	citus.		SendCommandToWorkersWithMetadata(command);
}
