/* The responses to images that follow each other are added to noise without gaps, at the rate of the simulated brain; between its samples the signal is linear. The file has the channels one
 * after the other, so the whole session is made first. */
#include "data/simulate_raw.h"

#include "base/mem.h"
#include "base/random.h"
#include "io/format.h"

enum {
    FINER = 4,         /* samples of the file for each of the brain */
    APART = 50,        /* of the brain's samples from image to image: 200 ms */
    MARGIN = 500,      /* before the first and after the last: 2 s */
    TARGET_EVERY = 20, /* a target after so many images */
    TARGET = 99999,
    TRIGGER = 10, /* samples of the file that a trigger lasts */
    BLOCK = 64,   /* responses made at a time */
    MOST_CHANNELS = 63
};

static const double VOLTS = 1e-5, HIGHPASS = 0.01, LOWPASS = 100;

typedef struct session {
    const world *w;
    partition p;
    size_t *images; /* one after the other, NDI_NO_IMAGE = a target */
    size_t n_images, n_channels, n_samples;
    size_t order[MOST_CHANNELS]; /* channel of the brain that row k of the file is */
    float *signal;               /* n_channels x n_samples */
} session;

/* ---- which images, in which order ---- */

bool ndi_simulate_shown(const nd_simulate_options *o, partition p, uint32_t *times)
{
    const uint32_t all = p == TRAINING ? o->train_repetitions : o->test_repetitions;
    const uint32_t sessions = p == TRAINING && o->n_sessions > 1 ? o->n_sessions / 2 : o->n_sessions; /* that an image is in */
    *times = sessions ? all / sessions : 0;
    return o->n_sessions != 3 && (sessions == 0 || all % sessions == 0);
}

/* Every second training image in every second session. */
static bool is_in(const world *w, partition p, uint32_t session_number, size_t image)
{
    return p == TEST || w->options.n_sessions < 2 || image % 2 == session_number % 2;
}

uint64_t ndi_simulate_session_trials(const world *w, partition p, uint32_t session_number)
{
    uint32_t times;
    uint64_t n = 0;
    ndi_simulate_shown(&w->options, p, &times);
    for (size_t i = 0; i < ndi_world_images(w, p); i++) n += is_in(w, p, session_number, i) ? times : 0;
    return n;
}

static nd_status make_order(session *s, uint32_t person, uint32_t number)
{
    uint32_t times;
    const size_t n = (size_t)ndi_simulate_session_trials(s->w, s->p, number), n_images = ndi_world_images(s->w, s->p);
    const uint32_t step = DRAW_ORDER | (person * 8 + number * 2 + s->p + 1) << 8;
    size_t *listed = NULL, *order = NULL, at = 0;
    nd_status status;
    ndi_simulate_shown(&s->w->options, s->p, &times);
    GO(NEW(listed, n + 1));
    GO(NEW(order, n + 1));
    GO(NEW(s->images, n + n / TARGET_EVERY + 1));
    for (size_t i = 0; i < n_images; i++)
        for (uint32_t k = 0; k < times && is_in(s->w, s->p, number, i); k++) listed[at++] = i;
    ndi_permutation(order, n, s->w->options.seed, NDI_RANDOM_SIMULATE, step);
    for (size_t i = 0; i < n; i++) {
        s->images[s->n_images++] = listed[order[i]];
        if (i % TARGET_EVERY == TARGET_EVERY - 1) s->images[s->n_images++] = NDI_NO_IMAGE;
    }
done:
    ndi_free(listed);
    ndi_free(order);
    return status;
}

/* ---- the signal ---- */

static nd_status add_responses(session *s, brain *b, pool *workers)
{
    const size_t length = s->w->options.n_samples;
    for (size_t first = 0; first < s->n_images; first += BLOCK) {
        const size_t count = s->n_images - first < (size_t)BLOCK ? s->n_images - first : (size_t)BLOCK;
        const float *evoked;
        TRY(ndi_brain_evoke(b, workers, s->p, s->images + first, count, &evoked));
        for (size_t i = 0; i < count; i++) {
            const size_t onset = MARGIN + (first + i) * APART, n = s->n_samples - onset < length ? s->n_samples - onset : length;
            for (size_t c = 0; c < s->n_channels; c++) {
                float *x = s->signal + c * s->n_samples + onset;
                const float *y = evoked + (i * s->n_channels + c) * length;
                for (size_t t = 0; t < n; t++) x[t] += y[t];
            }
        }
    }
    return ND_OK;
}

