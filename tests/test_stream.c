/* Streams over files, memory, sections and packed data, and files that appear whole or not at all. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/mem.h"
#include "fault.h"
#include "io/content.h"
#include "io/out.h"
#include "io/stream_kind.h"
#include "temp.h"

enum { N = 300000 };
static uint8_t sample[N]; /* hardly repeats, still packs a little */

static void fill_sample(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        sample[i] = (uint8_t)(x >> 24 & 0x3f);
    }
}

static void expect_bytes(stream *s, uint64_t at, size_t n)
{
    uint8_t *got = malloc(n + 1);
    assert_int_equal(ndi_stream_read(s, at, got, n), ND_OK);
    assert_memory_equal(got, sample + at, n);
    free(got);
}

/* What holds for every stream that gives the sample. */
static void check_sample(stream *s)
{
    uint64_t size;
    uint8_t few[16];
    size_t got;
    expect_bytes(s, 0, 100);
    expect_bytes(s, 65530, 20);
    expect_bytes(s, 10, 100);
    expect_bytes(s, 0, N);
    assert_int_equal(ndi_stream_size(s, &size), ND_OK);
    assert_int_equal(size, N);
    expect_bytes(s, N - 1, 1);
    expect_bytes(s, N, 0);
    assert_int_equal(ndi_stream_read_some(s, N - 5, few, 16, &got), ND_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(few, sample + N - 5, 5);
    assert_int_equal(ndi_stream_read_some(s, N + 5, few, 16, &got), ND_OK);
    assert_int_equal(got, 0);
    assert_int_equal(ndi_stream_read(s, N - 5, few, 6), ND_ERR_FORMAT);
    assert_non_null(strstr(nd_last_error(), ndi_stream_name(s)));
    assert_int_equal(ndi_stream_read(s, UINT64_MAX, few, 6), ND_ERR_FORMAT);
    expect_bytes(s, 7, 1000);
    const uint8_t *map = ndi_stream_map(s, 100, 50);
    if (map) assert_memory_equal(map, sample + 100, 50);
    assert_true(!map == !ndi_stream_concurrent(s));
    assert_null(ndi_stream_map(s, N - 5, 6));
    assert_null(ndi_stream_map(s, UINT64_MAX, 6));
}

static void plain_file(void **state)
{
    (void)state;
    const char *path = nd_test_temp("plain");
    nd_test_write(path, sample, N);
    stream *s;
    assert_int_equal(ndi_stream_open_file(&s, path), ND_OK);
    assert_string_equal(ndi_stream_name(s), path);
    check_sample(s);
    assert_int_equal(truncate(path, N / 2), 0);
    uint8_t byte;
    assert_int_equal(ndi_stream_read(s, N - 10, &byte, 1), ND_ERR_IO);
    ndi_stream_close(s);
    ndi_stream_close(NULL);
}

static void not_a_file(void **state)
{
    (void)state;
    stream *s = (stream *)1;
    assert_int_equal(ndi_stream_open_file(&s, nd_test_temp("absent")), ND_ERR_IO);
    assert_null(s);
    assert_int_equal(ndi_stream_open_file(&s, nd_test_temp(".")), ND_ERR_IO);
    assert_non_null(strstr(nd_last_error(), "folder"));
    const char *pipe_path = nd_test_temp("pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(ndi_stream_open_file(&s, pipe_path), ND_ERR_IO);
    nd_test_write(nd_test_temp("empty"), "", 0);
    assert_int_equal(ndi_stream_open_file(&s, nd_test_temp("empty")), ND_OK);
    uint64_t size;
    assert_int_equal(ndi_stream_size(s, &size), ND_OK);
    assert_int_equal(size, 0);
    assert_int_equal(ndi_stream_read(s, 0, &size, 1), ND_ERR_FORMAT);
    ndi_stream_close(s);
}

static void memory_and_sections(void **state)
{
    (void)state;
    static uint8_t padded[N + 30];
    memcpy(padded + 10, sample, N);
    stream *memory, *outer, *inner, *none;
    assert_int_equal(ndi_stream_open_memory(&memory, padded, sizeof padded, "memory"), ND_OK);
    assert_int_equal(ndi_stream_open_section(&outer, memory, 4, N + 20, "outer"), ND_OK);
    assert_int_equal(ndi_stream_open_section(&inner, outer, 6, N, "inner"), ND_OK);
    check_sample(inner);
    assert_int_equal(ndi_stream_open_section(&none, outer, N, 21, "none"), ND_ERR_FORMAT);
    assert_int_equal(ndi_stream_open_section(&none, outer, UINT64_MAX, 2, "none"), ND_ERR_FORMAT);
    assert_null(none);
    ndi_stream_close(inner);
    ndi_stream_close(outer);
    ndi_stream_close(memory);
}

/* ---- packed ---- */

static size_t pack(const uint8_t *from, size_t n, uint8_t *to, size_t room, int window)
{
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)from;
    z.avail_in = (uInt)n;
    z.next_out = to;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    room -= z.avail_out;
    deflateEnd(&z);
    return room;
}

enum { GZIP = 15 + 16, RAW = -15 };
static uint8_t packed[N + 1000];

static void gzip_file(void **state)
{
    (void)state;
    const char *path = nd_test_temp("plain-by-name");
    stream *s;
    size_t n = pack(sample, 200000, packed, sizeof packed, GZIP);
    n += pack(sample + 200000, N - 200000, packed + n, sizeof packed - n, GZIP);
    memset(packed + n, 0, 100);
    for (size_t padding = 0; padding <= 100; padding += 100) {
        nd_test_write(path, packed, n + padding);
        assert_int_equal(ndi_stream_open_file(&s, path), ND_OK);
        check_sample(s);
        ndi_stream_close(s);
    }
    for (size_t cut = 3; cut < n; cut += cut < 40 ? 1 : 7919) {
        uint64_t size;
        nd_test_write(path, packed, cut);
        assert_int_equal(ndi_stream_open_file(&s, path), ND_OK);
        nd_status status = ndi_stream_size(s, &size);
        assert_true(status == ND_ERR_FORMAT || size == 200000); /* cut just between the members */
        ndi_stream_close(s);
    }
}

static void deflated_section(void **state)
{
    (void)state;
    stream *memory, *s;
    size_t n = pack(sample, N, packed + 50, sizeof packed - 50, RAW);
    assert_int_equal(ndi_stream_open_memory(&memory, packed, n + 60, "memory"), ND_OK);
    assert_int_equal(ndi_stream_open_inflate(&s, memory, 50, n, N, "member"), ND_OK);
    ndi_stream_expect_crc(s, (uint32_t)crc32(0, sample, N));
    check_sample(s);
    ndi_stream_release(s);
    expect_bytes(s, 1000, 1000);
    ndi_stream_expect_crc(s, 0);
    uint8_t byte;
    assert_int_equal(ndi_stream_read(s, N - 1, &byte, 1), ND_ERR_FORMAT);
    assert_non_null(strstr(nd_last_error(), "checksum"));
    expect_bytes(s, 0, 1000); /* a failure leaves it usable */
    ndi_stream_close(s);
    assert_int_equal(ndi_stream_open_inflate(&s, memory, 50, n - 9, N, "cut"), ND_OK);
    assert_int_equal(ndi_stream_read(s, N - 1, &byte, 1), ND_ERR_FORMAT);
    ndi_stream_close(s);
    assert_int_equal(ndi_stream_open_inflate(&s, memory, 50, n, N + 1, "long"), ND_OK);
    assert_int_equal(ndi_stream_read(s, N, &byte, 1), ND_ERR_FORMAT);
    ndi_stream_close(s);
    assert_int_equal(ndi_stream_open_inflate(&s, memory, 50, n + 11, N, "outside"), ND_ERR_FORMAT);
    assert_int_equal(ndi_stream_open_inflate(&s, memory, 50, 10, 20000, "impossible"), ND_ERR_FORMAT);
    ndi_stream_close(memory);
}

/* ---- several threads ---- */

static void *read_backwards(void *context)
{
    static const size_t step = 1000;
    float x[1000];
    for (size_t at = N; at >= step; at -= step) {
        if (ndi_array_read_f32(context, at - step, step, x) != ND_OK) return context;
        for (size_t i = 0; i < step; i++)
            if (x[i] != sample[at - step + i]) return context;
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    pthread_t thread[4];
    array a = { .name = "x", .type = DTYPE_U8, .n_dims = 1, .shape = { N }, .n = N };
    const char *path = nd_test_temp("shared");
    nd_test_write(path, sample, N);
    assert_int_equal(ndi_stream_open_file(&a.in, path), ND_OK);
    assert_true(ndi_stream_concurrent(a.in));
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, read_backwards, &a), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    ndi_stream_close(a.in);
}

/* ---- writing ---- */

static void expect_file(const char *path, const void *bytes, size_t n)
{
    size_t got;
    uint8_t *there = nd_test_read(path, &got);
    assert_non_null(there);
    assert_int_equal(got, n);
    assert_memory_equal(there, bytes, n);
    free(there);
}

static void write_whole(void **state)
{
    (void)state;
    nd_test_temp_clear();
    const char *path = nd_test_temp("file");
    out *o;
    nd_test_write(path, "former", 6);
    mode_t before = umask(027);
    assert_int_equal(ndi_out_open(&o, path), ND_OK);
    umask(before);
    assert_string_equal(ndi_out_name(o), path);
    for (size_t at = 0, n = 1; at < N; at += n, n = n * 3 % 70001 + 1) {
        assert_int_equal(ndi_out_position(o), at);
        assert_int_equal(ndi_out_write(o, sample + at, at + n < N ? n : N - at), ND_OK);
    }
    assert_int_equal(ndi_out_write_at(o, 5, "12345", 5), ND_OK);
    assert_int_equal(ndi_out_write_at(o, N - 2, "ab", 2), ND_OK);
    assert_int_equal(ndi_out_write_at(o, N - 2, "abc", 3), ND_ERR_INTERNAL);
    assert_int_equal(nd_test_temp_count(), 2);
    expect_file(path, "former", 6);
    assert_int_equal(ndi_out_commit(&o), ND_OK);
    assert_null(o);
    uint8_t *wanted = malloc(N);
    memcpy(wanted, sample, N);
    memcpy(wanted + 5, "12345", 5);
    memcpy(wanted + N - 2, "ab", 2);
    expect_file(path, wanted, N);
    free(wanted);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    assert_int_equal(nd_test_temp_count(), 1);
}

static void write_nothing(void **state)
{
    (void)state;
    nd_test_temp_clear();
    const char *path = nd_test_temp("file");
    out *o;
    nd_test_write(path, "former", 6);
    assert_int_equal(ndi_out_open(&o, path), ND_OK);
    assert_int_equal(ndi_out_write(o, sample, N), ND_OK);
    ndi_out_discard(&o);
    assert_null(o);
    ndi_out_discard(&o);
    expect_file(path, "former", 6);
    assert_int_equal(nd_test_temp_count(), 1);
    assert_int_equal(ndi_out_open(&o, nd_test_temp("absent/file")), ND_ERR_IO);
    assert_null(o);
    assert_int_equal(ndi_out_open(&o, nd_test_temp(".")), ND_ERR_IO);
    assert_int_equal(nd_test_temp_count(), 1);
}

static void write_through_link(void **state)
{
    (void)state;
    nd_test_temp_clear();
    const char *link_path = nd_test_temp("link"), *target = nd_test_temp("target");
    out *o;
    nd_test_write(target, "former", 6);
    assert_int_equal(symlink(target, link_path), 0);
    assert_int_equal(ndi_out_open(&o, link_path), ND_OK);
    assert_int_equal(ndi_out_write(o, "new", 3), ND_OK);
    assert_int_equal(ndi_out_commit(&o), ND_OK);
    expect_file(target, "new", 3);
    struct stat about;
    assert_int_equal(lstat(link_path, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
}

/* A limit on the size of files stands in for a full disk. */
static void disk_full(void **state)
{
    (void)state;
    nd_test_temp_clear();
    struct rlimit before, small;
    out *o;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(ndi_out_open(&o, nd_test_temp("large")), ND_OK);
    nd_status first = ndi_out_write(o, sample, N), second = ndi_out_write(o, sample, 1), last = ndi_out_commit(&o);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(first, ND_ERR_IO);
    assert_int_equal(second, ND_ERR_IO);
    assert_int_equal(last, ND_ERR_IO);
    assert_int_equal(nd_test_temp_count(), 0);
}

/* ---- out of memory ---- */

static nd_status open_and_read(void *path)
{
    stream *s;
    uint8_t bytes[100];
    TRY(ndi_stream_open_file(&s, path));
    nd_status status = ndi_stream_read(s, 5000, bytes, sizeof bytes);
    ndi_stream_close(s);
    return status;
}

static nd_status write_and_commit(void *path)
{
    out *o;
    TRY(ndi_out_open(&o, path));
    TRY(ndi_out_write(o, sample, 1000));
    return ndi_out_commit(&o);
}

static void out_of_memory(void **state)
{
    (void)state;
    nd_test_temp_clear();
    char path[1024];
    strcpy(path, nd_test_temp("packed"));
    nd_test_write(path, packed, pack(sample, N, packed, sizeof packed, GZIP));
    assert_true(nd_test_faults(open_and_read, path) > 4);
    assert_true(nd_test_faults(write_and_commit, path) > 3);
    assert_int_equal(nd_test_temp_count(), 1);
    expect_file(path, sample, 1000);
}

int main(void)
{
    fill_sample();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_file),         cmocka_unit_test(not_a_file), cmocka_unit_test(memory_and_sections), cmocka_unit_test(gzip_file),
        cmocka_unit_test(deflated_section),   cmocka_unit_test(threads),    cmocka_unit_test(write_whole),         cmocka_unit_test(write_nothing),
        cmocka_unit_test(write_through_link), cmocka_unit_test(disk_full),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
