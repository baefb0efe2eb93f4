/* What the simulated devices share: scripts of one statement a line, values over time, time. */
#ifndef SIMULATED_SCRIPT_H
#define SIMULATED_SCRIPT_H

#include <stddef.h>

/* A value that changes in steps; zero before the first. `integral` is the one up to `from_s`. */
struct step {
    double from_s, value, integral;
};

struct series {
    struct step *steps;
    size_t count, room;
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

/* What follows the word of a statement, and so what it fills. */
enum form {
    NUMBER,   /* tick 0.02            a double */
    PAIR,     /* fail 7 15            two doubles that stand side by side */
    STEP,     /* power 0.5 250        one more step of a series: from when, which value */
    SPAN,     /* tear 1 2 5           a series that has a value from a time to a time; 1 unsaid */
    SWITCH,   /* counter off          a double, 0 for off and 1 for on */
    ONE_OF,   /* process 0            one more of some numbers */
    WORD,     /* mig MIG-2222         one more of some texts, to the end of the line */
};

struct statement {
    const char *word;
    enum form form;
    size_t offset;  /* of what it fills, in the object that it is about */
};

/* Reads the script that an environment variable names; each line goes to `obey`, which returns 0
 * for one that it cannot. Such a line, or no script, ends the process with a word on it. */
void read_script(const char *variable, int (*obey)(const char *line));

/* Obeys one statement of a table that an empty word ends; 0 where the line is not one of them. */
int obey_statement(const struct statement *table, void *object, const char *line);

double value_at(const struct series *series, double t);
double integral_until(const struct series *series, double t);
/* The mean of the `window_s` before t, or of what there is of it since the first step. */
double mean_before(const struct series *series, double t, double window_s);
/* The value at t where the steps are points with straight lines between them. */
double between_points(const struct series *points, double t);

/* A share of one, from 0 to below 1, that looks random and is ever the same for two numbers. */
double share(long long first, long long second);
/* The last multiple of a period, up to t; t itself where the period is 0. */
double last_multiple(double t, double period_s);
double monotonic_s(void);
void spin(double seconds);

#endif
