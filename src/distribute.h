/*
 * distribute.h
 *	  Sales by their ids, where their tables may be distributed.
 */
#ifndef PURCHASE_DISTRIBUTE_H
#define PURCHASE_DISTRIBUTE_H

#include "sale.h"

#pragma GCC visibility push(hidden)

extern int64 distribute_act(Cart *cart, SaleCall *call);
extern void distribute_remind(Relation rel);

#pragma GCC visibility pop

#endif							/* PURCHASE_DISTRIBUTE_H */
