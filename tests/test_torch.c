/* PyTorch checkpoints: tensors of every type and stride, what is refused and how, damage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/bytes.h"
#include "check.h"
#include "fault.h"
#include "golden.h"
#include "io/format.h"
#include "io/zip.h"
#include "neurodecode/file.h"
#include "temp.h"

/* Bytes of a literal that holds NULs. */
#define BYTES(literal) (literal), sizeof(literal) - 1

/* ---- writing checkpoints by hand ---- */

typedef struct member {
    const char *name;
    const void *bytes;
    size_t n;
} member;

static void write_archive(const char *path, const member *members, size_t n)
{
    out *o;
    OK(ndi_out_open(&o, path));
    zip_out z = { .o = o };
    for (size_t i = 0; i < n; i++) {
        OK(ndi_zip_begin(&z, members[i].name, "", members[i].n));
        OK(ndi_out_write(o, members[i].bytes, members[i].n));
        OK(ndi_zip_end(&z, (uint32_t)crc32_z(0, members[i].bytes, members[i].n)));
    }
    OK(ndi_zip_finish(&z));
    ndi_zip_out_free(&z);
    OK(ndi_out_commit(&o));
}

static void say(text *t, const char *bytes, size_t n) { ndi_text_add_bytes(t, bytes, n); }

static void say_int(text *t, size_t n)
{
    uint8_t bytes[4];
    ndi_put_le32(bytes, (uint32_t)n);
    say(t, "J", 1);
    say(t, (const char *)bytes, sizeof bytes);
}

static void say_text(text *t, const char *s)
{
    const char n = (char)strlen(s);
    say(t, BYTES("\x8c"));
    say(t, &n, 1);
    say(t, s, strlen(s));
}

static void say_tuple(text *t, size_t n, const size_t *values)
{
    say(t, "(", 1);
    for (size_t i = 0; i < n; i++) say_int(t, values[i]);
    say(t, "t", 1);
}

typedef struct view {
    const char *storage; /* "FloatStorage" */
    const char *key;
    size_t elements, offset, n_dims, shape[NDI_MAX_DIMS], strides[NDI_MAX_DIMS];
} view;

/* _rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict()) */
static void say_tensor(text *t, const view *v)
{
    say(t, BYTES("ctorch._utils\n_rebuild_tensor_v2\n(("));
    say_text(t, "storage");
    ndi_text_add(t, "ctorch\n%s\n", v->storage);
    say_text(t, v->key);
    say_text(t, "cpu");
    say_int(t, v->elements);
    say(t, BYTES("tQ"));
    say_int(t, v->offset);
    say_tuple(t, v->n_dims, v->shape);
    say_tuple(t, v->n_dims, v->strides);
    say(t, BYTES("\x89"
                 "ccollections\nOrderedDict\n)RtR"));
}

/* A checkpoint with one pickle and up to two storages. */
static void write_checkpoint(const char *path, const text *pickle, const char *order, const void *zero, size_t n_zero, const void *one, size_t n_one)
{
    const member members[] = {
        { "a/data.pkl", pickle->s, pickle->n },
        { "a/byteorder", order, strlen(order) },
        { "a/data/0", zero, n_zero },
        { "a/data/1", one, n_one },
        { "a/version", "3\n", 2 },
    };
    OK(ndi_text_status(pickle));
    write_archive(path, members, COUNT(members));
}

static const float ramp[24] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 };
static const uint16_t halves[3] = { 0x3c00, 0xc000, 0x3800 }; /* 1, -2, 0.5 as float16 */

static const view transposed = { "FloatStorage", "0", 24, 2, 3, { 3, 2, 2 }, { 1, 6, 3 } };

/* {'epoch': 3, 'model_state_dict': OrderedDict(w = a transposed view, h = halves), 'note': 'text', 'on': device, 7: [True, None]} */
static void say_sample(text *t)
{
    const view half = { "HalfStorage", "1", 3, 0, 1, { 3 }, { 1 } };
    say(t, BYTES("\x80\2}("));
    say_text(t, "epoch");
    say(t, BYTES("K\3"));
    say_text(t, "model_state_dict");
    say(t, BYTES("ccollections\nOrderedDict\n)R("));
    say_text(t, "w");
    say_tensor(t, &transposed);
    say_text(t, "h");
    say_tensor(t, &half);
    say(t, BYTES("u}")); /* attributes of the state dict */
    say_text(t, "_metadata");
    say(t, BYTES("K\1sb"));
    say_text(t, "note");
    say_text(t, "text");
    say_text(t, "on");
    say(t, BYTES("ctorch\ndevice\n("));
    say_text(t, "cuda");
    say(t, BYTES("K\1tR"));
    say_text(t, "kind");
    say(t, BYTES("ctorch\nfloat16\n"));
    say(t, BYTES("K\7](\x88Neu."));
}

