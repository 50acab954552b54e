/* What the benchmarks share. */
#ifndef ND_BENCH_H
#define ND_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "math/tile.h"
#include "math/vec.h"
#include "neurodecode.h"

#define OK(call) \
    do { \
        if ((call) != ND_OK) { \
            fprintf(stderr, "%s: %s\n", #call, nd_last_error()); \
            exit(1); \
        } \
    } while (0)

/* A name for mkstemp() or mkdtemp(). */
static inline void temporary(char *path, size_t room)
{
    const char *place = getenv("TMPDIR");
    snprintf(path, room, "%s/nd-bench-XXXXXX", place ? place : P_tmpdir);
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline float *noise(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64);
    unsigned r = 1;
    for (size_t i = 0; x && i < n; i++) {
        r ^= r << 13;
        r ^= r >> 17;
        r ^= r << 5;
        x[i] = (float)(r >> 8) * 0x1p-23f - 1;
    }
    if (!x) exit(1);
    return x;
}

/* Least seconds of a call, of at least three and as many as fit into `budget` seconds. */
static inline double least_time(void (*call)(void *), void *context, double budget)
{
    double best = 1e9, begin = now();
    for (int i = 0; i < 3 || now() - begin < budget; i++) {
        double start = now();
        call(context);
        if (now() - start < best) best = now() - start;
    }
    return best;
}

/* Seconds of a product, the best of many. */
static inline double product_time(const product *p)
{
    double best = 1e9;
    for (int i = 0; i < 200; i++) {
        double start = now();
        for (int k = 0; k < 20; k++) ndi_tile->product(p);
        double each = (now() - start) / 20;
        if (each < best) best = each;
    }
    return best;
}

static inline double product_work(const product *p) { return 2e-9 * (double)(p->m * p->n * p->k * p->times); }

/* What one thread of this machine can do at most, in GFLOP/s: a product whose matrices lie in the first cache, with the largest tile. */
static inline double peak(void)
{
    float *x = noise(16384);
    product p = { .m = 30, .n = 64, .k = 64, .a = x, .a_row = 64, .a_step = 1, .b = x + 4096, .b_row = 64, .c = x + 8192, .c_row = 64, .times = 1 };
    double found = product_work(&p) / product_time(&p);
    free(x);
    return found;
}

typedef struct updated {
    float *x, *y;
    size_t n;
} updated;

static inline void run_update(void *context)
{
    const updated *u = context;
    ndi_vec->axpy(3, u->x, u->y, u->n);
}

/* What one thread can move between itself and memory at most, in GB/s: y += 3 x of vectors far larger than the caches, in which no line is fetched that does not count. */
static inline double bandwidth(void)
{
    updated u = { .n = (size_t)32 << 20 };
    u.x = ndi_alloc(u.n, sizeof *u.x);
    u.y = ndi_alloc(u.n, sizeof *u.y);
    if (!u.x || !u.y) exit(1);
    for (size_t i = 0; i < u.n; i++) u.x[i] = u.y[i] = 1;
    double found = 12e-9 * (double)u.n / least_time(run_update, &u, 0.2);
    ndi_free(u.x);
    ndi_free(u.y);
    return found;
}

/* The machine, and lines that compare with it: one case each. Work is 0 where there is none worth telling. */
typedef struct machine {
    double gflops, gbytes;
} machine;

static inline machine begin_table(void)
{
    machine m = { peak(), bandwidth() };
    printf("case,us,gflop_per_s,percent_of_peak,gb_per_s,percent_of_bandwidth\npeak,,%.1f,100,,\nbandwidth,,,,%.1f,100\n", m.gflops, m.gbytes);
    return m;
}

static inline void print_case(const machine *m, const char *name, double seconds, double gflop, double gbytes)
{
    printf("%s,%.2f", name, 1e6 * seconds);
    if (gflop > 0)
        printf(",%.1f,%.0f", gflop / seconds, 100 * gflop / seconds / m->gflops);
    else
        printf(",,");
    if (gbytes > 0)
        printf(",%.2f,%.0f\n", gbytes / seconds, 100 * gbytes / seconds / m->gbytes);
    else
        printf(",,\n");
    fflush(stdout);
}

#endif
