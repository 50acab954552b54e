/* A parameter that the reference's files have and nothing reads, so that those files load here and ours load there: y = x. It starts from N(mean, sd^2) and is never trained. */
#include <string.h>

#include "base/text.h"
#include "nn/ops.h"

static void forward(const pass *p, const node *n)
{
    if (ndi_y(p, n) != ndi_x(p, n, 0)) memcpy(ndi_y(p, n), ndi_x(p, n, 0), p->B * ndi_shape_size(n->out) * sizeof(float));
}

static void backward(const pass *p, const node *n)
{
    float *dx = ndi_dx(p, n, 0);
    if (dx && dx != ndi_dy(p, n)) memcpy(dx, ndi_dy(p, n), p->B * ndi_shape_size(n->out) * sizeof(float));
}

static const op unused = { "unused", forward, backward };

int ndi_unused(graph *g, int x, const char *name, size_t n_dims, const size_t *dims, float mean, float sd)
{
    const char *dot = strrchr(name, '.');
    char layer[sizeof(((node *)0)->name)] = "";
    if (dot) ndi_format(layer, sizeof layer, "%.*s", (int)(dot - name), name);
    node *n = ndi_node_add(g, &unused, layer, x);
    if (!n) return -1;
    n->in_place = true;
    ndi_tensor_add(g, n, dot ? dot + 1 : name, false, mean, 0, n_dims, dims);
    ndi_tensor_normal(g, mean, sd);
    if (g->status != ND_OK) return -1;
    tensor *t = &g->tensors[g->n_tensors - 1];
    t->counter = false;
    t->unused = true;
    g->n_unused += t->n;
    return ndi_node_done(g, n);
}
