/* Banks from folders of one small file per image, named `<id>_<suffix>.npy`; the folder of the concept is part of the id.
 * With a list of ids each file is opened by its name. Without one the tree is walked in sorted order and the suffix is what all names end with,
 * from its first underscore on: where several models lie side by side there is no such ending, or one that is too short, so name the suffix. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "data/bank_layers.h"
#include "data/images.h"
#include "data/things_eeg2.h"
#include "data/things_meg.h"
#include "io/content.h"

static const char ending[] = ".npy";
enum { ENDING_BYTES = sizeof ending - 1, MAX_DEPTH = 8, MAX_FILES = 10000000 };

/* ---- the names in a folder ---- */

typedef struct names {
    arena memory;
    const char **items;
    size_t n, capacity;
} names;

static void names_free(names *l)
{
    ndi_free(l->items);
    ndi_arena_free(&l->memory);
    *l = (names){ 0 };
}

static nd_status keep(names *l, const char *s, size_t n)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        const char **items = ndi_realloc(l->items, l->n * sizeof *items, capacity * sizeof *items);
        CHECK(items, ND_ERR_MEMORY, "out of memory");
        l->items = items;
        l->capacity = capacity;
    }
    const char *copy = ndi_arena_text(&l->memory, s, n);
    CHECK(copy, ND_ERR_MEMORY, "out of memory");
    l->items[l->n++] = copy;
    return ND_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* All names in a folder but hidden ones, sorted. */
static nd_status list_folder(names *l, const char *folder)
{
    DIR *dir = opendir(folder);
    CHECK(dir, ND_ERR_IO, "%s: cannot open: %s", folder, strerror(errno));
    nd_status status = ND_OK;
    for (struct dirent *e; status == ND_OK && (e = readdir(dir));)
        if (e->d_name[0] != '.') status = keep(l, e->d_name, strlen(e->d_name));
    closedir(dir);
    if (l->n) qsort(l->items, l->n, sizeof *l->items, by_name);
    return status;
}

static bool ends_with(const char *s, size_t n, const char *tail, size_t n_tail) { return n > n_tail && memcmp(s + n - n_tail, tail, n_tail) == 0; }

static nd_status join(text *path, const char *folder, const char *name)
{
    path->n = 0;
    ndi_text_add(path, *folder ? "%s/%s" : "%s%s", folder, name);
    return ndi_text_status(path);
}

/* Collects the .npy files below `folder/inside` as paths relative to `folder`, without their ending. */
static nd_status walk(names *found, const char *folder, const char *inside, int depth)
{
    names here = { 0 };
    text path = { 0 }, relative = { 0 };
    nd_status status;
    GO(join(&path, folder, inside));
    if (depth > MAX_DEPTH) GO(ndi_fail(ND_ERR_UNSUPPORTED, "%s: folders in more than %d levels", path.s, MAX_DEPTH));
    GO(list_folder(&here, path.s));
    for (size_t i = 0; i < here.n; i++) {
        struct stat about;
        GO(join(&relative, inside, here.items[i]));
        GO(join(&path, folder, relative.s));
        if (stat(path.s, &about) != 0) GO(ndi_fail(ND_ERR_IO, "%s: cannot look at it: %s", path.s, strerror(errno)));
        if (S_ISDIR(about.st_mode))
            GO(walk(found, folder, relative.s, depth + 1));
        else if (ends_with(relative.s, relative.n, ending, ENDING_BYTES) && strcmp(here.items[i], "image_metadata.npy") != 0)
            GO(keep(found, relative.s, relative.n - ENDING_BYTES));
        if (found->n > MAX_FILES) GO(ndi_fail(ND_ERR_UNSUPPORTED, "%s: more than %d files", folder, MAX_FILES));
    }
done:
    names_free(&here);
    ndi_text_free(&path);
    ndi_text_free(&relative);
    return status;
}

/* ---- the suffix ---- */

/* From the names of all files. */
static nd_status common_suffix(const names *files, const char *folder, text *suffix)
{
    const char *first = files->items[0];
    size_t n_first = strlen(first), common = n_first;
    for (size_t i = 1; i < files->n; i++) {
        size_t n = strlen(files->items[i]), k = 0;
        while (k < common && k < n && first[n_first - 1 - k] == files->items[i][n - 1 - k]) k++;
        common = k;
    }
    const char *slash = strrchr(first, '/'), *tail = first + n_first - common;
    if (slash && slash >= tail) tail = slash + 1;
    const char *underscore = files->n == 1 ? strrchr(tail, '_') : strchr(tail, '_');
    CHECK(underscore && underscore[1], ND_ERR_ARGUMENT,
          "%s: which files are meant? the names, such as '%s.npy' and '%s.npy', have no suffix in common: name one", folder, first,
          files->items[files->n - 1]);
    ndi_text_add(suffix, "%s", underscore + 1);
    return ndi_text_status(suffix);
}

