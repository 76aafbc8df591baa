/*
 * compat.h
 *	  Differences between the supported majors, 15 to 19.  The only file that
 *	  looks at PG_VERSION_NUM.
 */
#ifndef PURCHASE_COMPAT_H
#define PURCHASE_COMPAT_H

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/readfuncs.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "purchase needs PostgreSQL 15 or later"
#endif

/*
 * These minors changed the size of ResultRelInfo, and the next ones changed it
 * back: a library built against either crashes in the other.
 */
#if PG_VERSION_NUM == 150009 || PG_VERSION_NUM == 160005 || \
	PG_VERSION_NUM == 170001
#error "this minor release broke the ABI: build against another minor"
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

#if PG_VERSION_NUM >= 160000
#define owns_relation(relid, roleid) \
	object_ownercheck(RelationRelationId, relid, roleid)
#define may_use_schema(oid, roleid) \
	object_aclcheck(NamespaceRelationId, oid, roleid, ACL_USAGE)
#else
#define owns_relation(relid, roleid) pg_class_ownercheck(relid, roleid)
#define may_use_schema(oid, roleid) \
	pg_namespace_aclcheck(oid, roleid, ACL_USAGE)
#endif

#if PG_VERSION_NUM >= 160000
#define compat_guc_malloc(size) guc_malloc(LOG, size)
#else
#define compat_guc_malloc(size) malloc(size)
#endif

/*
 * A wait event of our own, or 0 where there are none.
 */
#if PG_VERSION_NUM >= 170000
#define compat_new_wait_event(name) WaitEventExtensionNew(name)
#else
#define compat_new_wait_event(name) ((uint32) 0)
#endif

/* XactTruncationLock keeps it. */
#if PG_VERSION_NUM >= 170000
#define compat_oldest_clog_xid() (TransamVariables->oldestClogXid)
#else
#define compat_oldest_clog_xid() (ShmemVariableCache->oldestClogXid)
#endif

#if PG_VERSION_NUM >= 190000
#define compat_index_beginscan(rel, index, snapshot) \
	index_beginscan(rel, index, snapshot, NULL, 1, 0, SO_NONE)
#elif PG_VERSION_NUM >= 180000
#define compat_index_beginscan(rel, index, snapshot) \
	index_beginscan(rel, index, snapshot, NULL, 1, 0)
#else
#define compat_index_beginscan(rel, index, snapshot) \
	index_beginscan(rel, index, snapshot, 1, 0)
#endif

#if PG_VERSION_NUM >= 160000
#define compat_EvalPlanQualInit(epqstate, estate) \
	EvalPlanQualInit(epqstate, estate, NULL, NIL, -1, NIL)
#else
#define compat_EvalPlanQualInit(epqstate, estate) \
	EvalPlanQualInit(epqstate, estate, NULL, NIL, -1)
#endif

/*
 * What table_tuple_update() says of the indexes, and index entries made
 * accordingly.
 */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes compat_UpdateIndexes;
#define compat_update_indexes(update_indexes) ((update_indexes) != TU_None)
#define compat_only_summarizing(update_indexes) \
	((update_indexes) == TU_Summarizing)
#else
typedef bool compat_UpdateIndexes;
#define compat_update_indexes(update_indexes) (update_indexes)
#define compat_only_summarizing(update_indexes) false
#endif