/* ---- the file ---- */

static void fill_signal(const session *s, size_t row, size_t first, size_t count, double *values)
{
    const float *x = s->signal + s->order[row] * s->n_samples;
    for (size_t i = 0; i < count; i++) {
        const size_t at = (first + i) / FINER, next = at + 1 < s->n_samples ? at + 1 : at;
        const double share = (double)((first + i) % FINER) / FINER;
        values[i] = VOLTS * ((1 - share) * (double)x[at] + share * (double)x[next]);
    }
}

static void fill_triggers(const session *s, size_t first, size_t count, double *values)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = first + i, slot = at < MARGIN * FINER ? SIZE_MAX : (at - MARGIN * FINER) / (APART * FINER);
        const bool on = slot < s->n_images && (at - MARGIN * FINER) % (APART * FINER) < TRIGGER;
        values[i] = !on ? 0 : s->images[slot] == NDI_NO_IMAGE ? TARGET : (double)(s->images[slot] + 1);
    }
}

static nd_status fill(void *context, size_t first, size_t count, void *elements)
{
    const session *s = context;
    const size_t length = s->n_samples * FINER;
    double *values = elements;
    for (size_t n; count > 0; first += n, values += n, count -= n) {
        const size_t row = first / length, at = first % length;
        n = length - at < count ? length - at : count;
        row < s->n_channels ? fill_signal(s, row, at, n, values) : fill_triggers(s, at, n, values);
    }
    return ND_OK;
}

static nd_status write_file(session *s, const char *path)
{
    const double rate = SIMULATE_RATE * FINER;
    const char *names[MOST_CHANNELS + 1], *types[MOST_CHANNELS + 1];
    for (size_t c = 0; c < s->n_channels; c++) {
        names[c] = ndi_brain_channel(s->w, s->order[c]);
        types[c] = "eeg";
    }
    names[s->n_channels] = types[s->n_channels] = "stim";
    const put_array arrays[] = {
        { .name = "raw_eeg_data", .type = DTYPE_F64, .n_dims = 2, .shape = { s->n_channels + 1, s->n_samples * FINER }, .fill = fill, .context = s },
        { .name = "sfreq", .type = DTYPE_F64, .data = &rate },
        { .name = "highpass", .type = DTYPE_F64, .data = &HIGHPASS },
        { .name = "lowpass", .type = DTYPE_F64, .data = &LOWPASS },
    };
    const put_texts lists[] = {
        { .name = "ch_names", .items = names, .n = s->n_channels + 1, .list = true },
        { .name = "ch_types", .items = types, .n = s->n_channels + 1, .list = true },
    };
    return ndi_format_write(path, "npy", &(put){ .arrays = arrays, .n_arrays = COUNT(arrays), .texts = lists, .n_texts = COUNT(lists) });
}

nd_status ndi_simulate_session(const char *path, brain *b, pool *workers, const world *w, partition p, uint32_t person, uint32_t number)
{
    session s = { .w = w, .p = p, .n_channels = w->options.n_channels };
    nd_status status;
    GO(make_order(&s, person, number));
    s.n_samples = 2 * MARGIN + s.n_images * APART;
    ndi_permutation(s.order, s.n_channels, w->options.seed, NDI_RANDOM_SIMULATE, DRAW_CHANNELS);
    GO(NEW(s.signal, s.n_channels * s.n_samples));
    GO(ndi_brain_noise(b, workers, p, number, s.n_samples, s.signal));
    GO(add_responses(&s, b, workers));
    GO(write_file(&s, path));
done:
    ndi_free(s.images);
    ndi_free(s.signal);
    return status;
}
