/*
 * stat.c
 *	  Statistics: what has become of the calls, counted for each stock table;
 *	  pg_stat_purchase and its reset.
 *
 * The counters are in shared memory, which there is only if the server has loaded the
 * library when it started: shared_preload_libraries.  Else nothing is counted.
 *
 * To count is one atomic addition.  A call is counted when it is answered, be it rolled
 * back later or not, as pg_stat_user_tables counts, too.  Nothing is written to disk: the
 * counters begin anew with the server, and after a crash with its shared memory.
 *
 * A table has its slot as long as the server runs.  The lock protects who has which slot;
 * a slot that has been found stays what it is.  For tables that find none left, there is
 * one slot for all.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#include "stat.h"

/* Of the whole server; 256 kB. */
#define MAX_STAT_TABLES 1024

#define STAT_NAME "purchase"

struct StatTable
{
	Oid			dbid;
	Oid			relid;
	pg_atomic_uint64 since;		/* a TimestampTz */
	pg_atomic_uint64 counters[N_STAT_COUNTERS];
};

/* No two share a cache line. */
typedef union StatSlot
{
	StatTable	table;
	char		pad[256];
} StatSlot;

typedef struct StatShared
{
	LWLock	   *lock;
	TimestampTz since;			/* when the memory was made */
	int			ntables;
	StatSlot	others;			/* all tables without a slot of their own */
	StatSlot	slots[MAX_STAT_TABLES];
} StatShared;

StaticAssertDecl(sizeof(StatTable) <= sizeof(StatSlot), "a slot is too small");

static StatShared *shared = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
request_memory(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(sizeof(StatShared));
	RequestNamedLWLockTranche(STAT_NAME, 1);
}

static void
init_slot(StatSlot *slot)
{
	pg_atomic_init_u64(&slot->table.since, shared->since);
	for (int i = 0; i < N_STAT_COUNTERS; i++)
		pg_atomic_init_u64(&slot->table.counters[i], 0);
}

static void
init_memory(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(STAT_NAME, sizeof(StatShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(StatShared));
		shared->lock = &GetNamedLWLockTranche(STAT_NAME)->lock;
		shared->since = GetCurrentTimestamp();
		init_slot(&shared->others);
		for (int i = 0; i < MAX_STAT_TABLES; i++)
			init_slot(&shared->slots[i]);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Called when the server starts, if it loads the library then.
 */
void
stat_request_memory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = init_memory;
}

static bool
is_of(StatTable *table, Oid relid)
{
	return table->relid == relid && table->dbid == MyDatabaseId;
}

/*
 * The slot of a table; NULL if it has none.  The lock is held.
 */
static StatTable *
find_slot(Oid relid)
{
	for (int i = 0; i < shared->ntables; i++)
		if (is_of(&shared->slots[i].table, relid))
			return &shared->slots[i].table;
	return NULL;
}

/*
 * The same, and if there is none, a new one, or that of all others.
 */
static StatTable *
take_slot(Oid relid)
{
	StatTable  *table = find_slot(relid);

	if (table != NULL)
		return table;
	if (shared->ntables == MAX_STAT_TABLES)
		return &shared->others.table;
	table = &shared->slots[shared->ntables++].table;
	table->dbid = MyDatabaseId;
	table->relid = relid;
	return table;
}

/*
 * Where the calls for a table are counted; NULL if they are not.  found_before may be what
 * this returned the last time, or NULL.
 */
StatTable *
stat_table(Oid relid, StatTable *found_before)
{
	StatTable  *table;

	if (shared == NULL || found_before != NULL)
		return found_before;
	LWLockAcquire(shared->lock, LW_SHARED);
	table = find_slot(relid);
	LWLockRelease(shared->lock);
	if (table != NULL)
		return table;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	table = take_slot(relid);
	LWLockRelease(shared->lock);
	return table;
}

/*
 * This must not fail, as it is called after a commit, too.
 */
void
stat_add(StatTable *table, StatCounter counter, uint64 n)
{
	if (table != NULL)
		pg_atomic_fetch_add_u64(&table->counters[counter], n);
}

/*
 * Add the time from then until now.
 */
void
stat_add_time(StatTable *table, StatCounter counter, instr_time since)
{
	instr_time	time;

	INSTR_TIME_SET_CURRENT(time);
	INSTR_TIME_SUBTRACT(time, since);
	stat_add(table, counter, INSTR_TIME_GET_MICROSEC(time));
}

/*
 * shared_preload_libraries with this one added, as ALTER SYSTEM takes it.  Not everybody
 * may read that setting.
 */
static char *
preload_libraries(void)
{
	char	   *raw = pstrdup(shared_preload_libraries_string);
	List	   *names;
	ListCell   *lc;
	StringInfoData result;

	initStringInfo(&result);
	if (SplitDirectoriesString(raw, ',', &names))
		foreach(lc, names)
			appendStringInfo(&result, "%s, ", quote_literal_cstr(lfirst(lc)));
	appendStringInfoString(&result, "'purchase'");
	return result.data;
}

static void
require_memory(void)
{
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nothing is counted, as the server was started without purchase in \"shared_preload_libraries\""),
				 has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS) ?
				 errhint("To switch it on: ALTER SYSTEM SET shared_preload_libraries = %s; and restart the server.",
						 preload_libraries()) :
				 errhint("A superuser can add it, and restart the server.")));
}

