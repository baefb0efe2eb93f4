/* Simulated cards follow their script.
 *
 * The script is the file named by SIMULATED_NVML, read once at the first nvmlInit. It has one
 * statement a line. Times are seconds since `start`, a time of CLOCK_MONOTONIC or of the simulated
 * clock.
 *
 *   start 1234.5           when time is zero; default: the first nvmlInit
 *   init 9                 nvmlInit returns this error
 *   cuda 12040             the version of CUDA that the driver reports; 0: none
 *   card GPU-1111 Name     a new card, in the order of the PCI bus; the next lines belong to it:
 *
 *   power 0.5 250            it draws 250 W from 0.5 s on
 *
 *   counter off              it has no energy counter, and an architecture without one
 *   tick 0.02                its counter moves every 20 ms; 0: at once
 *   phase 0.005              5 ms after each multiple of that
 *   jitter 0.3               each tick is late by up to 0.3 of a tick
 *   count 12345              the count at time zero in millijoules
 *   gain 0.85                it counts 85 % of the energy
 *   stick 3                  it does not move after 3 s
 *   reset 3                  it restarts from zero at 3 s
 *   fail 7 15                after 7 reads it returns error 15
 *   fail_between 1 2 999     reads of energy and power return error 999 from 1 to 2 s
 *
 *   instant off              it does not report its instantaneous power
 *   average 1                its other power is the mean of 1 s; 0: the instantaneous power
 *   power_tick 0.025         its powers are those at the last multiple of 25 ms
 *   power_lag 0.1            and are 100 ms old
 *   power_gain 1.05          it reports 105 % of the power
 *   power_noise 0.02         each new power is up to 2 % off
 *   read_cost 100            a read of energy or power takes 100 microseconds
 *
 *   limit 300                its power limit in watts
 *   limit_at 2 250           its power limit from 2 s on
 *   throttle 2 4             the bits of what limits its clocks, from 2 s on
 *   temperature 2 71         its temperature at 2 s; straight lines join such points
 *   clock 2 1410             its clocks in MHz from 2 s on
 *   process 4242             this process computes on it; 0 is the process that asks
 *   processes off            it does not list its processes
 *   mig MIG-2222             it is split, and has this instance
 *   ecc 1                    its memory corrects errors; 0: it does not, -1: unsupported
 *   lost 3                   each call after 3 s fails because it is lost
 *   deny 3                   each call after 3 s fails for lack of permission
 *
 * If a file with the name of the script and `.drawn` exists, a process may also set the power of a
 * card from now on, with `simulated_draw`.
 */
#include "card.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const double NOISE_PERIOD_S = 0.001;

/* The power that was set by `simulated_draw`, in a file that all processes share. Steps are only
 * added, and counted when they are complete, so readers need no lock. */
enum { DRAWN = 1 << 16 };
struct drawn {
    atomic_size_t count;
    struct step steps[DRAWN];
};
static struct drawn *drawn;

static const struct statement statements[] = {
    {"power", STEP, offsetof(struct card, power)},
    {"counter", SWITCH, offsetof(struct card, counter)},
    {"tick", NUMBER, offsetof(struct card, tick_s)},
    {"phase", NUMBER, offsetof(struct card, phase_s)},
    {"jitter", NUMBER, offsetof(struct card, jitter)},
    {"count", NUMBER, offsetof(struct card, start_mj)},
    {"gain", NUMBER, offsetof(struct card, gain)},
    {"stick", NUMBER, offsetof(struct card, stick_s)},
    {"reset", NUMBER, offsetof(struct card, reset_s)},
    {"fail", PAIR, offsetof(struct card, fail_after_code)},
    {"fail_between", SPAN, offsetof(struct card, errors)},
    {"instant", SWITCH, offsetof(struct card, instant)},
    {"average", NUMBER, offsetof(struct card, average_s)},
    {"power_tick", NUMBER, offsetof(struct card, power_tick_s)},
    {"power_lag", NUMBER, offsetof(struct card, power_lag_s)},
    {"power_gain", NUMBER, offsetof(struct card, power_gain)},
    {"power_noise", NUMBER, offsetof(struct card, power_noise)},
    {"read_cost", NUMBER, offsetof(struct card, read_cost_us)},
    {"limit", NUMBER, offsetof(struct card, limit_w)},
    {"limit_at", STEP, offsetof(struct card, limit)},
    {"throttle", STEP, offsetof(struct card, throttle)},
    {"temperature", STEP, offsetof(struct card, temperature)},
    {"clock", STEP, offsetof(struct card, clock)},
    {"process", ONE_OF, offsetof(struct card, processes)},
    {"processes", SWITCH, offsetof(struct card, lists_processes)},
    {"mig", WORD, offsetof(struct card, mig)},
    {"ecc", NUMBER, offsetof(struct card, ecc)},
    {"lost", NUMBER, offsetof(struct card, lost_s)},
    {"deny", NUMBER, offsetof(struct card, deny_s)},
    {"", NUMBER, 0},
};

