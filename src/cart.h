/*
 * cart.h
 *	  What can be done with a cart.
 */
#ifndef PURCHASE_CART_H
#define PURCHASE_CART_H

#include "line.h"

#pragma GCC visibility push(hidden)

extern void cart_open(Cart *cart);
extern Outcome cart_run(Cart *cart);
extern bool cart_is_under_row_security(Cart *cart);
extern void cart_check_policies(Cart *cart);
extern void cart_judge_limits_again(Cart *cart);
extern void cart_count_sold(Cart *cart, int64 units);
extern void cart_count_lapsed(Cart *cart, int64 nholds);
extern char *cart_line_name(Cart *cart, Line *line);
extern char *cart_detail(Cart *cart);
pg_noreturn extern void cart_raise(Cart *cart);
extern void cart_close(Cart *cart);

extern void cart_sell(Cart *cart);
extern void cart_try_sell(Cart *cart);
extern void cart_restock(Cart *cart);
extern void cart_set_stock(Cart *cart);
extern void cart_read(Cart *cart);

#pragma GCC visibility pop

#endif							/* PURCHASE_CART_H */
