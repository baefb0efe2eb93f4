/* A libnvidia-ml.so.1 whose cards follow a script, so that the true energy of any window is known.
 *
 * card.c explains the script. A read returns the value at the middle of the time that it takes.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "card.h"

enum {
    OK,
    UNINITIALIZED,
    INVALID_ARGUMENT,
    NOT_SUPPORTED,
    NO_PERMISSION,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    GPU_IS_LOST = 15
};
enum { FIELD_ENERGY = 83, FIELD_POWER_AVERAGE = 185, FIELD_POWER_INSTANT = 186 };
enum { SCOPE_MEMORY = 2 };
enum { VALUE_UNSIGNED = 1, VALUE_UNSIGNED_LONG_LONG = 3 };
enum { PASCAL = 4, AMPERE = 7, BRAND_NVIDIA = 14 };

static const double USUAL_CELSIUS = 40, USUAL_MHZ = 1410;

/* As in nvml.h. */
struct field_value {
    uint32_t field, scope;
    int64_t timestamp_us, latency_us;
    int32_t value_type, error;
    union {
        double real;
        uint32_t whole;
        uint64_t long_whole;
    } value;
};

struct process {
    uint32_t pid;
    uint64_t memory_bytes;
    uint32_t gpu_instance, compute_instance;
};

struct temperature {
    uint32_t version;
    int32_t sensor, celsius;
};

struct memory {
    unsigned long long total, free, used;
};

struct memory_v2 {
    uint32_t version;
    unsigned long long total, reserved, free, used;
};

struct utilization {
    unsigned gpu, memory;
};

struct pci {
    char legacy_id[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char id[32];
};

static atomic_int users;

/* --- before a call answers -------------------------------------------------------------------- */

/* The error of a call on this card now, if there is one. */
static int trouble(const struct device *device)
{
    double t = now_s();

    if (!users)
        return UNINITIALIZED;
    if (t >= device->card->lost_s)
        return GPU_IS_LOST;
    return t >= device->card->deny_s ? NO_PERMISSION : OK;
}

#define REACH(device)                  \
    do {                               \
        int failure = trouble(device); \
        if (failure)                   \
            return failure;            \
    } while (0)

/* Take as long as a read of energy or power does; set `t` to the middle of that time. */
static int take_reading(struct device *device, double *t)
{
    double half_s = device->card->read_cost_us * 0.5e-6;

    spin(half_s);
    *t = now_s();
    spin(half_s);
    REACH(device);
    return (int)value_at(&device->card->errors, *t);
}

static int copy_text(const char *from, char *to, unsigned length)
{
    if (strlen(from) >= length)
        return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return OK;
}

static const char *uuid_of(const struct device *device)
{
    return device->instance ? device->card->mig.values[device->instance - 1] : device->card->uuid;
}

/* --- the library ------------------------------------------------------------------------------ */

#pragma GCC visibility push(default)

int nvmlInitWithFlags(unsigned flags)
{
    int failure = start_cards();

    (void)flags;
    if (!failure)
        users++;
    return failure;
}

int nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

int nvmlShutdown(void)
{
    if (!users)
        return UNINITIALIZED;
    users--;
    return OK;
}

const char *nvmlErrorString(int code)
{
    (void)code;
    return "a simulated error";
}

int nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    return copy_text("550.54.15", version, length);
}

int nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
    return copy_text("12.550.54.15", version, length);
}

int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    *version = cuda_version();
    return *version ? OK : NOT_SUPPORTED;
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
    return trouble(*device);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device)
{
    for (int i = 0; i < card_count; i++)
        for (size_t instance = 0; instance <= cards[i].mig.count; instance++)
            if (strcmp(uuid, uuid_of(&handles[i][instance])) == 0) {
                *device = &handles[i][instance];
                return trouble(*device);
            }
    return NOT_FOUND;
}

/* --- the library: MIG ------------------------------------------------------------------------- */

