/* Named numbers with a default and a range, set by text: "maps=40 dropout=0.5". Hyper-parameters of encoders, augmentations. */
#ifndef NDI_PARAMS_H
#define NDI_PARAMS_H

#include "base/text.h"

typedef struct param {
    const char *name;
    bool whole;
    double value, reference, min, max;
    const char *meaning;
} param;

/* values[i] = that of params[i]: its default, changed by the list; `recipe=reference` in it sets all to what the reference system uses. given[i] (may be NULL): was it named? `where` begins
 * the messages. list NULL = the defaults. */
nd_status ndi_params_parse(const char *where, const param *params, size_t n, const char *list, double *values, bool *given);
void ndi_params_format(const param *params, size_t n, const double *values, text *t);

#endif
