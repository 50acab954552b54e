#include "io/ini.h"

#include <string.h>

static ini_value trim(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t')) s++;
    while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
    return (ini_value){ s, (size_t)(end - s) };
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool ndi_ini_same(ini_value v, const char *word)
{
    for (size_t i = 0; i < v.n; i++)
        if (word[i] == '\0' || lower(v.s[i]) != lower(word[i])) return false;
    return word[v.n] == '\0';
}

ini_cursor ndi_ini_start(const char *text, const char *end) { return (ini_cursor){ text, end, { text, 0 } }; }

bool ndi_ini_next(ini_cursor *c, ini_entry *e)
{
    while (c->at < c->end) {
        const char *stop = memchr(c->at, '\n', (size_t)(c->end - c->at));
        const ini_value line = trim(c->at, stop ? stop : c->end);
        c->at = stop ? stop + 1 : c->end;
        if (line.n == 0 || *line.s == ';') continue;
        if (*line.s == '[' && line.s[line.n - 1] == ']') {
            c->section = (ini_value){ line.s + 1, line.n > 1 ? line.n - 2 : 0 };
            if (ndi_ini_same(c->section, "Comment")) c->at = c->end;
            continue;
        }
        const char *equals = memchr(line.s, '=', line.n);
        if (!equals) continue;
        *e = (ini_entry){ c->section, trim(line.s, equals), trim(equals + 1, line.s + line.n) };
        return true;
    }
    return false;
}

bool ndi_ini_find(const char *text, const char *end, const char *section, const char *key, ini_value *value)
{
    ini_cursor c = ndi_ini_start(text, end);
    ini_entry e;
    while (ndi_ini_next(&c, &e)) {
        if (!ndi_ini_same(e.section, section) || !ndi_ini_same(e.key, key)) continue;
        *value = e.value;
        return true;
    }
    return false;
}
