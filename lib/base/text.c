#include "base/text.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

#include "base/mem.h"

/* Cuts a trailing incomplete UTF-8 sequence. */
static void trim_utf8(char *s)
{
    size_t n = strlen(s), back = 0;
    while (back < n && back < 4 && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80) back++;
    if (back >= n) return;
    unsigned char lead = (unsigned char)s[n - 1 - back];
    size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (lead >= 0xC0 && back < want) s[n - 1 - back] = '\0';
}

void ndi_vformat(char *buffer, size_t capacity, const char *format, va_list arguments)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c ? uselocale(c) : (locale_t)0;
    int n = vsnprintf(buffer, capacity, format, arguments);
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    if (n < 0 && capacity > 0) buffer[0] = '\0';
    if (n >= 0 && (size_t)n >= capacity && capacity > 0) trim_utf8(buffer);
}

void ndi_format(char *buffer, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(buffer, capacity, format, arguments);
    va_end(arguments);
}

bool ndi_parse_double(const char *s, const char *end, double *value)
{
    char copy[64];
    while (s < end && (*s == ' ' || *s == '\t')) s++;
    while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
    size_t n = (size_t)(end - s);
    if (n == 0 || n >= sizeof copy) return false;
    memcpy(copy, s, n);
    copy[n] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return false;
    char *stop;
    *value = strtod_l(copy, &stop, c);
    freelocale(c);
    return *stop == '\0';
}

static bool reserve(text *t, size_t more)
{
    if (t->failed) return false;
    if (t->n + more + 1 <= t->capacity) return true;
    size_t capacity = t->capacity ? t->capacity : 64;
    while (capacity < t->n + more + 1) capacity *= 2;
    char *s = ndi_realloc(t->s, t->capacity, capacity);
    if (!s) {
        t->failed = true;
        return false;
    }
    t->s = s;
    t->capacity = capacity;
    return true;
}

void ndi_text_add_bytes(text *t, const char *bytes, size_t n)
{
    if (!reserve(t, n)) return;
    memcpy(t->s + t->n, bytes, n);
    t->n += n;
    t->s[t->n] = '\0';
}

void ndi_text_add(text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0 || !reserve(t, (size_t)n + 8)) return;
    va_start(arguments, format);
    ndi_vformat(t->s + t->n, t->capacity - t->n, format, arguments);
    va_end(arguments);
    t->n += strlen(t->s + t->n);
}

void ndi_text_free(text *t)
{
    ndi_free(t->s);
    memset(t, 0, sizeof *t);
}

nd_status ndi_text_status(const text *t)
{
    return t->failed ? ndi_fail(ND_ERR_MEMORY, "out of memory") : ND_OK;
}

nd_status ndi_text_out(const char *s, char *buffer, size_t capacity, size_t *needed)
{
    size_t n = strlen(s) + 1;
    if (needed) *needed = n;
    if (!buffer && capacity == 0) return ND_OK;
    CHECK(buffer, ND_ERR_ARGUMENT, "text buffer: NULL with a capacity of %zu", capacity);
    CHECK(capacity >= n, ND_ERR_BUFFER, "text buffer: got %zu bytes, need %zu", capacity, n);
    memcpy(buffer, s, n);
    return ND_OK;
}

bool ndi_next_word(const char **list, const char **word, size_t *length)
{
    static const char separators[] = " \t\r\n,";
    const char *s = *list + strspn(*list, separators);
    *word = s;
    *length = strcspn(s, separators);
    *list = s + *length;
    return *length > 0;
}

size_t ndi_count_words(const char *list)
{
    const char *word;
    size_t length, n = 0;
    while (ndi_next_word(&list, &word, &length)) n++;
    return n;
}
