/* Elements of arrays as they lie in files: every type, both byte orders, both index orders, and files that other programs wrote. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "golden.h"
#include "io/content.h"

/* Elements first .. first + count - 1 of every small Fortran-ordered array against the definition. */
static void fortran_order(void **state)
{
    (void)state;
    uint8_t stored[60];
    for (size_t i = 0; i < sizeof stored; i++) stored[i] = (uint8_t)(3 * i + 1);
    stream *s;
    OK(ndi_stream_open_memory(&s, stored, sizeof stored, "stored"));
    for (size_t shape = 0; shape < 4 * 5 * 3; shape++) {
        array a = {
            .name = "a", .type = DTYPE_U8, .fortran = true, .n_dims = 3, .shape = { shape % 4 + 1, shape / 4 % 5 + 1, shape / 20 + 1 }, .in = s
        };
        a.n = a.shape[0] * a.shape[1] * a.shape[2];
        for (size_t first = 0; first <= a.n; first++)
            for (size_t count = 0; count <= a.n - first; count += 1 + count / 7) {
                float x[60];
                OK(ndi_array_read_f32(&a, first, count, x));
                for (size_t i = 0; i < count; i++) {
                    size_t k = (first + i) % a.shape[2], j = (first + i) / a.shape[2] % a.shape[1], r = (first + i) / a.shape[2] / a.shape[1];
                    assert_true(x[i] == stored[r + a.shape[0] * (j + a.shape[1] * k)]);
                }
            }
        float x;
        FAILS(ND_ERR_ARGUMENT, "elements", ndi_array_read_f32(&a, a.n, 1, &x));
        FAILS(ND_ERR_ARGUMENT, "elements", ndi_array_read_f32(&a, SIZE_MAX, 2, &x));
    }
    ndi_stream_close(s);
}

/* Larger than any slice, in both orders: the transposed values must meet. */
static void large_fortran(void **state)
{
    (void)state;
    static const size_t shapes[][2] = { { 9000, 3 }, { 3, 9000 }, { 170, 170 } };
    for (size_t k = 0; k < COUNT(shapes); k++) {
        const size_t rows = shapes[k][0], n_columns = shapes[k][1], n = rows * n_columns;
        int32_t *stored = malloc(n * sizeof *stored);
        double *x = malloc(n * sizeof *x);
        for (size_t i = 0; i < n; i++) stored[i] = (int32_t)i;
        array a = { .name = "a", .type = DTYPE_I32, .fortran = true, .n_dims = 2, .shape = { rows, n_columns }, .n = n };
        OK(ndi_stream_open_memory(&a.in, stored, n * sizeof *stored, "stored"));
        for (size_t first = 0; first < n; first += 7777) {
            OK(ndi_array_read_f64(&a, first, n - first, x));
            for (size_t i = first; i < n; i++) assert_true(x[i - first] == (double)(i / n_columns + i % n_columns * rows));
        }
        ndi_stream_close(a.in);
        free(stored);
        free(x);
    }
}

/* Every half against its definition, both byte orders. */
static void half_precision(void **state)
{
    (void)state;
    static uint16_t h[65536];
    static float x[65536];
    for (int big = 0; big < 2; big++) {
        array a = { .name = "h", .type = DTYPE_F16, .n_dims = 1, .shape = { 65536 }, .n = 65536, .big_endian = big };
        for (size_t i = 0; i < 65536; i++) h[i] = big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? (uint16_t)i : __builtin_bswap16((uint16_t)i);
        OK(ndi_stream_open_memory(&a.in, h, sizeof h, "h"));
        OK(ndi_array_read_f32(&a, 0, a.n, x));
        for (unsigned i = 0; i < 65536; i++) {
            const int exponent = (int)(i >> 10 & 31), fraction = (int)(i & 1023);
            double wanted = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
            if (exponent == 31) wanted = fraction ? (double)NAN : (double)INFINITY;
            if (i >> 15) wanted = -wanted;
            assert_true(isnan(wanted) ? isnan(x[i]) : (double)x[i] == wanted);
        }
        ndi_stream_close(a.in);
    }
}

