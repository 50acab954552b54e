/* The kernels of the fused front end of NICE at its sizes, one thread. One CSV line each: kernel, microseconds, GFLOP/s, per cent of the machine's peak. */
#include <stdio.h>

#include "bench.h"
#include "math/gemm.h"

enum { P = 36, K = 25, F = 5, C = 64, D = 40, WIDTH = F * C, FEATURES = 1440, DIM = 512, BATCH = 128 };

static double top;

static void line(const char *kernel, double seconds, double work)
{
    printf("%s,%.2f,%.1f,%.0f\n", kernel, 1e6 * seconds, work / seconds, 100 * work / seconds / top);
}

static void bench_product(const char *kernel, product p) { line(kernel, product_time(&p), product_work(&p)); }

static void bench_dots(const char *kernel, dots d, void *c, int is_f64)
{
    double best = 1e9;
    for (int i = 0; i < 200; i++) {
        double start = now();
        if (is_f64)
            ndi_tile->dots_f64(&d, c);
        else
            ndi_tile->dots(&d, c);
        if (now() - start < best) best = now() - start;
    }
    line(kernel, best, 2e-9 * (double)(d.m * d.n * d.steps * d.run));
}

static void bench_elu(float *x)
{
    double best = 1e9;
    for (int i = 0; i < 500; i++) {
        double start = now();
        ndi_tile->elu(x, P * WIDTH);
        if (now() - start < best) best = now() - start;
    }
    printf("ELU of a slab,%.2f,,\n", 1e6 * best);
}

static void bench_blis(const float *a, const float *b, float *c)
{
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        double start = now();
        ndi_gemm(false, true, BATCH, DIM, FEATURES, 1, a, FEATURES, b, FEATURES, 0, c, DIM);
        if (now() - start < best) best = now() - start;
    }
    line("head by BLIS", best, 2e-9 * BATCH * DIM * FEATURES);
}

int main(void)
{
    float *r = noise(1 << 20), *h = noise(1 << 20), *w = noise(1 << 20), *c = noise(1 << 20);
    top = peak();
    printf("kernel,us,gflop_per_s,percent_of_peak\npeak,,%.1f,100\n", top);
    bench_product("temporal convolution", (product){ .m = F,
                                                     .n = C,
                                                     .k = K,
                                                     .a = w,
                                                     .a_row = K,
                                                     .a_step = 1,
                                                     .b = r,
                                                     .b_row = C,
                                                     .c = h,
                                                     .c_row = C,
                                                     .times = P,
                                                     .b_next = 5 * C,
                                                     .c_next = WIDTH });
    bench_elu(h);
    bench_product("spatial convolution", (product){ .m = P,
                                                    .n = D,
                                                    .k = C,
                                                    .a = h,
                                                    .a_row = WIDTH,
                                                    .a_step = 1,
                                                    .b = w,
                                                    .b_row = D,
                                                    .c = c,
                                                    .c_row = D,
                                                    .add = true,
                                                    .times = F,
                                                    .a_next = C,
                                                    .b_next = C * D });
    bench_product(
        "gradient of the maps",
        (product){ .m = P, .n = WIDTH, .k = D, .a = r, .a_row = D, .a_step = 1, .b = w, .b_row = WIDTH, .c = c, .c_row = WIDTH, .times = 1 });
    bench_product(
        "spatial gradient",
        (product){
            .m = D, .n = WIDTH, .k = P, .a = r, .a_row = 1, .a_step = D, .b = h, .b_row = WIDTH, .c = c, .c_row = WIDTH, .add = true, .times = 1 });
    dots windows = { .m = F, .n = K, .steps = P, .run = C, .x = h, .x_row = C, .x_step = WIDTH, .y = r, .y_row = C, .y_step = 5 * C, .c_row = K };
    bench_dots("filter gradient", windows, c, 0);
    windows.x = r;
    bench_dots("window products in double", windows, c, 1);
    bench_dots("head of 128",
               (dots){ .m = BATCH, .n = DIM, .steps = 1, .run = FEATURES, .x = r, .x_row = FEATURES, .y = w, .y_row = FEATURES, .c_row = DIM }, c, 0);
    bench_dots("head of one",
               (dots){ .m = 1, .n = DIM, .steps = 1, .run = FEATURES, .x = r, .x_row = FEATURES, .y = w, .y_row = FEATURES, .c_row = DIM }, c, 0);
    bench_blis(r, w, c);
    free(r);
    free(h);
    free(w);
    free(c);
    return 0;
}
