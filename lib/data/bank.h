#ifndef NDI_BANK_H
#define NDI_BANK_H

#include "base/ids.h"
#include "neurodecode/bank.h"

size_t ndi_bank_images(const nd_bank *b);
size_t ndi_bank_layers(const nd_bank *b);
const char *ndi_bank_layer_name(const nd_bank *b, size_t layer);
size_t ndi_bank_dim(const nd_bank *b, size_t layer);
const float *ndi_bank_vectors(const nd_bank *b, size_t layer);      /* images x dim */
const ids *ndi_bank_ids(const nd_bank *b);
uint64_t ndi_bank_hash(const nd_bank *b);
nd_status ndi_bank_find_layer(const nd_bank *b, const char *name, size_t *layer); /* NULL = the first; the error lists the names */

const nd_bank *ndi_bank_ref(const nd_bank *b); /* another reference */
void ndi_bank_free(nd_bank *b);                /* drops one */

/* Row of the bank for each trial's image; the error names the first image missing and says how many are. */
nd_status ndi_bank_join(const nd_bank *b, const nd_dataset *d, size_t *rows);

#endif
