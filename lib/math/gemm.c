/* Matrix products: in double on BLIS, with the choice of its kernels, in single precision on the tiles of gemm_tiles.c.
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

void ndi_gemm_f64(bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *ca, size_t lda, const double *cb, size_t ldb,
                  double beta, double *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    double *a = (double *)(uintptr_t)ca, *b = (double *)(uintptr_t)cb; /* BLIS reads them only */
    rntm_t r = one_thread();
    bli_dgemm_ex(transposed(ta), transposed(tb), (dim_t)m, (dim_t)n, (dim_t)k, &alpha, a, (inc_t)lda, 1, b, (inc_t)ldb, 1, &beta, c, (inc_t)ldc, 1,
                 NULL, &r);
}

/* C cut along its longer side into at most 16 panels of a multiple of 48, a common multiple of the heights and widths of BLIS's micro-tiles. */
typedef struct panels {
    bool ta, tb, by_row;
    size_t m, n, k, lda, ldb, ldc, step;
    double alpha, beta;
    const double *a, *b;
    double *c;
} panels;

static void run_panel(void *context, size_t task, size_t worker)
{
    (void)worker;
    const panels *p = context;
    size_t first = task * p->step, side = p->by_row ? p->m : p->n, size = side - first < p->step ? side - first : p->step;
    if (p->by_row)
        ndi_gemm_f64(p->ta, p->tb, size, p->n, p->k, p->alpha, p->a + first * (p->ta ? 1 : p->lda), p->lda, p->b, p->ldb, p->beta,
                     p->c + first * p->ldc, p->ldc);
    else
        ndi_gemm_f64(p->ta, p->tb, p->m, size, p->k, p->alpha, p->a, p->lda, p->b + first * (p->tb ? p->ldb : 1), p->ldb, p->beta, p->c + first,
                     p->ldc);
}

void ndi_gemm_parallel_f64(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda, const double *b,
                           size_t ldb, double beta, double *c, size_t ldc)
{
    size_t side = m >= n ? m : n;
    panels p = { ta, tb, m >= n, m, n, k, lda, ldb, ldc, ((side + 15) / 16 + 47) / 48 * 48, alpha, beta, a, b, c };
    if (side > 0) ndi_pool_run(threads, (side + p.step - 1) / p.step, run_panel, &p);
}

void ndi_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb, float beta,
              float *c, size_t ldc)
{
    ndi_gemm_tiles(NULL, &(gemm){ ta, tb, m, n, k, lda, ldb, ldc, alpha, beta, a, b, c });
}

void ndi_gemm_parallel(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b,
                       size_t ldb, float beta, float *c, size_t ldc)
{
    ndi_gemm_tiles(threads, &(gemm){ ta, tb, m, n, k, lda, ldb, ldc, alpha, beta, a, b, c });
}