static inline List *
compat_insert_index_tuples(ResultRelInfo *rri, TupleTableSlot *slot, EState *estate,
						   bool is_update,
						   pg_attribute_unused() bool only_summarizing)
{
#if PG_VERSION_NUM >= 190000
	uint32		flags = (is_update ? EIIT_IS_UPDATE : 0) |
		(only_summarizing ? EIIT_ONLY_SUMMARIZING : 0);

	return ExecInsertIndexTuples(rri, estate, flags, slot, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(rri, slot, estate, is_update, false, NULL, NIL,
								 only_summarizing);
#else
	return ExecInsertIndexTuples(rri, slot, estate, is_update, false, NULL, NIL);
#endif
}

static inline TM_Result
compat_table_tuple_update(Relation rel, ItemPointer tid, TupleTableSlot *slot,
						  CommandId cid, bool wait, TM_FailureData *tmfd,
						  LockTupleMode *lockmode,
						  compat_UpdateIndexes *update_indexes)
{
#if PG_VERSION_NUM >= 190000
	return table_tuple_update(rel, tid, slot, cid, 0, GetActiveSnapshot(),
							  InvalidSnapshot, wait, tmfd, lockmode,
							  update_indexes);
#else
	return table_tuple_update(rel, tid, slot, cid, GetActiveSnapshot(),
							  InvalidSnapshot, wait, tmfd, lockmode,
							  update_indexes);
#endif
}

/*
 * Pin a block of a table if it is still in the buffer where it was.
 */
static inline bool
compat_read_recent_buffer(Relation rel, BlockNumber block, Buffer buffer)
{
#if PG_VERSION_NUM >= 160000
	return ReadRecentBuffer(rel->rd_locator, MAIN_FORKNUM, block, buffer);
#else
	return ReadRecentBuffer(rel->rd_node, MAIN_FORKNUM, block, buffer);
#endif
}

static inline void
compat_heap_page_prune_opt(Relation rel, Buffer buffer)
{
#if PG_VERSION_NUM >= 190000
	Buffer		vmbuffer = InvalidBuffer;

	heap_page_prune_opt(rel, buffer, &vmbuffer, false);
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
#else
	heap_page_prune_opt(rel, buffer);
#endif
}

/*
 * Use a safe search_path instead of the caller's, until AtEOXact_GUC() of the
 * level that is returned.
 */
static inline int
compat_restrict_search_path(void)
{
	int			guc_level = NewGUCNestLevel();

#if PG_VERSION_NUM >= 170000
	RestrictSearchPath();
#else
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
#endif
	return guc_level;
}

/*
 * Before 17, rows that a snapshot sees could be made to vanish.
 */
#if PG_VERSION_NUM >= 170000
#define compat_snapshots_may_age() false
#else
#define compat_snapshots_may_age() OldSnapshotThresholdActive()
#endif

/*
 * A CHECK constraint as an expression, or NULL if it is not enforced.
 */
static inline Expr *
compat_parse_check(pg_attribute_unused() Relation rel, ConstrCheck *check)
{
#if PG_VERSION_NUM >= 180000
	if (!check->ccenforced)
		return NULL;
	return (Expr *) expand_generated_columns_in_expr(stringToNode(check->ccbin),
													 rel, 1);
#else
	return stringToNode(check->ccbin);
#endif
}

/*
 * Fire the BEFORE triggers of an update.
 */
static inline bool
compat_ExecBRUpdateTriggers(EState *estate, EPQState *epqstate,
							ResultRelInfo *rri, ItemPointer tid,
							TupleTableSlot *slot)
{
#if PG_VERSION_NUM >= 180000
	return ExecBRUpdateTriggers(estate, epqstate, rri, tid, NULL, slot, NULL,
								NULL, false);
#elif PG_VERSION_NUM >= 160000
	return ExecBRUpdateTriggers(estate, epqstate, rri, tid, NULL, slot, NULL,
								NULL);
#else
	return ExecBRUpdateTriggers(estate, epqstate, rri, tid, NULL, slot, NULL);
#endif
}

/*
 * A range table of one relation, with what a statement on it would read and
 * write.  From 16 on, the permissions have a list of their own.
 */
typedef struct OneRelation
{
	List	   *rtable;
	List	   *perminfos;
} OneRelation;

static inline OneRelation
make_one_relation(Relation rel, LOCKMODE lockmode, AclMode perms,
				  Bitmapset *selected_cols, Bitmapset *updated_cols)
{
	OneRelation one = {NIL, NIL};
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = lockmode;
#if PG_VERSION_NUM >= 160000
	{
		RTEPermissionInfo *perminfo;

		perminfo = addRTEPermissionInfo(&one.perminfos, rte);
		perminfo->requiredPerms = perms;
		perminfo->selectedCols = selected_cols;
		perminfo->updatedCols = updated_cols;
	}
#else
	rte->requiredPerms = perms;
	rte->selectedCols = selected_cols;
	rte->updatedCols = updated_cols;
#endif
	one.rtable = list_make1(rte);
	return one;
}

static inline bool
has_permissions(OneRelation one)
{
#if PG_VERSION_NUM >= 160000
	return ExecCheckPermissions(one.rtable, one.perminfos, false);
#else
	return ExecCheckRTPerms(one.rtable, false);
#endif
}

static inline void
init_range_table(EState *estate, OneRelation one)
{
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, one.rtable, one.perminfos,
					   bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, one.rtable, one.perminfos);
#else
	ExecInitRangeTable(estate, one.rtable);
#endif
}

#endif							/* PURCHASE_COMPAT_H */
