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
#include "math/gemm_tiles.h"

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

static void blis_f32(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *ca, size_t lda, const float *cb, size_t ldb,
                     float beta, float *c, size_t ldc)
{
    float *a = (float *)(uintptr_t)ca, *b = (float *)(uintptr_t)cb; /* BLIS reads them only */
    GEMM_BODY(bli_sgemm_ex);
}

void ndi_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb, float beta,
              float *c, size_t ldc)
{
    gemm g = { ta, tb, m, n, k, lda, ldb, ldc, alpha, beta, a, b, c };
    if (ndi_suits_tiles(&g))
        ndi_gemm_tiles(NULL, &g);
    else
        blis_f32(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void ndi_gemm_f64(bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *ca, size_t lda, const double *cb, size_t ldb,
                  double beta, double *c, size_t ldc)
{
    double *a = (double *)(uintptr_t)ca, *b = (double *)(uintptr_t)cb;
    GEMM_BODY(bli_dgemm_ex);
}

/* C cut along its longer side into at most 16 panels of a multiple of 48, a common multiple of the heights and widths of BLIS's micro-tiles. */
typedef struct panels {
    bool ta, tb, by_row, is_f64;
    size_t m, n, k, lda, ldb, ldc, step;
    double alpha, beta;
    const char *a, *b;
    char *c;
} panels;

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
        blis_f32(p->ta, p->tb, m, n, p->k, (float)p->alpha, (const float *)a, p->lda, (const float *)b, p->ldb, (float)p->beta, (float *)c, p->ldc);
}

static void run_panels(pool *threads, panels p)
{
    size_t side = p.m >= p.n ? p.m : p.n;
    if (side == 0) return;
    p.by_row = p.m >= p.n;
    p.step = ((side + 15) / 16 + 47) / 48 * 48;
    ndi_pool_run(threads, (side + p.step - 1) / p.step, run_panel, &p);
}

#define PANELS(f64) \
    ((panels){ ta, tb, false, f64, m, n, k, lda, ldb, ldc, 0, (double)alpha, (double)beta, (const char *)a, (const char *)b, (char *)c })

void ndi_gemm_parallel(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b,
                       size_t ldb, float beta, float *c, size_t ldc)
{
    gemm g = { ta, tb, m, n, k, lda, ldb, ldc, alpha, beta, a, b, c };
    if (ndi_suits_tiles(&g))
        ndi_gemm_tiles(threads, &g);
    else
        run_panels(threads, PANELS(false));
}

void ndi_gemm_parallel_f64(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda, const double *b,
                           size_t ldb, double beta, double *c, size_t ldc)
{
    run_panels(threads, PANELS(true));
}
