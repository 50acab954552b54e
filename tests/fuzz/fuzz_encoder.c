/* Any bytes as hyper-parameters of every architecture (first byte even) or as a file of weights (odd): each succeeds or fails cleanly, and what opens can
 * be used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "encoders/encoder.h"
#include "target.h"

enum { CHANNELS = 2, SAMPLES = 90, DIM = 8, MOST_TEXT = 400, MOST_DIM = 4096 };

const char *fuzz_extension = "";

static void insist(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "%s: %s\n", what, nd_last_error());
    abort();
}

static nd_encoder_options options(void)
{
    nd_encoder_options o;
    insist(nd_encoder_options_init(&o, sizeof o) == ND_OK, "options");
    o.n_channels = CHANNELS;
    o.n_samples = SAMPLES;
    o.n_threads = 1;
    return o;
}

/* Planned, not made: hyper-parameters may ask for more memory than there is. The plan can be listed, and its text gives the same plan again. */
static void try_params(const encoder_kind *kind, const char *params)
{
    nd_encoder_options o = options();
    nd_encoder *e, *again;
    text layers = { 0 };
    o.embed_dim = DIM;
    o.params = params;
    if (ndi_encoder_plan(&e, kind, &o) != ND_OK) {
        insist(strlen(nd_last_error()) > 0, "failure without a message");
        return;
    }
    insist(ndi_encoder_layers(e, &layers) == ND_OK, "layers");
    o.params = e->params_text;
    insist(ndi_encoder_plan(&again, kind, &o) == ND_OK && again->g->n_params == e->g->n_params, "the same once more");
    ndi_text_free(&layers);
    ndi_encoder_free(again);
    ndi_encoder_free(e);
}

static void use(nd_encoder *e)
{
    static float x[CHANNELS * SAMPLES], v[MOST_DIM];
    if (e->s.channels * e->s.samples <= CHANNELS * SAMPLES && e->s.dim <= MOST_DIM) {
        nd_status status = ndi_encoder_embed(e, x, NULL, 1, v);
        insist(status == ND_OK || status == ND_ERR_MEMORY, "embed");
    }
    nd_encoder_free(e);
}

static void try_file(const char *path)
{
    nd_encoder_options o = options();
    nd_encoder *e = NULL;
    if (nd_encoder_open(&e, path, NULL) == ND_OK) use(e);
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) {
        if (nd_encoder_open_weights(&e, (*k)->name, path, &o) == ND_OK)
            use(e);
        else
            insist(e == NULL && strlen(nd_last_error()) > 0, "failure without a message");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static int file = -1;
    char path[64], params[MOST_TEXT + 1] = { 0 };
    if (n == 0) return 0;
    if (bytes[0] % 2 == 0) {
        memcpy(params, bytes + 1, n - 1 < MOST_TEXT ? n - 1 : MOST_TEXT);
        for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) try_params(*k, params);
        return 0;
    }
    if (file < 0) file = memfd_create("input", 0);
    insist(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, bytes + 1, n - 1, 0) == (ssize_t)(n - 1), "memfd");
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    try_file(path);
    return 0;
}
