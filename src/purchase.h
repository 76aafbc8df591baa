/*
 * purchase.h
 *	  What the files of the extension share.
 *
 * Data flows one way:
 *
 *	  purchase.c      SQL functions: arguments -> lines -> answer
 *	  cart.c          look, lock, decide, write; one error for all lines
 *	  stock_table.c   table -> key, stock column, index, engine; its cache
 *	  engine_row.c    \ how one row is found, locked and written
 *	  engine_sql.c    /
 *	  guard.c         refuses what does not come this way
 *
 * Memory: lines and everything else of a call live in the caller's context,
 * which is a per-tuple or statement context.  A StockTable lives in a context
 * of its own below CacheMemoryContext and survives at least until the end of
 * the transaction in which it was used, even if it was replaced meanwhile.
 */
#ifndef PURCHASE_H
#define PURCHASE_H

#include "access/attnum.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"

#include "compat.h"
#include "errors.h"

/*
 * Modules are loaded into one name space: of these, the server shall see none.
 * What SQL calls is declared outside.
 */
#pragma GCC visibility push(hidden)

typedef struct Cart Cart;
typedef struct StockTable StockTable;

typedef enum EngineChoice
{
	ENGINE_AUTO,
	ENGINE_ROW,
	ENGINE_SQL,
} EngineChoice;

/* purchase.engine and purchase.lock_wait (ms; 0 = NOWAIT, -1 = no bound) */
extern int	purchase_engine;
extern int	purchase_lock_wait;

/* whether purchase.lock_wait was set, for a session or for more */
extern bool purchase_lock_wait_is_set;

/* The lock_wait of a table that has none of its own. */
#define LOCK_WAIT_UNSET (-2)

/* One product and one quantity. */
typedef struct Line
{
	Datum		product;		/* the key as the caller gave it */
	int64		qty;			/* > 0; of purchase_set_stock(), the new stock */

	int			position;		/* in the caller's arrays */
	Datum		key;			/* the same in the key column's base type */
	bool		no_such_key;	/* out of that type's range */

	Outcome		outcome;
	bool		stock_known;	/* stock was read; not so if busy or missing */
	int64		stock;			/* as last read */
	int64		remaining;		/* as written, if the outcome is "sold" */

	/* of the row engine */
	HeapTuple	row;			/* copy of the version looked at, or locked */
	ItemPointerData root;		/* where its index entry points to */
	bool		free;			/* nobody held it when it was looked at */
	bool		contended;		/* somebody else did */
	bool		crowded;		/* its page was nearly full, at the time */
} Line;

typedef enum LockResult
{
	LOCK_OK,					/* locked, and line->stock is the latest */
	LOCK_BUSY,					/* another transaction holds it */
	LOCK_NO_ROW,				/* no such row, or no right to see it */
} LockResult;

/*
 * An engine finds, locks and writes one row.  Errors are thrown, so close is
 * not reached then: what an engine holds must be released by the transaction.
 */
typedef struct Engine
{
	const char *name;

	/* Prepare for a call.  Its snapshot is active until it ends. */
	void		(*open) (Cart *cart);

	/* Read a line's stock without a lock; false if there is no row. */
	bool		(*look) (Cart *cart, Line *line);

	/* Lock the latest version of a line's row, as strongly as an UPDATE of the
	 * stock does.  With wait, never returns LOCK_BUSY. */
	LockResult	(*lock) (Cart *cart, Line *line, bool wait);

	/* Write the line_new_stock() of a row that lock() has locked, and set
	 * line->remaining to what was written.  False if nothing was, because a
	 * trigger or rule suppressed it or took the units. */
	bool		(*write) (Cart *cart, Line *line);

	/* Lock and write in one step what look() has found to be free.  False, with
	 * nothing written, if somebody was faster or it takes both steps.  An
	 * engine may have none: look() finds nothing free then. */
	bool		(*write_free) (Cart *cart, Line *line);

	void		(*close) (Cart *cart);
} Engine;

extern const Engine engine_row;
extern const Engine engine_sql;

