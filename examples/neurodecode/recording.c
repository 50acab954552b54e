#include "recording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int check_subjects(const char *list)
{
    enum { MOST = 9999 };
    bool seen[MOST + 1] = { false };
    for (const char *s = list;;) {
        char *end;
        long subject = *s >= '0' && *s <= '9' ? strtol(s, &end, 10) : 0;
        if (subject < 1 || subject > MOST || (*end && *end != ',')) return misused("--subject: got '%s', expected numbers from 1 as in 1,2,5", list);
        if (seen[subject]) return misused("--subject: person %ld stands twice in '%s'", subject, list);
        if (*end == '\0') return 0;
        seen[subject] = true;
        s = end + 1;
    }
}

int check_sources(const recording *r, const images *i, const char *folder)
{
    if (folder && r->data) return misused("give a data set's folder or --data FILE, not both");
    if (!folder && !r->data) return misused("which recordings? Give a data set's folder or --data FILE");
    if (!folder && i && !i->bank) return misused("which image embeddings? --data goes with --bank FILE");
    if (r->subjects && r->data && strchr(r->subjects, ',')) return misused("--subject: --data is the recording of one person");
    return r->subjects ? check_subjects(r->subjects) : 0;
}

/* Takes the result of an operation in place of what it was made from. */
static bool replace(nd_dataset **d, nd_status status, nd_dataset *made)
{
    nd_dataset_free(*d);
    *d = status == ND_OK ? made : NULL;
    return status == ND_OK;
}

static nd_dataset_options reading(const recording *r, const char *partition, const shared *all)
{
    nd_dataset_options o;
    nd_dataset_options_init(&o, sizeof o);
    o.variable = r->variable;
    o.axes = r->axes;
    o.images = r->images;
    o.partition = r->images ? partition : NULL;
    o.channels = r->channel_names;
    o.rate = r->rate;
    o.start = r->start;
    o.average = r->average;
    if (r->subjects && !strchr(r->subjects, ',')) o.subject = (int32_t)strtol(r->subjects, NULL, 10);
    o.n_threads = (int32_t)all->threads;
    if (r->normalise >= 0 && isnan(r->baseline[0])) o.normalise = r->normalise; /* else it comes after the baseline */
    return o;
}

/* One person after the other, appended. */
static nd_dataset *open_people(const recording *r, const char *folder, const char *partition, const shared *all)
{
    nd_dataset_options o = reading(r, partition, all);
    nd_dataset *people = NULL, *one, *both;
    o.average = 1;
    for (const char *s = r->subjects ? r->subjects : "1"; *s;) {
        char *end;
        int32_t subject = (int32_t)strtol(s, &end, 10);
        nd_status status = nd_dataset_open_things_eeg2(&one, folder, subject, partition, r->store, &o, show_progress, (void *)all);
        if (status == ND_OK && people) {
            status = nd_dataset_concat(&both, people, one);
            nd_dataset_free(one);
            replace(&people, status, both);
        } else if (status == ND_OK) {
            people = one;
        }
        if (status != ND_OK) {
            failed();
            nd_dataset_free(people);
            return NULL;
        }
        s = *end ? end + 1 : end;
    }
    return people;
}

/* Every how many samples: as the options say, or so many that the rate of the model comes out. */
static size_t steps(const recording *r, const nd_dataset *d)
{
    nd_dataset_info about = { .size = sizeof about };
    if (r->every > 1 || r->model_rate <= 0 || nd_dataset_get_info(d, &about) != ND_OK) return r->every;
    double ratio = about.rate / r->model_rate;
    return ratio >= 2 && fabs(ratio - round(ratio)) < 1e-9 ? (size_t)round(ratio) : r->every;
}

static nd_status keep(nd_dataset **d, const recording *r)
{
    nd_dataset *made;
    nd_status status = ND_OK;
    if (!isnan(r->baseline[0])) {
        status = nd_dataset_baseline(&made, *d, r->baseline[0], r->baseline[1]);
        replace(d, status, made);
        if (status == ND_OK && r->normalise > 0) {
            status = nd_dataset_normalise(&made, *d, r->normalise);
            replace(d, status, made);
        }
    }
    if (status == ND_OK && r->channels) {
        status = nd_dataset_select_channels(&made, *d, r->channels);
        replace(d, status, made);
    }
    bool cut = !isnan(r->window[0]);
    size_t every = steps(r, *d);
    if (status == ND_OK && (cut || every > 1)) {
        status = nd_dataset_window(&made, *d, cut ? r->window[0] : -FAR_AWAY, cut ? r->window[1] : FAR_AWAY, every);
        replace(d, status, made);
    }
    return status;
}

nd_dataset *open_recording(const recording *r, const char *folder, const char *partition, const shared *all)
{
    nd_dataset *d = NULL;
    if (folder) {
        d = open_people(r, folder, partition, all);
    } else {
        nd_dataset_options o = reading(r, partition, all);
        nd_status status = nd_dataset_open(&d, r->data, &o, show_progress, (void *)all);
        if (status == ND_ERR_STATE && r->normalise_unless_done) {
            o.normalise = ND_NORMALISE_NONE;
            status = nd_dataset_open(&d, r->data, &o, show_progress, (void *)all);
        }
        if (status != ND_OK) failed();
    }
    end_progress();
    if (d && keep(&d, r) != ND_OK) {
        failed();
        nd_dataset_free(d);
        d = NULL;
    }
    return d;
}

