/*
 * row.h
 *	  What the files of the row engine share.
 */
#ifndef PURCHASE_ROW_H
#define PURCHASE_ROW_H

#include "access/relscan.h"
#include "nodes/execnodes.h"

#include "engine.h"

#pragma GCC visibility push(hidden)

/* What row triggers an update of the stock fires, the guard's left out. */
typedef enum RowTriggers
{
	ROW_TRIGGERS_NONE,			/* none that could do anything */
	ROW_TRIGGERS_OF_NEW_ROWS,	/* they do something only with rows that this
								 * transaction has inserted or updated */
	ROW_TRIGGERS_ANY,
} RowTriggers;

/* What the row engine knows of a table. */
typedef struct RowTable
{
	RowTriggers triggers;
	bool		generated;		/* has stored generated columns */
	bool		partition;

	/*
	 * Its CHECK constraints.  Planned once if their plans can't change while
	 * the table's definition stays the same, else NULL.  An element is NULL
	 * if the constraint is not enforced.
	 */
	int			nchecks;
	Expr	  **checks;
	Expr	  **planned_checks;
} RowTable;

/* What is known of a line's row. */
typedef struct RowLine
{
	HeapTuple	version;		/* copy of what was looked at, or locked */
	ItemPointerData root;		/* where its index entry points to */
	TransactionId holder;		/* another transaction that is in the way */
	bool		own;			/* we are in the way of others */
	bool		contended;		/* there is a holder, or somebody was faster */
	bool		crowded;		/* its page was nearly full */
	XLogRecPtr	page_lsn;		/* the last change of its page */
} RowLine;

/* Of a call. */
typedef struct RowState
{
	IndexScanDesc scan;			/* with the snapshot of the call; set up by
								 * the first look that needs it */
	TupleTableSlot *lock_slot;	/* set up by the first lock */
	TupleTableSlot *new_slot;	/* set up by the first write */
	ExprState **checks;			/* set up by the first check */
	ExprContext *check_context;

	/* set up by the first write that needs the executor */
	EState	   *estate;
	ResultRelInfo *rri;
	EPQState	epq;

	RowLine		lines[FLEXIBLE_ARRAY_MEMBER];
} RowState;

static inline RowLine *
row_of(Cart *cart, Line *line)
{
	return &((RowState *) cart->engine_state)->lines[line - cart->lines];
}

/* row_table.c */
extern RowTable *row_table(Cart *cart);

/* row_find.c */
extern LookResult row_look(Cart *cart, Line *line);
extern bool row_find_latest(Cart *cart, Line *line);
extern void row_wait_flushed(Cart *cart, Line *line);
extern void row_each_holder(StockTable *st, HeapTupleHeader version,
							void (*fn) (void *arg, TransactionId xid), void *arg);
extern bool row_has_key(Cart *cart, Line *line);
extern void row_take(Cart *cart, Line *line, HeapTuple version, Buffer buffer);

/*
 * While an index that contains the stock is built CONCURRENTLY, some know of it and
 * lock FOR UPDATE, and others do not.  Each have a queue of their own: this is added to the
 * offset number in its name.  No offset on a page is so large.
 */
#define QUEUE_FOR_UPDATE 0x8000

/* row_lock.c */
extern LockResult row_lock(Cart *cart, Line *line, bool wait);
extern LockResult row_lock_latest(Cart *cart, Line *line);

/* row_check.c */
extern bool row_check(Cart *cart, TupleTableSlot *slot);

/* row_write.c */
extern bool row_write(Cart *cart, Line *line);
extern bool row_write_free(Cart *cart, Line *line);

#pragma GCC visibility pop

#endif							/* PURCHASE_ROW_H */
