/*
 * wait.c
 *	  Subtransactions, and waiting no longer than is allowed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "wait.h"

/*
 * Call a function in a subtransaction, and roll that back if the function
 * throws an error or returns false.  Returns the error, if any, in the caller's
 * context.
 */
ErrorData *
run_in_subtransaction(bool (*fn) (void *), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		if (fn(arg))
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return error;
}

/* Of a wait_within(): whether it has had to wait, and since when. */
typedef struct Waiting
{
	bool		begun;
	instr_time	since;
} Waiting;

/* The innermost one. */
static Waiting *waiting = NULL;

/*
 * Let pg_stat_activity say what is waited for, where there are wait events of our own, and
 * not what for in detail: that the server's waits are within this one.
 */
static void
report_wait(WaitReason reason)
{
	static const char *const names[] = {
		[WAIT_FOR_PRODUCT] = "PurchaseProduct",
		[WAIT_FOR_SALE_ID] = "PurchaseSaleId",
	};
	static uint32 events[lengthof(names)];
	static uint32 elsewhere;

	if (events[reason] == 0)
		events[reason] = compat_new_wait_event(names[reason]);
	if (events[reason] == 0)
		return;
	pgstat_set_wait_event_storage(&elsewhere);
	*(volatile uint32 *) &MyProc->wait_event_info = events[reason];
}

/*
 * To be called by what wait_within() calls, when it is about to wait: it may find that it
 * need not.
 */
void
wait_begins(WaitReason reason)
{
	if (waiting == NULL || waiting->begun)
		return;
	report_wait(reason);
	INSTR_TIME_SET_CURRENT(waiting->since);
	waiting->begun = true;
}

/*
 * The wait is over, or in vain.
 */
static void
wait_ends(StatTable *stat)
{
	if (!waiting->begun)
		return;
	pgstat_set_wait_event_storage(&MyProc->wait_event_info);
	pgstat_report_wait_end();
	stat_add(stat, STAT_WAITS, 1);
	stat_add_time(stat, STAT_WAIT_TIME, waiting->since);
}

/*
 * Call a function that waits for locks, for no longer than bound: ms, or if it is
 * -1, as long as lock_timeout allows.  If that runs out, call on_timeout, which
 * must raise an error in place of the server's.  The function calls wait_begins() if it
 * has to wait, which is then counted.
 *
 * The server's lock_timeout starts again with each lock that is waited for, and
 * for a contended row there can be two: the queue's, then that of the transaction
 * that holds the row.  So with a bound, the same timer is started here, once for
 * both, and lock_timeout is set to 0: then ProcSleep() leaves the timer alone.
 */
void
wait_within(int bound, void (*fn) (void *), void (*on_timeout) (void *),
			void *arg, StatTable *stat)
{
	Waiting		this = {.begun = false};
	Waiting    *volatile outer = waiting;
	MemoryContext cxt = CurrentMemoryContext;
	volatile int ms = bound;
	const int	guc_level = NewGUCNestLevel();

	if (ms > 0 && LockTimeout > 0)
	{
		ms = Min(ms, LockTimeout);
		(void) set_config_option("lock_timeout", "0", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	}

	waiting = &this;
	PG_TRY();
	{
		if (ms > 0)
			enable_timeout_after(LOCK_TIMEOUT, ms);
		fn(arg);
		if (ms > 0)
		{
			/* it may have fired just now: raise the error while it is known */
			disable_timeout(LOCK_TIMEOUT, true);
			CHECK_FOR_INTERRUPTS();
		}
	}
	PG_CATCH();
	{
		wait_ends(stat);
		waiting = outer;

		/*
		 * The timer may have fired together with another error.  Then its
		 * interrupt is still pending, and without the indicator it would pass
		 * for a cancel by the user: keep it, as LockErrorCleanup() does.
		 */
		if (ms > 0)
			disable_timeout(LOCK_TIMEOUT, true);
		if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		{
			MemoryContextSwitchTo(cxt);
			FlushErrorState();
			on_timeout(arg);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();

	wait_ends(stat);
	waiting = outer;
	AtEOXact_GUC(true, guc_level);
}
