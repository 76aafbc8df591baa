/*
 * registration.h
 *	  Rows of purchase_registration: which tables are attached, and how.
 */
#ifndef PURCHASE_REGISTRATION_H
#define PURCHASE_REGISTRATION_H

#include "storage/lockdefs.h"
#include "utils/relcache.h"

#include "commit.h"
#include "compat.h"

#pragma GCC visibility push(hidden)

/* The lock_wait of a table that has none of its own. */
#define LOCK_WAIT_UNSET (-2)

typedef struct Registration
{
	Oid			relid;
	char	   *key_column;
	char	   *stock_column;
	int			lock_wait;		/* as the setting, or LOCK_WAIT_UNSET */
	EarlyRelease early_release; /* the most that the owner allows */
	Oid			sale_table;		/* InvalidOid: it keeps no sales */
	Oid			hold_table;
	char	   *limit_column;	/* NULL: no limits per buyer */
} Registration;

extern Oid	registration_relid(Oid self);
extern bool registration_find(Oid self, Registration *registration);
extern bool registration_may_write(Relation reg);
extern bool registration_is_empty(Relation reg);
extern char *registration_last_owner(Relation reg);
extern void registration_store(Relation reg, Registration *registration,
							   bool is_default);
extern bool registration_uses(Relation reg, Oid relid, Oid stock_table);
extern void registration_store_sales(Relation reg, Registration *registration);
extern bool registration_delete(Relation reg, Oid relid);
pg_noreturn extern void raise_not_attached(Relation rel);

#pragma GCC visibility pop

#endif							/* PURCHASE_REGISTRATION_H */
