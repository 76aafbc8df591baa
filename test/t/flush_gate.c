/*
 * flush_gate.c
 *	  For LD_PRELOAD: makes the server's fdatasync(), with which it flushes its
 *	  log, take longer, or wait.
 *
 * FLUSH_DELAY=30000     so many microseconds longer
 * FLUSH_GATE=FILE       wait as long as somebody holds an exclusive flock on it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int
fdatasync(int fd)
{
	static int	(*original) (int);
	const char *delay = getenv("FLUSH_DELAY");
	const char *gate = getenv("FLUSH_GATE");

	if (original == NULL)
		original = (int (*) (int)) dlsym(RTLD_NEXT, "fdatasync");
	if (delay != NULL)
		usleep(atoi(delay));
	if (gate != NULL)
	{
		int			file = open(gate, O_RDONLY);

		/* a signal may interrupt it */
		while (file >= 0 && flock(file, LOCK_SH) != 0)
			;
		close(file);
	}
	return original(fd);
}
