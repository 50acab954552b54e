/* What the benchmarks share. */
#ifndef ND_BENCH_H
#define ND_BENCH_H

#include <stdlib.h>
#include <time.h>

#include "math/tile.h"

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
        r = r * 1664525u + 1013904223u;
        x[i] = (float)(r >> 8) * 0x1p-23f - 1;
    }
    if (!x) exit(1);
    return x;
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

#endif
