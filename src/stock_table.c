/*
 * stock_table.c
 *	  Attached tables: the cache of what is known of them, and opening one with
 *	  the caller's rights.
 *
 * A trigger on the registrations sends a relcache invalidation for them, whoever
 * changes them and how.
 *
 * The cache is one hash table by OID.  Its only callback marks entries as
 * invalid and never frees them: it may run in the middle of anything.  An
 * invalid entry is replaced at the next lookup and its memory is handed to the
 * transaction, because an outer call (a trigger of the table that sells, too)
 * may still be working with it.  So a StockTable survives at least until the end
 * of the transaction in which it was used.
 *
 * The lock on the stock table is taken before the cache is believed: taking a
 * lock processes invalidations, and holding it keeps the definition as it is.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "citus.h"
#include "registration.h"
#include "relation.h"
#include "stock_table.h"

typedef struct CacheEntry
{
	Oid			relid;			/* hash key */
	bool		valid;			/* cleared by the callback */
	StockTable *st;				/* NULL if there is none, valid or not */
} CacheEntry;

static HTAB *cache = NULL;

/* How often anything has been invalidated. */
static uint64 ninvalidations = 0;

/*
 * The registrations that have been read.  It is known before they are, so that an
 * invalidation that comes in meanwhile is recognised.
 */
static Oid	watched_relid = InvalidOid;
static Oid	default_relid = InvalidOid; /* InvalidOid: look it up */

static void
relcache_callback(pg_attribute_unused() Datum arg, Oid relid)
{
	bool		all = relid == InvalidOid || relid == watched_relid;
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	ninvalidations++;
	if (all)
		default_relid = InvalidOid;

	/* one that is being built may depend on anything */
	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (all || entry->relid == relid || entry->st == NULL ||
			entry->st->sale_table == relid || entry->st->hold_table == relid ||
			list_member_oid(entry->st->below, relid))
			entry->valid = false;
	}
}

/*
 * Nothing may be remembered before the callback is there.
 */
static void
cache_init(void)
{
	HASHCTL		ctl;

	if (cache != NULL)
		return;
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(CacheEntry);
	ctl.hcxt = CacheMemoryContext;
	cache = hash_create("purchase stock tables", 16, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

/*
 * Remove invalid entries, of this table and of others, which may have been
 * dropped.  An outer call may still be using a StockTable, so its memory is freed
 * at the end of the transaction.
 */
static void
sweep_cache(void)
{
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->valid && entry->st != NULL)
			continue;
		if (entry->st != NULL)
			MemoryContextSetParent(entry->st->cxt, TopTransactionContext);
		hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Find out anew about a locked relation, whose registration was just read.  If an
 * invalidation comes in meanwhile, the entry serves this call, as if it had come a moment
 * earlier, and the next one reads again.
 */
static StockTable *
build_entry(Oid self, Relation rel, Registration *registration)
{
	Oid			relid = RelationGetRelid(rel);
	CacheEntry *entry;
	StockTable *st;

	sweep_cache();
	entry = hash_search(cache, &relid, HASH_ENTER, NULL);
	entry->valid = true;
	entry->st = NULL;
	st = inspect_registered(self, rel, registration);
	MemoryContextSetParent(st->cxt, CacheMemoryContext);
	entry->st = st;
	return st;
}

/*
 * What is remembered of a relation; NULL if that is nothing.
 */
static StockTable *
recall(Oid relid)
{
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	return entry != NULL && entry->valid ? entry->st : NULL;
}

static StockTable *
lookup(Oid self, Relation rel)
{
	StockTable *st = recall(RelationGetRelid(rel));
	Registration registration = {.relid = RelationGetRelid(rel)};

	if (st != NULL && !st->is_shard)
		return st;
	watched_relid = registration_relid(self);
	if (!registration_find(self, &registration))
		raise_not_attached(rel);
	if (citus_is_shard(registration.relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is a shard", RelationGetRelationName(rel)),
				 errhint("Attach the table that it belongs to, and detach this."),
				 errtable(rel)));
	return build_entry(self, rel, &registration);
}

uint64
stock_table_ninvalidations(void)
{
	return ninvalidations;
}

/*
 * Has nothing happened, since this was read, to what it tells of?
 */
bool
stock_table_is_current(StockTable *st)
{
	return recall(st->relid) == st;
}

static Oid
default_stock_table(Oid self)
{
	if (!OidIsValid(default_relid))
	{
		Registration registration = {.relid = InvalidOid};

		watched_relid = registration_relid(self);
		if (!registration_find(self, &registration))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("there is no default stock table"),
					 errhint("Attach one, SELECT purchase_attach('your_table'), or name an attached table as the last argument.")));
		default_relid = registration.relid;
	}
	return default_relid;
}

/*
 * Open and lock the relation that a call names, or the default.
 */
static Relation
open_relation(Oid self, Oid stock_table, LOCKMODE lockmode)
{
	/* a lock that the transaction has already would not process them */
	AcceptInvalidationMessages();

	for (;;)
	{
		bool		named = OidIsValid(stock_table);
		Oid			relid = named ? stock_table : default_stock_table(self);
		Relation	rel = try_relation_open(relid, lockmode);

		if (rel == NULL && named)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));

		/* another may have become the default while we waited */
		if (!named && relid != default_stock_table(self))
		{
			if (rel != NULL)
				relation_close(rel, lockmode);
			continue;
		}
		if (rel == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the default stock table was dropped"),
					 errhint("Attach another: SELECT purchase_attach('your_table', is_default => true);")));
		return rel;
	}
}

