/*
 * row_check.c
 *	  The row engine: a new version of a row is checked.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "row.h"

/*
 * The table's CHECK constraints.  The executor would read them from their
 * stored text anew for each ResultRelInfo, which is the dearest part of a small
 * update; so they are read once.
 */
static int
read_checks(Cart *cart)
{
	StockTable *st = cart->st;
	TupleConstr *constr = RelationGetDescr(cart->rel)->constr;
	int			n = constr ? constr->num_check : 0;

	if (n > 0 && st->checks == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(st->cxt);
		Expr	  **checks = palloc(n * sizeof(Expr *));

		for (int i = 0; i < n; i++)
			checks[i] = compat_parse_check(cart->rel, &constr->check[i]);
		st->checks = checks;
		MemoryContextSwitchTo(oldcxt);
	}
	return n;
}

/*
 * Hand them to the executor.
 */
void
prepare_checks(Cart *cart, EState *estate, ResultRelInfo *rri)
{
	int			n = read_checks(cart);
	MemoryContext oldcxt;

	if (n == 0 || compat_check_exprs(rri) != NULL)
		return;
	/* the executor complains if one is missing */
	if (n != cart->rel->rd_rel->relchecks)
		return;

	oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	compat_check_exprs(rri) = palloc0(n * sizeof(ExprState *));
	for (int i = 0; i < n; i++)
		if (cart->st->checks[i] != NULL)
			compat_check_exprs(rri)[i] = ExecPrepareExpr(cart->st->checks[i],
														 estate);
	MemoryContextSwitchTo(oldcxt);
}

static bool
is_not_built_in(Oid funcid, pg_attribute_unused() void *context)
{
	return funcid >= FirstNormalObjectId;
}

/*
 * Could the plan of a CHECK become wrong while the table's definition stays the
 * same?  Not if it is made of nothing but columns, constants, and operators
 * and functions of the server.  The types are asked for, too: how those of a
 * user are compared, even by a function of the server, may change.
 */
static bool
may_change(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_OpExpr:
		case T_FuncExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_RelabelType:
			return exprType(node) >= FirstNormalObjectId ||
				check_functions_in_node(node, is_not_built_in, context) ||
				expression_tree_walker(node, may_change, context);
		case T_List:
			return expression_tree_walker(node, may_change, context);
		default:
			return true;
	}
}

/*
 * Plan the CHECK constraints, once.  False if one of them may change.
 */
bool
plan_checks(Cart *cart)
{
	StockTable *st = cart->st;
	MemoryContext oldcxt;
	Expr	  **planned;
	int			n;

	if (st->planned_checks != NULL)
		return true;

	n = read_checks(cart);
	st->plain = n == cart->rel->rd_rel->relchecks;
	for (int i = 0; i < n; i++)
		if (may_change((Node *) st->checks[i], NULL))
			st->plain = false;
	if (!st->plain)
		return false;

	planned = MemoryContextAllocZero(st->cxt, (n + 1) * sizeof(Expr *));
	for (int i = 0; i < n; i++)
	{
		Expr	   *check = st->checks[i];

		if (check != NULL)
			check = expression_planner(check);
		oldcxt = MemoryContextSwitchTo(st->cxt);
		planned[i] = copyObject(check);
		MemoryContextSwitchTo(oldcxt);
	}
	st->planned_checks = planned;
	return true;
}

/*
 * Does a row of a plain table satisfy all constraints?  Each call makes ready
 * to run what is planned: whether the user may execute it is asked then, and a
 * constraint may itself run SQL that sells.
 */
bool
satisfies_constraints(Cart *cart, TupleTableSlot *slot)
{
	RowState   *state = cart->engine_state;
	TupleDesc	desc = slot->tts_tupleDescriptor;
	int			n = desc->constr ? desc->constr->num_check : 0;

	if (desc->constr != NULL && desc->constr->has_not_null)
		for (int i = 0; i < desc->natts; i++)
			if (slot->tts_isnull[i] && TupleDescAttr(desc, i)->attnotnull)
				return false;

	if (n > 0 && state->check_context == NULL)
	{
		state->checks = palloc0(n * sizeof(ExprState *));
		for (int i = 0; i < n; i++)
			state->checks[i] = ExecInitExpr(cart->st->planned_checks[i], NULL);
		state->check_context = CreateStandaloneExprContext();
	}
	for (int i = 0; i < n; i++)
	{
		ResetExprContext(state->check_context);
		state->check_context->ecxt_scantuple = slot;
		if (!ExecCheck(state->checks[i], state->check_context))
			return false;
	}
	return true;
}
