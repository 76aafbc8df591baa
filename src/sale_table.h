/*
 * sale_table.h
 *	  The two tables that keep the sales with an id, and plans on them.
 */
#ifndef PURCHASE_SALE_TABLE_H
#define PURCHASE_SALE_TABLE_H

#include "datatype/timestamp.h"

#include "line.h"

#pragma GCC visibility push(hidden)

/* In the order of sale_plans. */
typedef enum SalePlan
{
	SALE_LOOK,					/* all lines of a sale, with their holds */
	SALE_LOCK,					/* the same lines, locked, without holds */
	SALE_LOCK_HOLDS,			/* then the holds, locked */
	SALE_RELY_ON,				/* a lock that makes our commit wait as any */
	SALE_INSERT,
	SALE_INSERT_HOLD,
	SALE_SETTLE,				/* a line */
	SALE_NOTE_RETURN,			/* of a line */
	SALE_DELETE_HOLD,
	SALE_REDUCE_HOLD,
	SALE_EXTEND_HOLDS,			/* of a sale */
	SALE_LAPSED_UNITS,			/* of a product */
	SALE_LAPSED_HOLDS,			/* the same one by one, locked */
	SALE_LAPSED_PRODUCTS,
	SALE_BOUGHT,				/* what a buyer has of a product, and whether
								 * he holds some more */
	SALE_BUYERS_HOLDS,			/* then that, and how much of it has lapsed */
	SALE_HOLDS,					/* how many lines are held */
	SALE_STRAY_HOLDS,			/* how many hold nothing */
	SALE_LOST_LINES,			/* how many lines are held by none */
	SALE_OLD,					/* ids that may be forgotten, locked */
	SALE_OLD_RETURNS,			/* the same, of returns whose sale is gone */
	SALE_LOCK_OLD,				/* the lines of one that are old, locked */
	SALE_COUNT_LINES,			/* all its lines */
	SALE_FORGET,				/* it */
	SALE_FIND_PRODUCT,			/* in the stock table, as its owner */
	N_SALE_PLANS
} SalePlan;

/* What a plan may be given, as $1, $2 ... */
typedef enum SaleParam
{
	SALE_PARAM_ID,
	SALE_PARAM_LINE,
	SALE_PARAM_PRODUCT,
	SALE_PARAM_QTY,
	SALE_PARAM_TIME,
	SALE_PARAM_STATE,
	SALE_PARAM_REMAINING,
	SALE_PARAM_RELEASED,
	SALE_PARAM_RETURNED,
	SALE_PARAM_HOLD_FOR,
	SALE_PARAM_BUYER,
	SALE_PARAM_ROLE,
	SALE_PARAM_EXPIRES,
	SALE_PARAM_SETTLED,
	SALE_PARAM_DISCARDED,
	SALE_PARAM_RETURNED_AT,
	SALE_PARAM_RETURN_OF,
	SALE_PARAM_LIMITED,			/* keep what limits count */
	SALE_PARAM_OLD_STATE,		/* as it was when it was locked */
	SALE_PARAM_OLD_RELEASED,
	SALE_PARAM_OLD_RETURNED,
	N_SALE_PARAMS
} SaleParam;

/*
 * A column that one of the tables must have.  The stock table's key is a type of its
 * own: InvalidOid.
 */
typedef struct SaleColumn
{
	const char *name;
	Oid			type;
	SaleParam	param;			/* that a new row gets */
	bool		never_null;
	const char *definition;		/* what else follows the type in CREATE TABLE */
} SaleColumn;

extern const SaleColumn sale_columns[];
extern const SaleColumn hold_columns[];

typedef struct SaleParams
{
	Datum		values[N_SALE_PARAMS];
	char		nulls[N_SALE_PARAMS];	/* as SPI wants it: 'n' or ' ' */
} SaleParams;

/* What is known of the two tables, as long as their definitions stay the same. */
typedef struct SaleTable
{
	Oid			index;			/* of (sale_id, line) */
	bool		is_plain;		/* see sale_insert_is_plain() */
	AttrNumber	attnos[N_SALE_PARAMS];	/* of the column that gets a
										 * parameter; 0 if none does */
} SaleTable;

typedef struct SaleTables
{
	SaleTable	sale;
	SaleTable	hold;
	uint64		as_of;			/* stock_table_ninvalidations() */
	struct PlanSet *plans;
} SaleTables;

/* Between sales_begin() and sales_end(): who we are otherwise. */
typedef struct SaleContext
{
	MemoryContext cxt;			/* the caller's */
	Oid			userid;
	int			sec_context;
	int			guc_level;
} SaleContext;

extern bool sales_kept(Cart *cart);
pg_noreturn extern void raise_shard_moved(Cart *cart);
extern void sales_open(Cart *cart);
extern char *sales_misfit(StockTable *st, Oid relid, const SaleColumn *columns,
						  Oid owner, SaleTable *table);

extern void sales_become_owner(SaleContext *context, Cart *cart);
extern void sales_begin(SaleContext *context, Cart *cart);
extern void sales_end(SaleContext *context);
extern void sale_params_init(SaleParams *params);
extern void sale_param(SaleParams *params, SaleParam param, Datum value);
extern uint64 sales_run(Cart *cart, SalePlan plan, SaleParams *params,
						bool read_only);
extern uint64 sales_write(Cart *cart, SalePlan plan, SaleParams *params,
						  uint64 nrows);
extern void sales_insert(Cart *cart, SalePlan plan, SaleParams *params, int nrows);
extern void sales_write_one(Cart *cart, SalePlan plan, SaleParams *params);
extern struct PortalData *sales_cursor(Cart *cart, SalePlan plan,
									   SaleParams *params);
extern Datum sales_value(uint64 row, int column, bool *isnull);
extern bool sales_find_product(Cart *cart, Line *line);
extern Datum sales_key(uint64 row, int column, KeyType *kt);

/* sale_insert.c */
extern bool sale_insert_is_plain(Relation rel, KeyType *kt,
								 const SaleColumn *columns);
extern void sale_insert(Oid relid, SaleTable *table, SaleParams *params, int nrows);

#pragma GCC visibility pop

#endif							/* PURCHASE_SALE_TABLE_H */
