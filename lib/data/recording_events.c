/* Events on trigger channels. The rules are those of mne.find_events: a step is a sample whose value differs from the one before; short steps are
 * bounce; the mask is applied to both sides of a step; an onset counts only if something ends it later, as the end of the recording does. */
#include <math.h>
#include <string.h>

#include "data/recording.h"

enum { BLOCK_SAMPLES = 1 << 16, FROM_ZERO = 0, RISING = 2 };

const nd_events_options ndi_events_defaults = { .size = sizeof(nd_events_options), .consecutive = RISING };

typedef struct step {
    uint64_t sample;
    int64_t before, after;
} step;

typedef struct steps {
    step *items;
    size_t n, capacity;
} steps;

static nd_status add_step(steps *s, step one)
{
    if (s->n == s->capacity) {
        const size_t more = s->capacity ? 2 * s->capacity : 256;
        step *bigger = ndi_realloc(s->items, s->capacity * sizeof *bigger, more * sizeof *bigger);
        CHECK(bigger, ND_ERR_MEMORY, "events: out of memory for %zu steps", more);
        s->items = bigger;
        s->capacity = more;
    }
    s->items[s->n++] = one;
    return ND_OK;
}

static int64_t whole(double x) { return fabs(x) < 9e15 ? (int64_t)fabs(x) : 0; }

/* All changes of one channel; `initial` receives its first value. */
static nd_status find_steps(const nd_recording *r, size_t channel_index, double *block, steps *s, int64_t *initial)
{
    int64_t before = 0;
    for (uint64_t first = 0, n; first < r->n_samples; first += n) {
        n = r->n_samples - first < (uint64_t)BLOCK_SAMPLES ? r->n_samples - first : (uint64_t)BLOCK_SAMPLES;
        TRY(ndi_recording_read_some(r, &channel_index, 1, first, (size_t)n, block));
        if (first == 0) *initial = before = whole(block[0]);
        for (uint64_t i = 0; i < n; i++) {
            const int64_t value = whole(block[i]);
            if (value != before) TRY(add_step(s, (step){ first + i, before, value }));
            before = value;
        }
    }
    return s->n && before ? add_step(s, (step){ r->n_samples, before, 0 }) : ND_OK; /* after the end comes zero */
}

/* Of steps closer than that the later one stays, with the value before the earlier one as its own. */
static void merge_bounce(steps *s, double min_samples)
{
    uint64_t most = (uint64_t)min_samples;
    if ((double)most == min_samples && most > 0) most--;
    size_t n = 0;
    int64_t before = 0;
    bool merged = false;
    for (size_t i = 0; most && i < s->n; i++) {
        step one = s->items[i];
        const bool drop = i + 1 < s->n && s->items[i + 1].sample - one.sample <= most;
        const int64_t own = one.before;
        if (merged) one.before = before;
        before = own;
        merged = drop;
        if (!drop && one.before != one.after) s->items[n++] = one;
    }
    if (most) s->n = n;
}

static void apply_mask(steps *s, const nd_events_options *o)
{
    const int64_t mask = o->mask == 0 ? -1 : o->mask_not ? ~(int64_t)o->mask : (int64_t)o->mask;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const step one = { s->items[i].sample, s->items[i].before & mask, s->items[i].after & mask };
        if (one.before != one.after) s->items[n++] = one;
    }
    s->n = n;
}

static bool is_onset(const step *s, int32_t consecutive)
{
    return consecutive == FROM_ZERO ? s->before == 0 : consecutive == RISING ? s->after > s->before : s->after > 0;
}

static bool is_offset(const step *s, int32_t consecutive)
{
    if (consecutive == FROM_ZERO) return s->after == 0;
    return s->before > 0 && (consecutive != RISING || s->after > s->before || s->after == 0);
}

/* The last onset counts only if it is not after the last offset. */
static size_t count_ended(const steps *s, int32_t consecutive)
{
    size_t stop = s->n;
    while (stop > 0 && !is_offset(&s->items[stop - 1], consecutive)) stop--;
    return stop;
}

