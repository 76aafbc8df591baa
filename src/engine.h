/*
 * engine.h
 *	  The interface of an engine, which finds, locks and writes rows, and the
 *	  choice of one.
 */
#ifndef PURCHASE_ENGINE_H
#define PURCHASE_ENGINE_H

#include "storage/itemptr.h"

#include "line.h"

#pragma GCC visibility push(hidden)

typedef enum LookResult
{
	LOOK_NONE,					/* no such row, or no right to see it */
	LOOK_FOUND,
	LOOK_FREE,					/* found, nobody held it, and write_free() can
								 * try to write it */
} LookResult;

typedef enum LockResult
{
	LOCK_OK,					/* locked, and line->stock is the latest */
	LOCK_BUSY,					/* another transaction holds it */
	LOCK_NO_ROW,				/* no such row, or no right to see it */
} LockResult;

/*
 * Errors are thrown, so close is not reached then: what an engine holds must be
 * released by the transaction.
 */
typedef struct Engine
{
	const char *name;

	/* Prepare for a call.  Its snapshot is active until it ends. */
	void		(*open) (Cart *cart);

	/* Read a line's stock without a lock. */
	LookResult	(*look) (Cart *cart, Line *line);

	/*
	 * Lock the latest version of a line's row, as strongly as an UPDATE of
	 * the stock does, and read its stock.  With wait, never returns
	 * LOCK_BUSY.
	 */
	LockResult	(*lock) (Cart *cart, Line *line, bool wait);

	/*
	 * Write the line_new_stock() of a row that lock() has locked, and set
	 * line->remaining to what was written.  False if nothing was, because a
	 * trigger or rule suppressed it or took the units.
	 */
	bool		(*write) (Cart *cart, Line *line);

	/*
	 * The same in one step for what look() has found to be free.  False, with
	 * nothing written, if somebody was faster or it takes both steps.  NULL
	 * in an engine whose look() finds nothing free.
	 */
	bool		(*write_free) (Cart *cart, Line *line);

	/*
	 * Wait until the commit of what line->stock was read from is flushed:
	 * commit_wait_flushed().
	 */
	void		(*wait_flushed) (Cart *cart, Line *line);

	void		(*close) (Cart *cart);
} Engine;

extern const Engine engine_row;
extern const Engine engine_sql;

extern bool engine_sql_find_version(Cart *cart, Line *line, Oid *relid,
									ItemPointer tid);
extern const Engine *engine_choose(OpenTable *table);
extern uint32 engine_sql_reasons(StockTable *st, Relation rel);
extern const char *sql_reason_code(SqlReason reason);
extern const char *sql_reason_text(uint32 reasons);

#pragma GCC visibility pop

#endif							/* PURCHASE_ENGINE_H */
