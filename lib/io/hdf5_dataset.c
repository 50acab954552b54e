/* Datasets of HDF5 as arrays. Numbers that lie in the file as they are are read, and mapped, in place. What is cut into chunks, filtered or compact is a
 * stream of its own that keeps a window of the dataset in memory. */
#include <string.h>

#include "io/hdf5.h"

/* ---- types ---- */

static bool float_type(hid_t type, size_t size, dtype *t)
{
    static const struct {
        dtype type;
        size_t size, sign, exponent, exponent_bits, mantissa_bits;
    } known[] = {
        { DTYPE_F16, 2, 15, 10, 5, 10 }, { DTYPE_BF16, 2, 15, 7, 8, 7 }, { DTYPE_F32, 4, 31, 23, 8, 23 }, { DTYPE_F64, 8, 63, 52, 11, 52 }
    };
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0 || mantissa != 0) return false;
    if (H5Tget_norm(type) != H5T_NORM_IMPLIED || H5Tget_ebias(type) != ((size_t)1 << (exponent_bits - 1)) - 1) return false;
    for (size_t i = 0; i < COUNT(known); i++) {
        if (known[i].size != size || known[i].sign != sign || known[i].exponent != exponent) continue;
        if (known[i].exponent_bits != exponent_bits || known[i].mantissa_bits != mantissa_bits) continue;
        *t = known[i].type;
        return true;
    }
    return false;
}

static bool integer_type(hid_t type, size_t size, bool has_sign, dtype *t)
{
    static const dtype with_sign[9] = { [1] = DTYPE_I8, [2] = DTYPE_I16, [4] = DTYPE_I32, [8] = DTYPE_I64 };
    static const dtype without[9] = { [1] = DTYPE_U8, [2] = DTYPE_U16, [4] = DTYPE_U32, [8] = DTYPE_U64 };
    if ((size != 1 && size != 2 && size != 4 && size != 8) || H5Tget_precision(type) != 8 * size || H5Tget_offset(type) != 0) return false;
    *t = has_sign ? with_sign[size] : without[size];
    return true;
}

/* Truth values as h5py writes them: FALSE = 0, TRUE = 1 in a byte. Other enumerations are whole numbers. */
static bool enum_type(hid_t type, dtype *t, bool *big_endian)
{
    int8_t value = 0;
    const hid_t base = H5Tget_super(type);
    const bool known = base >= 0 && ndi_hdf5_dtype(base, t, big_endian);
    if (base >= 0) H5Tclose(base);
    if (known && ndi_dtype_size(*t) == 1 && H5Tget_nmembers(type) == 2 && H5Tenum_valueof(type, "TRUE", &value) >= 0 && value == 1) *t = DTYPE_BOOL;
    return known;
}

/* Complex numbers: two members of the same type of float, with nothing between. */
static bool complex_type(hid_t type, size_t size, dtype *t, bool *big_endian)
{
    dtype halves[2] = { DTYPE_COUNT, DTYPE_COUNT };
    bool orders[2] = { false, false };
    if (H5Tget_nmembers(type) != 2) return false;
    for (unsigned i = 0; i < 2; i++) {
        const hid_t half = H5Tget_member_type(type, i);
        const bool known = half >= 0 && H5Tget_class(half) == H5T_FLOAT && ndi_hdf5_dtype(half, &halves[i], &orders[i]);
        if (half >= 0) H5Tclose(half);
        if (!known || H5Tget_member_offset(type, i) != i * size / 2) return false;
    }
    if (halves[0] != halves[1] || orders[0] != orders[1] || (halves[0] != DTYPE_F32 && halves[0] != DTYPE_F64)) return false;
    *t = halves[0] == DTYPE_F32 ? DTYPE_C64 : DTYPE_C128;
    *big_endian = orders[0];
    return size == ndi_dtype_size(*t);
}

