/* The pickle machine: a stack, marks and a memo, driven by one-byte operations (protocols 0 to 5; see Python's Lib/pickletools.py). Bytes of
 * arrays are passed over, not read. Everything else lives in an arena and is bounded by the number of operations, hence by the size of the file. */
#include "io/pickle.h"

#include <string.h>
#include <utf8proc.h>

#include "base/bytes.h"
#include "base/text.h"
#include "io/pickle_input.h"
#include "io/pickle_value.h"

enum { SHORT_BYTES = 256, MAX_LINE = NDI_PICKLE_LINE };

typedef struct machine {
    content *c;
    const pickle_outside *outside; /* may be NULL */
    value **stack, **memo;
    size_t *marks; /* heights of the stack */
    size_t n, capacity, n_marks, marks_capacity;
    size_t n_memo, memo_capacity; /* n_memo places of the memo are taken */
    size_t n_ops;
    bool done;
    arena memory;
    pickle_input in;
} machine;

static nd_status bad(const machine *m, const char *what) { return ndi_pickle_bad(&m->in, what); }
static nd_status no_memory(const machine *m) { return ndi_fail(ND_ERR_MEMORY, "%s: pickle: out of memory", ndi_stream_name(m->in.s)); }
static nd_status take(machine *m, void *bytes, size_t n) { return ndi_pickle_take(&m->in, bytes, n); }
static nd_status take_length(machine *m, int width, size_t *n) { return ndi_pickle_take_length(&m->in, width, n); }
static nd_status take_line(machine *m, char line[MAX_LINE], size_t *n) { return ndi_pickle_take_line(&m->in, line, n); }

/* ---- values, stack, memo ---- */

static nd_status grow(machine *m, void **list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) return ND_OK;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *bigger = ndi_realloc(*list, *capacity * size, more * size);
    if (!bigger) return no_memory(m);
    *list = bigger;
    *capacity = more;
    return ND_OK;
}

static nd_status push(machine *m, value *v)
{
    TRY(grow(m, (void **)&m->stack, m->n, &m->capacity, sizeof *m->stack));
    m->stack[m->n++] = v;
    return ND_OK;
}

/* A new value on the stack. */
static nd_status push_new(machine *m, value_kind kind, value **made)
{
    *made = ndi_arena_alloc(&m->memory, sizeof **made);
    if (!*made) return no_memory(m);
    (*made)->kind = kind;
    return push(m, *made);
}

static size_t floor_of(const machine *m) { return m->n_marks ? m->marks[m->n_marks - 1] : 0; }

static nd_status pop(machine *m, value **v)
{
    *v = NULL;
    if (m->n <= floor_of(m)) return bad(m, "takes more from the stack than there is");
    *v = m->stack[--m->n];
    return ND_OK;
}

static nd_status top(machine *m, value_kind kind, value **v)
{
    *v = NULL;
    if (m->n <= floor_of(m) || m->stack[m->n - 1]->kind != kind) return bad(m, "the stack does not hold what an operation expects");
    *v = m->stack[m->n - 1];
    return ND_OK;
}

static nd_status pop_mark(machine *m, size_t *height)
{
    if (m->n_marks == 0) return bad(m, "a mark is missing");
    *height = m->marks[--m->n_marks];
    return ND_OK;
}

/* Appends n values of the stack, which begin at `from`. */
static nd_status append(machine *m, value *list, size_t from, size_t n)
{
    while (list->list.capacity - list->list.n < n) {
        size_t more = list->list.capacity ? 2 * list->list.capacity : n > 4 ? n : 4;
        value **bigger = ndi_arena_alloc(&m->memory, more * sizeof *bigger);
        if (!bigger) return no_memory(m);
        if (list->list.n) memcpy(bigger, list->list.items, list->list.n * sizeof *bigger);
        list->list.items = bigger;
        list->list.capacity = more;
    }
    if (n) memcpy(list->list.items + list->list.n, m->stack + from, n * sizeof *m->stack);
    list->list.n += n;
    return ND_OK;
}

/* ---- operations: plain data ---- */

static nd_status op_none(machine *m, int arg)
{
    (void)arg;
    value *v = NULL;
    return push_new(m, VALUE_NONE, &v);
}

static nd_status op_bool(machine *m, int truth)
{
    value *v = NULL;
    TRY(push_new(m, VALUE_BOOL, &v));
    v->i = truth;
    return ND_OK;
}

