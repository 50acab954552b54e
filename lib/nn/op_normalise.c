/* The whole vector of a trial brought to length 1, minus its own mean before where centred: y = P x / max(||P x||, 1e-12). */
#include "math/vectors.h"
#include "nn/ops.h"

enum { CENTRED };

static void forward(const pass *p, const node *n)
{
    ndi_normalise_rows(p->w->threads, n->a[CENTRED] != 0, ndi_x(p, n, 0), p->B, ndi_shape_size(n->x), ndi_y(p, n), ndi_saved(p, n));
}

static void backward(const pass *p, const node *n)
{
    float *dx = ndi_dx(p, n, 0);
    if (dx) ndi_normalise_rows_back(p->w->threads, n->a[CENTRED] != 0, ndi_y(p, n), ndi_saved(p, n), ndi_dy(p, n), p->B, ndi_shape_size(n->x), dx);
}

static const op normalise = { "normalise", forward, backward };

int ndi_normalise(graph *g, int x, bool centred)
{
    node *n = ndi_node_add(g, &normalise, "normalise", x);
    if (!n) return -1;
    n->a[CENTRED] = centred;
    n->out = (shape){ ndi_shape_size(n->x), 1, 1 };
    n->saved_each = 1; /* the length */
    n->keeps_y = true;
    return ndi_node_done(g, n);
}
