/* The restricted pickle machine: what Python and NumPy write is read, what could do harm is refused by its name, and small files cannot take much
 * memory or time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"
#include "check.h"
#include "fault.h"
#include "golden.h"
#include "io/content.h"
#include "temp.h"

/* Bytes of a literal that holds NULs. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static nd_status open_bytes(content **c, const char *bytes, size_t n)
{
    stream *s;
    *c = NULL;
    TRY(ndi_stream_open_memory(&s, bytes, n, "file"));
    return ndi_content_open_stream(c, s, "pkl");
}

static nd_status try_bytes(const char *bytes, size_t n)
{
    content *c;
    nd_status status = open_bytes(&c, bytes, n);
    ndi_content_free(c);
    return status;
}

static void expect_numbers(const content *c, const char *name, size_t n, const double *wanted)
{
    const array *a = ndi_content_array(c, name);
    double x[16];
    if (!a) fail_msg("'%s' is missing", name);
    assert_int_equal(a->n, n);
    OK(ndi_array_read_f64(a, 0, n, x));
    for (size_t i = 0; i < n; i++) assert_true(x[i] == wanted[i]);
}

/* ---- what is read ---- */

#define ARRAY_HEAD \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" \
    "C\1b\x87R(K\1"
#define DTYPE(name, order) "cnumpy\ndtype\nU\2" name "\x89\x88\x87R(K\3U\1" order "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"

static const struct {
    const char *bytes;
    size_t n;
    const char *name;
    size_t n_values;
    double values[4];
} numbers[] = {
    { BYTES("\x80\4K\5."), "data", 1, { 5 } },
    { BYTES("\x80\2J\xfe\xff\xff\xff."), "data", 1, { -2 } },
    { BYTES("\x80\2\x8a\0."), "data", 1, { 0 } },
    { BYTES("\x80\2\x8a\2\x00\xff."), "data", 1, { -256 } },
    { BYTES("\x80\2\x8b\5\0\0\0\0\0\0\0\1."), "data", 1, { 4294967296.0 } },
    { BYTES("\x80\4G\x40\x04\0\0\0\0\0\0."), "data", 1, { 2.5 } },
    { BYTES("\x80\4\x88."), "data", 1, { 1 } },
    { BYTES("(lp0\nI7\naI-8\naF2.5\na."), "data", 3, { 7, -8, 2.5 } },
    { BYTES("(dp0\nS'x'\np1\nL12L\ns."), "x", 1, { 12 } },
    { BYTES("\x80\4](K\1K\2K\3e."), "data", 3, { 1, 2, 3 } },
    { BYTES("\x80\4](K\1\x88G\x40\x04\0\0\0\0\0\0e."), "data", 3, { 1, 1, 2.5 } },
    { BYTES("\x80\4](](K\1K\2e](K\3K\4ee."), "data", 4, { 1, 2, 3, 4 } },
    { BYTES("\x80\4K\1K\2\x86."), "data", 2, { 1, 2 } },
    { BYTES("\x80\4}(X\1\0\0\0a}(X\1\0\0\0bK\7uu."), "a/b", 1, { 7 } },
    { BYTES("\x80\4}K\5K\6s."), "5", 1, { 6 } },
    { BYTES("\x80\4](X\1\0\0\0a](K\4ee."), "1", 1, { 4 } },
    { BYTES("\x80\4](K\1\x94h\0K\2e0K\3."), "data", 1, { 3 } },
    { BYTES("\x80\4K\1\x94"
            "0K\2\x94"
            "0h\0h\1\x86."),
      "data",
      2,
      { 1, 2 } },
    { BYTES("\x80\2" ARRAY_HEAD "K\2\x85" DTYPE("i2", "<") "\x89U\4\1\0\2\0tb."), "data", 2, { 1, 2 } },
    { BYTES("\x80\2" ARRAY_HEAD "K\2\x85" DTYPE("i2", ">") "\x89T\4\0\0\0\0\1\0\2tb."), "data", 2, { 1, 2 } },
    { BYTES("\x80\4" ARRAY_HEAD "K\2K\2\x86" DTYPE("u1", "|") "\x88"
                                                              "C\4\1\2\3\4tb."),
      "data",
      4,
      { 1, 3, 2, 4 } },
    { BYTES("\x80\5cnumpy._core.numeric\n_frombuffer\n(\x96\4\0\0\0\0\0\0\0\1\0\2\0" DTYPE("i2", "<") "K\2\x85U\1CtR."), "data", 2, { 1, 2 } },
    { BYTES("\x80\4cnumpy.core.multiarray\nscalar\n" DTYPE("f4", "<") "C\4\0\0\x20\x40\x86R."), "data", 1, { 2.5 } },
    { BYTES("\x80\2c_codecs\nencode\nX\3\0\0\0\1\xc3\xbfX\6\0\0\0latin1\x86R."), "data", 2, { 1, 255 } },
    { BYTES("\x80\4ccollections\nOrderedDict\n)R(X\1\0\0\0aK\1u."), "a", 1, { 1 } },
    { BYTES("\x80\4\x95\x4\0\0\0\0\0\0\0K\1K\2\x86."), "data", 2, { 1, 2 } },
};