/* Little-endian two's complement of n bytes; `n` 0 is zero. */
static int64_t signed_value(const uint8_t *bytes, size_t n)
{
    uint64_t i = n && bytes[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t k = n; k-- > 0;) i = i << 8 | bytes[k];
    return (int64_t)i;
}

/* BININT1 and BININT2 are unsigned, BININT (4) is signed. */
static nd_status op_int(machine *m, int width)
{
    uint8_t bytes[8] = { 0 };
    TRY(take(m, bytes, (size_t)width));
    value *v = NULL;
    TRY(push_new(m, VALUE_INT, &v));
    v->i = width == 4 ? signed_value(bytes, 4) : (int64_t)ndi_le64(bytes);
    return ND_OK;
}

static nd_status op_long(machine *m, int width)
{
    size_t n = 0;
    uint8_t bytes[8] = { 0 };
    TRY(take_length(m, width, &n));
    CHECK(n <= sizeof bytes, ND_ERR_UNSUPPORTED, "%s: pickle: an integer of %zu bytes, expected at most 8", ndi_stream_name(m->in.s), n);
    TRY(take(m, bytes, n));
    value *v = NULL;
    TRY(push_new(m, VALUE_INT, &v));
    v->i = signed_value(bytes, n);
    return ND_OK;
}

static nd_status op_float(machine *m, int arg)
{
    (void)arg;
    uint8_t bytes[8] = { 0 };
    TRY(take(m, bytes, sizeof bytes));
    uint64_t bits = ndi_be64(bytes);
    value *v = NULL;
    TRY(push_new(m, VALUE_FLOAT, &v));
    memcpy(&v->f, &bits, sizeof v->f);
    return ND_OK;
}

static nd_status op_text(machine *m, int width)
{
    size_t n = 0;
    TRY(take_length(m, width, &n));
    char *s = ndi_arena_alloc(&m->memory, n + 1);
    if (!s) return no_memory(m);
    TRY(take(m, s, n));
    value *v = NULL;
    TRY(push_new(m, VALUE_TEXT, &v));
    v->bytes.s = s;
    v->bytes.n = n;
    return ND_OK;
}

/* Bytes stay where they are; short ones, which may be wanted as text or as a number, are kept as well. */
static nd_status add_bytes(machine *m, int width, bool is_text)
{
    size_t n = 0;
    TRY(take_length(m, width, &n));
    value *v = NULL;
    TRY(push_new(m, VALUE_BYTES, &v));
    v->bytes.in = m->in.s;
    v->bytes.at = m->in.at;
    v->bytes.n = n;
    v->bytes.text = is_text;
    if (n > SHORT_BYTES) {
        m->in.at += n;
        return ND_OK;
    }
    char *s = ndi_arena_alloc(&m->memory, n + 1);
    if (!s) return no_memory(m);
    v->bytes.s = s;
    return take(m, s, n);
}

static nd_status op_bytes(machine *m, int width) { return add_bytes(m, width, false); }
static nd_status op_string(machine *m, int width) { return add_bytes(m, width, true); }

static nd_status op_empty(machine *m, int kind)
{
    value *v = NULL;
    return push_new(m, (value_kind)kind, &v);
}

/* ---- operations: containers ---- */

static nd_status op_mark(machine *m, int arg)
{
    (void)arg;
    TRY(grow(m, (void **)&m->marks, m->n_marks, &m->marks_capacity, sizeof *m->marks));
    m->marks[m->n_marks++] = m->n;
    return ND_OK;
}

/* The topmost items (n of them, or down to the mark for n < 0) become one list or dict. */
static nd_status collect(machine *m, value_kind kind, int n)
{
    size_t from = m->n - (size_t)n;
    if (n < 0)
        TRY(pop_mark(m, &from));
    else if (m->n - floor_of(m) < (size_t)n)
        return bad(m, "takes more from the stack than there is");
    const size_t count = m->n - from;
    if (kind == VALUE_DICT && count % 2) return bad(m, "a key without a value");
    value *v = ndi_arena_alloc(&m->memory, sizeof *v);
    if (!v) return no_memory(m);
    v->kind = kind;
    TRY(append(m, v, from, count));
    m->n = from;
    return push(m, v);
}

static nd_status op_collect_list(machine *m, int n) { return collect(m, VALUE_LIST, n); }
static nd_status op_collect_dict(machine *m, int n) { return collect(m, VALUE_DICT, n); }

