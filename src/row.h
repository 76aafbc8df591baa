/*
 * row.h
 *	  What the files of the row engine share.
 */
#ifndef PURCHASE_ROW_H
#define PURCHASE_ROW_H

#include "access/relscan.h"
#include "nodes/execnodes.h"

#include "purchase.h"

#pragma GCC visibility push(hidden)

typedef struct RowState
{
	IndexScanDesc scan;			/* with the snapshot of the call */
	TupleTableSlot *lock_slot;	/* set up by the first lock */
	TupleTableSlot *new_slot;	/* set up by the first write */
	ExprState **checks;			/* with the first CHECK of a plain table */
	ExprContext *check_context;

	/* set up by the first write that needs the executor */
	EState	   *estate;
	ResultRelInfo *rri;
	EPQState	epq;
	TupleTableSlot *old_slot;
} RowState;

/* row_find.c */
extern void set_row(Cart *cart, Line *line, HeapTuple row);
extern bool is_crowded(Buffer buffer, HeapTuple row);
extern bool row_look(Cart *cart, Line *line);
extern bool look_again(Cart *cart, Line *line);

/* row_lock.c */
extern LockResult row_lock(Cart *cart, Line *line, bool wait);

/* row_check.c */
extern void prepare_checks(Cart *cart, EState *estate, ResultRelInfo *rri);
extern bool plan_checks(Cart *cart);
extern bool satisfies_constraints(Cart *cart, TupleTableSlot *slot);

/* row_write.c */
extern bool row_write_free(Cart *cart, Line *line);
extern bool row_write(Cart *cart, Line *line);

#pragma GCC visibility pop

#endif							/* PURCHASE_ROW_H */
