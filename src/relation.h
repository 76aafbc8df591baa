/*
 * relation.h
 *	  Relations: their names in SQL, DDL, and opening those that the user owns.
 */
#ifndef PURCHASE_RELATION_H
#define PURCHASE_RELATION_H

#include "storage/lockdefs.h"
#include "utils/relcache.h"

#pragma GCC visibility push(hidden)

extern char *relation_literal(Oid relid);
extern char *relation_name(Oid relid);
extern char *collation_name(Oid collation);
extern Oid	relation_find_index(Relation rel, bool (*fits) (Relation index));
extern void run_ddl(const char *sql);
extern void relation_check_owned(Relation rel);
extern Relation relation_open_owned(Oid relid, LOCKMODE lockmode);

#pragma GCC visibility pop

#endif							/* PURCHASE_RELATION_H */