static nd_bank *align(nd_bank *bank, const char *transform)
{
    nd_bank *aligned = NULL;
    if (!bank || !transform) return bank;
    if (nd_bank_align(&aligned, bank, transform) != ND_OK) failed();
    nd_bank_free(bank);
    return aligned;
}

nd_bank *open_images(const images *i, const char *which, const char *folder, const char *partition, const nd_dataset *dataset, const shared *all)
{
    nd_bank *bank = NULL;
    nd_status status;
    const char *path = i->bank && which ? which : i->bank;
    if (path && (strcmp(path, "one-hot") == 0 || strcmp(path, "one_hot") == 0)) {
        status = nd_bank_create_one_hot(&bank, dataset);
    } else if (path) {
        nd_bank_options o;
        nd_bank_options_init(&o, sizeof o);
        o.images = i->ids;
        o.partition = i->ids ? partition : NULL;
        o.suffix = i->suffix;
        status = nd_bank_open(&bank, path, &o, show_progress, (void *)all);
    } else {
        status = nd_bank_open_things_eeg2(&bank, folder, partition, which ? which : i->suffix, show_progress, (void *)all);
    }
    if (status != ND_OK) failed();
    end_progress();
    return align(bank, i->align);
}

static char *join_names(const json_t *names)
{
    size_t room = 1, i;
    json_t *name;
    json_array_foreach(names, i, name) room += json_string_length(name) + 1;
    char *list = must(malloc(room)), *at = list;
    *list = '\0';
    json_array_foreach(names, i, name) at += sprintf(at, "%s%s", i ? "," : "", json_string_value(name));
    return list;
}

char *take_input(recording *r, const nd_encoder *encoder, bool from_folder)
{
    nd_encoder_info info = { .size = sizeof info };
    char *channels = NULL;
    nd_encoder_get_info(encoder, &info);
    json_t *metadata = json_loads(info.metadata, 0, NULL);
    const json_t *known = json_object_get(metadata, "input"), *names = json_object_get(known, "channels");
    double rate = json_number_value(json_object_get(known, "rate")), start = json_number_value(json_object_get(known, "start"));
    if (r->normalise < 0 && known) {
        r->normalise = (int32_t)json_integer_value(json_object_get(known, "normalise"));
        r->normalise_unless_done = true;
    }
    if (from_folder && isnan(r->window[0]) && r->every == 1 && rate > 0) {
        r->model_rate = rate;
        r->window[0] = start - 0.5 / rate;
        r->window[1] = start + ((double)info.n_samples - 0.5) / rate;
    }
    if (from_folder && !r->channels && json_array_size(names) > 0) r->channels = channels = join_names(names);
    json_decref(metadata);
    return channels;
}

/* A recording whose channels are called 0, 1, ... says nothing about itself: only sizes can be checked. */
static bool is_anonymous(const nd_dataset *d)
{
    const char *name;
    return nd_dataset_get_channel(d, 0, &name) == ND_OK && strcmp(name, "0") == 0;
}

static nd_status embed_plain(const nd_encoder *encoder, const nd_dataset *d, const nd_dataset_info *about, size_t dim, float *embeddings)
{
    enum { BLOCK = 256 };
    size_t size = about->n_channels * about->n_samples;
    float *x = must(malloc(BLOCK * size * sizeof *x));
    nd_status status = ND_OK;
    for (size_t first = 0; status == ND_OK && first < about->n_trials; first += BLOCK) {
        size_t n = about->n_trials - first < BLOCK ? about->n_trials - first : BLOCK;
        status = nd_dataset_get_data(d, first, n, x, BLOCK * size);
        if (status == ND_OK) status = nd_encoder_embed(encoder, x, n, embeddings + first * dim, n * dim);
    }
    free(x);
    return status;
}

float *embed_trials(const nd_encoder *encoder, const nd_dataset *d, const char *name, const shared *all)
{
    nd_dataset_info about = { .size = sizeof about };
    nd_encoder_info info = { .size = sizeof info };
    if (nd_dataset_get_info(d, &about) != ND_OK || nd_encoder_get_info(encoder, &info) != ND_OK) {
        failed();
        return NULL;
    }
    if (about.n_channels != info.n_channels || about.n_samples != info.n_samples) {
        refused("%s: trials of %zu x %zu (channels x samples), the encoder takes %zu x %zu", name, about.n_channels, about.n_samples, info.n_channels,
                info.n_samples);
        return NULL;
    }
    size_t n = about.n_trials * info.embed_dim;
    float *embeddings = must(malloc(n * sizeof *embeddings));
    nd_status status = is_anonymous(d) ? embed_plain(encoder, d, &about, info.embed_dim, embeddings)
                                       : nd_encoder_embed_dataset(encoder, d, embeddings, n, show_progress, (void *)all);
    if (status == ND_OK) return embeddings;
    failed();
    free(embeddings);
    return NULL;
}