static const char *write_sample(void)
{
    const char *path = nd_test_temp("sample.pth");
    text t = { 0 };
    say_sample(&t);
    write_checkpoint(path, &t, "little", ramp, sizeof ramp, halves, sizeof halves);
    ndi_text_free(&t);
    return path;
}

/* ---- what is read ---- */

static void expect_sample(const content *c)
{
    float x[12];
    const array *w = ndi_content_array(c, "model_state_dict.w"), *h = ndi_content_array(c, "model_state_dict.h"),
                *epoch = ndi_content_array(c, "epoch");
    assert_true(w && h && epoch && ndi_content_array(c, "7.0") && !ndi_content_array(c, "7.1"));
    assert_int_equal(c->n_arrays, 4);
    assert_true(w->strided && w->n == 12 && h->type == DTYPE_F16 && !h->strided);
    OK(ndi_array_read_f32(w, 0, 12, x));
    for (size_t i = 0; i < 12; i++) assert_true(x[i] == (float)(2 + i / 4 + i / 2 % 2 * 6 + i % 2 * 3));
    OK(ndi_array_read_f32(w, 5, 3, x));
    assert_true(x[0] == 6 && x[1] == 9 && x[2] == 12);
    OK(ndi_array_read_f32(h, 0, 3, x));
    assert_true(x[0] == 1 && x[1] == -2 && x[2] == 0.5f);
    assert_string_equal(ndi_content_texts(c, "note")->items[0], "text");
    assert_string_equal(ndi_content_texts(c, "on")->items[0], "cuda:1");
    assert_string_equal(ndi_content_texts(c, "kind")->items[0], "torch.float16");
}

static void reads_a_checkpoint(void **state)
{
    (void)state;
    content *c;
    OK(ndi_content_open(&c, write_sample()));
    assert_string_equal(c->format, "torch");
    expect_sample(c);
    ndi_content_free(c);
    assert_int_equal(rename(nd_test_temp("sample.pth"), nd_test_temp("no-extension")), 0); /* known by its content */
    OK(ndi_content_open(&c, nd_test_temp("no-extension")));
    expect_sample(c);
    ndi_content_free(c);
}

/* One tensor without a name. */
static nd_status open_view(content **c, const view *v, const char *order, const void *bytes, size_t n)
{
    const char *path = nd_test_temp("view.pt");
    text t = { 0 };
    say(&t, BYTES("\x80\2"));
    say_tensor(&t, v);
    say(&t, BYTES("."));
    write_checkpoint(path, &t, order, bytes, n, "", 0);
    ndi_text_free(&t);
    return ndi_content_open(c, path);
}

static void every_stride(void **state)
{
    (void)state;
    static const struct {
        view v;
        bool strided;
    } cases[] = {
        { { "FloatStorage", "0", 24, 0, 2, { 4, 6 }, { 6, 1 } }, false },
        { { "FloatStorage", "0", 24, 3, 2, { 3, 1 }, { 1, 77 } }, false }, /* an extent of 1 has any stride */
        { { "FloatStorage", "0", 24, 23, 0, { 0 }, { 0 } }, false },
        { { "FloatStorage", "0", 24, 24, 2, { 0, 5 }, { 1, 1 } }, true }, /* empty, at the very end */
        { { "FloatStorage", "0", 24, 0, 2, { 6, 4 }, { 1, 6 } }, true },
        { { "FloatStorage", "0", 24, 5, 2, { 3, 4 }, { 0, 0 } }, true },
        { { "FloatStorage", "0", 24, 1, 2, { 5, 4 }, { 2, 1 } }, true },
        { { "FloatStorage", "0", 24, 0, 4, { 2, 3, 2, 2 }, { 12, 1, 6, 3 } }, true },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const view *v = &cases[i].v;
        content *c;
        float all[24], one;
        OK(open_view(&c, v, "little", ramp, sizeof ramp));
        const array *a = ndi_content_array(c, "data");
        assert_int_equal(a->strided, cases[i].strided);
        OK(ndi_array_read_f32(a, 0, a->n, all));
        for (size_t k = 0; k < a->n; k++) {
            size_t place = v->offset, rest = k;
            for (size_t d = v->n_dims; d-- > 0; rest /= v->shape[d]) place += rest % v->shape[d] * v->strides[d];
            assert_true(all[k] == ramp[place]);
            OK(ndi_array_read_f32(a, k, 1, &one));
            assert_true(one == ramp[place]);
        }
        ndi_content_free(c);
    }
}

