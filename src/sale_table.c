/*
 * sale_table.c
 *	  The two tables that keep the sales with an id: do they fit, and plans on them.
 *
 * They are ordinary tables beside the stock table, of its owner, and are read and
 * written as that owner, the way foreign keys act: see ri_PerformCheck().  So a buyer
 * needs no right on them and can't forge them.  Row security does not apply to the
 * owner here, even if it is forced.  The search_path is a safe one, as triggers and
 * CHECKs of these tables run meanwhile.  Not SECURITY_RESTRICTED_OPERATION, which
 * would break deferrable foreign keys.
 *
 * They are opened, and checked, by the first thing that needs them.  A sale without an
 * id does not, as long as there is enough stock.
 *
 * All plans have the same parameters.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "citus.h"
#include "compat.h"
#include "plans.h"
#include "relation.h"
#include "sale_table.h"

/*
 * The columns, in the order of CREATE TABLE.  The definitions hold for tables that we
 * make; what must be so is the name, the type, and of sale_id the collation.  There are
 * no CHECKs: nobody else writes, and the server would plan each of them in every call.
 */
const SaleColumn sale_columns[] = {
	{"sale_id", TEXTOID, SALE_PARAM_ID, true, "COLLATE \"C\""},
	{"line", INT4OID, SALE_PARAM_LINE, true, ""},
	{"product_id", InvalidOid, SALE_PARAM_PRODUCT, true, ""},
	{"qty", INT8OID, SALE_PARAM_QTY, true, ""},
	{"state", TEXTOID, SALE_PARAM_STATE, true, ""},
	{"remaining", INT8OID, SALE_PARAM_REMAINING, false, ""},
	{"released", INT8OID, SALE_PARAM_RELEASED, true, "DEFAULT 0"},
	{"returned", INT8OID, SALE_PARAM_RETURNED, true, "DEFAULT 0"},
	{"discarded", INT8OID, SALE_PARAM_DISCARDED, true, "DEFAULT 0"},
	{"hold_for", INTERVALOID, SALE_PARAM_HOLD_FOR, false, ""},
	{"buyer", TEXTOID, SALE_PARAM_BUYER, false, ""},
	{"created_by", TEXTOID, SALE_PARAM_ROLE, true, ""},
	{"created_at", TIMESTAMPTZOID, SALE_PARAM_TIME, true, ""},
	{"settled_at", TIMESTAMPTZOID, SALE_PARAM_SETTLED, false, ""},
	{"returned_at", TIMESTAMPTZOID, SALE_PARAM_RETURNED_AT, false, ""},
	{"return_of", TEXTOID, SALE_PARAM_RETURN_OF, false, ""},
	{.name = NULL}
};

const SaleColumn hold_columns[] = {
	{"sale_id", TEXTOID, SALE_PARAM_ID, true, "COLLATE \"C\""},
	{"line", INT4OID, SALE_PARAM_LINE, true, ""},
	{"product_id", InvalidOid, SALE_PARAM_PRODUCT, true, ""},
	{"qty", INT8OID, SALE_PARAM_QTY, true, ""},
	{"buyer", TEXTOID, SALE_PARAM_BUYER, false, ""},
	{"expires_at", TIMESTAMPTZOID, SALE_PARAM_EXPIRES, true, ""},
	{.name = NULL}
};

/*
 * In a statement, %s is the table of the sales, %h that of the holds, %t the stock
 * table, %k the condition that the key equals $3: of the line or in the stock table; %b
 * that of the line alone.
 * %c are the columns of a table of ours, and %v the parameters for them.
 *
 * What is settled or returned must be as it was when it was locked: a trigger may have
 * called us for the same sale meanwhile.
 *
 * Who takes a lapsed hold believes neither table alone: the line must be unsettled, of
 * the same product, and no more units come back than it still has.
 */
#define UNITS "GREATEST(LEAST(h.qty, s.qty OPERATOR(pg_catalog.-) s.released), 0)"
#define SAME_LINE(a, b) a ".sale_id OPERATOR(pg_catalog.=) " b ".sale_id AND " \
	a ".line OPERATOR(pg_catalog.=) " b ".line"
