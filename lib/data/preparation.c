#include "data/preparation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "data/prepare_nsd.h"
#include "data/prepare_things_eeg2.h"
#include "data/prepare_things_meg.h"
#include "io/files.h"
#include "io/json.h"

const preparation_kind *const ndi_preparation_kinds[] = { &ndi_prepare_nsd, &ndi_prepare_things_eeg2, &ndi_prepare_things_meg, NULL };

nd_status ndi_preparation_kind_find(const char *name, const preparation_kind **kind)
{
    text names = { 0 };
    for (size_t i = 0; ndi_preparation_kinds[i]; i++) {
        *kind = ndi_preparation_kinds[i];
        if (strcmp(name, (*kind)->name) == 0) {
            ndi_text_free(&names);
            return ND_OK;
        }
        ndi_text_add(&names, " %s", (*kind)->name);
    }
    nd_status status = ndi_fail(ND_ERR_ARGUMENT, "preparation: no kind '%s'; there are%s", name, names.s ? names.s : "");
    ndi_text_free(&names);
    return status;
}

/* ---- what kinds use ---- */

static size_t find_param(const nd_preparation *p, const char *name)
{
    size_t i = 0;
    while (strcmp(p->kind->params[i].name, name) != 0) i++;
    return i;
}

double ndi_preparation_param(const nd_preparation *p, const char *name) { return p->values[find_param(p, name)]; }

void ndi_preparation_preset(nd_preparation *p, const char *name, double value)
{
    const size_t i = find_param(p, name);
    if (!p->given[i]) p->values[i] = value;
}

const char *ndi_preparation_text(nd_preparation *p, const char *format, ...)
{
    char s[4096];
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(s, sizeof s, format, arguments);
    va_end(arguments);
    return ndi_arena_text(&p->memory, s, strlen(s));
}

/* Room for one more entry. */
static nd_status grow(void *list, size_t n, size_t size)
{
    void **items = list, *more = ndi_realloc(*items, n * size, (n + 1) * size);
    CHECK(more, ND_ERR_MEMORY, "out of memory: %zu x %zu bytes", n + 1, size);
    *items = more;
    return ND_OK;
}

nd_status ndi_preparation_look(nd_preparation *p, const char *file, bool needed, preparation_input **input)
{
    struct stat about;
    const char *path = ndi_preparation_text(p, "%s/%s", p->source, file), *name = ndi_preparation_text(p, "%s", file);
    *input = NULL;
    CHECK(path && name, ND_ERR_MEMORY, "%s: out of memory", file);
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode)) {
        TRY(grow(&p->inputs, p->n_inputs, sizeof *p->inputs));
        *input = &p->inputs[p->n_inputs++];
        **input = (preparation_input){ .file = name, .path = path, .bytes = (uint64_t)about.st_size };
    } else if (needed) {
        TRY(grow(&p->missing, p->n_missing, sizeof *p->missing));
        p->missing[p->n_missing++] = name;
    }
    return ND_OK;
}

nd_status ndi_preparation_add_step(nd_preparation *p, const preparation_step *step)
{
    TRY(grow(&p->steps, p->n_steps, sizeof *p->steps));
    preparation_step *s = &p->steps[p->n_steps];
    *s = *step;
    s->path = ndi_preparation_text(p, "%s/%s", p->output, step->file);
    CHECK(step->name && step->file && s->path, ND_ERR_MEMORY, "preparation: out of memory");
    p->n_steps++;
    return ND_OK;
}

/* ---- the handle ---- */

void ndi_preparation_free(nd_preparation *p)
{
    if (!p) return;
    if (p->own && p->kind->release) p->kind->release(p->own);
    ndi_free(p->own);
    ndi_free(p->values);
    ndi_free(p->given);
    ndi_free(p->inputs);
    ndi_free(p->missing);
    ndi_free(p->steps);
    ndi_arena_free(&p->memory);
    ndi_free(p);
}

static nd_status check_source(const char *source)
{
    struct stat about;
    CHECK(stat(source, &about) == 0, ND_ERR_IO, "%s: %s", source, strerror(errno));
    CHECK(S_ISDIR(about.st_mode), ND_ERR_IO, "%s: is a file, expected the folder of the data set", source);
    return ND_OK;
}

nd_status ndi_preparation_create(nd_preparation **out, const preparation_kind *kind, const char *source, const nd_preparation_options *o)
{
    nd_preparation *p;
    nd_status status;
    TRY(check_source(source));
    TRY(NEW(p, 1));
    p->kind = kind;
    p->n_threads = o->n_threads;
    p->source = ndi_arena_text(&p->memory, source, strlen(source));
    p->output = ndi_arena_text(&p->memory, o->output, strlen(o->output));
    if (!p->source || !p->output) GO(ndi_fail(ND_ERR_MEMORY, "%s: out of memory", source));
    GO(NEW(p->values, kind->n_params));
    GO(NEW(p->given, kind->n_params));
    GO(ndi_params_parse(kind->name, kind->params, kind->n_params, o->params, p->values, p->given));
    p->own = ndi_alloc(1, kind->own);
    if (!p->own) GO(ndi_fail(ND_ERR_MEMORY, "%s: out of memory", source));
    GO(kind->plan(p));
    *out = p;
    return ND_OK;
done:
    ndi_preparation_free(p);
    return status;
}

