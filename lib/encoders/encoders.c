/* The table of architectures, and their hyper-parameters. */
#include <math.h>
#include <string.h>

#include "encoders/encoder.h"

extern const encoder_kind ndi_encoder_linear, ndi_encoder_nice, ndi_encoder_ridge;

const encoder_kind *const ndi_encoder_kinds[] = { &ndi_encoder_nice, &ndi_encoder_ridge, &ndi_encoder_linear, NULL };

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
    for (size_t i = 0; i < s->kind->n_params; i++)
        if (strcmp(s->kind->params[i].name, name) == 0) return s->values[i];
    return NAN; /* a build() that asks for a name its table lacks: every size check fails on it */
}

nd_status ndi_spec_parse(spec *s, const encoder_kind *kind, const char *list)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    return ndi_params_parse(kind->name, kind->params, kind->n_params, list, s->values, s->given);
}

void ndi_spec_format(const spec *s, text *t) { ndi_params_format(s->kind->params, s->kind->n_params, s->values, t); }
