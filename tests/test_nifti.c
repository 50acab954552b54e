/* NIfTI images: files made here byte by byte, and real ones against sums of NiBabel. */
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

#include "check.h"
#include "fault.h"
#include "golden.h"
#include "images.h"
#include "io/content.h"
#include "neurodecode/file.h"
#include "temp.h"

static content *open_image(const char *path)
{
    content *c;
    OK(ndi_content_open(&c, path));
    assert_string_equal(c->format, "nifti");
    assert_int_equal(c->n_arrays, 1);
    return c;
}

static const char *write_image(const char *name, const nd_test_image *i)
{
    uint8_t bytes[ND_TEST_IMAGE_BYTES];
    nd_test_write(nd_test_temp(name), bytes, nd_test_image_bytes(i, bytes));
    return nd_test_temp(name);
}

/* Whether the metadata has the entry `"key":"value"`. */
static void expect_entry(const content *c, const char *entry)
{
    if (!strstr(c->metadata, entry)) fail_msg("%s is not in %s", entry, c->metadata);
}

/* The value of (x, y, z, t) is x + 2 y + 6 z + 24 t: its place in the file. */
static void every_type(void **state)
{
    (void)state;
    static const int codes[] = { 2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280 };
    static const dtype types[] = { DTYPE_U8, DTYPE_I16, DTYPE_I32, DTYPE_F32, DTYPE_F64, DTYPE_I8, DTYPE_U16, DTYPE_U32, DTYPE_I64, DTYPE_U64 };
    for (size_t k = 0; k < COUNT(codes); k++)
        for (int version = 1; version <= 2; version++)
            for (int big = 0; big < 2; big++) {
                double x[48];
                content *c = open_image(write_image("a.nii", &(nd_test_image){ .version = version, .big_endian = big, .code = codes[k] }));
                const array *a = &c->arrays[0];
                assert_string_equal(a->name, "data");
                assert_true(a->type == types[k] && a->fortran && a->n_dims == 4);
                assert_memory_equal(a->shape, ((size_t[]){ 2, 3, 4, 2 }), 4 * sizeof(size_t));
                OK(ndi_array_read_f64(a, 0, 48, x));
                for (size_t i = 0; i < 48; i++) assert_true(x[i] == (double)(i / 24 + 2 * (i / 8 % 3) + 6 * (i / 2 % 4) + 24 * (i % 2)));
                expect_entry(c, "\"voxel_size\":\"2 3 4\"");
                expect_entry(c, "\"tr\":\"1.5\"");
                expect_entry(c, big ? "\"byte_order\":\"big\"" : "\"byte_order\":\"little\"");
                ndi_content_free(c);
            }
}

/* slope 0, NaN and infinity: as stored. Otherwise in double, then rounded once. */
static void scaling(void **state)
{
    (void)state;
    static const double none[] = { 0, NAN, INFINITY };
    double x[48];
    float y[48];
    for (size_t k = 0; k < COUNT(none); k++) {
        content *c = open_image(write_image("b.nii", &(nd_test_image){ .version = 2, .code = 4, .slope = none[k], .intercept = 7 }));
        OK(ndi_array_read_f64(&c->arrays[0], 1, 1, x));
        assert_true(x[0] == 24);
        ndi_content_free(c);
    }
    for (int k = 0; k < 2; k++) { /* float32 too, whose place of reading is that of the result */
        content *c = open_image(write_image("b.nii", &(nd_test_image){ .version = 2, .code = k ? 16 : 4, .slope = 0.1, .intercept = -3 }));
        double native[2];
        OK(ndi_array_read_f64(&c->arrays[0], 0, 48, x));
        OK(ndi_array_read_f32(&c->arrays[0], 0, 48, y));
        assert_true(x[1] == 24 * 0.1 + -3);
        for (size_t i = 0; i < 48; i++) assert_true(y[i] == (float)x[i]);
        assert_null(ndi_array_map(&c->arrays[0], DTYPE_F32));
        if (!k) OK(ndi_array_read_native(&c->arrays[0], 0, 2, native));
        if (!k) assert_true(native[0] == -3 && native[1] == x[1]);
        expect_entry(c, "\"scaling\":\"x 0.1 + -3\"");
        ndi_content_free(c);
    }
    OK(nd_file_convert(nd_test_temp("b.nii"), nd_test_temp("b.npz"))); /* with the scaling done */
    size_t shape[8], n_dims = 8;
    OK(nd_array_read(nd_test_temp("b.npz"), NULL, shape, &n_dims, y, 48));
    assert_int_equal(n_dims, 4);
    assert_true(y[1] == (float)(24 * 0.1 + -3));
    content *c;
    FAILS(ND_ERR_FORMAT, "scl_inter",
          ndi_content_open(&c, write_image("b.nii", &(nd_test_image){ .version = 1, .code = 4, .slope = 1, .intercept = NAN })));
}