#define THE_LINE "sale_id OPERATOR(pg_catalog.=) $1 AND line OPERATOR(pg_catalog.=) $2"
#define THE_SALE "sale_id OPERATOR(pg_catalog.=) $1"
#define IS_LAPSED "h.expires_at OPERATOR(pg_catalog.<=) $5" \
	" AND s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text"

#define IS_OLD(a) "(" a ".state OPERATOR(pg_catalog.<>) 'held'::pg_catalog.text AND" \
	" COALESCE(GREATEST(" a ".settled_at, " a ".returned_at)" \
	" OPERATOR(pg_catalog.<) $5, false) AND NOT ($18 AND " IS_COUNTED(a) "))"

#define IS_COUNTED(a) "(" a ".buyer IS NOT NULL AND" \
	" " a ".state OPERATOR(pg_catalog.=) 'sold'::pg_catalog.text AND" \
	" " a ".qty OPERATOR(pg_catalog.-) " a ".released OPERATOR(pg_catalog.>) " a ".returned)"

#define LINE_COLUMNS "s.line, s.product_id, s.qty, s.state, s.released, s.remaining," \
	" s.hold_for, s.buyer, s.returned, s.discarded, s.return_of"

static const char *const sale_plans[] = {
	[SALE_LOOK] =
	"SELECT " LINE_COLUMNS ", " UNITS ", h.expires_at"
	" FROM %s AS s LEFT JOIN %h AS h ON " SAME_LINE("h", "s")
	" WHERE s." THE_SALE " ORDER BY s.line",
	[SALE_LOCK] =
	"SELECT " LINE_COLUMNS
	" FROM %s AS s WHERE s." THE_SALE " ORDER BY s.line FOR NO KEY UPDATE",
	[SALE_LOCK_HOLDS] =
	"SELECT h.line, h.qty, h.expires_at FROM %h AS h WHERE h." THE_SALE
	" ORDER BY h.line FOR UPDATE",
	[SALE_RELY_ON] =
	"SELECT FROM %s AS s WHERE s." THE_LINE " FOR KEY SHARE",
	[SALE_INSERT] = "INSERT INTO %s (%c) VALUES (%v)",
	/* a trigger may have settled the line */
	[SALE_INSERT_HOLD] =
	"INSERT INTO %h (%c) SELECT %v WHERE EXISTS (SELECT FROM %s AS s WHERE s." THE_LINE
	" AND s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text"
	" AND s.released OPERATOR(pg_catalog.=) 0)",
	[SALE_SETTLE] =
	"UPDATE %s SET state = $6, released = $8, settled_at = $14 WHERE " THE_LINE
	" AND state OPERATOR(pg_catalog.=) $19 AND released OPERATOR(pg_catalog.=) $20",
	[SALE_NOTE_RETURN] =
	"UPDATE %s SET returned = $9, discarded = $15, returned_at = $16 WHERE " THE_LINE
	" AND returned OPERATOR(pg_catalog.=) $21",
	[SALE_DELETE_HOLD] =
	"DELETE FROM %h WHERE " THE_LINE,
	[SALE_REDUCE_HOLD] =
	"UPDATE %h SET qty = $4 WHERE " THE_LINE,
	[SALE_EXTEND_HOLDS] =
	"UPDATE %h SET expires_at = GREATEST(expires_at, $13) WHERE " THE_SALE
	" RETURNING expires_at",
	[SALE_LAPSED_UNITS] =
	"SELECT COALESCE(pg_catalog.sum(" UNITS "), 0)::pg_catalog.int8"
	" FROM %h AS h JOIN %s AS s ON " SAME_LINE("s", "h")
	" WHERE %k AND " IS_LAPSED,
	[SALE_LAPSED_HOLDS] =
	"SELECT h.sale_id, h.line, " UNITS ", s.released,"
	" COALESCE(s.buyer OPERATOR(pg_catalog.=) $11, false)"
	" FROM %h AS h JOIN %s AS s ON " SAME_LINE("s", "h")
	" WHERE %k AND " IS_LAPSED
	" ORDER BY s.buyer OPERATOR(pg_catalog.=) $11 DESC NULLS LAST, h.expires_at"
	" FOR NO KEY UPDATE OF s SKIP LOCKED FOR UPDATE OF h SKIP LOCKED",
	[SALE_LAPSED_PRODUCTS] =
	"SELECT DISTINCT h.product_id FROM %h AS h JOIN %s AS s ON " SAME_LINE("s", "h")
	" WHERE " IS_LAPSED,
	[SALE_BOUGHT] =
	"SELECT COALESCE(pg_catalog.sum(s.qty OPERATOR(pg_catalog.-) s.released"
	" OPERATOR(pg_catalog.-) s.returned) FILTER"
	" (WHERE s.state OPERATOR(pg_catalog.=) 'sold'::pg_catalog.text), 0)::pg_catalog.int8,"
	" COALESCE(pg_catalog.bool_or(s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text), false)"
	" FROM %s AS s WHERE s.buyer OPERATOR(pg_catalog.=) $11 AND %b",
	[SALE_BUYERS_HOLDS] =
	"SELECT COALESCE(pg_catalog.sum(" UNITS "), 0)::pg_catalog.int8,"
	" COALESCE(pg_catalog.sum(" UNITS ") FILTER (WHERE " IS_LAPSED "), 0)::pg_catalog.int8"
	" FROM %s AS s JOIN %h AS h ON " SAME_LINE("h", "s")
	" WHERE s.buyer OPERATOR(pg_catalog.=) $11 AND %b"
	" AND s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text",
	[SALE_HOLDS] =
	"SELECT pg_catalog.count(*) FROM %h AS h JOIN %s AS s ON " SAME_LINE("s", "h")
	" WHERE s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text",
	[SALE_STRAY_HOLDS] =
	"SELECT pg_catalog.count(*) FROM %h AS h LEFT JOIN %s AS s ON " SAME_LINE("s", "h")
	" AND s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text WHERE s.line IS NULL",
	[SALE_LOST_LINES] =
	"SELECT pg_catalog.count(*) FROM %s AS s WHERE"
	" s.state OPERATOR(pg_catalog.=) 'held'::pg_catalog.text"
	" AND NOT EXISTS (SELECT FROM %h AS h WHERE " SAME_LINE("h", "s") ")",
	[SALE_OLD] =
	"SELECT s.sale_id FROM %s AS s WHERE s.line OPERATOR(pg_catalog.=) 1 AND " IS_OLD("s")
	" AND s.return_of IS NULL"
	" AND NOT EXISTS (SELECT FROM %s AS o WHERE o.sale_id OPERATOR(pg_catalog.=) s.sale_id"
	" AND NOT " IS_OLD("o") ")"
	" FOR UPDATE OF s SKIP LOCKED",
	[SALE_OLD_RETURNS] =
	"SELECT s.sale_id FROM %s AS s WHERE " IS_OLD("s") " AND s.return_of IS NOT NULL"
	" AND NOT EXISTS (SELECT FROM %s AS o WHERE o.sale_id OPERATOR(pg_catalog.=) s.return_of)"
	" FOR UPDATE OF s SKIP LOCKED",
	[SALE_LOCK_OLD] =
	"SELECT FROM %s AS s WHERE s." THE_SALE " AND " IS_OLD("s")
	" FOR UPDATE SKIP LOCKED",
	[SALE_COUNT_LINES] =
	"SELECT pg_catalog.count(*) FROM %s AS s WHERE s." THE_SALE,
	[SALE_FORGET] =
	"DELETE FROM %s WHERE " THE_SALE,
	[SALE_FIND_PRODUCT] =
	"SELECT FROM %t AS t WHERE %k",
};

