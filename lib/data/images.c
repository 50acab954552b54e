#include "data/images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/things_meg.h"
#include "io/table.h"

static nd_status reserve(image_list *list, size_t n) { return NEW(list->items, n ? n : 1); }

static nd_status keep(image_list *list, const char *s, size_t n)
{
    char *copy = ndi_arena_text(&list->memory, s, n);
    CHECK(copy, ND_ERR_MEMORY, "out of memory");
    list->items[list->n++] = copy;
    return ND_OK;
}

/* ---- text ---- */

/* Lines of a text; empty ones are allowed at the end only. */
static nd_status take_lines(image_list *list, const char *s, size_t n, const char *path)
{
    const char *end = s + n;
    if (n >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0) s += 3;
    while (end > s && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ')) end--;
    size_t lines = 1;
    for (const char *c = s; c < end; c++) lines += *c == '\n';
    TRY(reserve(list, lines));
    while (s < end) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        if (!stop) stop = end;
        size_t length = (size_t)(stop - s);
        while (length && (s[length - 1] == '\r' || s[length - 1] == ' ')) length--;
        CHECK(length > 0, ND_ERR_FORMAT, "%s: line %zu is empty, expected an image id", path, list->n + 1);
        CHECK(!memchr(s, 0, length), ND_ERR_FORMAT, "%s: line %zu holds a NUL, expected text", path, list->n + 1);
        TRY(keep(list, s, length));
        s = stop < end ? stop + 1 : end;
    }
    return ND_OK;
}

static nd_status read_text(image_list *list, stream *s, const char *path)
{
    char *bytes;
    size_t n;
    TRY(ndi_text_load(s, &bytes, &n));
    nd_status status = take_lines(list, bytes, n, path);
    ndi_free(bytes);
    return status;
}

/* ---- arrays ---- */

static nd_status take_texts(image_list *list, const texts *t)
{
    TRY(reserve(list, t->n));
    for (size_t i = 0; i < t->n; i++) TRY(keep(list, t->items[i], strlen(t->items[i])));
    return ND_OK;
}

static nd_status take_numbers(image_list *list, const array *a, const char *path)
{
    double *values;
    CHECK(a->type <= DTYPE_U64 && a->type != DTYPE_BOOL, ND_ERR_FORMAT, "%s: array '%s' holds %s, expected image ids: text or whole numbers", path,
          a->name, ndi_dtype_name(a->type));
    TRY(NEW(values, a->n ? a->n : 1));
    nd_status status = ndi_array_read_f64(a, 0, a->n, values);
    if (status == ND_OK) status = reserve(list, a->n);
    for (size_t i = 0; i < a->n && status == ND_OK; i++) {
        char digits[32];
        int n = snprintf(digits, sizeof digits, "%.0f", values[i]);
        status = keep(list, digits, (size_t)n);
    }
    ndi_free(values);
    return status;
}

/* ---- THINGS-EEG2 ---- */

typedef struct partition {
    const char *name;
    const texts *concepts, *files;
} partition;

/* The number that a concept begins with, as in "00001_aardvark"; 0 where it has none. */
static unsigned long number_of(const char *concept)
{
    char *end;
    const unsigned long number = *concept >= '0' && *concept <= '9' ? strtoul(concept, &end, 10) : 0;
    return number && *end == '_' ? number : 0;
}

/* Concepts with numbers are listed in order and without gaps. */
static nd_status check_order(const partition *p, const char *path)
{
    unsigned long last = 0;
    for (size_t i = 0; i < p->concepts->n; i++) {
        const char *concept = p->concepts->items[i];
        const unsigned long number = number_of(concept);
        if (number == 0) return ND_OK;
        CHECK(i == 0 || number == last || number == last + 1, ND_ERR_FORMAT,
              "%s: %s concepts: entry %zu is '%s', expected number %05lu or the next: concepts are listed in order, without gaps", path, p->name, i,
              concept, last);
        last = number;
    }
    return ND_OK;
}

static nd_status find_partition(partition *p, const content *c, bool test, const char *path)
{
    p->name = test ? "test" : "training";
    p->concepts = ndi_content_texts(c, test ? "test_img_concepts" : "train_img_concepts");
    p->files = ndi_content_texts(c, test ? "test_img_files" : "train_img_files");
    CHECK(p->concepts && p->files && p->concepts->n == p->files->n, ND_ERR_FORMAT, "%s: expected %s_img_concepts and %s_img_files of the same length",
          path, test ? "test" : "train", test ? "test" : "train");
    return check_order(p, path);
}

/* `concept/file` without the file's suffix. */
static nd_status take_partition(image_list *list, const partition *p)
{
    TRY(reserve(list, p->files->n));
    for (size_t i = 0; i < p->files->n; i++) {
        const char *concept = p->concepts->items[i], *file = p->files->items[i], *dot = strrchr(file, '.');
        size_t n_concept = strlen(concept), n_file = dot && dot > file ? (size_t)(dot - file) : strlen(file);
        char *id = ndi_arena_alloc(&list->memory, n_concept + n_file + 2);
        CHECK(id, ND_ERR_MEMORY, "out of memory");
        memcpy(id, concept, n_concept);
        id[n_concept] = '/';
        memcpy(id + n_concept + 1, file, n_file);
        list->items[list->n++] = id;
    }
    return ND_OK;
}

