/* Convolution along the samples of each row, of any kind (the formula stands in conv1d.h): the product of w with the windows of x. Several short lines are computed together, so that the
 * product with their windows, an M K x (lines P) matrix, pays for packing w. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/conv1d.h"

enum { COLUMNS = 256 }; /* aimed at, of the windows */

typedef conv1d_sizes sizes;

static size_t lines_at_a_time(size_t P) { return P < COLUMNS ? COLUMNS / P : 1; }
static size_t fewer(size_t a, size_t b) { return a < b ? a : b; }

/* The outputs [begin, end) whose k-th sample, number s p + k - l, exists. */
typedef struct span {
    size_t begin, end;
} span;

static span inside(const sizes *s, size_t k)
{
    size_t begin = s->left > k ? (s->left - k + s->stride - 1) / s->stride : 0;
    size_t end = s->left + s->T > k ? fewer((s->left + s->T - k - 1) / s->stride + 1, s->P) : 0;
    return (span){ fewer(begin, end), end };
}

static void read_window(const sizes *s, size_t k, const float *x, float *row)
{
    span in = inside(s, k);
    memset(row, 0, in.begin * sizeof *row);
    if (s->stride == 1 && in.begin < in.end)
        memcpy(row + in.begin, x + (in.begin + k - s->left), (in.end - in.begin) * sizeof *row);
    else
        for (size_t p = in.begin; p < in.end; p++) row[p] = x[s->stride * p + k - s->left];
    memset(row + in.end, 0, (s->P - in.end) * sizeof *row);
}

static void add_window(const sizes *s, size_t k, const float *row, float *x)
{
    span in = inside(s, k);
    if (s->stride == 1 && in.begin < in.end)
        ndi_vec->axpy(1, row + in.begin, x + (in.begin + k - s->left), in.end - in.begin);
    else
        for (size_t p = in.begin; p < in.end; p++) x[s->stride * p + k - s->left] += row[p];
}

/* windows[m K + k][line P + p] of a group. */
static void gather_windows(const sizes *s, const float *x, size_t first, size_t lines, size_t group, float *windows)
{
    for (size_t m = 0; m < s->M; m++)
        for (size_t k = 0; k < s->K; k++)
            for (size_t l = 0; l < lines; l++, windows += s->P) read_window(s, k, x + ndi_conv1d_input(s, first + l, group * s->M + m), windows);
}

static void scatter_windows(const sizes *s, const float *windows, size_t first, size_t lines, size_t group, float *dx)
{
    for (size_t m = 0; m < s->M; m++)
        for (size_t k = 0; k < s->K; k++)
            for (size_t l = 0; l < lines; l++, windows += s->P) add_window(s, k, windows, dx + ndi_conv1d_input(s, first + l, group * s->M + m));
}

/* out[f][line P + p] of a group. */
static void gather_outputs(const sizes *s, const float *y, size_t first, size_t lines, size_t group, float *out)
{
    for (size_t f = 0; f < s->F; f++)
        for (size_t l = 0; l < lines; l++, out += s->P) memcpy(out, y + ndi_conv1d_output(s, first + l, group * s->F + f), s->P * sizeof *out);
}

