/*
 * shardless.c
 *	  To be preloaded: purchase takes no lock on a shard's metadata, and Citus does as ever.
 *	  So a test can see what the lock is for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void
LockShardDistributionMetadata(int64_t shard, int mode)
{
	static void (*real) (int64_t, int);
	Dl_info		caller;

	if (real == NULL)
		real = (void (*) (int64_t, int)) dlsym(RTLD_NEXT, "LockShardDistributionMetadata");
	if (real == NULL)
		abort();
	if (dladdr(__builtin_return_address(0), &caller) != 0 &&
		strstr(caller.dli_fname, "purchase") != NULL)
		return;
	real(shard, mode);
}