bool ndi_hdf5_dtype(hid_t type, dtype *t, bool *big_endian)
{
    const size_t size = H5Tget_size(type);
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_ENUM) return enum_type(type, t, big_endian);
    if (class == H5T_COMPOUND) return complex_type(type, size, t, big_endian);
    if (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_BITFIELD) return false;
    const H5T_order_t order = H5Tget_order(type);
    *big_endian = order == H5T_ORDER_BE;
    if (order != H5T_ORDER_LE && order != H5T_ORDER_BE && size > 1) return false;
    return class == H5T_FLOAT ? float_type(type, size, t) : integer_type(type, size, class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2, t);
}

/* ---- a stream by way of libhdf5 ---- */

typedef struct data_stream {
    stream head;
    hdf5_file *f;
    haddr_t address;
    size_t n_dims, size; /* of an element */
    hsize_t shape[NDI_MAX_DIMS], n;
} data_stream;

/* The largest run of elements from `at` on that is one box and fits into the window: along one dimension, of whole rows of those after it. */
static hsize_t find_box(const data_stream *d, hsize_t at, hsize_t start[NDI_MAX_DIMS], hsize_t count[NDI_MAX_DIMS])
{
    const hsize_t most = NDI_HDF5_WINDOW / d->size;
    hsize_t run = 1, rest = at;
    size_t along = d->n_dims;
    for (size_t i = d->n_dims; i-- > 0; rest /= d->shape[i]) {
        start[i] = rest % d->shape[i];
        count[i] = 1;
    }
    while (along > 0 && run * d->shape[along - 1] <= most && start[along - 1] == 0) {
        along--;
        count[along] = d->shape[along];
        run *= d->shape[along];
    }
    if (along == 0) return run;
    const hsize_t left = d->shape[along - 1] - start[along - 1];
    count[along - 1] = left < most / run ? left : most / run;
    return run * count[along - 1];
}

/* Makes it the one dataset of the file that is open. */
static nd_status open_dataset(const data_stream *d)
{
    hdf5_file *f = d->f;
    if (!f->window) TRY(NEW(f->window, NDI_HDF5_WINDOW));
    if (f->open >= 0 && f->address == d->address) return ND_OK;
    if (f->open >= 0) H5Dclose(f->open);
    f->from = f->till = 0;
    f->address = d->address;
    f->open = H5Oopen_by_addr(f->id, d->address);
    return f->open >= 0 ? ND_OK : ndi_hdf5_fail(f, "a dataset cannot be opened");
}

static nd_status fill_window(const data_stream *d, hsize_t at)
{
    hdf5_file *f = d->f;
    hsize_t start[NDI_MAX_DIMS], count[NDI_MAX_DIMS], n = find_box(d, at, start, count);
    f->from = f->till = 0;
    const hid_t type = H5Dget_type(f->open), space = H5Dget_space(f->open), memory = H5Screate_simple(1, &n, NULL);
    bool good = type >= 0 && space >= 0 && memory >= 0 && H5Tget_size(type) == d->size;
    if (d->n_dims > 0) good = good && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
    good = good && H5Dread(f->open, type, memory, space, H5P_DEFAULT, f->window) >= 0;
    nd_status status = good ? ND_OK : ndi_hdf5_fail(f, "a dataset cannot be read");
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    if (good) {
        f->from = at;
        f->till = at + n;
    }
    return status;
}

static nd_status read_open(const data_stream *d, uint64_t at, void *buffer, size_t n, size_t *got)
{
    const hdf5_file *f = d->f;
    TRY(open_dataset(d));
    while (*got < n && at / d->size < d->n) {
        const hsize_t element = at / d->size;
        if (element < f->from || element >= f->till) TRY(fill_window(d, element));
        const uint64_t offset = at - f->from * d->size, left = (f->till - f->from) * d->size - offset;
        const size_t step = n - *got < left ? n - *got : (size_t)left;
        memcpy((char *)buffer + *got, f->window + offset, step);
        *got += step;
        at += step;
    }
    return ND_OK;
}

static nd_status dataset_read(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    hdf5_quiet before = ndi_hdf5_enter();
    nd_status status = read_open((data_stream *)s, at, buffer, n, got);
    ndi_hdf5_leave(before);
    return status;
}

