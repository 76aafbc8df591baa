/*
 * sale.h
 *	  What can be done with a sale that has an id.
 */
#ifndef PURCHASE_SALE_H
#define PURCHASE_SALE_H

#include "line.h"
#include "record.h"

#pragma GCC visibility push(hidden)

/* What can be done without naming a product. */
typedef enum SaleAction
{
	ACTION_CONFIRM,
	ACTION_RELEASE,
	ACTION_EXTEND,
	ACTION_RETURN,
	ACTION_EXPIRE,				/* of all sales, as the next */
	ACTION_FORGET,
	N_ACTIONS
} SaleAction;

typedef struct SaleCall
{
	SaleAction	action;
	Interval   *hold_for;		/* of ACTION_EXTEND */
	bool		restock;		/* of ACTION_RETURN */
	int64		max;			/* of ACTION_EXPIRE and ACTION_FORGET */
	TimestampTz before;			/* of ACTION_FORGET */
	bool		forget_limits;
} SaleCall;

extern const char *const sale_actions[];
extern int64 sale_act(Cart *cart, SaleCall *call);
extern int64 sale_release_part(Cart *cart);
extern int64 sale_return_part(Cart *cart, text *return_id, bool restock);
extern void sale_check_no_holds(Oid self, Relation stock_table);
extern int64 sale_stray_holds(Oid self, Relation stock_table);
extern int64 sale_lost_lines(Oid self, Relation stock_table);

#pragma GCC visibility pop

#endif							/* PURCHASE_SALE_H */
