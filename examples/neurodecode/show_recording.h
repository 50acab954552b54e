/* What `neurodecode info` says of a continuous recording. */
#ifndef SHOW_RECORDING_H
#define SHOW_RECORDING_H

#include <jansson.h>

/* Prints the object `recording` of nd_file_describe(). */
void show_recording(json_t *about);

#endif