/* The plans of the sql engine, in the order of their use. */
enum
{
	PLAN_LOOK,
	PLAN_LOCK_SKIP,
	PLAN_LOCK_NOWAIT,
	PLAN_LOCK_WAIT,
	PLAN_TAKE,
	PLAN_ADD,
	PLAN_SET,
	N_PLANS
};

/* What row triggers an update of the stock fires. */
typedef enum RowTriggers
{
	ROW_TRIGGERS_NONE,			/* none that could do anything */
	ROW_TRIGGERS_OF_NEW_ROWS,	/* they do something only with rows that this
								 * transaction has inserted or updated */
	ROW_TRIGGERS_INTERNAL,
	ROW_TRIGGERS_USER,			/* may do anything */
} RowTriggers;

/* Why the sql engine serves a table, in order of precedence; see engine.c. */
typedef enum SqlReason
{
	SQL_PARTITIONED,
	SQL_VIEW,
	SQL_FOREIGN_TABLE,
	SQL_ACCESS_METHOD,
	SQL_INHERITANCE,
	SQL_RULES,
	SQL_STATEMENT_TRIGGERS,
	SQL_TRANSITION_TABLES,
	SQL_CITUS,
	SQL_DEFERRABLE_KEY,
	SQL_DOMAIN,
	SQL_OLD_SNAPSHOT_THRESHOLD,
	SQL_ROW_SECURITY,
	SQL_NEW_INDEX,
	SQL_SETTING,
	N_SQL_REASONS
} SqlReason;

#define SQL_REASON(reason) ((uint32) 1 << (reason))

/* What is known of an attached table. */
struct StockTable
{
	Oid			relid;
	MemoryContext cxt;

	AttrNumber	key_attno;
	AttrNumber	stock_attno;
	char	   *key_column;
	char	   *stock_column;

	Oid			key_type;		/* base type of the key column */
	FmgrInfo	key_input;
	Oid			key_ioparam;
	Oid			key_collation;
	Oid			eq_operator;	/* both in the sense of the key's index */
	FmgrInfo	eq;
	FmgrInfo	cmp;
	Oid			eq_subtype;

	Oid			stock_type;		/* base type: INT2OID, INT4OID or INT8OID */
	bool		stock_in_key;	/* a unique index contains the stock, or what is
								 * generated from it: to write it takes a
								 * stronger lock */
	int			lock_wait;		/* as the setting, or LOCK_WAIT_UNSET */

	/*
	 * Where the guard would stand: the table itself, or the one that a view
	 * updates, and that one's name of the key.  InvalidOid and NULL if it can't
	 * be told.
	 */
	Oid			target;
	char	   *target_key;
	bool		guarded;		/* and it does, there or before a partition */
	Oid			guard_function; /* of its triggers */

	RowTriggers triggers;		/* but the guard's */
	bool		plain;			/* its rows are but stored: no trigger but of
								 * new rows, no generated columns, no
								 * partition's bound, no CHECK that would have
								 * to be planned anew */

	Oid			index;			/* unique index of the key, if a row engine
								 * could use it */
	uint32		sql_reasons;	/* SQL_REASON()s why the sql engine serves it */

	Bitmapset  *selected_cols;	/* {key, stock} and {stock}, with the offset */
	Bitmapset  *updated_cols;	/* of FirstLowInvalidHeapAttributeNumber */

	SPIPlanPtr	plans[N_PLANS]; /* of the sql engine, each made when needed */

	/* of the row engine, likewise: the table's CHECK constraints, parsed, and
	 * those of a plain table planned */
	Expr	  **checks;
	Expr	  **planned_checks;
};

/* Of a stock column's base type: is it one, and a value of it. */
static inline bool
is_stock_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
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

/* What a call wants to do with its lines. */
typedef enum Verb
{
	VERB_SELL,
	VERB_RESTOCK,
	VERB_SET_STOCK,
	VERB_READ,
} Verb;

/* How long it may wait for a row. */
typedef enum Patience
{
	PATIENCE_AS_SET,			/* by the session or for the table */
	PATIENCE_NONE,
	PATIENCE_UNBOUNDED,
} Patience;

struct Cart
{
	Verb		verb;
	const char *function;		/* SQL name, for messages */
	Oid			product_type;	/* type of Line.product */
	int			nlines;
	Line	   *lines;

