/* A training in a file: its blocks of floats, its numbers, and a description of what it was given, which must be the same when it goes on. */
#include <math.h>
#include <string.h>

#include "io/format.h"
#include "io/json.h"
#include "math/vec.h"
#include "train/trainer.h"

enum { N_NUMBERS = sizeof(numbers) / sizeof(double), MOST_BLOCKS = NETWORKS * NDI_NETWORK_BLOCKS };

static size_t blocks_of(const nd_trainer *t, block blocks[MOST_BLOCKS])
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_networks; i++) n += ndi_network_blocks(&t->networks[i], t->optimiser, blocks + n);
    return n;
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

/* ---- what must agree ---- */

static nd_status say_text(json_t *d, const char *key, const char *words) { return ndi_json_set(d, key, json_string(words ? words : "none")); }

static nd_status say(json_t *d, const char *key, const char *pattern, ...) __attribute__((format(printf, 3, 4)));
static nd_status say(json_t *d, const char *key, const char *pattern, ...)
{
    char words[128];
    va_list arguments;
    va_start(arguments, pattern);
    ndi_vformat(words, sizeof words, pattern, arguments);
    va_end(arguments);
    return say_text(d, key, words);
}

static nd_status describe_data(const nd_trainer *t, json_t *d)
{
    const nd_dataset *data = t->dataset;
    TRY(say(d, "bank", "%016llx", (unsigned long long)ndi_bank_hash(t->bank)));
    TRY(say(d, "trials", "%zu", ndi_dataset_trials(data)));
    TRY(say(d, "trained_on", "%zu", t->n_train));
    TRY(say(d, "validated_on", "%zu", t->n_validation));
    TRY(say(d, "images", "%016llx", (unsigned long long)hash_trials(data)));
    TRY(say(d, "input", "%.9g per second from %.9g s, normalised by rule %d", ndi_dataset_rate(data), ndi_dataset_start(data),
            (int)ndi_dataset_normalised(data)));
    return say(d, "channels", "%016llx", (unsigned long long)hash_channels(data));
}

static nd_status describe_networks(const nd_trainer *t, json_t *d)
{
    const nd_loss_options *l = &t->loss->options;
    TRY(say_text(d, "encoder", t->encoder->s.kind->name));
    TRY(say_text(d, "params", t->encoder->params_text));
    TRY(say(d, "channels_samples_dim", "%zu %zu %zu", t->encoder->s.channels, t->encoder->s.samples, t->encoder->s.dim));
    TRY(say_text(d, "projector", t->projector ? t->projector->s.kind->name : NULL));
    TRY(say_text(d, "projector_params", t->projector ? t->projector->params_text : NULL));
    TRY(say(d, "loss", "%s %.9g %d %d %d", t->loss->kind->name, l->temperature, (int)l->learn_temperature, (int)l->sum_directions, (int)l->vectors));
    return say(d, "loss_pairs", "same image %s, mixtures by rule %d, bias %.9g", l->mask_same_image ? "left out" : "kept", (int)l->reference,
               l->bias);
}

static nd_status describe_steps(const nd_trainer *t, json_t *d)
{
    const nd_train_options *o = &t->o;
    TRY(say(d, "batch_size", "%u", o->batch_size));
    TRY(say(d, "learning_rate", "%.17g", o->learning_rate));
    TRY(say(d, "min_learning_rate", "%.17g", o->min_learning_rate));
    TRY(say(d, "optimiser", "%s", t->optimiser->name));
    TRY(say(d, "weight_decay", "%.17g", o->weight_decay));
    TRY(say_text(d, "no_decay", o->no_decay));
    TRY(say(d, "betas", "%.17g %.17g %.9g", o->beta1, o->beta2, o->epsilon));
    TRY(say(d, "momentum", "%.17g%s", o->momentum, o->nesterov ? " by Nesterov" : ""));
    TRY(say(d, "ema_decay", "%.17g", o->ema_decay));
    TRY(say(d, "clip_norm", "%.17g", o->clip_norm));
    TRY(say_text(d, "augment", o->augment));
    TRY(say(d, "validation", "%.17g by %s in %u", o->validation_fraction, o->split_by_image ? "image" : "concept", o->validation_batch));
    TRY(say(d, "schedule", "%d", (int)o->schedule));
    TRY(say(d, "warmup_steps", "%u", o->warmup_steps));
    TRY(say(d, "plateau", "%.17g after %u", o->plateau_factor, o->plateau_patience));
    TRY(say(d, "epochs", "%u stopping after %u", o->epochs, o->patience));
    return say(d, "seed", "%llu", (unsigned long long)o->seed);
}

/* As a JSON object of texts: every choice that the coming steps depend on. Threads and paths may change. */
static nd_status describe(const nd_trainer *t, json_t **description)
{
    json_t *d = json_object();
    CHECK(d, ND_ERR_MEMORY, "checkpoint: out of memory");
    nd_status status = describe_networks(t, d);
    if (status == ND_OK) status = describe_data(t, d);
    if (status == ND_OK) status = describe_steps(t, d);
    if (status != ND_OK) {
        json_decref(d);
        return status;
    }
    *description = d;
    return ND_OK;
}

