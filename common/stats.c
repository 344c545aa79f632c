/*
 * stats.c: the text that Prometheus reads (exposition format 0.0.4).
 */
#include "common/stats.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND_US 1000000

/* Upper bounds, inclusive, and how Prometheus spells them. */
static const struct {
    int64_t us;
    const char *seconds;
} bounds[] = {
    {100, "0.0001"}, {200, "0.0002"}, {500, "0.0005"}, {1000, "0.001"},
    {2000, "0.002"}, {5000, "0.005"}, {10000, "0.01"}, {20000, "0.02"},
    {50000, "0.05"}, {100000, "0.1"}, {200000, "0.2"}, {500000, "0.5"},
    {1000000, "1"},  {2000000, "2"},  {5000000, "5"},  {10000000, "10"},
};
static_assert(ARRAY_LEN(bounds) == STATS_BUCKETS, "one bound for each bucket");

void histogram_add(struct histogram *h, int64_t us)
{
    size_t i = 0;

    us = MAX(us, 0);
    while (i < STATS_BUCKETS && us > bounds[i].us) {
        i++;
    }
    stat_add(&h->buckets[i], 1);
    stat_add(&h->sum_us, (uint64_t)us);
}

void stats_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void stats_line(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    if (*labels == '\0') {
        buf_addf(out, "%s %" PRIu64 "\n", name, value);
    } else {
        buf_addf(out, "%s{%s} %" PRIu64 "\n", name, labels, value);
    }
}

static void add_seconds(struct buf *out, const char *name, uint64_t us)
{
    buf_addf(out, "%s %" PRIu64 ".%06" PRIu64 "\n", name, us / SECOND_US, us % SECOND_US);
}

void stats_histogram(struct buf *out, const char *name, const char *help, const struct histogram *h)
{
    uint64_t count = 0;
    char line[128];

    stats_head(out, name, "histogram", help);
    for (size_t i = 0; i < STATS_BUCKETS; i++) {
        count += stat_get(&h->buckets[i]);
        buf_addf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, bounds[i].seconds, count);
    }
    count += stat_get(&h->buckets[STATS_BUCKETS]);
    buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    snprintf(line, sizeof(line), "%s_sum", name);
    add_seconds(out, line, stat_get(&h->sum_us));
    buf_addf(out, "%s_count %" PRIu64 "\n", name, count);
}

static uint64_t resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file != NULL) {
        if (fscanf(file, "%*u %" SCNu64, &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_fds(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");

    if (folder == NULL) {
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count - 1; /* the folder itself */
}

static uint64_t cpu_us(void)
{
    struct rusage use;

    if (getrusage(RUSAGE_SELF, &use) < 0) {
        return 0;
    }
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * SECOND_US +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* in no header of gcc */

static void add_allocated(struct buf *out, const char *prefix)
{
    char name[128];

    snprintf(name, sizeof(name), "%s_process_allocated_bytes", prefix);
    stats_head(out, name, "gauge", "Bytes that were allocated and not freed.");
    stats_line(out, name, "", __sanitizer_get_current_allocated_bytes());
}
#else
static void add_allocated(struct buf *out, const char *prefix)
{
    (void)out;
    (void)prefix;
}
#endif

void stats_process(struct buf *out, const char *prefix)
{
    char name[128];

    snprintf(name, sizeof(name), "%s_process_resident_memory_bytes", prefix);
    stats_head(out, name, "gauge", "Resident memory size in bytes.");
    stats_line(out, name, "", resident_bytes());

    snprintf(name, sizeof(name), "%s_process_open_fds", prefix);
    stats_head(out, name, "gauge", "Number of open file descriptors.");
    stats_line(out, name, "", open_fds());

    snprintf(name, sizeof(name), "%s_process_cpu_seconds_total", prefix);
    stats_head(out, name, "counter", "User and system CPU time spent in seconds.");
    add_seconds(out, name, cpu_us());

    add_allocated(out, prefix);
}
