/*
 * blockers.c
 *	  Who holds or waits for a product.
 *
 * The row's header tells which transactions hold it, and pg_locks which backends these are.
 * Who waits has, or wants, one of two locks that are named after the row: core's lock of one
 * of its versions, or a place in our queue, see row_lock.c.  But who comes to a version that
 * is not the first one, and to one that is being changed, may wait for that transaction with
 * neither.  Of these it can't be told for which of the holder's rows in this table they wait.
 *
 * Nothing is locked that a sale would have to wait for, and nothing is waited for that a sale
 * could wait for.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
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
	List	   *tables;			/* OIDs: the stock table, what is below it,
								 * and their indexes */
	bool		locked;			/* one of these can't be read now */
	Oid			relid;			/* the table that has the row */
	ItemPointerData tid;		/* of the row's latest version; invalid if a
								 * table is locked */
	OffsetNumber root;			/* of its HOT chain, on the same page */

	/* Datums of text */
	List	   *versions;		/* of the row, for which somebody waits: TIDs */
	List	   *holders;		/* transactions, with their top ones */
} Place;

static void
add_version(Place *place, ItemPointer tid)
{
	place->versions = lappend(place->versions,
							  cstring_to_text(psprintf("(%u,%u)", ItemPointerGetBlockNumber(tid),
													   ItemPointerGetOffsetNumber(tid))));
}

/*
 * Who has waited for a version, and finds that it was updated, keeps core's lock on that one
 * while it waits for the next.  So look at all versions that are locked: it is the key that
 * tells whose they are.  That somebody waits for one keeps it from being pruned.
 */
static void
find_versions(Cart *cart, Place *place, Relation rel)
{
	StockTable *st = cart->table.st;
	AttrNumber	attno = get_attnum(place->relid, st->target_key);
	LockData   *data = GetLockStatusData();

	add_version(place, &place->tid);
	for (int i = 0; i < data->nelements; i++)
	{
		LOCKTAG    *tag = &data->locks[i].locktag;
		HeapTupleData tuple;
		Buffer		buffer;

		if (tag->locktag_type != LOCKTAG_TUPLE || tag->locktag_field1 != MyDatabaseId ||
			tag->locktag_field2 != place->relid)
			continue;
		ItemPointerSet(&tuple.t_self, tag->locktag_field3, tag->locktag_field4);
		if (heap_fetch(rel, SnapshotAny, &tuple, &buffer, false))
		{
			bool		isnull;
			Datum		key = heap_getattr(&tuple, attno, RelationGetDescr(rel), &isnull);

			if (!isnull && key_equals(&st->key_type, key, cart->lines->key))
				add_version(place, &tuple.t_self);
			ReleaseBuffer(buffer);
		}
	}
}

/*
 * Who waits for a subtransaction waits for that, and not for the top one, as long as it is
 * open.
 */
static void
add_holder(void *arg, TransactionId xid)
{
	Place	   *place = arg;

	if (!TransactionIdIsInProgress(xid))
		return;
	place->holders = lappend(place->holders, cstring_to_text(psprintf("%u", xid)));
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
		find_versions(cart, place, rel);
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
	place->tables = list_append_unique_oid(place->tables, RelationGetRelid(cart->table.named));
	place->tables = list_append_unique_oid(place->tables, RelationGetRelid(cart->table.rel));
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
	place->tables = list_append_unique_oid(place->tables, place->relid);
	cart_close(cart);
}

/*
 * Lock a relation as who reads it does, but without waiting.  False if it is locked, or was
 * locked before.
 */
static bool
try_lock(Place *place, Oid relid)
{
	if (list_member_oid(place->tables, relid))
		return false;
	place->tables = lappend_oid(place->tables, relid);
	if (ConditionalLockRelationOid(relid, AccessShareLock))
		return true;
	place->locked = true;
	return false;
}

static void try_lock_all(Place *place, Oid relid);

static bool
try_lock_walker(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION)
				try_lock_all(arg, rte->relid);
		}
		return query_tree_walker(query, try_lock_walker, arg, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, try_lock_walker, arg);
}

/*
 * The same with all that is below it, and the indexes: all that the row may have to be looked
 * for in, by a sale as well.
 */
static void
try_lock_all(Place *place, Oid relid)
{
	Relation	rel;
	List	   *below;
	ListCell   *lc;

	check_stack_depth();
	if (!try_lock(place, relid))
		return;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return;					/* dropped meanwhile */
	if (rel->rd_rel->relkind == RELKIND_VIEW)
		(void) try_lock_walker((Node *) get_view_query(rel), place);
	below = RelationGetIndexList(rel);
	foreach(lc, below)
		(void) try_lock(place, lfirst_oid(lc));
	below = find_inheritance_children(relid, NoLock);
	foreach(lc, below)
		try_lock_all(place, lfirst_oid(lc));
	relation_close(rel, NoLock);
}