	Oid			stock_table;	/* as the caller gave it, or InvalidOid */
	Oid			self;			/* OID of the SQL function: finds the schema */

	Patience	patience;
	int			lock_wait;		/* what follows from it, once the table is open:
								 * ms; 0 = NOWAIT, -1 = no bound of ours */
	Line	   *waiting;		/* line whose lock is being waited for */

	StockTable *st;
	Relation	rel;
	Relation	index;			/* of the key; NULL unless for the row engine */
	OneRelation range;
	const Engine *engine;
	void	   *engine_state;
};

/* The one update that the guard lets pass; see guard.c. */
typedef struct Announcement
{
	struct Announcement *outer;
	StockTable *st;
	Datum		key;
	bool		old_known;		/* the stock was not null */
	int64		old_stock;
	int64		new_stock;
	bool		before_passed;
	bool		after_passed;
} Announcement;

/* A row of purchase_registration. */
typedef struct Registration
{
	Oid			relid;
	char	   *key_column;
	char	   *stock_column;
	int			lock_wait;		/* ms, or LOCK_WAIT_UNSET */
} Registration;

/* Why a table can't be, or can no longer be, a stock table. */
typedef struct Misfit
{
	int			sqlerrcode;
	char	   *detail;
	char	   *hint;

	/* to repeat in a hint: further arguments of the call */
	const char *more_args;
} Misfit;

/* cart.c */
extern void cart_sell(Cart *cart);
extern void cart_try_sell(Cart *cart);
extern void cart_restock(Cart *cart);
extern void cart_set_stock(Cart *cart);
extern void cart_read(Cart *cart);
extern int64 line_new_stock(Cart *cart, Line *line);

/* outcome.c */
extern const char *outcome_name(Outcome outcome);
extern int	outcome_sqlstate(Outcome outcome);

/* wait.c */
extern ErrorData *run_in_subtransaction(bool (*fn) (void *), void *arg);

/* guard.c */
#define GUARD_FUNCTION "purchase_guard_stock"

extern void guard_announce(Announcement *announcement, Cart *cart, Line *line);
extern void guard_withdraw(Announcement *announcement);
extern AttrNumber guarded_column(Trigger *trigger);
extern Oid	guard_function(Oid self);
extern bool guard_watches(Relation rel, Oid function, AttrNumber attno);

/* guard_place.c */
extern void guard_follow(Relation rel, Oid function, AttrNumber attno);

/* engine.c */
extern uint32 engine_reasons(StockTable *st, Relation rel);
extern const char *sql_reason_code(SqlReason reason);
extern const char *sql_reason_text(uint32 reasons);
extern void choose_engine(Cart *cart, LOCKMODE lockmode);

/* stock_table.c */
extern void cache_init(void);
extern void stock_table_open(Cart *cart);
extern void stock_table_close(Cart *cart);

/* inspect.c */
extern StockTable *inspect(Oid self, Relation rel, const char *key_column,
						   const char *stock_column, MemoryContext parent,
						   Misfit *why);
pg_noreturn extern void raise_misfit(Relation rel, Misfit *why);
extern void check_registration(Oid self, Relation rel,
							   Registration *registration);

/* registration.c */
extern Oid	registration_relid;
extern bool registration_known;
extern Oid	registration_oid(Oid self);
extern bool find_registration(Oid self, Registration *registration);
extern bool may_write_registrations(Relation reg);
extern uint64 change_registrations(Relation reg, Datum *values,
								   int nstatements,
								   const char *const *statements);
extern bool is_empty(Relation rel);
extern char *last_default_owner(Relation reg);
extern void remember_default_owner(Relation reg, Datum *values);

/* of a statement on the registrations */
#define N_VALUES 6

/* relation.c */
extern char *relation_literal(Oid relid);
extern char *relation_name(Relation rel);
pg_noreturn extern void raise_not_attached(Relation rel);
extern Relation open_owned_relation(Oid relid, LOCKMODE lockmode);

/* key.c */
extern char *product_text(Datum product, Oid type);
extern char *clip_key(char *text);
extern bool stock_table_key(StockTable *st, Datum product, Oid type,
							Datum *key);

#pragma GCC visibility pop

#endif							/* PURCHASE_H */
