/* Shared by the simulated devices: scripts of one statement a line, values over time, time. */
#ifndef SIMULATED_SCRIPT_H
#define SIMULATED_SCRIPT_H

#include <stddef.h>

/* A value that changes in steps; zero before the first. `integral` is the one up to `from_s`. */
struct step {
    double from_s, value, integral;
};

struct series {
    struct step *steps;
    size_t count, capacity;
};

enum { LIST = 64, TEXT = 96 };

struct numbers {
    double values[LIST];
    size_t count;
};

struct texts {
    char values[LIST][TEXT];
    size_t count;
};

/* What follows the word of a statement, and what it is stored in. */
enum form {
    NUMBER,   /* tick 0.02            a double */
    PAIR,     /* fail 7 15            an array of two doubles */
    STEP,     /* power 0.5 250        one more step of a series: from when, which value */
    SPAN,     /* tear 1 2 5           a value in a series between two times; 1 if omitted */
    SWITCH,   /* counter off          a double, 0 for off and 1 for on */
    ONE_OF,   /* process 0            one more number of a list */
    WORD,     /* mig MIG-2222         one more text of a list, to the end of the line */
};

struct statement {
    const char *word;
    enum form form;
    size_t offset;  /* of the field, in the object */
};

/* Read the script that an environment variable names, and pass each line to `obey`, which returns 0
 * if it cannot obey. Such a line, or a missing script, ends the process with an error. */
void read_script(const char *variable, int (*obey)(const char *line));

/* Obey one statement of a table that ends with an empty word; return 0 for any other line. */
int obey_statement(const struct statement *table, void *object, const char *line);

double value_at(const struct series *series, double t);
double integral_until(const struct series *series, double t);
/* The mean of the `window_s` before t, or since the first step if that is later. */
double mean_before(const struct series *series, double t, double window_s);
/* The value at t if the steps are points with straight lines between them. */
double between_points(const struct series *points, double t);

/* A pseudo-random number from 0 to below 1, which depends on the two numbers only. */
double share(long long first, long long second);
/* The last multiple of a period, up to t; t itself if the period is 0. */
double last_multiple(double t, double period_s);
/* The time of CLOCK_MONOTONIC, or that in the file which SIMULATED_CLOCK names. */
double monotonic_s(void);
/* Let time pass: by waiting, or by moving the simulated clock. */
void spin(double seconds);

#endif
