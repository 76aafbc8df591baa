/*
 * continue.c
 *	  Lets pgbench go on after the errors that a sale is expected to raise, and
 *	  counts them.
 *
 * From PostgreSQL 19 on, pgbench has --continue-on-error for it; before, a
 * client goes on only after a serialization failure or a deadlock, and gives up
 * at any other error.  Loaded with LD_PRELOAD, this shows it the SQLSTATEs below
 * as serialization failures.  Nothing changes for the server: it has raised and
 * sent the error, and sees the ROLLBACK that pgbench sends then.
 *
 * At the end, the file that OUTCOMES names gets "SQLSTATE count" lines.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pg_result;
typedef char *(*ErrorField) (const struct pg_result *result, int field);

static const char *const expected[] = {
	"55P03", "40001", "40P01", "SK001", "SK002", "SK003"
};
#define EXPECTED (sizeof(expected) / sizeof(expected[0]))

static unsigned long counts[EXPECTED];

char *
PQresultErrorField(const struct pg_result *result, int field)
{
	ErrorField	next = (ErrorField) dlsym(RTLD_NEXT, "PQresultErrorField");
	char	   *value = next(result, field);

	/* 'C' is PG_DIAG_SQLSTATE. */
	for (size_t i = 0; field == 'C' && value && i < EXPECTED; i++)
	{
		if (strcmp(value, expected[i]) == 0)
		{
			__atomic_add_fetch(&counts[i], 1, __ATOMIC_RELAXED);
			return "40001";
		}
	}
	return value;
}

__attribute__((destructor)) static void
report(void)
{
	const char *name = getenv("OUTCOMES");
	FILE	   *file = name ? fopen(name, "w") : NULL;

	if (!file)
		return;
	for (size_t i = 0; i < EXPECTED; i++)
	{
		if (counts[i] > 0)
			fprintf(file, "%s %lu\n", expected[i], counts[i]);
	}
	fclose(file);
}
