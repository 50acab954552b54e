/* Rows and samples of each map change places: x (M x H x T) -> y (M x T x H), y[m][t][h] = x[m][h][t]. */
#include "nn/ops.h"

/* to[c][r] = from[r][c] */
static void transpose(const float *from, float *to, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) to[c * rows + r] = from[r * cols + c];
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t M = n->x.maps, H = n->x.rows, T = n->x.samples;
    for (size_t i = first * M; i < (first + count) * M; i++) transpose(ndi_x(p, n, 0) + i * H * T, ndi_y(p, n) + i * H * T, H, T);
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t M = n->x.maps, H = n->x.rows, T = n->x.samples;
    for (size_t i = first * M; i < (first + count) * M; i++) transpose(ndi_dy(p, n) + i * H * T, ndi_dx(p, n, 0) + i * H * T, T, H);
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, backward_chunk);
}

static const op transpose_op = { "transpose", forward, backward };

int ndi_transpose(graph *g, int x)
{
    node *n = ndi_node_add(g, &transpose_op, "transpose", x);
    if (!n) return -1;
    n->out = (shape){ n->x.maps, n->x.samples, n->x.rows };
    return ndi_node_done(g, n);
}
