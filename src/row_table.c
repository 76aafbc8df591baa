/*
 * row_table.c
 *	  The row engine: what is to be known of a table before its rows are written.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "row.h"

/*
 * Does a foreign key of the table check anything when only the stock changes?  One
 * with several columns may: MATCH FULL forbids that only some of them are null, and
 * an old row may violate that if the constraint is not validated yet.
 */
static bool
foreign_keys_ask(Relation rel, AttrNumber stock_attno)
{
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);

		if (fk->nkeys > 1 ||
			inspect_changes_with_stock(rel, fk->conkey[0], stock_attno))
			return true;
	}
	return false;
}

/*
 * The triggers of foreign keys do nothing as long as the keys do not change.  Those
 * that the table has as the referenced one never do; those that it has as the
 * referencing one do something only for rows that this transaction has written.
 * The executor would ask for each row: RI_FKey_pk_upd_check_required() and
 * RI_FKey_fk_upd_check_required() in ri_triggers.c.
 */
static RowTriggers
row_triggers(Relation rel, StockTable *st)
{
	bool		referencing = foreign_keys_ask(rel, st->stock_attno);
	RowTriggers result = ROW_TRIGGERS_NONE;

	/* not earlier: reading a catalog may replace it */
	TriggerDesc *trigdesc = rel->trigdesc;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];
		int			ri_type = trigger->tgisinternal ?
			RI_FKey_trigger_type(trigger->tgfoid) : RI_TRIGGER_NONE;

		if (!TRIGGER_FOR_ROW(trigger->tgtype) ||
			!TRIGGER_FOR_UPDATE(trigger->tgtype) ||
			trigger->tgenabled == TRIGGER_DISABLED ||
			trigger->tgfoid == st->guard_function ||
			(ri_type == RI_TRIGGER_PK && !st->stock_in_key))
			continue;
		if (ri_type != RI_TRIGGER_FK || referencing)
			return ROW_TRIGGERS_ANY;
		result = ROW_TRIGGERS_OF_NEW_ROWS;
	}
	return result;
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
 * Read the CHECK constraints, and plan them if their plans can be kept.  The
 * executor would read them from their stored text anew for each ResultRelInfo,
 * which is the most expensive part of a small update.
 */
static void
read_checks(RowTable *table, Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	int			n = constr ? constr->num_check : 0;
	bool		keep = true;

	table->nchecks = n;
	table->checks = palloc((n + 1) * sizeof(Expr *));
	for (int i = 0; i < n; i++)
	{
		table->checks[i] = compat_parse_check(rel, &constr->check[i]);
		keep = keep && !may_change((Node *) table->checks[i], NULL);
	}
	if (!keep)
		return;

	table->planned_checks = palloc((n + 1) * sizeof(Expr *));
	for (int i = 0; i < n; i++)
		table->planned_checks[i] = table->checks[i] == NULL ? NULL :
			expression_planner(table->checks[i]);
}

/*
 * What is known of the table, which is found out with the first write.
 */
RowTable *
row_table(Cart *cart)
{
	StockTable *st = cart->table.st;
	Relation	rel = cart->table.rel;

	if (st->row == NULL)
	{
		TupleConstr *constr = RelationGetDescr(rel)->constr;

		/*
		 * the StockTable's when it is complete: a CHECK may fail to be
		 * planned
		 */
		MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
												  "purchase row engine",
												  ALLOCSET_SMALL_SIZES);
		MemoryContext oldcxt = MemoryContextSwitchTo(cxt);
		RowTable   *table = palloc0(sizeof(RowTable));

		table->triggers = row_triggers(rel, st);
		table->generated = constr != NULL && constr->has_generated_stored;
		table->partition = rel->rd_rel->relispartition;
		read_checks(table, rel);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextSetParent(cxt, st->cxt);
		st->row = table;
	}
	return st->row;
}
