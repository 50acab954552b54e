/* Graph attention (Velickovic et al. 2018), one head, over the complete graph of the H rows of a single map, each row its own neighbour too:
 *   X (H x T) -> Z = X W' (H x T), W (T, T);   e[i][j] = LeakyReLU(a_dst . Z[i] + a_src . Z[j]), slope 0.2;   A = softmax over j of e;   Y = A Z + b.
 * Down: dA = dY Z', de = A (dA - sum_j dA A), du = de LeakyReLU'; with dl[i] = sum_j du[i][j] and dr[j] = sum_i du[i][j]
 *   dZ = A' dY + dl a_dst + dr a_src,   da_dst = sum_i dl[i] Z[i],   da_src = sum_j dr[j] Z[j],   dW = dZ' X,   dX = dZ W. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { SOURCE, TARGET, BIAS, WEIGHT };
static const float slope = 0.2f;

/* What forward keeps of a trial, and room for dZ; Z and dZ of all trials stand together, so that W meets them in one product. */
typedef struct kept {
    float *z, *dz, *a, *l, *r;
} kept;

static kept kept_of(const pass *p, const node *n, size_t trial)
{
    size_t H = n->x.rows, HT = H * n->x.samples;
    float *z = ndi_saved(p, n), *dz = z + p->B * HT, *a = dz + p->B * HT + trial * (H * H + 2 * H);
    return (kept){ z + trial * HT, dz + trial * HT, a, a + H * H, a + H * H + H };
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t H = n->x.rows, T = n->x.samples;
    const float *source = ndi_w(p, n, SOURCE), *target = ndi_w(p, n, TARGET), *b = ndi_w(p, n, BIAS);
    for (size_t i = first; i < first + count; i++) {
        kept k = kept_of(p, n, i);
        float *y = ndi_y(p, n) + i * H * T;
        for (size_t h = 0; h < H; h++) {
            k.l[h] = ndi_vec->dot(target, k.z + h * T, T);
            k.r[h] = ndi_vec->dot(source, k.z + h * T, T);
            memcpy(y + h * T, b, T * sizeof *y);
        }
        for (size_t h = 0; h < H; h++) {
            float *e = k.a + h * H;
            for (size_t j = 0; j < H; j++) {
                float u = k.l[h] + k.r[j];
                e[j] = u > 0 ? u : slope * u;
            }
            ndi_softmax(e, H);
        }
        ndi_gemm(false, false, H, T, H, 1, k.a, H, k.z, T, 1, y, T);
    }
}

static void forward(const pass *p, const node *n)
{
    size_t T = n->x.samples;
    ndi_gemm_parallel(p->w->threads, false, true, p->B * n->x.rows, T, T, 1, ndi_x(p, n, 0), T, ndi_w(p, n, WEIGHT), T, 0, kept_of(p, n, 0).z, T);
    ndi_for_chunks(p, n, forward_chunk);
}

/* du (H x H) of a trial from dA in the same place; its sums along rows and columns. */
static void score_gradients(const kept *k, size_t H, float *du, float *dl, float *dr)
{
    memset(dl, 0, 2 * H * sizeof *dl);
    for (size_t i = 0; i < H; i++) {
        const float *a = k->a + i * H;
        float *row = du + i * H, mean = ndi_vec->dot(a, row, H);
        for (size_t j = 0; j < H; j++) {
            row[j] = a[j] * (row[j] - mean) * (k->l[i] + k->r[j] > 0 ? 1 : slope);
            dl[i] += row[j];
            dr[j] += row[j];
        }
    }
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    size_t H = n->x.rows, T = n->x.samples;
    const float *source = ndi_w(p, n, SOURCE), *target = ndi_w(p, n, TARGET);
    float *dsource = ndi_partial(p, chunk), *dtarget = dsource + T, *db = dtarget + T, *du = ndi_scratch(p, worker), *dl = du + H * H, *dr = dl + H;
    memset(dsource, 0, n->partial * sizeof *dsource);
    for (size_t i = first; i < first + count; i++) {
        kept k = kept_of(p, n, i);
        const float *dy = ndi_dy(p, n) + i * H * T;
        ndi_gemm(false, true, H, H, T, 1, dy, T, k.z, T, 0, du, H);
        score_gradients(&k, H, du, dl, dr);
        ndi_gemm(true, false, H, T, H, 1, k.a, H, dy, T, 0, k.dz, T);
        for (size_t h = 0; h < H; h++) {
            ndi_vec->axpy(dl[h], target, k.dz + h * T, T);
            ndi_vec->axpy(dr[h], source, k.dz + h * T, T);
            ndi_vec->axpy(dl[h], k.z + h * T, dtarget, T);
            ndi_vec->axpy(dr[h], k.z + h * T, dsource, T);
            ndi_vec->axpy(1, dy + h * T, db, T);
        }
    }
}

static void backward(const pass *p, const node *n)
{
    size_t T = n->x.samples, rows = p->B * n->x.rows;
    float *dz = kept_of(p, n, 0).dz, *dx = ndi_dx(p, n, 0);
    ndi_for_chunks(p, n, backward_chunk);
    for (size_t k = 0; k < 3; k++) ndi_add_partials(p, k * T, T, ndi_dw(p, n, (int)k));
    ndi_gemm_parallel(p->w->threads, true, false, T, T, rows, 1, dz, T, ndi_x(p, n, 0), T, 1, ndi_dw(p, n, WEIGHT), T);
    if (dx) ndi_gemm_parallel(p->w->threads, false, false, rows, T, T, 1, dz, T, ndi_w(p, n, WEIGHT), T, 0, dx, T);
}

static const op graph_attention = { "graph_attention", forward, backward };

int ndi_graph_attention(graph *g, int x, const char *name)
{
    node *n = ndi_node_add(g, &graph_attention, name, x);
    if (!n) return -1;
    size_t H = n->x.rows, T = n->x.samples;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    n->multiply_adds = (uint64_t)H * T * (T + H + 2);
    n->saved_each = 2 * H * T + H * H + 2 * H;
    n->scratch = H * H + 2 * H;
    n->partial = 3 * T;
    float glorot = sqrtf(6.0f / (float)(1 + T)), bound = 1.0f / sqrtf((float)T);
    ndi_tensor_add(g, n, "att_src", true, 0, glorot, 3, (size_t[]){ 1, 1, T });
    ndi_tensor_add(g, n, "att_dst", true, 0, glorot, 3, (size_t[]){ 1, 1, T });
    ndi_tensor_add(g, n, "bias", true, 0, 0, 1, &T);
    ndi_tensor_add(g, n, "lin.weight", true, 0, bound, 2, (size_t[]){ T, T });
    return ndi_node_done(g, n);
}
