/* The table of losses, their handles and memory. */
#include "loss/loss.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "math/vec.h"

extern const loss_kind ndi_loss_infonce, ndi_loss_softclip, ndi_loss_mixco, ndi_loss_multipositive, ndi_loss_siglip, ndi_loss_cosine, ndi_loss_mse;

const loss_kind *const ndi_loss_kinds[] = { &ndi_loss_infonce, &ndi_loss_softclip, &ndi_loss_mixco, &ndi_loss_multipositive,
                                            &ndi_loss_siglip,  &ndi_loss_cosine,   &ndi_loss_mse,   NULL };

static nd_status find_kind(const char *name, const loss_kind **kind)
{
    text known = { 0 };
    for (const loss_kind *const *k = ndi_loss_kinds; *k; k++) {
        if (!name || strcmp((*k)->name, name) == 0) {
            ndi_text_free(&known);
            *kind = *k;
            return ND_OK;
        }
        ndi_text_add(&known, " %s", (*k)->name);
    }
    nd_status status = ndi_fail(ND_ERR_ARGUMENT, "loss: got '%s', expected one of%s", name, known.s ? known.s : "");
    ndi_text_free(&known);
    return status;
}

/* What a kind cannot do is refused where it is asked for; numbers it has no use for are left alone. */
static nd_status check_options(const loss_kind *kind, const nd_loss_options *o)
{
    const char *name = kind->name;
    CHECK(o->temperature == 0 || (o->temperature >= 1e-6 && o->temperature <= 1e6), ND_ERR_ARGUMENT,
          "loss: temperature: got %g, expected 1e-6 to 1e6, or 0 for the default", o->temperature);
    CHECK(o->bias >= -1e6 && o->bias <= 1e6, ND_ERR_ARGUMENT, "loss: bias: got %g, expected -1e6 to 1e6", o->bias);
    CHECK(o->vectors == ND_VECTOR_L2 || o->vectors == ND_VECTOR_CENTRED_L2, ND_ERR_ARGUMENT, "loss: vectors: got %d, expected 0 or 1",
          (int)o->vectors);
    CHECK(!o->learn_temperature || kind->temperature > 0, ND_ERR_ARGUMENT, "loss: learn_temperature: %s has no temperature", name);
    CHECK(!o->sum_directions || kind->directions, ND_ERR_ARGUMENT, "loss: sum_directions: %s has one direction only", name);
    CHECK(!o->mask_same_image || kind->masks, ND_ERR_ARGUMENT, "loss: mask_same_image: %s leaves no pairs out", name);
    return ND_OK;
}

nd_status ndi_loss_create(nd_loss **out, const char *kind, const nd_loss_options *o)
{
    const loss_kind *row;
    TRY(find_kind(kind, &row));
    TRY(check_options(row, o));
    nd_loss *loss;
    TRY(NEW(loss, 1));
    atomic_init(&loss->references, 1);
    loss->kind = row;
    loss->options = *o;
    if (o->temperature == 0) loss->options.temperature = row->temperature;
    loss->log_scale = row->temperature > 0 ? -log(loss->options.temperature) : 0;
    loss->bias = row->biased ? o->bias : 0;
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
    float **matrices[] = { &s->logits, &s->targets, &s->mirror };
    for (size_t i = 0; i < COUNT(matrices); i++) GO(NEW(*matrices[i], pairs));
    float **vectors[] = {
        &s->row_top, &s->row_factor, &s->col_top, &s->col_factor, &s->target_top, &s->target_factor, &s->row_weight, &s->col_weight
    };
    for (size_t i = 0; i < COUNT(vectors); i++) GO(NEW(*vectors[i], n));
    GO(NEW(s->scratch, 2 * n * ndi_pool_threads(threads)));
    GO(NEW(s->sums, 2 * n));
    *out = s;
    return ND_OK;
done:
    ndi_loss_space_free(s);
    return status;
}

void ndi_loss_space_free(loss_space *s)
{
    if (!s) return;
    void *parts[] = { s->a,          s->b,       s->da,         s->a_norm,     s->b_norm,        s->logits,     s->targets,    s->mirror,  s->row_top,
                      s->row_factor, s->col_top, s->col_factor, s->target_top, s->target_factor, s->row_weight, s->col_weight, s->scratch, s->sums };
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

static nd_status check_mixtures(const loss_kind *kind, const loss_call *c)
{
    CHECK(!c->partner == !c->share, ND_ERR_ARGUMENT, "loss: mixtures: got one of partner and share, expected both or none");
    if (!c->partner) return ND_OK;
    CHECK(kind->mixes, ND_ERR_ARGUMENT, "loss: mixtures: %s does not know them, mixco does", kind->name);
    for (size_t i = 0; i < c->n; i++) {
        CHECK(c->partner[i] < c->n, ND_ERR_ARGUMENT, "loss: partner: row %zu: got %zu, expected less than %zu", i, c->partner[i], c->n);
        CHECK(c->share[i] >= 0 && c->share[i] <= 1, ND_ERR_ARGUMENT, "loss: share: row %zu: got %g, expected 0 to 1", i, (double)c->share[i]);
    }
    return ND_OK;
}

nd_status ndi_loss_evaluate(const nd_loss *loss, loss_call *c)
{
    CHECK(c->n > 0 && c->dim > 0, ND_ERR_ARGUMENT, "loss: got %zu vectors of %zu, expected at least one of at least 1", c->n, c->dim);
    TRY(check_rows(c->v, c->n, c->dim, "v"));
    TRY(check_rows(c->z, c->n, c->dim, "z"));
    TRY(check_mixtures(loss->kind, c));
    loss_space *s;
    TRY(ndi_loss_space_create(&s, c->n, c->dim, NULL));
    c->scale = exp(loss->log_scale);
    c->bias = loss->bias;
    loss->kind->evaluate(&loss->options, s, c);
    ndi_loss_space_free(s);
    return ND_OK;
}

static bool same_image(const loss_call *c, size_t i, size_t k) { return c->images[i] == c->images[k]; }

bool ndi_masked(const nd_loss_options *o, const loss_call *c, size_t i, size_t k)
{
    if (!o->mask_same_image || !c->images || k == i) return false;
    if (!c->partner) return same_image(c, i, k);
    return k != c->partner[i] && (same_image(c, i, k) || same_image(c, c->partner[i], k));
}

double ndi_add_up(const double *parts, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += parts[i];
    return sum;
}