/* ---- how far it is ---- */

static bool outputs_exist(const nd_preparation *p)
{
    for (size_t i = 0; i < p->n_steps; i++)
        if (!p->steps[i].temporary && !ndi_file_exists(p->steps[i].path)) return false;
    return true;
}

/* Where all is made, what led there has been deleted. */
static bool is_done(const nd_preparation *p, const preparation_step *s) { return ndi_file_exists(s->path) || (s->temporary && outputs_exist(p)); }

static uint64_t bytes_left(const nd_preparation *p)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->n_steps; i++)
        if (!is_done(p, &p->steps[i])) bytes += p->steps[i].bytes;
    return bytes;
}

static nd_status list_params(const nd_preparation *p, json_t *object)
{
    json_t *params = json_object();
    TRY(ndi_json_set(object, "params", params));
    for (size_t i = 0; i < p->kind->n_params; i++) TRY(ndi_json_set(params, p->kind->params[i].name, json_real(p->values[i])));
    return ND_OK;
}

static nd_status list_input(const preparation_input *input, json_t *found)
{
    json_t *entry = json_object();
    TRY(ndi_json_append(found, entry));
    TRY(ndi_json_set(entry, "file", json_string(input->file)));
    TRY(ndi_json_set(entry, "bytes", json_integer((json_int_t)input->bytes)));
    json_t *shape = json_array();
    TRY(ndi_json_set(entry, "shape", shape));
    for (size_t k = 0; k < input->n_dims; k++) TRY(ndi_json_append(shape, json_integer((json_int_t)input->shape[k])));
    return ND_OK;
}

static nd_status list_inputs(const nd_preparation *p, json_t *object)
{
    json_t *found = json_array();
    TRY(ndi_json_set(object, "found", found));
    for (size_t i = 0; i < p->n_inputs; i++) TRY(list_input(&p->inputs[i], found));
    json_t *missing = json_array();
    TRY(ndi_json_set(object, "missing", missing));
    for (size_t i = 0; i < p->n_missing; i++) TRY(ndi_json_append(missing, json_string(p->missing[i])));
    return ND_OK;
}

static nd_status list_step(const nd_preparation *p, const preparation_step *s, json_t *steps)
{
    json_t *entry = json_object();
    TRY(ndi_json_append(steps, entry));
    TRY(ndi_json_set(entry, "name", json_string(s->name)));
    return ndi_json_set(entry, "done", json_boolean(is_done(p, s)));
}

static nd_status list_output(const preparation_step *s, json_t *outputs)
{
    json_t *entry = json_object();
    TRY(ndi_json_append(outputs, entry));
    TRY(ndi_json_set(entry, "file", json_string(s->file)));
    TRY(ndi_json_set(entry, "bytes", json_integer((json_int_t)s->bytes)));
    return ndi_json_set(entry, "exists", json_boolean(ndi_file_exists(s->path)));
}

static nd_status list_steps(const nd_preparation *p, json_t *object)
{
    json_t *steps = json_array();
    TRY(ndi_json_set(object, "steps", steps));
    for (size_t i = 0; i < p->n_steps; i++) TRY(list_step(p, &p->steps[i], steps));
    json_t *outputs = json_array();
    TRY(ndi_json_set(object, "outputs", outputs));
    for (size_t i = 0; i < p->n_steps; i++)
        if (!p->steps[i].temporary) TRY(list_output(&p->steps[i], outputs));
    return ND_OK;
}

static nd_status describe(const nd_preparation *p, json_t *o)
{
    TRY(ndi_json_set(o, "kind", json_string(p->kind->name)));
    TRY(ndi_json_set(o, "source", json_string(p->source)));
    TRY(ndi_json_set(o, "output", json_string(p->output)));
    TRY(ndi_json_set(o, "name", json_string(p->name)));
    TRY(list_params(p, o));
    TRY(list_inputs(p, o));
    TRY(list_steps(p, o));
    TRY(ndi_json_set(o, "memory_bytes", json_integer((json_int_t)p->memory_bytes)));
    TRY(ndi_json_set(o, "disk_bytes", json_integer((json_int_t)bytes_left(p))));
    return ndi_json_set(o, "done", json_boolean(p->n_missing == 0 && outputs_exist(p)));
}

static nd_status as_json(const nd_preparation *p, nd_status (*fill)(const nd_preparation *p, json_t *o), text *json)
{
    json_t *o = json_object();
    nd_status status = o ? fill(p, o) : ndi_fail(ND_ERR_MEMORY, "preparation: out of memory");
    if (status == ND_OK) status = ndi_json_dump(o, json);
    json_decref(o);
    return status;
}

nd_status ndi_preparation_report(const nd_preparation *p, text *json) { return as_json(p, describe, json); }

/* ---- the record: what the files in the output folder were made of ---- */

