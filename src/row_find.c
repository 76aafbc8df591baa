/*
 * row_find.c
 *	  The row engine: a row is found.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "row.h"

/* So many more versions of a row its page shall have room for. */
#define ROOM 4

/*
 * Take a version of a line's row, palloc'd, as what is known of it.
 */
void
set_row(Cart *cart, Line *line, HeapTuple row)
{
	bool		isnull;
	Datum		value = heap_getattr(row, cart->st->stock_attno,
									 RelationGetDescr(cart->rel), &isnull);

	if (line->row != NULL)
		heap_freetuple(line->row);
	line->row = row;
	line->stock_known = !isnull;
	line->stock = isnull ? 0 : stock_value(value, cart->st->stock_type);
}

/*
 * Does nobody hold this row?  Asked while its page is locked.  A guess, as
 * that may change at once; and if there are several lockers, "no".
 */
static bool
is_free(HeapTupleHeader row)
{
	if (row->t_infomask & HEAP_XMAX_INVALID)
		return true;
	return HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
		(row->t_infomask & HEAP_XMAX_IS_MULTI) == 0 &&
		!TransactionIdIsInProgress(HeapTupleHeaderGetRawXmax(row));
}

/*
 * Is another transaction about to commit a new version of this row, or does it
 * hold a lock that an update has to wait for?  Asked while its page is locked.
 * If there are several lockers, "no", as we may be one of them.
 */
static bool
is_contended(HeapTupleHeader row)
{
	TransactionId xmax = HeapTupleHeaderGetRawXmax(row);

	if ((row->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) != 0)
		return false;
	if (HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
		HEAP_XMAX_IS_KEYSHR_LOCKED(row->t_infomask))
		return false;
	return !TransactionIdIsCurrentTransactionId(xmax) &&
		TransactionIdIsInProgress(xmax);
}

/*
 * Has a row's page little room left?  A guess if the page is not locked.
 */
bool
is_crowded(Buffer buffer, HeapTuple row)
{
	Page		page = BufferGetPage(buffer);

	return PageIsFull(page) ||
		PageGetHeapFreeSpace(page) < ROOM * MAXALIGN(row->t_len);
}

/*
 * Fetch the version that the scan's snapshot sees, of the row whose index
 * entry the scan has come to.
 *
 * This is index_fetch_heap(), but that it does not prune the page.  Who visits
 * a page to read all of it may well do that whenever less than a tenth of it is
 * left; a sale would do it nearly every time, for the one version before, and
 * it is dearer than all the rest.  make_room() does it when room is needed.
 */
static bool
fetch_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	ItemPointerData tid = scan->xs_heaptid;
	Buffer		buffer = ReadBuffer(cart->rel, ItemPointerGetBlockNumber(&tid));
	HeapTupleData tuple;
	bool		all_dead;
	bool		found;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, cart->rel, buffer, scan->xs_snapshot,
								   &tuple, &all_dead, true);
	if (found)
	{
		line->free = cart->verb != VERB_READ && is_free(tuple.t_data);
		line->contended = !line->free && is_contended(tuple.t_data);
		line->crowded = is_crowded(buffer, &tuple);
		line->root = scan->xs_heaptid;
		set_row(cart, line, heap_copytuple(&tuple));
		pgstat_count_heap_fetch(scan->indexRelation);
	}
	UnlockReleaseBuffer(buffer);

	if (!scan->xactStartedInRecovery)
		scan->kill_prior_tuple = all_dead;
	return found;
}

/*
 * Find the line's row with a scan.  An MVCC scan: it takes the predicate locks
 * of SERIALIZABLE, which a dirty one would not.
 */
static bool
find_row(Cart *cart, Line *line, IndexScanDesc scan)
{
	StockTable *st = cart->st;
	ScanKeyData key;

	ScanKeyEntryInitializeWithInfo(&key, 0, 1, BTEqualStrategyNumber,
								   st->eq_subtype, st->key_collation, &st->eq,
								   line->key);
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_tid(scan, ForwardScanDirection) != NULL)
		if (fetch_row(cart, line, scan))
			return true;
	return false;
}

bool
row_look(Cart *cart, Line *line)
{
	return find_row(cart, line,
					((RowState *) cart->engine_state)->scan);
}

/*
 * Look again, with a snapshot that sees what was committed since the call
 * began.  The old snapshot stays: other lines' versions depend on it.
 */
bool
look_again(Cart *cart, Line *line)
{
	IndexScanDesc scan;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	PushActiveSnapshot(GetTransactionSnapshot());
	scan = compat_index_beginscan(cart->rel, cart->index, GetActiveSnapshot());
	found = find_row(cart, line, scan);
	index_endscan(scan);
	return found;
}