struct card cards[CARDS];
struct device handles[CARDS][1 + INSTANCES];
static struct {
    double start_s, error, cuda;
} driver;
static const struct statement driver_statements[] = {
    {"start", NUMBER, 0},
    {"init", NUMBER, sizeof(double)},
    {"cuda", NUMBER, 2 * sizeof(double)},
    {"", NUMBER, 0},
};
int card_count;
static int loaded;

static int add_card(const char *line)
{
    struct card *card = &cards[card_count];

    if (card_count == CARDS || sscanf(line, "card %95s %95[^\n]", card->uuid, card->name) != 2)
        return 0;
    card->counter = card->instant = card->lists_processes = 1;
    card->gain = card->power_gain = card->average_s = 1;
    card->tick_s = 0.02;
    card->ecc = -1;
    card->limit_w = 300;
    card->stick_s = card->reset_s = card->lost_s = card->deny_s = INFINITY;
    card->fail_after_code[0] = INFINITY;
    for (int instance = 0; instance <= INSTANCES; instance++)
        handles[card_count][instance] = (struct device){card, instance};
    card_count++;
    return 1;
}

static int obey(const char *line)
{
    if (strncmp(line, "card ", 5) == 0)
        return add_card(line);
    return obey_statement(driver_statements, &driver, line) ||
           (card_count && obey_statement(statements, &cards[card_count - 1], line));
}

static void map_drawn(void)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s.drawn", getenv("SIMULATED_NVML"));
    int file = length < (int)sizeof path ? open(path, O_RDWR) : -1;
    size_t size = CARDS * sizeof *drawn;
    void *shared = MAP_FAILED;

    if (file >= 0) {
        if (ftruncate(file, (off_t)size) == 0)
            shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    drawn = shared == MAP_FAILED ? NULL : shared;
}

struct series power_of(const struct card *card)
{
    struct drawn *set = drawn ? &drawn[card - cards] : NULL;
    size_t count = set ? atomic_load(&set->count) : 0;

    return count ? (struct series){set->steps, count, DRAWN} : card->power;
}

double draw(struct card *card, double watts)
{
    struct series power = power_of(card);
    double t = now_s();

    if (!drawn || power.count >= DRAWN || (power.count && t < power.steps[power.count - 1].from_s))
        return -1;
    struct drawn *set = &drawn[card - cards];
    double joules = integral_until(&power, t);
    if (power.steps != set->steps && power.count)
        memcpy(set->steps, power.steps, power.count * sizeof *power.steps);
    set->steps[power.count] = (struct step){t, watts, joules};
    atomic_store(&set->count, power.count + 1);
    return joules;
}

int start_cards(void)
{
    if (!loaded) {
        driver.start_s = monotonic_s();
        read_script("SIMULATED_NVML", obey);
        map_drawn();
        loaded = 1;
    }
    return (int)driver.error;
}

int cuda_version(void)
{
    return (int)driver.cuda;
}

double now_s(void)
{
    return monotonic_s() - driver.start_s;
}

static double tick_moment(const struct card *card, double number)
{
    double late = card->jitter ? card->jitter * share(card - cards, (long long)number) : 0;
    return card->phase_s + (number + late) * card->tick_s;
}

/* When the counter last moved, up to t. */
static double last_tick(const struct card *card, double t)
{
    if (card->tick_s <= 0)
        return t;
    double number = floor((t - card->phase_s) / card->tick_s);
    double moment = tick_moment(card, number);
    return moment <= t ? moment : tick_moment(card, number - 1);
}

unsigned long long count_mj(const struct card *card, double t)
{
    double live = fmin(t, card->stick_s);
    struct series power = power_of(card);
    double joules = integral_until(&power, last_tick(card, live));

    if (live >= card->reset_s)
        return (unsigned long long)(
            1000 * card->gain * fmax(0, joules - integral_until(&power, card->reset_s)));
    return (unsigned long long)(card->start_mj + 1000 * card->gain * joules);
}

unsigned power_mw(const struct card *card, double t, double mean_of_s)
{
    double period_s = card->power_tick_s > 0 ? card->power_tick_s : NOISE_PERIOD_S;
    double sampled = last_multiple(t - card->power_lag_s, card->power_tick_s);
    double random = 2 * share(card - cards, (long long)floor(sampled / period_s + 0.5)) - 1;
    struct series power = power_of(card);
    double watts = mean_before(&power, sampled, mean_of_s);

    return (unsigned)(1000 * watts * card->power_gain * (1 + card->power_noise * random) + 0.5);
}

unsigned limit_mw(const struct card *card)
{
    double t = now_s();
    int changed = card->limit.count && t >= card->limit.steps[0].from_s;
    return (unsigned)(1000 * (changed ? value_at(&card->limit, t) : card->limit_w));
}
