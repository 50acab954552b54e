#include "data/layout.h"

#include <string.h>

#include "base/text.h"

enum { ROLE_ONE, ROLE_TRIAL, ROLE_CONCEPT, ROLE_IMAGE, ROLE_REPETITION, ROLE_SUBJECT, ROLE_CHANNEL, ROLE_SAMPLE, ROLE_COUNT };

static const char *const role_names[ROLE_COUNT] = { "1", "trial", "concept", "image", "repetition", "subject", "channel", "sample" };

static void shape_text(const array *a, text *t)
{
    for (size_t i = 0; i < a->n_dims; i++) ndi_text_add(t, i ? " x %zu" : "%zu", a->shape[i]);
}

/* Fails with the shape of the array in the message. */
static nd_status wrong_shape(const array *a, const char *where, const char *expected)
{
    text shape = { 0 };
    shape_text(a, &shape);
    ndi_say("%s: array '%s' has shape (%s), expected %s", where, a->name, shape.s ? shape.s : "", expected);
    ndi_text_free(&shape);
    return ND_ERR_ARGUMENT;
}

static nd_status default_axes(const array *a, const char *where, const char **axes)
{
    switch (a->n_dims) {
    case 2: *axes = "trial channel"; return ND_OK;
    case 3: *axes = "trial channel sample"; return ND_OK;
    case 4: *axes = a->shape[1] == 1 ? "trial 1 channel sample" : "image repetition channel sample"; return ND_OK;
    case 5: *axes = "concept image repetition channel sample"; return ND_OK;
    default: return wrong_shape(a, where, "2 to 5 dimensions, or the option axes to say what they are");
    }
}

static nd_status role_of(const char *word, size_t length, const char *where, int *role)
{
    for (*role = 0; *role < ROLE_COUNT; ++*role)
        if (strlen(role_names[*role]) == length && memcmp(role_names[*role], word, length) == 0) return ND_OK;
    return ndi_fail(ND_ERR_ARGUMENT, "%s: axes: got '%.*s', expected trial, concept, image, repetition, subject, channel, sample or 1", where,
                    (int)length, word);
}

static nd_status add_axis(layout *l, const array *a, size_t dim, int role, size_t stride, const char *where)
{
    size_t extent = a->shape[dim];
    switch (role) {
    case ROLE_ONE:
        CHECK(extent == 1, ND_ERR_ARGUMENT, "%s: axes: dimension %zu of array '%s' has extent %zu, expected 1", where, dim, a->name, extent);
        return ND_OK;
    case ROLE_CHANNEL:
        l->n_channels = extent;
        l->channel_stride = stride;
        return ND_OK;
    case ROLE_SAMPLE:
        l->n_samples = extent;
        l->sample_stride = stride;
        return ND_OK;
    default:
        l->axes[l->n_axes++] = (axis){ role, extent, stride };
        l->n_trials *= extent;
        return ND_OK;
    }
}

static const axis *find_axis(const layout *l, int role)
{
    for (size_t i = 0; i < l->n_axes; i++)
        if (l->axes[i].role == role) return &l->axes[i];
    return NULL;
}

nd_status ndi_layout_set(layout *l, const array *a, const char *axes, const char *where)
{
    if (!axes) TRY(default_axes(a, where, &axes));
    if (ndi_count_words(axes) != a->n_dims) {
        text expected = { 0 };
        ndi_text_add(&expected, "%zu dimensions for the axes '%s'", ndi_count_words(axes), axes);
        nd_status status = wrong_shape(a, where, expected.s ? expected.s : axes);
        ndi_text_free(&expected);
        return status;
    }
    if (a->n == 0) return wrong_shape(a, where, "at least one of each");
    *l = (layout){ .n_trials = 1, .n_channels = 1, .n_samples = 1, .channel_stride = 1, .sample_stride = 1 };
    size_t stride = a->n, length;
    bool seen[ROLE_COUNT] = { false };
    for (size_t dim = 0; dim < a->n_dims; dim++) {
        const char *word;
        int role;
        ndi_next_word(&axes, &word, &length);
        TRY(role_of(word, length, where, &role));
        CHECK(role == ROLE_ONE || !seen[role], ND_ERR_ARGUMENT, "%s: axes: '%s' stands twice", where, role_names[role]);
        seen[role] = true;
        stride /= a->shape[dim];
        TRY(add_axis(l, a, dim, role, stride, where));
    }
    const axis *concept = find_axis(l, ROLE_CONCEPT), *image = find_axis(l, ROLE_IMAGE);
    if (!image && !concept) image = find_axis(l, ROLE_TRIAL);
    l->images_of_concept = image ? image->extent : 1;
    l->n_images = image || concept ? l->images_of_concept * (concept ? concept->extent : 1) : l->n_trials;
    l->compact = (l->n_samples == 1 || l->sample_stride == 1) && (l->n_channels == 1 || l->channel_stride == l->n_samples);
    return ND_OK;
}

trial_origin ndi_layout_trial(const layout *l, size_t trial)
{
    trial_origin o = { 0 };
    size_t rest = trial, place[ROLE_COUNT] = { 0 };
    bool has[ROLE_COUNT] = { false };
    for (size_t i = l->n_axes; i-- > 0;) {
        const axis *x = &l->axes[i];
        place[x->role] = rest % x->extent;
        has[x->role] = true;
        o.offset += place[x->role] * x->stride;
        rest /= x->extent;
    }
    if (has[ROLE_IMAGE] || has[ROLE_CONCEPT])
        o.image = place[ROLE_CONCEPT] * l->images_of_concept + place[ROLE_IMAGE];
    else
        o.image = has[ROLE_TRIAL] ? place[ROLE_TRIAL] : trial;
    o.subject = has[ROLE_SUBJECT] ? place[ROLE_SUBJECT] + 1 : 0;
    return o;
}
