/* The table of architectures, and their hyper-parameters. */
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

/* The kind's own hyper-parameters and those that all kinds share. */
static size_t table_of(const encoder_kind *kind, param table[NDI_MAX_PARAMS])
{
    const param *p;
    size_t n = 0;
    for (; (p = ndi_kind_param(kind, n)); n++) table[n] = *p;
    return n;
}

nd_status ndi_spec_parse(spec *s, const encoder_kind *kind, const char *list)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    param table[NDI_MAX_PARAMS];
    size_t n = table_of(kind, table);
    return ndi_params_parse(kind->name, table, n, list, s->values, s->given);
}

void ndi_spec_format(const spec *s, text *t)
{
    param table[NDI_MAX_PARAMS];
    size_t n = table_of(s->kind, table);
    ndi_params_format(table, n, s->values, t);
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
