#include "rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static float random_value(uint32_t stream, size_t i) { return (float)(2 * ndi_uniform(9, NDI_RANDOM_DRAW, stream, i) - 1); }

float *random_block(size_t n, uint32_t stream)
{
    float *x = ndi_alloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = random_value(stream, i);
    return x;
}

/* Persons 1 to 3, unknown ones (0) and ones no table can have (-1). */
int32_t person_of(size_t trial) { return (int32_t)(trial * 7 % 5) - 1; }

static int32_t people[128];

void rig_up(rig *r, graph *g, size_t B, bool training, int32_t threads)
{
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < COUNT(people); i++) people[i] = person_of(i);
    pool *pool_of_test;
    assert_int_equal(g->status, ND_OK);
    assert_int_equal(ndi_pool_create(&pool_of_test, threads), ND_OK);
    r->g = g;
    assert_int_equal(ndi_workspace_create(&r->w, g, B, true, true, pool_of_test), ND_OK);
    r->params = random_block(g->n_params, 1);
    r->state = random_block(g->n_state, 2);
    for (size_t i = 0; i < g->n_state; i++) r->state[i] = fabsf(r->state[i]) + 0.5f; /* variances */
    r->new_state = ndi_alloc(g->n_state + 1, sizeof(float));
    r->grads = ndi_alloc(g->n_params + 1, sizeof(float));
    r->n_x = B * ndi_shape_size(g->nodes[0].out);
    r->n_out = B * ndi_shape_size(ndi_graph_out(g));
    r->x = random_block(r->n_x, 3);
    r->weight = random_block(r->n_out, 4);
    r->p = (pass){ .w = r->w,
                   .B = B,
                   .training = training,
                   .seed = 7,
                   .step = 3,
                   .x = r->x,
                   .subjects = people,
                   .params = r->params,
                   .state = r->state,
                   .new_state = r->new_state,
                   .grads = r->grads };
}

void tear_down(rig *r)
{
    pool *threads = r->w->threads;
    float *blocks[] = { r->params, r->state, r->new_state, r->grads, r->x, r->weight };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_workspace_free(r->w);
    ndi_pool_free(threads);
    ndi_graph_free(r->g);
}

double objective(rig *r)
{
    memcpy(r->new_state, r->state, r->g->n_state * sizeof(float));
    ndi_forward(&r->p);
    double sum = 0;
    for (size_t i = 0; i < r->n_out; i++) sum += (double)r->weight[i] * (double)ndi_output(&r->p)[i];
    return sum;
}

void run_backward(rig *r)
{
    objective(r);
    memcpy(ndi_output_grad(&r->p), r->weight, r->n_out * sizeof(float));
    ndi_backward(&r->p);
}

/* Normalised squared error between the gradient and central differences, over every number or every few of many. */
static double difference_error(rig *r, float *values, const float *grad, size_t n)
{
    double error = 0, scale = 1e-12;
    size_t stride = n / 60 + 1;
    for (size_t i = 0; i < n; i += stride) {
        float keep = values[i];
        const float h = 4e-3f;
        values[i] = keep + h;
        double up = objective(r);
        values[i] = keep - h;
        double down = objective(r);
        values[i] = keep;
        double numeric = (up - down) / (2 * (double)h);
        error += (numeric - (double)grad[i]) * (numeric - (double)grad[i]);
        scale += numeric * numeric;
    }
    return error / scale;
}

void check_gradients(graph *g, size_t B, bool training)
{
    rig r;
    rig_up(&r, g, B, training, 2);
    run_backward(&r);
    float *dx = random_block(r.n_x, 0);
    memcpy(dx, ndi_input_grad(&r.p), r.n_x * sizeof *dx);
    assert_true(difference_error(&r, r.x, dx, r.n_x) < 1e-5);
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (!t->trainable) continue;
        double error = difference_error(&r, r.params + t->at, r.grads + t->at, t->n);
        if (!(error < 1e-5)) fail_msg("%s: normalised error %g", t->name, error);
    }
    ndi_free(dx);
    tear_down(&r);
}

graph *start(size_t maps, size_t rows, size_t samples)
{
    graph *g;
    assert_int_equal(ndi_graph_create(&g, "test", (shape){ maps, rows, samples }), ND_OK);
    return g;
}

void check_same_bits(graph *(*make)(void))
{
    float *first = NULL;
    for (int32_t threads = 1; threads <= 3; threads++) {
        graph *g = make();
        rig r;
        rig_up(&r, g, 77, true, threads);
        run_backward(&r);
        if (!first) {
            first = random_block(g->n_params, 0);
            memcpy(first, r.grads, g->n_params * sizeof *first);
        }
        assert_memory_equal(first, r.grads, g->n_params * sizeof *first);
        tear_down(&r);
    }
    ndi_free(first);
}
