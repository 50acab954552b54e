#include "data/epoch_events.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/images.h"
#include "data/storage.h"

/* A word of a list such as "face=2" or "2". */
typedef struct word {
    const char *name; /* what stands before "=", or the number as it is written */
    size_t n;
    int32_t code;
} word;

typedef struct words {
    word *items;
    size_t n;
} words;

static nd_status parse(word *w, const char *s, size_t n)
{
    const char *equals = memchr(s, '=', n), *number = equals ? equals + 1 : s;
    double value;
    *w = (word){ .name = s, .n = equals ? (size_t)(equals - s) : n };
    CHECK(w->n > 0 && ndi_parse_double(number, s + n, &value) && value == floor(value) && fabs(value) <= INT32_MAX, ND_ERR_ARGUMENT,
          "epochs: got '%.*s' in a list of events, expected name=code or code", (int)n, s);
    w->code = (int32_t)value;
    return ND_OK;
}

static nd_status parse_list(words *list, const char *s)
{
    const char *at;
    size_t n;
    if (!s) return ND_OK;
    TRY(NEW(list->items, ndi_count_words(s)));
    while (ndi_next_word(&s, &at, &n)) TRY(parse(&list->items[list->n++], at, n));
    return ND_OK;
}

static const word *find(const words *list, int32_t code)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].code == code) return &list->items[i];
    return NULL;
}

typedef struct choice {
    words take, drop;
    image_list files;
    bool all;
} choice;

static nd_status name_event(epoch_events *e, const choice *k, const word *named, int32_t code, size_t *image)
{
    char digits[16];
    if (k->files.items) {
        CHECK(code >= 1 && (size_t)code <= k->files.n, ND_ERR_ARGUMENT,
              "epochs: an event of code %d, expected an image from 1 to %zu; leave other codes out by `drop`", (int)code, k->files.n);
        return ndi_add_id(&e->images, k->files.items[code - 1], "image id", image);
    }
    if (named) return ndi_ids_add(&e->images, named->name, named->n, image);
    ndi_format(digits, sizeof digits, "%d", (int)code);
    return ndi_add_id(&e->images, digits, "image id", image);
}

static nd_status choose(epoch_events *e, const choice *k, const nd_recording *r)
{
    TRY(NEW(e->items, r->n_marks));
    for (size_t i = 0; i < r->n_marks; i++) {
        const mark *m = &r->marks[i];
        const word *named = find(&k->take, m->code);
        if (ndi_mark_is_bad(m) || find(&k->drop, m->code) || (!k->all && !named)) continue;
        e->items[e->n].sample = m->sample;
        TRY(name_event(e, k, named, m->code, &e->items[e->n].image));
        e->n++;
    }
    CHECK(e->n, ND_ERR_ARGUMENT, "epochs: none of the %zu events of the recording is to become a trial", r->n_marks);
    return ND_OK;
}

nd_status ndi_epoch_events(epoch_events *e, const nd_recording *r, const nd_epoch_options *o)
{
    choice k = { .all = !o->events };
    *e = (epoch_events){ 0 };
    nd_status status = parse_list(&k.take, o->events);
    if (status == ND_OK) status = parse_list(&k.drop, o->drop);
    if (status == ND_OK && o->images) status = ndi_images_open(&k.files, o->images, o->partition, 0, "epochs");
    if (status == ND_OK) status = choose(e, &k, r);
    ndi_free(k.take.items);
    ndi_free(k.drop.items);
    ndi_images_free(&k.files);
    return status;
}

void ndi_epoch_events_free(epoch_events *e)
{
    ndi_free(e->items);
    ndi_ids_free(&e->images);
}