static void reads_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        content *c;
        if (open_bytes(&c, numbers[i].bytes, numbers[i].n) != ND_OK) fail_msg("case %zu: %s", i, nd_last_error());
        expect_numbers(c, numbers[i].name, numbers[i].n_values, numbers[i].values);
        ndi_content_free(c);
    }
}

static void reads_text(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *name;
        size_t n_items;
        const char *first;
    } cases[] = {
        { BYTES("\x80\4X\2\0\0\0\xc3\xa9."), "data", 1, "é" },
        { BYTES("\x80\4](\x8c\1a\x8c\2bce."), "data", 2, "a" },
        { BYTES("\x80\2](U\1aT\1\0\0\0be."), "data", 2, "a" },
        { BYTES("(lp0\nS'one'\naVtwo\na."), "data", 2, "one" },
        { BYTES("\x80\2U\1\xe9."), "data", 1, "é" },
        { BYTES("\x80\4]."), "data", 0, NULL },
        { BYTES("\x80\4" ARRAY_HEAD "K\2\x85" DTYPE("O8", "|") "\x89](X\1\0\0\0xX\1\0\0\0yetb."), "data", 2, "x" },
        { BYTES("\x80\4" ARRAY_HEAD "K\2\x85" DTYPE("S2", "|") "\x89"
                                                               "C\4x\0yytb."),
          "data", 2, "x" },
        { BYTES("\x80\4" ARRAY_HEAD ")" DTYPE("O8", "|") "\x89](}X\1\0\0\0kX\1\0\0\0vsetb."), "k", 1, "v" },
        { BYTES("\x80\4}(X\1\0\0\0nNX\1\0\0\0tX\1\0\0\0vu."), "t", 1, "v" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        content *c;
        if (open_bytes(&c, cases[i].bytes, cases[i].n) != ND_OK) fail_msg("case %zu: %s", i, nd_last_error());
        const texts *t = ndi_content_texts(c, cases[i].name);
        assert_non_null(t);
        assert_int_equal(c->n_texts, 1);
        assert_int_equal(t->n, cases[i].n_items);
        if (t->n) assert_string_equal(t->items[0], cases[i].first);
        ndi_content_free(c);
    }
}

