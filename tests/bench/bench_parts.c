/* What stands around the networks, one thread: losses with their gradients, the optimiser, search in a gallery, one trial from its samples to its rank, and loading a model. One CSV line
 * each: GFLOP/s (of a search, as if every scalar product were made), GB/s of what must be read and written, and per cent of what the machine can do. */
#include <unistd.h>

#include "base/mem.h"
#include "bench.h"
#include "loss/loss.h"
#include "train/optimiser.h"

/* ---- losses ---- */

typedef struct loss_case {
    nd_loss *loss;
    loss_space *space;
    loss_call call;
} loss_case;

static void evaluate(void *context)
{
    loss_case *l = context;
    loss_call c = l->call;
    l->loss->kind->evaluate(&l->loss->options, l->space, &c);
}

static void bench_loss(const machine *m, const char *kind, size_t n, size_t dim)
{
    loss_case l = {
        .call = { .n = n, .dim = dim, .v = noise(n * dim), .z = noise(n * dim), .scale = 25, .grad_v = noise(n * dim), .grad_z = noise(n * dim) }
    };
    nd_loss_options o;
    OK(nd_loss_options_init(&o, sizeof o));
    OK(ndi_loss_create(&l.loss, kind, &o));
    OK(ndi_loss_space_create(&l.space, n, dim, NULL));
    char name[80];
    snprintf(name, sizeof name, "%s %zu x %zu with gradients", kind, n, dim);
    print_case(m, name, least_time(evaluate, &l, 0.5), 6e-9 * (double)(n * n * dim), 0); /* S, and the gradients of both sides */
    ndi_loss_space_free(l.space);
    ndi_loss_free(l.loss);
    float *blocks[] = { (float *)(uintptr_t)l.call.v, (float *)(uintptr_t)l.call.z, l.call.grad_v, l.call.grad_z };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
}

/* ---- optimisers ---- */

typedef struct optimise_case {
    rule r;
    float *g, *p, *moments[NDI_MOMENTS];
    size_t n;
} optimise_case;

static void optimise(void *context)
{
    optimise_case *o = context;
    update u = ndi_update(&o->r, 1, o->p, o->moments);
    ndi_optimise(NULL, &u, o->g, o->n);
}

static void bench_optimiser(const machine *m, size_t n)
{
    optimise_case o = { .r = { .learning_rate = 1e-4, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 1 }, .n = n };
    OK(ndi_optimiser_find(ND_OPTIMISER_ADAMW, &o.r.kind));
    o.g = noise(n);
    o.p = noise(n);
    for (int i = 0; i < NDI_MOMENTS; i++) o.moments[i] = calloc(n, sizeof(float));
    char name[80];
    snprintf(name, sizeof name, "AdamW of %zu parameters", n);
    print_case(m, name, least_time(optimise, &o, 0.5), 0, 7 * 4e-9 * (double)n); /* four read, three written */
    free(o.g);
    free(o.p);
    for (int i = 0; i < NDI_MOMENTS; i++) free(o.moments[i]);
}

/* ---- retrieval ---- */

enum { CANDIDATES = 100000, WIDTH = 768, QUERIES = 200, BEST = 10 };

typedef struct search_case {
    nd_retrieval *r;
    float *queries;
    size_t n, indices[QUERIES * BEST];
} search_case;

static void search(void *context)
{
    search_case *s = context;
    OK(nd_retrieval_search(s->r, s->queries, s->n, BEST, s->indices, NULL));
}

static void bench_retrieval(const machine *m)
{
    static const size_t queries[] = { 1, 10, QUERIES };
    float *gallery = noise((size_t)CANDIDATES * WIDTH);
    nd_retrieval_options o;
    search_case s = { .queries = noise(QUERIES * WIDTH) };
    OK(nd_retrieval_options_init(&o, sizeof o));
    o.n_threads = 1;
    OK(nd_retrieval_create(&s.r, gallery, CANDIDATES, WIDTH, NULL, &o));
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        s.n = queries[i];
        char name[80];
        snprintf(name, sizeof name, "%d best of %d x %d for %zu", BEST, CANDIDATES, WIDTH, s.n);
        const double size = (double)CANDIDATES * WIDTH;
        print_case(m, name, least_time(search, &s, 0.5), 2e-9 * size * (double)s.n, s.n < QUERIES ? 4e-9 * size : 0);
    }
    nd_retrieval_free(s.r);
    free(s.queries);
    free(gallery);
}

/* ---- one trial ---- */

enum { CHANNELS = 63, SAMPLES = 250, DIM = 512, IMAGES = 200 };

typedef struct trial_case {
    nd_encoder *encoder;
    nd_retrieval *r;
    float *x, v[DIM];
    const char *path;
} trial_case;

static void decode(void *context)
{
    trial_case *t = context;
    size_t best[5];
    OK(nd_encoder_embed(t->encoder, t->x, 1, t->v, DIM));
    OK(nd_retrieval_search(t->r, t->v, 1, 5, best, NULL));
}

static void load(void *context)
{
    trial_case *t = context;
    nd_encoder *e;
    OK(nd_encoder_open(&e, t->path, NULL));
    nd_encoder_free(e);
}

static void bench_trial(const machine *m)
{
    char path[200];
    float *gallery = noise(IMAGES * DIM);
    nd_encoder_options eo;
    nd_retrieval_options ro;
    trial_case t = { .x = noise(CHANNELS * SAMPLES), .path = path };
    OK(nd_encoder_options_init(&eo, sizeof eo));
    OK(nd_retrieval_options_init(&ro, sizeof ro));
    eo.n_channels = CHANNELS;
    eo.n_samples = SAMPLES;
    eo.embed_dim = DIM;
    eo.n_threads = ro.n_threads = 1;
    OK(nd_encoder_create(&t.encoder, "nice", &eo));
    OK(nd_retrieval_create(&t.r, gallery, IMAGES, DIM, NULL, &ro));
    print_case(m, "NICE: one trial among 200 images", least_time(decode, &t, 1), 0, 0);
    temporary(path, sizeof path);
    close(mkstemp(path));
    OK(nd_encoder_save(t.encoder, path));
    print_case(m, "NICE: loading a model", least_time(load, &t, 1), 0, 0);
    unlink(path);
    nd_retrieval_free(t.r);
    nd_encoder_free(t.encoder);
    free(gallery);
    free(t.x);
}

int main(void)
{
    const machine m = begin_table();
    bench_loss(&m, "infonce", 128, 512);
    bench_loss(&m, "infonce", 1024, 512);
    bench_optimiser(&m, 1367808);
    bench_optimiser(&m, 33500000);
    bench_retrieval(&m);
    bench_trial(&m);
    return 0;
}
