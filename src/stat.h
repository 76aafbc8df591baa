/*
 * stat.h
 *	  Statistics: what has become of the calls, counted for each stock table.
 */
#ifndef PURCHASE_STAT_H
#define PURCHASE_STAT_H

#include "portability/instr_time.h"

#pragma GCC visibility push(hidden)

/*
 * What is counted, in the order of the columns of pg_stat_purchase.  Times are in
 * microseconds here.
 */
typedef enum StatCounter
{
	STAT_SOLD_CALLS,
	STAT_SOLD_UNITS,
	STAT_PRODUCT_NOT_FOUND,
	STAT_OUT_OF_STOCK,
	STAT_INSUFFICIENT_QUANTITY,
	STAT_BUYER_LIMIT_EXCEEDED,
	STAT_BUSY,
	STAT_HOLD_EXPIRED,
	STAT_WAITS,
	STAT_WAIT_TIME,
	STAT_REPLAYS,
	STAT_HOLDS_MADE,
	STAT_HOLDS_CONFIRMED,
	STAT_HOLDS_RELEASED,
	STAT_HOLDS_LAPSED,
	STAT_HOLDS_TAKEN,
	STAT_EARLY_RELEASES,
	STAT_DURABLE_TIME,
	N_STAT_COUNTERS
} StatCounter;

/* The counters of a table, in shared memory. */
typedef struct StatTable StatTable;

extern void stat_request_memory(void);
extern StatTable *stat_table(Oid relid, StatTable *found_before);
extern void stat_add(StatTable *table, StatCounter counter, uint64 n);
extern void stat_add_time(StatTable *table, StatCounter counter, instr_time since);

#pragma GCC visibility pop

#endif							/* PURCHASE_STAT_H */
