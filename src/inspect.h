/*
 * inspect.h
 *	  Does a relation fit as a stock table, and what is to be known of it?
 */
#ifndef PURCHASE_INSPECT_H
#define PURCHASE_INSPECT_H

#include "access/attnum.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "key.h"
#include "registration.h"

#pragma GCC visibility push(hidden)

/* Why the sql engine serves a table, in order of precedence; see engine.c. */
typedef enum SqlReason
{
	SQL_PARTITIONED,
	SQL_VIEW,
	SQL_FOREIGN_TABLE,
	SQL_ACCESS_METHOD,
	SQL_INHERITANCE,
	SQL_RULES,
	SQL_STATEMENT_TRIGGERS,
	SQL_TRANSITION_TABLES,
	SQL_CITUS,
	SQL_DEFERRABLE_KEY,
	SQL_DOMAIN,
	SQL_OLD_SNAPSHOT_THRESHOLD,
	SQL_ROW_SECURITY,
	SQL_NEW_INDEX,
	SQL_SETTING,
	N_SQL_REASONS
} SqlReason;

#define SQL_REASON(reason) ((uint32) 1 << (reason))

/* What is known of an attached table. */
typedef struct StockTable
{
	Oid			relid;
	MemoryContext cxt;

	char	   *key_column;
	AttrNumber	key_attno;
	KeyType		key_type;
	Oid			index;			/* of the key, unique; InvalidOid where the
								 * relation can have none */
	bool		index_may_be_new;	/* too new for some transactions */

	char	   *stock_column;
	AttrNumber	stock_attno;
	Oid			stock_type;		/* base type: INT2OID, INT4OID or INT8OID */
	bool		stock_in_key;	/* a unique index contains the stock, or what
								 * is generated from it: to write it takes a
								 * stronger lock */

	Bitmapset  *selected_cols;	/* {key, stock}, {key, stock, limit} and */
	Bitmapset  *selected_cols_to_sell;	/* {stock}, with the offset of */
	Bitmapset  *updated_cols;	/* FirstLowInvalidHeapAttributeNumber */

	/*
	 * Where the guard would stand: the table itself, or the one that a view
	 * updates, and that one's name of the key.  InvalidOid and NULL if it
	 * can't be told.
	 */
	Oid			target;
	char	   *target_key;
	bool		guarded;		/* and it does, there or before a partition */
	List	   *below;			/* OIDs of all relations below a view or a
								 * partitioned table that were looked at */
	Oid			guard_function; /* of its triggers */

	int			lock_wait;		/* as the setting, or LOCK_WAIT_UNSET */
	EarlyRelease early_release; /* the most that the owner allows */
	Oid			sale_table;		/* InvalidOid: it keeps no sales */
	Oid			hold_table;
	char	   *limit_column;	/* how many one buyer may have; NULL: no
								 * limits */
	char	   *limit_misfit;	/* why it can't say so any more */
	AttrNumber	limit_attno;	/* 0 then, too */
	Oid			limit_type;		/* as stock_type */
	uint32		sql_reasons;	/* SQL_REASON()s of the table */
	bool		distributed_by_key; /* by Citus, in shards */
	bool		is_shard;		/* of a table that is */
	bool		sales_in_shards;	/* and so are the tables of its sales */

	/* Set up when it is first used, and by each engine. */
	struct StatTable *stat;		/* where its calls are counted */
	struct RowTable *row;
	struct RowPlace *places;
	struct PlanSet *sql_plans;
	struct SaleTables *sales;
} StockTable;

/* Why a relation can't be, or can no longer be, a stock table. */
typedef struct Misfit
{
	int			sqlerrcode;
	char	   *detail;
	char	   *hint;

	/* to repeat in a hint: further arguments of the call */
	const char *more_args;
} Misfit;

extern StockTable *inspect(Oid self, Relation rel, const char *key_column,
						   const char *stock_column, Misfit *why);
extern void inspect_add_below(StockTable *st, List *relids);
extern bool inspect_changes_with_stock(Relation rel, AttrNumber attno,
									   AttrNumber stock_attno);
extern bool inspect_limit_column(Relation rel, StockTable *st, const char *name,
								 Misfit *why);
extern StockTable *inspect_registered(Oid self, Relation rel,
									  Registration *registration);
pg_noreturn extern void raise_no_longer_fits(Relation rel, const char *detail,
											 const char *hint);
pg_noreturn extern void raise_limit_misfit(StockTable *st, Relation rel);

#pragma GCC visibility pop

#endif							/* PURCHASE_INSPECT_H */
