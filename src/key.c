/*
 * key.c
 *	  Product keys: from the types of the SQL functions to that of the key column.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "key.h"

/* of a product key, in a message */
#define MAX_KEY_BYTES 200

/*
 * Set up a key's type; cmp is the support function of the order.
 */
void
key_type_init(KeyType *kt, Oid type, Oid collation, Oid eq_operator,
			  Oid eq_subtype, Oid cmp, MemoryContext cxt)
{
	Oid			input;
	Oid			output;
	bool		is_varlena;

	kt->type = type;
	get_typlenbyval(type, &kt->len, &kt->byval);
	kt->collation = collation;
	kt->eq_operator = eq_operator;
	kt->eq_subtype = eq_subtype;
	fmgr_info_cxt(get_opcode(eq_operator), &kt->eq, cxt);
	fmgr_info_cxt(cmp, &kt->cmp, cxt);
	getTypeInputInfo(type, &input, &kt->ioparam);
	fmgr_info_cxt(input, &kt->input, cxt);
	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info_cxt(output, &kt->output, cxt);
}

bool
key_equals(KeyType *kt, Datum a, Datum b)
{
	return DatumGetBool(FunctionCall2Coll(&kt->eq, kt->collation, a, b));
}

int
key_compare(KeyType *kt, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll(&kt->cmp, kt->collation, a, b));
}

/*
 * A hash of a key's bytes, fit for no more than a guess: equal keys may differ in
 * it, as 1.0 and 1.00 do.
 */
uint32
key_hash(KeyType *kt, Datum key)
{
	return kt->byval ? (uint32) key : datum_image_hash(key, false, kt->len);
}

static bool
int64_to_key(KeyType *kt, int64 value, Datum *key)
{
	switch (kt->type)
	{
		case INT8OID:
			*key = Int64GetDatum(value);
			return true;
		case INT4OID:
			*key = Int32GetDatum((int32) value);
			return value >= PG_INT32_MIN && value <= PG_INT32_MAX;
		default:
			Assert(kt->type == INT2OID);
			*key = Int16GetDatum((int16) value);
			return value >= PG_INT16_MIN && value <= PG_INT16_MAX;
	}
}

/*
 * A product key as text, palloc'd: as the caller gave it, or if type is InvalidOid, as
 * a value of the key's own type.
 */
char *
key_product_text(KeyType *kt, Datum product, Oid type)
{
	switch (type)
	{
		case InvalidOid:
			return OutputFunctionCall(&kt->output, product);
		case INT8OID:
			return psprintf(INT64_FORMAT, DatumGetInt64(product));
		case UUIDOID:
			return DatumGetCString(DirectFunctionCall1(uuid_out, product));
		default:
			Assert(type == TEXTOID);
			return TextDatumGetCString(product);
	}
}

/*
 * Convert a product key from the type of the SQL function's argument (bigint,
 * uuid or text; InvalidOid if it needs no conversion) to the base type of the key
 * column.  False if it is out of that type's range, so that no row can have it.
 *
 * Other types go through text and the type's input function, without a type
 * modifier or a domain's constraints: what a column could not hold is not
 * found, and need not be an error.
 */
bool
key_from_product(KeyType *kt, Datum product, Oid type, Datum *key)
{
	bool		integer_key = kt->type == INT8OID ||
		kt->type == INT4OID || kt->type == INT2OID;
	char	   *str;

	if (type == INT8OID && integer_key)
		return int64_to_key(kt, DatumGetInt64(product), key);

	if (type == InvalidOid || type == kt->type ||
		(type == TEXTOID && kt->type == VARCHAROID))
	{
		*key = product;
		return true;
	}

	str = key_product_text(kt, product, type);
	if (integer_key)
	{
		/* an untyped parameter must find the same as one of type bigint */
		char	   *end;
		int64		value;

		errno = 0;
		value = strtoi64(str, &end, 10);
		if (end != str && *end == '\0')
			return errno == 0 && int64_to_key(kt, value, key);
	}
	*key = InputFunctionCall(&kt->input, str, kt->ioparam, -1);
	return true;
}

/*
 * Cut the text of a key to what has room in a message.
 */
char *
key_clip(char *str)
{
	int			len = strlen(str);

	if (len > MAX_KEY_BYTES)
		str[pg_mbcliplen(str, len, MAX_KEY_BYTES)] = '\0';
	return str;
}

/*
 * OPERATOR(schema.name): what the index means by "equal", whatever the
 * search_path is.
 */
static char *
operator_text(Oid opno)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opno));
	Form_pg_operator op;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opno);
	op = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(op->oprnamespace)),
					  NameStr(op->oprname));
	ReleaseSysCache(tuple);
	return result;
}

/*
 * "alias.column = value" as SQL, where value is of the key's type.  As a domain, the
 * column could match an operator that was declared for just that, by whoever may
 * create one beside the right one.
 */
char *
key_condition(KeyType *kt, Oid relid, AttrNumber attno, const char *alias,
			  const char *value)
{
	const char *column = quote_identifier(get_attname(relid, attno, false));
	const char *cast = get_atttype(relid, attno) == kt->type ? "" :
		psprintf("::%s", format_type_extended(kt->type, -1,
											  FORMAT_TYPE_FORCE_QUALIFY));

	return psprintf("%s.%s%s %s %s", alias, column, cast,
					operator_text(kt->eq_operator), value);
}