/*
 * $1 are tables and indexes, $2 the one that has the row, or null, $3 its page, $4 its
 * versions, $5 the offset of its root, $6 the holders, $7 the database, $8 the bits of an
 * offset in the name of a queue.
 *
 * A prepared transaction has no pid, but the virtual transaction of its locks names it.
 * pg_blocking_pids() has 0 for all of them.
 */
static const char blockers_query[] =
"WITH locks AS MATERIALIZED (SELECT * FROM pg_locks),"
" blocking AS MATERIALIZED ("
"  SELECT unnest(pg_blocking_pids(pid)) AS pid FROM locks"
"  WHERE NOT granted AND locktype = 'relation' AND relation = ANY ($1) AND database = $7),"
" found AS ("
"  SELECT pid, virtualtransaction, CASE"
"   WHEN locktype = 'transactionid' THEN"
"    CASE WHEN transactionid::text <> ALL ($6) THEN NULL"
"     WHEN granted THEN 'holds'"
"     WHEN (SELECT bool_and(l.locktype = 'relation') FROM locks AS l"
"           WHERE l.virtualtransaction = locks.virtualtransaction AND l.database = $7"
"            AND (l.relation = $2 OR l.locktype = 'userlock' AND l.classid = $2))"
"      THEN 'waits' END"
"   WHEN database <> $7 THEN NULL"
"   WHEN locktype = 'relation' AND relation = ANY ($1) THEN"
"    CASE WHEN NOT granted THEN 'waits'"
"     WHEN mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"
"      OR pid IS NULL AND EXISTS (SELECT FROM blocking WHERE blocking.pid = 0)"
"      THEN 'locks table' END"
"   WHEN locktype = 'tuple' AND relation = $2"
"    AND '(' || page || ',' || tuple || ')' = ANY ($4) THEN 'waits'"
"   WHEN locktype = 'userlock' AND classid = $2 AND objid::int8 = $3"
"    AND objsubid::int4 & $8 = $5 THEN 'waits'"
"   END AS role"
"  FROM locks"
"  UNION ALL SELECT pid, NULL, 'locks table' FROM blocking)"
" SELECT pid, role,"
"  CASE role WHEN 'waits' THEN COALESCE((SELECT min(waitstart) FROM locks WHERE locks.pid = a.pid), query_start)"
"   ELSE xact_start END AS since,"
"  usename, application_name, client_addr, state, query"
" FROM (SELECT pid, min(role) AS role FROM found WHERE role IS NOT NULL GROUP BY pid) AS b"
"  JOIN pg_stat_activity AS a USING (pid)"
" UNION ALL"
" SELECT NULL, min(role), prepared, owner, NULL, NULL, 'prepared', 'PREPARE TRANSACTION ' || quote_literal(gid)"
" FROM found JOIN locks USING (virtualtransaction) JOIN pg_prepared_xacts ON transaction = transactionid"
" WHERE role IS NOT NULL AND found.pid IS NULL AND locks.pid IS NULL"
" GROUP BY prepared, owner, gid"
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
	Oid			types[] = {OIDARRAYOID, OIDOID, INT8OID, TEXTARRAYOID, INT4OID, TEXTARRAYOID, OIDOID, INT4OID};
	Datum		values[] = {
		array_of(place->tables, OIDOID),
		ObjectIdGetDatum(place->relid),
		Int64GetDatum(has_row ? ItemPointerGetBlockNumber(&place->tid) : 0),
		array_of(place->versions, TEXTOID),
		Int32GetDatum(place->root),
		array_of(place->holders, TEXTOID),
		ObjectIdGetDatum(MyDatabaseId),
		Int32GetDatum(QUEUE_FOR_UPDATE - 1),
	};
	int			guc_level = compat_restrict_search_path();

	SPI_connect();
	if (SPI_execute_with_args(blockers_query, lengthof(types), types, values,
							  has_row ? NULL : " nn n   ", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the locks");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

/*
 * Who may read nothing of the table is not to keep locks on it, nor on what is below.  Which
 * columns it takes, find_row() asks.
 */
static void
check_may_read(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name != NULL &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), name);
}

/*
 * Who holds the cart's only product, or waits for it?  If the table is locked, or anything
 * that the row must be looked for in, who has locked that: to look would be to wait, too.
 */
void
blockers_find(Cart *cart, ReturnSetInfo *result)
{
	Registration registration = {.relid = cart->stock_table};
	Place		place = {.tables = NIL};

	cart->verb = VERB_READ;
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot tell who holds a product during recovery"),
				 errhint("This server is a standby: connect to its primary.")));
	if (registration_find(cart->self, &registration))
	{
		check_may_read(registration.relid);
		try_lock_all(&place, registration.relid);
	}
	if (!place.locked)
		find_row(cart, &place);
	find_backends(&place, result);
}