/* The strides of a tensor whose elements take more than a slice. */
static void large_and_strided(void **state)
{
    (void)state;
    enum { ROWS = 300, COLUMNS = 211 };
    const view v = { "DoubleStorage", "0", ROWS * COLUMNS, 0, 2, { COLUMNS, ROWS }, { 1, COLUMNS } };
    double *stored = malloc(ROWS * COLUMNS * sizeof *stored), *wide = malloc(ROWS * COLUMNS * sizeof *wide);
    content *c;
    for (size_t i = 0; i < ROWS * COLUMNS; i++) stored[i] = (double)i;
    OK(open_view(&c, &v, "little", stored, ROWS * COLUMNS * sizeof *stored));
    for (int native = 0; native < 2; native++) {
        OK(native ? ndi_array_read_native(&c->arrays[0], 0, c->arrays[0].n, wide) : ndi_array_read_f64(&c->arrays[0], 0, c->arrays[0].n, wide));
        for (size_t i = 0; i < ROWS * COLUMNS; i++) assert_true(wide[i] == (double)(i / ROWS + i % ROWS * COLUMNS));
    }
    ndi_content_free(c);
    free(stored);
    free(wide);
}

static void every_type(void **state)
{
    (void)state;
    static const struct {
        const char *storage;
        dtype type;
        uint8_t bytes[8]; /* little endian */
        double value;
    } cases[] = {
        { "BoolStorage", DTYPE_BOOL, { 1 }, 1 },
        { "ByteStorage", DTYPE_U8, { 254 }, 254 },
        { "CharStorage", DTYPE_I8, { 254 }, -2 },
        { "ShortStorage", DTYPE_I16, { 0, 255 }, -256 },
        { "IntStorage", DTYPE_I32, { 0, 1 }, 256 },
        { "LongStorage", DTYPE_I64, { 0, 0, 0, 0, 1 }, 4294967296.0 },
        { "HalfStorage", DTYPE_F16, { 0, 0xc1 }, -2.5 },
        { "BFloat16Storage", DTYPE_BF16, { 0x20, 0xc0 }, -2.5 },
        { "FloatStorage", DTYPE_F32, { 0, 0, 0x20, 0xc0 }, -2.5 },
        { "DoubleStorage", DTYPE_F64, { 0, 0, 0, 0, 0, 0, 4, 0xc0 }, -2.5 },
    };
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        const bool big = i % 2;
        const size_t k = i / 2, size = ndi_dtype_size(cases[k].type);
        uint8_t bytes[8];
        double x;
        content *c;
        for (size_t b = 0; b < size; b++) bytes[b] = cases[k].bytes[big ? size - 1 - b : b];
        OK(open_view(&c, &(view){ cases[k].storage, "0", 1, 0, 0, { 0 }, { 0 } }, big ? "big" : "little", bytes, size));
        assert_int_equal(c->arrays[0].type, cases[k].type);
        OK(ndi_array_read_f64(&c->arrays[0], 0, 1, &x));
        assert_true(x == cases[k].value);
        ndi_content_free(c);
    }
}

/* ---- what is refused ---- */

