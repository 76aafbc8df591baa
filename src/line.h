/*
 * line.h
 *	  A cart and its lines: what was asked, and what has become of it.
 *
 * Memory: they and all else of a call live in the caller's context, which is a
 * per-tuple or statement context.
 */
#ifndef PURCHASE_LINE_H
#define PURCHASE_LINE_H

#include "common/int.h"
#include "outcome.h"
#include "stock_table.h"

#pragma GCC visibility push(hidden)

/* What a call wants to do with its lines. */
typedef enum Verb
{
	VERB_SELL,
	VERB_RESTOCK,
	VERB_SET_STOCK,
	VERB_EXPIRE,				/* take back the units of lapsed holds */
	VERB_READ,
} Verb;

/* How long it may wait for a row. */
typedef enum Patience
{
	PATIENCE_AS_SET,			/* by the session or for the table */
	PATIENCE_NONE,
	PATIENCE_UNBOUNDED,
} Patience;

/* One product and one quantity. */
typedef struct Line
{
	/* what was asked */
	Datum		product;		/* the key as the caller gave it */
	int64		qty;			/* > 0; of purchase_set_stock(), the new stock */
	int			position;		/* in the caller's arrays */
	Datum		key;			/* the same in the key column's base type */
	bool		no_such_key;	/* out of that type's range */

	/* what has become of it */
	Outcome		outcome;
	int64		stock;			/* as last read; not if busy or not found */
	bool		stock_isnull;
	int64		limit;			/* of one buyer, read with it; -1 for none */
	int64		bought;			/* what this one has, if there is a limit;
								 * once refused, without what he would give up */
	int64		to_free;		/* of that, units of his own lapsed holds that
								 * are to be taken first */
	int64		lapsed;			/* units of lapsed holds, counted if the stock
								 * alone does not suffice */
	int64		taken;			/* units that were taken from lapsed holds */
	int64		nholds;			/* ... and from how many */
	int64		remaining;		/* as written, if sold */
} Line;

typedef struct Cart
{
	/* what was asked */
	Verb		verb;
	Patience	patience;
	const char *function;		/* SQL name, for messages */
	Oid			self;			/* its OID, which tells the schema */
	Oid			stock_table;	/* InvalidOid for the default */
	Oid			product_type;	/* of Line.product: bigint, uuid or text, or
								 * InvalidOid for the key's own */
	int			nlines;
	Line	   *lines;
	struct Sale *sale;			/* if it has an id; see record.h */
	int64		max_holds;		/* that VERB_EXPIRE may take */

	/* the stock table, when it is open, and the engine */
	OpenTable	table;
	struct StatTable *stat;		/* where the call is counted; NULL: nowhere */
	const struct Engine *engine;
	void	   *engine_state;

	/* how far it has come */
	int			lock_wait;		/* ms; 0 = NOWAIT, -1 = no bound of ours */
	uint64		nsales;			/* that the session had made before */
	Line	   *waiting;		/* line whose lock is being waited for */
} Cart;

/*
 * What a line's stock is to be, given what was read last.
 */
static inline int64
line_new_stock(Cart *cart, Line *line)
{
	switch (cart->verb)
	{
		case VERB_SELL:
			return line->stock + line->taken - line->qty;
		case VERB_RESTOCK:
			return line->stock + line->qty;
		case VERB_EXPIRE:
			return line->stock + line->taken;
		default:
			Assert(cart->verb == VERB_SET_STOCK);
			return line->qty;
	}
}

/*
 * What could be sold of a line's product: lapsed holds are there for who needs them.
 */
static inline int64
line_available(Line *line)
{
	int64		sum;

	return pg_add_s64_overflow(line->stock, line->lapsed, &sum) ?
		PG_INT64_MAX : sum;
}

#pragma GCC visibility pop

#endif							/* PURCHASE_LINE_H */