static const char *
user_name(void)
{
	return quote_identifier(GetUserNameFromId(GetUserId(), false));
}

/*
 * The table as the executor wants it.
 */
static void
make_range(OpenTable *table)
{
	StockTable *st = table->st;
	bool		for_update = table->use != USE_READ;

	table->range = make_one_relation(table->rel, table->lockmode,
									 for_update ? ACL_SELECT | ACL_UPDATE :
									 ACL_SELECT,
									 table->use == USE_SELL && st->limit_attno != InvalidAttrNumber ?
									 st->selected_cols_to_sell : st->selected_cols,
									 for_update ? st->updated_cols : NULL);
}

/*
 * The rights that "UPDATE t SET stock = ... WHERE key = ..." needs, or for
 * reading, SELECT.  Those on the relation by the executor's own check, so that
 * its hooks see it.
 */
static void
check_rights(OpenTable *table)
{
	StockTable *st = table->st;
	Relation	rel = table->rel;
	bool		for_update = table->use != USE_READ;
	bool		sells = table->use == USE_SELL && st->limit_attno != InvalidAttrNumber;
	Oid			schema = RelationGetNamespace(rel);

	if (may_use_schema(schema, GetUserId()) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s",
						get_namespace_name(schema)),
				 errhint("Its owner can grant what is missing: GRANT USAGE ON SCHEMA %s TO %s;",
						 quote_identifier(get_namespace_name(schema)),
						 user_name())));

	make_range(table);
	if (!has_permissions(table->range))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg(rel->rd_rel->relkind == RELKIND_VIEW ?
						"permission denied for view %s" :
						"permission denied for table %s",
						RelationGetRelationName(rel)),
				 errhint("Its owner can grant what is missing: GRANT SELECT (%s, %s%s)%s ON %s TO %s;",
						 quote_identifier(st->key_column),
						 quote_identifier(st->stock_column),
						 !sells ? "" :
						 psprintf(", %s", quote_identifier(st->limit_column)),
						 !for_update ? "" :
						 psprintf(", UPDATE (%s)",
								  quote_identifier(st->stock_column)),
						 relation_name(st->relid), user_name())));
}

/*
 * Open the stock table of a call, InvalidOid for the default: find it, lock it,
 * and check the caller's rights.  self is any function of the extension.  The
 * locks stay until the end of the transaction, as after an UPDATE.
 */
void
stock_table_open(OpenTable *table, Oid self, Oid relid, TableUse use)
{
	cache_init();
	table->use = use;
	table->lockmode = use == USE_READ ? AccessShareLock : RowExclusiveLock;
	table->rel = table->named = open_relation(self, relid, table->lockmode);
	table->st = lookup(self, table->rel);
	table->index = NULL;
	check_rights(table);
}

/*
 * The shard of a table of sales, or of holds, that belongs to a shard of the stock table.
 * InvalidOid if that table is not distributed alike: then no sales are kept.
 */
static Oid
shard_beside(Oid relid, StockTable *st, Datum key)
{
	Relation	rel = OidIsValid(relid) && citus_is_table(relid) ?
		try_relation_open(relid, AccessShareLock) : NULL;
	Oid			result;

	if (rel == NULL)
		return InvalidOid;
	result = citus_shard_beside(rel, st->relid, &st->key_type, key);
	relation_close(rel, NoLock);
	return result;
}

/*
 * Go on with a shard of an open table, which has the row of a key.  It is sold from as the
 * table is, with the rights on that.  Not if its policies are not there, too.
 */
void
stock_table_use_shard(OpenTable *table, Oid self, Oid shard, Datum key)
{
	Relation	rel = try_relation_open(shard, table->lockmode);
	StockTable *st;

	if (rel == NULL)
		return;
	if (rel->rd_rel->relrowsecurity != table->rel->rd_rel->relrowsecurity ||
		rel->rd_rel->relforcerowsecurity != table->rel->rd_rel->relforcerowsecurity)
	{
		relation_close(rel, NoLock);
		return;
	}
	st = recall(shard);
	if (st == NULL || !st->is_shard)
	{
		Registration registration = {.relid = table->st->relid};
		List	   *named;

		if (!registration_find(self, &registration))
			raise_not_attached(table->named);
		named = list_make3_oid(registration.relid, registration.sale_table,
							   registration.hold_table);
		registration.sale_table = shard_beside(registration.sale_table, table->st, key);
		registration.hold_table = shard_beside(registration.hold_table, table->st, key);
		st = build_entry(self, rel, &registration);
		st->is_shard = true;
		inspect_add_below(st, named);
	}
	table->rel = rel;
	table->st = st;
	make_range(table);
}

/*
 * The index of the key, for the row engine.  It is opened, and locked as the table
 * is, when it is first needed: a refusal may do without.
 */
Relation
stock_table_index(OpenTable *table)
{
	if (table->index == NULL)
		table->index = index_open(table->st->index, table->lockmode);
	return table->index;
}

void
stock_table_close(OpenTable *table)
{
	if (table->index != NULL)
		index_close(table->index, NoLock);
	if (table->rel != table->named)
		relation_close(table->named, NoLock);
	relation_close(table->rel, NoLock);
}
