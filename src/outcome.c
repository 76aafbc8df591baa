/*
 * outcome.c
 *	  What may become of a line: its name and its SQLSTATE.
 */
#include "postgres.h"

#include "outcome.h"

typedef struct OutcomeInfo
{
	const char *name;
	int			sqlerrcode;
} OutcomeInfo;

static const OutcomeInfo outcomes[] = {
	[OUTCOME_AVAILABLE] = {"available", 0},
	[OUTCOME_HELD] = {"held", 0},
	[OUTCOME_SOLD] = {"sold", 0},
	[OUTCOME_BUSY] = {"busy", ERRCODE_LOCK_NOT_AVAILABLE},
	[OUTCOME_BUYER_LIMIT_EXCEEDED] = {"buyer_limit_exceeded", ERRCODE_BUYER_LIMIT_EXCEEDED},
	[OUTCOME_INSUFFICIENT_QUANTITY] = {"insufficient_quantity", ERRCODE_INSUFFICIENT_QUANTITY},
	[OUTCOME_OUT_OF_STOCK] = {"out_of_stock", ERRCODE_OUT_OF_STOCK},
	[OUTCOME_PRODUCT_NOT_FOUND] = {"product_not_found", ERRCODE_PRODUCT_NOT_FOUND},
};

const char *
outcome_name(Outcome outcome)
{
	return outcomes[outcome].name;
}

int
outcome_sqlstate(Outcome outcome)
{
	return outcomes[outcome].sqlerrcode;
}
