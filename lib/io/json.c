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

/* The lexer of jansson loses a character without a word when its buffer cannot grow, and runs off the text or aborts where that was the one behind a backslash or a closing quote. So the text
 * is parsed as the second item of a list whose first is a longer text of plain letters: the buffer grows there and never again. */
static void pad(text *t, size_t n)
{
    size_t length = 16; /* a power of two: the buffer, of a power of two less one, is never full at the closing quote */
    while (length < n) length *= 2;
    ndi_text_add(t, "[\"");
    for (size_t k = 0; k < length / 16; k++) ndi_text_add(t, "aaaaaaaaaaaaaaaa");
    ndi_text_add(t, "\",");
}

static json_t *parse(const text *t, json_error_t *error)
{
    json_t *list = json_loadb(t->s, t->n, JSON_REJECT_DUPLICATES, error), *item = json_array_get(list, 1);
    bool single = json_array_size(list) == 2 && (json_is_object(item) || json_is_array(item));
    if (list && !single) ndi_format(error->text, sizeof error->text, "expected one object or list");
    json_incref(single ? item : NULL);
    json_decref(list);
    return single ? item : NULL;
}

/* A failed allocation can also look like a syntax error; so a text is parsed twice, and only what comes out the same is believed. */
static nd_status parse_padded(json_t **j, const text *t, size_t before, const char *where)
{
    json_error_t error;
    json_t *first = parse(t, &error), *second = parse(t, &error);
    bool same = first && second && json_equal(first, second);
    json_decref(first);
    *j = same ? second : NULL;
    if (same) return ND_OK;
    bool differs = first || second;
    json_decref(second);
    if (differs || json_error_code(&error) == json_error_out_of_memory || !memory_left(t->n)) return ndi_fail(ND_ERR_MEMORY, "%s: out of memory", where);
    int at = error.position - (int)before;
    return ndi_fail(ND_ERR_FORMAT, "%s: JSON: %s, at byte %d", where, error.text, at > 0 ? at : 0);
}

nd_status ndi_json_parse(json_t **j, const char *s, size_t n, const char *where)
{
    text t = { 0 };
    *j = NULL;
    pad(&t, n);
    size_t before = t.n;
    ndi_text_add_bytes(&t, s, n);
    ndi_text_add(&t, "]");
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) status = parse_padded(j, &t, before, where);
    ndi_text_free(&t);
    return status;
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