static void views_outside(void **state)
{
    (void)state;
    static const struct {
        view v;
        nd_status status;
        const char *part;
    } cases[] = {
        { { "FloatStorage", "0", 24, 0, 1, { 25 }, { 1 } }, ND_ERR_FORMAT, "25 x 4 bytes at 0, got 96" },
        { { "FloatStorage", "0", 24, 21, 1, { 2 }, { 3 } }, ND_ERR_FORMAT, "4 x 4 bytes at 84, got 96" },
        { { "FloatStorage", "0", 24, 0, 2, { 1u << 30, 1u << 30 }, { 1u << 30, 1 } }, ND_ERR_FORMAT, "'data'" },
        { { "FloatStorage", "0", 24, 0, 3, { 1u << 20, 1u << 20, 1u << 20 }, { 0, 0, 0 } }, ND_ERR_UNSUPPORTED, "by repeating them" },
        { { "FloatStorage", "0", 23, 0, 1, { 2 }, { 1 } }, ND_ERR_FORMAT, "a/data/0: is said to hold 23 elements of float32, got 96 bytes" },
        { { "DoubleStorage", "0", 24, 0, 1, { 2 }, { 1 } }, ND_ERR_FORMAT, "24 elements of float64, got 96 bytes" },
        { { "FloatStorage", "2", 24, 0, 1, { 2 }, { 1 } }, ND_ERR_FORMAT, "storage '2' is missing" },
        { { "float32", "0", 24, 0, 1, { 2 }, { 1 } }, ND_ERR_FORMAT, "no storage" },
        { { "QInt8Storage", "0", 24, 0, 1, { 2 }, { 1 } }, ND_ERR_UNSUPPORTED, "refuses torch.QInt8Storage" },
        { { "_C._nn.gelu", "0", 24, 0, 1, { 2 }, { 1 } }, ND_ERR_UNSUPPORTED, "refuses torch._C._nn.gelu" },
    };
    content *c;
    for (size_t i = 0; i < COUNT(cases); i++) FAILS(cases[i].status, cases[i].part, open_view(&c, &cases[i].v, "little", ramp, sizeof ramp));
    FAILS(ND_ERR_FORMAT, "a/byteorder: got 'middle', expected little or big", open_view(&c, &transposed, "middle", ramp, sizeof ramp));
}

static nd_status open_pickle(content **c, const char *pickle, size_t n)
{
    const member m[] = { { "a/data.pkl", pickle, n }, { "a/data/0", ramp, sizeof ramp } };
    write_archive(nd_test_temp("p.pt"), m, COUNT(m));
    return ndi_content_open(c, nd_test_temp("p.pt"));
}

#define STORAGE \
    "(U\7storagectorch\nFloatStorage\nU\1" \
    "0U\3cpuK\x18tQ"

static void pickles_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        nd_status status;
        const char *part;
    } cases[] = {
        { BYTES("\x80\2cposix\nsystem\n(U\4truetR."), ND_ERR_UNSUPPORTED,
          "a/data.pkl: pickle: refuses posix.system: only plain data and arrays are read" },
        { BYTES("\x80\2ctorch.nn.modules.linear\nLinear\n)\x81."), ND_ERR_UNSUPPORTED, "refuses torch.nn.modules.linear.Linear" },
        { BYTES("\x80\2cargparse\nNamespace\n)R."), ND_ERR_UNSUPPORTED, "refuses argparse.Namespace" },
        { BYTES("\x80\2ctorch.storage\n_load_from_bytes\n."), ND_ERR_UNSUPPORTED, "refuses torch.storage._load_from_bytes" },
        { BYTES("\x80\2K\1Q."), ND_ERR_FORMAT, "expects" },
        { BYTES("\x80\2)Q."), ND_ERR_FORMAT, "no storage" },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R."), ND_ERR_FORMAT, "other than a storage" },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE "K\0K\2\x85)\x89NtR."), ND_ERR_FORMAT, "as many strides" },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE "J\xff\xff\xff\xffK\2\x85K\1\x85\x89NtR."), ND_ERR_FORMAT, "offset" },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\2\x85K\1\x85\x89NtR."), ND_ERR_FORMAT,
          "outside" },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE "K\0K\2\x85K\1\x85\x89NNtR."), ND_ERR_FORMAT, "no type" },
        { BYTES("\x80\2ctorch._utils\n_rebuild_parameter\nK\1\x85R."), ND_ERR_FORMAT, "parameter" },
        { BYTES("\x80\2ctorch\ndevice\n)R."), ND_ERR_FORMAT, "torch.device" },
        { BYTES("\x80\2ctorch\nfloat32\n)R."), ND_ERR_FORMAT, "expects" },
        { BYTES("\x80\2}}b."), ND_ERR_UNSUPPORTED, "a state of its own" },
    };
    content *c;
    for (size_t i = 0; i < COUNT(cases); i++) {
        nd_status status = open_pickle(&c, cases[i].bytes, cases[i].n);
        if (status != cases[i].status || !strstr(nd_last_error(), cases[i].part))
            fail_msg("case %zu: %s: %s", i, nd_status_name(status), nd_last_error());
    }
    nd_test_write(nd_test_temp("plain.pkl"), BYTES("\x80\2" STORAGE "."));
    FAILS(ND_ERR_UNSUPPORTED, "refers to something outside", ndi_content_open(&c, nd_test_temp("plain.pkl")));
}

