/* A training in a file: its blocks of floats, its numbers, and a description of what it was given, which must be the same when it goes on. */
#include <math.h>
#include <string.h>

#include "io/format.h"
#include "io/json.h"
#include "math/vec.h"
#include "train/trainer.h"

enum { N_NUMBERS = sizeof(numbers) / sizeof(double), N_BLOCKS = 6 };

typedef struct block {
    const char *name;
    float *values;
    size_t n;
} block;

static void blocks_of(const nd_trainer *t, block blocks[N_BLOCKS])
{
    size_t n = t->encoder->g->n_params, s = t->encoder->g->n_state;
    const block all[N_BLOCKS] = { { "params", t->encoder->params, n }, { "state", t->encoder->state, s },    { "adam_m", t->m, n },
                                  { "adam_v", t->v, n },               { "best_params", t->best_params, n }, { "best_state", t->best_state, s } };
    memcpy(blocks, all, sizeof all);
}

static uint64_t hash_trials(const nd_dataset *d)
{
    uint64_t hash = NDI_HASH_START;
    for (size_t i = 0; i < ndi_dataset_trials(d); i++) {
        const char *id = ndi_dataset_images(d)->items[ndi_dataset_image_of(d, i)];
        int32_t subject = ndi_dataset_subject_of(d, i);
        hash = ndi_hash(ndi_hash(hash, id, strlen(id) + 1), &subject, sizeof subject);
    }
    return hash;
}

static uint64_t hash_channels(const nd_dataset *d)
{
    uint64_t hash = NDI_HASH_START;
    for (size_t i = 0; i < ndi_dataset_channels(d); i++) hash = ndi_hash(hash, ndi_dataset_channel(d, i), strlen(ndi_dataset_channel(d, i)) + 1);
    return hash;
}

/* What must agree, as JSON text with an object of texts: every choice that the coming steps depend on. Threads and paths may change. */
static nd_status describe(const nd_trainer *t, json_t **description)
{
    const nd_train_options *o = &t->o;
    const nd_loss_options *l = &t->loss->options;
    char text_of[21][64];
    const char *names[21] = { "bank", "trials", "trained_on", "validated_on", "batch_size", "learning_rate", "min_learning_rate", "weight_decay", "betas", "clip_norm",
                              "validation", "schedule", "warmup_steps", "plateau", "seed", "loss", "channels_samples_dim",
                              "epochs", "images", "input", "channels" };
    size_t k = 0;
#define SAY(...) ndi_format(text_of[k++], sizeof text_of[0], __VA_ARGS__)
    SAY("%016llx", (unsigned long long)ndi_bank_hash(t->bank));
    SAY("%zu", ndi_dataset_trials(t->dataset));
    SAY("%zu", t->n_train);
    SAY("%zu", t->n_validation);
    SAY("%u", o->batch_size);
    SAY("%.17g", o->learning_rate);
    SAY("%.17g", o->min_learning_rate);
    SAY("%.17g", o->weight_decay);
    SAY("%.17g %.17g %.9g", o->beta1, o->beta2, o->epsilon);
    SAY("%.17g", o->clip_norm);
    SAY("%.17g by %s in %u", o->validation_fraction, o->split_by_image ? "image" : "concept", o->validation_batch);
    SAY("%d", (int)o->schedule);
    SAY("%u", o->warmup_steps);
    SAY("%.17g after %u", o->plateau_factor, o->plateau_patience);
    SAY("%llu", (unsigned long long)o->seed);
    SAY("%s %.9g %d %d %d", t->loss->kind->name, l->temperature, (int)l->learn_temperature, (int)l->sum_directions, (int)l->vectors);
    SAY("%zu %zu %zu", t->encoder->s.channels, t->encoder->s.samples, t->encoder->s.dim);
    SAY("%u stopping after %u", o->epochs, o->patience);
    SAY("%016llx", (unsigned long long)hash_trials(t->dataset));
    SAY("%.9g per second from %.9g s, normalised by rule %d", ndi_dataset_rate(t->dataset), ndi_dataset_start(t->dataset), (int)ndi_dataset_normalised(t->dataset));
    SAY("%016llx", (unsigned long long)hash_channels(t->dataset));
#undef SAY
    json_t *d = json_pack("{s:s, s:s}", "encoder", t->encoder->s.kind->name, "params", t->encoder->params_text);
    nd_status status = d ? ND_OK : ndi_fail(ND_ERR_MEMORY, "checkpoint: out of memory");
    for (size_t i = 0; status == ND_OK && i < k; i++) status = ndi_json_set(d, names[i], json_string(text_of[i]));
    if (status != ND_OK) {
        json_decref(d);
        return status;
    }
    *description = d;
    return ND_OK;
}