static nd_status take_metadata(image_list *list, const content *c, const char *path, const char *wanted, size_t n_expected, const char **taken)
{
    partition p[2];
    for (size_t i = 0; i < 2; i++) TRY(find_partition(&p[i], c, i == 1, path));
    size_t n[2] = { p[0].files->n, p[1].files->n }, choice;
    if (wanted) {
        choice = strcmp(wanted, "test") == 0;
        CHECK(choice == 1 || strcmp(wanted, "training") == 0, ND_ERR_ARGUMENT, "partition: got '%s', expected training or test", wanted);
    } else {
        choice = n[1] == n_expected;
        CHECK(n_expected && n[0] != n[1] && n[choice] == n_expected, ND_ERR_ARGUMENT,
              "%s: lists %zu training and %zu test images, %zu were expected: say which with the option partition", path, n[0], n[1], n_expected);
    }
    *taken = p[choice].name;
    return take_partition(list, &p[choice]);
}

/* ---- the file ---- */

static nd_status take_content(image_list *list, stream *s, const char *path, const char *wanted, size_t n_expected, const char **taken)
{
    content *c;
    const array *a;
    TRY(ndi_content_open_stream(&c, s, "npy"));
    nd_status status;
    if (ndi_content_texts(c, "train_img_files") || ndi_content_texts(c, "test_img_files"))
        status = take_metadata(list, c, path, wanted, n_expected, taken);
    else if (c->n_texts == 1)
        status = take_texts(list, &c->texts[0]);
    else if ((status = ndi_content_pick(c, NULL, &a)) == ND_OK)
        status = take_numbers(list, a, path);
    ndi_content_free(c);
    return status;
}

static nd_status take_file(image_list *list, const char *path, const char *wanted, size_t n_expected, const char **taken)
{
    stream *s;
    uint8_t head[6];
    size_t got;
    TRY(ndi_stream_open_file(&s, path));
    nd_status status = ndi_stream_read_some(s, 0, head, sizeof head, &got);
    bool npy = status == ND_OK && got == sizeof head && memcmp(head, "\x93NUMPY", 6) == 0,
         pickle = status == ND_OK && got > 1 && head[0] == 0x80 && head[1] <= 5;
    if (npy || pickle) return take_content(list, s, path, wanted, n_expected, taken);
    if (status == ND_OK) status = read_text(list, s, path);
    ndi_stream_close(s);
    return status;
}

nd_status ndi_images_open(image_list *list, const char *path, const char *wanted, size_t n_expected, const char *where)
{
    *list = (image_list){ 0 };
    const char *taken = NULL, *slash = strrchr(path, '/');
    nd_status status = take_file(list, path, wanted, n_expected, &taken);
    if (status == ND_OK && list->n == 0) status = ndi_fail(ND_ERR_FORMAT, "%s: holds no image ids", path);
    if (status == ND_OK && n_expected && list->n != n_expected)
        status = ndi_fail(ND_ERR_ARGUMENT, "%s: %zu images in the array, %zu ids in %s%s%s%s", where, n_expected, list->n, slash ? slash + 1 : path,
                          taken ? " (" : "", taken ? taken : "", taken ? ")" : "");
    if (status != ND_OK) ndi_images_free(list);
    return status;
}

/* ---- the file of the trials ---- */

/* Texts or numbers by their whole name or as a column of the table of trials. */
static nd_status take_column(image_list *list, const content *c, const char *column, const char *where)
{
    text inside = { 0 };
    const texts *t = ndi_content_texts(c, column);
    const array *a = ndi_content_array(c, column);
    nd_status status = ND_OK;
    if (!t && !a) {
        ndi_text_add(&inside, "metadata/%s", column);
        GO(ndi_text_status(&inside));
        t = ndi_content_texts(c, inside.s);
        a = ndi_content_array(c, inside.s);
    }
    if (!t && !a) GO(ndi_fail(ND_ERR_ARGUMENT, "%s: has no column '%s' for image ids", where, column));
    GO(t ? take_texts(list, t) : take_numbers(list, a, where));
done:
    ndi_text_free(&inside);
    return status;
}

/* Events and conditions only count where there is one for each trial: other files may list theirs. */
static nd_status take_own(image_list *list, const content *c, size_t n_expected)
{
    static const struct {
        const char *name;
        bool always;
    } usual[] = { { "image_ids", true }, { "meg_images", true }, { "event_names", false }, { "conditions", false } };
    for (size_t i = 0; i < COUNT(usual); i++) {
        const texts *t = ndi_content_texts(c, usual[i].name);
        if (t && (usual[i].always || t->n == n_expected)) return take_texts(list, t);
    }
    return ND_OK;
}

/* Paths become ids. */
static nd_status shorten(image_list *list)
{
    text id = { 0 };
    nd_status status = ND_OK;
    for (size_t i = 0; i < list->n; i++) {
        GO(ndi_things_meg_id(&id, list->items[i]));
        if (strcmp(id.s, list->items[i]) == 0) continue;
        list->items[i] = ndi_arena_text(&list->memory, id.s, id.n);
        if (!list->items[i]) GO(ndi_fail(ND_ERR_MEMORY, "out of memory"));
    }
done:
    ndi_text_free(&id);
    return status;
}

nd_status ndi_images_find(image_list *list, const content *c, const char *images, const char *wanted, size_t n_expected, const char *where)
{
    static const char column[] = "column:";
    nd_status status;
    *list = (image_list){ 0 };
    if (!images)
        status = take_own(list, c, n_expected);
    else if (strncmp(images, column, sizeof column - 1) == 0)
        status = take_column(list, c, images + sizeof column - 1, where);
    else
        status = ndi_images_open(list, images, wanted, n_expected, where);
    if (status == ND_OK && list->items && list->n != n_expected)
        status = ndi_fail(ND_ERR_FORMAT, "%s: %zu images in the array, %zu image ids", where, n_expected, list->n);
    if (status == ND_OK) status = shorten(list);
    if (status != ND_OK) ndi_images_free(list);
    return status;
}

void ndi_images_free(image_list *list)
{
    ndi_free(list->items);
    ndi_arena_free(&list->memory);
    *list = (image_list){ 0 };
}
