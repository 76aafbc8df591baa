/*
 * stock_table.h
 *	  Attached tables: the cache of what is known of them, and opening one.
 */
#ifndef PURCHASE_STOCK_TABLE_H
#define PURCHASE_STOCK_TABLE_H

#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "compat.h"
#include "inspect.h"

#pragma GCC visibility push(hidden)

/* What a call is going to do with a stock table. */
typedef enum TableUse
{
	USE_READ,
	USE_WRITE,
	USE_SELL,					/* to write, and to read limits per buyer */
} TableUse;

/* A stock table that a call has opened and locked. */
typedef struct OpenTable
{
	StockTable *st;
	Relation	rel;
	Relation	named;			/* by the call: the same, or the distributed
								 * table that rel is a shard of */
	TableUse	use;
	LOCKMODE	lockmode;
	OneRelation range;			/* as the executor wants it */
	Relation	index;			/* of the key; see stock_table_index() */
} OpenTable;

extern void stock_table_open(OpenTable *table, Oid self, Oid relid,
							 TableUse use);
extern void stock_table_use_shard(OpenTable *table, Oid self, Oid shard,
								  Datum key);
extern uint64 stock_table_ninvalidations(void);
extern bool stock_table_is_current(StockTable *st);
extern Relation stock_table_index(OpenTable *table);
extern void stock_table_close(OpenTable *table);

#pragma GCC visibility pop

#endif							/* PURCHASE_STOCK_TABLE_H */
