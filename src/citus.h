/*
 * citus.h
 *	  Tables that Citus distributes: the shard that has a product's row.
 */
#ifndef PURCHASE_CITUS_H
#define PURCHASE_CITUS_H

#include "utils/relcache.h"

#include "key.h"
#include "sale.h"

#pragma GCC visibility push(hidden)

extern bool citus_is_table(Oid relid);
extern bool citus_is_distributed_by(Oid relid, const char *column);
extern Oid	citus_local_shard(Relation rel, KeyType *kt, Datum key);
extern Oid	citus_shard_beside(Relation rel, KeyType *kt, Datum key);
extern void citus_let_write_shards(void);
extern bool citus_act_on_shards(Cart *cart, SaleCall *call, int64 *result);
extern int64 citus_count_rows(Oid relid);

#pragma GCC visibility pop

#endif							/* PURCHASE_CITUS_H */
