/* Mean and deviation of each voxel in each session of NSD, over all trials or those marked. A session is one worker's from start to end and its trials are visited in order (Welford 1962:
 * m_k = m_{k-1} + (x_k - m_{k-1}) / k,  S_k = S_{k-1} + (x_k - m_{k-1}) (x_k - m_k)), so the result does not depend on the number of threads. */
#include <math.h>

#include "data/nsd.h"
#include "io/format.h"

typedef struct finding {
    nsd_scale *s;
    const nsd_voxels *v;
    const bool *marked;
    size_t first; /* session of task 0 */
    double **x;   /* of each worker: a trial, and what reading it takes */
} finding;

static nd_status find_session(const finding *f, size_t session, double *x)
{
    const size_t n = f->v->n_voxels;
    double *mean = f->s->mean + session * n, *square = f->s->gain + session * n;
    size_t count = 0;
    for (size_t trial = session * NSD_SESSION; trial < (session + 1) * NSD_SESSION; trial++) {
        if (f->marked && !f->marked[trial]) continue;
        TRY(ndi_nsd_voxels_read(f->v, trial, x, x + n));
        const double share = 1 / (double)++count;
        for (size_t i = 0; i < n; i++) {
            const double d = x[i] - mean[i];
            mean[i] += d * share;
            square[i] += d * (x[i] - mean[i]);
        }
    }
    CHECK(count > 1, ND_ERR_FORMAT, "session %zu: has %zu trials to take the deviation of, expected 2 or more", session + 1, count);
    for (size_t i = 0; i < n; i++) square[i] = square[i] > 0 ? 1 / sqrt(square[i] / (double)count) : 0;
    return ND_OK;
}

static nd_status session_task(void *context, size_t task, size_t worker)
{
    const finding *f = context;
    return find_session(f, f->first + task, f->x[worker]);
}

/* As many sessions at a time as there are workers. */
static nd_status find_all(finding *f, pool *p, nd_progress_fn fn, void *user)
{
    progress report;
    ndi_progress_begin(&report, fn, user, "measure", "trials", 0, f->v->n_trials);
    const size_t n_workers = ndi_pool_threads(p);
    for (f->first = 0; f->first < f->s->n_sessions; f->first += n_workers) {
        const size_t left = f->s->n_sessions - f->first, n = left < n_workers ? left : n_workers;
        TRY(ndi_pool_try(p, n, session_task, f));
        TRY(ndi_progress_at(&report, (f->first + n) * NSD_SESSION));
    }
    return ND_OK;
}

nd_status ndi_nsd_scale_find(nsd_scale *s, const nsd_voxels *v, const bool *marked, pool *p, nd_progress_fn fn, void *user)
{
    const size_t n_workers = ndi_pool_threads(p);
    finding f = { .s = s, .v = v, .marked = marked };
    nd_status status;
    *s = (nsd_scale){ .n_sessions = v->n_trials / NSD_SESSION };
    GO(NEW(s->mean, s->n_sessions * v->n_voxels));
    GO(NEW(s->gain, s->n_sessions * v->n_voxels));
    GO(NEW(f.x, n_workers));
    for (size_t i = 0; i < n_workers; i++) GO(NEW(f.x[i], v->n_voxels + ndi_nsd_voxels_scratch(v)));
    GO(find_all(&f, p, fn, user));
done:
    for (size_t i = 0; f.x && i < n_workers; i++) ndi_free(f.x[i]);
    ndi_free(f.x);
    if (status != ND_OK) ndi_nsd_scale_free(s);
    return status;
}

nd_status ndi_nsd_scale_save(const nsd_scale *s, size_t n_voxels, const char *path)
{
    const put_array arrays[] = {
        { .name = "mean", .type = DTYPE_F64, .n_dims = 2, .shape = { s->n_sessions, n_voxels }, .data = s->mean },
        { .name = "gain", .type = DTYPE_F64, .n_dims = 2, .shape = { s->n_sessions, n_voxels }, .data = s->gain },
    };
    const put all = { .arrays = arrays, .n_arrays = COUNT(arrays) };
    return ndi_format_write(path, "npz", &all);
}

static nd_status read_numbers(const content *c, const char *name, size_t n, double **to)
{
    const array *a;
    TRY(ndi_content_pick(c, name, &a));
    CHECK(a->n == n, ND_ERR_FORMAT, "%s: array '%s' has %zu numbers, expected %zu", ndi_stream_name(a->in), name, a->n, n);
    TRY(NEW(*to, n));
    return ndi_array_read_f64(a, 0, n, *to);
}

nd_status ndi_nsd_scale_open(nsd_scale *s, size_t n_sessions, size_t n_voxels, const char *path)
{
    content *c;
    *s = (nsd_scale){ .n_sessions = n_sessions };
    TRY(ndi_content_open(&c, path));
    nd_status status = read_numbers(c, "mean", n_sessions * n_voxels, &s->mean);
    if (status == ND_OK) status = read_numbers(c, "gain", n_sessions * n_voxels, &s->gain);
    ndi_content_free(c);
    if (status != ND_OK) ndi_nsd_scale_free(s);
    return status;
}

void ndi_nsd_scale_free(nsd_scale *s)
{
    ndi_free(s->mean);
    ndi_free(s->gain);
    *s = (nsd_scale){ 0 };
}
