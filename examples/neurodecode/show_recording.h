/* What `neurodecode info` says of continuous recordings, epochs and averages. */
#ifndef SHOW_RECORDING_H
#define SHOW_RECORDING_H

#include <jansson.h>

/* Prints the object `recording` of nd_file_describe(). */
void show_recording(json_t *about);
void show_trials(json_t *about); /* the object `trials` */

#endif
