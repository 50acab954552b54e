#include "base/params.h"

#include <math.h>
#include <string.h>

/* What is being parsed, and into what. */
typedef struct parser {
    const char *where;
    const param *params;
    size_t n;
    double *values;
    bool *given;
} parser;

static nd_status unknown_param(const parser *p, const char *word, size_t n)
{
    text names = { 0 };
    for (size_t i = 0; i < p->n; i++) ndi_text_add(&names, " %s", p->params[i].name);
    nd_status status = ndi_fail(ND_ERR_ARGUMENT, "%s: no hyper-parameter '%.*s'; there are recipe%s", p->where, (int)(n < 64 ? n : 64), word,
                                names.s ? names.s : "");
    ndi_text_free(&names);
    return status;
}

static nd_status set_param(const parser *p, const char *name, size_t n, const char *value, size_t n_value)
{
    int shown = (int)(n_value < 64 ? n_value : 64);
    if (n == 6 && memcmp(name, "recipe", 6) == 0) {
        bool reference = n_value == 9 && memcmp(value, "reference", 9) == 0;
        CHECK(reference || (n_value == 7 && memcmp(value, "default", 7) == 0), ND_ERR_ARGUMENT,
              "%s: recipe: got '%.*s', expected default or reference", p->where, shown, value);
        for (size_t i = 0; i < p->n; i++) p->values[i] = reference ? p->params[i].reference : p->params[i].value;
        return ND_OK;
    }
    size_t i = 0;
    while (i < p->n && (strlen(p->params[i].name) != n || memcmp(p->params[i].name, name, n) != 0)) i++;
    if (i == p->n) return unknown_param(p, name, n);
    const param *row = &p->params[i];
    double x;
    CHECK(ndi_parse_double(value, value + n_value, &x), ND_ERR_ARGUMENT, "%s: %s: got '%.*s', expected a number", p->where, row->name, shown, value);
    CHECK(x >= row->min && x <= row->max, ND_ERR_ARGUMENT, "%s: %s: got %g, expected %g to %g", p->where, row->name, x, row->min, row->max);
    CHECK(!row->whole || x == floor(x), ND_ERR_ARGUMENT, "%s: %s: got %g, expected a whole number", p->where, row->name, x);
    p->values[i] = x;
    if (p->given) p->given[i] = true;
    return ND_OK;
}

nd_status ndi_params_parse(const char *where, const param *params, size_t n, const char *list, double *values, bool *given)
{
    const parser p = { where, params, n, values, given };
    for (size_t i = 0; i < n; i++) values[i] = params[i].value;
    const char *word;
    size_t length;
    while (list && ndi_next_word(&list, &word, &length)) {
        const char *equals = memchr(word, '=', length);
        CHECK(equals, ND_ERR_ARGUMENT, "%s: hyper-parameters: got '%.*s', expected name=value", where, (int)(length < 64 ? length : 64), word);
        TRY(set_param(&p, word, (size_t)(equals - word), equals + 1, length - (size_t)(equals - word) - 1));
    }
    return ND_OK;
}

/* As few digits as give the same number again. */
static void format_value(char *digits, size_t size, double value)
{
    double again;
    ndi_format(digits, size, "%.15g", value);
    if (!ndi_parse_double(digits, digits + strlen(digits), &again) || again != value) ndi_format(digits, size, "%.17g", value);
}

void ndi_params_format(const param *params, size_t n, const double *values, text *t)
{
    ndi_text_add_bytes(t, "", 0); /* no parameters are an empty text */
    for (size_t i = 0; i < n; i++) {
        char digits[32];
        format_value(digits, sizeof digits, values[i]);
        ndi_text_add(t, "%s%s=%s", i ? " " : "", params[i].name, digits);
    }
}