/* From the files beside the first image of a list: there must be just one that is called `<id>_....npy`. */
static nd_status suffix_of(const char *folder, const char *id, text *suffix)
{
    const char *slash = strrchr(id, '/'), *stem = slash ? slash + 1 : id;
    size_t n_stem = strlen(stem);
    names here = { 0 };
    text path = { 0 };
    nd_status status;
    ndi_text_add(&path, "%s/%.*s", folder, (int)(stem - id), id);
    GO(ndi_text_status(&path));
    GO(list_folder(&here, path.s));
    for (size_t i = 0; i < here.n; i++) {
        size_t n = strlen(here.items[i]);
        if (strncmp(here.items[i], stem, n_stem) != 0 || here.items[i][n_stem] != '_' || !ends_with(here.items[i], n, ending, ENDING_BYTES)) continue;
        if (n <= n_stem + 1 + ENDING_BYTES) continue;
        if (suffix->n)
            GO(ndi_fail(ND_ERR_ARGUMENT, "%s: has the suffixes '%s' and '%.*s' for image '%s': name one", folder, suffix->s,
                        (int)(n - n_stem - 1 - ENDING_BYTES), here.items[i] + n_stem + 1, id));
        ndi_text_add_bytes(suffix, here.items[i] + n_stem + 1, n - n_stem - 1 - ENDING_BYTES);
    }
    GO(ndi_text_status(suffix));
    if (!suffix->n) GO(ndi_fail(ND_ERR_IO, "%s/%s_*.npy: no such file", folder, id));
done:
    names_free(&here);
    ndi_text_free(&path);
    return status;
}

/* ---- vectors ---- */

typedef struct folder {
    const char *path, *suffix, *layer;
    const char *const *files; /* below `path`, without suffix and ending */
    size_t n;
} folder;

static nd_status open_vector(content **c, const array **a, const char *path)
{
    TRY(ndi_content_open(c, path));
    nd_status status = ndi_content_pick(*c, NULL, a);
    if (status == ND_OK && (*a)->n == 0) status = ndi_fail(ND_ERR_FORMAT, "%s: holds no numbers", path);
    for (size_t i = 0; status == ND_OK && i + 1 < (*a)->n_dims; i++)
        if ((*a)->shape[i] != 1)
            status = ndi_fail(ND_ERR_FORMAT, "%s: holds %zu vectors, expected one", path, (*a)->n / (*a)->shape[(*a)->n_dims - 1]);
    if (status != ND_OK) ndi_content_free(*c);
    return status;
}

/* Reads the vector of image `row`; the first one decides on the length. */
static nd_status read_vector(nd_bank *b, const folder *f, size_t row, text *path)
{
    content *c;
    const array *a;
    float *to;
    path->n = 0;
    ndi_text_add(path, "%s/%s_%s.npy", f->path, f->files[row], f->suffix);
    TRY(ndi_text_status(path));
    TRY(open_vector(&c, &a, path->s));
    nd_status status = ND_OK;
    if (row == 0) status = ndi_bank_add_layer(b, f->layer ? f->layer : f->suffix, a->n, &to);
    if (status == ND_OK) {
        const layer *l = &b->layers[0];
        if (a->n != l->dim)
            status = ndi_fail(ND_ERR_FORMAT, "%s: holds %zu numbers, the files before it %zu", path->s, a->n, l->dim);
        else
            status = ndi_array_read_f32(a, 0, a->n, l->vectors + row * l->dim);
    }
    ndi_content_free(c);
    return status;
}

/* A folder of THINGS-EEG2 that holds those of both partitions gives the ids that each of them gives. */
static const char *without_partition(const char *file)
{
    static const char *const partitions[] = { "training_images/", "test_images/" };
    for (size_t i = 0; i < COUNT(partitions); i++)
        if (strncmp(file, partitions[i], strlen(partitions[i])) == 0) return file + strlen(partitions[i]);
    return file;
}

/* The id of an image is the name of its file; the folders of THINGS-MEG are known by their name, also where one of them is opened alone. */
static nd_status add_images(nd_bank *b, const folder *f)
{
    size_t n = strlen(f->path);
    while (n > 1 && f->path[n - 1] == '/') n--;
    size_t start = n;
    while (start > 0 && f->path[start - 1] != '/') start--;
    text path = { 0 }, id = { 0 };
    nd_status status = ND_OK;
    for (size_t i = 0; status == ND_OK && i < f->n; i++) {
        path.n = 0;
        ndi_text_add(&path, "%.*s/%s", (int)(n - start), f->path + start, f->files[i]);
        GO(ndi_text_status(&path));
        GO(ndi_things_meg_id(&id, f->files[i]));
        if (strcmp(id.s, f->files[i]) == 0) GO(ndi_things_meg_id(&id, path.s));
        GO(ndi_prefix(ndi_bank_add_image(b, strcmp(id.s, path.s) == 0 ? without_partition(f->files[i]) : id.s), "%s", f->path));
    }
done:
    ndi_text_free(&path);
    ndi_text_free(&id);
    return status;
}

