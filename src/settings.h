/*
 * settings.h
 *	  The settings: purchase.engine, purchase.lock_wait, purchase.early_release.
 */
#ifndef PURCHASE_SETTINGS_H
#define PURCHASE_SETTINGS_H

#pragma GCC visibility push(hidden)

typedef enum EngineChoice
{
	ENGINE_AUTO,
	ENGINE_ROW,
	ENGINE_SQL,
} EngineChoice;

extern int	purchase_engine;

/* ms; 0 = NOWAIT, -1 = no bound of ours */
extern int	purchase_lock_wait;

/* whether it was set, for a session or for more */
extern bool purchase_lock_wait_is_set;

/* an EarlyRelease */
extern int	purchase_early_release;

#pragma GCC visibility pop

#endif							/* PURCHASE_SETTINGS_H */