static void every_type(void **state)
{
    (void)state;
    static const struct {
        dtype type;
        uint8_t bytes[8]; /* big endian */
        double value;
    } cases[] = {
        { DTYPE_BOOL, { 2 }, 1 },
        { DTYPE_I8, { 0xfe }, -2 },
        { DTYPE_U8, { 0xfe }, 254 },
        { DTYPE_I16, { 0xff, 0x00 }, -256 },
        { DTYPE_U16, { 0xff, 0x00 }, 65280 },
        { DTYPE_I32, { 0xff, 0xff, 0xff, 0x00 }, -256 },
        { DTYPE_U32, { 0xff, 0, 0, 0 }, 4278190080.0 },
        { DTYPE_I64, { 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0 }, -16777216 },
        { DTYPE_U64, { 0x80, 0, 0, 0, 0, 0, 0, 0 }, 9223372036854775808.0 },
        { DTYPE_F16, { 0xc1, 0x00 }, -2.5 },
        { DTYPE_BF16, { 0xc0, 0x20 }, -2.5 },
        { DTYPE_F32, { 0xc0, 0x20, 0, 0 }, -2.5 },
        { DTYPE_F64, { 0xc0, 0x04, 0, 0, 0, 0, 0, 0 }, -2.5 },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int big = 0; big < 2; big++) {
            uint8_t bytes[8];
            const size_t size = ndi_dtype_size(cases[i].type);
            for (size_t k = 0; k < size; k++) bytes[k] = cases[i].bytes[big ? k : size - 1 - k];
            array a = { .name = "a", .type = cases[i].type, .n = 1, .big_endian = big };
            double wide;
            float narrow;
            OK(ndi_stream_open_memory(&a.in, bytes, size, "a"));
            OK(ndi_array_read_f64(&a, 0, 1, &wide));
            OK(ndi_array_read_f32(&a, 0, 1, &narrow));
            assert_true(wide == cases[i].value && narrow == (float)cases[i].value);
            ndi_stream_close(a.in);
        }
    static const double pair[2] = { 1, 2 };
    stream *s;
    OK(ndi_stream_open_memory(&s, pair, 16, "z"));
    array z = { .name = "z", .type = DTYPE_C128, .n = 1, .in = s };
    float x;
    FAILS(ND_ERR_UNSUPPORTED, "complex", ndi_array_read_f32(&z, 0, 1, &x));
    ndi_stream_close(s);
}

/* ---- files of other programs ---- */

