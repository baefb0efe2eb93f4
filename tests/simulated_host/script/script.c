#include "script.h"

#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void give_up(const char *trouble, const char *what)
{
    fprintf(stderr, "simulated host: %s: %s\n", trouble, what);
    abort();
}

void read_script(const char *variable, int (*obey)(const char *line))
{
    const char *path = getenv(variable);
    FILE *script = path ? fopen(path, "r") : NULL;
    char line[512];

    if (!script)
        give_up("no script is named by the environment variable", variable);
    while (fgets(line, sizeof line, script)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] && line[0] != '#' && !obey(line))
            give_up("cannot obey", line);
    }
    fclose(script);
}

static int add_step(struct series *series, double from_s, double value)
{
    struct step *last = series->count ? &series->steps[series->count - 1] : NULL;

    if (last && from_s < last->from_s)
        return 0;
    double integral = last ? last->integral + last->value * (from_s - last->from_s) : 0;
    if (series->count == series->capacity) {
        series->capacity = series->capacity ? 2 * series->capacity : 64;
        series->steps = realloc(series->steps, series->capacity * sizeof *series->steps);
        if (!series->steps)
            give_up("no memory for", "a series");
    }
    series->steps[series->count++] = (struct step){from_s, value, integral};
    return 1;
}

static int add_number(struct numbers *numbers, double value)
{
    if (numbers->count == LIST)
        return 0;
    numbers->values[numbers->count++] = value;
    return 1;
}

static int add_text(struct texts *texts, const char *value)
{
    if (texts->count == LIST || strlen(value) >= TEXT)
        return 0;
    strcpy(texts->values[texts->count++], value);
    return 1;
}

static int fill(void *target, enum form form, const char *text)
{
    double *number = target;
    double a, b, c = 1;
    int given = sscanf(text, "%lf %lf %lf", &a, &b, &c);

    switch (form) {
    case NUMBER:
        return given == 1 ? (*number = a, 1) : 0;
    case PAIR:
        return given == 2 ? (number[0] = a, number[1] = b, 1) : 0;
    case STEP:
        return given == 2 && add_step(target, a, b);
    case SPAN:
        return given >= 2 && add_step(target, a, c) && add_step(target, b, 0);
    case SWITCH:
        *number = strcmp(text, "on") == 0;
        return *number || strcmp(text, "off") == 0;
    case ONE_OF:
        return given == 1 && add_number(target, a);
    case WORD:
        return add_text(target, text);
    }
    return 0;
}

int obey_statement(const struct statement *table, void *object, const char *line)
{
    size_t length = strcspn(line, " ");

    for (; table->word[0]; table++)
        if (strlen(table->word) == length && strncmp(line, table->word, length) == 0)
            return line[length] && fill((char *)object + table->offset, table->form,
                                        line + length + 1);
    return 0;
}

/* The step of time t; NULL before the first. */
static const struct step *step_at(const struct series *series, double t)
{
    size_t low = 0, high = series->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (series->steps[middle].from_s <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &series->steps[low - 1] : NULL;
}

double value_at(const struct series *series, double t)
{
    const struct step *step = step_at(series, t);
    return step ? step->value : 0;
}

double integral_until(const struct series *series, double t)
{
    const struct step *step = step_at(series, t);
    return step ? step->integral + step->value * (t - step->from_s) : 0;
}

double mean_before(const struct series *series, double t, double window_s)
{
    double first = series->count ? series->steps[0].from_s : t;
    double from = fmax(t - window_s, first);

    if (from >= t)
        return value_at(series, fmax(t, first));
    return (integral_until(series, t) - integral_until(series, from)) / (t - from);
}

double between_points(const struct series *points, double t)
{
    const struct step *before = step_at(points, t);

    if (!points->count)
        return 0;
    if (!before)
        return points->steps[0].value;
    if (before == &points->steps[points->count - 1])
        return before->value;
    const struct step *after = before + 1;
    double way = (t - before->from_s) / (after->from_s - before->from_s);
    return before->value + way * (after->value - before->value);
}

/* splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t mixed(uint64_t z)
{
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double share(long long first, long long second)
{
    return (double)(mixed(mixed((uint64_t)first) ^ (uint64_t)second) >> 11) * 0x1p-53;
}

double last_multiple(double t, double period_s)
{
    return period_s > 0 ? floor(t / period_s) * period_s : t;
}

/* The time in nanoseconds in the file that SIMULATED_CLOCK names; NULL if it names none. */
static _Atomic int64_t *simulated_ns(void)
{
    static _Atomic int64_t *shared;
    static atomic_int opened;
    const char *path = getenv("SIMULATED_CLOCK");

    if (!opened) {
        int file = path ? open(path, O_RDWR) : -1;
        void *mapped = MAP_FAILED;

        if (file >= 0)
            mapped = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (path && mapped == MAP_FAILED)
            give_up("cannot map the clock", path);
        shared = path ? mapped : NULL;
        opened = 1;
    }
    return shared;
}

double monotonic_s(void)
{
    _Atomic int64_t *shared = simulated_ns();
    struct timespec now;

    if (shared) {
        int64_t ns = atomic_load(shared);
        now = (struct timespec){ns / 1000000000, ns % 1000000000};
    } else {
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void spin(double seconds)
{
    _Atomic int64_t *shared = simulated_ns();
    double until_s = seconds > 0 ? monotonic_s() + seconds : 0;

    if (shared)
        atomic_fetch_add(shared, (int64_t)(seconds * 1e9));
    else
        while (until_s && monotonic_s() < until_s)
            ;
}
