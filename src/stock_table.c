/*
 * stock_table.c
 *	  Attached tables: registration, what is known of them, and its cache.
 *
 * The registrations are rows of purchase_registration, an ordinary table in
 * the extension's schema.  It keeps the table's OID, which survives a rename,
 * and the columns' names, which survive a dump.  A trigger on it sends a
 * relcache invalidation for it, whoever changes it and how.
 *
 * The cache is one hash table by OID.  Its only callback marks entries as
 * invalid and never frees them: it may run in the middle of anything.  An
 * invalid entry is replaced at the next lookup and its memory is handed to the
 * transaction, because an outer call (a trigger of the table that sells, too)
 * may still be working with it.
 *
 * The lock on the stock table is taken before the cache is believed: taking a
 * lock processes invalidations, and holding it keeps the definition as it is.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "purchase.h"

typedef struct CacheEntry
{
	Oid			relid;			/* hash key */
	bool		valid;			/* cleared by the callback */
	StockTable *st;				/* NULL if there is none, valid or not */
} CacheEntry;

static HTAB *cache = NULL;
static Oid	default_relid = InvalidOid; /* InvalidOid: look it up */

static void
relcache_callback(pg_attribute_unused() Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	if (relid == InvalidOid || relid == registration_relid)
	{
		registration_known = false;
		default_relid = InvalidOid;
		hash_seq_init(&seq, cache);
		while ((entry = hash_seq_search(&seq)) != NULL)
			entry->valid = false;
		return;
	}

	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry != NULL)
		entry->valid = false;
}

/*
 * Nothing may be remembered before the callback is there: so whoever reads the
 * registrations or the cache calls this first.
 */
void
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

static void
free_plans(void *arg)
{
	StockTable *st = arg;

	for (int i = 0; i < N_PLANS; i++)
		if (st->plans[i] != NULL)
			SPI_freeplan(st->plans[i]);
}

/*
 * Is there a StockTable, and are its plans what they should be?  A schema's new
 * name, for one, invalidates plans but not the table.
 */
static bool
plans_are_valid(StockTable *st)
{
	for (int i = 0; st != NULL && i < N_PLANS; i++)
		if (st->plans[i] != NULL && !SPI_plan_is_valid(st->plans[i]))
			return false;
	return st != NULL;
}

/*
 * Drop what is no longer valid, of this table and of others, which may have
 * been dropped themselves.  An outer call may be using it: it goes with the
 * transaction.
 */
static void
sweep_cache(void)
{
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->valid && plans_are_valid(entry->st))
			continue;
		if (entry->st != NULL)
			MemoryContextSetParent(entry->st->cxt, TopTransactionContext);
		hash_search(cache, &entry->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Read the registration of a locked relation anew.  If an invalidation comes
 * in meanwhile, the entry serves this call, as if it had come a moment
 * earlier, and the next one reads again.
 */
static StockTable *
build_entry(Cart *cart, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Registration registration = {.relid = relid};
	CacheEntry *entry;
	StockTable *st;
	Misfit		why = {.more_args = ""};
	MemoryContextCallback *callback;

	if (!find_registration(cart->self, &registration))
		raise_not_attached(rel);

	sweep_cache();
	entry = hash_search(cache, &relid, HASH_ENTER, NULL);
	entry->valid = true;
	entry->st = NULL;
	st = inspect(cart->self, rel, registration.key_column,
				 registration.stock_column, CurrentMemoryContext, &why);
	if (st == NULL)
		raise_misfit(rel, &why);
	st->lock_wait = registration.lock_wait;

	callback = MemoryContextAllocZero(st->cxt, sizeof(MemoryContextCallback));
	callback->func = free_plans;
	callback->arg = st;
	MemoryContextRegisterResetCallback(st->cxt, callback);
	MemoryContextSetParent(st->cxt, CacheMemoryContext);
	entry->st = st;
	return st;
}

static StockTable *
lookup(Cart *cart, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	if (entry != NULL && entry->valid && plans_are_valid(entry->st))
		return entry->st;
	return build_entry(cart, rel);
}

static Oid
default_stock_table(Cart *cart)
{
	if (!OidIsValid(default_relid))
	{
		Registration registration = {.relid = InvalidOid};

		if (!find_registration(cart->self, &registration))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("there is no default stock table"),
					 errhint("Attach one, SELECT purchase_attach('your_table'), or name an attached table as the last argument.")));
		default_relid = registration.relid;
	}
	return default_relid;
}

/*
 * Open and lock the relation that the call is about.
 */
static Relation
open_relation(Cart *cart, LOCKMODE lockmode)
{
	/* a lock that the transaction has already would not process them */
	AcceptInvalidationMessages();

	for (;;)
	{
		bool		named = OidIsValid(cart->stock_table);
		Oid			relid = named ? cart->stock_table :
			default_stock_table(cart);
		Relation	rel = try_relation_open(relid, lockmode);

		if (rel == NULL && named)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));

		/* another may have become the default while we waited */
		if (!named && relid != default_stock_table(cart))
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
 * The rights that "UPDATE t SET stock = ... WHERE key = ..." needs, or for
 * reading, SELECT.  Those on the relation by the executor's own check, so that
 * its hooks see it.
 */
static void
check_rights(Cart *cart, LOCKMODE lockmode)
{
	bool		read = (cart->verb == VERB_READ);
	Oid			schema = RelationGetNamespace(cart->rel);
	AclResult	usage = may_use_schema(schema, GetUserId());

	if (usage != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s",
						get_namespace_name(schema)),
				 errhint("Its owner can grant what is missing: GRANT USAGE ON SCHEMA %s TO %s;",
						 quote_identifier(get_namespace_name(schema)),
						 user_name())));

	cart->range = make_one_relation(cart->rel, lockmode,
									read ? ACL_SELECT : ACL_SELECT | ACL_UPDATE,
									cart->st->selected_cols,
									read ? NULL : cart->st->updated_cols);
	if (!has_permissions(cart->range))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg(cart->rel->rd_rel->relkind == RELKIND_VIEW ?
						"permission denied for view %s" :
						"permission denied for table %s",
						RelationGetRelationName(cart->rel)),
				 errhint("Its owner can grant what is missing: GRANT SELECT (%s, %s)%s ON %s TO %s;",
						 quote_identifier(cart->st->key_column),
						 quote_identifier(cart->st->stock_column),
						 read ? "" :
						 psprintf(", UPDATE (%s)",
								  quote_identifier(cart->st->stock_column)),
						 relation_name(cart->rel), user_name())));
}

/*
 * Open the stock table of a call: find it, lock it, check the caller's rights
 * and choose the engine.  The locks stay until the end of the transaction, as
 * after an UPDATE.
 */
void
stock_table_open(Cart *cart)
{
	LOCKMODE	lockmode = cart->verb == VERB_READ ? AccessShareLock :
		RowExclusiveLock;

	cache_init();
	cart->rel = open_relation(cart, lockmode);
	cart->st = lookup(cart, cart->rel);

	check_rights(cart, lockmode);
	choose_engine(cart, lockmode);
}

void
stock_table_close(Cart *cart)
{
	if (cart->index != NULL)
		index_close(cart->index, NoLock);
	relation_close(cart->rel, NoLock);
}
