/*
 * distribute.c
 *	  Where Citus distributes a stock table: calls by the id of a sale, on all shards that
 *	  have some of it; purchase_distribute(); and what purchase_check() is told.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "citus.h"
#include "compat.h"
#include "distribute.h"
#include "inspect.h"
#include "registration.h"
#include "relation.h"
#include "sale_table.h"

PG_FUNCTION_INFO_V1(purchase_distribute);
PG_FUNCTION_INFO_V1(purchase_stock_table_citus);

/*
 * What is delegated: the calls that name a product by bigint, for keys of these types.  r is a
 * registration.
 */
#define KEY_IS_DELEGATED \
	" (SELECT CASE typtype WHEN 'd' THEN typbasetype ELSE y.oid END" \
	" IN ('bigint'::regtype, 'integer'::regtype, 'smallint'::regtype)" \
	" FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = atttypid" \
	" WHERE attrelid = r.stock_table AND attname = r.key_column)"
#define DELEGATED_CALLS \
	" pg_depend AS e JOIN pg_depend AS d ON d.refobjid = e.refobjid AND d.deptype = 'e'" \
	" AND d.refclassid = e.refclassid AND d.classid = e.classid AND e.deptype = 'e'" \
	" AND e.classid = 'pg_proc'::regclass" \
	" JOIN pg_proc AS p ON p.oid = d.objid" \
	" AND p.proargtypes[array_position(p.proargnames, 'product_id') - 1] = 'bigint'::regtype"

/* ----------------------------------------------------------------
 * Sales, whatever shards they are in
 * ----------------------------------------------------------------
 */

/*
 * The products that a call concerns, in the order of carts: one text for each, in the
 * current memory context.  As it would be were they in one place, lines of which nothing can be
 * done are left out, unless they are all.
 */
static List *
products_of(Cart *cart, SaleCall *call)
{
	StockTable *st = cart->table.st;
	MemoryContext cxt = CurrentMemoryContext;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {
		cart->sale == NULL ? (Datum) 0 : PointerGetDatum(cart->sale->id),
		TimestampTzGetDatum(call->before),
	};
	const char *sql =
		call->action == ACTION_EXPIRE ?
		"SELECT product_id, true FROM %s WHERE expires_at <= clock_timestamp() GROUP BY 1 ORDER BY 1" :
		call->action == ACTION_FORGET ?
		"SELECT product_id, true FROM %s WHERE settled_at < $2 GROUP BY 1 ORDER BY 1" :
		call->action == ACTION_RETURN ?
		"SELECT product_id, bool_or(state = 'sold') FROM %s WHERE sale_id = $1 GROUP BY 1 ORDER BY 1" :
		"SELECT product_id, bool_or(state <> 'released') FROM %s WHERE sale_id = $1 GROUP BY 1 ORDER BY 1";
	SaleContext context;
	List	   *all = NIL;
	List	   *open = NIL;

	sales_become_owner(&context, cart);
	citus_write_dates();
	if (SPI_execute_with_args(psprintf(sql, relation_name(call->action == ACTION_EXPIRE ?
														  st->hold_table : st->sale_table)),
							  2, types, values, cart->sale == NULL ? "n " : "  ", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find the products of a sale");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		MemoryContext spi = MemoryContextSwitchTo(cxt);
		char	   *product = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		all = lappend(all, product);
		if (DatumGetBool(sales_value(i, 2, &isnull)))
			open = lappend(open, product);
		MemoryContextSwitchTo(spi);
	}
	sales_end(&context);
	return open != NIL ? open : all;
}

/*
 * A relation's name as a literal that means the same anywhere.
 */
static char *
literal(Oid relid)
{
	return quote_literal_cstr(relation_name(relid));
}

static char *
text_literal(const char *value)
{
	return value == NULL ? "NULL" : quote_literal_cstr(value);
}

/*
 * The call for the shard of one product.  It is all constants, as Citus delegates nothing
 * else.
 */
static char *
call_for(Cart *cart, SaleCall *call, const char *product, int64 max)
{
	return psprintf("SELECT x FROM %s.purchase_on_shard(%s::bigint, %s::text, %s::text, %s::interval, %s, %s::bigint, %s::timestamptz, %s, %s::regclass) AS x",
					quote_identifier(get_namespace_name(get_func_namespace(cart->self))),
					quote_literal_cstr(product), quote_literal_cstr(sale_actions[call->action]),
					text_literal(cart->sale == NULL ? NULL : text_to_cstring(cart->sale->id)),
					text_literal(call->hold_for == NULL ? NULL :
								 DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(call->hold_for)))),
					call->restock ? "true" : "false",
					call->action < ACTION_EXPIRE ? "NULL" : psprintf("'" INT64_FORMAT "'", max),
					call->action != ACTION_FORGET ? "NULL" :
					text_literal(DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(call->before)))),
					call->forget_limits ? "true" : "false",
					literal(cart->table.st->relid));
}

