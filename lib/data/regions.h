/* Regions of the scalp by the names of the 10-10 system. */
#ifndef NDI_REGIONS_H
#define NDI_REGIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The region called by the n letters at `word` holds the channel; false also where there is no such region. */
bool ndi_in_region(const char *word, size_t n, const char *channel);

#endif