static bool
has_counted(StatTable *table)
{
	for (int i = 0; i < N_STAT_COUNTERS; i++)
		if (pg_atomic_read_u64(&table->counters[i]) != 0)
			return true;
	return false;
}

static Datum
counter_value(StatTable *table, StatCounter counter)
{
	uint64		value = table == NULL ? 0 :
		pg_atomic_read_u64(&table->counters[counter]);

	if (counter == STAT_WAIT_TIME || counter == STAT_DURABLE_TIME)
		return Float8GetDatum(value / 1000.0);
	return Int64GetDatum((int64) value);
}

/*
 * purchase_stat_table(stock_table regclass)
 * returns rows (a column for each StatCounter, stats_reset timestamptz)
 *
 * What was counted for a table; or, for NULL, for all tables of the server that have found
 * no slot: no row if there are none.  Times are in milliseconds.  Raises 55000 if nothing
 * is counted.
 */
PG_FUNCTION_INFO_V1(purchase_stat_table);

Datum
purchase_stat_table(PG_FUNCTION_ARGS)
{
	StatTable  *table;
	Datum		values[N_STAT_COUNTERS + 1];
	bool		nulls[N_STAT_COUNTERS + 1] = {false};
	ReturnSetInfo *rsinfo;

	require_memory();
	InitMaterializedSRF(fcinfo, 0);
	rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	if (rsinfo->setDesc->natts != lengthof(values))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the SQL of extension \"purchase\" counts other things than its library"),
				 errhint("Let the owner of the extension update it: ALTER EXTENSION purchase UPDATE;")));
	if (PG_ARGISNULL(0))
	{
		table = &shared->others.table;
		if (!has_counted(table))
			return (Datum) 0;
	}
	else
	{
		LWLockAcquire(shared->lock, LW_SHARED);
		table = find_slot(PG_GETARG_OID(0));
		LWLockRelease(shared->lock);
	}
	for (int i = 0; i < N_STAT_COUNTERS; i++)
		values[i] = counter_value(table, i);
	values[N_STAT_COUNTERS] =
		TimestampTzGetDatum(table == NULL ? shared->since :
							(TimestampTz) pg_atomic_read_u64(&table->since));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return (Datum) 0;
}

static void
reset(StatTable *table)
{
	pg_atomic_write_u64(&table->since, GetCurrentTimestamp());
	for (int i = 0; i < N_STAT_COUNTERS; i++)
		pg_atomic_write_u64(&table->counters[i], 0);
}

/*
 * pg_stat_purchase_reset(stock_table regclass) returns void
 *
 * Begin to count anew for a table of this database; for NULL, for all of them, and for
 * those of the server that have no slot.  Raises 55000 if nothing is counted.
 */
PG_FUNCTION_INFO_V1(purchase_stat_reset);

Datum
purchase_stat_reset(PG_FUNCTION_ARGS)
{
	bool		all = PG_ARGISNULL(0);

	require_memory();
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->ntables; i++)
	{
		StatTable  *table = &shared->slots[i].table;

		if (all ? table->dbid == MyDatabaseId : is_of(table, PG_GETARG_OID(0)))
			reset(table);
	}
	if (all)
		reset(&shared->others.table);
	LWLockRelease(shared->lock);
	PG_RETURN_VOID();
}