static nd_status metadata_of(const nd_trainer *t, text *metadata)
{
    json_t *d, *o = NULL;
    text inner = { 0 };
    TRY(describe(t, &d));
    nd_status status = ndi_json_dump(d, &inner);
    if (status != ND_OK) goto done;
    o = json_pack("{s:s, s:s, s:s}", "neurodecode.kind", "trainer", "neurodecode.version", nd_version(), "training", inner.s);
    status = o ? ndi_json_dump(o, metadata) : ndi_fail(ND_ERR_MEMORY, "checkpoint: out of memory");
done:
    json_decref(o);
    json_decref(d);
    ndi_text_free(&inner);
    return status;
}

nd_status ndi_trainer_save(const nd_trainer *t, const char *path)
{
    CHECK(!t->encoder->s.kind->fit, ND_ERR_STATE, "%s: encoder %s has a closed form; there is nothing to continue", path, t->encoder->s.kind->name);
    block blocks[N_BLOCKS];
    put_array arrays[N_BLOCKS + 1] = { { .name = "numbers", .type = DTYPE_F64, .n_dims = 1, .shape = { N_NUMBERS }, .data = &t->at } };
    blocks_of(t, blocks);
    for (size_t i = 0; i < N_BLOCKS; i++)
        arrays[i + 1] = (put_array){ .name = blocks[i].name, .type = DTYPE_F32, .n_dims = 1, .shape = { blocks[i].n }, .data = blocks[i].values };
    text metadata = { 0 };
    nd_status status = metadata_of(t, &metadata);
    if (status == ND_OK) {
        put what = { .arrays = arrays, .n_arrays = COUNT(arrays), .metadata = metadata.s };
        status = ndi_format_write(path, "safetensors", &what);
    }
    ndi_text_free(&metadata);
    return status;
}

static nd_status compare(const json_t *expected, const json_t *found, const char *path)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)expected, key, value)
    {
        const char *other = json_string_value(json_object_get(found, key));
        CHECK(other && strcmp(other, json_string_value(value)) == 0, ND_ERR_ARGUMENT, "%s: %s: the checkpoint has '%s', this training has '%s'", path, key, other ? other : "",
              json_string_value(value));
    }
    return ND_OK;
}

static nd_status check_description(const nd_trainer *t, const content *c, const char *path)
{
    json_t *o = NULL, *found = NULL, *expected = NULL;
    if (c->metadata) TRY(ndi_json_parse(&o, c->metadata, strlen(c->metadata), path));
    const char *kind = json_string_value(json_object_get(o, "neurodecode.kind")), *training = json_string_value(json_object_get(o, "training"));
    nd_status status = ND_OK;
    if (!kind || strcmp(kind, "trainer") != 0 || !training)
        status = ndi_fail(ND_ERR_FORMAT, "%s: is not a checkpoint of a training", path);
    if (status == ND_OK) status = ndi_json_parse(&found, training, strlen(training), path);
    if (status == ND_OK) status = describe(t, &expected);
    if (status == ND_OK) status = compare(expected, found, path);
    json_decref(o);
    json_decref(found);
    json_decref(expected);
    return status;
}

