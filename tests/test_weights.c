/* Weights of other programs in an encoder: under every name they come by, of every type of float, and what is said of those that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "check.h"
#include "encoders/encoder.h"
#include "fault.h"
#include "golden.h"
#include "io/format.h"
#include "neurodecode/file.h"
#include "temp.h"

static const float others[24] = { 1, 2, 3 };

enum { CHANNELS = 3, SAMPLES = 101, DIM = 4, TRIALS = 2 };

static nd_status open_weights(nd_encoder **e, const char *path)
{
    nd_encoder_options o;
    OK(nd_encoder_options_init(&o, sizeof o));
    o.n_channels = CHANNELS;
    o.n_samples = SAMPLES;
    o.params = "maps=3";
    return nd_encoder_open_weights(e, "nice", path, &o);
}

static nd_encoder *make_encoder(void)
{
    nd_encoder_options o;
    nd_encoder *e;
    OK(nd_encoder_options_init(&o, sizeof o));
    o.n_channels = CHANNELS;
    o.n_samples = SAMPLES;
    o.embed_dim = DIM;
    o.params = "maps=3";
    OK(nd_encoder_create(&e, "nice", &o));
    return e;
}

/* The tensors of an encoder under `prefix`, without `skip`, as one of the types, and other things beside them. */
static void write_weights(const char *path, const nd_encoder *e, const char *prefix, size_t skip, dtype type)
{
    enum { MOST = 64 };
    put_array arrays[MOST + 2];
    char names[MOST][160];
    const size_t n = (size_t)e->g->n_tensors;
    void *wide[MOST] = { NULL };
    assert_true(n < MOST);
    for (size_t i = 0; i < n; i++) {
        const tensor *t = &e->g->tensors[i];
        const float *values = ndi_encoder_values(e, t);
        wide[i] = malloc(t->n * ndi_dtype_size(type));
        for (size_t k = 0; k < t->n; k++) {
            const double d = (double)values[k];
            uint32_t bits;
            memcpy(&bits, &values[k], sizeof bits);
            if (type == DTYPE_F64) memcpy((double *)wide[i] + k, &d, sizeof d);
            if (type == DTYPE_F32) memcpy((float *)wide[i] + k, &values[k], sizeof values[k]);
            if (type == DTYPE_BF16) ((uint16_t *)wide[i])[k] = (uint16_t)(bits >> 16);
        }
        ndi_format(names[i], sizeof names[i], "%s%s", prefix, t->name + skip * (strncmp(t->name, "brain_backbone.", 15) == 0));
        arrays[i] = (put_array){ .name = names[i], .type = type, .n_dims = t->n_dims, .data = wide[i] };
        memcpy(arrays[i].shape, t->shape, t->n_dims * sizeof *t->shape);
    }
    arrays[n] = (put_array){ .name = "optimizer_state_dict.state.0.exp_avg", .type = DTYPE_F32, .n_dims = 1, .shape = { 24 }, .data = others };
    arrays[n + 1] = (put_array){ .name = "epoch", .type = DTYPE_F32, .data = others };
    OK(ndi_format_write(path, "safetensors", &(put){ .arrays = arrays, .n_arrays = n + (*prefix ? 2 : 0) }));
    for (size_t i = 0; i < n; i++) free(wide[i]);
}

static void weights_under_every_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        size_t skip; /* 15: without "brain_backbone." */
        dtype type;
    } cases[] = {
        { "", 0, DTYPE_F32 },
        { "", 15, DTYPE_F64 },
        { "state/", 0, DTYPE_F32 },
        { "model_state_dict.", 0, DTYPE_F64 },
        { "model_state_dict.module.", 0, DTYPE_F32 },
        { "model_state_dict.", 15, DTYPE_F32 },
        { "state_dict.model.", 0, DTYPE_F32 },
        { "state_dict.module.", 15, DTYPE_F32 },
        { "model.", 0, DTYPE_F32 },
        { "module.", 0, DTYPE_F32 },
        { "model_state_dict.", 0, DTYPE_BF16 },
    };
    nd_encoder *e = make_encoder();
    const char *path = nd_test_temp("w.safetensors");
    for (size_t i = 0; i < COUNT(cases); i++) {
        nd_encoder *opened;
        char json[16384];
        write_weights(path, e, cases[i].prefix, cases[i].skip, cases[i].type);
        if (open_weights(&opened, path) != ND_OK) fail_msg("'%s': %s", cases[i].prefix, nd_last_error());
        if (cases[i].type != DTYPE_BF16) assert_memory_equal(e->params, opened->params, e->g->n_params * sizeof(float));
        assert_true(nd_test_relative_error(opened->params, e->params, e->g->n_params) < 0.01);
        nd_encoder_free(opened);
        OK(nd_file_describe(path, json, sizeof json, NULL));
        assert_non_null(strstr(json, "\"resembles\":\"nice\""));
    }
    nd_encoder_free(e);
}