static bool
is_among(int64 shard, int64 *shards, int nshards)
{
	for (int i = 0; i < nshards; i++)
		if (shards[i] == shard)
			return true;
	return false;
}

/*
 * Where the table and its sales are distributed, do what is asked on each shard that has some of
 * them, all in this transaction.  False if they are not.
 */
static bool
act_on_shards(Cart *cart, SaleCall *call, int64 *result)
{
	StockTable *st;
	List	   *products;
	ListCell   *lc;
	int64	   *shards;
	int			nshards = 0;

	if (!citus_is_loaded())
		return false;
	stock_table_open(&cart->table, cart->self, cart->stock_table, USE_WRITE);
	st = cart->table.st;
	if (!st->sales_in_shards)
	{
		stock_table_close(&cart->table);
		return false;
	}

	*result = 0;
	products = products_of(cart, call);
	shards = palloc(Max(list_length(products), 1) * sizeof(int64));
	foreach(lc, products)
	{
		char	   *product = lfirst(lc);
		Datum		key = InputFunctionCall(&st->key_type.input, product, st->key_type.ioparam, -1);
		int64		shard = citus_shard_of(cart->table.rel, &st->key_type, key);
		int64		part;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (call->action >= ACTION_EXPIRE && *result >= call->max)
			break;
		if (is_among(shard, shards, nshards))
			continue;
		part = DatumGetInt64(citus_query(call_for(cart, call, product, call->max - *result),
										 0, NULL, NULL, &isnull));
		if (call->action != ACTION_EXTEND)
			*result += part;
		else
			*result = nshards == 0 ? part : Min(*result, part);
		shards[nshards++] = shard;
	}
	if (nshards == 0 && call->action < ACTION_EXPIRE)
		raise_sale_not_found(cart);
	stock_table_close(&cart->table);
	return true;
}

/*
 * Do something with the sales of the cart's stock table, wherever they are kept: see
 * sale_act().
 */
int64
distribute_act(Cart *cart, SaleCall *call)
{
	int64		result;

	return act_on_shards(cart, call, &result) ? result : sale_act(cart, call);
}

/* ----------------------------------------------------------------
 * purchase_distribute()
 * ----------------------------------------------------------------
 */

/*
 * Are calls for this type of key delegated?
 */
static bool
may_delegate(StockTable *st)
{
	Oid			type = st->key_type.type;

	return type == INT8OID || type == INT4OID || type == INT2OID;
}

static void
check_can_distribute(Relation rel, StockTable *st)
{
	if (!citus_query_bool("SELECT citus_is_coordinator()", 0, NULL, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("purchase_distribute() must be run on the coordinator of a Citus cluster"),
				 errhint("Its nodes are added by citus_set_coordinator_host() and citus_add_node().")));
	if (!st->distributed_by_key)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not distributed by its key",
						RelationGetRelationName(rel)),
				 errhint("Distribute it: SELECT create_distributed_table(%s, %s);",
						 relation_literal(st->relid), quote_literal_cstr(st->key_column)),
				 errtable(rel)));
	if (OidIsValid(st->sale_table) && !may_delegate(st))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the sales of table \"%s\" cannot be distributed, as its key is of type %s",
						RelationGetRelationName(rel), format_type_be(st->key_type.type)),
				 errhint("As it is, all calls work on the coordinator: make them there alone."),
				 errtable(rel)));
}

/*
 * The rows of a sale table go where those of its products are.  Citus wants that column in
 * every unique index.
 */
static void
distribute_beside(StockTable *st, Oid relid)
{
	Oid			types[] = {REGCLASSOID};
	Datum		values[] = {ObjectIdGetDatum(relid)};
	bool		isnull;
	Datum		primary_key;

	if (citus_is_table(relid))
	{
		if (!citus_is_colocated(relid, st->relid))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" is not distributed as table \"%s\" is",
							get_rel_name(relid), get_rel_name(st->relid)),
					 errhint("Undistribute it, SELECT undistribute_table(%s), or keep sales in other tables.",
							 relation_literal(relid))));
		return;
	}
	primary_key = citus_query("SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'p'",
							  1, types, values, &isnull);
	if (!isnull)
		(void) citus_query(psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD PRIMARY KEY (sale_id, line, product_id)",
									relation_name(relid),
									quote_identifier(NameStr(*DatumGetName(primary_key)))),
						   0, NULL, NULL, &isnull);
	(void) citus_query(psprintf("SELECT create_distributed_table(%s, 'product_id', colocate_with => %s)",
								literal(relid), literal(st->relid)),
					   0, NULL, NULL, &isnull);
}

/*
 * Attach the table on every other node as it is attached here.  Each finds its own OIDs.
 */
