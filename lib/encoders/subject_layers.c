/* Layers with a part for each person, for every encoder that is trained step by step: over the channels in front of it (a 1 x 1 convolution) and over the embedding behind it, each a common
 * weight plus the person's own deviation. Subject layers: Defossez et al., "Decoding speech perception from non-invasive brain recordings", Nature Machine Intelligence 2023. */
#include <string.h>

#include "encoders/encoder.h"
#include "nn/ops.h"

static const param common[] = {
    /* name             whole  default reference min max */
    { "subjects",        true,  0,   0,   0, 65535, "people with layers of their own, rows of the subject tables; 0 = none, or as many as the dataset has" },
    { "subject_conv",    true,  0,   0,   0, 1,     "1 = a 1 x 1 convolution over the channels in front, common plus each person's own" },
    { "subject_linear",  true,  0,   0,   0, 1,     "1 = a linear layer on the embedding behind, common plus each person's own" },
    { "subject_dropout", false, 0.1, 0.1, 0, 1,     "share of trials in training that count as an unknown person's, so that the common part learns to stand alone" },
};

static bool own(const encoder_kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->n_params; i++)
        if (strcmp(kind->params[i].name, name) == 0) return true;
    return false;
}

const param *ndi_kind_param(const encoder_kind *kind, size_t index)
{
    if (index < kind->n_params) return &kind->params[index];
    if (kind->fit || kind == &ndi_encoder_ensemble) return NULL;
    index -= kind->n_params;
    for (size_t i = 0; i < COUNT(common); i++)
        if (!own(kind, common[i].name) && index-- == 0) return &common[i];
    return NULL;
}

static int layer(graph *g, const spec *s, int x, const char *name)
{
    return ndi_subject_linear(g, x, name, ndi_get_size(s, "subjects"), ndi_get(s, "subject_dropout"));
}

int ndi_subject_front(graph *g, const spec *s) { return ndi_get(s, "subject_conv") > 0 ? layer(g, s, 0, "subject_conv") : 0; }

void ndi_subject_back(graph *g, const spec *s)
{
    if (ndi_get(s, "subject_linear") > 0) layer(g, s, ndi_flatten(g, g->n_nodes - 1, false), "subject_linear");
}

bool ndi_reads_subjects(const spec *s) { return ndi_get(s, "subject_conv") > 0 || ndi_get(s, "subject_linear") > 0 || own(s->kind, "subjects"); }