/* What does not fit is named as the file and as the encoder have it; what stands elsewhere is nobody's business. */
static void weights_that_do_not_fit(void **state)
{
    (void)state;
    nd_encoder *e = make_encoder(), *opened = (nd_encoder *)16;
    const char *path = nd_test_temp("w.safetensors");
    tensor *first = &e->g->tensors[0];
    first->shape[3] /= 5;
    first->shape[2] *= 5;
    write_weights(path, e, "state_dict.", 0, DTYPE_F32);
    FAILS(ND_ERR_FORMAT, "tsconv.0.weight has shape (3, 1, 5, 5), expected (3, 1, 1, 25)", open_weights(&opened, path));
    assert_null(opened);
    first->shape[3] *= 5;
    first->shape[2] /= 5;
    memcpy(first->name + strlen(first->name) - 6, "heavy!", 6);
    write_weights(path, e, "state_dict.", 0, DTYPE_F32);
    FAILS(ND_ERR_FORMAT, "brain_backbone.encoder.0.tsconv.0.weight is missing", open_weights(&opened, path));
    FAILS(ND_ERR_FORMAT, "state_dict.brain_backbone.encoder.0.tsconv.0.heavy! is not part of this encoder", open_weights(&opened, path));
    assert_null(strstr(nd_last_error(), "optimizer"));
    nd_encoder_free(e);
}

static nd_status open_the_weights(void *path)
{
    nd_encoder *e;
    TRY(open_weights(&e, path));
    nd_encoder_free(e);
    return ND_OK;
}

static void weights_without_memory(void **state)
{
    (void)state;
    char path[1024];
    nd_encoder *e = make_encoder();
    snprintf(path, sizeof path, "%s", nd_test_temp("w.safetensors"));
    write_weights(path, e, "model_state_dict.module.", 0, DTYPE_F32);
    assert_true(nd_test_faults(open_the_weights, path) > 20);
    nd_encoder_free(e);
}

/* A checkpoint of the reference system, and what it makes of eight trials. */
static void reference_checkpoint(void **state)
{
    (void)state;
    const char *path = nd_test_golden_path("nice_things-eeg-2_seed42_12.pth");
    content *c = nd_test_golden("nice-pth-io.npz");
    if (!path || !c) {
        print_message("nice_things-eeg-2_seed42_12.pth: skipped, not beside ND_DATA\n");
        ndi_content_free(c);
        skip();
    }
    size_t n_x, n_v;
    float *x = nd_test_floats(c, "x", &n_x), *v = nd_test_floats(c, "v", &n_v), *found = ndi_alloc(n_v, sizeof *found);
    nd_encoder *e;
    nd_encoder_options o;
    OK(nd_encoder_options_init(&o, sizeof o));
    o.n_channels = 17;
    o.n_samples = 250;
    OK(nd_encoder_open_weights(&e, "nice", nd_test_golden_path("nice_things-eeg-2_seed42_12.pth"), &o));
    assert_int_equal(e->s.dim, 16);
    OK(nd_encoder_embed(e, x, n_x / (17 * 250), found, n_v));
    const double error = nd_test_relative_error(found, v, n_v);
    if (!(error < 1e-5)) fail_msg("relative error %g", error);
    nd_encoder_free(e);
    ndi_content_free(c);
    ndi_free(x);
    ndi_free(v);
    ndi_free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_under_every_prefix),
        cmocka_unit_test(weights_that_do_not_fit),
        cmocka_unit_test(weights_without_memory),
        cmocka_unit_test(reference_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
