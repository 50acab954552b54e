/* The table of losses, their handles and memory. */
#include "loss/loss.h"

#include <math.h>
#include <string.h>

#include "math/vec.h"

extern const loss_kind ndi_loss_infonce;

const loss_kind *const ndi_loss_kinds[] = { &ndi_loss_infonce, NULL };

static const loss_kind *find_kind(const char *name)
{
    if (!name) return ndi_loss_kinds[0];
    for (const loss_kind *const *k = ndi_loss_kinds; *k; k++)
        if (strcmp((*k)->name, name) == 0) return *k;
    return NULL;
}

nd_status ndi_loss_create(nd_loss **out, const char *kind, const nd_loss_options *o)
{
    const loss_kind *row = find_kind(kind);
    CHECK(row, ND_ERR_ARGUMENT, "loss: got '%s', expected infonce", kind);
    CHECK(o->temperature >= 1e-6 && o->temperature <= 1e6, ND_ERR_ARGUMENT, "loss: temperature: got %g, expected 1e-6 to 1e6", o->temperature);
    CHECK(o->vectors == ND_VECTOR_L2 || o->vectors == ND_VECTOR_CENTRED_L2, ND_ERR_ARGUMENT, "loss: vectors: got %d, expected 0 or 1", (int)o->vectors);
    nd_loss *loss;
    TRY(NEW(loss, 1));
    atomic_init(&loss->references, 1);
    loss->kind = row;
    loss->options = *o;
    loss->log_scale = -log(o->temperature);
    *out = loss;
    return ND_OK;
}

nd_loss *ndi_loss_ref(nd_loss *loss)
{
    atomic_fetch_add(&loss->references, 1);
    return loss;
}

void ndi_loss_free(nd_loss *loss)
{
    if (loss && atomic_fetch_sub(&loss->references, 1) == 1) ndi_free(loss);
}

nd_status ndi_loss_space_create(loss_space **out, size_t n, size_t dim, pool *threads)
{
    loss_space *s;
    nd_status status = NEW(s, 1);
    if (status != ND_OK) return status;
    size_t values, pairs;
    s->n = n;
    s->dim = dim;
    s->threads = threads;
    if (!ndi_mul(n, dim, &values) || !ndi_mul(n, n, &pairs)) {
        status = ndi_fail(ND_ERR_MEMORY, "loss: %zu x %zu vectors", n, dim);
        goto done;
    }
    GO(NEW(s->a, values));
    GO(NEW(s->b, values));
    GO(NEW(s->da, values));
    GO(NEW(s->a_norm, n));
    GO(NEW(s->b_norm, n));
    GO(NEW(s->rows, pairs));
    GO(NEW(s->cols, pairs));
    GO(NEW(s->lse, 2 * n));
    GO(NEW(s->dots, n));
    *out = s;
    return ND_OK;
done:
    ndi_loss_space_free(s);
    return status;
}

void ndi_loss_space_free(loss_space *s)
{
    if (!s) return;
    float *parts[] = { s->a, s->b, s->da, s->a_norm, s->b_norm, s->rows, s->cols, s->lse, s->dots };
    for (size_t i = 0; i < COUNT(parts); i++) ndi_free(parts[i]);
    ndi_free(s);
}

static nd_status check_rows(const float *x, size_t n, size_t dim, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(ndi_all_finite(x + i * dim, dim), ND_ERR_NUMERIC, "loss: %s: row %zu is not finite", name, i);
        CHECK(ndi_dot_f64(x + i * dim, x + i * dim, dim) < 1e74, ND_ERR_NUMERIC, "loss: %s: row %zu is longer than 1e37", name, i);
    }
    return ND_OK;
}

nd_status ndi_loss_evaluate(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim, double *value, float *grad_v, float *grad_z, double *grad_log_scale)
{
    CHECK(n > 0 && dim > 0, ND_ERR_ARGUMENT, "loss: got %zu vectors of %zu, expected at least one of at least 1", n, dim);
    TRY(check_rows(v, n, dim, "v"));
    TRY(check_rows(z, n, dim, "z"));
    loss_space *s;
    TRY(ndi_loss_space_create(&s, n, dim, NULL));
    loss_call c = { .n = n, .dim = dim, .v = v, .z = z, .scale = exp(loss->log_scale), .grad_v = grad_v, .grad_z = grad_z };
    loss->kind->evaluate(&loss->options, s, &c);
    ndi_loss_space_free(s);
    *value = c.value;
    if (grad_log_scale) *grad_log_scale = c.grad_log_scale;
    return ND_OK;
}
