/*
 * plans.c
 *	  Saved SPI plans that are kept with a StockTable.
 *
 * When one of them has become invalid, which a new name of the schema does, all are
 * made anew with their texts.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "plans.h"

/*
 * Are all plans that have been made still good?  There may be no set yet.
 */
bool
plans_are_valid(PlanSet *set)
{
	if (set == NULL)
		return false;
	for (int i = 0; i < set->nplans; i++)
		if (set->plans[i] != NULL && !SPI_plan_is_valid(set->plans[i]))
			return false;
	return true;
}

static void
free_plans(void *arg)
{
	PlanSet    *set = arg;

	for (int i = 0; i < set->nplans; i++)
		if (set->plans[i] != NULL)
			SPI_freeplan(set->plans[i]);
}

/*
 * A set without plans, in place of an old one, or of NULL.  An outer call may be in the
 * middle of one of the old plans: they go with the transaction.
 */
PlanSet *
plans_renew(PlanSet *old, int nplans, MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "purchase plans",
											  ALLOCSET_SMALL_SIZES);
	PlanSet    *set = MemoryContextAllocZero(cxt, offsetof(PlanSet, plans) +
											 nplans * sizeof(SPIPlanPtr));

	set->cxt = cxt;
	set->nplans = nplans;
	set->callback.func = free_plans;
	set->callback.arg = set;
	MemoryContextRegisterResetCallback(cxt, &set->callback);
	if (old != NULL)
		MemoryContextSetParent(old->cxt, TopTransactionContext);
	return set;
}

/*
 * Make a plan.  It is generic: what is good for one key is good for all.
 */
SPIPlanPtr
plans_add(PlanSet *set, int plan, const char *text, int nargs, Oid *types)
{
	SPIPlanPtr	result = SPI_prepare_cursor(text, nargs, types,
											CURSOR_OPT_GENERIC_PLAN);

	if (result == NULL || SPI_keepplan(result) != 0)
		elog(ERROR, "could not prepare a plan: %s",
			 SPI_result_code_string(SPI_result));
	set->plans[plan] = result;
	return result;
}