static nd_status read_all(nd_bank **out, const folder *f, nd_progress_fn fn, void *user)
{
    nd_bank *b = NULL;
    text path = { 0 };
    progress p;
    nd_status status;
    GO(ndi_bank_new(&b, 1));
    GO(add_images(b, f));
    ndi_progress_begin(&p, fn, user, "read", "images", 0, f->n);
    for (size_t i = 0; i < f->n; i++) {
        GO(read_vector(b, f, i, &path));
        GO(ndi_progress_at(&p, i + 1));
    }
    GO(ndi_bank_check_finite(b, f->path));
    *out = b;
    b = NULL;
done:
    ndi_text_free(&path);
    ndi_bank_free(b);
    return status;
}

/* ---- entry points ---- */

static nd_status open_listed(nd_bank **b, const char *path, const image_list *list, const char *suffix, const char *layer_name, nd_progress_fn fn,
                             void *user)
{
    text found = { 0 };
    nd_status status = suffix ? ND_OK : suffix_of(path, list->items[0], &found);
    const folder f = { path, suffix ? suffix : found.s, layer_name, list->items, list->n };
    if (status == ND_OK) status = read_all(b, &f, fn, user);
    ndi_text_free(&found);
    return status;
}

/* Keeps the files with the suffix and cuts it off. */
static nd_status take_ids(names *ids_found, const names *files, const char *suffix)
{
    size_t n_suffix = strlen(suffix);
    for (size_t i = 0; i < files->n; i++) {
        size_t n = strlen(files->items[i]);
        if (ends_with(files->items[i], n, suffix, n_suffix) && n > n_suffix + 1 && files->items[i][n - n_suffix - 1] == '_')
            TRY(keep(ids_found, files->items[i], n - n_suffix - 1));
    }
    return ND_OK;
}

static nd_status open_found(nd_bank **b, const char *path, const nd_bank_options *o, nd_progress_fn fn, void *user)
{
    names files = { 0 }, found = { 0 };
    text suffix = { 0 };
    nd_status status;
    GO(walk(&files, path, "", 0));
    if (files.n == 0) GO(ndi_fail(ND_ERR_IO, "%s: holds no .npy files", path));
    if (o->suffix)
        ndi_text_add(&suffix, "%s", o->suffix);
    else
        GO(common_suffix(&files, path, &suffix));
    GO(ndi_text_status(&suffix));
    GO(take_ids(&found, &files, suffix.s));
    if (found.n == 0) GO(ndi_fail(ND_ERR_IO, "%s: holds no files named <id>_%s.npy, but such as '%s.npy'", path, suffix.s, files.items[0]));
    const folder f = { path, suffix.s, o->layer, found.items, found.n };
    GO(read_all(b, &f, fn, user));
done:
    names_free(&files);
    names_free(&found);
    ndi_text_free(&suffix);
    return status;
}

nd_status ndi_bank_open_folder(nd_bank **b, const char *path, const nd_bank_options *o, nd_progress_fn fn, void *user)
{
    if (!o->images) return open_found(b, path, o, fn, user);
    image_list list;
    TRY(ndi_images_open(&list, o->images, o->partition, 0, path));
    nd_status status = open_listed(b, path, &list, o->suffix, o->layer, fn, user);
    ndi_images_free(&list);
    return status;
}

nd_status ndi_bank_open(nd_bank **b, const char *path, const nd_bank_options *o, nd_progress_fn fn, void *user)
{
    struct stat about;
    bool is_folder = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
    return is_folder ? ndi_bank_open_folder(b, path, o, fn, user) : ndi_bank_open_file(b, path, o);
}

/* ---- THINGS-EEG2 ---- */

static nd_status open_partition(nd_bank **b, const char *folder_path, const char *partition, const char *suffix, nd_progress_fn fn, void *user)
{
    text metadata = { 0 }, place = { 0 };
    image_list list = { 0 };
    nd_status status;
    GO(ndi_things_metadata(&metadata, folder_path));
    GO(ndi_images_open(&list, metadata.s, partition, 0, folder_path));
    ndi_text_add(&place, "%s/image_embeddings/%s_images", folder_path, partition);
    GO(ndi_text_status(&place));
    GO(open_listed(b, place.s, &list, suffix, NULL, fn, user));
done:
    ndi_images_free(&list);
    ndi_text_free(&metadata);
    ndi_text_free(&place);
    return status;
}

nd_status ndi_bank_open_things_eeg2(nd_bank **b, const char *folder_path, const char *partition, const char *suffix, nd_progress_fn fn, void *user)
{
    if (strcmp(partition, "all") != 0) {
        TRY(ndi_things_partition(partition));
        return open_partition(b, folder_path, partition, suffix, fn, user);
    }
    nd_bank *training = NULL, *test = NULL;
    nd_status status;
    GO(open_partition(&training, folder_path, "training", suffix, fn, user));
    GO(open_partition(&test, folder_path, "test", suffix, fn, user));
    GO(ndi_bank_append(b, training, test));
done:
    ndi_bank_free(training);
    ndi_bank_free(test);
    return status;
}
