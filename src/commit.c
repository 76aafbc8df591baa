/*
 * commit.c
 *	  Early release: the rows of a sale are free before its commit is durable.
 *
 * A row lock is held until the commit is flushed, and confirmed by a synchronous
 * standby.  Whoever sells next commits further on in the same log, and is durable
 * only if this commit is.  So the next sale need not wait for the flush, as long as
 * nobody is told of a sale before it is durable.
 *
 * With early release, a transaction that has sold commits like one with
 * synchronous_commit = off: its commit record is inserted, its rows become visible,
 * and its locks are released.  Then, before the client is told, it waits until the
 * commit is as durable as the session's own synchronous_commit asks.
 *
 * The order in CommitTransaction() makes that possible:
 *
 *	  XACT_EVENT_PRE_COMMIT			we lower the variable synchronous_commit
 *	  SSI's check, which may fail
 *	  RecordTransactionCommit()		inserts the record; neither flush nor wait
 *	  ProcArrayEndTransaction()		visible to others
 *	  XACT_EVENT_COMMIT				we restore the variable
 *	  RESOURCE_RELEASE_LOCKS		others get the rows
 *	  RESOURCE_RELEASE_AFTER_LOCKS	we flush, and wait for the standby
 *	  the client is told
 *
 * The hazards, and what is done about each:
 *
 *	1. remote_apply.  The commit record asks the standby to report what it has
 *	   applied, but only if synchronous_commit is remote_apply when the record is
 *	   made.  Without that request, a commit on a quiet server waits until the
 *	   standby reports anyway, for up to wal_receiver_status_interval.  So the
 *	   variable is left alone at remote_apply if there are synchronous standbys.
 *	2. An error while the resource owner is released after a commit is a PANIC.  We
 *	   call only XLogFlush() and SyncRepWaitForLSN() there.  Core calls the first in a
 *	   critical section, where an error is a PANIC, too.
 *	3. The release callback is called for each resource owner, at aborts and in
 *	   PREPARE TRANSACTION, too.  It acts only if a commit's position is pending,
 *	   which XACT_EVENT_COMMIT alone sets.
 *	4. DDL.  A commit that drops files or sets forceSyncCommit flushes inside of
 *	   RecordTransactionCommit(), but would no longer wait for the standby before
 *	   its locks are released.  A transaction that has taken an AccessExclusiveLock
 *	   commits as usual.
 *	5. Extensions that act on other servers in XACT_EVENT_COMMIT would act on a commit
 *	   that is not durable yet.  Citus does.  Where it is loaded, there is no early
 *	   release.
 *	6. NOTIFY.  Other sessions may get a notification before the flush, as they get
 *	   that of an asynchronous commit.  That is documented.
 *	7. An error after XACT_EVENT_PRE_COMMIT, of SSI or of another callback, comes to
 *	   XACT_EVENT_ABORT: the variable is restored there.
 *	8. A cancel during the wait for the standby ends the wait with a warning, and a
 *	   termination ends the connection, both as in core: SyncRepWaitForLSN() does it.
 *	9. The variable is assigned, not the setting: the setting's assign hook would
 *	   change SyncRepWaitMode, which the wait needs.
 * 10. PREPARE TRANSACTION commits nothing, so it forgets what was sold.  COMMIT
 *	   PREPARED releases late.
 * 11. Our own answers must not show a sale that a crash may undo: a refusal and
 *	   purchase_available() wait for the flush of the version that they rest on,
 *	   commit_wait_flushed(), whatever the settings of its seller were.
 *
 * A sale that was rolled back to a savepoint still counts as one.  That is harmless,
 * as the session has asked for early release.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/resowner.h"

#include "commit.h"
#include "compat.h"
#include "settings.h"

const struct config_enum_entry early_release_options[] = {
	{"off", EARLY_RELEASE_OFF, false},
	{"local", EARLY_RELEASE_LOCAL, false},
	{"on", EARLY_RELEASE_ON, false},
	{NULL, 0, false}
};

/*
 * Of the current transaction: it has sold, how early it may release, and where that is
 * counted.
 */
static bool has_sold = false;
static EarlyRelease may_release = EARLY_RELEASE_OFF;
static StatTable *sold_from = NULL;