/* The same to its place, plus the bias unless NULL. */
static void scatter_outputs(const sizes *s, const float *out, size_t first, size_t lines, size_t group, const float *b, float *y)
{
    for (size_t f = group * s->F; f < (group + 1) * s->F; f++)
        for (size_t l = 0; l < lines; l++, out += s->P) ndi_vec->scale_shift(1, b ? b[f] : 0, out, y + ndi_conv1d_output(s, first + l, f), s->P);
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = ndi_conv1d_sizes(n);
    const float *w = ndi_conv1d_w(p, n), *b = ndi_conv1d_b(p, n);
    size_t each = lines_at_a_time(s.P), last = (first + count) * s.H;
    float *windows = ndi_scratch(p, worker), *out = windows + s.W * each * s.P;
    for (size_t line = first * s.H; line < last; line += each) {
        size_t lines = fewer(each, last - line), columns = lines * s.P;
        for (size_t j = 0; j < s.g; j++) {
            gather_windows(&s, ndi_x(p, n, 0), line, lines, j, windows);
            ndi_gemm(false, false, s.F, columns, s.W, 1, w + j * s.F * s.W, s.W, windows, columns, 0, out, columns);
            scatter_outputs(&s, out, line, lines, j, b, ndi_y(p, n));
        }
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = ndi_conv1d_sizes(n);
    size_t each = lines_at_a_time(s.P), last = (first + count) * s.H, weights = s.g * s.F * s.W, trial = ndi_shape_size(n->x);
    float *windows = ndi_scratch(p, worker), *dy = windows + s.W * each * s.P, *dw = ndi_partial(p, chunk), *db = dw + weights, *dx = ndi_dx(p, n, 0);
    memset(dw, 0, n->partial * sizeof *dw);
    if (dx) memset(dx + first * trial, 0, count * trial * sizeof *dx);
    for (size_t line = first * s.H; line < last; line += each) {
        size_t lines = fewer(each, last - line), columns = lines * s.P;
        for (size_t j = 0; j < s.g; j++) {
            gather_windows(&s, ndi_x(p, n, 0), line, lines, j, windows);
            gather_outputs(&s, ndi_dy(p, n), line, lines, j, dy);
            for (size_t f = 0; f < s.F; f++) db[j * s.F + f] += ndi_vec->sum(dy + f * columns, columns);
            ndi_gemm(false, true, s.F, s.W, columns, 1, dy, columns, windows, columns, 1, dw + j * s.F * s.W, s.W);
            if (!dx) continue;
            ndi_gemm(true, false, s.W, columns, s.F, 1, ndi_conv1d_w(p, n) + j * s.F * s.W, s.W, dy, columns, 0, windows, columns);
            scatter_windows(&s, windows, line, lines, j, dx);
        }
    }
}

static void backward(const pass *p, const node *n)
{
    sizes s = ndi_conv1d_sizes(n);
    size_t weights = s.g * s.F * s.W;
    ndi_for_chunks(p, n, backward_chunk);
    ndi_add_partials(p, 0, weights, ndi_conv1d_dw(p, n));
    if (ndi_conv1d_db(p, n)) ndi_add_partials(p, weights, s.g * s.F, ndi_conv1d_db(p, n));
}

static bool serves_all(const node *n)
{
    (void)n;
    return true;
}

static void plan(node *n)
{
    sizes s = ndi_conv1d_sizes(n);
    n->multiply_adds = (uint64_t)s.g * s.F * s.W * s.H * s.P;
    n->scratch = (s.W + s.F) * lines_at_a_time(s.P) * s.P; /* windows; outputs */
    n->partial = s.g * s.F * (s.W + 1);
}

const conv1d_kind ndi_conv1d_windows = { { "conv1d", forward, backward }, serves_all, plan };

const conv1d_kind *ndi_conv1d_kind(const node *n)
{
    static const conv1d_kind *const kinds[] = { &ndi_conv1d_depthwise, &ndi_conv1d_spectral };
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i]->serves(n)) return kinds[i];
    return &ndi_conv1d_windows;
}

static void add_tensors(graph *g, node *n, const conv1d *c, size_t M)
{
    float bound = 1.0f / sqrtf((float)(M * c->kernel));
    if (c->rows_are_maps)
        ndi_tensor_add(g, n, "weight", true, 0, bound, 3, (size_t[]){ c->maps, M, c->kernel });
    else
        ndi_tensor_add(g, n, "weight", true, 0, bound, 4, (size_t[]){ c->maps, M, 1, c->kernel });
    if (!c->no_bias) ndi_tensor_add(g, n, "bias", true, 0, bound, 1, &c->maps);
}

int ndi_conv1d(graph *g, int x, const char *name, conv1d c)
{
    node *n = ndi_node_add(g, &ndi_conv1d_windows.op, name, x);
    if (!n) return -1;
    if (c.groups == 0) c.groups = 1;
    if (c.stride == 0) c.stride = 1;
    size_t maps = n->x.maps * (c.rows_are_maps ? n->x.rows : 1), H = c.rows_are_maps ? 1 : n->x.rows, T = c.left + n->x.samples + c.right;
    if (maps % c.groups || c.maps % c.groups)
        return ndi_graph_fail(g, n, "%zu groups do not divide %zu maps and %zu filters", c.groups, maps, c.maps);
    if (T < c.kernel) return ndi_graph_fail(g, n, "kernel of %zu samples is longer than the input, with zeros %zu", c.kernel, T);
    n->out = (shape){ c.maps, H, (T - c.kernel) / c.stride + 1 };
    n->a[CONV1D_KERNEL] = c.kernel;
    n->a[CONV1D_STRIDE] = c.stride;
    n->a[CONV1D_LEFT] = c.left;
    n->a[CONV1D_GROUPS] = c.groups;
    if (c.samples && c.samples != n->out.samples)
        return ndi_graph_fail(g, n, "a stride of %zu gives %zu x %zu x %zu, asked for are %zu samples", c.stride, c.maps, H, n->out.samples,
                              c.samples);
    n->op = &ndi_conv1d_kind(n)->op;
    ndi_conv1d_kind(n)->plan(n);
    add_tensors(g, n, &c, maps / c.groups);
    return ndi_node_done(g, n);
}
