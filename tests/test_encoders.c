/* Every architecture of the table: reference vectors, parameter counts, files, threads, and what happens to nonsense. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "approx.h"
#include "base/random.h"
#include "encoders/encoder.h"
#include "golden.h"
#include "io/format.h"
#include "loss/loss.h"
#include "neurodecode/train.h"
#include "temp.h"
#include "train/optimiser.h"

/* ---- reference vectors ---- */

/* One file of reference vectors: which architecture, with what hyper-parameters (beside the final layer, which the file shows), and which tensors have a gradient of exactly 0, where the
 * reference found rounding noise. */
typedef struct golden_file {
    const char *file, *kind, *params;
    double tolerance;     /* of embeddings */
    const char *noise[8]; /* parts of the names of biases in front of a batch normalisation: see below */
} golden_file;

static const golden_file golden_files[] = {
    { "nice.npz", "nice", "dropout=0", 1e-5, { "tsconv.0.bias", "tsconv.4.bias" } },
    { "nice-things.npz", "nice", "dropout=0", 1e-5, { "tsconv.0.bias", "tsconv.4.bias" } },
};

typedef struct golden {
    const golden_file *file;
    content *c;
    json_t *config;
    nd_encoder *e;
    nd_loss *loss;
    workspace *w;
    loss_space *space;
    pass p;
    size_t B, D, n_x;
    float *x, *z, *grads, *m, *v, *new_state;
    int32_t *subjects;
} golden;

static double config(const golden *g, const char *key) { return json_number_value(json_object_get(g->config, key)); }

static int32_t *read_subjects(const content *c, size_t B)
{
    if (!ndi_content_array(c, "subject")) return NULL;
    float *ids = nd_test_floats(c, "subject", NULL);
    int32_t *subjects = ndi_alloc(B, sizeof *subjects);
    for (size_t i = 0; i < B; i++) subjects[i] = (int32_t)ids[i];
    ndi_free(ids);
    return subjects;
}

/* false where the vectors are absent. */
static bool open_golden(golden *g, const golden_file *file)
{
    memset(g, 0, sizeof *g);
    g->file = file;
    g->c = nd_test_golden(file->file);
    if (!g->c) return false;
    const array *a = ndi_content_array(g->c, "config"), *x = ndi_content_array(g->c, "x");
    char bytes[1024] = { 0 };
    assert_true(a && a->n < sizeof bytes && x);
    assert_int_equal(ndi_stream_read(a->in, a->at, bytes, a->n), ND_OK);
    g->config = json_loads(bytes, 0, NULL);
    assert_non_null(g->config);

    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = x->n_dims == 4 ? x->shape[2] : x->shape[1]; /* trials x 1 x channels x samples, or trials x voxels */
    o.n_samples = x->n_dims == 4 ? x->shape[3] : 1;
    o.params = file->params;
    if (nd_encoder_open_weights(&g->e, file->kind, nd_test_golden_path(file->file), &o) != ND_OK) fail_msg("%s", nd_last_error());
    g->B = x->shape[0];
    g->x = nd_test_floats(g->c, "x", &g->n_x);
    g->z = nd_test_floats(g->c, "z", NULL);
    g->subjects = read_subjects(g->c, g->B);
    g->D = g->e->s.dim;

    nd_loss_options lo;
    nd_loss_options_init(&lo, sizeof lo);
    lo.temperature = config(g, "temperature");
    assert_int_equal(nd_loss_create(&g->loss, NULL, &lo), ND_OK);
    const graph *net = g->e->g;
    assert_int_equal(ndi_workspace_create(&g->w, net, g->B, true, true, NULL), ND_OK);
    assert_int_equal(ndi_loss_space_create(&g->space, g->B, g->D, NULL), ND_OK);
    float **blocks[] = { &g->grads, &g->m, &g->v };
    for (size_t i = 0; i < COUNT(blocks); i++) *blocks[i] = ndi_alloc(net->n_params, sizeof(float));
    g->new_state = ndi_alloc(net->n_state + 1, sizeof(float));
    g->p = (pass){ .w = g->w,
                   .B = g->B,
                   .training = true,
                   .x = g->x,
                   .subjects = g->subjects,
                   .params = g->e->params,
                   .state = g->e->state,
                   .new_state = g->new_state,
                   .grads = g->grads };
    return true;
}

static void close_golden(golden *g)
{
    float *blocks[] = { g->x, g->z, g->grads, g->m, g->v, g->new_state };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_free(g->subjects);
    ndi_workspace_free(g->w);
    ndi_loss_space_free(g->space);
    nd_loss_free(g->loss);
    nd_encoder_free(g->e);
    json_decref(g->config);
    ndi_content_free(g->c);
}

