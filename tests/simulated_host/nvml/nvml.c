/* A libnvidia-ml.so.1 whose cards follow a script, so that the true energy of any window is known.
 *
 * The script is the file named by SIMULATED_NVML, read once at the first nvmlInit. One statement a
 * line; times are seconds since `start`, which is a time of CLOCK_MONOTONIC:
 *
 *   start 1234.5           when time is zero; the first nvmlInit where it is not given
 *   init 9                 nvmlInit returns this error
 *   card GPU-1111 Name     a new card, in the order of the PCI bus; what follows belongs to it:
 *   tick 0.02                its energy counter moves every 20 ms
 *   power 0.5 250            from 0.5 s on it draws 250 W
 *   limit 300                its power limit in watts
 *   counter off              it has no energy counter
 *   fail 7 15                after 7 reads its counter returns error 15
 *   mig MIG-2222             it is split, and this is its one instance
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 6 };
enum { CARDS = 16, SEGMENTS = 64 };

struct segment {
    double from_s, watts;
};

struct card {
    char uuid[96], name[96], mig[96];
    double tick_s, limit_w;
    int counter, segments, fail_code;
    long reads, fail_after;
    struct segment power[SEGMENTS];
};

/* A handle: the card itself, or its MIG instance. */
struct device {
    struct card *card;
    int instance;
};

static struct card cards[CARDS];
static struct device handles[CARDS][2];
static int card_count, loaded, users, init_error;
static double start_s;

static double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void add_card(const char *uuid, const char *name)
{
    struct card *card = &cards[card_count];
    snprintf(card->uuid, sizeof card->uuid, "%s", uuid);
    snprintf(card->name, sizeof card->name, "%s", name);
    card->tick_s = 0.02;
    card->limit_w = 300;
    card->counter = 1;
    card->fail_after = -1;
    handles[card_count][0] = (struct device){card, 0};
    handles[card_count][1] = (struct device){card, 1};
    card_count++;
}

static void obey(const char *line)
{
    struct card *card = card_count ? &cards[card_count - 1] : NULL;
    char word[96], rest[96];
    double a, b;

    if (sscanf(line, "start %lf", &a) == 1)
        start_s = a;
    else if (sscanf(line, "init %lf", &a) == 1)
        init_error = (int)a;
    else if (sscanf(line, "card %95s %95[^\n]", word, rest) == 2 && card_count < CARDS)
        add_card(word, rest);
    else if (card && sscanf(line, "tick %lf", &a) == 1)
        card->tick_s = a;
    else if (card && sscanf(line, "power %lf %lf", &a, &b) == 2 && card->segments < SEGMENTS)
        card->power[card->segments++] = (struct segment){a, b};
    else if (card && sscanf(line, "limit %lf", &a) == 1)
        card->limit_w = a;
    else if (card && strncmp(line, "counter off", 11) == 0)
        card->counter = 0;
    else if (card && sscanf(line, "fail %lf %lf", &a, &b) == 2)
        card->fail_after = (long)a, card->fail_code = (int)b;
    else if (card && sscanf(line, "mig %95s", word) == 1)
        snprintf(card->mig, sizeof card->mig, "%s", word);
    else if (line[0] != '\n' && line[0] != '#') {
        fprintf(stderr, "simulated NVML cannot obey: %s", line);
        abort();
    }
}

static void load(void)
{
    const char *path = getenv("SIMULATED_NVML");
    FILE *script = path ? fopen(path, "r") : NULL;
    char line[256];

    if (!script) {
        fprintf(stderr, "simulated NVML finds no script: set SIMULATED_NVML\n");
        abort();
    }
    start_s = clock_s();
    while (fgets(line, sizeof line, script))
        obey(line);
    fclose(script);
    loaded = 1;
}

static double watts_at(const struct card *card, double t)
{
    double watts = 0;
    for (int i = 0; i < card->segments && card->power[i].from_s <= t; i++)
        watts = card->power[i].watts;
    return watts;
}

static double joules_until(const struct card *card, double t)
{
    double joules = 0;
    for (int i = 0; i < card->segments && card->power[i].from_s < t; i++) {
        double end = i + 1 < card->segments ? card->power[i + 1].from_s : t;
        joules += card->power[i].watts * ((end < t ? end : t) - card->power[i].from_s);
    }
    return joules;
}

static int text(const char *from, char *to, unsigned length)
{
    snprintf(to, length, "%s", from);
    return OK;
}

int nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    if (!loaded)
        load();
    if (!init_error)
        users++;
    return init_error;
}

int nvmlShutdown(void)
{
    return users ? (users--, OK) : UNINITIALIZED;
}

const char *nvmlErrorString(int code)
{
    (void)code;
    return "a simulated error";
}

int nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    return text("550.54.15", version, length);
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = (unsigned)card_count;
    return users ? OK : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **device)
{
    if (index >= (unsigned)card_count)
        return INVALID_ARGUMENT;
    *device = &handles[index][0];
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device)
{
    for (int i = 0; i < card_count; i++) {
        int instance = strcmp(uuid, cards[i].mig) == 0;
        if (instance || strcmp(uuid, cards[i].uuid) == 0) {
            *device = &handles[i][instance];
            return OK;
        }
    }
    return NOT_FOUND;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct device *instance, struct device **device)
{
    if (!instance->instance)
        return INVALID_ARGUMENT;
    *device = instance - 1;
    return OK;
}

int nvmlDeviceGetMigMode(struct device *device, unsigned *now, unsigned *pending)
{
    *now = *pending = device->card->mig[0] != 0;
    return OK;
}

int nvmlDeviceGetIndex(struct device *device, unsigned *index)
{
    *index = (unsigned)(device->card - cards);
    return OK;
}

int nvmlDeviceGetUUID(struct device *device, char *uuid, unsigned length)
{
    return text(device->instance ? device->card->mig : device->card->uuid, uuid, length);
}

int nvmlDeviceGetName(struct device *device, char *name, unsigned length)
{
    return text(device->card->name, name, length);
}

int nvmlDeviceGetTotalEnergyConsumption(struct device *device, unsigned long long *millijoules)
{
    struct card *card = device->card;
    double t = clock_s() - start_s;

    if (!users)
        return UNINITIALIZED;
    if (!card->counter || device->instance)
        return NOT_SUPPORTED;
    if (card->fail_after >= 0 && card->reads++ >= card->fail_after)
        return card->fail_code;
    t = (double)(long long)(t / card->tick_s) * card->tick_s;
    *millijoules = (unsigned long long)(joules_until(card, t) * 1000);
    return OK;
}

int nvmlDeviceGetPowerUsage(struct device *device, unsigned *milliwatts)
{
    if (!users)
        return UNINITIALIZED;
    *milliwatts = (unsigned)(watts_at(device->card, clock_s() - start_s) * 1000);
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(struct device *device, unsigned *milliwatts)
{
    *milliwatts = (unsigned)(device->card->limit_w * 1000);
    return OK;
}

int nvmlDeviceGetPowerManagementLimit(struct device *device, unsigned *milliwatts)
{
    return nvmlDeviceGetEnforcedPowerLimit(device, milliwatts);
}