static nd_status describe_origin(const nd_preparation *p, json_t *o)
{
    json_t *list = json_array();
    TRY(ndi_json_set(o, "files", list));
    TRY(ndi_json_set(o, "kind", json_string(p->kind->name)));
    TRY(ndi_json_set(o, "name", json_string(p->name)));
    TRY(ndi_json_set(o, "version", json_string(nd_version())));
    TRY(list_params(p, o));
    for (size_t i = 0; i < p->n_inputs; i++) {
        struct stat about = { 0 };
        json_t *entry = json_object();
        TRY(ndi_json_append(list, entry));
        CHECK(stat(p->inputs[i].path, &about) == 0, ND_ERR_IO, "%s: %s", p->inputs[i].path, strerror(errno));
        TRY(ndi_json_set(entry, "file", json_string(p->inputs[i].file)));
        TRY(ndi_json_set(entry, "bytes", json_integer((json_int_t)about.st_size)));
        TRY(ndi_json_set(entry, "changed", json_integer((json_int_t)about.st_mtim.tv_sec)));
    }
    return ND_OK;
}

/* Results that were made otherwise are not touched; what an unfinished run left behind is of no use then. */
static nd_status clear_foreign(const nd_preparation *p, const char *record)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        const preparation_step *s = &p->steps[i];
        CHECK(s->temporary || !ndi_file_exists(s->path), ND_ERR_STATE,
              "%s: was not made with these parameters from these files (see %s); delete it or choose another folder", s->path, record);
    }
    for (size_t i = 0; i < p->n_steps; i++) unlink(p->steps[i].path);
    return ND_OK;
}

static nd_status claim_output(nd_preparation *p)
{
    text origin = { 0 };
    bool same = false;
    const char *record = ndi_preparation_text(p, "%s/%s_preparation.json", p->output, p->name);
    nd_status status;
    CHECK(record, ND_ERR_MEMORY, "preparation: out of memory");
    GO(as_json(p, describe_origin, &origin));
    ndi_text_add(&origin, "\n");
    GO(ndi_text_status(&origin));
    if (ndi_file_exists(record)) GO(ndi_file_holds(record, &origin, &same));
    if (same) goto done;
    GO(clear_foreign(p, record));
    GO(ndi_file_write(record, &origin));
done:
    ndi_text_free(&origin);
    return status;
}

/* ---- the work ---- */

static nd_status check_missing(const nd_preparation *p)
{
    text names = { 0 };
    if (p->n_missing == 0) return ND_OK;
    for (size_t i = 0; i < p->n_missing; i++) ndi_text_add(&names, "%s%s", i ? ", " : "", p->missing[i]);
    nd_status status = ndi_fail(ND_ERR_IO, "%s: %s: %zu file%s missing: %s", p->kind->name, p->source, p->n_missing,
                                p->n_missing == 1 ? " is" : "s are", names.s ? names.s : "");
    ndi_text_free(&names);
    return status;
}

static nd_status check_room(const nd_preparation *p)
{
    struct statvfs disk;
    const uint64_t need = bytes_left(p);
    if (statvfs(p->output, &disk) != 0) return ND_OK;
    const uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    CHECK(room >= need, ND_ERR_IO, "%s: the disk has room for %.1f GB, the files to be written take %.1f GB", p->output, (double)room / 1e9,
          (double)need / 1e9);
    return ND_OK;
}

static nd_status make_folder_of(const char *path)
{
    text folder = { 0 };
    ndi_text_add_bytes(&folder, path, (size_t)(strrchr(path, '/') - path));
    nd_status status = ndi_text_status(&folder);
    if (status == ND_OK) status = ndi_folder_make(folder.s);
    ndi_text_free(&folder);
    return status;
}

static nd_status run_step(nd_preparation *p, const preparation_step *s)
{
    if (is_done(p, s)) return ND_OK;
    ndi_log(ND_LOG_INFO, "%s: %s", p->kind->name, s->name);
    TRY(make_folder_of(s->path));
    TRY(s->run(p, s));
    CHECK(ndi_file_exists(s->path), ND_ERR_INTERNAL, "%s: step '%s' left no file", s->path, s->name);
    return ND_OK;
}

/* Folders go when the last file in them has gone. */
static void delete_temporary(const nd_preparation *p)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        const preparation_step *s = &p->steps[i];
        if (!s->temporary) continue;
        unlink(s->path);
        char folder[4096];
        ndi_format(folder, sizeof folder, "%.*s", (int)(strrchr(s->path, '/') - s->path), s->path);
        if (strlen(folder) > strlen(p->output)) rmdir(folder);
    }
}

nd_status ndi_preparation_run(nd_preparation *p, nd_progress_fn fn, void *user)
{
    nd_status status;
    TRY(check_missing(p));
    TRY(ndi_folder_make(p->output));
    TRY(claim_output(p));
    TRY(check_room(p));
    TRY(ndi_pool_create(&p->workers, p->n_threads));
    p->progress = fn;
    p->user = user;
    for (size_t i = 0; i < p->n_steps; i++) GO(run_step(p, &p->steps[i]));
    delete_temporary(p);
    status = ND_OK;
done:
    ndi_pool_free(p->workers);
    p->workers = NULL;
    return status;
}