/* ----------------------------------------------------------------
 * Do the tables fit?
 * ----------------------------------------------------------------
 */

/*
 * Is it a valid, immediate, unique index on (sale_id, line)?  Or on these and the
 * product, as Citus wants it: it is the claim of an id that keeps it unique.
 */
static bool
is_line_index(Relation index)
{
	Form_pg_index form = index->rd_index;

	return form->indisunique && form->indisvalid && form->indimmediate &&
		(form->indnkeyatts == 2 ||
		 (form->indnkeyatts == 3 &&
		  form->indkey.values[2] == get_attnum(form->indrelid, "product_id"))) &&
		form->indkey.values[0] == get_attnum(form->indrelid, "sale_id") &&
		form->indkey.values[1] == get_attnum(form->indrelid, "line") &&
		index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_indcollation[0] == C_COLLATION_OID &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/*
 * The product's key must be of the same type, and mean the same by "equal".
 */
static bool
column_fits(StockTable *st, Relation rel, const SaleColumn *column, AttrNumber attno)
{
	Form_pg_attribute att;

	if (attno <= 0)
		return false;
	att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
	if (att->attgenerated != '\0')
		return false;
	if (!OidIsValid(column->type))
		return getBaseType(att->atttypid) == st->key_type.type &&
			att->attcollation == st->key_type.collation;
	return att->atttypid == column->type &&
		(strcmp(column->name, "sale_id") != 0 ||
		 att->attcollation == C_COLLATION_OID);
}

/*
 * Why a table can't keep sales, or holds, to follow its name; NULL if it can.  Then
 * *table is what is to be known of it.
 */
char *
sales_misfit(StockTable *st, Oid relid, const SaleColumn *columns, Oid owner,
			 SaleTable *table)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	char	   *result = NULL;

	if (rel == NULL)
		return pstrdup("was dropped");
	if (rel->rd_rel->relkind != RELKIND_RELATION ||
		rel->rd_rel->relispartition)
		result = pstrdup("is not an ordinary table");
	else if (rel->rd_rel->relowner != owner)
		result = pstrdup("does not belong to the owner of the stock table");
	else if (rel->rd_rel->relhassubclass &&
			 find_inheritance_children(relid, NoLock) != NIL)
		result = pstrdup("has tables that inherit from it");
	else if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED &&
			 get_rel_persistence(st->relid) == RELPERSISTENCE_PERMANENT)
		result = pstrdup("is unlogged, and the stock table is not");
	for (const SaleColumn *column = columns; column->name && !result; column++)
	{
		AttrNumber	attno = get_attnum(relid, column->name);

		table->attnos[column->param] = attno;
		if (!column_fits(st, rel, column, attno))
			result = psprintf("has no column \"%s\" of type %s", column->name,
							  OidIsValid(column->type) ?
							  psprintf("%s%s", format_type_be(column->type),
									   strcmp(column->name, "sale_id") == 0 ?
									   " with collation \"C\"" : "") :
							  psprintf("%s, as the key of the stock table",
									   format_type_be(st->key_type.type)));
	}
	if (result == NULL)
	{
		table->index = relation_find_index(rel, is_line_index);
		table->is_plain = sale_insert_is_plain(rel, &st->key_type, columns);
		if (!OidIsValid(table->index))
			result = pstrdup("has no unique index on (sale_id, line)");
	}
	relation_close(rel, NoLock);
	return result;
}

