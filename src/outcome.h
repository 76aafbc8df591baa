/*
 * outcome.h
 *	  What may become of a line, and the SQLSTATEs of this extension.
 *
 * Class SK ("stock keeping") begins with a letter from the range that the SQL
 * standard leaves to implementations.  SK000 is not used: clients take a code
 * that ends in 000 for its whole class.  SK1xx says what has become of a sale with
 * an id, and SK2xx what is wrong with an id.
 */
#ifndef PURCHASE_OUTCOME_H
#define PURCHASE_OUTCOME_H

#define ERRCODE_PRODUCT_NOT_FOUND		MAKE_SQLSTATE('S', 'K', '0', '0', '1')
#define ERRCODE_OUT_OF_STOCK			MAKE_SQLSTATE('S', 'K', '0', '0', '2')
#define ERRCODE_INSUFFICIENT_QUANTITY	MAKE_SQLSTATE('S', 'K', '0', '0', '3')
#define ERRCODE_BUYER_LIMIT_EXCEEDED	MAKE_SQLSTATE('S', 'K', '0', '0', '4')
#define ERRCODE_STOCK_GUARDED			MAKE_SQLSTATE('S', 'K', '0', '0', '5')
#define ERRCODE_SALE_NOT_FOUND			MAKE_SQLSTATE('S', 'K', '1', '0', '1')
#define ERRCODE_HOLD_EXPIRED			MAKE_SQLSTATE('S', 'K', '1', '0', '2')
#define ERRCODE_SALE_SETTLED			MAKE_SQLSTATE('S', 'K', '1', '0', '3')
#define ERRCODE_RETURN_EXCEEDS_SALE		MAKE_SQLSTATE('S', 'K', '1', '0', '4')
#define ERRCODE_SALE_ID_CONFLICT		MAKE_SQLSTATE('S', 'K', '2', '0', '1')

/*
 * In rising order of precedence: when the lines of a cart fail for different
 * reasons, what is definitive beats what a retry may cure.
 */
typedef enum Outcome
{
	OUTCOME_AVAILABLE,			/* could be sold; not decided finally */
	OUTCOME_HELD,
	OUTCOME_SOLD,
	OUTCOME_BUSY,
	OUTCOME_BUYER_LIMIT_EXCEEDED,
	OUTCOME_INSUFFICIENT_QUANTITY,
	OUTCOME_OUT_OF_STOCK,
	OUTCOME_PRODUCT_NOT_FOUND,
} Outcome;

#pragma GCC visibility push(hidden)

extern const char *outcome_name(Outcome outcome);
extern int	outcome_sqlstate(Outcome outcome);

#pragma GCC visibility pop

#endif							/* PURCHASE_OUTCOME_H */