/* ---- what is refused ---- */

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        nd_status status;
        const char *part;
    } cases[] = {
        { BYTES("cos\nsystem\n(S'true'\ntR."), ND_ERR_UNSUPPORTED, "file: pickle: refuses os.system: only plain data and arrays are read" },
        { BYTES("\x80\4\x8c\5posix\x8c\6system\x93\x8c\4true\x85R."), ND_ERR_UNSUPPORTED, "refuses posix.system" },
        { BYTES("\x80\4\x8c\x08"
                "builtins\x8c\4eval\x93\x8c\1"
                "1\x85R."),
          ND_ERR_UNSUPPORTED, "refuses builtins.eval" },
        { BYTES("\x80\3c__builtin__\nexec\n."), ND_ERR_UNSUPPORTED, "refuses __builtin__.exec" },
        { BYTES("\x80\2cnumpy.core.multiarray\nfromstring\n."), ND_ERR_UNSUPPORTED, "refuses numpy.core.multiarray.fromstring" },
        { BYTES("\x80\4\x8c\6numpy\0\x8c\5load\0\x93."), ND_ERR_UNSUPPORTED, "refuses numpy.load" },
        { BYTES("\x80\2cnumpy\nndarray\n)R."), ND_ERR_UNSUPPORTED, "refuses to call numpy.ndarray" },
        { BYTES("\x80\2cnumpy\nndarray\n."), ND_ERR_UNSUPPORTED, "function or a type" },
        { BYTES("\x80\2cnumpy\ndtype\n(K\1tR."), ND_ERR_FORMAT, "dtype" },
        { BYTES("\x80\2(ios\nsystem\n."), ND_ERR_UNSUPPORTED, "an object" },
        { BYTES("\x80\2cnumpy\nndarray\n)\x81."), ND_ERR_UNSUPPORTED, "an object" },
        { BYTES("\x80\2Pid\n."), ND_ERR_UNSUPPORTED, "an object" },
        { BYTES("\x80\4\x8f."), ND_ERR_UNSUPPORTED, "a set" },
        { BYTES("\x80\5\x97."), ND_ERR_UNSUPPORTED, "buffer" },
        { BYTES("\x80\2}K\1K\2\x86K\3s."), ND_ERR_UNSUPPORTED, "key" },
        { BYTES("\x80\2}}b."), ND_ERR_UNSUPPORTED, "a state of its own" },
        { BYTES("\x80\6N."), ND_ERR_UNSUPPORTED, "no known format" },
        { BYTES("\x80\2\x80\6N."), ND_ERR_UNSUPPORTED, "protocol 6" },
        { BYTES("\x80\2\x8a\x09\0\0\0\0\0\0\0\0\1."), ND_ERR_UNSUPPORTED, "9 bytes" },
        { BYTES("(lp0\nI99999999999999999999\na."), ND_ERR_UNSUPPORTED, "64 bits" },
        { BYTES("(lp0\nS'a\\n'\na."), ND_ERR_UNSUPPORTED, "escapes" },
        { BYTES("\x80\2" ARRAY_HEAD "K\2\x85" DTYPE("M8", "<") "\x89U\4\1\0\2\0tb."), ND_ERR_UNSUPPORTED, "M8" },
        { BYTES("\x80\2" ARRAY_HEAD "K\2\x85" DTYPE("i2", "<") "\x89U\3\1\0\2tb."), ND_ERR_FORMAT, "shape does not take" },
        { BYTES("\x80\2" ARRAY_HEAD "J\xff\xff\xff\xff\x85" DTYPE("i2", "<") "\x89U\4\1\0\2\0tb."), ND_ERR_FORMAT, "extent" },
        { BYTES("\x80\2" ARRAY_HEAD "K\2\x85" DTYPE("O8", "|") "\x89](Netb."), ND_ERR_FORMAT, "holds 1, expected 2" },
        { BYTES("\x80\2cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R."), ND_ERR_FORMAT, "no state" },
        { BYTES("\x80\4N"), ND_ERR_FORMAT, "ends too early" },
        { BYTES("\x80\4."), ND_ERR_FORMAT, "stack" },
        { BYTES("\x80\4NN."), ND_ERR_FORMAT, "stack" },
        { BYTES("\x80\4(N."), ND_ERR_FORMAT, "stack" },
        { BYTES("\x80\4t."), ND_ERR_FORMAT, "mark" },
        { BYTES("\x80\4\x85."), ND_ERR_FORMAT, "more from the stack" },
        { BYTES("\x80\4N(\x85."), ND_ERR_FORMAT, "more from the stack" },
        { BYTES("\x80\4NNa."), ND_ERR_FORMAT, "expects" },
        { BYTES("\x80\4}(NNNu."), ND_ERR_FORMAT, "key without a value" },
        { BYTES("\x80\4h\0."), ND_ERR_FORMAT, "memo" },
        { BYTES("\x80\4Nr\xff\xff\xff\xff."), ND_ERR_FORMAT, "memo is too large" },
        { BYTES("\x80\4NR."), ND_ERR_FORMAT, "expects" },
        { BYTES("\x80\4\xff."), ND_ERR_FORMAT, "unknown operation" },
        { BYTES("\x80\4X\xff\xff\xff\xff"
                "a."),
          ND_ERR_FORMAT, "past the end" },
        { BYTES("\x80\4\x8e\xff\xff\xff\xff\xff\xff\xff\xff"
                "a."),
          ND_ERR_FORMAT, "past the end" },
        { BYTES("\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\x7f"
                "a."),
          ND_ERR_FORMAT, "past the end" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nd_status status = try_bytes(cases[i].bytes, cases[i].n);
        if (status != cases[i].status || !strstr(nd_last_error(), cases[i].part))
            fail_msg("case %zu: %s: %s", i, nd_status_name(status), nd_last_error());
    }
}

