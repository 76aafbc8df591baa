/*
 * row_lock.c
 *	  The row engine: a row is locked.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "row.h"
#include "wait.h"

/*
 * Lock the version that was looked at.  Where the isolation level allows it, it is
 * the latest version that is locked: moved tells whether that is another one.
 *
 * Who may queue waits before, for the holder that the look has found, see Queue.  At
 * REPEATABLE READ nobody queues, and heapam may have to wait for more than a holder of
 * the version, which is an old one.  LockWaitError would raise heapam's own error for a
 * busy row.
 */
static TM_Result
lock_version(Cart *cart, Line *line, bool wait, bool *moved)
{
	RowState   *state = cart->engine_state;
	Relation	rel = cart->table.rel;
	RowLine    *row = row_of(cart, line);
	ItemPointerData tid = row->version->t_self; /* is moved along the update
												 * chain */
	TM_FailureData tmfd;
	TM_Result	result;

	if (wait && TransactionIdIsValid(row->holder))
		wait_begins(WAIT_FOR_PRODUCT);
	if (state->lock_slot == NULL)
		state->lock_slot = MakeSingleTupleTableSlot(RelationGetDescr(rel),
													table_slot_callbacks(rel));

	result = table_tuple_lock(rel, &tid, GetActiveSnapshot(),
							  state->lock_slot, GetCurrentCommandId(false),
							  cart->table.st->stock_in_key ?
							  LockTupleExclusive : LockTupleNoKeyExclusive,
							  wait && IsolationUsesXactSnapshot() ?
							  LockWaitBlock : LockWaitSkip,
							  IsolationUsesXactSnapshot() ? 0 :
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &tmfd);
	if (result == TM_Ok)
	{
		Buffer		buffer =
			((BufferHeapTupleTableSlot *) state->lock_slot)->buffer;

		row_take(cart, line, ExecCopySlotHeapTuple(state->lock_slot), buffer);
	}
	*moved = tmfd.traversed;

	/* no pin is left, or the page could not be pruned */
	ExecClearTuple(state->lock_slot);
	return result;
}

/*
 * A place in the queue for a row.
 *
 * A backend that waits for a row waits for the transaction that wrote the version
 * it has found.  If many backends wait so, each commit wakes them all.  One of them
 * gets the row, and all others then wait for that one's transaction.
 *
 * With a queue, only its first backend waits for the row.  It leaves the queue when
 * it has locked the row.  The next backend then looks at the row's latest version,
 * and waits for the transaction that wrote that one.
 *
 * The queue is a heavyweight lock.  Its name is the root of the row's HOT chain,
 * that is, the TID in the index entry.  A backend that waits for this lock, or holds
 * it and waits for the row, has an active snapshot that sees the row at that root.
 * So the root can't be pruned and used for another row: two rows never share a
 * queue.  An update that is not HOT gives the row a new root, and backends that come
 * later use another queue.  Then two backends wait for the row; that does no harm.
 *
 * The lock adds no deadlock, because of three rules:
 *
 *	1. Who has it waits only for a transaction that has a lock on the row in the way
 *	   of a sale.  It does not wait for core's tuple lock: another backend may hold
 *	   that while it waits, say for the order line of one that queues here.
 *	2. Who has a lock in the way of a sale does not queue.  An order line's FOR KEY
 *	   SHARE is not in the way, unless sales lock FOR UPDATE.
 *	3. All in a queue want the row locked in the same way.
 *
 * So to wait in the queue means to wait for somebody else, for whom one would wait
 * without a queue, too.  That is not so at REPEATABLE READ, where a transaction fails
 * as soon as the first holder commits: it does not queue.  A transaction holds at
 * most one of these locks, and none after a call.
 *
 * The lock's type belonged to a module that PostgreSQL no longer has, so it can't
 * collide with advisory locks.
 */
typedef struct Queue
{
	bool		joined;
	ItemPointerData root;
} Queue;

