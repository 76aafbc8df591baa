/*
 * relation.c
 *	  Relations: their names in SQL, and those that the user owns.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_collation.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "relation.h"

/*
 * A relation's name as a literal of type regclass.
 */
char *
relation_literal(Oid relid)
{
	Datum		name = DirectFunctionCall1(regclassout,
										   ObjectIdGetDatum(relid));

	return quote_literal_cstr(DatumGetCString(name));
}

/*
 * A relation's name for use in SQL.
 */
char *
relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

/*
 * A collation's name for use in SQL.
 */
char *
collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	result = quote_qualified_identifier(get_namespace_name(form->collnamespace),
										NameStr(form->collname));
	ReleaseSysCache(tuple);
	return result;
}

/*
 * An index of a relation that fits, or InvalidOid.
 */
Oid
relation_find_index(Relation rel, bool (*fits) (Relation index))
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (fits(index))
			result = RelationGetRelid(index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return result;
}

/*
 * Run a command on relations, in SPI.
 */
void
run_ddl(const char *sql)
{
	if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute: %s", sql);
}

void
relation_check_owned(Relation rel)
{
	if (!owns_relation(RelationGetRelid(rel), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
}

/*
 * Open a relation that the user must own.  Ownership is asked for before a strong lock is
 * waited for.  The weak lock is released first, or two owners could deadlock.
 */
Relation
relation_open_owned(Oid relid, LOCKMODE lockmode)
{
	Relation	rel;

	if (lockmode > AccessShareLock)
		relation_close(relation_open_owned(relid, AccessShareLock), AccessShareLock);
	rel = try_relation_open(relid, lockmode);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	relation_check_owned(rel);
	return rel;
}