static void
check_fit(Cart *cart, Oid relid, const SaleColumn *columns, SaleTable *table)
{
	Relation	stock = cart->table.rel;
	char	   *why = sales_misfit(cart->table.st, relid, columns,
								   stock->rd_rel->relowner, table);
	char	   *name = get_rel_name(relid);

	if (why == NULL && citus_is_table(relid))
		why = "is distributed by Citus, and the stock table is not, or not by its key";
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" cannot keep its %s",
						RelationGetRelationName(stock),
						columns == sale_columns ? "sales" : "holds"),
				 name != NULL ? errdetail("Table \"%s\" %s.", name, why) :
				 errdetail("The table for them was dropped."),
				 errhint("Mend it, or choose other tables: SELECT purchase_keep_sales(%s, sale_table => ..., hold_table => ...);",
						 relation_literal(RelationGetRelid(cart->table.named))),
				 errtable(cart->table.named)));
}

/*
 * Are sales kept where this call can work on them?
 */
bool
sales_kept(Cart *cart)
{
	return OidIsValid(cart->table.st->sale_table) && !cart->table.st->sales_in_shards;
}

/*
 * Another node has sent a call here, where the shard was.
 */
void
raise_shard_moved(Cart *cart)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("a shard of table \"%s\" has moved to another node",
					RelationGetRelationName(cart->table.named)),
			 errhint("Retry the transaction."),
			 errtable(cart->table.named)));
}

