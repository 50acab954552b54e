/* Matrix products on BLIS, and the choice of its kernels.
 *
 * BLIS takes its kernels once, at its first use. Releases before a CPU existed know it not and fall back to plain C, five times slower. So at load, before that first use, an AMD or ARM
 * CPU that such a release may not know is given the fastest configuration it can run, through the variable BLIS itself reads; the variable is taken away again, and one set by the user is
 * left alone. Its value is a number that changes between releases: it is taken from the header compiled against and its name is checked with the library that runs. */
#include "math/gemm.h"

#include <blis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/status.h"
#include "math/tile.h"

typedef struct choice {
    int id;
    const char *name;
} choice;

#if defined(__x86_64__)
static unsigned amd_family(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != 0x68747541u /* "Auth"enticAMD */) return 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    unsigned family = a >> 8 & 15;
    return family == 15 ? family + (a >> 20 & 255) : family;
}

static choice best_configuration(void)
{
    choice best = { -1, "" };
    unsigned family = amd_family();
    __builtin_cpu_init();
#if defined(BLIS_CONFIG_ZEN3)
    if (family >= 0x19 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = (choice){ BLIS_ARCH_ZEN3, "zen3" };
#endif
#if defined(BLIS_CONFIG_SKX)
    if (family >= 0x19 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        best = (choice){ BLIS_ARCH_SKX, "skx" };
#endif
    (void)family;
    return best;
}
#elif defined(__aarch64__) && defined(BLIS_CONFIG_CORTEXA57)
static choice best_configuration(void) { return (choice){ BLIS_ARCH_CORTEXA57, "cortexa57" }; }
#else
static choice best_configuration(void) { return (choice){ -1, "" }; }
#endif

__attribute__((constructor)) static void choose_kernels(void)
{
    static const char variable[] = "BLIS_ARCH_TYPE";
    choice best = best_configuration();
    bool ours = best.id >= 0 && !getenv(variable) && strcmp(bli_arch_string((arch_t)best.id), best.name) == 0;
    if (ours) {
        char number[16];
        snprintf(number, sizeof number, "%d", best.id);
        ours = setenv(variable, number, 1) == 0;
    }
    bli_init();
    bli_arch_query_id();
    if (ours) unsetenv(variable);
}

const char *ndi_blis_version(void) { return bli_info_get_version_str(); }
const char *ndi_blis_kernels(void) { return bli_arch_string(bli_arch_query_id()); }

/* C cut along its longer side into at most 16 panels of a multiple of 48, a common multiple of the heights and widths of BLIS's micro-tiles. */
typedef struct panels {
    bool ta, tb, by_row, is_f64;
    size_t m, n, k, lda, ldb, ldc, step;
    double alpha, beta;
    const char *a, *b;
    char *c;
} panels;

/* ---- without BLIS ----
 *
 * BLIS copies both matrices first, which few rows or a short inner side do not repay: the tiles of tile.h read them where they are, in blocks of fixed size. */

enum { MAX_INNER = 2048, FEW = 256, BLOCK_ROWS = 96, BLOCK_COLUMNS = 64 };

static bool suits_tiles(const panels *p)
{
    if (p->is_f64 || p->alpha != 1 || (p->beta != 0 && p->beta != 1) || p->k == 0 || p->k > MAX_INNER || (p->m > FEW && p->k > FEW)) return false;
    return p->tb ? !p->ta && p->k % NDI_TILE_RUN == 0 : p->n % NDI_TILE_COLUMNS == 0 || p->k <= FEW;
}

/* Columns too few for a tile, in copies with zeros behind. */
static void run_narrow(const product *p)
{
    float b[FEW * NDI_TILE_COLUMNS] = { 0 }, c[BLOCK_ROWS * NDI_TILE_COLUMNS] = { 0 };
    for (size_t l = 0; l < p->k; l++) memcpy(b + l * NDI_TILE_COLUMNS, p->b + l * p->b_row, p->n * sizeof *b);
    for (size_t i = 0; i < p->m && p->add; i++) memcpy(c + i * NDI_TILE_COLUMNS, p->c + i * p->c_row, p->n * sizeof *c);
    product wide = *p;
    wide.n = wide.b_row = wide.c_row = NDI_TILE_COLUMNS;
    wide.b = b;
    wide.c = c;
    ndi_tile->product(&wide);
    for (size_t i = 0; i < p->m; i++) memcpy(p->c + i * p->c_row, c + i * NDI_TILE_COLUMNS, p->n * sizeof *c);
}

static void run_product(product p)
{
    size_t rest = p.n % NDI_TILE_COLUMNS;
    p.n -= rest;
    if (p.n) ndi_tile->product(&p);
    if (rest == 0) return;
    p.b += p.n;
    p.c += p.n;
    p.n = rest;
    run_narrow(&p);
}

static size_t blocks_across(const panels *p) { return (p->n + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS; }
static size_t blocks(const panels *p) { return (p->m + BLOCK_ROWS - 1) / BLOCK_ROWS * blocks_across(p); }

static void run_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const panels *p = context;
    size_t i = task / blocks_across(p) * BLOCK_ROWS, j = task % blocks_across(p) * BLOCK_COLUMNS;
    size_t m = p->m - i < BLOCK_ROWS ? p->m - i : BLOCK_ROWS, n = p->n - j < BLOCK_COLUMNS ? p->n - j : BLOCK_COLUMNS;
    const float *a = (const float *)(const void *)p->a + i * (p->ta ? 1 : p->lda), *b = (const float *)(const void *)p->b + j * (p->tb ? p->ldb : 1);
    float *c = (float *)(void *)p->c + i * p->ldc + j;
    if (p->tb) {
        for (size_t r = 0; r < m && p->beta == 0; r++) memset(c + r * p->ldc, 0, n * sizeof *c);
        dots d = { .m = m, .n = n, .steps = 1, .run = p->k, .x = a, .x_row = p->lda, .y = b, .y_row = p->ldb, .c_row = p->ldc };
        ndi_tile->dots(&d, c);
    } else {
        run_product((product){ .m = m,
                               .n = n,
                               .k = p->k,
                               .a = a,
                               .a_row = p->ta ? 1 : p->lda,
                               .a_step = p->ta ? p->lda : 1,
                               .b = b,
                               .b_row = p->ldb,
                               .c = c,
                               .c_row = p->ldc,
                               .add = p->beta == 1,
                               .times = 1 });
    }
}

static panels floats(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb, float beta,
                     float *c, size_t ldc)
{
    return (panels){ .ta = ta,
                     .tb = tb,
                     .m = m,
                     .n = n,
                     .k = k,
                     .lda = lda,
                     .ldb = ldb,
                     .ldc = ldc,
                     .alpha = (double)alpha,
                     .beta = (double)beta,
                     .a = (const char *)a,
                     .b = (const char *)b,
                     .c = (char *)c };
}

/* ---- with BLIS ---- */

static rntm_t one_thread(void)
{
    rntm_t r;
    bli_rntm_init(&r);
    bli_rntm_set_num_threads(1, &r);
    return r;
}

static trans_t transposed(bool t) { return t ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE; }

#define GEMM_BODY(call) \
    if (m == 0 || n == 0) return; \
    rntm_t r = one_thread(); \
    call(transposed(ta), transposed(tb), (dim_t)m, (dim_t)n, (dim_t)k, &alpha, a, (inc_t)lda, 1, b, (inc_t)ldb, 1, &beta, c, (inc_t)ldc, 1, NULL, &r)

void ndi_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *ca, size_t lda, const float *cb, size_t ldb, float beta,
              float *c, size_t ldc)
{
    float *a = (float *)(uintptr_t)ca, *b = (float *)(uintptr_t)cb; /* BLIS reads them only */
    panels p = floats(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (suits_tiles(&p)) {
        for (size_t i = 0; i < blocks(&p); i++) run_block(&p, i, 0);
        return;
    }
    GEMM_BODY(bli_sgemm_ex);
}

void ndi_gemm_f64(bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *ca, size_t lda, const double *cb, size_t ldb,
                  double beta, double *c, size_t ldc)
{
    double *a = (double *)(uintptr_t)ca, *b = (double *)(uintptr_t)cb;
    GEMM_BODY(bli_dgemm_ex);
}

static void run_panel(void *context, size_t task, size_t worker)
{
    (void)worker;
    const panels *p = context;
    size_t element = p->is_f64 ? sizeof(double) : sizeof(float), first = task * p->step;
    size_t m = p->m, n = p->n;
    const char *a = p->a, *b = p->b;
    char *c = p->c;
    if (p->by_row) {
        m = m - first < p->step ? m - first : p->step;
        a += element * first * (p->ta ? 1 : p->lda);
        c += element * first * p->ldc;
    } else {
        n = n - first < p->step ? n - first : p->step;
        b += element * first * (p->tb ? p->ldb : 1);
        c += element * first;
    }
    if (p->is_f64)
        ndi_gemm_f64(p->ta, p->tb, m, n, p->k, p->alpha, (const double *)a, p->lda, (const double *)b, p->ldb, p->beta, (double *)c, p->ldc);
    else
        ndi_gemm(p->ta, p->tb, m, n, p->k, (float)p->alpha, (const float *)a, p->lda, (const float *)b, p->ldb, (float)p->beta, (float *)c, p->ldc);
}

static void run_panels(pool *threads, panels p)
{
    size_t side = p.m >= p.n ? p.m : p.n;
    if (side == 0) return;
    if (suits_tiles(&p)) {
        ndi_pool_run(threads, blocks(&p), run_block, &p);
        return;
    }
    p.by_row = p.m >= p.n;
    p.step = ((side + 15) / 16 + 47) / 48 * 48;
    ndi_pool_run(threads, (side + p.step - 1) / p.step, run_panel, &p);
}

void ndi_gemm_parallel(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b,
                       size_t ldb, float beta, float *c, size_t ldc)
{
    run_panels(threads, floats(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc));
}

void ndi_gemm_parallel_f64(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda, const double *b,
                           size_t ldb, double beta, double *c, size_t ldc)
{
    run_panels(threads, (panels){ .ta = ta,
                                  .tb = tb,
                                  .is_f64 = true,
                                  .m = m,
                                  .n = n,
                                  .k = k,
                                  .lda = lda,
                                  .ldb = ldb,
                                  .ldc = ldc,
                                  .alpha = alpha,
                                  .beta = beta,
                                  .a = (const char *)a,
                                  .b = (const char *)b,
                                  .c = (char *)c });
}