/* Parameters, sizes, storages and untyped storages. */
static void other_calls(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, n_values;
        double last;
    } cases[] = {
        { BYTES("\x80\2ctorch._utils\n_rebuild_parameter\n(ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE "K\1K\2\x85K\3\x85\x89NtR\x88NtR."), 2, 4 },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\0K\3\x85K\1\x85tR."), 3, 2 },
        { BYTES("\x80\2ctorch._utils\n_rebuild_tensor_v3\n((U\7storagectorch.storage\nUntypedStorage\nU\1"
                "0U\3cpuK\x60tQK\1K\2\x85K\1\x85\x89Nctorch\nfloat32\ntR."),
          2, 2 },
        { BYTES("\x80\2ctorch\nSize\n(K\4K\5t\x85R."), 2, 5 },
        { BYTES("\x80\2" STORAGE "."), 24, 23 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        content *c;
        double x[24];
        if (open_pickle(&c, cases[i].bytes, cases[i].n) != ND_OK) fail_msg("case %zu: %s", i, nd_last_error());
        assert_int_equal(c->arrays[0].n, cases[i].n_values);
        OK(ndi_array_read_f64(&c->arrays[0], 0, c->arrays[0].n, x));
        assert_true(x[c->arrays[0].n - 1] == cases[i].last);
        ndi_content_free(c);
    }
}

static void other_containers(void **state)
{
    (void)state;
    content *c;
    char tar[1024] = "sys_info";
    memcpy(tar + 257, "ustar  ", 7);
    nd_test_write(nd_test_temp("old.pth"), BYTES("\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3."));
    FAILS(ND_ERR_UNSUPPORTED, "the format of PyTorch before 1.6: open it with torch.load() and save it again",
          ndi_content_open(&c, nd_test_temp("old.pth")));
    nd_test_write(nd_test_temp("older.pth"), tar, sizeof tar);
    FAILS(ND_ERR_UNSUPPORTED, "a tar archive, the format of PyTorch before 0.1.10", ndi_content_open(&c, nd_test_temp("older.pth")));
    const member script[] = { { "a/data.pkl", "\x80\2N.", 4 }, { "a/code/__torch__.py", "x", 1 }, { "a/constants.pkl", "\x80\2).", 4 } };
    write_archive(nd_test_temp("script.pt"), script, COUNT(script));
    FAILS(ND_ERR_UNSUPPORTED, "is a TorchScript program: load it with torch.jit.load()", ndi_content_open(&c, nd_test_temp("script.pt")));
    write_archive(nd_test_temp("other.pt"), script + 1, 1);
    FAILS(ND_ERR_UNSUPPORTED, "a ZIP archive without data.pkl", ndi_content_open(&c, nd_test_temp("other.pt")));
}

/* ---- damage, lack of memory ---- */

/* Opens and reads all there is. Any outcome is right that does no harm. */
static void read_all(const uint8_t *bytes, size_t n)
{
    double x[64];
    stream *s;
    content *c;
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    OK(ndi_stream_open_memory(&s, exact, n, "damaged"));
    nd_status status = ndi_content_open_stream(&c, s, "pth");
    assert_true(status == ND_OK || ((status == ND_ERR_FORMAT || status == ND_ERR_UNSUPPORTED) && strncmp(nd_last_error(), "damaged", 7) == 0));
    for (size_t i = 0; status == ND_OK && i < c->n_arrays; i++)
        (void)ndi_array_read_f64(&c->arrays[i], 0, c->arrays[i].n < 64 ? c->arrays[i].n : 64, x);
    ndi_content_free(c);
    free(exact);
}

static void damage(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = nd_test_read(write_sample(), &n);
    for (size_t cut = 0; cut < n; cut++) read_all(bytes, cut);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        read_all(bytes, n);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
}

static nd_status describe_file(void *path)
{
    char json[4096];
    return nd_file_describe(path, json, sizeof json, NULL);
}

static nd_status convert_file(void *path) { return nd_file_convert(path, nd_test_temp("converted.safetensors")); }

static void out_of_memory(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s", write_sample());
    assert_true(nd_test_faults(describe_file, path) > 10);
    assert_true(nd_test_faults(convert_file, path) > 10);
}

/* ---- converting ---- */