pg_noreturn static void raise_not_kept(Cart *cart);

static void
raise_not_kept(Cart *cart)
{
	const char *literal = relation_literal(RelationGetRelid(cart->table.named));

	if (cart->table.st->sales_in_shards && citus_is_sent())
		raise_shard_moved(cart);
	if (cart->table.st->sales_in_shards)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sales of table \"%s\" are kept in its shards",
						RelationGetRelationName(cart->table.named)),
				 errdetail("A sale with an id takes a call for products of one shard, and runs on the node that has it."),
				 errhint("Sell by calls for one product, whose key has a type. Calls are sent there after: SELECT purchase_distribute(%s);",
						 literal),
				 errtable(cart->table.named)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" keeps no sales",
					RelationGetRelationName(cart->table.named)),
			 errhint("Let its owner make the tables for them: SELECT purchase_keep_sales(%s);",
					 literal),
			 errtable(cart->table.named)));
}

/*
 * Lock both tables, and see that they fit.  Locks are taken each time: another
 * transaction may alter a table that we have checked only while we don't hold it.  Then
 * what we know of the stock table is no longer valid, and they are checked anew; once, as
 * it stays invalid to the end of the call.  A new name of the schema is seen by the plans
 * only, so those are asked, too.
 */
void
sales_open(Cart *cart)
{
	StockTable *st = cart->table.st;
	LOCKMODE	lockmode = cart->table.lockmode;
	SaleTables	tables = {0};
	bool		plans_are_good;

	if (!sales_kept(cart))
		raise_not_kept(cart);

	LockRelationOid(st->sale_table, lockmode);
	LockRelationOid(st->hold_table, lockmode);
	plans_are_good = st->sales != NULL && plans_are_valid(st->sales->plans);
	if (plans_are_good && (stock_table_is_current(st) ||
						   st->sales->as_of == stock_table_ninvalidations()))
		return;
	tables.as_of = stock_table_ninvalidations();

	/* these may raise, so they come before what lives longer */
	check_fit(cart, st->sale_table, sale_columns, &tables.sale);
	check_fit(cart, st->hold_table, hold_columns, &tables.hold);

	if (st->sales == NULL)
		st->sales = MemoryContextAllocZero(st->cxt, sizeof(SaleTables));
	tables.plans = plans_are_good ? st->sales->plans :
		plans_renew(st->sales->plans, N_SALE_PLANS, st->cxt);
	*st->sales = tables;
}

/* ----------------------------------------------------------------
 * Plans
 * ----------------------------------------------------------------
 */

/*
 * Become the owner of the tables, with a safe search_path, connected to SPI.  An error
 * restores all, with the transaction or subtransaction.
 */
