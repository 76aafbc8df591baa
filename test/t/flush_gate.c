/*
 * flush_gate.c
 *	  For LD_PRELOAD: makes the server's fdatasync(), with which it flushes its
 *	  log, take longer, or stops the log.
 *
 * FLUSH_DELAY=30000     so many microseconds longer
 * FLUSH_GATE=FILE       neither written nor flushed as long as somebody holds an
 *                       exclusive flock on it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static void
pass_gate(void)
{
	const char *gate = getenv("FLUSH_GATE");
	int			file;

	if (gate == NULL || (file = open(gate, O_RDONLY)) < 0)
		return;
	/* a signal may interrupt it */
	while (flock(file, LOCK_SH) != 0)
		;
	close(file);
}

/* A timer of the server may fire meanwhile, which a disk would not notice. */
static void
delay_flush(long us)
{
	struct timespec left = {us / 1000000, us % 1000000 * 1000};

	while (nanosleep(&left, &left) != 0)
		;
}

static int
is_log(int fd)
{
	char		link[64];
	char		path[4096];
	ssize_t		n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return 0;
	path[n] = '\0';
	return strstr(path, "/pg_wal/") != NULL;
}

int
fdatasync(int fd)
{
	int			(*original) (int) = (int (*) (int)) dlsym(RTLD_NEXT, "fdatasync");
	const char *delay = getenv("FLUSH_DELAY");

	if (delay != NULL)
		delay_flush(atol(delay));
	pass_gate();
	return original(fd);
}

#define WRITE(name) \
ssize_t \
name(int fd, const void *buf, size_t n, off_t offset) \
{ \
	ssize_t		(*original) (int, const void *, size_t, off_t) = \
		(ssize_t (*) (int, const void *, size_t, off_t)) dlsym(RTLD_NEXT, #name); \
\
	if (getenv("FLUSH_GATE") != NULL && is_log(fd)) \
		pass_gate(); \
	return original(fd, buf, n, offset); \
}

WRITE(pwrite)
WRITE(pwrite64)