static nd_status add_onsets(nd_recording *r, const steps *s, int32_t consecutive)
{
    const size_t stop = count_ended(s, consecutive);
    mark *more = ndi_realloc(r->marks, r->n_marks * sizeof *more, (r->n_marks + stop) * sizeof *more);
    CHECK(more, ND_ERR_MEMORY, "events: out of memory for %zu events", stop);
    r->marks = more;
    for (size_t i = 0; i < stop; i++) {
        const step *one = &s->items[i];
        if (!is_onset(one, consecutive)) continue;
        CHECK(one->after <= INT32_MAX && one->before <= INT32_MAX, ND_ERR_FORMAT, "events: value %lld at sample %llu, expected at most %d",
              (long long)one->after, (unsigned long long)one->sample, INT32_MAX);
        r->marks[r->n_marks++] = (mark){ .sample = one->sample, .code = (int32_t)one->after, .previous = (int32_t)one->before, .text = "" };
    }
    return ND_OK;
}

/* ---- the whole ---- */

static nd_status search(nd_recording *r, size_t channel_index, const nd_events_options *o, double *block)
{
    steps s = { 0 };
    int64_t initial = 0;
    nd_status status = find_steps(r, channel_index, block, &s, &initial);
    if (status == ND_OK) merge_bounce(&s, o->min_duration * ndi_recording_rate(r));
    if (status == ND_OK && initial && o->initial_event) status = add_step(&s, (step){ 0 });
    if (status == ND_OK && initial && o->initial_event) {
        memmove(s.items + 1, s.items, (s.n - 1) * sizeof *s.items);
        s.items[0] = (step){ 0, 0, initial };
    }
    if (status == ND_OK) apply_mask(&s, o);
    if (status == ND_OK) status = add_onsets(r, &s, o->consecutive);
    ndi_free(s.items);
    return status;
}

/* The same event on several channels counts once. */
static void drop_twins(nd_recording *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_marks; i++) {
        const mark *last = n ? &r->marks[n - 1] : NULL, *m = &r->marks[i];
        const bool twin = last && !*m->text && !*last->text && last->sample == m->sample && last->code == m->code && last->previous == m->previous;
        if (!twin) r->marks[n++] = *m;
    }
    r->n_marks = n;
}

static nd_status search_all(nd_recording *r, const size_t *channels, size_t n, const nd_events_options *o)
{
    double *block;
    TRY(ndi_recording_clear_marks(r, 0));
    TRY(NEW(block, BLOCK_SAMPLES));
    nd_status status = ND_OK;
    for (size_t k = 0; k < n && status == ND_OK; k++) status = search(r, channels[k], o, block);
    ndi_free(block);
    ndi_recording_sort_marks(r);
    drop_twins(r);
    return status;
}

static nd_status pick_triggers(const nd_recording *r, const char *names, size_t *picked, size_t *n)
{
    if (names) return ndi_recording_pick(r, names, picked, n);
    *n = 0;
    for (size_t c = 0; c < r->n_channels; c++)
        if (strcmp(ndi_recording_channel(r, c)->type, "stim") == 0) picked[(*n)++] = c;
    CHECK(*n, ND_ERR_ARGUMENT, "events: the recording has no channel of type 'stim'; name the trigger channel");
    return ND_OK;
}

nd_status ndi_recording_find_events(nd_recording **out, const nd_recording *from, const nd_events_options *o)
{
    nd_recording *r;
    size_t *picked, n = 0;
    CHECK(o->consecutive >= FROM_ZERO && o->consecutive <= RISING, ND_ERR_ARGUMENT, "events: consecutive: got %d, expected 0, 1 or 2",
          (int)o->consecutive);
    CHECK(o->min_duration >= 0 && o->min_duration < 1e9, ND_ERR_ARGUMENT, "events: min_duration: got %g, expected seconds", o->min_duration);
    TRY(ndi_recording_derive(&r, from));
    nd_status status = NEW(picked, from->n_channels);
    if (status == ND_OK) status = pick_triggers(from, o->channels, picked, &n);
    if (status == ND_OK) status = search_all(r, picked, n, o);
    ndi_free(picked);
    if (status != ND_OK) {
        ndi_recording_free(r);
        return status;
    }
    *out = r;
    return ND_OK;
}
