/* JSON through jansson, with our memory and our messages. */
#ifndef NDI_JSON_H
#define NDI_JSON_H

#include <jansson.h>

#include "base/text.h"

/* Parses; duplicate keys are refused. `where` begins the message. Free with json_decref(). */
nd_status ndi_json_parse(json_t **j, const char *s, size_t n, const char *where);

/* Appends the compact form. */
nd_status ndi_json_dump(const json_t *j, text *t);

/* Adds a new value under a key; fails for a value that could not be made (NULL). */
nd_status ndi_json_set(json_t *object, const char *key, json_t *value);
nd_status ndi_json_append(json_t *list, json_t *value);

#endif
