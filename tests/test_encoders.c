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
#include "small.h"
#include "temp.h"
#include "train/optimiser.h"

/* ---- reference vectors ---- */

/* One file of reference vectors: which architecture, with what hyper-parameters (beside the final layer, which the file shows), and which tensors have a gradient of exactly 0, where the
 * reference found rounding noise. */
typedef struct golden_file {
    const char *file, *kind, *params;
    double tolerance;     /* of embeddings */
    const char *noise[8]; /* parts of the names of biases in front of a batch normalisation or of keys: see below */
} golden_file;

static const golden_file golden_files[] = {
    { "nice.npz", "nice", "dropout=0", 1e-5, { "tsconv.0.bias", "tsconv.4.bias" } },
    { "nice-things.npz", "nice", "dropout=0", 1e-5, { "tsconv.0.bias", "tsconv.4.bias" } },
    { "brain-mlp.npz", "brain-mlp", "hidden=48 dropout=0 block_dropout=0", 1e-5, { NULL } },
    /* The second normalisation undoes the scale of the first, group by group: in double precision that gradient is 1e-5 of the others and the reference's is off by 0.6 %. */
    { "eegnet.npz", "eegnet", "dropout=0", 1e-5, { "conv1.bias", "conv2.bias", "conv3.bias", "conv4.bias", "bn1.weight", "bn1.bias" } },
    { "eegproject.npz", "eegproject", "dropout=0", 1e-5, { NULL } },
    { "resnet1d.npz", "resnet1d", "dropout=0 blocks=3 filters0=8 filters1=12 filters2=16", 1e-5, { NULL } },
    { "shallow.npz", "shallow", "dropout=0", 1e-5, { "backbone.0.bias", "backbone.1.bias" } },
    { "tsconv.npz", "tsconv", "dropout=0", 1e-5, { "backbone.0.bias", "backbone.4.bias" } },
    { "atms.npz", "atms", "recipe=reference dropout=0 conv_dropout=0", 1e-5, { "tsconv.0.bias", "tsconv.4.bias", "key_projection.bias" } },
    { "eegconformer.npz",
      "eegconformer",
      "recipe=reference features=48 dropout=0 att_dropout=0 fc1_dropout=0 fc2_dropout=0",
      1e-5,
      { "shallownet.0.bias", "shallownet.1.bias", "keys.bias" } },
    { "lstm.npz", "lstm", "hidden=20 output=16", 1e-5, { NULL } },
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

/* A bias in front of a batch normalisation has a gradient of exactly 0, and so has one of attention keys, which adds the same to all scores of a row; the reference found rounding noise there and made steps of it, which move the running mean behind it. */
static bool noise(const golden *g, const char *name)
{
    bool found = g->file->noise[0] && strstr(name, "running_mean");
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

static void take_after(const golden *g, const tensor *t)
{
    char name[160];
    snprintf(name, sizeof name, "after/%s", t->name);
    float *values = nd_test_floats(g->c, name, NULL);
    memcpy(ndi_encoder_values(g->e, t), values, t->n * sizeof *values);
    ndi_free(values);
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
        rule r = { .kind = adamw,
                   .learning_rate = config(g, "lr"),
                   .weight_decay = config(g, "weight_decay"),
                   .beta1 = 0.9,
                   .beta2 = 0.999,
                   .epsilon = 1e-8,
                   .step = k + 1 };
        update u = ndi_update(&r, (float)(norm > clip ? clip / (norm + 1e-6) : 1), g->e->params, (float *[]){ g->m, g->v });
        ndi_optimise(NULL, &u, g->grads, net->n_params);
        memcpy(g->e->state, g->new_state, net->n_state * sizeof(float));
        ndi_encoder_changed(g->e);
    }
    for (int i = 0; i < net->n_tensors; i++) {
        const tensor *t = &net->tensors[i];
        if (noise(g, t->name))
            take_after(g, t); /* so that the embeddings afterwards compare the rest */
        else
            compare_after(g, t, (double)steps * config(g, "lr"));
    }
    float *v = ndi_alloc(g->B * g->D, sizeof *v);
    embed(g, v);
    compare(g, "v_after", v, 1e-4);
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

static nd_encoder_options options_for(size_t channels, size_t samples, size_t dim, const char *params, int32_t threads)
{
    nd_encoder_options o;
    assert_int_equal(nd_encoder_options_init(&o, sizeof o), ND_OK);
    o.n_channels = channels;
    o.n_samples = samples;
    o.embed_dim = dim;
    o.params = params;
    o.n_threads = threads;
    return o;
}

static nd_status make(nd_encoder **e, const char *kind, size_t channels, size_t samples, size_t dim, const char *params, int32_t threads)
{
    nd_encoder_options o = options_for(channels, samples, dim, params, threads);
    return nd_encoder_create(e, kind, &o);
}

/* Counted from the plan alone: the largest has 135 million. */
static void parameter_counts(void **state)
{
    (void)state;
    const struct {
        const char *kind;
        size_t channels, samples, dim, n;
    } known[] = {
        { "nice", 63, 250, 384, 953472 },
        { "nice", 63, 250, 512, 1367808 },
        { "nice", 63, 250, 768, 2393088 },
        { "nice", 63, 250, 1024, 3680512 },
        { "nice", 63, 250, 1792, 9115648 },
        { "nice", 63, 250, 2048, 11451648 },
        { "nice", 271, 201, 512, 1495808 },
        { "nice", 271, 201, 768, 2418688 },
        { "eegnet", 63, 250, 512, 60024 },
        { "eegnet", 63, 250, 768, 88952 },
        { "eegnet", 63, 250, 1792, 204664 },
        { "resnet1d", 63, 256, 512, 9597024 },
        { "resnet1d", 63, 256, 768, 10908000 },
        { "brain-mlp", 15724, 1, 512, 133936128 },
        { "brain-mlp", 14278, 1, 512, 128013312 },
        { "brain-mlp", 13039, 1, 512, 122938368 },
        { "brain-mlp", 12682, 1, 512, 121476096 },
        { "brain-mlp", 15724, 1, 768, 135312896 },
        { "brain-mlp", 14278, 1, 768, 129390080 },
        { "brain-mlp", 13039, 1, 768, 124315136 },
        { "brain-mlp", 12682, 1, 768, 122852864 },
        { "atms", 63, 250, 512, 1813808 },
        { "atms", 63, 250, 768, 2839088 },
        { "atms", 63, 250, 1792, 9561648 },
        { "eegconformer", 63, 250, 512, 1160072 },
        { "eegconformer", 63, 250, 768, 1422472 },
        { "eegconformer", 63, 250, 1792, 2472072 },
        { "lstm", 63, 250, 512, 98816 + 16512 + 129 * 512 }, /* recurrent layer, linear layer, final layer */
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        const encoder_kind *kind;
        nd_encoder *e;
        nd_encoder_options o = options_for(known[i].channels, known[i].samples, known[i].dim, "recipe=reference", 1);
        assert_int_equal(ndi_encoder_kind_find(known[i].kind, &kind), ND_OK);
        if (ndi_encoder_plan(&e, kind, &o) != ND_OK) fail_msg("%s", nd_last_error());
        if (e->g->n_params + e->g->n_unused != known[i].n)
            fail_msg("%s %zu x %zu, %zu: %zu parameters, expected %zu", known[i].kind, known[i].channels, known[i].samples, known[i].dim,
                     e->g->n_params + e->g->n_unused, known[i].n);
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
        if (make(&e, (*k)->name, CHANNELS, SAMPLES, DIM, nd_test_small(*k), 1) != ND_OK) fail_msg("%s", nd_last_error());
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

/* The numbers of a tensor against a distribution of this mean and deviation whose square has a relative deviation of `spread`: both within 6 standard errors. */
static void check_moments(const nd_encoder *e, const tensor *t, double mean, double sd, double spread)
{
    const float *w = ndi_encoder_values(e, t);
    double n = (double)t->n, sum = 0, square = 0;
    for (size_t i = 0; i < t->n; i++) {
        sum += ((double)w[i] - mean) / sd / n;
        square += ((double)w[i] - mean) * ((double)w[i] - mean) / (sd * sd) / n;
    }
    if (!(fabs(sum) < 6 / sqrt(n) && fabs(square - 1) < 6 * spread / sqrt(n)))
        fail_msg("%s: %s: mean %g, square %g in units of %g", e->s.kind->name, t->name, sum, square, sd);
}

static void check_uniform(const nd_encoder *e, const tensor *t, double bound)
{
    const float *w = ndi_encoder_values(e, t);
    double most = 0;
    for (size_t i = 0; i < t->n; i++) most = fmax(most, fabs((double)w[i]));
    if (!(most <= bound * 1.000001 && most > bound * (1 - 20 / (double)t->n)))
        fail_msg("%s: %s: reaches to %g, expected %g", e->s.kind->name, t->name, most, bound);
    check_moments(e, t, 0, bound / sqrt(3), sqrt(0.8));
}

/* The weight, of two dimensions and more, of the convolution or linear layer that a tensor belongs to; NULL for others. */
static const tensor *weight_of(const nd_encoder *e, const tensor *t)
{
    char name[160];
    const char *dot = strrchr(t->name, '.');
    if (!dot || !t->trainable || (strcmp(dot, ".weight") != 0 && strcmp(dot, ".bias") != 0)) return NULL;
    snprintf(name, sizeof name, "%.*s.weight", (int)(dot - t->name), t->name);
    const tensor *w = ndi_graph_tensor(e->g, name);
    return w && w->n_dims >= 2 ? w : NULL;
}

/* U(-1, 1) / sqrt(fan in), as PyTorch starts convolutions and linear layers, weights and biases; normal where the tensor says so. */
static void initial_weights_are_uniform(void **state)
{
    (void)state;
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) {
        nd_encoder *e;
        assert_int_equal(make(&e, (*k)->name, CHANNELS, SAMPLES, DIM, nd_test_small(*k), 1), ND_OK);
        for (int i = 0; i < e->g->n_tensors; i++) {
            const tensor *t = &e->g->tensors[i], *w = weight_of(e, t);
            if (!w || (*k)->fit) continue;
            if (w->sd > 0)
                check_moments(e, t, (double)w->start, (double)w->sd, sqrt(2));
            else
                check_uniform(e, t, 1 / sqrt((double)w->n / (double)w->shape[0]));
        }
        nd_encoder_free(e);
    }
}

/* NICE's own start: N(0, 0.02) for the weights, N(1, 0.02) behind a batch normalisation; biases as before, but 0 in the attention between channels. */
static void initial_weights_are_normal_on_demand(void **state)
{
    (void)state;
    const char *kinds[] = { "nice", "nice-ga", "nice-sa" };
    for (size_t k = 0; k < COUNT(kinds); k++) {
        nd_encoder *e;
        size_t seen = 0;
        assert_int_equal(make(&e, kinds[k], CHANNELS, SAMPLES, DIM, "init_normal=1 repr=1", 1), ND_OK);
        for (int i = 0; i < e->g->n_tensors; i++) {
            const tensor *t = &e->g->tensors[i], *w = weight_of(e, t);
            bool scale = strstr(t->name, "tsconv.2.weight") || strstr(t->name, "tsconv.5.weight");
            if (w == t || scale)
                check_moments(e, t, scale, 0.02, sqrt(2));
            else if (w && !strstr(t->name, ".fn.1.query") && !strstr(t->name, ".fn.1.key") && !strstr(t->name, ".fn.1.projection"))
                check_uniform(e, t, 1 / sqrt((double)w->n / (double)w->shape[0]));
            else
                for (size_t v = 0; w && v < t->n; v++) assert_true(ndi_encoder_values(e, t)[v] == 0);
            seen += scale;
        }
        assert_int_equal(seen, 2);
        nd_encoder_free(e);
    }
}

/* ---- what single architectures promise ---- */

static void embed_as(const nd_encoder *e, const float *x, const int32_t *subjects, float *v)
{
    if (ndi_encoder_embed(e, x, subjects, TRIALS, v) != ND_OK) fail_msg("%s", nd_last_error());
}

/* By default each trial has its own subject's token; in the reference one subject without changes the whole batch. */
static void atms_knows_subjects(void **state)
{
    (void)state;
    float *x = noise_trials(TRIALS * CHANNELS * SAMPLES), a[TRIALS * DIM], b[TRIALS * DIM];
    for (int reference = 0; reference < 2; reference++) {
        nd_encoder *e;
        assert_int_equal(make(&e, "atms", CHANNELS, SAMPLES, DIM, reference ? "recipe=reference" : "", 1), ND_OK);
        const tensor *tokens = ndi_graph_tensor(e->g, "brain_backbone.encoder.enc_embedding.subject_embedding.subject_embedding.weight");
        int32_t subjects[TRIALS];
        for (size_t i = 0; i < TRIALS; i++) subjects[i] = 3;
        embed_as(e, x, subjects, a);
        subjects[1] = 99;
        embed_as(e, x, subjects, b);
        assert_true(memcmp(a + DIM, b + DIM, DIM * sizeof *a) != 0);
        assert_int_equal(memcmp(a, b, DIM * sizeof *a) != 0, reference);
        ndi_encoder_values(e, tokens)[(reference ? 3 : 2) * SAMPLES] += 1; /* the row of subject 3 */
        subjects[1] = 3;
        embed_as(e, x, subjects, b);
        assert_true(memcmp(a, b, DIM * sizeof *a) != 0);
        embed_as(e, x, NULL, a);
        ndi_encoder_values(e, tokens)[(reference ? 3 : 2) * SAMPLES] += 1;
        embed_as(e, x, NULL, b);
        assert_memory_equal(a, b, sizeof a); /* nobody's trials do not read the table */
        nd_encoder_free(e);
    }
    ndi_free(x);
}

/* Behind the attention layer the reference keeps the first rows. */
static void atms_rows_behind_attention(void **state)
{
    (void)state;
    for (int drop_last = 0; drop_last < 2; drop_last++) {
        nd_encoder *e;
        assert_int_equal(make(&e, "atms", CHANNELS, SAMPLES, DIM, drop_last ? "drop_last=1" : "", 1), ND_OK);
        int i = 0;
        while (strcmp(e->g->nodes[i].op->name, "rows") != 0) i++;
        assert_int_equal(e->g->nodes[i].x.rows, CHANNELS + 1);
        assert_int_equal(e->g->nodes[i].out.rows, CHANNELS);
        assert_int_equal(e->g->nodes[i].a[0], drop_last ? 0 : 1);
        nd_encoder_free(e);
    }
}

/* The reference divides scores by the root of all features; with one head that is the same. */
static void eegconformer_scales_scores(void **state)
{
    (void)state;
    const char *params[] = { "heads=4", "heads=4 full_scale=1", "heads=1" };
    const double widths[] = { 10, 40, 40 };
    for (size_t k = 0; k < COUNT(params); k++) {
        nd_encoder *e;
        assert_int_equal(make(&e, "eegconformer", CHANNELS, SAMPLES, DIM, params[k], 1), ND_OK);
        int i = 0;
        while (strcmp(e->g->nodes[i].op->name, "attention") != 0) i++;
        assert_float_equal(e->g->nodes[i].scale, 1 / sqrt(widths[k]), 1e-7);
        assert_null(ndi_graph_tensor(e->g, "brain_backbone.final_layer.final_layer.0.weight"));
        nd_encoder_free(e);
    }
}

static void sizes_too_small(void **state)
{
    (void)state;
    const struct {
        const char *kind, *params;
        size_t samples;
        const char *expected;
    } cases[] = {
        { "atms", "", 3, "query_projection (linear): got 0 outputs" },
        { "atms", "", 74, "enc_eeg.0.tsconv.0 (conv_time)" },
        { "eegconformer", "", 9, "patch_embedding.shallownet (conv_channels)" },
        { "eegconformer", "", 33, "layer pool (mean_pool): pooling over 25 samples is longer than the input; its input is 40 x 1 x 24" },
        { "eegconformer", "heads=3", 100, "layer attention (attention): 40 features do not divide among 3 heads; its input is 1 x 14 x 40" },
    };
    nd_encoder *e = NULL;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(make(&e, cases[i].kind, 7, cases[i].samples, 8, cases[i].params, 1), ND_ERR_ARGUMENT);
        if (!strstr(nd_last_error(), cases[i].expected)) fail_msg("got: %s, expected: %s", nd_last_error(), cases[i].expected);
    }
    assert_int_equal(make(&e, "lstm", 1, 1, 1, "layers=2 hidden=1 output=1", 1), ND_OK);
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
    assert_true(strstr(nd_last_error(), " nice") && strstr(nd_last_error(), " ridge"));
    assert_int_equal(make(&e, "nice", 63, 70, 8, NULL, 1), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "tsconv.0"));
    assert_int_equal(make(&e, "nice", 0, 70, 8, NULL, 1), ND_ERR_ARGUMENT);
    assert_int_equal(make(&e, "nice", 63, 250, 8, "maps=7, dropout=.25  recipe=reference kernel=9", 1), ND_OK);
    assert_non_null(strstr(e->params_text, "maps=40")); /* the recipe came later and set it back */
    assert_non_null(strstr(e->params_text, "kernel=9"));
    nd_encoder_free(e);
}

static void impossible_sizes_name_the_layer(void **state)
{
    (void)state;
    const struct {
        const char *kind;
        size_t samples;
        const char *params, *layer, *shapes;
    } bad[] = {
        { "eegnet", 31, NULL, "model.pool2 (mean_pool): pooling over 8 samples", "16 x 1 x 7" },
        { "shallow", 74, NULL, "backbone.4 (mean_pool): pooling over 51 samples", "40 x 1 x 50" },
        { "tsconv", 74, NULL, "backbone.0 (conv_time): pooling over 51 samples", "1 x 63 x 74" },
        { "resnet1d", 250, "recipe=reference", "resblock1d_1.conv2 (conv1d): a stride of 1 gives 128 x 1 x 250, asked for are 128 samples",
          "128 x 1 x 250" },
        { "resnet1d", 300, "length1=70", "a stride of 4 gives 128 x 1 x 75, asked for are 70", "128 x 1 x 300" },
        { "resnet1d", 64, "length2=128", "a stride of 1 gives 196 x 1 x 32, asked for are 128", "196 x 1 x 32" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        nd_encoder *e = NULL;
        assert_int_equal(make(&e, bad[i].kind, 63, bad[i].samples, 8, bad[i].params, 1), ND_ERR_ARGUMENT);
        if (!strstr(nd_last_error(), bad[i].layer) || !strstr(nd_last_error(), bad[i].shapes))
            fail_msg("%s %zu: %s", bad[i].kind, bad[i].samples, nd_last_error());
    }
}

/* By default ResNet1d takes any number of samples: half of them, rounded up, behind each block but the first. */
static void resnet_takes_any_length(void **state)
{
    (void)state;
    const char *sizes[] = { "blocks=4 filters0=3 filters1=3 filters2=5 filters3=5 kernel=17",
                            "blocks=4 filters0=3 filters1=3 filters2=5 filters3=5 kernel=4",
                            "blocks=4 filters0=3 filters1=3 filters2=5 filters3=5 kernel=1" };
    for (size_t k = 0; k < COUNT(sizes); k++)
        for (size_t T = 1; T <= 40; T++) {
            nd_encoder *e;
            if (make(&e, "resnet1d", 2, T, 6, sizes[k], 1) != ND_OK) fail_msg("%zu samples: %s", T, nd_last_error());
            size_t length = ((T + 1) / 2 + 1) / 2;
            assert_int_equal(ndi_graph_tensor(e->g, "repr_layer.weight")->shape[1], 5 * ((length + 1) / 2));
            nd_encoder_free(e);
        }
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
        cmocka_unit_test(reference_vectors),
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(rows_save_open_and_embed),
        cmocka_unit_test(initial_weights_are_uniform),
        cmocka_unit_test(initial_weights_are_normal_on_demand),
        cmocka_unit_test(hyper_parameter_text),
        cmocka_unit_test(weights_that_do_not_fit),
        cmocka_unit_test(impossible_sizes_name_the_layer),
        cmocka_unit_test(resnet_takes_any_length),
        cmocka_unit_test(samples_that_are_not_finite),
        cmocka_unit_test(atms_knows_subjects),
        cmocka_unit_test(atms_rows_behind_attention),
        cmocka_unit_test(eegconformer_scales_scores),
        cmocka_unit_test(sizes_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
