#include "data/meg_epochs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/normalise.h"

/* ---- channels and samples ---- */

static nd_status choose_sensors(meg_epochs *m)
{
    const texts *names = ndi_content_texts(m->file, "ch_names"), *types = ndi_content_texts(m->file, "ch_types");
    const size_t n = m->data->shape[1];
    TRY(NEW(m->sensors, n));
    TRY(NEW(m->names, n));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(types->items[i], "mag") != 0 && strcmp(types->items[i], "grad") != 0) continue;
        m->names[m->n_sensors] = names->items[i];
        m->sensors[m->n_sensors++] = i;
    }
    CHECK(m->n_sensors > 0, ND_ERR_FORMAT, "%s: none of %zu channels is a magnetometer or gradiometer", m->path, n);
    return ND_OK;
}

static nd_status choose_samples(meg_epochs *m, double start, double end)
{
    const array *a = ndi_content_array(m->file, "times");
    double *times;
    TRY(NEW(times, a->n));
    nd_status status = ndi_array_read_f64(a, 0, a->n, times);
    const double last = times[a->n - 1];
    m->rate = a->n > 1 ? round((double)(a->n - 1) / (last - times[0]) * 1e3) / 1e3 : 1;
    const double little = 1e-3 / m->rate;
    while (m->first < a->n && times[m->first] < start - little) m->first++;
    while (m->first + m->n_samples < a->n && times[m->first + m->n_samples] <= end + little) m->n_samples++;
    if (status == ND_OK && (m->n_samples == 0 || times[0] > start + little || last < end - little))
        status = ndi_fail(ND_ERR_ARGUMENT, "%s: has samples from %g to %g s, expected some from %g to %g s", m->path, times[0], last, start, end);
    else
        m->start = times[m->first];
    ndi_free(times);
    return status;
}

/* ---- what was shown ---- */

static nd_status find_texts(const meg_epochs *m, const char *name, const char ***items)
{
    const texts *t = ndi_content_texts(m->file, name);
    CHECK(t, ND_ERR_FORMAT, "%s: has no column '%s' of text, expected the metadata of THINGS-MEG: trial_type, image_path, category_nr", m->path,
          name + strlen("metadata/"));
    *items = t->items;
    return ND_OK;
}

static nd_status count_types(meg_epochs *m)
{
    for (size_t i = 0; i < m->n_trials; i++) {
        const char *type = m->types[i];
        size_t *count = strcmp(type, "exp") == 0     ? &m->n_exp
                        : strcmp(type, "test") == 0  ? &m->n_test
                        : strcmp(type, "catch") == 0 ? &m->n_catch
                                                     : NULL;
        CHECK(count, ND_ERR_FORMAT, "%s: trial %zu has the trial_type '%s', expected exp, test or catch", m->path, i, type);
        ++*count;
    }
    CHECK(m->n_exp && m->n_test, ND_ERR_FORMAT, "%s: %zu trials of type exp and %zu of type test, expected some of each", m->path, m->n_exp,
          m->n_test);
    return ND_OK;
}

static bool is_shown(const meg_epochs *m, size_t trial) { return strcmp(m->types[trial], "catch") != 0; }

static nd_status read_categories(meg_epochs *m)
{
    const array *a = ndi_content_array(m->file, "metadata/category_nr");
    double *numbers;
    CHECK(a, ND_ERR_FORMAT, "%s: has no column 'category_nr' of numbers, expected the metadata of THINGS-MEG", m->path);
    TRY(NEW(m->categories, m->n_trials));
    TRY(NEW(numbers, m->n_trials));
    nd_status status = ndi_array_read_f64(a, 0, m->n_trials, numbers);
    for (size_t i = 0; status == ND_OK && i < m->n_trials; i++) {
        if (!is_shown(m, i)) continue;
        if (!(fabs(numbers[i]) < 1e9) || numbers[i] != floor(numbers[i]))
            status = ndi_fail(ND_ERR_FORMAT, "%s: trial %zu has the category_nr %g, expected a whole number", m->path, i, numbers[i]);
        else if (!*m->images[i])
            status = ndi_fail(ND_ERR_FORMAT, "%s: trial %zu has no image_path", m->path, i);
        else
            m->categories[i] = (int64_t)numbers[i];
    }
    ndi_free(numbers);
    return status;
}

static nd_status read_codes(meg_epochs *m)
{
    const array *a = ndi_content_array(m->file, "events");
    int32_t *events;
    TRY(NEW(m->codes, m->n_trials));
    TRY(NEW(events, a->n));
    nd_status status = ndi_array_read_native(a, 0, a->n, events);
    for (size_t i = 0; i < m->n_trials; i++) m->codes[i] = events[3 * i + 2];
    ndi_free(events);
    return status;
}

