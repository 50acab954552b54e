/* The table of architectures, and their hyper-parameters as text. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "encoders/encoder.h"

extern const encoder_kind ndi_encoder_nice, ndi_encoder_atms, ndi_encoder_brain_mlp, ndi_encoder_eegconformer, ndi_encoder_eegnet, ndi_encoder_eegproject;
extern const encoder_kind ndi_encoder_linear, ndi_encoder_lstm, ndi_encoder_mlp, ndi_encoder_nice_ga, ndi_encoder_nice_sa, ndi_encoder_resnet1d, ndi_encoder_shallow, ndi_encoder_tsconv, ndi_encoder_ridge;

/* NICE first, then by name, the closed form last. */
const encoder_kind *const ndi_encoder_kinds[] = {
    &ndi_encoder_nice,
    &ndi_encoder_atms,
    &ndi_encoder_brain_mlp,
    &ndi_encoder_eegconformer,
    &ndi_encoder_eegnet,
    &ndi_encoder_eegproject,
    &ndi_encoder_linear,
    &ndi_encoder_lstm,
    &ndi_encoder_mlp,
    &ndi_encoder_nice_ga,
    &ndi_encoder_nice_sa,
    &ndi_encoder_resnet1d,
    &ndi_encoder_shallow,
    &ndi_encoder_tsconv,
    &ndi_encoder_ridge,
    NULL,
};

nd_status ndi_encoder_kind_find(const char *name, const encoder_kind **kind)
{
    text known = { 0 };
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) {
        if (strcmp((*k)->name, name) == 0) {
            ndi_text_free(&known);
            *kind = *k;
            return ND_OK;
        }
        ndi_text_add(&known, " %s", (*k)->name);
    }
    nd_status status = ndi_fail(ND_ERR_ARGUMENT, "encoder: got '%s', expected one of%s", name, known.s ? known.s : "");
    ndi_text_free(&known);
    return status;
}

double ndi_get(const spec *s, const char *name)
{
    const param *p;
    for (size_t i = 0; (p = ndi_kind_param(s->kind, i)); i++)
        if (strcmp(p->name, name) == 0) return s->values[i];
    return NAN; /* a build() that asks for a name its table lacks: every size check fails on it */
}

static nd_status unknown_param(const encoder_kind *kind, const char *word, size_t n)
{
    text names = { 0 };
    const param *p;
    for (size_t i = 0; (p = ndi_kind_param(kind, i)); i++) ndi_text_add(&names, " %s", p->name);
    nd_status status = ndi_fail(ND_ERR_ARGUMENT, "%s: no hyper-parameter '%.*s'; there are recipe%s", kind->name, (int)(n < 64 ? n : 64), word, names.s ? names.s : "");
    ndi_text_free(&names);
    return status;
}

static nd_status set_param(spec *s, const char *name, size_t n, const char *value, size_t n_value)
{
    const encoder_kind *kind = s->kind;
    const param *p;
    int shown = (int)(n_value < 64 ? n_value : 64);
    if (n == 6 && memcmp(name, "recipe", 6) == 0) {
        bool reference = n_value == 9 && memcmp(value, "reference", 9) == 0;
        CHECK(reference || (n_value == 7 && memcmp(value, "default", 7) == 0), ND_ERR_ARGUMENT, "%s: recipe: got '%.*s', expected default or reference", kind->name, shown,
              value);
        for (size_t i = 0; (p = ndi_kind_param(kind, i)); i++) s->values[i] = reference ? p->reference : p->value;
        return ND_OK;
    }
    size_t i = 0;
    while ((p = ndi_kind_param(kind, i)) && (strlen(p->name) != n || memcmp(p->name, name, n) != 0)) i++;
    if (!p) return unknown_param(kind, name, n);
    double x;
    CHECK(ndi_parse_double(value, value + n_value, &x), ND_ERR_ARGUMENT, "%s: %s: got '%.*s', expected a number", kind->name, p->name, shown, value);
    CHECK(x >= p->min && x <= p->max, ND_ERR_ARGUMENT, "%s: %s: got %g, expected %g to %g", kind->name, p->name, x, p->min, p->max);
    CHECK(!p->whole || x == floor(x), ND_ERR_ARGUMENT, "%s: %s: got %g, expected a whole number", kind->name, p->name, x);
    s->values[i] = x;
    s->given[i] = true;
    return ND_OK;
}

nd_status ndi_spec_parse(spec *s, const encoder_kind *kind, const char *list)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    const param *p;
    for (size_t i = 0; (p = ndi_kind_param(kind, i)); i++) s->values[i] = p->value;
    const char *word;
    size_t n;
    while (list && ndi_next_word(&list, &word, &n)) {
        const char *equals = memchr(word, '=', n);
        CHECK(equals, ND_ERR_ARGUMENT, "%s: hyper-parameters: got '%.*s', expected name=value", kind->name, (int)(n < 64 ? n : 64), word);
        TRY(set_param(s, word, (size_t)(equals - word), equals + 1, n - (size_t)(equals - word) - 1));
    }
    return ND_OK;
}

void ndi_spec_format(const spec *s, text *t)
{
    ndi_text_add(t, "%s", ""); /* a text even of none */
    const param *p;
    for (size_t i = 0; (p = ndi_kind_param(s->kind, i)); i++) ndi_text_add(t, "%s%s=%.17g", i ? " " : "", p->name, s->values[i]);
}

layer_name ndi_layer(const char *format, ...)
{
    layer_name name;
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(name.s, sizeof name.s, format, arguments);
    va_end(arguments);
    return name;
}