/* While the variable is lowered: what it was. */
static bool lowered = false;
static int	saved_synchronous_commit;

/* The end of a commit record whose durability is still to be waited for. */
static XLogRecPtr pending = InvalidXLogRecPtr;

/*
 * Does a commit of this session wait for a synchronous standby?
 */
bool
commit_waits_for_standby(void)
{
	return synchronous_commit > SYNCHRONOUS_COMMIT_LOCAL_FLUSH &&
		max_wal_senders > 0 && SyncRepStandbyNames != NULL &&
		SyncRepStandbyNames[0] != '\0';
}

/*
 * Lower synchronous_commit for the commit that follows.
 */
static void
lower(void)
{
	/* a function may have sold with a setting of its own, so ask once more */
	int			level = Min((int) may_release, purchase_early_release) ==
		EARLY_RELEASE_ON ?
		SYNCHRONOUS_COMMIT_OFF : SYNCHRONOUS_COMMIT_LOCAL_FLUSH;

	if (purchase_early_release == EARLY_RELEASE_OFF ||
		synchronous_commit <= level)
		return;

	/*
	 * a transaction that has written only to unlogged tables waits for
	 * nothing
	 */
	if (XLogRecPtrIsInvalid(XactLastRecEnd) ||
		!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	/* hazard 1 */
	if (synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_APPLY &&
		commit_waits_for_standby())
		return;
	/* hazard 5; to have it loaded is to have its settings */
	if (GetConfigOption("citus.version", true, false) != NULL)
		return;
	/* hazard 4 */
	if (MyXactFlags & XACT_FLAGS_ACQUIREDACCESSEXCLUSIVELOCK)
		return;

	saved_synchronous_commit = synchronous_commit;
	synchronous_commit = level;
	lowered = true;
}

static void
restore(void)
{
	if (lowered)
		synchronous_commit = saved_synchronous_commit;
	lowered = false;
}

static void
xact_callback(XactEvent event, pg_attribute_unused() void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (has_sold && may_release > EARLY_RELEASE_OFF)
				lower();
			return;
		case XACT_EVENT_COMMIT:
			if (lowered)
				pending = XactLastCommitEnd;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	restore();
	has_sold = false;
}

/*
 * The locks are released: wait until the commit is as durable as the session's
 * synchronous_commit asks.  For the level "local", the flush has taken place.
 */
static void
release_callback(ResourceReleasePhase phase,
				 pg_attribute_unused() bool isCommit,
				 pg_attribute_unused() bool isTopLevel,
				 pg_attribute_unused() void *arg)
{
	XLogRecPtr	lsn = pending;
	instr_time	since;

	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || XLogRecPtrIsInvalid(lsn))
		return;
	pending = InvalidXLogRecPtr;
	INSTR_TIME_SET_CURRENT(since);
	XLogFlush(lsn);
	SyncRepWaitForLSN(lsn, true);
	stat_add(sold_from, STAT_EARLY_RELEASES, 1);
	stat_add_time(sold_from, STAT_DURABLE_TIME, since);
}

/*
 * A level by its name; false if it has another one.
 */
bool
commit_parse_level(const char *str, EarlyRelease *level)
{
	for (const struct config_enum_entry *e = early_release_options;
		 e->name != NULL; e++)
	{
		if (pg_strcasecmp(e->name, str) == 0)
		{
			*level = e->val;
			return true;
		}
	}
	return false;
}

/*
 * Note that the transaction has sold from a table that allows this level, or a
 * lower one.  The most careful of all counts.  An early release is counted once, for the
 * last of them.
 */
void
commit_early(EarlyRelease level, StatTable *stat)
{
	static bool initialized = false;

	if (!initialized)
	{
		RegisterXactCallback(xact_callback, NULL);
		RegisterResourceReleaseCallback(release_callback, NULL);
		initialized = true;
	}
	may_release = has_sold ? Min(may_release, level) : level;
	has_sold = true;
	sold_from = stat;
}

/*
 * Must what this session answers be durable?  Not if it asks for no durable commits
 * either.  And a standby shows only what was flushed.
 */
