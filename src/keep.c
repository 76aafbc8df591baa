/*
 * keep.c
 *	  purchase_keep_sales(): the tables that keep a stock table's sales with an id.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "distribute.h"
#include "inspect.h"
#include "relation.h"
#include "sale.h"

PG_FUNCTION_INFO_V1(purchase_keep_sales);
PG_FUNCTION_INFO_V1(purchase_stock_table_sales);

/*
 * Only what has rows of its own, and is sold from by its own name, can keep sales: of
 * a view or a foreign table nobody here knows the rows, and a partition's sales are
 * its parent's.
 */
static void
check_can_keep(Relation rel)
{
	const char *why = NULL;

	if (rel->rd_rel->relkind == RELKIND_VIEW)
		why = "It is a view: attach the table below it, and let that keep them.";
	else if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		why = "It is a foreign table: let the server that has its rows keep them.";
	else if (rel->rd_rel->relispartition)
		why = "It is a partition: let the partitioned table keep them.";
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" cannot keep sales", RelationGetRelationName(rel)),
				 errdetail("%s", why),
				 errtable(rel)));
}

/*
 * The statement that makes one of the tables.
 */
static char *
create_table(Relation rel, StockTable *st, const char *name,
			 const SaleColumn *columns)
{
	Form_pg_attribute key = TupleDescAttr(RelationGetDescr(rel), st->key_attno - 1);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %sTABLE %s (",
					 rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " :
					 rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ? "TEMPORARY " : "",
					 rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ?
					 quote_identifier(name) :
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												name));
	for (const SaleColumn *column = columns; column->name != NULL; column++)
	{
		appendStringInfo(&sql, "%s ", column->name);
		if (OidIsValid(column->type))
			appendStringInfoString(&sql,
								   format_type_extended(column->type, -1,
														FORMAT_TYPE_FORCE_QUALIFY));
		else
		{
			appendStringInfoString(&sql,
								   format_type_extended(key->atttypid, key->atttypmod,
														FORMAT_TYPE_TYPEMOD_GIVEN |
														FORMAT_TYPE_FORCE_QUALIFY));
			if (OidIsValid(key->attcollation))
				appendStringInfo(&sql, " COLLATE %s",
								 collation_name(key->attcollation));
		}
		appendStringInfo(&sql, " %s%s, ", column->definition,
						 column->never_null ? " NOT NULL" : "");
	}
	/* room for the version that settles a line, so that it is HOT */
	appendStringInfo(&sql, "PRIMARY KEY (sale_id, line))%s",
					 columns == sale_columns ? " WITH (fillfactor = 80)" : "");
	return sql.data;
}

static void
comment_on(Oid relid, Relation rel, const char *what)
{
	run_ddl(psprintf("COMMENT ON TABLE %s IS %s", relation_name(relid),
					 quote_literal_cstr(psprintf("%s of %s, kept by purchase", what,
												 RelationGetRelationName(rel)))));
}

/*
 * Find or make one of the tables.  Without a name, the one that is registered stays,
 * wherever it was moved to.  One that is there already is taken if it fits, as after
 * the extension was created anew.
 */
static Oid
find_or_create(Relation rel, Relation reg, StockTable *st, const char *name,
			   Oid registered, const SaleColumn *columns, const char *arg)
{
	Oid			relid;
	char	   *why;
	SaleTable	unused;

	if (name != NULL || get_rel_name(registered) == NULL)
		registered = InvalidOid;
	if (name == NULL)
		name = OidIsValid(registered) ? get_rel_name(registered) :
			makeObjectName(RelationGetRelationName(rel), NULL,
						   columns == sale_columns ? "sale" : "hold");
	relid = OidIsValid(registered) ? registered :
		get_relname_relid(name, RelationGetNamespace(rel));

	if (!OidIsValid(relid))
	{
		run_ddl(create_table(rel, st, name, columns));
		relid = get_relname_relid(name, RelationGetNamespace(rel));
		if (columns == hold_columns)
			run_ddl(psprintf("CREATE INDEX ON %s (product_id, expires_at)",
							 relation_name(relid)));
		comment_on(relid, rel, columns == sale_columns ? "Sales with an id" :
				   "Live and lapsed holds");
		return relid;
	}
	why = relid == RelationGetRelid(rel) ? "is the stock table" :
		registration_uses(reg, relid, RelationGetRelid(rel)) ? "is used by another stock table" :
		sales_misfit(st, relid, columns, rel->rd_rel->relowner, &unused);
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", name),
				 errdetail("It cannot keep the %s of table \"%s\", as it %s.",
						   columns == sale_columns ? "sales" : "holds",
						   RelationGetRelationName(rel), why),
				 errhint("Give the table another name: SELECT purchase_keep_sales(%s, %s => '...');",
						 relation_literal(RelationGetRelid(rel)), arg)));
	return relid;
}

