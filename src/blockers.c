/*
 * blockers.c
 *	  Who holds or waits for a product.
 *
 * The row's header tells which transactions hold it, and pg_locks which backends these are.
 * Who waits has, or wants, one of two locks that are named after the row: core's tuple lock,
 * or a place in our queue, see row_lock.c.  Nothing is locked that a sale would have to wait
 * for.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "blockers.h"
#include "cart.h"
#include "compat.h"
#include "row.h"

/* What is to be found in pg_locks. */
typedef struct Place
{
	List	   *tables;			/* OIDs: the stock table, its shard or
								 * partition */
	Oid			relid;			/* of these, the one that has the row */
	ItemPointerData tid;		/* of the row's version; invalid if the table
								 * is locked */
	OffsetNumber root;			/* of its HOT chain, on the same page */
	List	   *holders;		/* transactions, top ones, as Datums of text */
} Place;

static void
add_holder(void *arg, TransactionId xid)
{
	Place	   *place = arg;

	if (TransactionIdIsInProgress(xid))
		place->holders = lappend(place->holders,
								 cstring_to_text(psprintf("%u", SubTransGetTopmostTransaction(xid))));
}

/*
 * Read the header of the version that was found; false if it is in no local heap.
 */
static bool
read_version(Cart *cart, Place *place)
{
	Relation	rel = table_open(place->relid, AccessShareLock);
	HeapTupleData tuple = {.t_self = place->tid};
	OffsetNumber roots[MaxHeapTuplesPerPage];
	Buffer		buffer;
	bool		found = rel->rd_tableam == GetHeapamTableAmRoutine() &&
		heap_fetch(rel, SnapshotAny, &tuple, &buffer, false);

	if (found)
	{
		OffsetNumber offset = ItemPointerGetOffsetNumber(&place->tid);
		HeapTuple	version;

		/* who locks a version writes its header in several steps */
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		version = heap_copytuple(&tuple);
		heap_get_root_tuples(BufferGetPage(buffer), roots);
		UnlockReleaseBuffer(buffer);
		place->root = OffsetNumberIsValid(roots[offset - 1]) ? roots[offset - 1] : offset;
		row_each_holder(cart->table.st, version->t_data, add_holder, place);
		/* one's own version is seen by oneself */
		add_holder(place, HeapTupleHeaderGetXmin(version->t_data));
	}
	table_close(rel, NoLock);
	return found;
}

pg_noreturn static void raise_unknown(Cart *cart);

static void
raise_unknown(Cart *cart)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot tell who holds product %s", cart_line_name(cart, cart->lines)),
			 errdetail("The row of table \"%s\" is on another server, or it is not known in which table.",
					   RelationGetRelationName(cart->table.named)),
			 errtable(cart->table.named)));
}

/*
 * Find the row of the cart's only line, if the user may see it, and its holders.
 */
static void
find_row(Cart *cart, Place *place)
{
	Line	   *line = cart->lines;
	StockTable *st;
	bool		found;

	cart_open(cart);
	st = cart->table.st;
	place->tables = list_make2_oid(RelationGetRelid(cart->table.named),
								   RelationGetRelid(cart->table.rel));
	if ((st->sql_reasons & (SQL_REASON(SQL_CITUS) | SQL_REASON(SQL_FOREIGN_TABLE))) != 0)
		raise_unknown(cart);
	line->no_such_key = !key_from_product(&st->key_type, line->product,
										  cart->product_type, &line->key);
	line->outcome = OUTCOME_PRODUCT_NOT_FOUND;
	if (line->no_such_key)
		cart_raise(cart);

	/* this engine knows all kinds of tables */
	cart->engine = &engine_sql;
	PushActiveSnapshot(GetLatestSnapshot());
	cart->engine->open(cart);
	if (cart->engine->look(cart, line) == LOOK_NONE)
		cart_raise(cart);
	found = engine_sql_find_version(cart, line, &place->relid, &place->tid);
	cart->engine->close(cart);

	/* not earlier: what it allocates would go with the engine's context */
	found = found && read_version(cart, place);
	PopActiveSnapshot();
	if (!found)
		raise_unknown(cart);
	place->tables = lappend_oid(place->tables, place->relid);
	cart_close(cart);
}

