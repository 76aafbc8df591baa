/*
 * plans.h
 *	  Saved SPI plans that are kept with a StockTable.
 */
#ifndef PURCHASE_PLANS_H
#define PURCHASE_PLANS_H

#include "executor/spi.h"

#pragma GCC visibility push(hidden)

typedef struct PlanSet
{
	MemoryContext cxt;			/* below the StockTable's */
	MemoryContextCallback callback;
	int			nplans;
	SPIPlanPtr	plans[FLEXIBLE_ARRAY_MEMBER];	/* each made when needed */
} PlanSet;

extern bool plans_are_valid(PlanSet *set);
extern PlanSet *plans_renew(PlanSet *old, int nplans, MemoryContext parent);
extern SPIPlanPtr plans_add(PlanSet *set, int plan, const char *text, int nargs,
							Oid *types);

#pragma GCC visibility pop

#endif							/* PURCHASE_PLANS_H */