/* ---- writing ---- */

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
    block blocks[MOST_BLOCKS];
    put_array arrays[MOST_BLOCKS + 1] = { { .name = "numbers", .type = DTYPE_F64, .n_dims = 1, .shape = { N_NUMBERS }, .data = &t->at } };
    size_t n = blocks_of(t, blocks);
    for (size_t i = 0; i < n; i++)
        arrays[i + 1] = (put_array){ .name = blocks[i].name, .type = DTYPE_F32, .n_dims = 1, .shape = { blocks[i].n }, .data = blocks[i].values };
    text metadata = { 0 };
    nd_status status = metadata_of(t, &metadata);
    if (status == ND_OK) {
        put what = { .arrays = arrays, .n_arrays = n + 1, .metadata = metadata.s };
        status = ndi_format_write(path, "safetensors", &what);
    }
    ndi_text_free(&metadata);
    return status;
}

/* ---- reading ---- */

static nd_status compare(const json_t *expected, const json_t *found, const char *path)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)expected, key, value)
    {
        const char *other = json_string_value(json_object_get(found, key));
        CHECK(other && strcmp(other, json_string_value(value)) == 0, ND_ERR_ARGUMENT, "%s: %s: the checkpoint has '%s', this training has '%s'", path,
              key, other ? other : "", json_string_value(value));
    }
    return ND_OK;
}

static nd_status check_description(const nd_trainer *t, const content *c, const char *path)
{
    json_t *o = NULL, *found = NULL, *expected = NULL;
    if (c->metadata) TRY(ndi_json_parse(&o, c->metadata, strlen(c->metadata), path));
    const char *kind = json_string_value(json_object_get(o, "neurodecode.kind")), *training = json_string_value(json_object_get(o, "training"));
    nd_status status = ND_OK;
    if (!kind || strcmp(kind, "trainer") != 0 || !training) status = ndi_fail(ND_ERR_FORMAT, "%s: is not a checkpoint of a training", path);
    if (status == ND_OK) status = ndi_json_parse(&found, training, strlen(training), path);
    if (status == ND_OK) status = describe(t, &expected);
    if (status == ND_OK) status = compare(expected, found, path);
    json_decref(o);
    json_decref(found);
    json_decref(expected);
    return status;
}

/* Reads all blocks into `room` before any is put in its place. */
static nd_status read_blocks(const content *c, const block *blocks, size_t n, float *room, numbers *at, const char *path)
{
    const array *a = ndi_content_array(c, "numbers");
    CHECK(a && a->n == N_NUMBERS, ND_ERR_FORMAT, "%s: numbers: %zu values, expected %d", path, a ? a->n : 0, (int)N_NUMBERS);
    TRY(ndi_array_read_f64(a, 0, N_NUMBERS, (double *)at));
    for (size_t i = 0; i < n; room += blocks[i++].n) {
        a = ndi_content_array(c, blocks[i].name);
        CHECK(a && a->n == blocks[i].n, ND_ERR_FORMAT, "%s: %s: %zu values, expected %zu", path, blocks[i].name, a ? a->n : 0, blocks[i].n);
        TRY(ndi_array_read_f32(a, 0, a->n, room));
        CHECK(ndi_all_finite(room, a->n), ND_ERR_FORMAT, "%s: %s: a value is not finite", path, blocks[i].name);
        for (size_t k = 0; blocks[i].squares && k < a->n; k++)
            CHECK(room[k] >= 0, ND_ERR_FORMAT, "%s: %s: value %zu is %g, a mean of squares", path, blocks[i].name, k, (double)room[k]);
    }
    return ND_OK;
}

static nd_status check_learned(const nd_trainer *t, const learned *l, double most, const char *name, const char *path)
{
    CHECK(fabs(l->value) < most && fabs(l->best) < most, ND_ERR_FORMAT, "%s: numbers: %s is %g, at best %g", path, name, l->value, l->best);
    CHECK(fabs(l->moments[0]) < 1e6 && fabs(l->moments[1]) < 1e12 && (l->moments[1] >= 0 || !t->optimiser->moments[1]), ND_ERR_FORMAT,
          "%s: numbers: moments of %s are %g and %g", path, name, l->moments[0], l->moments[1]);
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
    CHECK(a->epoch <= t->o.epochs && a->best_epoch <= a->epoch, ND_ERR_FORMAT, "%s: numbers: epoch %g, the best is %g, of %u", path, a->epoch,
          a->best_epoch, t->o.epochs);
    CHECK(a->finished == 0 || a->finished == 1, ND_ERR_FORMAT, "%s: numbers: finished is %g", path, a->finished);
    CHECK(fabs(a->epoch_loss) < 1e30, ND_ERR_FORMAT, "%s: numbers: loss of the epoch is %g", path, a->epoch_loss);
    TRY(check_learned(t, &a->log_scale, 14, "log scale", path));
    return check_learned(t, &a->bias, 1e6, "bias", path);
}

static nd_status restore(nd_trainer *t, const content *c, const char *path)
{
    block blocks[MOST_BLOCKS];
    numbers at;
    float *room;
    size_t n = blocks_of(t, blocks), total = 0;
    TRY(check_description(t, c, path));
    for (size_t i = 0; i < n; i++) total += blocks[i].n;
    TRY(NEW(room, total));
    nd_status status = read_blocks(c, blocks, n, room, &at, path);
    if (status == ND_OK) status = check_numbers(t, &at, path);
    const float *from = room;
    for (size_t i = 0; i < n && status == ND_OK; from += blocks[i++].n) memcpy(blocks[i].values, from, blocks[i].n * sizeof *from);
    ndi_free(room);
    if (status != ND_OK) return status;
    for (size_t i = 0; i < t->n_networks; i++) ndi_encoder_changed(t->networks[i].encoder);
    t->at = at;
    t->order_epoch = 0;
    t->loss->log_scale = at.log_scale.value;
    t->loss->bias = at.bias.value;
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
