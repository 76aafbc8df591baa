/*
 * engine_sql.c
 *	  The sql engine: saved SPI plans.  It serves everything that PostgreSQL
 *	  can update, and defines the meaning of a sale.
 *
 * A row that is locked is skipped, not reported, by SKIP LOCKED, and then it
 * looks like one that is not there.  NOWAIT would tell them apart, but by an
 * error, so it is asked only in that case, and in a subtransaction.
 *
 * The write repeats the condition and is relative.  That costs nothing where
 * the lock holds, and is safe where it does not: a foreign server, or a
 * trigger that changes the row of a later line.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "citus.h"
#include "commit.h"
#include "compat.h"
#include "engine.h"
#include "guard.h"
#include "plans.h"
#include "relation.h"
#include "wait.h"

#define MAX_LOCK_ATTEMPTS 10

/* The plans, in the order of their use. */
enum
{
	PLAN_LOOK,
	PLAN_LOCK_SKIP,
	PLAN_LOCK_NOWAIT,
	PLAN_LOCK_WAIT,
	PLAN_FIND_VERSION,
	PLAN_TAKE,
	PLAN_ADD,
	PLAN_SET,
	N_PLANS,

	/* who sells reads the limit per buyer with the stock, by plans of his own */
	WITH_LIMIT = N_PLANS,
	N_ALL_PLANS = WITH_LIMIT + PLAN_LOCK_WAIT + 1
};

static bool
reads_limit(Cart *cart)
{
	return cart->verb == VERB_SELL &&
		cart->table.st->limit_attno != InvalidAttrNumber;
}

static char *
plan_text(Cart *cart, int plan)
{
	static const char *const waits[] = {
		[PLAN_LOCK_SKIP] = " SKIP LOCKED",
		[PLAN_LOCK_NOWAIT] = " NOWAIT",
		[PLAN_LOCK_WAIT] = "",
	};
	StockTable *st = cart->table.st;
	bool		below = plan == PLAN_FIND_VERSION;
	const char *strength = st->stock_in_key ? "UPDATE" : "NO KEY UPDATE";
	const char *table = relation_name(below ? st->target : st->relid);
	const char *condition = below ?
		key_condition(&st->key_type, st->target,
					  get_attnum(st->target, st->target_key), "t", "$1") :
		key_condition(&st->key_type, st->relid, st->key_attno, "t", "$1");
	const char *stock = quote_identifier(st->stock_column);
	StringInfoData sql;

	initStringInfo(&sql);
	if (below)
		appendStringInfo(&sql, "SELECT t.tableoid, t.ctid FROM %s AS t WHERE %s",
						 table, condition);
	else if (plan < PLAN_TAKE)
	{
		appendStringInfo(&sql,
						 "SELECT t.%s::pg_catalog.int8%s FROM %s AS t WHERE %s",
						 stock, !reads_limit(cart) ? "" :
						 psprintf(", t.%s::pg_catalog.int8",
								  quote_identifier(st->limit_column)),
						 table, condition);
		if (plan != PLAN_LOOK)
			appendStringInfo(&sql, " FOR %s%s", strength, waits[plan]);
	}
	else
	{
		appendStringInfo(&sql, "UPDATE %s AS t SET %s = ", table, stock);
		if (plan != PLAN_SET)
			appendStringInfo(&sql, "t.%s OPERATOR(pg_catalog.%s) ", stock,
							 plan == PLAN_TAKE ? "-" : "+");
		appendStringInfo(&sql, "$2 WHERE %s", condition);
		if (plan == PLAN_TAKE)
			appendStringInfo(&sql, " AND t.%s OPERATOR(pg_catalog.>=) $2",
							 stock);
		appendStringInfo(&sql, " RETURNING t.%s::pg_catalog.int8", stock);
	}
	return sql.data;
}

static SPIPlanPtr
get_plan(Cart *cart, int plan)
{
	PlanSet    *set = cart->table.st->sql_plans;
	Oid			types[2] = {cart->table.st->key_type.type, INT8OID};
	int			n = plan <= PLAN_LOCK_WAIT && reads_limit(cart) ? WITH_LIMIT + plan : plan;

	if (set->plans[n] != NULL)
		return set->plans[n];
	return plans_add(set, n, plan_text(cart, plan),
					 plan < PLAN_TAKE ? 1 : 2, types);
}

/*
 * Run a plan and return the stock from its only row.
 */
