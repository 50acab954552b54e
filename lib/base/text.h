/* Text without the locale: formatting, numbers, a growing string, "name=value" lists. */
#ifndef NDI_TEXT_H
#define NDI_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* vsnprintf with the decimal point of the C locale; never leaves a broken UTF-8 character at a cut. */
void ndi_vformat(char *buffer, size_t capacity, const char *format, va_list arguments);
void ndi_format(char *buffer, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Reads a number that fills the text from `s` to `end` but for blanks around it. */
bool ndi_parse_double(const char *s, const char *end, double *value);

/* A growing string. Errors stick: after a failed allocation `failed` is set and further calls do nothing. Start from {0}. */
typedef struct text {
    char *s;      /* NUL-terminated, NULL while empty */
    size_t n;     /* bytes without the NUL */
    size_t capacity;
    bool failed;
} text;

void ndi_text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ndi_text_add_bytes(text *t, const char *bytes, size_t n);
void ndi_text_free(text *t);
nd_status ndi_text_status(const text *t); /* ND_OK or ND_ERR_MEMORY */

/* Copies a finished text into a caller's buffer by the rule of the public headers. */
nd_status ndi_text_out(const char *s, char *buffer, size_t capacity, size_t *needed);

/* The next word of a list separated by blanks and commas: advances *list, sets word and length; false at the end. */
bool ndi_next_word(const char **list, const char **word, size_t *length);

/* Number of words in such a list. */
size_t ndi_count_words(const char *list);

#endif
