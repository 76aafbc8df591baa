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
	bool		isnull;

	if (row->version != NULL)
		heap_freetuple(row->version);
	row->version = version;
	row->crowded = is_crowded(buffer, version);
	row->page_lsn = BufferGetLSNAtomic(buffer);
	line->stock = line->stock_isnull ? 0 : stock_value(value, st->stock_type);
	if (st->limit_attno == InvalidAttrNumber)
		return;
	value = heap_getattr(version, st->limit_attno, RelationGetDescr(cart->table.rel),
						 &isnull);
	line->limit = isnull ? -1 : Max(stock_value(value, st->limit_type), 0);
}

/*
 * Has the version that was taken the key that was asked for?
 */
bool
row_has_key(Cart *cart, Line *line)
{
	StockTable *st = cart->table.st;
	bool		isnull;
	Datum		key = heap_getattr(row_of(cart, line)->version, st->key_attno,
								   RelationGetDescr(cart->table.rel), &isnull);

	return !isnull && key_equals(&st->key_type, key, line->key);
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
 * Call a function with each transaction that has locked or changed a version in a way that a
 * sale has to wait for, be it over or not.  FOR KEY SHARE is in the way only of FOR
 * UPDATE.  It must agree with heap_lock_tuple(), or row_lock() would try again and again.  May
 * be asked while the version's page is locked.
 */
void
row_each_holder(StockTable *st, HeapTupleHeader version,
				void (*fn) (void *arg, TransactionId xid), void *arg)
{
	TransactionId xmax = HeapTupleHeaderGetRawXmax(version);
	bool		locked_only = HEAP_XMAX_IS_LOCKED_ONLY(version->t_infomask);
	MultiXactMember *members;
	int			n;

	if ((version->t_infomask & HEAP_XMAX_INVALID) ||
		HEAP_LOCKED_UPGRADED(version->t_infomask))
		return;
	if ((version->t_infomask & HEAP_XMAX_IS_MULTI) == 0)
	{
		if (st->stock_in_key || !locked_only ||
			!HEAP_XMAX_IS_KEYSHR_LOCKED(version->t_infomask))
			fn(arg, xmax);
		return;
	}
	n = GetMultiXactIdMembers(xmax, &members, false, locked_only);
	for (int i = 0; i < n; i++)
		if (st->stock_in_key || members[i].status != MultiXactStatusForKeyShare)
			fn(arg, members[i].xid);
	if (n > 0)
		pfree(members);
}

static void
note_holder(void *arg, TransactionId xid)
{
	RowLine    *row = arg;

	if (TransactionIdIsCurrentTransactionId(xid))
		row->own = true;
	else if (!TransactionIdIsValid(row->holder) &&
			 TransactionIdIsInProgress(xid))
		row->holder = xid;
}

/*
 * Find out who holds a version of a line's row, another one or ourselves.
 */
static void
find_holder(StockTable *st, RowLine *row, HeapTupleHeader version)
{
	row->holder = InvalidTransactionId;
	row->own = false;
	row_each_holder(st, version, note_holder, row);
}

/*
 * Fetch the version that a snapshot sees, of the row with this root.  The root's
 * buffer is pinned, and is so no more afterwards.
 *
 * This is index_fetch_heap(), except that it does not prune the page.  That
 * function prunes whenever less than a tenth of the page is free.  A sale would
 * prune nearly every time, to remove only the version before, and that costs more
 * than the rest of the sale.  make_room() prunes when room is needed.
 */
static LookResult
fetch_row(Cart *cart, Line *line, ItemPointerData root, Buffer buffer,
		  Snapshot snapshot, bool *all_dead)
{
	Relation	rel = cart->table.rel;
	RowLine    *row = row_of(cart, line);
	ItemPointerData tid = root; /* is moved along the HOT chain */
	HeapTupleData tuple;
	LookResult	result = LOOK_NONE;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (heap_hot_search_buffer(&tid, rel, buffer, snapshot, &tuple, all_dead,
							   true))
	{
		result = cart->verb != VERB_READ && is_free(tuple.t_data) ? LOOK_FREE :
			LOOK_FOUND;
		if (cart->verb != VERB_READ)
			find_holder(cart->table.st, row, tuple.t_data);
		row->contended = TransactionIdIsValid(row->holder);
		row->root = root;
		row_take(cart, line, heap_copytuple(&tuple), buffer);
	}
	UnlockReleaseBuffer(buffer);
	return result;
}

/*
 * Where the index led to for a key.
 *
 * Most calls of a flash sale are for a few products, and are refused.  To search the
 * index is more than half of such a call.  A row that is still where it was found is
 * fetched without: the index is neither locked nor opened.
 *
 * It is only a guess.  The buffer may hold another page by now, and the root may
 * have become another row's.  But a version that the snapshot sees and that has the
 * key is the row, as the key is unique.  If there is none, the index decides.
 */
typedef struct RowPlace
{
	uint32		hash;			/* of the key */
	Buffer		buffer;			/* InvalidBuffer for none */
	ItemPointerData root;
} RowPlace;

#define N_PLACES 1024			/* of a table, 16 kB */

static RowPlace *
place_of(StockTable *st, uint32 hash)
{
	if (st->places == NULL)
		st->places = MemoryContextAllocZero(st->cxt,
											N_PLACES * sizeof(RowPlace));
	return &st->places[hash % N_PLACES];
}

/*
 * Find the line's row where it was.  Not at SERIALIZABLE, where the index scan has
 * to take its predicate locks.
 */
static LookResult
find_in_place(Cart *cart, Line *line, RowPlace *place, uint32 hash)
{
	LookResult	result;

	if (!BufferIsValid(place->buffer) || place->hash != hash ||
		IsolationIsSerializable() ||
		!compat_read_recent_buffer(cart->table.rel,
								   ItemPointerGetBlockNumber(&place->root),
								   place->buffer))
		return LOOK_NONE;

	result = fetch_row(cart, line, place->root, place->buffer,
					   GetActiveSnapshot(), NULL);
	return result != LOOK_NONE && row_has_key(cart, line) ? result : LOOK_NONE;
}

/*
 * Find the line's row with a scan, and note the place.  An MVCC scan: it takes the
 * predicate locks of SERIALIZABLE, which a dirty one would not.
 *
 * Backwards, that is, pages at the end of the table first: a hot row often leaves a
 * full page for a new one.  Its old versions go with VACUUM only, if they have had
 * several lockers, and to go through them costs more than the rest of the sale.
 */
static LookResult
find_by_index(Cart *cart, Line *line, IndexScanDesc scan, RowPlace *place,
			  uint32 hash)
{
	KeyType    *kt = &cart->table.st->key_type;
	ScanKeyData key;
	ItemPointer root;
	LookResult	result = LOOK_NONE;

	ScanKeyEntryInitializeWithInfo(&key, 0, 1, BTEqualStrategyNumber,
								   kt->eq_subtype, kt->collation, &kt->eq,
								   line->key);
	index_rescan(scan, &key, 1, NULL, 0);
	while (result == LOOK_NONE &&
		   (root = index_getnext_tid(scan, BackwardScanDirection)) != NULL)
	{
		Buffer		buffer = ReadBuffer(cart->table.rel,
										ItemPointerGetBlockNumber(root));
		bool		all_dead;

		result = fetch_row(cart, line, *root, buffer, scan->xs_snapshot,
						   &all_dead);
		if (result != LOOK_NONE)
		{
			place->hash = hash;
			place->buffer = buffer;
			place->root = *root;
			pgstat_count_heap_fetch(scan->indexRelation);
		}
		if (!scan->xactStartedInRecovery)
			scan->kill_prior_tuple = all_dead;
	}
	return result;
}

/*
 * Find the line's row with the active snapshot.  The scan is begun if there is none.
 */
static LookResult
find_row(Cart *cart, Line *line, IndexScanDesc *scan)
{
	StockTable *st = cart->table.st;
	uint32		hash = key_hash(&st->key_type, line->key);
	RowPlace   *place = place_of(st, hash);
	LookResult	result = find_in_place(cart, line, place, hash);

	if (result != LOOK_NONE)
		return result;
	if (*scan == NULL)
		*scan = compat_index_beginscan(cart->table.rel,
									   stock_table_index(&cart->table),
									   GetActiveSnapshot());
	return find_by_index(cart, line, *scan, place, hash);
}

/*
 * Look with the snapshot of the call.
 */
LookResult
row_look(Cart *cart, Line *line)
{
	return find_row(cart, line, &((RowState *) cart->engine_state)->scan);
}

/*
 * Look with a later one.
 */
bool
row_find_latest(Cart *cart, Line *line)
{
	IndexScanDesc scan = NULL;
	bool		found = find_row(cart, line, &scan) != LOOK_NONE;

	if (scan != NULL)
		index_endscan(scan);
	return found;
}

void
row_wait_flushed(Cart *cart, Line *line)
{
	RowLine    *row = row_of(cart, line);

	commit_wait_flushed(row->version->t_data, row->page_lsn);
}
