/* A simulated card: its script, and its state at a time. */
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
    double limit_w, lists_processes, lost_s, deny_s, ecc;
    struct numbers processes;
    struct texts mig;
    atomic_long reads;
};

/* A handle: the card itself if `instance` is 0, else one of its MIG instances. */
struct device {
    struct card *card;
    int instance;
};

extern struct card cards[CARDS];
extern struct device handles[CARDS][1 + INSTANCES];
extern int card_count;

/* Read the script, if that is not done yet; return the error with which NVML starts. */
int start_cards(void);

/* The version of CUDA that the driver reports; 0: none. */
int cuda_version(void);

/* The time of the script. */
double now_s(void);
/* The card's power: that of its script, replaced by `draw` from its first call on. */
struct series power_of(const struct card *card);
/* Set its power from now on, in every process; one caller at a time. Return the joules until now,
 * or -1 if the power cannot be set. */
double draw(struct card *card, double watts);
/* What the energy counter shows at t. */
unsigned long long count_mj(const struct card *card, double t);
/* The power that it reports at t: the mean over `mean_of_s`; 0: the instantaneous power. */
unsigned power_mw(const struct card *card, double t, double mean_of_s);
unsigned limit_mw(const struct card *card);

#endif
