/* Preparations: a row for each data set plans which files it reads, what steps it takes and what is written; the handle walks the steps. A step is done when its
 * file is there. Files of temporary steps are deleted at the end. */
#ifndef NDI_PREPARATION_H
#define NDI_PREPARATION_H

#include "base/log.h"
#include "base/mem.h"
#include "base/params.h"
#include "base/pool.h"
#include "io/content.h"
#include "neurodecode/preparation.h"

/* A file that is read. */
typedef struct preparation_input {
    const char *file, *path; /* as the data set names it; where it is */
    uint64_t bytes;
    size_t n_dims, shape[NDI_MAX_DIMS]; /* of what it holds, where the kind has looked; n_dims 0 = it has not */
} preparation_input;

typedef struct preparation_step {
    const char *name, *file, *path; /* file: what it leaves, below the output folder */
    uint64_t bytes;                 /* of the file, about */
    bool temporary;
    nd_status (*run)(nd_preparation *p, const struct preparation_step *step);
    size_t a, b; /* for `run`: which session, which partition, ... */
} preparation_step;

typedef struct preparation_kind {
    const char *name, *title, *source;
    const param *params; /* the same name and meaning in every kind: `subject` */
    size_t n_params;
    size_t own;                           /* bytes of what the kind keeps in `own` of the handle, zeroed at first */
    nd_status (*plan)(nd_preparation *p); /* names the handle, lists inputs and steps, estimates memory */
    void (*release)(void *own);           /* frees what `own` holds; may be NULL */
} preparation_kind;

extern const preparation_kind *const ndi_preparation_kinds[]; /* ends with NULL */

struct nd_preparation {
    const preparation_kind *kind;
    arena memory; /* of names */
    const char *source, *output;
    const char *name; /* of what is made, as "sub-01": the beginning of its files' names */
    double *values;   /* of the parameters */
    bool *given;      /* which of them were named */
    int32_t n_threads;
    preparation_input *inputs;
    const char **missing;
    preparation_step *steps;
    size_t n_inputs, n_missing, n_steps;
    uint64_t memory_bytes;
    void *own;
    /* while it runs */
    pool *workers;
    nd_progress_fn progress;
    void *user;
};

nd_status ndi_preparation_kind_find(const char *name, const preparation_kind **kind);
nd_status ndi_preparation_create(nd_preparation **p, const preparation_kind *kind, const char *source, const nd_preparation_options *o);
void ndi_preparation_free(nd_preparation *p);
nd_status ndi_preparation_report(const nd_preparation *p, text *json);
nd_status ndi_preparation_run(nd_preparation *p, nd_progress_fn fn, void *user);

/* ---- for kinds ---- */

double ndi_preparation_param(const nd_preparation *p, const char *name);        /* of the kind's table */
void ndi_preparation_preset(nd_preparation *p, const char *name, double value); /* unless the caller gave it */

/* A text that lives as long as the handle; NULL where memory ran out. */
const char *ndi_preparation_text(nd_preparation *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Looks for a file below the source folder and lists it as found or, if `needed`, as missing. *input: the entry, NULL if it is not there; valid until the next call. */
nd_status ndi_preparation_look(nd_preparation *p, const char *file, bool needed, preparation_input **input);

/* Adds a step; `path` is set here. */
nd_status ndi_preparation_add_step(nd_preparation *p, const preparation_step *step);

#endif
