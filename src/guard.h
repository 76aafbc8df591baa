/*
 * guard.h
 *	  Nothing goes around purchase: the triggers that guard a stock column.
 */
#ifndef PURCHASE_GUARD_H
#define PURCHASE_GUARD_H

#include "access/attnum.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

#include "key.h"

#pragma GCC visibility push(hidden)

#define GUARD_FUNCTION "purchase_guard_stock"

/* The one update that the triggers let pass. */
typedef struct Announcement
{
	Oid			target;			/* InvalidOid if it can't be told: none passes */
	const char *key_column;		/* of the target; NULL if it can't be told */
	KeyType    *key_type;
	Datum		key;
	bool		old_isnull;
	int64		old_stock;
	int64		new_stock;

	/* of guard.c */
	bool		before_passed;
	bool		after_passed;
	struct Announcement *outer;
} Announcement;

extern void guard_announce(Announcement *announcement);
extern void guard_withdraw(Announcement *announcement);
extern AttrNumber guard_column(Trigger *trigger);
extern Oid	guard_function(Oid self);
extern bool guard_watches(Relation rel, Oid function, AttrNumber attno);

#pragma GCC visibility pop

#endif							/* PURCHASE_GUARD_H */
