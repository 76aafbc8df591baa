/*
 * key.c
 *	  Product keys: from the types of the SQL functions to that of the key column.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "purchase.h"

/* of a product key, in a message */
#define MAX_KEY_BYTES 200

static bool
int64_to_key(StockTable *st, int64 value, Datum *key)
{
	switch (st->key_type)
	{
		case INT8OID:
			*key = Int64GetDatum(value);
			return true;
		case INT4OID:
			*key = Int32GetDatum((int32) value);
			return value >= PG_INT32_MIN && value <= PG_INT32_MAX;
		default:
			Assert(st->key_type == INT2OID);
			*key = Int16GetDatum((int16) value);
			return value >= PG_INT16_MIN && value <= PG_INT16_MAX;
	}
}

/*
 * A product key as text, palloc'd.
 */
char *
product_text(Datum product, Oid type)
{
	switch (type)
	{
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
 * uuid or text) to the base type of the key column.  False if it is out of
 * that type's range, so that no row can have it.
 *
 * Other types go through text and the type's input function, without a type
 * modifier or a domain's constraints: what a column could not hold is not
 * found, and need not be an error.
 */
bool
stock_table_key(StockTable *st, Datum product, Oid type, Datum *key)
{
	bool		integer_key = st->key_type == INT8OID ||
		st->key_type == INT4OID || st->key_type == INT2OID;
	char	   *text;

	if (type == INT8OID && integer_key)
		return int64_to_key(st, DatumGetInt64(product), key);

	if (type == st->key_type || (type == TEXTOID && st->key_type == VARCHAROID))
	{
		*key = product;
		return true;
	}

	text = product_text(product, type);
	if (integer_key)
	{
		/* an untyped parameter shall find the same as a bigint one */
		char	   *end;
		int64		value;

		errno = 0;
		value = strtoi64(text, &end, 10);
		if (end != text && *end == '\0')
			return errno == 0 && int64_to_key(st, value, key);
	}
	*key = InputFunctionCall(&st->key_input, text, st->key_ioparam, -1);
	return true;
}

/*
 * Cut the text of a key to what has room in a message.
 */
char *
clip_key(char *text)
{
	int			len = strlen(text);

	if (len > MAX_KEY_BYTES)
		text[pg_mbcliplen(text, len, MAX_KEY_BYTES)] = '\0';
	return text;
}
