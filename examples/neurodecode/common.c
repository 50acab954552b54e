#include "common.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- options ------------------------------------------------------------------------------------------------------------------------- */

enum { FIRST_KEY = 256, MAX_OPTIONS = 96, MAX_ARGUMENTS = 1000 };

static const option shared_options[] = {
    { .help = "Everywhere:" },
    { "threads", 't', "N", WHOLE, offsetof(shared, threads), 0, 256, "threads to use; 0 = all there are (default)" },
    { "seed", 's', "N", BIG, offsetof(shared, seed), 0, 0, "of everything random (default 42)" },
    { "quiet", 'q', NULL, FLAG, offsetof(shared, quiet), 0, 0, "no progress and no report; with --json the JSON only" },
    { "json", 'j', NULL, FLAG, offsetof(shared, json), 0, 0, "the result as one JSON object on standard output" },
    { "help", 'h', NULL, FLAG, offsetof(shared, help), 0, 0, "this text" },
    { 0 },
};

typedef struct parsing {
    const command *c;
    const struct argp *parser;
    const option *rows[MAX_OPTIONS];
    size_t n_rows;
    char *values;
    char *arguments[MAX_ARGUMENTS + 1];
    int n_arguments;
    bool seen[MAX_OPTIONS];
} parsing;

static const char *running = ""; /* name of the command */

/* Wrong usage: one line, exit status 2. */
__attribute__((format(printf, 2, 3), noreturn)) static void wrong(const parsing *p, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    exit(misused("%s: %s; see neurodecode %s --help", p->c->name, line, p->c->name));
}

