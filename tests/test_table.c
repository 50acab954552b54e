/* What every architecture of the table must do, so that a new row is tested by being there: its gradient is the derivative, and it trains to the same bits with any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "check.h"
#include "encoders/encoder.h"
#include "neurodecode.h"
#include "small.h"

enum { TRIALS = 6, PEOPLE = 3 };

static float *random_values(size_t n, uint32_t stream)
{
    float *x = ndi_alloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * ndi_uniform(11, NDI_RANDOM_DRAW, stream, i) - 1);
    return x;
}

/* ---- gradients ---- */

/* An encoder in training mode, dropout and all; the objective is sum(weight * embedding). */
typedef struct rig {
    nd_encoder *e;
    workspace *w;
    pass p;
    float *x, *weight, *new_state, *grads;
    size_t n_x, n_out;
} rig;

static const int32_t subjects[TRIALS] = { 1, 2, 0, 3, 1, 2 };

static void set_up(rig *r, const encoder_kind *kind, const size_t size[3])
{
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = size[0];
    o.n_samples = size[1];
    o.embed_dim = size[2];
    o.params = nd_test_small(kind);
    memset(r, 0, sizeof *r);
    OK(nd_encoder_create(&r->e, kind->name, &o));
    const graph *g = r->e->g;
    OK(ndi_workspace_create(&r->w, g, TRIALS, true, true, NULL));
    r->n_x = TRIALS * size[0] * size[1];
    r->n_out = TRIALS * size[2];
    r->x = random_values(r->n_x, 1);
    r->weight = random_values(r->n_out, 2);
    r->new_state = ndi_alloc(g->n_state + 1, sizeof(float));
    r->grads = ndi_alloc(g->n_params, sizeof(float));
    r->p = (pass){ .w = r->w,
                   .B = TRIALS,
                   .training = true,
                   .seed = 5,
                   .step = 2,
                   .x = r->x,
                   .subjects = subjects,
                   .params = r->e->params,
                   .state = r->e->state,
                   .new_state = r->new_state,
                   .grads = r->grads };
}

static void tear_down(rig *r)
{
    float *blocks[] = { r->x, r->weight, r->new_state, r->grads };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_workspace_free(r->w);
    nd_encoder_free(r->e);
}

static double objective(rig *r)
{
    double sum = 0;
    memcpy(r->new_state, r->e->state, r->e->g->n_state * sizeof(float));
    ndi_forward(&r->p);
    for (size_t i = 0; i < r->n_out; i++) sum += (double)r->weight[i] * (double)ndi_output(&r->p)[i];
    return sum;
}

static double length(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* How the objective rises along the gradient, by a central difference. */
static double slope_along(rig *r, float *values, const float *grad, size_t n, double steepness, double step)
{
    double ends[2];
    float *kept = ndi_alloc(n, sizeof *kept);
    memcpy(kept, values, n * sizeof *kept);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++) values[i] = kept[i] + (float)((side ? -step : step) * (double)grad[i] / steepness);
        ends[side] = objective(r);
    }
    memcpy(values, kept, n * sizeof *kept);
    ndi_free(kept);
    return (ends[0] - ends[1]) / (2 * step);
}

/* Along its own gradient a function rises by the gradient's length. `whole` is the length of all gradients together: what is far below it is rounding. A step that crosses the kinks of
 * rectifiers and maxima is tried again shorter. */
static void check_slope(rig *r, const char *name, float *values, const float *grad, size_t n, double whole)
{
    double steepness = length(grad, n), step = 2e-3 * fmax(length(values, n), 1), slope = 0;
    if (steepness < 1e-7 * whole) return;
    for (int k = 0; k < 3; k++, step /= 4) {
        slope = slope_along(r, values, grad, n, steepness, step);
        if (fabs(slope - steepness) <= 2e-2 * steepness + 2e-4 * whole) return;
    }
    fail_msg("%s, %s: slope %g, length of the gradient %g (of all %g)", r->e->s.kind->name, name, slope, steepness, whole);
}