static void
set_queue_tag(LOCKTAG *tag, Cart *cart, ItemPointer root)
{
	tag->locktag_field1 = MyDatabaseId;
	tag->locktag_field2 = RelationGetRelid(cart->table.rel);
	tag->locktag_field3 = ItemPointerGetBlockNumber(root);
	tag->locktag_field4 = ItemPointerGetOffsetNumber(root) |
		(cart->table.st->stock_in_key ? QUEUE_FOR_UPDATE : 0);
	tag->locktag_type = LOCKTAG_USERLOCK;
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

static void
leave_queue(Cart *cart, Queue *queue)
{
	LOCKTAG		tag;

	if (!queue->joined)
		return;
	set_queue_tag(&tag, cart, &queue->root);
	(void) LockRelease(&tag, ExclusiveLock, false);
	queue->joined = false;
}

/*
 * Join the row's queue, and wait until we are its first.  False if we are already.
 */
static bool
join_queue(Cart *cart, Line *line, Queue *queue)
{
	LOCKTAG		tag;
	ItemPointer root = &row_of(cart, line)->root;

	if (queue->joined && ItemPointerEquals(&queue->root, root))
		return false;
	leave_queue(cart, queue);
	wait_begins(WAIT_FOR_PRODUCT);
	set_queue_tag(&tag, cart, root);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	queue->joined = true;
	queue->root = *root;
	return true;
}

/*
 * Wait for our turn, and when it has come, for the holder of the row.  False if there
 * is nothing to wait for, or if it is lock_version() that waits.
 */
static bool
wait_for_row(Cart *cart, Line *line, Queue *queue)
{
	RowLine    *row = row_of(cart, line);

	if (IsolationUsesXactSnapshot())
		return false;
	if (row->contended && !row->own && join_queue(cart, line, queue))
		return true;
	if (!TransactionIdIsValid(row->holder))
		return false;
	wait_begins(WAIT_FOR_PRODUCT);
	XactLockTableWait(row->holder, cart->table.rel, &row->version->t_self,
					  XLTW_Lock);
	return true;
}

/*
 * Lock the version that was looked at, or where the isolation level allows it,
 * the latest one.  False if what was looked at is stale: we have waited meanwhile,
 * or it is gone, or has got another key.
 */
static bool
lock_looked_at(Cart *cart, Line *line, bool wait, Queue *queue,
			   LockResult *result)
{
	bool		moved;

	if (wait && wait_for_row(cart, line, queue))
		return false;

	switch (lock_version(cart, line, wait, &moved))
	{
		case TM_Ok:
			*result = LOCK_OK;
			return !moved || row_has_key(cart, line);

		case TM_WouldBlock:
			*result = LOCK_BUSY;
			return !wait;

		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update"),
						 errhint("Retry the transaction."),
						 errtable(cart->table.named)));
			return false;

		case TM_SelfModified:
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("the product's row was already modified by an operation triggered by the current command"),
					 errtable(cart->table.named)));

		default:
			elog(ERROR, "unexpected result of table_tuple_lock");
	}
}

/*
 * Look again, with a snapshot that sees what was committed since, until what was
 * seen can be locked.  The call's own snapshot stays active below it, as it
 * protects the versions of other lines.
 */
static LockResult
look_and_lock(Cart *cart, Line *line, bool wait, Queue *queue)
{
	LockResult	result = LOCK_NO_ROW;
	bool		done;

	do
	{
		CHECK_FOR_INTERRUPTS();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (row_find_latest(cart, line))
			done = lock_looked_at(cart, line, wait, queue, &result);
		else
		{
			result = LOCK_NO_ROW;
			done = true;
		}
		PopActiveSnapshot();
	} while (!done);
	return result;
}

/*
 * Lock the latest version of a line's row.  Under READ COMMITTED what was looked
 * at may be stale, and another row may have the key now.
 */
LockResult
row_lock(Cart *cart, Line *line, bool wait)
{
	Queue		queue = {false};
	LockResult	result;

	if (!lock_looked_at(cart, line, wait, &queue, &result))
		result = look_and_lock(cart, line, wait, &queue);
	leave_queue(cart, &queue);
	return result;
}

/*
 * The same for a row that this transaction has locked, and may have changed since.
 */
LockResult
row_lock_latest(Cart *cart, Line *line)
{
	Queue		queue = {false};
	LockResult	result = look_and_lock(cart, line, true, &queue);

	leave_queue(cart, &queue);
	return result;
}
