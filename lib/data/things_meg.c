#include "data/things_meg.h"

#include <string.h>

/* What follows a folder's name at the beginning of a path; NULL if it is another folder. */
static const char *below(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static size_t stem_length(const char *name)
{
    static const char *const suffixes[] = { ".jpg", ".jpeg", ".png" };
    const size_t n = strlen(name);
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        const size_t k = strlen(suffixes[i]);
        if (n > k && strcmp(name + n - k, suffixes[i]) == 0) return n - k;
    }
    return n;
}

nd_status ndi_things_meg_id(text *id, const char *path)
{
    const char *training = below(path, "images_meg"), *test = below(path, "images_test_meg"), *underscore = test ? strrchr(test, '_') : NULL;
    id->n = 0;
    if (underscore)
        ndi_text_add(id, "%.*s/%.*s", (int)(underscore - test), test, (int)stem_length(test), test);
    else if (training)
        ndi_text_add(id, "%.*s", (int)stem_length(training), training);
    else
        ndi_text_add(id, "%s", path);
    return ndi_text_status(id);
}