/* Appends what is above the mark (n < 0) or the topmost n values to the list or dict below. */
static nd_status extend(machine *m, value_kind kind, int n)
{
    size_t from = m->n - (size_t)n;
    if (n < 0)
        TRY(pop_mark(m, &from));
    else if (m->n - floor_of(m) < (size_t)n)
        return bad(m, "takes more from the stack than there is");
    const size_t count = m->n - from;
    if (kind == VALUE_DICT && count % 2) return bad(m, "a key without a value");
    m->n = from;
    value *into;
    TRY(top(m, kind, &into));
    return append(m, into, from, count);
}

static nd_status op_append(machine *m, int n) { return extend(m, VALUE_LIST, n); }
static nd_status op_set(machine *m, int n) { return extend(m, VALUE_DICT, n); }

static nd_status op_pop(machine *m, int arg)
{
    (void)arg;
    value *v = NULL;
    if (m->n_marks && m->n == floor_of(m)) { /* the mark is what lies on top */
        m->n_marks--;
        return ND_OK;
    }
    return pop(m, &v);
}

static nd_status op_pop_mark(machine *m, int arg)
{
    (void)arg;
    return pop_mark(m, &m->n);
}

static nd_status op_duplicate(machine *m, int arg)
{
    (void)arg;
    if (m->n <= floor_of(m)) return bad(m, "takes more from the stack than there is");
    return push(m, m->stack[m->n - 1]);
}

/* ---- operations: memo ---- */

/* Writers number in order, so an index beyond the number of operations so far is not honest, and the memo cannot be made to grow without bound. */
static nd_status put_memo(machine *m, uint64_t index)
{
    if (m->n <= floor_of(m)) return bad(m, "nothing to remember");
    if (index > m->n_ops) return bad(m, "an index into the memo is too large");
    while (index >= m->memo_capacity) TRY(grow(m, (void **)&m->memo, m->memo_capacity, &m->memo_capacity, sizeof *m->memo));
    if (!m->memo[index]) m->n_memo++;
    m->memo[index] = m->stack[m->n - 1];
    return ND_OK;
}

static nd_status take_index(machine *m, int width, uint64_t *index)
{
    if (width > 0) {
        uint8_t bytes[8] = { 0 };
        TRY(take(m, bytes, (size_t)width));
        *index = ndi_le64(bytes);
        return ND_OK;
    }
    char line[MAX_LINE];
    size_t n = 0;
    double number;
    TRY(take_line(m, line, &n));
    if (!ndi_parse_double(line, line + n, &number) || !(number >= 0 && number < 0x1p53)) return bad(m, "an index is no number");
    *index = (uint64_t)number;
    return ND_OK;
}

static nd_status op_put(machine *m, int width)
{
    uint64_t index = 0;
    TRY(take_index(m, width, &index));
    return put_memo(m, index);
}

static nd_status op_memoize(machine *m, int arg)
{
    (void)arg;
    return put_memo(m, m->n_memo);
}

static nd_status op_get(machine *m, int width)
{
    uint64_t index = 0;
    TRY(take_index(m, width, &index));
    if (index >= m->memo_capacity || !m->memo[index]) return bad(m, "asks the memo for what was not put there");
    return push(m, m->memo[index]);
}

/* ---- operations: the text forms of protocol 0 ---- */

