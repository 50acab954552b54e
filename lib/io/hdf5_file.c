/* A file driver for libhdf5 that reads from a stream, and the errors of libhdf5 as ours. */
#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "io/hdf5.h"
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

/* ---- one at a time, and silent ---- */

static pthread_mutex_t one_at_a_time;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_mutex(void)
{
    pthread_mutexattr_t nested;
    pthread_mutexattr_init(&nested);
    pthread_mutexattr_settype(&nested, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&one_at_a_time, &nested);
    pthread_mutexattr_destroy(&nested);
}

hdf5_quiet ndi_hdf5_enter(void)
{
    hdf5_quiet before = { 0 };
    pthread_once(&once, make_mutex);
    pthread_mutex_lock(&one_at_a_time);
    H5Eget_auto2(H5E_DEFAULT, &before.print, &before.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return before;
}

void ndi_hdf5_leave(hdf5_quiet before)
{
    H5Eset_auto2(H5E_DEFAULT, before.print, before.data);
    pthread_mutex_unlock(&one_at_a_time);
}

static herr_t keep_first(unsigned n, const H5E_error2_t *e, void *line)
{
    if (n == 0 && e->desc) ndi_format(line, 160, "%s", e->desc);
    return 0;
}

nd_status ndi_hdf5_fail(const hdf5_file *f, const char *what)
{
    char line[160] = "it is damaged";
    if (f->status != ND_OK) return f->status; /* with its message */
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, line);
    return ndi_fail(ND_ERR_FORMAT, "%s: %s: libhdf5 says: %s", f->head.name, what, line);
}

/* ---- the driver ---- */

typedef struct driver {
    H5FD_t head;
    hdf5_file *f;
    haddr_t end; /* of what libhdf5 has taken for itself */
} driver;

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t list, haddr_t most)
{
    (void)name;
    (void)flags;
    (void)most;
    hdf5_file *const *f = H5Pget_driver_info(list);
    driver *d = NULL;
    if (!f) return NULL;
    (*f)->status = NEW(d, 1);
    if (d) d->f = *f;
    return (H5FD_t *)d;
}

static herr_t driver_close(H5FD_t *d)
{
    ndi_free(d);
    return 0;
}

static herr_t driver_query(const H5FD_t *d, unsigned long *flags)
{
    (void)d;
    *flags = H5FD_FEAT_DATA_SIEVE;
    return 0;
}

static haddr_t driver_get_end(const H5FD_t *d, H5FD_mem_t type)
{
    (void)type;
    return ((const driver *)d)->end;
}

static herr_t driver_set_end(H5FD_t *d, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    ((driver *)d)->end = end;
    return 0;
}

static haddr_t driver_size(const H5FD_t *d, H5FD_mem_t type)
{
    (void)type;
    uint64_t size;
    return ndi_stream_size(((const driver *)d)->f->in, &size) == ND_OK ? (haddr_t)size : HADDR_UNDEF;
}

/* A heap of strings: 4 bytes of mark, 4 others, its size; then objects of number, count of references, 4 bytes, size, data filled up to 8 bytes. Object 0
 * is what is free, header included. libhdf5 1.10 walks it without end where an object of a damaged heap has no size. */
static bool is_sound_heap(const hdf5_file *f, const uint8_t *bytes, size_t n)
{
    const size_t head = 8 + f->length_size;
    if (f->length_size != 8 || n < 16 || memcmp(bytes, "GCOL", 4) != 0) return f->length_size == 8;
    const uint64_t size = ndi_le64(bytes + 8);
    if (size > n) return true; /* it is read once more as a whole */
    for (uint64_t at = 16, need; at + head <= size; at += need) {
        const uint64_t object = ndi_le64(bytes + at + 8), left = size - at;
        if (object > left) return false;
        need = ndi_le16(bytes + at) ? head + (object + 7) / 8 * 8 : object;
        if (need < head || need > left) return false;
    }
    return true;
}

static herr_t driver_read(H5FD_t *d, H5FD_mem_t type, hid_t list, haddr_t at, size_t n, void *buffer)
{
    (void)list;
    hdf5_file *f = ((driver *)d)->f;
    nd_status status = ndi_stream_read(f->in, at, buffer, n);
    if (status == ND_OK && type == H5FD_MEM_GHEAP && !is_sound_heap(f, buffer, n))
        status = ndi_fail(ND_ERR_FORMAT, "%s: a heap at %llu is damaged", f->head.name, (unsigned long long)at);
    if (status != ND_OK) f->status = status;
    return status == ND_OK ? 0 : -1;
}