static void pairs(void **state)
{
    (void)state;
    nd_test_image i = { .version = 1, .code = 4, .pair = true };
    uint8_t bytes[ND_TEST_IMAGE_BYTES];
    const size_t n = nd_test_image_bytes(&i, bytes);
    content *c;
    nd_test_write(nd_test_temp("p.hdr"), bytes, 348);
    FAILS(ND_ERR_IO, "p.img", ndi_content_open(&c, nd_test_temp("p.hdr")));
    nd_test_write(nd_test_temp("p.img"), bytes + 348, n - 348);
    static const char *const halves[] = { "p.hdr", "p.img" };
    for (size_t k = 0; k < 2; k++) {
        double x[48];
        c = open_image(nd_test_temp(halves[k]));
        OK(ndi_array_read_f64(&c->arrays[0], 0, 48, x));
        assert_true(x[1] == 24 && x[47] == 47);
        expect_entry(c, "NIfTI-1 pair");
        ndi_content_free(c);
    }
    gzFile packed = gzopen(nd_test_temp("q.img.gz"), "wb");
    assert_int_equal(gzwrite(packed, bytes + 348, (unsigned)(n - 348)), n - 348);
    gzclose(packed);
    nd_test_write(nd_test_temp("q.hdr"), bytes, 348);
    ndi_content_free(open_image(nd_test_temp("q.hdr")));
}

static void affines(void **state)
{
    (void)state;
    content *c = open_image(write_image("s.nii", &(nd_test_image){ .version = 1, .code = 4, .sform = 1 }));
    expect_entry(c, "\"affine\":\"1 2 3 4  5 6 7 8  9 10 11 12\"");
    ndi_content_free(c);
    c = open_image(write_image("s.nii", &(nd_test_image){ .version = 2, .code = 4, .qform = 1 })); /* half a turn about y, z the other way */
    expect_entry(c, "\"affine\":\"-2 0 0 10  0 3 0 20  0 0 4 30\"");
    expect_entry(c, "\"affine_from\":\"qform\"");
    ndi_content_free(c);
    c = open_image(write_image("s.nii", &(nd_test_image){ .version = 1, .code = 4 }));
    expect_entry(c, "\"affine\":\"-2 0 0 1  0 3 0 -3  0 0 4 -6\"");
    ndi_content_free(c);
}

static void refusals(void **state)
{
    (void)state;
    content *c;
    uint8_t bytes[ND_TEST_IMAGE_BYTES];
    const nd_test_image plain = { .version = 1, .code = 4 };
    const char *path = nd_test_temp("bad.nii");
    static const int codes[] = { 1, 128, 1536, 2304, 3 };
    for (size_t i = 0; i < COUNT(codes); i++)
        FAILS(ND_ERR_UNSUPPORTED, "datatype", ndi_content_open(&c, write_image("bad.nii", &(nd_test_image){ .version = 1, .code = codes[i] })));
    static const struct {
        size_t at;
        uint8_t low, high;
        const char *part;
    } wrong[] = { { 40, 0, 0, "dim[0]" },      { 40, 8, 0, "dim[0]" },         { 42, 0, 0, "dim[1]" },           { 44, 255, 255, "dim[2]" },
                  { 48, 255, 127, "said to" }, { 110, 0, 0x43, "vox_offset" }, { 110, 0xc0, 0x7f, "vox_offset" } };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const size_t n = nd_test_image_bytes(&plain, bytes);
        bytes[wrong[i].at] = wrong[i].low;
        bytes[wrong[i].at + 1] = wrong[i].high;
        nd_test_write(path, bytes, n);
        FAILS(ND_ERR_FORMAT, wrong[i].part, ndi_content_open(&c, path));
    }
    nd_test_image_bytes(&plain, bytes);
    bytes[344] = 0;
    nd_test_write(nd_test_temp("analyze.hdr"), bytes, 348);
    FAILS(ND_ERR_UNSUPPORTED, "Analyze", ndi_content_open(&c, nd_test_temp("analyze.hdr")));
    double x[48];
    content *complex_image = open_image(write_image("z.nii", &(nd_test_image){ .version = 1, .code = 32 }));
    assert_int_equal(complex_image->arrays[0].type, DTYPE_C64);
    FAILS(ND_ERR_UNSUPPORTED, "complex", ndi_array_read_f64(&complex_image->arrays[0], 0, 1, x));
    ndi_content_free(complex_image);
}

static nd_status open_and_read(void *path)
{
    double x[48];
    content *c;
    TRY(ndi_content_open(&c, path));
    nd_status status = ndi_array_read_f64(&c->arrays[0], 0, 48, x);
    ndi_content_free(c);
    return status;
}