static bool
run_plan(Cart *cart, Line *line, int plan, int64 *stock, bool *isnull)
{
	Datum		values[2] = {line->key, Int64GetDatum(cart->verb == VERB_EXPIRE ? line->taken :
													  line->qty - line->taken)};
	Datum		value;

	if (SPI_execute_plan(get_plan(cart, plan), values, NULL,
						 plan == PLAN_LOOK, 0) < 0)
		elog(ERROR, "could not execute a plan: %s",
			 SPI_result_code_string(SPI_result));
	if (SPI_processed > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("product %s has more than one row",
						key_product_text(&cart->table.st->key_type,
										 line->product, cart->product_type)),
				 errhint("The key column must identify a row by itself."),
				 errtablecolname(cart->table.named, cart->table.st->key_column)));
	if (SPI_processed == 0)
	{
		SPI_freetuptable(SPI_tuptable);
		return false;
	}
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  isnull);
	*stock = *isnull ? 0 : DatumGetInt64(value);
	if (plan <= PLAN_LOCK_WAIT && reads_limit(cart))
	{
		bool		unlimited;

		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
							  &unlimited);
		line->limit = unlimited ? -1 : Max(DatumGetInt64(value), 0);
	}
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/*
 * Read a line's stock, with a lock or without.
 */
static bool
read_stock(Cart *cart, Line *line, int plan)
{
	return run_plan(cart, line, plan, &line->stock, &line->stock_isnull);
}

static void
sql_open(Cart *cart)
{
	StockTable *st = cart->table.st;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	cart->engine_state = NULL;
	if (cart->table.rel != cart->table.named)
	{
		int		   *guc_level = palloc(sizeof(int));

		*guc_level = NewGUCNestLevel();
		citus_let_write_shards();
		cart->engine_state = guc_level;
	}
	if (!plans_are_valid(st->sql_plans))
		st->sql_plans = plans_renew(st->sql_plans, N_ALL_PLANS, st->cxt);
}

static LookResult
sql_look(Cart *cart, Line *line)
{
	return read_stock(cart, line, PLAN_LOOK) ? LOOK_FOUND : LOOK_NONE;
}

typedef struct LockAttempt
{
	Cart	   *cart;
	Line	   *line;
	bool		found;
} LockAttempt;

static bool
lock_nowait(void *arg)
{
	LockAttempt *attempt = arg;

	attempt->found = read_stock(attempt->cart, attempt->line,
								PLAN_LOCK_NOWAIT);
	return attempt->found;
}

static LockResult
try_lock(Cart *cart, Line *line)
{
	LockAttempt attempt = {cart, line, false};
	ErrorData  *error;

	if (read_stock(cart, line, PLAN_LOCK_SKIP))
		return LOCK_OK;

	error = run_in_subtransaction(lock_nowait, &attempt);
	if (error == NULL)
		return attempt.found ? LOCK_OK : LOCK_NO_ROW;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	FreeErrorData(error);
	return LOCK_BUSY;
}

/*
 * Whether it takes a wait is not known before: so try without.
 */
static LockResult
wait_for_lock(Cart *cart, Line *line)
{
	if (read_stock(cart, line, PLAN_LOCK_SKIP))
		return LOCK_OK;
	wait_begins(WAIT_FOR_PRODUCT);
	return read_stock(cart, line, PLAN_LOCK_WAIT) ? LOCK_OK : LOCK_NO_ROW;
}

static bool
look_again(Cart *cart, Line *line)
{
	bool		found;

	PushActiveSnapshot(GetTransactionSnapshot());
	found = read_stock(cart, line, PLAN_LOOK);
	PopActiveSnapshot();
	return found;
}

/*
 * Under READ COMMITTED, a row that is gone when its lock could be had may have
 * been replaced by another with the same key.  So look again, and try again;
 * but not endlessly, as a policy can show a row and not let it be locked.
 */
static LockResult
sql_lock(Cart *cart, Line *line, bool wait)
{
	LockResult	result = LOCK_NO_ROW;

	for (int i = 0; i < MAX_LOCK_ATTEMPTS; i++)
	{
		result = wait ? wait_for_lock(cart, line) : try_lock(cart, line);
		if (result != LOCK_NO_ROW || IsolationUsesXactSnapshot() ||
			!look_again(cart, line))
			break;
	}
	return result;
}

static bool
write_stock(Cart *cart, Line *line)
{
	int			plan = cart->verb == VERB_SELL ? PLAN_TAKE :
		cart->verb == VERB_SET_STOCK ? PLAN_SET : PLAN_ADD;
	bool		isnull;

	return run_plan(cart, line, plan, &line->remaining, &isnull) && !isnull;
}

