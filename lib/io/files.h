/* Files and folders by name. */
#ifndef NDI_FILES_H
#define NDI_FILES_H

#include "base/text.h"

bool ndi_file_exists(const char *path);                                        /* an ordinary file */
nd_status ndi_folder_make(const char *path);                                   /* and those above it; one that is there is no failure */
nd_status ndi_file_holds(const char *path, const text *expected, bool *holds); /* just these bytes? */
nd_status ndi_file_write(const char *path, const text *bytes);                 /* whole or not at all */

#endif