static double step(golden *g)
{
    memcpy(g->new_state, g->e->state, g->e->g->n_state * sizeof(float));
    ndi_forward(&g->p);
    loss_call c = { .n = g->B, .dim = g->D, .v = ndi_output(&g->p), .z = g->z, .scale = exp(g->loss->log_scale), .grad_v = ndi_output_grad(&g->p) };
    g->loss->kind->evaluate(&g->loss->options, g->space, &c);
    ndi_backward(&g->p);
    return c.value;
}

static void compare(const golden *g, const char *name, const float *found, double tolerance)
{
    size_t n;
    float *expected = nd_test_floats(g->c, name, &n);
    double error = nd_test_relative_error(found, expected, n);
    if (!(error <= tolerance)) fail_msg("%s: %s: relative error %g, allowed %g", g->file->file, name, error, tolerance);
    ndi_free(expected);
}

/* A bias in front of a batch normalisation has a gradient of exactly 0; the reference found rounding noise there and made steps of it, which move the running mean behind it. */
static bool noise(const golden *g, const char *name)
{
    bool found = strstr(name, "running_mean") != NULL;
    for (size_t i = 0; i < COUNT(g->file->noise) && g->file->noise[i]; i++) found |= strstr(name, g->file->noise[i]) != NULL;
    return found;
}

static void embed(const golden *g, float *v)
{
    if (ndi_encoder_embed(g->e, g->x, g->subjects, g->B, v) != ND_OK) fail_msg("%s: %s", g->file->file, nd_last_error());
}

static void check_forward_and_gradients(golden *g)
{
    float *v = ndi_alloc(g->B * g->D, sizeof *v);
    embed(g, v);
    compare(g, "v_eval", v, g->file->tolerance);
    ndi_free(v);
    double loss = step(g);
    compare(g, "v_train", ndi_output(&g->p), g->file->tolerance);
    assert_true(fabs(loss / nd_test_number(g->c, "loss") - 1) < 1e-5);
    compare(g, "grad_x", ndi_input_grad(&g->p), 1e-4);
    for (int i = 0; i < g->e->g->n_tensors; i++) {
        const tensor *t = &g->e->g->tensors[i];
        char name[160];
        snprintf(name, sizeof name, "grad/%s", t->name);
        if (t->trainable && !noise(g, t->name)) compare(g, name, g->grads + t->at, 1e-4);
    }
}

/* Adam divides a gradient by its own size, so an element whose gradient is lost in rounding takes full steps of either sign: one below 1/10000 of the tensor's largest gradient
 * need only be within the steps taken (these are a few in a hundred thousand), all others agree to 1e-4. */
static void compare_after(const golden *g, const tensor *t, double steps_taken)
{
    char name[160];
    size_t n;
    double largest = 0, scale = 0, error = 0;
    snprintf(name, sizeof name, "after/%s", t->name);
    float *expected = nd_test_floats(g->c, name, &n), *found = ndi_encoder_values(g->e, t), *grad = NULL;
    if (t->trainable) {
        snprintf(name, sizeof name, "grad/%s", t->name);
        grad = nd_test_floats(g->c, name, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)expected[i]));
        if (grad) largest = fmax(largest, fabs((double)grad[i]));
    }
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)expected[i] - (double)found[i]);
        bool lost = grad && fabs((double)grad[i]) < 1e-4 * largest;
        assert_true(!lost || difference <= 2 * steps_taken);
        if (!lost) error = fmax(error, difference / scale);
    }
    if (!(error <= 1e-4)) fail_msg("%s: after/%s: relative error %g", g->file->file, t->name, error);
    ndi_free(expected);
    ndi_free(grad);
}

static void check_training_steps(golden *g)
{
    const graph *net = g->e->g;
    double *blocks = ndi_alloc(ndi_norm_blocks(net->n_params), sizeof *blocks);
    const optimiser *adamw;
    assert_int_equal(ndi_optimiser_find(ND_OPTIMISER_ADAMW, &adamw), ND_OK);
    size_t steps;
    float *losses = nd_test_floats(g->c, "losses", &steps);
    for (size_t k = 0; k < steps; k++) {
        double loss = step(g), norm = sqrt(ndi_squares(NULL, g->grads, net->n_params, blocks)), clip = config(g, "clip_norm");
        assert_true(fabs(loss - (double)losses[k]) < 1e-4 * fabs((double)losses[k]) + 1e-5);
        rule r = { .kind = adamw, .learning_rate = config(g, "lr"), .weight_decay = config(g, "weight_decay"), .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = k + 1 };
        ndi_optimise(NULL, &r, (float)(norm > clip ? clip / (norm + 1e-6) : 1), g->grads, g->e->params, (float *[]){ g->m, g->v }, net->n_params);
        memcpy(g->e->state, g->new_state, net->n_state * sizeof(float));
    }
    for (int i = 0; i < net->n_tensors; i++) {
        const tensor *t = &net->tensors[i];
        if (!noise(g, t->name)) compare_after(g, t, (double)steps * config(g, "lr"));
    }
    float *v = ndi_alloc(g->B * g->D, sizeof *v);
    embed(g, v);
    compare(g, "v_after", v, 1e-3);
    ndi_free(v);
    ndi_free(blocks);
    ndi_free(losses);
}