static bool
sql_write(Cart *cart, Line *line)
{
	StockTable *st = cart->table.st;
	Announcement announcement = {
		.target = st->target,
		.key_column = st->target_key,
		.key_type = &st->key_type,
		.key = line->key,
	};
	volatile bool done = false;

	/* a trigger that an earlier line fired may have sold some of it */
	if (st->guarded && line != cart->lines &&
		!read_stock(cart, line, PLAN_LOCK_WAIT))
		return false;

	announcement.old_isnull = line->stock_isnull;
	announcement.old_stock = line->stock;
	announcement.new_stock = line_new_stock(cart, line);
	guard_announce(&announcement);
	PG_TRY();
	{
		done = write_stock(cart, line);
	}
	PG_FINALLY();
	{
		guard_withdraw(&announcement);
	}
	PG_END_TRY();
	return done;
}

/*
 * Find the latest version of a line's row in the table that is read in the end.
 *
 * As the owner of that table, as foreign keys are checked: who may sell need have no
 * right to read ctid, and none on a table below a view.
 */
static bool
find_version(Cart *cart, Line *line, Relation target, Oid *relid,
			 ItemPointer tid)
{
	Oid			userid;
	int			sec_context;
	bool		found;
	bool		isnull;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(target->rd_rel->relowner,
						   sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	if (SPI_execute_plan(get_plan(cart, PLAN_FIND_VERSION), &line->key, NULL,
						 true, 0) < 0)
		elog(ERROR, "could not execute a plan: %s",
			 SPI_result_code_string(SPI_result));
	SetUserIdAndSecContext(userid, sec_context);

	found = SPI_processed == 1;
	if (found)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		*relid = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
		*tid = *(ItemPointer) DatumGetPointer(SPI_getbinval(tuple, desc, 2,
															&isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/*
 * May find_version() read the table?  Its owner may have given a right away, or have
 * none on the schema.  And of another server's rows nobody here knows the commits.
 */
static bool
may_find_version(StockTable *st, Relation target)
{
	Oid			owner = target->rd_rel->relowner;
	ListCell   *lc;

	foreach(lc, st->below)
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
		return false;
	return pg_class_aclcheck(st->target, owner, ACL_SELECT) == ACLCHECK_OK &&
		may_use_schema(RelationGetNamespace(target), owner) == ACLCHECK_OK;
}

/*
 * Wait until a version of a local heap is flushed.  False if there is no such.
 */
static bool
wait_for_version(Oid relid, ItemPointer tid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	HeapTupleData tuple = {.t_self = *tid};
	Buffer		buffer;
	bool		found = rel->rd_tableam == GetHeapamTableAmRoutine() &&
		heap_fetch(rel, SnapshotAny, &tuple, &buffer, false);

	if (found)
	{
		/* no sleep with a page pinned */
		HeapTuple	version = heap_copytuple(&tuple);
		XLogRecPtr	page_lsn = BufferGetLSNAtomic(buffer);

		ReleaseBuffer(buffer);
		commit_wait_flushed(version->t_data, page_lsn);
	}
	table_close(rel, NoLock);
	return found;
}

/*
 * Find the latest version of a line's row, where it can be told: in which table, and where in
 * that.  The active snapshot keeps it from being pruned.
 */
bool
engine_sql_find_version(Cart *cart, Line *line, Oid *relid, ItemPointer tid)
{
	StockTable *st = cart->table.st;
	Relation	target;
	bool		found;

	if (!OidIsValid(st->target) || st->target_key == NULL)
		return false;
	target = relation_open(st->target, AccessShareLock);
	found = target->rd_rel->relkind != RELKIND_FOREIGN_TABLE &&
		may_find_version(st, target) &&
		find_version(cart, line, target, relid, tid);
	relation_close(target, NoLock);
	return found;
}

static void
sql_wait_flushed(Cart *cart, Line *line)
{
	Oid			relid;
	ItemPointerData tid;
	bool		known;

	if (commit_all_flushed())
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	known = get_rel_relkind(cart->table.st->target) == RELKIND_FOREIGN_TABLE ||
		(engine_sql_find_version(cart, line, &relid, &tid) &&
		 wait_for_version(relid, &tid));
	PopActiveSnapshot();
	if (!known)
		commit_wait_all_flushed();
}

static void
sql_close(Cart *cart)
{
	int		   *guc_level = cart->engine_state;

	if (guc_level != NULL)
		AtEOXact_GUC(true, *guc_level);
	SPI_finish();
}

const Engine engine_sql = {
	.name = "sql",
	.open = sql_open,
	.look = sql_look,
	.lock = sql_lock,
	.write = sql_write,
	.wait_flushed = sql_wait_flushed,
	.close = sql_close,
};