void
sales_become_owner(SaleContext *context, Cart *cart)
{
	context->cxt = CurrentMemoryContext;
	GetUserIdAndSecContext(&context->userid, &context->sec_context);
	SetUserIdAndSecContext(cart->table.rel->rd_rel->relowner,
						   context->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	context->guc_level = compat_restrict_search_path();
	if (cart->table.rel != cart->table.named)
		citus_let_write_shards();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * The same, for plans on the tables.
 */
void
sales_begin(SaleContext *context, Cart *cart)
{
	sales_open(cart);
	sales_become_owner(context, cart);
}

void
sales_end(SaleContext *context)
{
	SPI_finish();
	AtEOXact_GUC(true, context->guc_level);
	SetUserIdAndSecContext(context->userid, context->sec_context);
}

static char *
product_condition(StockTable *st, Oid relid, const char *alias)
{
	return key_condition(&st->key_type, relid,
						 get_attnum(relid, "product_id"), alias, "$3");
}

static void
append_columns(StringInfo sql, char what, const SaleColumn *columns)
{
	for (const SaleColumn *column = columns; column->name != NULL; column++)
	{
		appendStringInfoString(sql, column == columns ? "" : ", ");
		if (what == 'c')
			appendStringInfoString(sql, column->name);
		else
			appendStringInfo(sql, "$%d", column->param + 1);
	}
}

static char *
plan_text(Cart *cart, SalePlan plan)
{
	StockTable *st = cart->table.st;
	StringInfoData sql;

	initStringInfo(&sql);
	for (const char *p = sale_plans[plan]; *p != '\0'; p++)
	{
		if (*p != '%')
		{
			appendStringInfoChar(&sql, *p);
			continue;
		}
		switch (*++p)
		{
			case 's':
				appendStringInfoString(&sql, relation_name(st->sale_table));
				break;
			case 'h':
				appendStringInfoString(&sql, relation_name(st->hold_table));
				break;
			case 't':
				appendStringInfoString(&sql, relation_name(st->relid));
				break;
			case 'b':
				appendStringInfoString(&sql, product_condition(st, st->sale_table, "s"));
				break;
			case 'c':
			case 'v':
				append_columns(&sql, *p, plan == SALE_INSERT ? sale_columns : hold_columns);
				break;
			default:
				Assert(*p == 'k');
				appendStringInfoString(&sql, plan == SALE_FIND_PRODUCT ?
									   key_condition(&st->key_type, st->relid,
													 st->key_attno, "t", "$3") :
									   psprintf("%s AND %s",
												product_condition(st, st->hold_table, "h"),
												product_condition(st, st->sale_table, "s")));
		}
	}
	return sql.data;
}

static SPIPlanPtr
get_plan(Cart *cart, SalePlan plan)
{
	PlanSet    *set = cart->table.st->sales->plans;
	Oid			types[N_SALE_PARAMS] = {
		[SALE_PARAM_ID] = TEXTOID,
		[SALE_PARAM_LINE] = INT4OID,
		[SALE_PARAM_PRODUCT] = cart->table.st->key_type.type,
		[SALE_PARAM_QTY] = INT8OID,
		[SALE_PARAM_TIME] = TIMESTAMPTZOID,
		[SALE_PARAM_STATE] = TEXTOID,
		[SALE_PARAM_REMAINING] = INT8OID,
		[SALE_PARAM_RELEASED] = INT8OID,
		[SALE_PARAM_RETURNED] = INT8OID,
		[SALE_PARAM_HOLD_FOR] = INTERVALOID,
		[SALE_PARAM_BUYER] = TEXTOID,
		[SALE_PARAM_ROLE] = TEXTOID,
		[SALE_PARAM_EXPIRES] = TIMESTAMPTZOID,
		[SALE_PARAM_SETTLED] = TIMESTAMPTZOID,
		[SALE_PARAM_DISCARDED] = INT8OID,
		[SALE_PARAM_RETURNED_AT] = TIMESTAMPTZOID,
		[SALE_PARAM_RETURN_OF] = TEXTOID,
		[SALE_PARAM_LIMITED] = BOOLOID,
		[SALE_PARAM_OLD_STATE] = TEXTOID,
		[SALE_PARAM_OLD_RELEASED] = INT8OID,
		[SALE_PARAM_OLD_RETURNED] = INT8OID,
	};

	if (set->plans[plan] != NULL)
		return set->plans[plan];
	return plans_add(set, plan, plan_text(cart, plan), N_SALE_PARAMS, types);
}

/*
 * All parameters are NULL but those that are set.
 */
void
sale_params_init(SaleParams *params)
{
	memset(params->values, 0, sizeof(params->values));
	memset(params->nulls, 'n', sizeof(params->nulls));
}

void
sale_param(SaleParams *params, SaleParam param, Datum value)
{
	params->values[param] = value;
	params->nulls[param] = ' ';
}

/*
 * Run a plan; returns how many rows it found, to read with sales_value(), or wrote.
 * read_only: with the active snapshot.
 */
uint64
sales_run(Cart *cart, SalePlan plan, SaleParams *params, bool read_only)
{
	/* a trigger may have altered the tables since sales_begin() */
	sales_open(cart);
	if (SPI_execute_plan(get_plan(cart, plan), params->values, params->nulls,
						 read_only, 0) < 0)
		elog(ERROR, "could not execute a plan: %s",
			 SPI_result_code_string(SPI_result));
	return SPI_processed;
}

/*
 * Run a plan that must write at least so many rows; returns how many.
 */
uint64
sales_write(Cart *cart, SalePlan plan, SaleParams *params, uint64 nrows)
{
	bool		of_hold = plan == SALE_INSERT_HOLD || plan == SALE_DELETE_HOLD ||
		plan == SALE_REDUCE_HOLD || plan == SALE_EXTEND_HOLDS;
	uint64		n = sales_run(cart, plan, params, false);

	if (n < nrows)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the %s of sale \"%s\" did not take place",
						plan == SALE_INSERT || plan == SALE_INSERT_HOLD ?
						"insertion" : plan == SALE_DELETE_HOLD || plan == SALE_FORGET ?
						"deletion" : "update",
						TextDatumGetCString(params->values[SALE_PARAM_ID])),
				 errdetail("A trigger or rule on table \"%s\" suppressed it, or changed the sale meanwhile.",
						   get_rel_name(of_hold ? cart->table.st->hold_table :
										cart->table.st->sale_table))));
	return n;
}

