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

/*
 * Call a function that waits for locks, for no longer than bound: ms, or if it is
 * -1, as long as lock_timeout allows.  If that runs out, call on_timeout, which
 * must raise an error in place of the server's.
 *
 * The server's lock_timeout starts again with each lock that is waited for, and
 * for a contended row there can be two: the queue's, then that of the transaction
 * that holds the row.  So with a bound, the same timer is started here, once for
 * both, and lock_timeout is set to 0: then ProcSleep() leaves the timer alone.
 */
void
wait_within(int bound, void (*fn) (void *), void (*on_timeout) (void *),
			void *arg)
{
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

	AtEOXact_GUC(true, guc_level);
}