/*
 * $1 are tables, $2 the one that has the row, $3 the page, $4 the offset of its version, or
 * null, $5 that of its root, $6 the holders, $7 the database, $8 the bits of an offset in
 * the name of a queue.
 */
static const char blockers_query[] =
"WITH locks AS MATERIALIZED (SELECT * FROM pg_locks),"
" found AS ("
"  SELECT pid, CASE"
"   WHEN locktype = 'transactionid' THEN"
"    CASE WHEN granted AND transactionid::text = ANY ($6) THEN 'holds' END"
"   WHEN database <> $7 THEN NULL"
"   WHEN locktype = 'relation' AND relation = ANY ($1) THEN"
"    CASE WHEN NOT granted THEN 'waits'"
"     WHEN mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"
"      THEN 'locks table' END"
"   WHEN locktype = 'tuple' AND relation = $2 AND page = $3 AND tuple = $4 THEN 'waits'"
"   WHEN locktype = 'userlock' AND classid = $2 AND objid::int8 = $3"
"    AND objsubid::int4 & $8 = $5 THEN 'waits'"
"   END AS role"
"  FROM locks WHERE pid IS NOT NULL"
"  UNION ALL"
"  SELECT unnest(pg_blocking_pids(pid)), 'locks table' FROM locks"
"  WHERE NOT granted AND locktype = 'relation' AND relation = ANY ($1) AND database = $7)"
" SELECT pid, role,"
"  CASE role WHEN 'waits' THEN COALESCE((SELECT min(waitstart) FROM locks WHERE locks.pid = a.pid), query_start)"
"   ELSE xact_start END AS since,"
"  usename, application_name, client_addr, state, query"
" FROM (SELECT pid, min(role) AS role FROM found WHERE role IS NOT NULL GROUP BY pid) AS b"
"  JOIN pg_stat_activity AS a USING (pid)"
" UNION ALL"
" SELECT NULL, 'holds', prepared, owner, NULL, NULL, 'prepared', 'PREPARE TRANSACTION ' || quote_literal(gid)"
"  FROM pg_prepared_xacts WHERE transaction::text = ANY ($6)"
" ORDER BY role, since, pid";

static Datum
array_of(List *values, Oid type)
{
	Datum	   *elements = palloc(Max(list_length(values), 1) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, values)
		elements[foreach_current_index(lc)] = type == OIDOID ?
		ObjectIdGetDatum(lfirst_oid(lc)) : PointerGetDatum(lfirst(lc));
	return PointerGetDatum(type == OIDOID ?
						   construct_array(elements, list_length(values), OIDOID, sizeof(Oid), true, TYPALIGN_INT) :
						   construct_array(elements, list_length(values), TEXTOID, -1, false, TYPALIGN_INT));
}

static void
find_backends(Place *place, ReturnSetInfo *result)
{
	bool		has_row = ItemPointerIsValid(&place->tid);
	Oid			types[] = {OIDARRAYOID, OIDOID, INT8OID, INT4OID, INT4OID, TEXTARRAYOID, OIDOID, INT4OID};
	Datum		values[] = {
		array_of(place->tables, OIDOID),
		ObjectIdGetDatum(place->relid),
		Int64GetDatum(has_row ? ItemPointerGetBlockNumber(&place->tid) : 0),
		Int32GetDatum(has_row ? ItemPointerGetOffsetNumber(&place->tid) : 0),
		Int32GetDatum(place->root),
		array_of(place->holders, TEXTOID),
		ObjectIdGetDatum(MyDatabaseId),
		Int32GetDatum(QUEUE_FOR_UPDATE - 1),
	};
	int			guc_level = compat_restrict_search_path();

	SPI_connect();
	if (SPI_execute_with_args(blockers_query, lengthof(types), types, values,
							  has_row ? NULL : " nnnn   ", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the locks");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

/*
 * Who holds the cart's only product, or waits for it?  If the table is locked, who has locked
 * it: to open it would be to wait, too.
 */
void
blockers_find(Cart *cart, ReturnSetInfo *result)
{
	Registration registration = {.relid = cart->stock_table};
	Place		place = {.tables = NIL};

	cart->verb = VERB_READ;
	if (registration_find(cart->self, &registration) &&
		!ConditionalLockRelationOid(registration.relid, AccessShareLock))
		place.tables = list_make1_oid(registration.relid);
	else
		find_row(cart, &place);
	find_backends(&place, result);
}