/* "I01" and "I00" are truths; a long ends in 'L'. */
static nd_status op_int_line(machine *m, int arg)
{
    (void)arg;
    char line[MAX_LINE];
    size_t n = 0;
    TRY(take_line(m, line, &n));
    if (n == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1')) return op_bool(m, line[1] - '0');
    if (n > 0 && line[n - 1] == 'L') n--;
    const bool negative = n > 0 && line[0] == '-';
    int64_t i = 0;
    for (size_t k = negative; k < n; k++) {
        if (line[k] < '0' || line[k] > '9') return bad(m, "an integer is no number");
        const int digit = line[k] - '0';
        CHECK(!__builtin_mul_overflow(i, 10, &i) && !__builtin_add_overflow(i, negative ? -digit : digit, &i), ND_ERR_UNSUPPORTED,
              "%s: pickle: integer %s, expected one of 64 bits", ndi_stream_name(m->in.s), line);
    }
    value *v = NULL;
    TRY(push_new(m, VALUE_INT, &v));
    v->i = i;
    return ND_OK;
}

static nd_status op_float_line(machine *m, int arg)
{
    (void)arg;
    char line[MAX_LINE];
    size_t n = 0;
    TRY(take_line(m, line, &n));
    value *v = NULL;
    TRY(push_new(m, VALUE_FLOAT, &v));
    return ndi_parse_double(line, line + n, &v->f) ? ND_OK : bad(m, "a float is no number");
}

/* Strings written with Python's escapes are left to Python; protocol 0 is what a program writes that wants to be read by people. */
static nd_status op_text_line(machine *m, int arg)
{
    (void)arg;
    char line[MAX_LINE];
    size_t n = 0;
    TRY(take_line(m, line, &n));
    const char *s = line;
    if (n >= 2 && (line[0] == '\'' || line[0] == '"') && line[n - 1] == line[0] && arg) {
        s++;
        n -= 2;
    }
    CHECK(!memchr(s, '\\', n), ND_ERR_UNSUPPORTED, "%s: pickle: protocol 0 string with escapes, expected protocol 2 or later",
          ndi_stream_name(m->in.s));
    value *v = NULL;
    TRY(push_new(m, VALUE_TEXT, &v));
    v->bytes.s = ndi_arena_text(&m->memory, s, n);
    v->bytes.n = n;
    return v->bytes.s ? ND_OK : no_memory(m);
}

/* ---- operations: NumPy and PyTorch ---- */

static nd_status push_global(machine *m, const char *module, const char *name)
{
    value *v = NULL;
    TRY(push_new(m, VALUE_GLOBAL, &v));
    return ndi_pickle_global(ndi_stream_name(m->in.s), module, name, v);
}

static nd_status op_global(machine *m, int arg)
{
    (void)arg;
    char module[MAX_LINE], name[MAX_LINE];
    size_t n = 0;
    TRY(take_line(m, module, &n));
    TRY(take_line(m, name, &n));
    return push_global(m, module, name);
}

static nd_status op_stack_global(machine *m, int arg)
{
    (void)arg;
    value *module, *name;
    TRY(top(m, VALUE_TEXT, &name));
    m->n--;
    TRY(top(m, VALUE_TEXT, &module));
    m->n--;
    return push_global(m, module->bytes.s, name->bytes.s);
}

static nd_status op_reduce(machine *m, int arg)
{
    (void)arg;
    value *arguments, *function, *result;
    TRY(top(m, VALUE_LIST, &arguments));
    m->n--;
    TRY(top(m, VALUE_GLOBAL, &function));
    m->n--;
    TRY(push_new(m, VALUE_NONE, &result));
    return ndi_pickle_call(m->c, &m->memory, m->in.s, function->global, arguments, result);
}

static nd_status op_build(machine *m, int arg)
{
    (void)arg;
    value *state, *object;
    TRY(pop(m, &state));
    if (m->n <= floor_of(m)) return bad(m, "takes more from the stack than there is");
    object = m->stack[m->n - 1];
    return ndi_pickle_build(m->in.s, object, state);
}

/* What lies outside of the pickle under a name, as the storages of PyTorch do. */
static nd_status op_persistent(machine *m, int arg)
{
    (void)arg;
    value *id, *v;
    CHECK(m->outside, ND_ERR_UNSUPPORTED, "%s: pickle: refers to something outside at byte %llu: only plain data and arrays are read",
          ndi_stream_name(m->in.s), (unsigned long long)m->in.at);
    TRY(top(m, VALUE_LIST, &id));
    m->n--;
    TRY(push_new(m, VALUE_NONE, &v));
    return ndi_pickle_storage(&m->memory, m->in.s, m->outside, id, v);
}

/* ---- operations: the frame around them ---- */

static nd_status op_protocol(machine *m, int arg)
{
    (void)arg;
    uint8_t version = 0;
    TRY(take(m, &version, 1));
    CHECK(version <= 5, ND_ERR_UNSUPPORTED, "%s: pickle: protocol %d, expected at most 5", ndi_stream_name(m->in.s), version);
    return ND_OK;
}

static nd_status op_frame(machine *m, int width)
{
    size_t n;
    return take_length(m, width, &n);
}

static nd_status op_stop(machine *m, int arg)
{
    (void)arg;
    m->done = true;
    return ND_OK;
}

static nd_status op_refused(machine *m, int arg)
{
    (void)arg;
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: pickle: an object, a set or a buffer outside at byte %llu: only plain data and arrays are read",
                    ndi_stream_name(m->in.s), (unsigned long long)m->in.at);
}

typedef struct operation {
    nd_status (*run)(machine *m, int arg);
    int arg; /* width of a number, of a length; count of items, -1 = down to the mark; kind of value */
} operation;