static void check_gradients(const encoder_kind *kind, const size_t size[3])
{
    rig r;
    set_up(&r, kind, size);
    const graph *g = r.e->g;
    objective(&r);
    memcpy(ndi_output_grad(&r.p), r.weight, r.n_out * sizeof(float));
    ndi_backward(&r.p);
    float *dx = random_values(r.n_x, 0), *dw = random_values(g->n_params, 0);
    memcpy(dx, ndi_input_grad(&r.p), r.n_x * sizeof *dx);
    memcpy(dw, r.grads, g->n_params * sizeof *dw);
    double whole = hypot(length(dx, r.n_x), length(dw, g->n_params));
    assert_true(whole > 0 && isfinite(whole));
    check_slope(&r, "input", r.x, dx, r.n_x, whole);
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (t->trainable) check_slope(&r, t->name, r.e->params + t->at, dw + t->at, t->n, whole);
    }
    ndi_free(dx);
    ndi_free(dw);
    tear_down(&r);
}

static void gradients_are_derivatives(void **state)
{
    (void)state;
    const size_t sizes[3][3] = { { 5, 101, 12 }, { 3, 87, 7 }, { 7, 131, 9 } };
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++)
        for (size_t i = 0; i < COUNT(sizes); i++) check_gradients(*k, sizes[i]);
}

/* ---- training ---- */

enum { IMAGES = 36, CHANNELS = 5, SAMPLES = 101, DIM = 12 };

static void make_world(nd_dataset **d, nd_bank **bank)
{
    float *x = random_values(IMAGES * CHANNELS * SAMPLES, 3), *z = random_values(IMAGES * DIM, 4);
    nd_dataset *people[PEOPLE] = { 0 }, *both;
    for (size_t k = 0; k < PEOPLE; k++) {
        nd_dataset_options o;
        nd_dataset_options_init(&o, sizeof o);
        o.subject = (int32_t)(k + 1);
        OK(nd_dataset_create(&people[k], x + k * 12 * CHANNELS * SAMPLES, 12, CHANNELS, SAMPLES, NULL, &o));
    }
    OK(nd_dataset_concat(&both, people[0], people[1]));
    OK(nd_dataset_concat(d, both, people[2]));
    OK(nd_bank_create(bank, z, IMAGES, DIM, NULL, NULL));
    nd_dataset_free(both);
    for (size_t k = 0; k < PEOPLE; k++) nd_dataset_free(people[k]);
    ndi_free(x);
    ndi_free(z);
}

static nd_encoder *trained(const encoder_kind *kind, const nd_dataset *d, const nd_bank *bank, int32_t threads)
{
    nd_encoder *e;
    nd_loss *loss;
    nd_trainer *t;
    nd_encoder_options eo;
    nd_train_options to;
    nd_encoder_options_init(&eo, sizeof eo);
    nd_train_options_init(&to, sizeof to);
    eo.embed_dim = DIM;
    eo.params = nd_test_small(kind);
    eo.n_threads = to.n_threads = threads;
    to.epochs = 1;
    to.batch_size = 15;
    OK(nd_encoder_create_for(&e, kind->name, d, &eo));
    OK(nd_loss_create(&loss, NULL, NULL));
    OK(nd_trainer_create(&t, e, loss, d, bank, &to));
    OK(nd_trainer_run(t, NULL, NULL));
    nd_trainer_free(t);
    nd_loss_free(loss);
    return e;
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    nd_dataset *d;
    nd_bank *bank;
    make_world(&d, &bank);
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) {
        nd_encoder *one = trained(*k, d, bank, 1);
        for (int32_t threads = 2; threads <= 3; threads++) {
            nd_encoder *more = trained(*k, d, bank, threads);
            for (size_t i = 0; i < one->g->n_params; i++)
                if (one->params[i] != more->params[i]) fail_msg("%s: parameter %zu differs with %d threads", (*k)->name, i, (int)threads);
            assert_memory_equal(one->state, more->state, one->g->n_state * sizeof(float));
            nd_encoder_free(more);
        }
        nd_encoder_free(one);
    }
    nd_dataset_free(d);
    nd_bank_free(bank);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_derivatives),
        cmocka_unit_test(same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
