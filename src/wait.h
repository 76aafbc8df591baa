/*
 * wait.h
 *	  Subtransactions, and waiting no longer than is allowed.
 */
#ifndef PURCHASE_WAIT_H
#define PURCHASE_WAIT_H

#pragma GCC visibility push(hidden)

extern ErrorData *run_in_subtransaction(bool (*fn) (void *), void *arg);
extern void wait_within(int bound, void (*fn) (void *),
						void (*on_timeout) (void *), void *arg);

#pragma GCC visibility pop

#endif							/* PURCHASE_WAIT_H */
