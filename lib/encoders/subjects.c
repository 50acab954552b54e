/* People: a dataset has any ids, 0 = unknown; a subject table has rows 1, 2, ... An encoder made for a dataset remembers its ids in `input.subjects`, ascending; one without that list takes ids as rows. */
#include <stdlib.h>
#include <string.h>

#include "encoders/encoder.h"
#include "io/json.h"

int32_t ndi_encoder_subject(const nd_encoder *e, int32_t id)
{
    if (!e->subjects || e->raw_subjects) return id;
    size_t low = 0, high = e->n_subjects;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (e->subjects[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->n_subjects && e->subjects[low] == id ? (int32_t)low + 1 : 0;
}

static nd_status read_list(const json_t *list, int32_t *subjects)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t id = json_integer_value(item);
        CHECK(json_is_integer(item) && id >= INT32_MIN && id <= INT32_MAX && (i == 0 || id > subjects[i - 1]), ND_ERR_FORMAT,
              "encoder: metadata: input.subjects: entry %zu, expected whole numbers in ascending order", i);
        subjects[i] = (int32_t)id;
    }
    return ND_OK;
}

nd_status ndi_encoder_read_subjects(nd_encoder *e)
{
    const json_t *list = json_object_get(json_object_get(e->meta, "input"), "subjects");
    int32_t *subjects = NULL;
    if (list) {
        CHECK(json_is_array(list), ND_ERR_FORMAT, "encoder: metadata: input.subjects: expected a list");
        TRY(NEW(subjects, json_array_size(list) + 1));
        nd_status status = read_list(list, subjects);
        if (status != ND_OK) {
            ndi_free(subjects);
            return status;
        }
    }
    ndi_free(e->subjects);
    e->subjects = subjects;
    e->n_subjects = json_array_size(list);
    return ND_OK;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

nd_status ndi_subjects_list(const nd_dataset *d, json_t **out)
{
    size_t n = ndi_dataset_trials(d);
    int32_t *subjects;
    TRY(NEW(subjects, n + 1));
    for (size_t i = 0; i < n; i++) subjects[i] = ndi_dataset_subject_of(d, i);
    qsort(subjects, n, sizeof *subjects, ascending);
    json_t *list = json_array();
    nd_status status = list ? ND_OK : ndi_fail(ND_ERR_MEMORY, "encoder: out of memory");
    for (size_t i = 0; i < n && status == ND_OK; i++)
        if (subjects[i] != 0 && (i == 0 || subjects[i] != subjects[i - 1])) status = ndi_json_append(list, json_integer(subjects[i]));
    ndi_free(subjects);
    if (status == ND_OK)
        *out = list;
    else
        json_decref(list);
    return status;
}

/* Raw ids say themselves how many rows they need. */
nd_status ndi_subjects_default(const encoder_kind *kind, const char *params, size_t n, text *t)
{
    spec s;
    TRY(ndi_spec_parse(&s, kind, params));
    ndi_text_add(t, "%s", params ? params : "");
    bool given = false;
    const param *p;
    for (size_t i = 0; (p = ndi_kind_param(kind, i)); i++) given |= s.given[i] && strcmp(p->name, "subjects") == 0;
    if (!given && n > 0 && ndi_reads_subjects(&s) && !(ndi_get(&s, "raw_subjects") > 0)) ndi_text_add(t, " subjects=%zu", n);
    return ndi_text_status(t);
}