static void converts(void **state)
{
    (void)state;
    static const char *const names[] = { "c.safetensors", "c.npz", "c.pickle" };
    const char *path = write_sample();
    for (size_t i = 0; i < COUNT(names); i++) {
        content *c;
        float x[12], y[12];
        OK(nd_file_convert(path, nd_test_temp(names[i])));
        OK(ndi_content_open(&c, nd_test_temp(names[i])));
        const array *w = ndi_content_array(c, "model_state_dict.w"), *h = ndi_content_array(c, "model_state_dict.h");
        assert_true(w && h && h->type == DTYPE_F16 && !w->strided);
        assert_string_equal(ndi_content_texts(c, "on")->items[0], "cuda:1");
        OK(ndi_array_read_f32(w, 0, 12, x));
        for (size_t k = 0; k < 12; k++) y[k] = (float)(2 + k / 4 + k / 2 % 2 * 6 + k % 2 * 3);
        assert_memory_equal(x, y, sizeof x);
        ndi_content_free(c);
    }
    FAILS(ND_ERR_UNSUPPORTED, "only read", nd_file_convert(path, nd_test_temp("c.pth")));
    FAILS(ND_ERR_IO, "absent", nd_file_convert(nd_test_temp("absent"), nd_test_temp("c.npz")));
    FAILS(ND_ERR_ARGUMENT, "NULL", nd_file_convert(path, NULL));
    const view bf16 = { "BFloat16Storage", "0", 3, 0, 1, { 3 }, { 1 } };
    content *c;
    OK(open_view(&c, &bf16, "little", halves, sizeof halves));
    ndi_content_free(c);
    FAILS(ND_ERR_UNSUPPORTED, "NumPy has no bfloat16", nd_file_convert(nd_test_temp("view.pt"), nd_test_temp("c.npz")));
    OK(nd_file_convert(nd_test_temp("view.pt"), nd_test_temp("c.safetensors")));
}

/* ---- files of other programs ---- */

/* The sums of their values in float64, as PyTorch has them. */
static void other_programs(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t n_arrays;
        const char *name;
        size_t n_dims, shape[3];
        double sum; /* of value k times k % 97 + 1: order matters */
    } files[] = {
        { "fixtures/pth/fortran_tensor_3d.pth", 1, "tensor_fortran", 3, { 2, 3, 4 }, 4900.0 },
        { "fixtures/pth/test.pt", 1, "test", 2, { 2, 4 }, 204.0 },
        { "fixtures/pth/test_with_key.pt", 1, "model_state_dict.test", 2, { 2, 4 }, 204.0 },
        { "tiny_vit_mnist/hw_exact.pth", 13, "W2", 2, { 32, 64 }, -20.297745649993885 },
        { "tiny_vit_mnist/mnist_vit.pth", 19, "encoder.0.attn.in_proj_weight", 2, { 96, 32 }, -33.04871477425331 },
        { "tiny_vit_mnist/mnist_vit_qat.pth", 15, "encoder.0.attn.softmax.lut", 1, { 256 }, 1188.7588958740234 },
    };
    size_t n_read = 0;
    for (size_t i = 0; i < COUNT(files); i++) {
        const char *path = nd_test_data_path(files[i].file);
        content *c;
        double sum = 0;
        if (!path) {
            print_message("%s: skipped, not below ND_DATA\n", files[i].file);
            continue;
        }
        n_read++;
        OK(ndi_content_open(&c, path));
        assert_int_equal(c->n_arrays, files[i].n_arrays);
        const array *a = ndi_content_array(c, files[i].name);
        assert_true(a && a->n_dims == files[i].n_dims && memcmp(a->shape, files[i].shape, a->n_dims * sizeof *a->shape) == 0);
        double *x = malloc(a->n * sizeof *x);
        OK(ndi_array_read_f64(a, 0, a->n, x));
        for (size_t k = 0; k < a->n; k++) sum += x[k] * (double)(k % 97 + 1);
        if (fabs(sum - files[i].sum) > 1e-9 * fabs(files[i].sum)) fail_msg("%s: sum %.17g, expected %.17g", files[i].file, sum, files[i].sum);
        free(x);
        ndi_content_free(c);
    }
    if (n_read == 0) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_checkpoint), cmocka_unit_test(every_stride),     cmocka_unit_test(large_and_strided),
        cmocka_unit_test(every_type),         cmocka_unit_test(views_outside),    cmocka_unit_test(pickles_refused),
        cmocka_unit_test(other_calls),        cmocka_unit_test(other_containers), cmocka_unit_test(damage),
        cmocka_unit_test(out_of_memory),      cmocka_unit_test(converts),         cmocka_unit_test(other_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