static const operation operations[256] = {
    [0x80] = { op_protocol, 0 },
    [0x95] = { op_frame, 8 },
    ['.'] = { op_stop, 0 },
    ['('] = { op_mark, 0 },
    ['0'] = { op_pop, 0 },
    ['1'] = { op_pop_mark, 0 },
    ['2'] = { op_duplicate, 0 },
    /* numbers */
    ['N'] = { op_none, 0 },
    [0x88] = { op_bool, 1 },
    [0x89] = { op_bool, 0 },
    ['K'] = { op_int, 1 },
    ['M'] = { op_int, 2 },
    ['J'] = { op_int, 4 },
    [0x8a] = { op_long, 1 },
    [0x8b] = { op_long, 4 },
    ['G'] = { op_float, 0 },
    ['I'] = { op_int_line, 0 },
    ['L'] = { op_int_line, 0 },
    ['F'] = { op_float_line, 0 },
    /* text and bytes */
    [0x8c] = { op_text, 1 },
    ['X'] = { op_text, 4 },
    [0x8d] = { op_text, 8 },
    ['V'] = { op_text_line, 0 },
    ['S'] = { op_text_line, 1 },
    ['U'] = { op_string, 1 },
    ['T'] = { op_string, 4 },
    ['C'] = { op_bytes, 1 },
    ['B'] = { op_bytes, 4 },
    [0x8e] = { op_bytes, 8 },
    [0x96] = { op_bytes, 8 },
    /* containers */
    [']'] = { op_empty, VALUE_LIST },
    [')'] = { op_empty, VALUE_LIST },
    ['}'] = { op_empty, VALUE_DICT },
    ['l'] = { op_collect_list, -1 },
    ['t'] = { op_collect_list, -1 },
    [0x85] = { op_collect_list, 1 },
    [0x86] = { op_collect_list, 2 },
    [0x87] = { op_collect_list, 3 },
    ['d'] = { op_collect_dict, -1 },
    ['a'] = { op_append, 1 },
    ['e'] = { op_append, -1 },
    ['s'] = { op_set, 2 },
    ['u'] = { op_set, -1 },
    /* memo */
    ['p'] = { op_put, 0 },
    ['q'] = { op_put, 1 },
    ['r'] = { op_put, 4 },
    [0x94] = { op_memoize, 0 },
    ['g'] = { op_get, 0 },
    ['h'] = { op_get, 1 },
    ['j'] = { op_get, 4 },
    /* NumPy and PyTorch */
    ['c'] = { op_global, 0 },
    [0x93] = { op_stack_global, 0 },
    ['R'] = { op_reduce, 0 },
    ['b'] = { op_build, 0 },
    ['Q'] = { op_persistent, 0 },
    /* instances, persistent ids as text, sets, extension codes, buffers kept elsewhere */
    ['i'] = { op_refused, 0 },
    ['o'] = { op_refused, 0 },
    [0x81] = { op_refused, 0 },
    [0x92] = { op_refused, 0 },
    ['P'] = { op_refused, 0 },
    [0x8f] = { op_refused, 0 },
    [0x90] = { op_refused, 0 },
    [0x91] = { op_refused, 0 },
    [0x82] = { op_refused, 0 },
    [0x83] = { op_refused, 0 },
    [0x84] = { op_refused, 0 },
    [0x97] = { op_refused, 0 },
    [0x98] = { op_refused, 0 },
};

static nd_status run(machine *m)
{
    while (!m->done) {
        uint8_t code = 0;
        TRY(take(m, &code, 1));
        m->n_ops++;
        if (!operations[code].run) return bad(m, "an unknown operation");
        TRY(operations[code].run(m, operations[code].arg));
    }
    return m->n == 1 && m->n_marks == 0 ? ND_OK : bad(m, "ends with other than one value on the stack");
}

nd_status ndi_pickle_read(content *c, stream *s, uint64_t at, const char *name, const pickle_outside *outside)
{
    machine *m;
    TRY(NEW(m, 1));
    m->c = c;
    m->outside = outside;
    m->in.s = s;
    m->in.at = at;
    nd_status status = ndi_stream_size(s, &m->in.size);
    if (status == ND_OK && at > m->in.size) status = bad(m, "is missing");
    if (status == ND_OK) status = run(m);
    if (status == ND_OK) status = ndi_pickle_content(c, m->stack[0], ndi_stream_name(s), name, outside ? "." : "/", m->n_ops);
    ndi_free(m->stack);
    ndi_free(m->memo);
    ndi_free(m->marks);
    ndi_arena_free(&m->memory);
    ndi_free(m);
    return status;
}
