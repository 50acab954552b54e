#include "io/json.h"

#include <stdbool.h>

#include "base/mem.h"

/* Is there memory for what a parse takes? */
static bool memory_left(size_t n)
{
    void *probe = ndi_alloc(n + 64, 2);
    ndi_free(probe);
    return probe != NULL;
}

/* The lexer of jansson loses characters without a word when its buffer cannot grow, which makes of a good text a wrong one or a syntax error. So a
 * text is parsed twice: only what comes out the same is believed. */
nd_status ndi_json_parse(json_t **j, const char *s, size_t n, const char *where)
{
    json_error_t error;
    json_t *first = json_loadb(s, n, JSON_REJECT_DUPLICATES, &error), *second = json_loadb(s, n, JSON_REJECT_DUPLICATES, &error);
    bool same = first && second && json_equal(first, second);
    json_decref(first);
    *j = same ? second : NULL;
    if (same) return ND_OK;
    bool differs = first || second;
    json_decref(second);
    if (differs || json_error_code(&error) == json_error_out_of_memory || !memory_left(n)) return ndi_fail(ND_ERR_MEMORY, "%s: out of memory", where);
    return ndi_fail(ND_ERR_FORMAT, "%s: JSON: %s, at byte %d", where, error.text, error.position);
}

static int add(const char *bytes, size_t n, void *context)
{
    text *t = context;
    ndi_text_add_bytes(t, bytes, n);
    return t->failed ? -1 : 0;
}

nd_status ndi_json_dump(const json_t *j, text *t)
{
    int code = json_dump_callback(j, add, t, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(code == 0, ND_ERR_MEMORY, "JSON: out of memory");
    return ndi_text_status(t);
}

nd_status ndi_json_set(json_t *object, const char *key, json_t *value)
{
    CHECK(json_object_set_new(object, key, value) == 0, ND_ERR_MEMORY, "JSON: out of memory, or '%s' is not UTF-8", key);
    return ND_OK;
}

nd_status ndi_json_append(json_t *list, json_t *value)
{
    CHECK(json_array_append_new(list, value) == 0, ND_ERR_MEMORY, "JSON: out of memory, or a text is not UTF-8");
    return ND_OK;
}
