/*
 * record.h
 *	  What is recorded of a sale with an id.
 */
#ifndef PURCHASE_RECORD_H
#define PURCHASE_RECORD_H

#include "datatype/timestamp.h"
#include "storage/lock.h"

#include "sale_table.h"

#pragma GCC visibility push(hidden)

/* What a call says of the sale beside its lines. */
typedef struct Sale
{
	text	   *id;
	bool		is_new;			/* to be recorded, or a repeat */
	Interval   *hold_for;		/* NULL: sell at once */
	text	   *buyer;			/* NULL: nobody is named */

	/* while this call, and no other, may record it */
	bool		claimed;
	bool		busy;			/* another call may */
	LOCKTAG		claim;
} Sale;

typedef enum SaleState
{
	SALE_HELD,
	SALE_SOLD,
	SALE_RELEASED,
	SALE_EXPIRED,
	SALE_RETURNED,				/* it is no sale: it has the id of a return */
} SaleState;

/* A line as it was recorded. */
typedef struct SaleLine
{
	int			line;			/* from 1 */
	Datum		product;		/* of the key's type */
	int64		qty;
	SaleState	state;
	int64		released;		/* of qty */
	int64		returned;		/* of what was sold */
	int64		discarded;		/* of that, not given back to the stock */
	int64		remaining;		/* in stock, when it was sold or held */
	bool		has_hold;		/* its units are there: unsettled, with a hold */
	int64		units;			/* then: how many */
	TimestampTz expires_at;		/* and until when nobody may take them */
} SaleLine;

/*
 * Unsettled or not, its units are gone.
 */
static inline bool
sale_line_is_expired(SaleLine *line)
{
	return line->state == SALE_EXPIRED ||
		(line->state == SALE_HELD && !line->has_hold);
}

typedef struct Record
{
	int			nlines;			/* 0 if there is no such sale */
	SaleLine   *lines;
	Interval   *hold_for;
	text	   *buyer;
	text	   *return_of;		/* the sale's id, if it is a return */
} Record;

/*
 * How many units of a line are sold and were not returned.
 */
static inline int64
sale_line_sold(SaleLine *line)
{
	return line->state == SALE_SOLD ? line->qty - line->released - line->returned : 0;
}

/* What is asked of a return of a part. */
typedef struct Return
{
	text	   *sale_id;
	Datum		product;		/* of the key's type */
	int64		qty;
	bool		restock;
} Return;

typedef enum ClaimResult
{
	CLAIM_OK,					/* the id is free, and ours for this call */
	CLAIM_FREED,				/* the same, but there was such a sale */
	CLAIM_BUSY,					/* another transaction may record it */
	CLAIM_TAKEN,				/* there is such a sale by now */
	CLAIM_AGAIN,				/* of record_check_claim(): there was */
} ClaimResult;

extern char *sale_name(Sale *sale);
extern bool record_exists(Cart *cart);
extern void record_repeat(Cart *cart);
extern ClaimResult record_claim(Cart *cart, bool wait);
extern ClaimResult record_check_claim(Cart *cart, ClaimResult claim);
extern void record_unclaim(Cart *cart);
extern void record_store(Cart *cart);
extern void record_lock(Cart *cart, Record *record);
extern void record_settle(Cart *cart, text *id, SaleLine *line,
						  SaleState state, int64 released);
extern void record_note_return(Cart *cart, SaleLine *line, int64 qty, bool restock);
extern void record_store_return(Cart *cart, Return *ret, text *buyer, Line *line);
extern void record_repeat_return(Cart *cart, Return *ret);
extern void record_reduce_hold(Cart *cart, SaleLine *line, int64 qty);
extern TimestampTz record_extend_holds(Cart *cart, Record *record,
									   TimestampTz expires_at);
extern TimestampTz hold_end(Interval *hold_for, TimestampTz now);
pg_noreturn extern void raise_sale_not_found(Cart *cart);
pg_noreturn extern void raise_hold_expired(Cart *cart, const char *detail,
										   const char *hint);
pg_noreturn extern void raise_units_taken(Cart *cart, Datum product);
pg_noreturn extern void raise_return_exceeds_sale(Cart *cart, SaleLine *line,
												  int64 qty);
pg_noreturn extern void raise_sale_settled(Cart *cart, SaleState state);

#pragma GCC visibility pop

#endif							/* PURCHASE_RECORD_H */