static nd_status dataset_size(stream *s, uint64_t *size)
{
    const data_stream *d = (const data_stream *)s;
    *size = d->n * d->size;
    return ND_OK;
}

static void dataset_close(stream *s) { (void)s; }

static const stream_kind dataset_kind = { .read = dataset_read, .size = dataset_size, .close = dataset_close };

/* ---- arrays ---- */

/* Extents of a dataset. Elements are counted against overflow. */
static const char *find_shape(hid_t dataset, array *a)
{
    hsize_t shape[H5S_MAX_RANK];
    size_t bytes = ndi_dtype_size(a->type);
    const hid_t space = H5Dget_space(dataset);
    const H5S_class_t class = space >= 0 ? H5Sget_simple_extent_type(space) : H5S_NO_CLASS;
    const int n_dims = class == H5S_SCALAR || class == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, shape, NULL) : -1;
    if (space >= 0) H5Sclose(space);
    if (class == H5S_NULL) return "empty";
    if (n_dims < 0) return "of a damaged shape";
    if (n_dims > NDI_MAX_DIMS) return "of more than eight dimensions";
    a->n_dims = (size_t)n_dims;
    a->n = 1;
    for (size_t i = 0; i < a->n_dims; i++) {
        a->shape[i] = (size_t)shape[i];
        if (!ndi_mul(a->n, a->shape[i], &a->n) || !ndi_mul(bytes, a->shape[i], &bytes)) return "of a damaged shape";
    }
    return NULL;
}

static nd_status add_stream(content *c, hdf5_file *f, hid_t id, array *a)
{
    H5O_info_t info;
    CHECK(H5Oget_info(id, &info) >= 0, ND_ERR_FORMAT, "%s: a dataset without an address", f->head.name);
    TRY(ndi_stream_new(&a->in, sizeof(data_stream), &dataset_kind, f->head.name, false));
    data_stream *d = (data_stream *)a->in;
    d->f = f;
    d->address = info.addr;
    d->n_dims = a->n_dims;
    d->size = ndi_dtype_size(a->type);
    d->n = a->n;
    for (size_t i = 0; i < a->n_dims; i++) d->shape[i] = a->shape[i];
    return ndi_content_add_stream(c, a->in);
}

/* Other files than this one are never opened for what a file says. */
static nd_status place(content *c, hdf5_file *f, hid_t dataset, hid_t plan, array *a, const char **why)
{
    const H5D_layout_t layout = H5Pget_layout(plan);
    if (H5Pget_external_count(plan) != 0 || (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT)) {
        *why = "kept in other files";
        return ND_OK;
    }
    if (layout == H5D_COMPACT && H5Dget_storage_size(dataset) != a->n * ndi_dtype_size(a->type)) { /* libhdf5 1.10 would read outside of it */
        *why = "damaged";
        return ND_OK;
    }
    const haddr_t at = layout == H5D_CONTIGUOUS ? H5Dget_offset(dataset) : HADDR_UNDEF;
    if (at == HADDR_UNDEF) return add_stream(c, f, dataset, a);
    a->in = f->in;
    a->at = at;
    return ND_OK;
}

nd_status ndi_hdf5_array(content *c, hdf5_file *f, hid_t dataset, array *a, const char **why)
{
    nd_status status = ND_OK;
    *a = (array){ .name = "" };
    const hid_t type = H5Dget_type(dataset), plan = H5Dget_create_plist(dataset);
    if (type < 0 || plan < 0)
        status = ndi_hdf5_fail(f, "a dataset is damaged");
    else if (!ndi_hdf5_dtype(type, &a->type, &a->big_endian))
        *why = "of a type that is neither numbers nor text";
    else
        *why = find_shape(dataset, a);
    if (status == ND_OK && !*why) status = place(c, f, dataset, plan, a, why);
    if (type >= 0) H5Tclose(type);
    if (plan >= 0) H5Pclose(plan);
    return status;
}