static void reference_vectors(void **state)
{
    (void)state;
    size_t seen = 0;
    for (size_t i = 0; i < COUNT(golden_files); i++) {
        golden g;
        if (!open_golden(&g, &golden_files[i])) continue;
        check_forward_and_gradients(&g);
        check_training_steps(&g);
        close_golden(&g);
        seen++;
    }
    if (!seen) skip();
}

/* ---- sizes ---- */

static nd_status make(nd_encoder **e, const char *kind, size_t channels, size_t samples, size_t dim, const char *params, int32_t threads)
{
    nd_encoder_options o;
    assert_int_equal(nd_encoder_options_init(&o, sizeof o), ND_OK);
    o.n_channels = channels;
    o.n_samples = samples;
    o.embed_dim = dim;
    o.params = params;
    o.n_threads = threads;
    return nd_encoder_create(e, kind, &o);
}

static void parameter_counts(void **state)
{
    (void)state;
    const size_t known[][4] = { { 63, 250, 384, 953472 },   { 63, 250, 512, 1367808 },   { 63, 250, 768, 2393088 },  { 63, 250, 1024, 3680512 },
                                { 63, 250, 1792, 9115648 }, { 63, 250, 2048, 11451648 }, { 271, 201, 512, 1495808 }, { 271, 201, 768, 2418688 } };
    for (size_t i = 0; i < COUNT(known); i++) {
        nd_encoder *e;
        nd_encoder_info info = { .size = sizeof info };
        assert_int_equal(make(&e, "nice", known[i][0], known[i][1], known[i][2], "recipe=reference", 1), ND_OK);
        assert_int_equal(nd_encoder_get_info(e, &info), ND_OK);
        assert_int_equal(info.n_parameters, known[i][3]);
        nd_encoder_free(e);
    }
}

static float *noise_trials(size_t n)
{
    float *x = ndi_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * ndi_uniform(5, NDI_RANDOM_DRAW, 1, i) - 1);
    return x;
}

enum { CHANNELS = 5, SAMPLES = 101, DIM = 12, TRIALS = 70 };

/* For every row: what is saved opens to the same bits, one trial is embedded as in a batch, threads change nothing. */
static void rows_save_open_and_embed(void **state)
{
    (void)state;
    float *x = noise_trials(TRIALS * CHANNELS * SAMPLES), a[TRIALS * DIM], b[TRIALS * DIM], one[DIM];
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) {
        nd_encoder *e, *opened;
        const char *path = nd_test_temp("encoder.safetensors");
        assert_int_equal(make(&e, (*k)->name, CHANNELS, SAMPLES, DIM, NULL, 1), ND_OK);
        assert_int_equal(nd_encoder_embed(e, x, TRIALS, a, TRIALS * DIM), ND_OK);
        assert_int_equal(nd_encoder_embed(e, x + 3 * CHANNELS * SAMPLES, 1, one, DIM), ND_OK);
        assert_true(nd_test_relative_error(one, a + 3 * DIM, DIM) < 1e-5);
        if (nd_encoder_save(e, path) != ND_OK) fail_msg("%s", nd_last_error());
        for (int32_t threads = 1; threads <= 3; threads++) {
            nd_encoder_options o;
            nd_encoder_options_init(&o, sizeof o);
            o.n_threads = threads;
            if (nd_encoder_open(&opened, path, &o) != ND_OK) fail_msg("%s", nd_last_error());
            assert_memory_equal(e->params, opened->params, e->g->n_params * sizeof(float));
            assert_memory_equal(e->state, opened->state, e->g->n_state * sizeof(float));
            assert_string_equal(e->params_text, opened->params_text);
            assert_int_equal(nd_encoder_embed(opened, x, TRIALS, b, TRIALS * DIM), ND_OK);
            assert_memory_equal(a, b, sizeof a);
            nd_encoder_free(opened);
        }
        nd_encoder_free(e);
        remove(path);
    }
    ndi_free(x);
}

static void initial_weights_are_uniform(void **state)
{
    (void)state;
    nd_encoder *e;
    assert_int_equal(make(&e, "nice", 63, 250, 128, NULL, 1), ND_OK);
    const tensor *t = ndi_graph_tensor(e->g, "brain_backbone.projector.0.weight");
    const float *w = ndi_encoder_values(e, t);
    double bound = 1 / sqrt(1440), mean = 0, square = 0, most = 0;
    for (size_t i = 0; i < t->n; i++) {
        mean += (double)w[i] / (double)t->n;
        square += (double)w[i] * (double)w[i] / (double)t->n;
        most = fmax(most, fabs((double)w[i]));
    }
    assert_true(most <= bound * 1.000001 && most > 0.999 * bound);
    assert_true(fabs(mean) < 5 * bound / sqrt(3.0 * (double)t->n));
    assert_true(fabs(square / (bound * bound / 3) - 1) < 0.02);
    nd_encoder_free(e);
}

