/* Another clock for one run of the migrator, and the same random numbers each time: loaded before the C library by
 * developer/migrate.rs. MIGRATION_CHECK_NOW is the wall clock's time in seconds since 1970; it stands still. With
 * MIGRATION_CHECK_DICE the random numbers are a row of zeros. Timers, which ask for the monotonic clock, go on.
 * SQLite and Rust both ask the C library for either. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

static int now(long *seconds) {
    const char *text = getenv("MIGRATION_CHECK_NOW");
    if (text == NULL) return 0;
    *seconds = atol(text);
    return 1;
}

static const char *source(const char *path) {
    int random = strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0;
    return random && getenv("MIGRATION_CHECK_DICE") != NULL ? "/dev/zero" : path;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
    long seconds;
    if ((clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && now(&seconds)) {
        time->tv_sec = seconds;
        time->tv_nsec = 0;
        return 0;
    }
    return real(clock, time);
}

int gettimeofday(struct timeval *time, void *zone) {
    (void)zone;
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found) != 0) return -1;
    time->tv_sec = found.tv_sec;
    time->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found) != 0) return -1;
    if (place != NULL) *place = found.tv_sec;
    return found.tv_sec;
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    static ssize_t (*real)(void *, size_t, unsigned int);
    if (real == NULL) real = dlsym(RTLD_NEXT, "getrandom");
    if (getenv("MIGRATION_CHECK_DICE") == NULL) return real(buffer, length, flags);
    memset(buffer, 0, length);
    return (ssize_t)length;
}

#define OPEN(name)                                                                                  \
    int name(const char *path, int flags, ...) {                                                    \
        static int (*real)(const char *, int, ...);                                                 \
        if (real == NULL) real = dlsym(RTLD_NEXT, #name);                                           \
        va_list rest;                                                                               \
        va_start(rest, flags);                                                                      \
        mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;                                 \
        va_end(rest);                                                                               \
        return real(source(path), flags, mode);                                                     \
    }
OPEN(open)
OPEN(open64)
