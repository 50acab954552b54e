#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static nd_log_fn log_fn;
static void *log_user;
static atomic_int log_level;

nd_status ndi_log_set(int32_t level, nd_log_fn fn, void *user)
{
    CHECK(level >= ND_LOG_WARNING && level <= ND_LOG_DEBUG, ND_ERR_ARGUMENT, "log level: got %d, expected 1 to 3", (int)level);
    log_fn = fn;
    log_user = user;
    atomic_store(&log_level, fn ? level : 0);
    return ND_OK;
}

void ndi_log(int32_t level, const char *format, ...)
{
    if (level > atomic_load(&log_level)) return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    log_fn(level, line, log_user);
}

double ndi_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ndi_progress_begin(progress *p, nd_progress_fn fn, void *user, const char *stage, const char *unit, uint64_t done, uint64_t total)
{
    memset(p, 0, sizeof *p);
    p->report.size = sizeof p->report;
    p->report.stage = stage;
    p->report.unit = unit;
    p->report.total = total;
    p->fn = fn;
    p->user = user;
    p->first = done;
    p->began = ndi_seconds();
    p->last = p->began - 1; /* the first unit is told at once */
}

nd_status ndi_progress_at(progress *p, uint64_t done)
{
    if (!p->fn) return ND_OK;
    double now = ndi_seconds();
    p->report.done = done;
    if (done != p->report.total && now - p->last < 0.1) return ND_OK;
    p->last = now;
    p->report.seconds = now - p->began;
    p->report.rate = p->report.seconds > 0 ? (double)(done - p->first) / p->report.seconds : 0;
    p->report.seconds_left = p->report.rate > 0 && p->report.total > done ? (double)(p->report.total - done) / p->report.rate : 0;
    return p->fn(&p->report, p->user) ? ndi_fail(ND_ERR_CANCELLED, "%s: cancelled by the caller", p->report.stage) : ND_OK;
}
