/* What the commands share: a command is a row of text and a table of options; progress, messages and output are here. */
#ifndef COMMON_H
#define COMMON_H

#include <jansson.h>
#include <neurodecode.h>
#include <stdbool.h>

/* What an option's value is, and the type of the field that receives it. */
typedef enum kind {
    FLAG,   /* bool */
    WHOLE,  /* uint32_t */
    BIG,    /* uint64_t */
    REAL,   /* double */
    WORD,   /* const char * */
    WORDS,  /* words: may be given several times */
    CHOICE, /* int32_t: which of the words in `value`, separated by '|' */
    SPAN    /* double[2], written "a:b" */
} kind;

enum { MAX_WORDS = 2 };
typedef struct words {
    size_t n;
    const char *items[MAX_WORDS];
} words;

/* One option. A row without a name begins a group with `help` as its title; the table ends with a row of zeros. */
typedef struct option_row {
    const char *name;
    int letter;
    const char *value;
    kind type;
    size_t at;        /* offset of the field */
    double low, high; /* of numbers */
    const char *help;
} option;

/* Options of every command: the first member of its values. */
typedef struct shared {
    uint32_t threads;
    uint64_t seed;
    bool quiet, json, help;
} shared;
#define SHARED_DEFAULTS \
    { \
        .seed = 42 \
    }

typedef struct command {
    const char *name, *summary, *arguments, *help; /* name: a word, or two as "prepare recording" */
    const option *options;
    const void *defaults; /* a struct that begins with `shared` */
    size_t n_defaults;    /* its size */
    int min_arguments, max_arguments;
    int (*run)(const void *values, char *const *arguments); /* exit status; arguments end with NULL */
} command;

/* Parses the command's own words, argv[0] being its name, and runs it. Exits with status 2 for wrong usage. */
int run_command(const command *c, int argc, char **argv);

/* "Not given", for numbers that have no other value to say so; the end of a span that was left open, in seconds. */
#define UNSET UINT32_MAX
#define FAR_AWAY 1e9

/* Progress on standard error: one line that is written over on a terminal, else a line every tenth of the way of what takes longer than a second.
 * Ctrl-C makes it stop the work. `user` is the shared options. */
int32_t show_progress(const nd_progress *progress, void *user);
void end_progress(void);

/* Print a message on standard error and return the exit status. */
int failed(void);                                                           /* what the library said last: 1 */
int refused(const char *format, ...) __attribute__((format(printf, 1, 2))); /* a file or value is wrong: 1 */
int misused(const char *format, ...) __attribute__((format(printf, 1, 2))); /* the options do not go together: 2 */

/* Before any work: 0, or an exit status after a message where a file that is to be written could not be, has an extension other than `extension`
 * (ANY_ARRAY = of any format that arrays are written in, NULL = does not matter) or is one of the inputs, those that are not NULL. */
#define ANY_ARRAY ""
#define FILES(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)
int check_output(const char *option, const char *path, const char *extension, const char *const *inputs, size_t n_inputs);

/* Prints and frees the object. */
void print_json(json_t *object);

#define PLURAL(n) ((n) == 1 ? "" : "s")
bool ends_with(const char *s, const char *end);
void *must(void *block); /* exits with a message where memory ran out */

#endif
