/*
 * row_find.c
 *	  The row engine: a row is found.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "commit.h"
#include "compat.h"
#include "row.h"
#include "stock.h"

/* A page without room for so many more versions of a row is crowded. */
#define ROOM 4

/*
 * Has a row's page little room left?  A guess if the page is not locked.
 */
static bool
is_crowded(Buffer buffer, HeapTuple version)
{
	Page		page = BufferGetPage(buffer);

	return PageIsFull(page) ||
		PageGetHeapFreeSpace(page) < ROOM * MAXALIGN(version->t_len);
}

/*
 * Take a version of a line's row, palloc'd, as what is known of it.  Its page is
 * pinned.
 */
void
row_take(Cart *cart, Line *line, HeapTuple version, Buffer buffer)
{
	StockTable *st = cart->table.st;
	RowLine    *row = row_of(cart, line);
	Datum		value = heap_getattr(version, st->stock_attno,
									 RelationGetDescr(cart->table.rel),
									 &line->stock_isnull);

	if (row->version != NULL)
		heap_freetuple(row->version);
	row->version = version;
	row->crowded = is_crowded(buffer, version);
	row->page_lsn = BufferGetLSNAtomic(buffer);
	line->stock = line->stock_isnull ? 0 : stock_value(value, st->stock_type);
}

/*
 * Does nobody hold this version?  Asked while its page is locked.  A guess, as
 * that may change at once; and if there are several lockers, "no".
 */
static bool
is_free(HeapTupleHeader version)
{
	if (version->t_infomask & HEAP_XMAX_INVALID)
		return true;
	return HEAP_XMAX_IS_LOCKED_ONLY(version->t_infomask) &&
		(version->t_infomask & HEAP_XMAX_IS_MULTI) == 0 &&
		!TransactionIdIsInProgress(HeapTupleHeaderGetRawXmax(version));
}

/*
 * The same for a row with several lockers, which order lines make of a hot product.
 *
 * No, if one of them is this transaction, whatever its lock.  FOR KEY SHARE is not in
 * the way of the backends that queue, but it may be in the way of one that wants the
 * row FOR UPDATE, and for which the head of the queue waits.
 */
static bool
is_contended_multi(HeapTupleHeader version)
{
	MultiXactMember *members;
	int			n;
	bool		others = false;
	bool		own = false;

	if (HEAP_LOCKED_UPGRADED(version->t_infomask))
		return false;
	n = GetMultiXactIdMembers(HeapTupleHeaderGetRawXmax(version), &members,
							  false,
							  HEAP_XMAX_IS_LOCKED_ONLY(version->t_infomask));
	for (int i = 0; i < n && !own; i++)
	{
		if (TransactionIdIsCurrentTransactionId(members[i].xid))
			own = true;
		else if (members[i].status > MultiXactStatusForKeyShare && !others)
			others = TransactionIdIsInProgress(members[i].xid);
	}
	if (n > 0)
		pfree(members);
	return others && !own;
}

/*
 * Is another transaction about to commit a new version of this row, or does it
 * hold a lock that an update has to wait for?  Asked while its page is locked.
 */
static bool
is_contended(HeapTupleHeader version)
{
	TransactionId xmax = HeapTupleHeaderGetRawXmax(version);

	if (version->t_infomask & HEAP_XMAX_INVALID)
		return false;
	if (version->t_infomask & HEAP_XMAX_IS_MULTI)
		return is_contended_multi(version);
	if (HEAP_XMAX_IS_LOCKED_ONLY(version->t_infomask) &&
		HEAP_XMAX_IS_KEYSHR_LOCKED(version->t_infomask))
		return false;
	return !TransactionIdIsCurrentTransactionId(xmax) &&
		TransactionIdIsInProgress(xmax);
}

/*
 * Fetch the version that the scan's snapshot sees, of the row whose index
 * entry the scan has come to.
 *
 * This is index_fetch_heap(), except that it does not prune the page.  That
 * function prunes whenever less than a tenth of the page is free.  A sale would
 * prune nearly every time, to remove only the version before, and that costs more
 * than the rest of the sale.  make_room() prunes when room is needed.
 */
static LookResult
fetch_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	Relation	rel = cart->table.rel;
	RowLine    *row = row_of(cart, line);
	ItemPointerData tid = scan->xs_heaptid;
	Buffer		buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(&tid));
	HeapTupleData tuple;
	bool		all_dead;
	LookResult	result = LOOK_NONE;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (heap_hot_search_buffer(&tid, rel, buffer, scan->xs_snapshot, &tuple,
							   &all_dead, true))
	{
		result = cart->verb != VERB_READ && is_free(tuple.t_data) ? LOOK_FREE :
			LOOK_FOUND;
		row->contended = result == LOOK_FOUND &&
			cart->verb != VERB_READ && is_contended(tuple.t_data);
		row->root = scan->xs_heaptid;
		row_take(cart, line, heap_copytuple(&tuple), buffer);
		pgstat_count_heap_fetch(scan->indexRelation);
	}
	UnlockReleaseBuffer(buffer);

	if (!scan->xactStartedInRecovery)
		scan->kill_prior_tuple = all_dead;
	return result;
}

/*
 * Find the line's row with a scan.  An MVCC scan: it takes the predicate locks
 * of SERIALIZABLE, which a dirty one would not.
 */
static LookResult
find_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	KeyType    *kt = &cart->table.st->key_type;
	ScanKeyData key;
	LookResult	result = LOOK_NONE;

	ScanKeyEntryInitializeWithInfo(&key, 0, 1, BTEqualStrategyNumber,
								   kt->eq_subtype, kt->collation, &kt->eq,
								   line->key);
	index_rescan(scan, &key, 1, NULL, 0);
	while (result == LOOK_NONE &&
		   index_getnext_tid(scan, ForwardScanDirection) != NULL)
		result = fetch_row(cart, line, scan);
	return result;
}

/*
 * Look with the snapshot of the call.
 */
LookResult
row_look(Cart *cart, Line *line)
{
	return find_row(cart, line, ((RowState *) cart->engine_state)->scan);
}

/*
 * Look with the active snapshot, a later one.
 */
bool
row_find_latest(Cart *cart, Line *line)
{
	IndexScanDesc scan = compat_index_beginscan(cart->table.rel,
												cart->table.index,
												GetActiveSnapshot());
	bool		found = find_row(cart, line, scan) != LOOK_NONE;

	index_endscan(scan);
	return found;
}

void
row_wait_flushed(Cart *cart, Line *line)
{
	RowLine    *row = row_of(cart, line);

	commit_wait_flushed(row->version->t_data, row->page_lsn);
}