/* ---- errors ---- */

static void hyper_parameter_text(void **state)
{
    (void)state;
    const char *bad[][2] = { { "maps", "name=value" },
                             { "mops=3", "no hyper-parameter 'mops'" },
                             { "maps=0", "expected 1 to" },
                             { "maps=2.5", "whole number" },
                             { "maps=x", "expected a number" },
                             { "dropout=1", "0.99" },
                             { "recipe=best", "default or reference" },
                             { "maps=nan", "expected 1 to" } };
    nd_encoder *e = (nd_encoder *)16;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(make(&e, "nice", 63, 250, 8, bad[i][0], 1), ND_ERR_ARGUMENT);
        assert_null(e);
        if (!strstr(nd_last_error(), bad[i][1])) fail_msg("'%s' gave: %s", bad[i][0], nd_last_error());
    }
    assert_int_equal(make(&e, "nicer", 63, 250, 8, NULL, 1), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "nice ridge"));
    assert_int_equal(make(&e, "nice", 63, 70, 8, NULL, 1), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "tsconv.0"));
    assert_int_equal(make(&e, "nice", 0, 70, 8, NULL, 1), ND_ERR_ARGUMENT);
    assert_int_equal(make(&e, "nice", 63, 250, 8, "maps=7, dropout=.25  recipe=reference kernel=9", 1), ND_OK);
    assert_non_null(strstr(e->params_text, "maps=40")); /* the recipe came later and set it back */
    assert_non_null(strstr(e->params_text, "kernel=9"));
    nd_encoder_free(e);
}

static void weights_that_do_not_fit(void **state)
{
    (void)state;
    nd_encoder *e, *other = (nd_encoder *)16;
    const char *path = nd_test_temp("weights.safetensors");
    assert_int_equal(make(&e, "nice", 9, 250, 8, NULL, 1), ND_OK);
    assert_int_equal(nd_encoder_save(e, path), ND_OK);
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = 10;
    o.n_samples = 250;
    assert_int_equal(nd_encoder_open_weights(&other, "nice", path, &o), ND_ERR_FORMAT);
    assert_null(other);
    assert_non_null(strstr(nd_last_error(), "tsconv.4.weight has shape (40, 40, 9, 1), expected (40, 40, 10, 1)"));
    o.n_channels = 9;
    o.params = "repr=1";
    assert_int_equal(nd_encoder_open_weights(&other, "nice", path, &o), ND_ERR_FORMAT);
    assert_non_null(strstr(nd_last_error(), "repr_layer.weight is missing"));
    o.params = NULL;
    assert_int_equal(nd_encoder_open_weights(&other, "ridge", path, &o), ND_ERR_FORMAT);
    assert_int_equal(nd_encoder_open_weights(&other, "nice", path, &o), ND_OK);
    assert_memory_equal(e->params, other->params, e->g->n_params * sizeof(float));
    nd_encoder_free(other);
    o.n_channels = 12;
    assert_int_equal(nd_encoder_open(&other, path, &o), ND_ERR_ARGUMENT);
    assert_int_equal(nd_encoder_open(&other, "no/such/file", NULL), ND_ERR_IO);
    assert_null(other);
    nd_encoder_free(e);
    remove(path);
}

static void samples_that_are_not_finite(void **state)
{
    (void)state;
    nd_encoder *e;
    float *x = noise_trials(4 * CHANNELS * SAMPLES), v[4 * DIM] = { 7 };
    assert_int_equal(make(&e, "nice", CHANNELS, SAMPLES, DIM, NULL, 1), ND_OK);
    x[(2 * CHANNELS + 3) * SAMPLES + 50] = NAN;
    assert_int_equal(nd_encoder_embed(e, x, 4, v, 4 * DIM), ND_ERR_NUMERIC);
    assert_non_null(strstr(nd_last_error(), "trial 2, channel 3"));
    assert_true(v[0] == 7);
    assert_int_equal(nd_encoder_embed(e, x, 4, v, 4 * DIM - 1), ND_ERR_BUFFER);
    nd_encoder_free(e);
    ndi_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_vectors),           cmocka_unit_test(parameter_counts),     cmocka_unit_test(rows_save_open_and_embed),
        cmocka_unit_test(initial_weights_are_uniform), cmocka_unit_test(hyper_parameter_text), cmocka_unit_test(weights_that_do_not_fit),
        cmocka_unit_test(samples_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