/* ---- small files that would like to be large ---- */

static long peak_kilobytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void expect_cheap(text *t, nd_status status, const char *part)
{
    const long before = peak_kilobytes();
    const double began = ndi_seconds();
    ndi_text_add_bytes(t, ".", 1);
    OK(ndi_text_status(t));
    nd_status got = try_bytes(t->s, t->n);
    if (got != status || (part && !strstr(nd_last_error(), part))) fail_msg("%s: %s", nd_status_name(got), nd_last_error());
    assert_true(ndi_seconds() - began < 10);
    assert_true(peak_kilobytes() - before < 200000);
    ndi_text_free(t);
}

static void say(text *t, const char *bytes, size_t n) { ndi_text_add_bytes(t, bytes, n); }

static void bombs(void **state)
{
    (void)state;
    text t = { 0 };

    /* Lists of the list before, nine times each: 9^40 leaves. */
    say(&t, BYTES("\x80\4](X\1\0\0\0aX\1\0\0\0be\x94"));
    for (int i = 0; i < 40; i++) {
        say(&t, BYTES("0]("));
        for (int k = 0; k < 9; k++) {
            const char get[2] = { 'h', (char)i };
            say(&t, get, 2);
        }
        say(&t, BYTES("e\x94"));
    }
    expect_cheap(&t, ND_ERR_FORMAT, "shared so often");

    /* The same with numbers, where nested lists would make one array. */
    say(&t, BYTES("\x80\4](K\1K\1K\1K\1K\1K\1K\1K\1K\1e\x94"));
    for (int i = 0; i < 7; i++) {
        say(&t, BYTES("0]("));
        for (int k = 0; k < 9; k++) {
            const char get[2] = { 'h', (char)i };
            say(&t, get, 2);
        }
        say(&t, BYTES("e\x94"));
    }
    expect_cheap(&t, ND_ERR_FORMAT, "shared so often");

    /* One long text, again and again. */
    static char letters[100000];
    memset(letters, 'x', sizeof letters);
    say(&t, BYTES("\x80\4X\xa0\x86\1\0"));
    say(&t, letters, sizeof letters);
    say(&t, BYTES("\x94"
                  "0]("));
    for (int i = 0; i < 100000; i++) say(&t, BYTES("h\0"));
    say(&t, BYTES("e"));
    expect_cheap(&t, ND_ERR_FORMAT, "shared so often");

    /* A list inside itself. */
    say(&t, BYTES("\x80\4]\x94(h\0h\0e"));
    expect_cheap(&t, ND_ERR_UNSUPPORTED, "inside each other");

    /* A million lists, one in the other. */
    say(&t, BYTES("\x80\4N"));
    for (int i = 0; i < 1000000; i++) say(&t, BYTES("\x85"));
    expect_cheap(&t, ND_ERR_UNSUPPORTED, "inside each other");

    /* A million marks, a million copies on the stack. */
    say(&t, BYTES("\x80\4"));
    for (int i = 0; i < 1000000; i++) say(&t, BYTES("("));
    expect_cheap(&t, ND_ERR_FORMAT, "stack");
    say(&t, BYTES("\x80\4N"));
    for (int i = 0; i < 1000000; i++) say(&t, BYTES("2"));
    expect_cheap(&t, ND_ERR_FORMAT, "stack");

    /* Strings of no width: a shape of a thousand million takes no bytes. */
    say(&t, BYTES("\x80\2" ARRAY_HEAD "J\x00\xca\x9a\x3b\x85" DTYPE("S0", "|") "\x89U\0tb"));
    expect_cheap(&t, ND_ERR_FORMAT, "strings");
}

