/* Texts of sections and keys:  [section]  key=value  ; comment. The text is used in place. */
#ifndef NDI_INI_H
#define NDI_INI_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ini_value {
    const char *s;
    size_t n;
} ini_value;

typedef struct ini_entry {
    ini_value section, key, value; /* without blanks around them */
} ini_entry;

typedef struct ini_cursor {
    const char *at, *end;
    ini_value section;
} ini_cursor;

ini_cursor ndi_ini_start(const char *text, const char *end);
bool ndi_ini_next(ini_cursor *c,
                  ini_entry *e); /* the next key with its section; false at the end or at a section [Comment], whose lines are free text */
bool ndi_ini_same(ini_value v, const char *word); /* letters of either case */

/* Sections and keys are compared without regard to case; the first that fits counts. */
bool ndi_ini_find(const char *text, const char *end, const char *section, const char *key, ini_value *value);

#endif
