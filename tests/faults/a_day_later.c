/* Loaded before libc (LD_PRELOAD): the time of day is tomorrow's. What was put off is due then. */

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (failed == 0 && clock == CLOCK_REALTIME) now->tv_sec += 24 * 60 * 60;
  return failed;
}