/*
 * Run a plan that must write just one row, found by a unique key.
 */
void
sales_write_one(Cart *cart, SalePlan plan, SaleParams *params)
{
	(void) sales_write(cart, plan, params, 1);
}

/*
 * Insert rows, with SALE_INSERT or SALE_INSERT_HOLD.
 */
void
sales_insert(Cart *cart, SalePlan plan, SaleParams *params, int nrows)
{
	StockTable *st = cart->table.st;
	SaleContext context;

	sales_open(cart);
	if (st->sales->sale.is_plain && (plan == SALE_INSERT || st->sales->hold.is_plain))
	{
		sale_insert(plan == SALE_INSERT ? st->sale_table : st->hold_table,
					plan == SALE_INSERT ? &st->sales->sale : &st->sales->hold,
					params, nrows);
		return;
	}
	sales_begin(&context, cart);
	for (int i = 0; i < nrows; i++)
		sales_write_one(cart, plan, &params[i]);
	sales_end(&context);
}

/*
 * Open a cursor on the rows that a plan finds, read with a new snapshot.
 */
Portal
sales_cursor(Cart *cart, SalePlan plan, SaleParams *params)
{
	Portal		portal;

	sales_open(cart);
	portal = SPI_cursor_open(NULL, get_plan(cart, plan), params->values,
							 params->nulls, false);
	if (portal == NULL)
		elog(ERROR, "could not open a cursor: %s",
			 SPI_result_code_string(SPI_result));
	return portal;
}

/*
 * A value of what was found, in SPI's memory.  From 1, as SPI counts columns.
 */
Datum
sales_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
						 isnull);
}

/*
 * Is there a line's product, whether or not the user is allowed to see it?  So this
 * asks as the table's owner, without row security.
 */
bool
sales_find_product(Cart *cart, Line *line)
{
	SaleContext context;
	SaleParams	params;
	bool		found;

	sale_params_init(&params);
	sale_param(&params, SALE_PARAM_PRODUCT, line->key);
	sales_begin(&context, cart);
	found = sales_run(cart, SALE_FIND_PRODUCT, &params, false) > 0;
	sales_end(&context);
	return found;
}

/*
 * A product's key, in the current memory context.
 */
Datum
sales_key(uint64 row, int column, KeyType *kt)
{
	bool		isnull;
	Datum		value = sales_value(row, column, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("product_id of a sale is null")));
	return kt->len == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) :
		datumCopy(value, kt->byval, kt->len);
}
