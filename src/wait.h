/*
 * wait.h
 *	  Subtransactions, and waiting no longer than is allowed.
 */
#ifndef PURCHASE_WAIT_H
#define PURCHASE_WAIT_H

#include "stat.h"

#pragma GCC visibility push(hidden)

/* What a call waits for. */
typedef enum WaitReason
{
	WAIT_FOR_PRODUCT,
	WAIT_FOR_SALE_ID,
} WaitReason;

extern ErrorData *run_in_subtransaction(bool (*fn) (void *), void *arg);
extern void wait_within(int bound, void (*fn) (void *),
						void (*on_timeout) (void *), void *arg,
						StatTable *stat);
extern void wait_begins(WaitReason reason);

#pragma GCC visibility pop

#endif							/* PURCHASE_WAIT_H */
