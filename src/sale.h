/*
 * sale.h
 *	  What can be done with a sale that has an id.
 */
#ifndef PURCHASE_SALE_H
#define PURCHASE_SALE_H

#include "line.h"
#include "record.h"

#pragma GCC visibility push(hidden)

extern bool sale_confirm(Cart *cart);
extern int64 sale_release(Cart *cart);
extern int64 sale_release_part(Cart *cart);
extern TimestampTz sale_extend(Cart *cart);
extern int64 sale_return(Cart *cart, bool restock);
extern int64 sale_return_part(Cart *cart, text *return_id, bool restock);
extern int64 sale_expire(Cart *cart);
extern int64 sale_forget(Cart *cart, TimestampTz before, int64 max, bool forget_limits);
extern void sale_check_no_holds(Oid self, Relation stock_table);
extern int64 sale_stray_holds(Oid self, Relation stock_table);
extern int64 sale_lost_lines(Oid self, Relation stock_table);

#pragma GCC visibility pop

#endif							/* PURCHASE_SALE_H */
