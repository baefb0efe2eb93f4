/* A simulated card: what its script says of it, and what it is at a time. */
#ifndef SIMULATED_CARD_H
#define SIMULATED_CARD_H

#include <stdatomic.h>

#include "script.h"

enum { CARDS = 16, INSTANCES = 7 };

struct card {
    char uuid[TEXT], name[TEXT];
    struct series power, errors, limit, throttle, temperature, clock;
    double counter, tick_s, phase_s, jitter, start_mj, gain, stick_s, reset_s;
    double fail_after_code[2];
    double instant, average_s, power_tick_s, power_lag_s, power_gain, power_noise, read_cost_us;
    double limit_w, tells_processes, lost_s, deny_s, ecc;
    struct numbers processes;
    struct texts mig;
    atomic_long reads;
};

/* A handle: the card itself where `instance` is 0, or one of its MIG instances. */
struct device {
    struct card *card;
    int instance;
};

extern struct card cards[CARDS];
extern struct device handles[CARDS][1 + INSTANCES];
extern int card_count;

/* Reads the script, where that is not done; returns the error with which NVML starts. */
int start_cards(void);

/* The version of CUDA that the driver tells; 0: none. */
int cuda_version(void);

/* The time of the script. */
double now_s(void);
/* The card's power: that of its script, with what was drawn by hand since in place of the rest. */
struct series power_of(const struct card *card);
/* From now on it draws so much, in whatever process it is seen; one caller at a time. Returns the
 * joules until then, or -1 where it cannot. */
double draw(struct card *card, double watts);
/* What the energy counter shows at t. */
unsigned long long count_mj(const struct card *card, double t);
/* What power is told at t, as the mean of so many seconds; 0: at the instant. */
unsigned power_mw(const struct card *card, double t, double mean_of_s);
unsigned limit_mw(const struct card *card);

#endif