/* Reads all blocks into `room` before any is put in its place. */
static nd_status read_blocks(const content *c, const block *blocks, float *room, numbers *at, const char *path)
{
    const array *a = ndi_content_array(c, "numbers");
    CHECK(a && a->n == N_NUMBERS, ND_ERR_FORMAT, "%s: numbers: %zu values, expected %d", path, a ? a->n : 0, (int)N_NUMBERS);
    TRY(ndi_array_read_f64(a, 0, N_NUMBERS, (double *)at));
    for (size_t i = 0; i < N_BLOCKS; room += blocks[i++].n) {
        a = ndi_content_array(c, blocks[i].name);
        CHECK(a && a->n == blocks[i].n, ND_ERR_FORMAT, "%s: %s: %zu values, expected %zu", path, blocks[i].name, a ? a->n : 0, blocks[i].n);
        TRY(ndi_array_read_f32(a, 0, a->n, room));
        CHECK(ndi_all_finite(room, a->n), ND_ERR_FORMAT, "%s: %s: a value is not finite", path, blocks[i].name);
        bool squares = strcmp(blocks[i].name, "adam_v") == 0;
        for (size_t k = 0; squares && k < a->n; k++) CHECK(room[k] >= 0, ND_ERR_FORMAT, "%s: adam_v: value %zu is %g, a mean of squares", path, k, (double)room[k]);
    }
    return ND_OK;
}

/* Counts must be whole and where they can be: they index. Losses may be NaN, which says "none yet". */
static nd_status check_numbers(const nd_trainer *t, const numbers *a, const char *path)
{
    const double counts[] = { a->epoch, a->step, a->step_in_epoch, a->best_epoch, a->stale_epochs, a->plateau_stale, a->plateaus };
    for (size_t i = 0; i < COUNT(counts); i++)
        CHECK(counts[i] >= 0 && counts[i] < 1e15 && counts[i] == floor(counts[i]), ND_ERR_FORMAT, "%s: numbers: count %zu is %g", path, i, counts[i]);
    CHECK(a->step_in_epoch < (double)t->steps_per_epoch && a->step == a->epoch * (double)t->steps_per_epoch + a->step_in_epoch, ND_ERR_FORMAT,
          "%s: numbers: step %g of epoch %g, %g in all, do not agree", path, a->step_in_epoch, a->epoch, a->step);
    CHECK(a->epoch <= t->o.epochs && a->best_epoch <= a->epoch, ND_ERR_FORMAT, "%s: numbers: epoch %g, the best is %g, of %u", path, a->epoch, a->best_epoch, t->o.epochs);
    CHECK(a->finished == 0 || a->finished == 1, ND_ERR_FORMAT, "%s: numbers: finished is %g", path, a->finished);
    const double scales[] = { a->log_scale, a->best_log_scale, a->log_scale_m, a->log_scale_v, a->epoch_loss };
    for (size_t i = 0; i < COUNT(scales); i++)
        CHECK(isfinite(scales[i]) && fabs(scales[i]) < 1e6, ND_ERR_FORMAT, "%s: numbers: scale %zu is %g", path, i, scales[i]);
    CHECK(a->log_scale_v >= 0 && fabs(a->log_scale) < 14 && fabs(a->best_log_scale) < 14, ND_ERR_FORMAT, "%s: numbers: log scale is %g", path, a->log_scale);
    return ND_OK;
}

static nd_status restore(nd_trainer *t, const content *c, const char *path)
{
    block blocks[N_BLOCKS];
    numbers at;
    float *room;
    size_t total = 0;
    TRY(check_description(t, c, path));
    blocks_of(t, blocks);
    for (size_t i = 0; i < N_BLOCKS; i++) total += blocks[i].n;
    TRY(NEW(room, total));
    nd_status status = read_blocks(c, blocks, room, &at, path);
    if (status == ND_OK) status = check_numbers(t, &at, path);
    const float *from = room;
    for (size_t i = 0; i < N_BLOCKS && status == ND_OK; from += blocks[i++].n) memcpy(blocks[i].values, from, blocks[i].n * sizeof *from);
    ndi_free(room);
    if (status != ND_OK) return status;
    t->at = at;
    t->order_epoch = 0;
    t->loss->log_scale = at.log_scale;
    return ND_OK;
}

nd_status ndi_trainer_resume(nd_trainer *t, const char *path)
{
    CHECK(!t->encoder->s.kind->fit, ND_ERR_STATE, "%s: encoder %s has a closed form; there is nothing to continue", path, t->encoder->s.kind->name);
    content *c;
    TRY(ndi_content_open(&c, path));
    nd_status status = restore(t, c, path);
    ndi_content_free(c);
    return status;
}