/* ---- payloads beyond 4 GiB ---- */

/* A stream that says it is large: a pickle around `payload` bytes that are never there, as in a file with a hole. */
static void large_payload(void **state)
{
    (void)state;
    static const uint64_t payload = (uint64_t)5 << 30;
    const char *path = nd_test_temp("large.pkl");
    text t = { 0 };
    uint8_t length[8];
    say(&t, BYTES("\x80\4}X\1\0\0\0x" ARRAY_HEAD "\x8a\5\0\0\0\x40\1\x85" DTYPE("u1", "|") "\x89\x8e"));
    ndi_put_le64(length, payload);
    say(&t, (const char *)length, 8);
    OK(ndi_text_status(&t));
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(t.s, 1, t.n, f), t.n);
    const bool sparse = fseeko(f, (off_t)(t.n + payload - 1), SEEK_SET) == 0 && fwrite("\7tbs.", 1, 5, f) == 5;
    ndi_text_free(&t);
    if (fclose(f) != 0 || !sparse) skip();
    content *c;
    float last[2];
    OK(ndi_content_open(&c, path));
    assert_int_equal(c->arrays[0].n, payload);
    OK(ndi_array_read_f32(&c->arrays[0], (size_t)payload - 2, 2, last));
    assert_true(last[0] == 0 && last[1] == 7);
    assert_true(peak_kilobytes() < 1000000);
    ndi_content_free(c);
    remove(path);
}

/* ---- out of memory, and a file from the field ---- */

typedef struct bytes {
    const char *s;
    size_t n;
} bytes;

static nd_status open_case(void *context)
{
    const bytes *b = context;
    return try_bytes(b->s, b->n);
}

static void out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) assert_true(nd_test_faults(open_case, &(bytes){ numbers[i].bytes, numbers[i].n }) > 5);
}

static void field_file(void **state)
{
    (void)state;
    const char *path = nd_test_data_path("object2vec_81/python_roi_data.pickle");
    content *c;
    if (!path) {
        print_message("object2vec_81/python_roi_data.pickle: skipped, not below ND_DATA\n");
        skip();
    }
    OK(ndi_content_open(&c, path));
    const array *betas = ndi_content_array(c, "betas");
    assert_non_null(betas);
    assert_int_equal(betas->type, DTYPE_F32);
    assert_true(betas->fortran);
    assert_int_equal(betas->shape[0], 81);
    assert_int_equal(betas->shape[1], 696);
    assert_string_equal(ndi_content_texts(c, "conds")->items[80], "vase");
    ndi_content_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers), cmocka_unit_test(reads_text),    cmocka_unit_test(refuses),    cmocka_unit_test(bombs),
        cmocka_unit_test(large_payload), cmocka_unit_test(out_of_memory), cmocka_unit_test(field_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
