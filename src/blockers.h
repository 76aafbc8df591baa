/*
 * blockers.h
 *	  Who holds or waits for a product.
 */
#ifndef PURCHASE_BLOCKERS_H
#define PURCHASE_BLOCKERS_H

#include "nodes/execnodes.h"

#include "line.h"

#pragma GCC visibility push(hidden)

extern void blockers_find(Cart *cart, ReturnSetInfo *result);

#pragma GCC visibility pop

#endif							/* PURCHASE_BLOCKERS_H */