/* argp fills the paragraphs before the \v; the examples after it are printed as they are. */
__attribute__((noreturn)) static void print_help(const parsing *p)
{
    char name[64];
    const char *examples = strchr(p->c->help, '\v');
    snprintf(name, sizeof name, "neurodecode %s", p->c->name);
    argp_help(p->parser, stdout, ARGP_HELP_LONG | ARGP_HELP_USAGE | ARGP_HELP_PRE_DOC, name);
    printf("\n%s", examples + 1);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

/* The word that getopt could not take. */
__attribute__((noreturn)) static void refuse_word(const parsing *p, const char *word)
{
    size_t n = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0, n_fit = 0;
    const option *found = NULL;
    for (size_t i = 0; i < p->n_rows && (!found || found->name[n]); i++) {
        const option *o = p->rows[i];
        bool fits = o->name && (n ? strncmp(o->name, word + 2, n) == 0 : word[0] == '-' && o->letter && o->letter == word[1]);
        if (fits) found = o;
        n_fit += fits;
    }
    if (!found) wrong(p, "'%s' is not an option", word);
    if (n_fit > 1 && found->name[n]) wrong(p, "'%s' stands for several options", word);
    wrong(p, found->value ? "--%s: a value is missing" : "--%s: takes no value", found->name);
}

static double parse_number(struct argp_state *state, const option *o, const char *s, const char *end)
{
    char *stop;
    double x = strtod(s, &stop);
    bool whole = o->type == WHOLE || o->type == BIG;
    if (stop != end || s == end || !isfinite(x) || (whole && x != floor(x)))
        wrong(state->input, "--%s: got '%s', expected %s", o->name, s, whole ? "a whole number" : "a number");
    if (o->low < o->high && (x < o->low || x > o->high)) wrong(state->input, "--%s: got %s, expected %.10g to %.10g", o->name, s, o->low, o->high);
    return x;
}

static uint64_t parse_big(struct argp_state *state, const option *o, const char *s)
{
    char *stop;
    errno = 0;
    unsigned long long x = strtoull(s, &stop, 10);
    if (*s < '0' || *s > '9' || *stop || errno) wrong(state->input, "--%s: got '%s', expected a whole number", o->name, s);
    return x;
}

/* "a:b"; an end may be left out. */
static void parse_span(struct argp_state *state, const option *o, const char *s, double span[2])
{
    const char *colon = strchr(s, ':');
    if (!colon) {
        wrong(state->input, "--%s: got '%s', expected two numbers as in 0:0.5", o->name, s);
        return;
    }
    span[0] = colon == s ? -FAR_AWAY : parse_number(state, o, s, colon);
    span[1] = colon[1] == '\0' ? FAR_AWAY : parse_number(state, o, colon + 1, s + strlen(s));
    if (span[0] >= span[1]) wrong(state->input, "--%s: got '%s', expected the first to be the smaller", o->name, s);
}

static int32_t parse_choice(struct argp_state *state, const option *o, const char *s)
{
    int32_t index = 0;
    for (const char *word = o->value;; index++) {
        size_t n = strcspn(word, "|");
        if (strlen(s) == n && strncmp(s, word, n) == 0) return index;
        if (word[n] == '\0') break;
        word += n + 1;
    }
    wrong(state->input, "--%s: got '%s', expected %s", o->name, s, o->value);
    return 0;
}

static void parse_value(struct argp_state *state, const option *o, const char *s, char *values)
{
    void *field = values + o->at;
    switch (o->type) {
    case FLAG: *(bool *)field = true; break;
    case WHOLE: *(uint32_t *)field = (uint32_t)parse_number(state, o, s, s + strlen(s)); break;
    case BIG: *(uint64_t *)field = parse_big(state, o, s); break;
    case REAL: *(double *)field = parse_number(state, o, s, s + strlen(s)); break;
    case WORD: *(const char **)field = s; break;
    case CHOICE: *(int32_t *)field = parse_choice(state, o, s); break;
    case SPAN: parse_span(state, o, s, field); break;
    case WORDS: {
        words *list = field;
        if (list->n == MAX_WORDS) wrong(state->input, "--%s: given more than %d times", o->name, MAX_WORDS);
        list->items[list->n++] = s;
        break;
    }
    }
}

static error_t parse_word(int key, char *s, struct argp_state *state)
{
    parsing *p = state->input;
    if (key == ARGP_KEY_ERROR) {
        const char *word = state->argv[state->next - 1];
        refuse_word(p, word[0] == '-' || state->next == state->argc ? word : state->argv[state->next]);
    }
    if (key == ARGP_KEY_ARG) {
        if (p->n_arguments == p->c->max_arguments) wrong(state->input, "one argument too many: '%s'", s);
        p->arguments[p->n_arguments++] = s;
        return 0;
    }
    if (key == ARGP_KEY_END && p->n_arguments < p->c->min_arguments) wrong(state->input, "an argument is missing, expected %s", p->c->arguments);
    for (size_t i = 0; i < p->n_rows; i++) {
        const option *o = p->rows[i];
        if (o->name && key == (o->letter ? o->letter : FIRST_KEY + (int)i)) {
            if (p->seen[i] && o->type == WORD) wrong(p, "--%s: given twice", o->name);
            p->seen[i] = true;
            parse_value(state, o, s, p->values);
            if (((const shared *)p->values)->help) print_help(p);
            return 0;
        }
    }
    return ARGP_ERR_UNKNOWN;
}

/* Our rows as argp's. */
static void list_options(parsing *p, const option *rows, struct argp_option *made, int *group)
{
    for (const option *o = rows; o->help && p->n_rows < MAX_OPTIONS - 1; o++) {
        if (!o->name) ++*group;
        made[p->n_rows] = (struct argp_option){ .name = o->name,
                                                .key = !o->name    ? 0
                                                       : o->letter ? o->letter
                                                                   : FIRST_KEY + (int)p->n_rows,
                                                .arg = o->value,
                                                .doc = o->help,
                                                .group = *group };
        p->rows[p->n_rows++] = o;
    }
}

int run_command(const command *c, int argc, char **argv)
{
    struct argp_option made[MAX_OPTIONS] = { 0 };
    parsing p = { .c = c, .values = must(malloc(c->n_defaults)) };
    int group = 0;
    memcpy(p.values, c->defaults, c->n_defaults);
    list_options(&p, c->options, made, &group);
    list_options(&p, shared_options, made, &group);
    char *about = must(strndup(c->help, strcspn(c->help, "\v")));
    struct argp parser = { .options = made, .parser = parse_word, .args_doc = c->arguments, .doc = about };
    p.parser = &parser;
    running = c->name;
    argp_parse(&parser, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &p);
    int status = c->run(p.values, p.arguments);
    free(about);
    free(p.values);
    return status;
}

/* --- progress -------------------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;
static bool line_open; /* a line on the terminal waits to be ended */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* The first Ctrl-C asks the work to stop; a second one ends the program at once. */
static void watch_interrupts(void)
{
    static bool watching;
    if (watching) return;
    watching = true;
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void format_time(double seconds, char *s, size_t n)
{
    unsigned long whole = (unsigned long)(seconds + 0.5);
    if (whole < 60)
        snprintf(s, n, "%lu s", whole);
    else if (whole < 3600)
        snprintf(s, n, "%lu min %02lu s", whole / 60, whole % 60);
    else
        snprintf(s, n, "%lu h %02lu min", whole / 3600, whole / 60 % 60);
}

static void print_progress(const nd_progress *p, const char *before, const char *after)
{
    char left[32];
    fprintf(stderr, "%s%s: %llu", before, p->stage, (unsigned long long)p->done);
    if (p->total) fprintf(stderr, " of %llu", (unsigned long long)p->total);
    fprintf(stderr, " %s, %.4g/s", p->unit, p->rate);
    if (p->epoch) fprintf(stderr, ", epoch %llu of %llu, loss %.4f", (unsigned long long)p->epoch, (unsigned long long)p->n_epochs, p->train_loss);
    if (p->seconds_left > 0) {
        format_time(p->seconds_left, left, sizeof left);
        fprintf(stderr, ", %s left", left);
    }
    fputs(after, stderr);
    fflush(stderr);
}

int32_t show_progress(const nd_progress *p, void *user)
{
    static int tenth;
    static char stage[32];
    watch_interrupts();
    if (interrupted || ((const shared *)user)->quiet) return interrupted;
    if (strcmp(stage, p->stage) != 0) {
        snprintf(stage, sizeof stage, "%s", p->stage);
        tenth = 0;
    }
    bool end = p->total && p->done >= p->total;
    int now = p->total ? (int)(10 * p->done / p->total) : 0;
    if (isatty(STDERR_FILENO)) {
        print_progress(p, "\r", end ? "\033[K\n" : "\033[K");
        line_open = !end;
    } else if (now > tenth && p->seconds > 1) {
        print_progress(p, "", "\n");
    }
    tenth = now;
    return interrupted;
}

void end_progress(void)
{
    if (line_open) fputs("\r\033[K", stderr);
    line_open = false;
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

static void complain(const char *format, va_list arguments)
{
    end_progress();
    fputs("neurodecode: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int refused(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return 1;
}

int misused(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return 2;
}

int failed(void)
{
    if (interrupted) return refused("%s: stopped", running);
    return refused("%s", nd_last_error());
}

/* --- files that will be written -------------------------------------------------------------------------------------------------------- */

static bool has_word(const char *words_of, const char *word)
{
    for (const char *w = words_of; *w;) {
        size_t n = strcspn(w, " ");
        if (strlen(word) == n && strncasecmp(w, word, n) == 0) return true;
        w += n + (w[n] == ' ');
    }
    return false;
}

static bool can_write(const char *extension)
{
    nd_format_info f = { .size = sizeof f };
    for (size_t i = 0; nd_format_get_info(i, &f) == ND_OK; i++)
        if (f.can_write && has_word(f.extensions, extension)) return true;
    return false;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

int check_output(const char *option_name, const char *path, const char *extension, const char *const *inputs, size_t n_inputs)
{
    struct stat about;
    if (!path) return 0;
    if (*path == '\0') return misused("%s: the name of the file is empty", option_name);
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.'), *given = dot ? dot + 1 : "";
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return refused("%s: %s is %s, expected the name of a file", option_name, path, S_ISDIR(about.st_mode) ? "a folder" : "no ordinary file");
    if (extension && *extension && strcasecmp(given, extension) != 0)
        return refused("%s: %s: got extension '%s', expected '%s'", option_name, path, given, extension);
    if (extension && !*extension && !can_write(given))
        return refused("%s: %s: arrays are not written with extension '%s'; neurodecode info --formats lists what is", option_name, path, given);
    for (size_t i = 0; i < n_inputs; i++)
        if (inputs[i] && is_same_file(path, inputs[i])) return refused("%s: %s would overwrite what is read", option_name, path);
    char *folder = slash ? must(strndup(path, slash == path ? 1 : (size_t)(slash - path))) : must(strdup("."));
    int trouble = access(folder, W_OK | X_OK) == 0 ? 0 : errno;
    int status = trouble ? refused("%s: %s: the folder %s cannot be written to: %s", option_name, path, folder, strerror(trouble)) : 0;
    free(folder);
    return status;
}

/* --- output ---------------------------------------------------------------------------------------------------------------------------- */

void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(object);
}

bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

void *must(void *block)
{
    if (!block) exit(refused("out of memory"));
    return block;
}
