/*
 * hold.h
 *	  Lapsed holds: counting and taking their units.
 */
#ifndef PURCHASE_HOLD_H
#define PURCHASE_HOLD_H

#include "line.h"

#pragma GCC visibility push(hidden)

extern void hold_count_lapsed(Cart *cart, Line *line);
extern void hold_count_bought(Cart *cart, Line *line, int64 *lapsed);
extern void hold_take_lapsed(Cart *cart, Line *line);
extern void hold_lapsed_products(Cart *cart);

#pragma GCC visibility pop

#endif							/* PURCHASE_HOLD_H */