/* Sums by NumPy; a status below 0 says how the file must be refused, with the words of `name` in the message. */
static const struct {
    const char *file;
    nd_status status;
    const char *name;
    size_t n_dims, shape[4];
    double sum;
} fixtures[] = {
    { "fixtures/npy/test.npy", ND_OK, NULL, 1, { 10 }, 330.0 },
    { "fixtures/npy/test.npz", ND_OK, "x_plus_one", 1, { 10 }, 385.0 },
    { "fixtures/npy/astype_copy.pkl", ND_OK, NULL, 1, { 73 }, 64364.23955356482 },
    { "fixtures/npy/py2-objarr.npy", ND_ERR_UNSUPPORTED, "refuses __builtin__.xrange", 0, { 0 }, 0 },
    { "fixtures/npy/py2-np0-objarr.npy", ND_ERR_UNSUPPORTED, "refuses __builtin__.xrange", 0, { 0 }, 0 },
    { "fixtures/npy/py2-objarr.npz", ND_ERR_UNSUPPORTED, "refuses __builtin__.xrange", 0, { 0 }, 0 },
    { "fixtures/npy/py3-objarr.npy", ND_ERR_UNSUPPORTED, "refuses builtins.range", 0, { 0 }, 0 },
    { "fixtures/npy/py3-objarr.npz", ND_ERR_UNSUPPORTED, "x.npy: pickle: refuses builtins.range", 0, { 0 }, 0 },
    { "fixtures/safetensors/B_unsigned.safetensors", ND_OK, "B", 1, { 6 }, 1543.0 },
    { "fixtures/safetensors/H_unsigned.safetensors", ND_OK, "H", 1, { 6 }, 393223.0 },
    { "fixtures/safetensors/I_unsigned.safetensors", ND_OK, "I", 1, { 6 }, 25769803783.0 },
    { "fixtures/safetensors/b.safetensors", ND_OK, "b", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/d.safetensors", ND_OK, "d", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/e.safetensors", ND_OK, "e", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/f.safetensors", ND_OK, "f", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/h.safetensors", ND_OK, "h", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/i.safetensors", ND_OK, "i", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/jfk-codes.safetensors", ND_OK, "codes", 3, { 1, 2, 828 }, 47190286.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "B", 1, { 6 }, 1543.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "H", 1, { 6 }, 393223.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "I", 1, { 6 }, 25769803783.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "b", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "d", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "e", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "f", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "h", 1, { 6 }, 7.0 },
    { "fixtures/safetensors/overall.safetensors", ND_OK, "i", 1, { 6 }, 7.0 },
    { "object2vec_81/python_roi_data.pickle", ND_OK, "betas", 2, { 81, 696 }, 8738.312320088502 },
    { "object2vec_81/python_roi_data.pickle", ND_OK, "indices", 2, { 1, 696 }, 133876.0 },
    { "things_embeddings/THINGSDecisions_spose_embedding_14d_sorted.npy", ND_OK, NULL, 2, { 1854, 14 }, 346174.15698678023 },
    { "things_embeddings/THINGSDecisions_spose_embedding_82d_sorted.npy", ND_OK, NULL, 2, { 1854, 82 }, 965924.3052294833 },
    { "kriegeskorte_92/118_animate_RDM.npy", ND_OK, NULL, 2, { 118, 118 }, 645605.0 },
    { "clip_features/center_clip.npy", ND_OK, NULL, 2, { 200, 768 }, 1072.634141088845 },
    { "glocal/dino-vit-base-p16_norm.npz", ND_OK, "weights", 2, { 768, 768 }, 2630.3612251868294 },
    { "glocal/dino-vit-base-p16_norm.npz", ND_OK, "mean", 0, { 0 }, -0.0021408777683973312 },
    { "../golden/losses.npz", ND_OK, "z", 2, { 11, 24 }, -23.09374401540947 },
    { "things_embeddings/spose_embedding66d_rescaled.csv", ND_OK, NULL, 2, { 1854, 66 }, 34175864.46557848 },
    { "things_embeddings/spose_embedding66d_rescaled_48val_reordered.csv", ND_OK, NULL, 2, { 48, 66 }, 909354.2542654744 },
    { "things_embeddings/THINGSdata_animacy.csv", ND_OK, NULL, 2, { 1854, 23 }, 8671765.381299999 },
    { "things_embeddings/things_fmri_stimulus_metadata_720_images.csv", ND_OK, NULL, 2, { 720, 4 }, 14591391.0 },
    { "haxby2001/openfmri_sub001/sub001/BOLD/task001_run001/bold_events.tsv", ND_OK, NULL, 2, { 8, 2 }, 13615.0 },
    { "haxby2001/attributes.txt", ND_OK, NULL, 2, { 1452, 2 }, 578435.0 },
};

static void other_programs(void **state)
{
    (void)state;
    size_t n_read = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        const char *path = nd_test_data_path(fixtures[i].file);
        content *c;
        const array *a;
        if (!path) {
            print_message("%s: skipped, not below ND_DATA\n", fixtures[i].file);
            continue;
        }
        n_read++;
        if (fixtures[i].status != ND_OK) {
            FAILS(fixtures[i].status, fixtures[i].name, ndi_content_open(&c, path));
            continue;
        }
        OK(ndi_content_open(&c, path));
        OK(ndi_content_pick(c, fixtures[i].name, &a));
        assert_int_equal(a->n_dims, fixtures[i].n_dims);
        assert_memory_equal(a->shape, fixtures[i].shape, a->n_dims * sizeof *a->shape);
        double *x = malloc(a->n * sizeof *x), sum = 0;
        OK(ndi_array_read_f64(a, 0, a->n, x));
        for (size_t k = 0; k < a->n; k++) sum += x[k] * (double)(k % 97 + 1); /* order matters */
        if (fabs(sum - fixtures[i].sum) > 1e-9 * fabs(fixtures[i].sum) + 1e-9)
            fail_msg("%s: sum %.17g, expected %.17g", fixtures[i].file, sum, fixtures[i].sum);
        free(x);
        ndi_content_free(c);
    }
    if (n_read == 0) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fortran_order), cmocka_unit_test(large_fortran),  cmocka_unit_test(half_precision),
        cmocka_unit_test(every_type),    cmocka_unit_test(other_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