static void
register_everywhere(Oid self, Registration *registration)
{
	Registration by_default = {.relid = InvalidOid};
	const char *schema = quote_identifier(get_namespace_name(get_func_namespace(self)));
	const char *table = literal(registration->relid);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s.purchase_attach(%s, stock_column => %s, key_column => %s, is_default => %s",
					 schema, table, quote_literal_cstr(registration->stock_column),
					 quote_literal_cstr(registration->key_column),
					 registration_find(self, &by_default) &&
					 by_default.relid == registration->relid ? "true" : "false");
	if (registration->lock_wait != LOCK_WAIT_UNSET)
		appendStringInfo(&sql, ", lock_wait => '%d'", registration->lock_wait);
	if (registration->early_release != EARLY_RELEASE_ON)
		appendStringInfo(&sql, ", early_release => '%s'",
						 early_release_options[registration->early_release].name);
	appendStringInfoString(&sql, ")");
	citus_send_to_workers(sql.data);

	if (!OidIsValid(registration->sale_table))
		return;
	citus_send_to_workers(psprintf("SELECT %s.purchase_keep_sales(%s, limit_column => %s, sale_table => %s, hold_table => %s)",
								   schema, table,
								   quote_literal_cstr(registration->limit_column ? registration->limit_column : ""),
								   quote_literal_cstr(get_rel_name(registration->sale_table)),
								   quote_literal_cstr(get_rel_name(registration->hold_table))));
}

/*
 * A function is delegated by one group of tables that are distributed alike.  So a call for
 * any other table would come to a node that does not have its row.
 */
static void
check_others(Oid self, StockTable *st)
{
	Oid			types[] = {REGCLASSOID};
	Datum		values[] = {ObjectIdGetDatum(st->relid)};
	bool		isnull;
	Datum		other = citus_query(psprintf("SELECT min(r.stock_table::text) FROM %s AS r"
											 " LEFT JOIN pg_dist_partition AS p ON p.logicalrelid = r.stock_table"
											 " WHERE" KEY_IS_DELEGATED " AND colocationid IS DISTINCT FROM"
											 " (SELECT colocationid FROM pg_dist_partition WHERE logicalrelid = $1)",
											 relation_name(registration_relid(self))),
									1, types, values, &isnull);

	if (!isnull)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" and table \"%s\" are not distributed alike",
						get_rel_name(st->relid), TextDatumGetCString(other)),
				 errdetail("Calls are sent to the node that has the product's row, by their first argument alone."),
				 errhint("Distribute both with colocate_with, or detach one: SELECT purchase_detach(%s);",
						 quote_literal_cstr(TextDatumGetCString(other)))));
}

/*
 * Let Citus send the calls that name a product of this type to the node that has its row.
 */
static void
distribute_functions(Oid self, StockTable *st)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(self)};
	bool		isnull;

	if (!may_delegate(st))
	{
		ereport(NOTICE,
				(errmsg("calls are not delegated, as the key is of type %s",
						format_type_be(st->key_type.type)),
				 st->key_type.byval ? 0 :
				 errdetail("In Citus, up to 14.0 at least, a delegated call with a null key of this type crashes the server."),
				 errhint("Calls work from any node, by several round trips.")));
		return;
	}
	check_others(self, st);
	(void) citus_query(psprintf("SELECT count(create_distributed_function(p.oid::regprocedure, 'product_id',"
								" colocate_with => %s, force_delegation => true))"
								" FROM" DELEGATED_CALLS " WHERE e.objid = $1",
								literal(st->relid)),
					   1, types, values, &isnull);
}

/*
 * What is registered here has changed: the other nodes don't know.
 */
void
distribute_remind(Relation rel)
{
	if (citus_is_loaded() && !citus_is_sent() && citus_is_table(RelationGetRelid(rel)))
		ereport(NOTICE,
				(errmsg("this node alone knows what was changed of table \"%s\"",
						RelationGetRelationName(rel)),
				 errhint("If it stays attached, let the others know, on the coordinator: SELECT purchase_distribute(%s);",
						 relation_literal(RelationGetRelid(rel)))));
}

/*
 * purchase_distribute(stock_table regclass) returns void
 *
 * On the coordinator of a Citus cluster, attach a table that is distributed by its key on
 * every node as it is attached here, and its tables of sales; and let Citus send calls to the
 * node that has the product.  To be called again for nodes that were added, and when the
 * registration has changed.  Raises 55000 where this can't be.
 */
