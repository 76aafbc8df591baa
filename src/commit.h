/*
 * commit.h
 *	  Early release: the rows of a sale are free before its commit is durable.
 */
#ifndef PURCHASE_COMMIT_H
#define PURCHASE_COMMIT_H

#include "access/htup.h"
#include "access/xlogdefs.h"
#include "utils/guc.h"

#include "stat.h"

#pragma GCC visibility push(hidden)

/* In rising order: how early.  The values of purchase.early_release. */
typedef enum EarlyRelease
{
	EARLY_RELEASE_OFF,
	EARLY_RELEASE_LOCAL,		/* before a standby has confirmed */
	EARLY_RELEASE_ON,			/* before the local flush, too */
} EarlyRelease;

extern const struct config_enum_entry early_release_options[];

extern bool commit_parse_level(const char *str, EarlyRelease *level);
extern void commit_early(EarlyRelease level, StatTable *stat);
extern void commit_wait_flushed(HeapTupleHeader version, XLogRecPtr page_lsn);
extern void commit_wait_all_flushed(void);
extern bool commit_all_flushed(void);
extern void commit_wait_flushed_to_end(void);
extern bool commit_waits_for_standby(void);
extern void commit_wait_durable(void);

#pragma GCC visibility pop

#endif							/* PURCHASE_COMMIT_H */