static herr_t driver_write(H5FD_t *d, H5FD_mem_t type, hid_t list, haddr_t at, size_t n, const void *buffer)
{
    (void)d;
    (void)type;
    (void)list;
    (void)at;
    (void)n;
    (void)buffer;
    return -1;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* of the range for drivers that are not registered */
#endif
    .name = "neurodecode_stream",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(hdf5_file *),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_end,
    .set_eoa = driver_set_end,
    .get_eof = driver_size,
    .read = driver_read,
    .write = driver_write,
    .fl_map = H5FD_FLMAP_SINGLE,
};

/* ---- the file ---- */

static nd_status read_nothing(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    (void)s;
    (void)at;
    (void)buffer;
    (void)n;
    *got = 0;
    return ND_OK;
}

static nd_status no_size(stream *s, uint64_t *size)
{
    (void)s;
    *size = 0;
    return ND_OK;
}

static void close_file(stream *s)
{
    hdf5_file *f = (hdf5_file *)s;
    hdf5_quiet before = ndi_hdf5_enter();
    if (f->open >= 0) H5Dclose(f->open);
    if (f->id >= 0) H5Fclose(f->id);
    if (f->driver >= 0) H5FDunregister(f->driver); /* libhdf5 asks the driver to the very end */
    ndi_hdf5_leave(before);
    ndi_free(f->window);
    if (!f->unpacked) return;
    ndi_stream_close(f->in);
    ndi_free(f->unpacked);
}

static const stream_kind file_kind = { .read = read_nothing, .size = no_size, .close = close_file };

/* libhdf5 jumps about in a file; a packed stream would be unpacked from the start for each jump. */
static nd_status unpack(hdf5_file *f)
{
    static const uint64_t most = (uint64_t)1 << 30;
    uint64_t size;
    stream *packed = f->in;
    void *bytes;
    TRY(ndi_stream_size(packed, &size));
    CHECK(size <= most, ND_ERR_UNSUPPORTED, "%s: %llu bytes in a packed file, expected at most %llu: unpack it first", f->head.name,
          (unsigned long long)size, (unsigned long long)most);
    bytes = ndi_alloc((size_t)size, 1);
    CHECK(bytes, ND_ERR_MEMORY, "%s: out of memory for %llu bytes", f->head.name, (unsigned long long)size);
    nd_status status = ndi_stream_read(packed, 0, bytes, (size_t)size);
    if (status == ND_OK) status = ndi_stream_open_memory(&f->in, bytes, (size_t)size, f->head.name);
    if (status == ND_OK)
        f->unpacked = bytes;
    else
        ndi_free(bytes);
    return status;
}

static nd_status read_sizes(hdf5_file *f)
{
    size_t address_size;
    const hid_t plan = H5Fget_create_plist(f->id);
    const bool known = plan >= 0 && H5Pget_sizes(plan, &address_size, &f->length_size) >= 0;
    if (plan >= 0) H5Pclose(plan);
    return known ? ND_OK : ndi_hdf5_fail(f, "has no superblock");
}

static nd_status open_in_driver(hdf5_file *f)
{
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    f->driver = H5FDregister(&driver_class);
    if (list >= 0) H5Pset_cache(list, 0, 1021, NDI_HDF5_CHUNKS, 1.0); /* fewer would be unpacked again for every window */
    if (f->driver >= 0 && list >= 0 && H5Pset_driver(list, f->driver, &f) >= 0) f->id = H5Fopen(f->head.name, H5F_ACC_RDONLY, list);
    nd_status status = f->id >= 0 ? read_sizes(f) : ndi_hdf5_fail(f, "cannot be opened");
    if (list >= 0) H5Pclose(list);
    return status;
}

nd_status ndi_hdf5_open(content *c, stream *in, hdf5_file **f)
{
    stream *s;
    TRY(ndi_stream_new(&s, sizeof(hdf5_file), &file_kind, ndi_stream_name(in), false));
    *f = (hdf5_file *)s;
    (*f)->in = in;
    (*f)->id = (*f)->open = (*f)->driver = -1;
    TRY(ndi_content_add_stream(c, s));
    if (!ndi_stream_concurrent(in)) TRY(unpack(*f));
    hdf5_quiet before = ndi_hdf5_enter();
    nd_status status = open_in_driver(*f);
    ndi_hdf5_leave(before);
    return status;
}