static void damage(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        uint8_t bytes[ND_TEST_IMAGE_BYTES];
        const nd_test_image i = { .version = version, .big_endian = version == 2, .code = 4, .slope = 2, .qform = 1 };
        const size_t n = nd_test_image_bytes(&i, bytes);
        for (size_t at = 0; at < n; at++)
            for (int bit = 0; bit < 9; bit++) { /* the ninth: cut here */
                stream *s;
                content *c;
                const size_t size = bit < 8 ? n : at;
                uint8_t *exact = malloc(size + !size);
                memcpy(exact, bytes, size);
                if (bit < 8) exact[at] ^= (uint8_t)(1 << bit);
                OK(ndi_stream_open_memory(&s, exact, size, "damaged"));
                if (ndi_content_open_stream(&c, s, "nii") == ND_OK) {
                    double x[48];
                    for (size_t k = 0; k < c->n_arrays; k++) (void)ndi_array_read_f64(&c->arrays[k], 0, c->arrays[k].n < 48 ? c->arrays[k].n : 48, x);
                    ndi_content_free(c);
                }
                free(exact);
            }
    }
    char path[1024];
    snprintf(path, sizeof path, "%s", write_image("m.nii", &(nd_test_image){ .version = 1, .code = 4 }));
    assert_true(nd_test_faults(open_and_read, path) > 5);
}

/* What a packed file promises is compared with the most it can hold, without unpacking; that it ends early shows when it is read. */
static void packed(void **state)
{
    (void)state;
    uint8_t bytes[ND_TEST_IMAGE_BYTES];
    const nd_test_image i = { .version = 1, .code = 4 };
    const size_t n = nd_test_image_bytes(&i, bytes);
    gzFile f = gzopen(nd_test_temp("short.nii.gz"), "wb");
    assert_int_equal(gzwrite(f, bytes, (unsigned)n - 10), n - 10);
    gzclose(f);
    double x[48];
    content *c = open_image(nd_test_temp("short.nii.gz"));
    FAILS(ND_ERR_FORMAT, "ends too early", ndi_array_read_f64(&c->arrays[0], 0, 48, x));
    ndi_content_free(c);
    bytes[48] = bytes[46] = bytes[44] = 255; /* 2 x 255 x 255 x 255 values out of some hundred bytes */
    f = gzopen(nd_test_temp("huge.nii.gz"), "wb");
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    gzclose(f);
    FAILS(ND_ERR_FORMAT, "said to take", ndi_content_open(&c, nd_test_temp("huge.nii.gz")));
}

/* Number of values, their sum and the sum of value x (place in C order mod 1000), by NiBabel 5.4 in float64. */
static const struct {
    const char *path;
    size_t n;
    double sum, weighted;
} fixtures[] = {
    { "fixtures/nifti/anatomical.nii", 33825, 284166082.0, 142353064091.0 },
    { "fixtures/nifti/example4d.nii.gz", 589824, 101985356.0, 50933169839.0 },
    { "fixtures/nifti/example_nifti2.nii.gz", 15360, 6926802.0, 3386516356.0 },
    { "fixtures/nifti/functional.nii", 21420, 77913290.36292362, 38497783213.03847 },
    { "fixtures/nifti/reoriented_anat_moved.nii", 12012, 32739769.449157715, 16366386629.3656 },
    { "fixtures/nifti/standard.nii.gz", 140, 7650.0, 578850.0 },
    { "haxby2001/bold.nii.gz", 1161600, 1118771612.0, 558384858004.0 },
    { "haxby2001/mask.nii.gz", 800, 530.0, 219528.0 },
    { "haxby2001/openfmri_sub001/sub001/masks/25mm/vt.nii.gz", 600, 1.0, 434.0 },
};

static void real_files(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(fixtures); k++) {
        const char *path = nd_test_data_path(fixtures[k].path);
        if (!path) skip();
        content *c = open_image(path);
        const size_t n = c->arrays[0].n;
        assert_int_equal(n, fixtures[k].n);
        double *x = malloc(n * sizeof *x), sum = 0, weighted = 0;
        OK(ndi_array_read_f64(&c->arrays[0], 0, n, x));
        for (size_t i = 0; i < n; i++) {
            sum += x[i];
            weighted += x[i] * (double)(i % 1000);
        }
        if (!(fabs(sum - fixtures[k].sum) <= 1e-9 * fabs(sum)) || !(fabs(weighted - fixtures[k].weighted) <= 1e-9 * fabs(weighted)))
            fail_msg("%s: %.17g %.17g", path, sum, weighted);
        free(x);
        ndi_content_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type), cmocka_unit_test(scaling), cmocka_unit_test(pairs),  cmocka_unit_test(affines),
        cmocka_unit_test(refusals),   cmocka_unit_test(damage),  cmocka_unit_test(packed), cmocka_unit_test(real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
