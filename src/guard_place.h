/*
 * guard_place.h
 *	  Puts the guard's triggers on a table, and takes them away.
 */
#ifndef PURCHASE_GUARD_PLACE_H
#define PURCHASE_GUARD_PLACE_H

#include "access/attnum.h"
#include "utils/relcache.h"

#pragma GCC visibility push(hidden)

extern void guard_follow(Relation rel, Oid function, AttrNumber attno);

#pragma GCC visibility pop

#endif							/* PURCHASE_GUARD_PLACE_H */