static void compare_with_published(const meg_epochs *m)
{
    const size_t n_samples = m->data->shape[2];
    if (m->n_trials == 27048 && m->n_sensors == 271 && n_samples == 281 && m->rate == 200 && m->n_exp == 22248 && m->n_test == 2400) return;
    ndi_log(ND_LOG_WARNING,
            "%s: %zu epochs (%zu exp, %zu test, %zu catch) of %zu sensors x %zu samples at %g Hz; published are 27048 (22248, 2400, 2400) of 271 x "
            "281 at 200 Hz",
            m->path, m->n_trials, m->n_exp, m->n_test, m->n_catch, m->n_sensors, n_samples, m->rate);
}

/* ---- opening ---- */

nd_status ndi_meg_open(meg_epochs *m, const char *path, double start, double end)
{
    *m = (meg_epochs){ .path = path };
    TRY(ndi_content_open(&m->file, path));
    m->data = ndi_content_array(m->file, "data");
    CHECK(m->data && ndi_content_texts(m->file, "event_names") && ndi_content_array(m->file, "events"), ND_ERR_FORMAT, "%s: holds no epochs", path);
    CHECK(ndi_stream_concurrent(m->data->in), ND_ERR_UNSUPPORTED, "%s: is packed, and its trials are wanted in another order: unpack it first", path);
    m->n_trials = m->data->shape[0];
    TRY(choose_sensors(m));
    TRY(choose_samples(m, start, end));
    TRY(find_texts(m, "metadata/trial_type", &m->types));
    TRY(find_texts(m, "metadata/image_path", &m->images));
    TRY(count_types(m));
    TRY(read_categories(m));
    TRY(read_codes(m));
    compare_with_published(m);
    return ND_OK;
}

void ndi_meg_close(meg_epochs *m)
{
    ndi_free(m->sensors);
    ndi_free(m->names);
    ndi_free(m->categories);
    ndi_free(m->codes);
    ndi_content_free(m->file);
    *m = (meg_epochs){ 0 };
}

/* ---- partitions ---- */

typedef struct coded_trial {
    int32_t code;
    size_t trial;
} coded_trial;

static int by_code(const void *a, const void *b)
{
    const coded_trial *x = a, *y = b;
    return x->code != y->code ? (x->code > y->code) - (x->code < y->code) : (x->trial > y->trial) - (x->trial < y->trial);
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Concepts of the test images, sorted. */
static nd_status list_tested(const meg_epochs *m, int64_t **tested)
{
    size_t n = 0;
    TRY(NEW(*tested, m->n_test));
    for (size_t i = 0; i < m->n_trials; i++)
        if (strcmp(m->types[i], "test") == 0) (*tested)[n++] = m->categories[i];
    qsort(*tested, n, sizeof **tested, by_number);
    return ND_OK;
}

static bool belongs(const meg_epochs *m, size_t trial, int partition, bool zero_shot, const int64_t *tested)
{
    if (strcmp(m->types[trial], "test") == 0) return partition != MEG_TRAINING;
    if (partition == MEG_TEST || !is_shown(m, trial)) return false;
    const bool left_out = zero_shot && bsearch(&m->categories[trial], tested, m->n_test, sizeof *tested, by_number);
    return left_out == (partition == MEG_EXTENDED);
}

nd_status ndi_meg_partition(const meg_epochs *m, int partition, bool zero_shot, size_t **trials, size_t *n)
{
    coded_trial *order = NULL;
    int64_t *tested = NULL;
    nd_status status;
    *trials = NULL;
    *n = 0;
    GO(list_tested(m, &tested));
    GO(NEW(order, m->n_trials));
    for (size_t i = 0; i < m->n_trials; i++)
        if (belongs(m, i, partition, zero_shot, tested)) order[(*n)++] = (coded_trial){ m->codes[i], i };
    if (*n == 0) GO(ndi_fail(ND_ERR_FORMAT, "%s: all trials of type exp are of concepts of test images: nothing is left to train on", m->path));
    qsort(order, *n, sizeof *order, by_code);
    GO(NEW(*trials, *n));
    for (size_t i = 0; i < *n; i++) (*trials)[i] = order[i].trial;
done:
    ndi_free(order);
    ndi_free(tested);
    return status;
}

nd_status ndi_meg_read(const meg_epochs *m, size_t trial, double *whole, double *x)
{
    const size_t n_all = m->data->shape[2], size = m->data->shape[1] * n_all;
    TRY(ndi_array_read_f64(m->data, trial * size, size, whole));
    for (size_t i = 0; i < m->n_sensors; i++, x += m->n_samples) {
        memcpy(x, whole + m->sensors[i] * n_all + m->first, m->n_samples * sizeof *x);
        CHECK(ndi_finite_f64(x, m->n_samples), ND_ERR_NUMERIC, "%s: trial %zu (%s), channel '%s': a sample is not finite", m->path, trial,
              m->images[trial], m->names[i]);
    }
    return ND_OK;
}