Datum
purchase_distribute(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Registration registration;
	Relation	rel;
	StockTable *st;

	PreventCommandIfReadOnly("purchase_distribute()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stock_table must not be null")));

	/* against sales meanwhile, whose rows would stay where they are not seen */
	rel = relation_open_owned(PG_GETARG_OID(0), ShareRowExclusiveLock);
	registration.relid = RelationGetRelid(rel);
	if (!registration_find(self, &registration))
		raise_not_attached(rel);
	if (!citus_is_installed())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("Citus is not installed in this database, or is too old")));
	st = inspect_registered(self, rel, &registration);
	check_can_distribute(rel, st);
	if (OidIsValid(registration.sale_table))
	{
		distribute_beside(st, registration.sale_table);
		distribute_beside(st, registration.hold_table);
	}
	register_everywhere(self, &registration);
	distribute_functions(self, st);
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * What another node is asked: is the table attached there as r says?
 */
#define SAME_REGISTRATION \
	"format('SELECT count(*) = 1 FROM %%s WHERE stock_table = to_regclass(%%L)" \
	" AND key_column = %%L AND stock_column = %%L AND is_default = %%L" \
	" AND lock_wait IS NOT DISTINCT FROM %%L AND early_release IS NOT DISTINCT FROM %%L" \
	" AND sale_table IS NOT DISTINCT FROM to_regclass(%%L)" \
	" AND hold_table IS NOT DISTINCT FROM to_regclass(%%L)" \
	" AND limit_column IS NOT DISTINCT FROM %%L'," \
	" $3, r.stock_table, r.key_column, r.stock_column, r.is_default, r.lock_wait," \
	" r.early_release, r.sale_table, r.hold_table, r.limit_column)"

/*
 * purchase_stock_table_citus(stock_table regclass) returns jsonb
 *
 * For purchase_check(): null where Citus is not, or the table is not attached; else
 *
 *	coordinator	is this it?
 *	distributed	is the table, by its key?
 *	nodes		for each other node, t or f: is it attached there as it is here?  Or why that
 *				can't be told.  Null elsewhere than on the coordinator, which knows.
 *	delegated	are the calls of its type sent to its nodes?  Null if they can't be.
 *	elsewhere	a table that they are sent to the nodes of, and this one is not colocated with:
 *				an attached one, if there is one
 *	sales		are its sales colocated with it?  Null if it keeps none.
 */
Datum
purchase_stock_table_citus(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	char	   *registrations = relation_name(registration_relid(self));
	Oid			types[] = {REGCLASSOID, OIDOID, TEXTOID};
	Datum		values[] = {
		PG_GETARG_DATUM(0),
		ObjectIdGetDatum(self),
		CStringGetTextDatum(registrations),
	};
	bool		isnull;
	Datum		result;

	if (!citus_is_installed())
		PG_RETURN_NULL();
	result = citus_query(psprintf("WITH r AS ("
								  " SELECT r.*, here.colocationid," KEY_IS_DELEGATED " AS may_delegate,"
								  " COALESCE(here.partmethod = 'h' AND column_to_column_name(r.stock_table, here.partkey) = r.key_column, false) AS distributed"
								  " FROM %s AS r LEFT JOIN pg_dist_partition AS here ON here.logicalrelid = r.stock_table"
								  " WHERE r.stock_table = $1),"
								  " delegation AS (SELECT bool_and(COALESCE(o.force_delegation AND o.colocationid = r.colocationid, false)) AS here,"
								  " (array_agg(other.logicalrelid::text ORDER BY attached.stock_table IS NULL, other.logicalrelid::text)"
								  " FILTER (WHERE other.colocationid IS DISTINCT FROM r.colocationid AND other.colocationid IS NOT NULL))[1] AS elsewhere"
								  " FROM r," DELEGATED_CALLS
								  " LEFT JOIN pg_dist_object AS o ON o.classid = d.classid AND o.objid = d.objid"
								  " LEFT JOIN pg_dist_partition AS other ON other.colocationid = o.colocationid"
								  " LEFT JOIN %s AS attached ON attached.stock_table = other.logicalrelid"
								  " WHERE e.objid = $2)"
								  " SELECT jsonb_build_object("
								  " 'coordinator', citus_is_coordinator(), 'distributed', r.distributed,"
								  " 'nodes', CASE WHEN r.distributed AND citus_is_coordinator() THEN"
								  " (SELECT jsonb_object_agg(format('%%s:%%s', nodename, nodeport), result)"
								  " FROM run_command_on_workers(" SAME_REGISTRATION ")) END,"
								  " 'delegated', CASE WHEN may_delegate THEN COALESCE(delegation.here, false) END,"
								  " 'elsewhere', CASE WHEN may_delegate THEN delegation.elsewhere END,"
								  " 'sales', (SELECT bool_and(COALESCE(s.colocationid = r.colocationid, false))"
								  " FROM (VALUES (r.sale_table), (r.hold_table)) AS t (relid)"
								  " LEFT JOIN pg_dist_partition AS s ON s.logicalrelid = relid"
								  " WHERE relid IS NOT NULL))"
								  " FROM r, delegation",
								  registrations, registrations),
						 3, types, values, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
