/* For LD_PRELOAD: a process reads the count of the moment from the file of an energy counter.
 *
 * The counters are files of a powercap tree, identified by device and inode, so that every link to
 * a file shows the same. The script is the file named by SIMULATED_POWERCAP, read once when the
 * process starts. It has one statement a line. Times are seconds since `start`, a time of
 * CLOCK_MONOTONIC or of the simulated clock:
 *
 *   start 1234.5           when time is zero
 *   zone 66 4711           a counter: its device and inode; the next lines belong to it:
 *
 *   power 0.5 250            it draws 250 W from 0.5 s on
 *   tick 0.001               it moves every millisecond; 0: at once
 *   phase 0.0005             0.5 ms after each multiple of that
 *   unit 61.035              it moves by multiples of 61.035 microjoules; 0: by any amount
 *   count 12345              the count at the first second of its power, in microjoules
 *   range 262143328850       it wraps to zero there; 0: never
 *   stick 3                  it does not move after 3 s
 *   tear 1 2 4               from 1 to 2 s the last four characters are missing; default 1
 *   fail 1 2 5               from 1 to 2 s a read fails with errno 5
 *
 * This replaces read and pread, which Python's files use too. It does not affect FILE of the C
 * library, which does not call them by name.
 */
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "script.h"

enum { ZONES = 256, COUNT_TEXT = 32 };

struct zone {
    double device, inode;
    struct series power, missing, errors;
    double tick_s, phase_s, unit_uj, start_uj, range_uj, stick_s;
};

static const struct statement statements[] = {
    {"power", STEP, offsetof(struct zone, power)},
    {"tick", NUMBER, offsetof(struct zone, tick_s)},
    {"phase", NUMBER, offsetof(struct zone, phase_s)},
    {"unit", NUMBER, offsetof(struct zone, unit_uj)},
    {"count", NUMBER, offsetof(struct zone, start_uj)},
    {"range", NUMBER, offsetof(struct zone, range_uj)},
    {"stick", NUMBER, offsetof(struct zone, stick_s)},
    {"tear", SPAN, offsetof(struct zone, missing)},
    {"fail", SPAN, offsetof(struct zone, errors)},
    {"", NUMBER, 0},
};

static struct zone zones[ZONES];
static int zone_count;
static double start_s;
static const struct statement start_statement[] = {{"start", NUMBER, 0}, {"", NUMBER, 0}};

/* The text is made when a file is read from its beginning; later reads return the rest of it. */
static _Thread_local struct {
    const struct zone *zone;
    char text[COUNT_TEXT];
    size_t length;
} shown;

static int obey(const char *line)
{
    struct zone *zone = &zones[zone_count];

    if (obey_statement(start_statement, &start_s, line))
        return 1;
    if (strncmp(line, "zone ", 5) != 0)
        return zone_count && obey_statement(statements, &zones[zone_count - 1], line);
    if (zone_count == ZONES || sscanf(line, "zone %lf %lf", &zone->device, &zone->inode) != 2)
        return 0;
    zone->tick_s = 0.001;
    zone->stick_s = INFINITY;
    zone_count++;
    return 1;
}

__attribute__((constructor)) static void load(void)
{
    if (getenv("SIMULATED_POWERCAP"))
        read_script("SIMULATED_POWERCAP", obey);
}

static const struct zone *zone_of(int handle)
{
    struct stat file;

    if (!zone_count || fstat(handle, &file))
        return NULL;
    for (int i = 0; i < zone_count; i++)
        if (zones[i].inode == (double)file.st_ino && zones[i].device == (double)file.st_dev)
            return &zones[i];
    return NULL;
}

static double count_uj(const struct zone *zone, double t)
{
    double ticked = last_multiple(fmin(t, zone->stick_s) - zone->phase_s, zone->tick_s);
    double joules = integral_until(&zone->power, ticked + zone->phase_s);
    double count = floor(last_multiple(zone->start_uj + 1e6 * joules, zone->unit_uj));
    return zone->range_uj > 0 ? fmod(count, zone->range_uj) : count;
}

static void show(const struct zone *zone, double t)
{
    int length = snprintf(shown.text, COUNT_TEXT, "%llu\n", (unsigned long long)count_uj(zone, t));
    int left = length - (int)value_at(&zone->missing, t);

    shown.zone = zone;
    shown.length = (size_t)(left > 0 ? left : 0);
}

/* Read the file of a zone from an offset. */
static ssize_t read_zone(const struct zone *zone, void *buffer, size_t capacity, off_t offset)
{
    double t = monotonic_s() - start_s;
    int error = (int)value_at(&zone->errors, t);

    if (error) {
        errno = error;
        return -1;
    }
    if (offset == 0 || shown.zone != zone)
        show(zone, t);
    if (offset < 0 || (size_t)offset >= shown.length)
        return 0;
    size_t given = shown.length - (size_t)offset;
    if (given > capacity)
        given = capacity;
    memcpy(buffer, shown.text + offset, given);
    return (ssize_t)given;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#pragma GCC visibility push(default)

ssize_t read(int handle, void *buffer, size_t capacity)
{
    static ssize_t (*real_read)(int, void *, size_t);
    const struct zone *zone = zone_of(handle);

    if (!zone) {
        if (!real_read)
            real_read = real("read");
        return real_read(handle, buffer, capacity);
    }
    ssize_t given = read_zone(zone, buffer, capacity, lseek(handle, 0, SEEK_CUR));
    if (given > 0)
        lseek(handle, given, SEEK_CUR);
    return given;
}

ssize_t pread64(int handle, void *buffer, size_t capacity, off64_t offset)
{
    static ssize_t (*real_pread)(int, void *, size_t, off64_t);
    const struct zone *zone = zone_of(handle);

    if (zone)
        return read_zone(zone, buffer, capacity, offset);
    if (!real_pread)
        real_pread = real("pread64");
    return real_pread(handle, buffer, capacity, offset);
}

ssize_t pread(int handle, void *buffer, size_t capacity, off_t offset)
{
    return pread64(handle, buffer, capacity, offset);
}

/* For programs that are compiled with _FORTIFY_SOURCE. */

static void check(size_t capacity, size_t size)
{
    if (capacity > size)
        abort();
}

ssize_t __read_chk(int handle, void *buffer, size_t capacity, size_t size)
{
    check(capacity, size);
    return read(handle, buffer, capacity);
}

ssize_t __pread64_chk(int handle, void *buffer, size_t capacity, off64_t offset, size_t size)
{
    check(capacity, size);
    return pread64(handle, buffer, capacity, offset);
}

ssize_t __pread_chk(int handle, void *buffer, size_t capacity, off_t offset, size_t size)
{
    check(capacity, size);
    return pread64(handle, buffer, capacity, offset);
}

#pragma GCC visibility pop