static bool
finds_buyers(Relation index)
{
	Form_pg_index form = index->rd_index;

	return form->indisvalid && form->indnkeyatts >= 2 &&
		form->indkey.values[0] == get_attnum(form->indrelid, "buyer") &&
		form->indkey.values[1] == get_attnum(form->indrelid, "product_id") &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/*
 * See that one probe finds what a buyer has of a product.
 */
static void
index_buyers(Oid sale_table)
{
	Relation	rel = table_open(sale_table, AccessShareLock);
	Oid			found = relation_find_index(rel, finds_buyers);

	table_close(rel, NoLock);
	if (!OidIsValid(found))
		run_ddl(psprintf("CREATE INDEX ON %s (buyer, product_id)",
						 relation_name(sale_table)));
}

static const char *
name_arg(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : NameStr(*PG_GETARG_NAME(arg));
}

/*
 * purchase_keep_sales(stock_table regclass, limit_column name, sale_table name,
 *					   hold_table name) returns void
 *
 * Let an attached table keep the sales that are given an id.  Makes two tables beside
 * it, unless they are there.  limit_column names a column of the stock table, how many
 * units one buyer may have; '' for none, NULL for the one that is registered.  Raises
 * 42P07 if a name is taken by something else, and 55000 if other tables would leave
 * holds behind.
 */
Datum
purchase_keep_sales(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Registration registration;
	Relation	rel;
	Relation	reg;
	StockTable *st;
	Oid			sale_table;
	Oid			hold_table;
	const char *limit_column = name_arg(fcinfo, 1);
	Oid			userid;
	int			sec_context;
	int			guc_level;

	PreventCommandIfReadOnly("purchase_keep_sales()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stock_table must not be null")));

	/* against sales meanwhile: they know the tables from the registration */
	rel = relation_open_owned(PG_GETARG_OID(0), ShareRowExclusiveLock);
	registration.relid = RelationGetRelid(rel);
	reg = table_open(registration_relid(self), ShareRowExclusiveLock);
	if (!registration_find(self, &registration))
		raise_not_attached(rel);
	check_can_keep(rel);
	if (limit_column != NULL)
		registration.limit_column = NULL;	/* the old one may be gone */
	st = inspect_registered(self, rel, &registration);

	/* who calls may be a member of the owner */
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE);
	guc_level = compat_restrict_search_path();
	SPI_connect();
	sale_table = find_or_create(rel, reg, st, name_arg(fcinfo, 2),
								registration.sale_table, sale_columns, "sale_table");
	hold_table = find_or_create(rel, reg, st, name_arg(fcinfo, 3),
								registration.hold_table, hold_columns, "hold_table");
	if (limit_column != NULL && limit_column[0] != '\0')
	{
		Misfit		why;

		if (!inspect_limit_column(rel, st, limit_column, &why))
			ereport(ERROR,
					(errcode(why.sqlerrcode),
					 errmsg_internal("%s", why.detail),
					 errhint("Name a smallint, integer or bigint column, or none: SELECT purchase_keep_sales(%s, limit_column => '');",
							 relation_literal(st->relid)),
					 errtable(rel)));
	}
	if (limit_column != NULL ? limit_column[0] != '\0' : registration.limit_column != NULL)
		index_buyers(sale_table);
	if (hold_table == sale_table)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sale_table and hold_table must be two tables")));
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
	SetUserIdAndSecContext(userid, sec_context);

	if (OidIsValid(registration.sale_table) &&
		(sale_table != registration.sale_table ||
		 hold_table != registration.hold_table))
		sale_check_no_holds(self, rel);
	registration.sale_table = sale_table;
	registration.hold_table = hold_table;
	if (limit_column != NULL)
		registration.limit_column = limit_column[0] == '\0' ? NULL :
			pstrdup(limit_column);
	registration_store_sales(reg, &registration);
	distribute_remind(rel);

	table_close(reg, NoLock);
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * purchase_stock_table_sales(stock_table regclass)
 * returns (sale_problem text, hold_problem text, stray_holds bigint, lost_lines bigint)
 *
 * For purchase_check(): why one of the tables can't keep what it is for, to follow its
 * name; how many holds hold nothing, and how many lines no hold holds.  These only the
 * owner is told, and whoever may act for him.
 */
Datum
purchase_stock_table_sales(PG_FUNCTION_ARGS)
{
	Oid			self = fcinfo->flinfo->fn_oid;
	Registration registration = {.relid = PG_GETARG_OID(0)};
	Relation	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {true, true, true, true};
	Misfit		unfit = {.more_args = ""};
	StockTable *st;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (rel != NULL && registration_find(self, &registration) &&
		OidIsValid(registration.sale_table) &&
		(st = inspect(self, rel, registration.key_column,
					  registration.stock_column, &unfit)) != NULL)
	{
		Oid			tables[] = {registration.sale_table, registration.hold_table};
		const SaleColumn *columns[] = {sale_columns, hold_columns};

		for (int i = 0; i < 2; i++)
		{
			SaleTable	unused;
			char	   *why = sales_misfit(st, tables[i], columns[i],
										   rel->rd_rel->relowner, &unused);

			nulls[i] = why == NULL;
			if (why != NULL)
				values[i] = CStringGetTextDatum(why);
		}
		if (owns_relation(registration.relid, GetUserId()))
		{
			values[2] = Int64GetDatum(sale_stray_holds(self, rel));
			values[3] = Int64GetDatum(sale_lost_lines(self, rel));
			nulls[2] = nulls[3] = false;
		}
	}
	if (rel != NULL)
		relation_close(rel, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}