static bool
is_to_be_durable(void)
{
	return synchronous_commit > SYNCHRONOUS_COMMIT_OFF && !RecoveryInProgress();
}

/*
 * The end of what was written until now.
 *
 * At the begin of a page, the position of the next record lies behind the page's
 * header, where nothing has been written yet, and XLogFlush() would complain.
 */
static XLogRecPtr
end_of_log(void)
{
	XLogRecPtr	lsn = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(lsn, wal_segment_size) == SizeOfXLogLongPHD)
		lsn -= SizeOfXLogLongPHD;
	else if (lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		lsn -= SizeOfXLogShortPHD;
	return lsn;
}

/*
 * Is there nothing that one could have to wait for?
 */
bool
commit_all_flushed(void)
{
	return !is_to_be_durable() || !XLogNeedsFlush(end_of_log());
}

/*
 * Wait for all that was written until now, where it can't be told what an answer rests
 * on.  Beside other sales that takes a flush, and who doesn't use early release is not
 * to pay for it.
 */
void
commit_wait_all_flushed(void)
{
	if (purchase_early_release > EARLY_RELEASE_OFF)
		commit_wait_flushed_to_end();
}

/*
 * The same whatever the settings.
 */
void
commit_wait_flushed_to_end(void)
{
	if (is_to_be_durable())
		XLogFlush(end_of_log());
}

/*
 * Wait until all that was written until now is as durable as a commit would be.  For
 * an error that rests on it: no commit will wait in its place.  A cancel ends the wait
 * with a warning.  At remote_apply on a quiet server this can take
 * wal_receiver_status_interval.
 */
void
commit_wait_durable(void)
{
	XLogRecPtr	lsn;
	char		unused = 0;

	if (!is_to_be_durable() || !commit_waits_for_standby())
	{
		commit_wait_flushed_to_end();
		return;
	}

	/*
	 * The end of the log may be that of a commit that waits, too, and no two
	 * may wait for the same position: see SyncRepQueueIsOrderedByLSN().
	 */
	XLogBeginInsert();
	XLogRegisterData(&unused, sizeof(unused));
	lsn = XLogInsert(RM_XLOG_ID, XLOG_NOOP);
	XLogFlush(lsn);
	HOLD_INTERRUPTS();
	SyncRepWaitForLSN(lsn, false);
	RESUME_INTERRUPTS();
}

/*
 * Where the commit of a transaction ends, or one nearby; 0 if it is known to be
 * flushed.
 *
 * A frozen row's transaction may be so old that it is no longer in pg_xact.  Then
 * even its number may have been used again, for one that is there or not yet there.
 */
static XLogRecPtr
commit_lsn(TransactionId xid)
{
	XLogRecPtr	lsn = InvalidXLogRecPtr;

	LWLockAcquire(XactTruncationLock, LW_SHARED);
	if (TransactionIdFollowsOrEquals(xid, compat_oldest_clog_xid()) &&
		TransactionIdPrecedes(xid, ReadNextTransactionId()))
		lsn = TransactionIdGetCommitLSN(xid);
	LWLockRelease(XactTruncationLock);
	return lsn;
}

/*
 * Wait until the commit of the transaction that wrote a visible version of a row is
 * flushed.  page_lsn is the last change of its page, read after the version.
 *
 * A version is marked as committed, or as frozen, only if that commit is flushed, or
 * lies before page_lsn, so that the page isn't written first: see SetHintBits().  Only
 * COPY FREEZE marks before it commits, what nobody can have sold from yet.
 *
 * One's own version hides the version before it.  What rests on it belongs to a
 * transaction that is not committed itself, and to wait would hold the row meanwhile.
 */
void
commit_wait_flushed(HeapTupleHeader version, XLogRecPtr page_lsn)
{
	TransactionId xmin = HeapTupleHeaderGetRawXmin(version);

	if (!is_to_be_durable() ||
		(HeapTupleHeaderXminCommitted(version) && !XLogNeedsFlush(page_lsn)))
		return;
	if (HeapTupleHeaderXminFrozen(version) ||
		!TransactionIdIsCurrentTransactionId(xmin))
		XLogFlush(commit_lsn(xmin));
}
