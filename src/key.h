/*
 * key.h
 *	  Product keys: the type of a key column, and what a caller gives for it.
 */
#ifndef PURCHASE_KEY_H
#define PURCHASE_KEY_H

#include "access/attnum.h"
#include "fmgr.h"

#pragma GCC visibility push(hidden)

/* The type of a key column; "equal" and the order are those of its index. */
typedef struct KeyType
{
	Oid			type;			/* base type */
	bool		byval;
	int16		len;
	Oid			collation;
	FmgrInfo	input;
	Oid			ioparam;
	FmgrInfo	output;
	Oid			eq_operator;
	Oid			eq_subtype;		/* of the operator's right side */
	FmgrInfo	eq;
	FmgrInfo	cmp;
} KeyType;

extern void key_type_init(KeyType *kt, Oid type, Oid collation,
						  Oid eq_operator, Oid eq_subtype, Oid cmp,
						  MemoryContext cxt);
extern bool key_from_product(KeyType *kt, Datum product, Oid type, Datum *key);
extern bool key_equals(KeyType *kt, Datum a, Datum b);
extern int	key_compare(KeyType *kt, Datum a, Datum b);
extern uint32 key_hash(KeyType *kt, Datum key);
extern char *key_product_text(KeyType *kt, Datum product, Oid type);
extern char *key_condition(KeyType *kt, Oid relid, AttrNumber attno,
						   const char *alias, const char *value);
extern char *key_clip(char *str);

#pragma GCC visibility pop

#endif							/* PURCHASE_KEY_H */
