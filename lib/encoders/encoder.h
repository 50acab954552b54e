/* An encoder: one row of the table (architecture), a spec (its hyper-parameters and sizes), the graph built from them, the values. */
#ifndef NDI_ENCODER_H
#define NDI_ENCODER_H

#include <jansson.h>
#include <stdatomic.h>

#include "base/params.h"
#include "data/dataset.h"
#include "io/content.h"
#include "neurodecode/encoder.h"
#include "nn/graph.h"

enum { NDI_MAX_PARAMS = 32 }; /* of a kind, those all kinds share included */

/* What an ensemble is made of. */
typedef struct ensemble_members {
    const nd_encoder *const *e;
    size_t n;
} ensemble_members;

typedef struct spec {
    const struct encoder_kind *kind;
    double values[NDI_MAX_PARAMS];
    bool given[NDI_MAX_PARAMS];      /* named in the text */
    size_t channels, samples, dim;
    const ensemble_members *members; /* of an ensemble, while it is built */
} spec;

/* What a closed form is fitted on: trials and, for each, its target. */
typedef struct fit_data {
    const nd_dataset *dataset;
    const size_t *trials;
    size_t n;
    const float *const *targets;     /* n rows of dim */
    pool *threads;
    progress *progress;
} fit_data;

/* One architecture: one file, one row in encoders.c. */
typedef struct encoder_kind {
    const char *name, *title, *source;
    const param *params;
    size_t n_params;
    const char *dim_tensor;          /* its first extent is the embedding size */
    void (*build)(graph *g, const spec *s, int x); /* adds its nodes behind node x: one map, channels x samples */
    nd_status (*fit)(nd_encoder *e, const fit_data *data); /* NULL: trained step by step */
} encoder_kind;

extern const encoder_kind *const ndi_encoder_kinds[]; /* NULL-terminated */
nd_status ndi_encoder_kind_find(const char *name, const encoder_kind **kind); /* the error lists the table */

const param *ndi_kind_param(const encoder_kind *kind, size_t index); /* its own, then those all kinds share (subject_layers.c); NULL past the end */
double ndi_get(const spec *s, const char *name);
static inline size_t ndi_get_size(const spec *s, const char *name) { return (size_t)ndi_get(s, name); }
nd_status ndi_spec_parse(spec *s, const encoder_kind *kind, const char *list); /* "name=value ..." over the defaults */
void ndi_spec_format(const spec *s, text *t);

/* A layer's name of parts, for constructors of nodes, which copy it. */
typedef struct layer_name {
    char s[96];
} layer_name;
layer_name ndi_layer(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct nd_encoder {
    atomic_int references;
    spec s;
    graph *g;
    float *params, *state;
    uint64_t revision;               /* of these values: whoever writes them adds 1, by ndi_encoder_changed() */
    int32_t n_threads;
    json_t *meta;                    /* object */
    int32_t *subjects;               /* ids of the people it was made for, ascending: row k + 1 of its tables is subjects[k]; NULL = ids are rows */
    size_t n_subjects;
    bool raw_subjects;               /* ids are rows whatever the list says */
    char *params_text;
    const char *meta_text;           /* in `texts`, where earlier ones stay: callers may still hold them */
    arena texts;
    _Atomic(struct session *) spare; /* what the last embed used, for the next */
};

nd_status ndi_encoder_create(nd_encoder **e, const encoder_kind *kind, const nd_encoder_options *o);
nd_status ndi_encoder_plan(nd_encoder **e, const encoder_kind *kind, const nd_encoder_options *o); /* the same without values, for who reads them from a file */
nd_status ndi_encoder_plan_of(nd_encoder **e, const encoder_kind *kind, const nd_encoder_options *o, const ensemble_members *m);
nd_status ndi_encoder_allocate(nd_encoder *e);                                                     /* its values, all zero */
nd_status ndi_encoder_create_for(nd_encoder **e, const encoder_kind *kind, const nd_dataset *d, const nd_encoder_options *o);
nd_encoder *ndi_encoder_ref(nd_encoder *e);
void ndi_encoder_free(nd_encoder *e);
nd_status ndi_encoder_set_meta(nd_encoder *e, const char *key, json_t *value); /* takes the value, also on failure; NULL value = out of memory */
nd_status ndi_encoder_take_meta(nd_encoder *e, json_t *meta);                  /* takes the object, also on failure */
nd_status ndi_encoder_layers(const nd_encoder *e, text *t);
static inline void ndi_encoder_changed(nd_encoder *e) { e->revision++; }
float *ndi_encoder_values(const nd_encoder *e, const tensor *t);

/* subject_layers.c: layers with a part for each person, in front of an encoder and behind it. */
int ndi_subject_front(graph *g, const spec *s); /* the node that the encoder starts from */
void ndi_subject_back(graph *g, const spec *s);
bool ndi_reads_subjects(const spec *s);

/* subjects.c: from ids of people to rows of the subject tables. */
int32_t ndi_encoder_subject(const nd_encoder *e, int32_t id);    /* 0 = unknown */
nd_status ndi_encoder_read_subjects(nd_encoder *e);              /* from the metadata */
nd_status ndi_subjects_list(const nd_dataset *d, json_t **list); /* the distinct ids of known people, ascending */
nd_status ndi_subjects_default(const encoder_kind *kind, const char *params, size_t n, text *t); /* `params`, with subjects=n where they need it and do not say it */

/* ensemble.c */
extern const encoder_kind ndi_encoder_ensemble; /* not in the table: made of encoders, not of sizes */
nd_status ndi_ensemble_create(nd_encoder **e, const ensemble_members *m, int32_t mode);
nd_status ndi_ensemble_plan(nd_encoder **e, const nd_encoder_options *o, const json_t *meta); /* as a file describes it */

/* weights.c */
nd_status ndi_encoder_save(const nd_encoder *e, const char *path);
nd_status ndi_encoder_open(nd_encoder **e, const char *path, const nd_encoder_options *o);
nd_status ndi_encoder_open_weights(nd_encoder **e, const encoder_kind *kind, const char *path, const nd_encoder_options *o);
nd_status ndi_encoder_recognise(const content *c, const encoder_kind **kind); /* whose tensors foreign weights seem to be; NULL = nobody's */

/* embed.c */
nd_status ndi_encoder_embed(const nd_encoder *e, const float *x, const int32_t *subjects, size_t n, float *embeddings); /* subjects: ids; NULL = unknown */
nd_status ndi_encoder_embed_dataset(const nd_encoder *e, const nd_dataset *d, float *embeddings, size_t capacity, nd_progress_fn progress, void *user);
nd_status ndi_encoder_embed_bank(const nd_encoder *e, const nd_bank *bank, nd_bank **projected); /* embed_bank.c */
void ndi_session_free(struct session *s);
nd_status ndi_encoder_check_dataset(const nd_encoder *e, const nd_dataset *d); /* channels, samples, rate, window, normalisation */

#endif