int nvmlDeviceGetMigMode(struct device *device, unsigned *now, unsigned *pending)
{
    REACH(device);
    *now = *pending = device->card->mig.count > 0;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(struct device *device, unsigned *count)
{
    REACH(device);
    *count = device->card->mig.count ? INSTANCES : 0;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct device *device, unsigned index,
                                        struct device **instance)
{
    REACH(device);
    if (index >= INSTANCES)
        return INVALID_ARGUMENT;
    if (index >= device->card->mig.count)
        return NOT_FOUND;
    *instance = &handles[device->card - cards][1 + index];
    return OK;
}

int nvmlDeviceIsMigDeviceHandle(struct device *device, unsigned *is_instance)
{
    *is_instance = device->instance > 0;
    return OK;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct device *instance, struct device **device)
{
    REACH(instance);
    if (!instance->instance)
        return INVALID_ARGUMENT;
    *device = instance - instance->instance;
    return OK;
}

/* --- the library: what a card is -------------------------------------------------------------- */

int nvmlDeviceGetIndex(struct device *device, unsigned *index)
{
    REACH(device);
    *index = (unsigned)(device->card - cards);
    return OK;
}

int nvmlDeviceGetUUID(struct device *device, char *uuid, unsigned length)
{
    REACH(device);
    return copy_text(uuid_of(device), uuid, length);
}

int nvmlDeviceGetName(struct device *device, char *name, unsigned length)
{
    REACH(device);
    return copy_text(device->card->name, name, length);
}

int nvmlDeviceGetBrand(struct device *device, unsigned *brand)
{
    REACH(device);
    *brand = BRAND_NVIDIA;
    return OK;
}

int nvmlDeviceGetArchitecture(struct device *device, unsigned *architecture)
{
    REACH(device);
    *architecture = device->card->counter ? AMPERE : PASCAL;
    return OK;
}

int nvmlDeviceGetPciInfo_v3(struct device *device, struct pci *pci)
{
    REACH(device);
    memset(pci, 0, sizeof *pci);
    pci->bus = 1 + (unsigned)(device->card - cards);
    pci->device_id = 0x20B010DE;
    snprintf(pci->legacy_id, sizeof pci->legacy_id, "0000:%02X:00.0", pci->bus & 0xFF);
    snprintf(pci->id, sizeof pci->id, "00000000:%02X:00.0", pci->bus);
    return OK;
}

static int set_unsigned(struct device *device, unsigned *target, unsigned value)
{
    REACH(device);
    *target = value;
    return OK;
}

int nvmlDeviceGetPersistenceMode(struct device *device, unsigned *mode)
{
    return set_unsigned(device, mode, 1);
}

int nvmlDeviceGetPowerManagementMode(struct device *device, unsigned *mode)
{
    return set_unsigned(device, mode, 1);
}

int nvmlDeviceGetEccMode(struct device *device, unsigned *now, unsigned *after_reboot)
{
    REACH(device);
    if (device->card->ecc < 0)
        return NOT_SUPPORTED;
    *now = *after_reboot = device->card->ecc > 0;
    return OK;
}

int nvmlDeviceGetComputeMode(struct device *device, unsigned *mode)
{
    return set_unsigned(device, mode, 0);
}

int nvmlDeviceGetMemoryInfo(struct device *device, struct memory *memory)
{
    REACH(device);
    *memory = (struct memory){40ull << 30, 39ull << 30, 1ull << 30};
    return OK;
}

int nvmlDeviceGetMemoryInfo_v2(struct device *device, struct memory_v2 *memory)
{
    REACH(device);
    *memory = (struct memory_v2){memory->version, 40ull << 30, 0, 39ull << 30, 1ull << 30};
    return OK;
}

/* --- the library: energy and power ------------------------------------------------------------ */

int nvmlDeviceGetTotalEnergyConsumption(struct device *device, unsigned long long *millijoules)
{
    struct card *card = device->card;
    double t;
    int failure = take_reading(device, &t);

    if (failure)
        return failure;
    if (!card->counter || device->instance)
        return NOT_SUPPORTED;
    if ((double)card->reads++ >= card->fail_after_code[0])
        return (int)card->fail_after_code[1];
    *millijoules = count_mj(card, t);
    return OK;
}

static int read_power(struct device *device, double mean_of_s, unsigned *milliwatts)
{
    double t;
    int failure = take_reading(device, &t);

    if (!failure)
        *milliwatts = power_mw(device->card, t, mean_of_s);
    return failure;
}

int nvmlDeviceGetPowerUsage(struct device *device, unsigned *milliwatts)
{
    return read_power(device, device->card->average_s, milliwatts);
}

static int read_field(struct device *device, struct field_value *field)
{
    unsigned milliwatts = 0;
    unsigned long long millijoules = 0;
    int failure;

    if (field->scope == SCOPE_MEMORY)
        return NOT_SUPPORTED;
    switch (field->field) {
    case FIELD_POWER_INSTANT:
        failure = device->card->instant ? read_power(device, 0, &milliwatts) : NOT_SUPPORTED;
        break;
    case FIELD_POWER_AVERAGE:
        failure = read_power(device, device->card->average_s, &milliwatts);
        break;
    case FIELD_ENERGY:
        failure = nvmlDeviceGetTotalEnergyConsumption(device, &millijoules);
        field->value_type = VALUE_UNSIGNED_LONG_LONG;
        field->value.long_whole = millijoules;
        return failure;
    default:
        return NOT_SUPPORTED;
    }
    field->value_type = VALUE_UNSIGNED;
    field->value.whole = milliwatts;
    return failure;
}

int nvmlDeviceGetFieldValues(struct device *device, int count, struct field_value *fields)
{
    struct timespec now;

    REACH(device);
    for (int i = 0; i < count; i++) {
        double began_s = monotonic_s();
        fields[i].error = read_field(device, &fields[i]);
        fields[i].latency_us = (int64_t)((monotonic_s() - began_s) * 1e6);
        clock_gettime(CLOCK_REALTIME, &now);
        fields[i].timestamp_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    }
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(struct device *device, unsigned *milliwatts)
{
    return set_unsigned(device, milliwatts, limit_mw(device->card));
}

int nvmlDeviceGetPowerManagementLimit(struct device *device, unsigned *milliwatts)
{
    return nvmlDeviceGetEnforcedPowerLimit(device, milliwatts);
}

int nvmlDeviceGetPowerManagementDefaultLimit(struct device *device, unsigned *milliwatts)
{
    return set_unsigned(device, milliwatts, (unsigned)(1000 * device->card->limit_w));
}

int nvmlDeviceGetPowerManagementLimitConstraints(struct device *device, unsigned *least,
                                                 unsigned *most)
{
    REACH(device);
    *most = (unsigned)(1000 * device->card->limit_w);
    *least = *most / 3;
    return OK;
}

/* --- the library: what a card does ------------------------------------------------------------ */

int nvmlDeviceGetCurrentClocksEventReasons(struct device *device, unsigned long long *bits)
{
    REACH(device);
    *bits = (unsigned long long)value_at(&device->card->throttle, now_s());
    return OK;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *device, unsigned long long *bits)
{
    return nvmlDeviceGetCurrentClocksEventReasons(device, bits);
}

int nvmlDeviceGetTemperature(struct device *device, int sensor, unsigned *celsius)
{
    const struct series *points = &device->card->temperature;

    REACH(device);
    if (sensor)
        return INVALID_ARGUMENT;
    *celsius = (unsigned)(points->count ? between_points(points, now_s()) : USUAL_CELSIUS);
    return OK;
}

int nvmlDeviceGetTemperatureV(struct device *device, struct temperature *temperature)
{
    unsigned celsius = 0;
    int failure = nvmlDeviceGetTemperature(device, temperature->sensor, &celsius);

    temperature->celsius = (int32_t)celsius;
    return failure;
}

int nvmlDeviceGetClockInfo(struct device *device, int kind, unsigned *mhz)
{
    const struct series *clock = &device->card->clock;

    (void)kind;
    return set_unsigned(device, mhz, (unsigned)(clock->count ? value_at(clock, now_s())
                                                             : USUAL_MHZ));
}

int nvmlDeviceGetMaxClockInfo(struct device *device, int kind, unsigned *mhz)
{
    (void)kind;
    return set_unsigned(device, mhz, (unsigned)USUAL_MHZ);
}

int nvmlDeviceGetUtilizationRates(struct device *device, struct utilization *percent)
{
    struct series power = power_of(device->card);
    int busy = power.count && value_at(&power, now_s()) > power.steps[0].value;

    REACH(device);
    *percent = (struct utilization){busy ? 100 : 0, busy ? 50 : 0};
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct device *device, unsigned *count,
                                            struct process *listed)
{
    const struct numbers *processes = &device->card->processes;
    unsigned capacity = *count;

    REACH(device);
    if (!device->card->lists_processes)
        return NOT_SUPPORTED;
    *count = (unsigned)processes->count;
    if (capacity < *count)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++) {
        uint32_t pid = (uint32_t)processes->values[i];
        listed[i] = (struct process){pid ? pid : (uint32_t)getpid(), 1ull << 30, ~0u, ~0u};
    }
    return OK;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *device, unsigned *count,
                                             struct process *listed)
{
    (void)listed;
    REACH(device);
    *count = 0;
    return device->card->lists_processes ? OK : NOT_SUPPORTED;
}

/* --- the library: unsupported calls ----------------------------------------------------------- */

int nvmlDeviceGetC2cModeInfoV(struct device *device, void *info)
{
    (void)info;
    REACH(device);
    return NOT_SUPPORTED;
}

int nvmlDeviceGetSupportedMemoryClocks(struct device *device, unsigned *count, unsigned *mhz)
{
    (void)count, (void)mhz;
    REACH(device);
    return NOT_SUPPORTED;
}

int nvmlDeviceGetSupportedGraphicsClocks(struct device *device, unsigned memory_mhz,
                                         unsigned *count, unsigned *mhz)
{
    (void)memory_mhz, (void)count, (void)mhz;
    REACH(device);
    return NOT_SUPPORTED;
}

/* --- not part of NVML: a card follows the work ------------------------------------------------- */

/* Set the power of a card from now on; return the joules that it has drawn, or -1 on failure. */
double simulated_draw(unsigned index, double watts)
{
    return users && index < (unsigned)card_count ? draw(&cards[index], watts) : -1;
}

/* The joules that a card has drawn until now; -1 if there is no such card. */
double simulated_joules(unsigned index)
{
    if (!users || index >= (unsigned)card_count)
        return -1;
    struct series power = power_of(&cards[index]);
    return integral_until(&power, now_s());
}

#pragma GCC visibility pop
