/*
 * citus.h
 *	  Tables that Citus distributes: the shard that has a product's row.
 */
#ifndef PURCHASE_CITUS_H
#define PURCHASE_CITUS_H

#include "utils/relcache.h"

#include "key.h"

#pragma GCC visibility push(hidden)

extern bool citus_is_loaded(void);
extern bool citus_is_installed(void);
extern bool citus_is_table(Oid relid);
extern bool citus_is_distributed_by(Oid relid, const char *column);
extern bool citus_is_colocated(Oid relid, Oid other);
extern bool citus_is_shard(Oid relid);
extern bool citus_is_sent(void);
extern Oid	citus_local_shard(Relation rel, KeyType *kt, Datum key, bool to_read);
extern Oid	citus_shard_beside(Relation rel, Oid stock_table, KeyType *kt, Datum key);
extern int64 citus_shard_of(Relation rel, KeyType *kt, Datum key);
extern void citus_let_write_shards(void);
extern void citus_write_dates(void);
extern Datum citus_query(const char *sql, int nargs, Oid *types, Datum *values,
						 bool *isnull);
extern bool citus_query_bool(const char *sql, int nargs, Oid *types, Datum *values);
extern void citus_send_to_workers(const char *command);
extern int64 citus_count_rows(Oid relid);

#pragma GCC visibility pop

#endif							/* PURCHASE_CITUS_H */
