/*
 * stock.h
 *	  A stock: the types of column that can hold it, and its value there.
 */
#ifndef PURCHASE_STOCK_H
#define PURCHASE_STOCK_H

#include "catalog/pg_type.h"

#pragma GCC visibility push(hidden)

/* Types are base types here. */
static inline bool
is_stock_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static inline int64
stock_max(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return PG_INT16_MAX;
		case INT4OID:
			return PG_INT32_MAX;
		default:
			return PG_INT64_MAX;
	}
}

static inline int64
stock_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

static inline Datum
stock_datum(int64 stock, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return Int16GetDatum((int16) stock);
		case INT4OID:
			return Int32GetDatum((int32) stock);
		default:
			return Int64GetDatum(stock);
	}
}

#pragma GCC visibility pop

#endif							/* PURCHASE_STOCK_H */
