/*
 * The payload of every job, the same static program under every scheduler.
 *
 *   schedlab-payload STAMPFILE JOB RANK SECONDS sleep|spin
 *
 * Writes its first and its last instant (CLOCK_REALTIME, ns) into STAMPFILE, each as one line in
 * one atomic append, and in between sleeps, or keeps its processor busy, for SECONDS:
 *
 *   first JOB RANK CLOCK_NS HOST CPUS
 *   last  JOB RANK CLOCK_NS HOST CPUS
 *
 * CPUS is the number of processors that the process may run on. Exit status: 0, 64 for wrong
 * arguments, 74 when a stamp cannot be written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BAD_USAGE = 64, CANNOT_WRITE = 74, NS_PER_S = 1000000000 };

static long long ns(const struct timespec *t) { return (long long)t->tv_sec * NS_PER_S + t->tv_nsec; }

static int number(const char *text)
{
	char *end;
	errno = 0;
	long value = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && value >= 0;
}

static int stamp(const char *file, const char *event, const char *job, const char *rank,
		 const struct timespec *now)
{
	char host[65] = "unknown", line[256];
	cpu_set_t cpus;

	gethostname(host, sizeof host - 1);
	int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 0;
	int length = snprintf(line, sizeof line, "%s %s %s %lld %s %d\n", event, job, rank, ns(now),
			      host, count);
	if (length < 0 || (size_t)length >= sizeof line)
		return -1;
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	/* The first writer's umask must not keep other users from writing. Only the owner can change
	 * the mode. */
	struct stat status;
	if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 0666) != 0666 &&
	    fchmod(fd, 0666) != 0) {
		close(fd);
		return -1;
	}
	/* A single write, because only then the kernel does not mix lines of several processes. */
	ssize_t written = write(fd, line, (size_t)length);
	return close(fd) == 0 && written == length ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct timespec first, last, until;
	char *end;

	clock_gettime(CLOCK_REALTIME, &first);
	clock_gettime(CLOCK_MONOTONIC, &until);
	if (argc != 6 || !number(argv[2]) || !number(argv[3])) {
		fprintf(stderr, "usage: %s STAMPFILE JOB RANK SECONDS sleep|spin\n", argv[0]);
		return BAD_USAGE;
	}
	double seconds = strtod(argv[4], &end);
	int spin = strcmp(argv[5], "spin") == 0;
	if (end == argv[4] || *end || !(seconds >= 0 && seconds < 1e9) ||
	    (!spin && strcmp(argv[5], "sleep") != 0)) {
		fprintf(stderr, "%s: SECONDS or mode not understood: %s %s\n", argv[0], argv[4], argv[5]);
		return BAD_USAGE;
	}
	if (stamp(argv[1], "first", argv[2], argv[3], &first) != 0) {
		perror(argv[1]);
		return CANNOT_WRITE;
	}

	/* The run time counts from the first instant, so that the stamp's own cost is part of it. */
	long long end_ns = ns(&until) + (long long)(seconds * NS_PER_S);
	until.tv_sec = (time_t)(end_ns / NS_PER_S);
	until.tv_nsec = (long)(end_ns % NS_PER_S);
	if (spin) {
		struct timespec now;
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while (ns(&now) < end_ns);
	} else {
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
	}

	clock_gettime(CLOCK_REALTIME, &last);
	if (stamp(argv[1], "last", argv[2], argv[3], &last) != 0) {
		perror(argv[1]);
		return CANNOT_WRITE;
	}
	return 0;
}
