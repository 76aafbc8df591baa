/*
 * row_check.c
 *	  The row engine: a new version of a row is checked.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "compat.h"
#include "row.h"

/*
 * Make ready to run the CHECK constraints, in each call anew: whether the user
 * may execute what is in them is asked then, and a constraint may itself run SQL
 * that sells.
 */
static void
prepare_checks(RowState *state, RowTable *table)
{
	state->check_context = CreateStandaloneExprContext();
	state->checks = palloc((table->nchecks + 1) * sizeof(ExprState *));
	for (int i = 0; i < table->nchecks; i++)
	{
		Expr	   *check = table->checks[i];

		if (table->planned_checks != NULL)
			check = table->planned_checks[i];
		else if (check != NULL)
			check = expression_planner(check);
		state->checks[i] = ExecInitExpr(check, NULL);
	}
}

/*
 * Does a new version satisfy the table's constraints?  If not, ExecConstraints()
 * says which one it violates.
 */
bool
row_check(Cart *cart, TupleTableSlot *slot)
{
	RowState   *state = cart->engine_state;
	RowTable   *table = row_table(cart);
	TupleDesc	desc = slot->tts_tupleDescriptor;

	/* one is missing in the catalog: ExecConstraints() complains */
	if (table->nchecks != cart->table.rel->rd_rel->relchecks)
		return false;

	if (desc->constr != NULL && desc->constr->has_not_null)
		for (int i = 0; i < desc->natts; i++)
			if (slot->tts_isnull[i] && TupleDescAttr(desc, i)->attnotnull)
				return false;

	if (table->nchecks > 0 && state->checks == NULL)
		prepare_checks(state, table);
	for (int i = 0; i < table->nchecks; i++)
	{
		ResetExprContext(state->check_context);
		state->check_context->ecxt_scantuple = slot;
		if (!ExecCheck(state->checks[i], state->check_context))
			return false;
	}
	return true;
}
