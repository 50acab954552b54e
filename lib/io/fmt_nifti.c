/* NIfTI-1 and NIfTI-2 (https://nifti.nimh.nih.gov: nifti1.h, nifti2.h), single files (.nii) and pairs (.hdr with .img), both byte orders: a header of
 * fixed places, then the values with the first index fastest. They become the array "data"; where its voxels stand, the time between volumes and
 * the scaling become metadata. Slope 0 (or not a number) means that values are not scaled. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "io/format.h"
#include "io/json.h"

enum { BYTES_1 = 348, BYTES_2 = 540, DIMS = 7, MAGIC_1 = 344, MAGIC_2 = 4, SPACE_UNITS = 7, TIME_UNITS = 0x38 };

/* Place and size of each number in both versions. */
typedef enum field { DIM, DATATYPE, PIXDIM, OFFSET, SLOPE, INTERCEPT, UNITS, QFORM, SFORM, QUATERN, QSHIFT, SROW, INTENT, INTENT_P, FIELDS } field;

typedef enum number { I16, I32, I64, F32, F64, U8 } number;

static const struct {
    uint16_t at;
    uint8_t type;
} places[2][FIELDS] = {
    { [DIM] = { 40, I16 },
      [DATATYPE] = { 70, I16 },
      [PIXDIM] = { 76, F32 },
      [OFFSET] = { 108, F32 },
      [SLOPE] = { 112, F32 },
      [INTERCEPT] = { 116, F32 },
      [UNITS] = { 123, U8 },
      [QFORM] = { 252, I16 },
      [SFORM] = { 254, I16 },
      [QUATERN] = { 256, F32 },
      [QSHIFT] = { 268, F32 },
      [SROW] = { 280, F32 },
      [INTENT] = { 68, I16 },
      [INTENT_P] = { 56, F32 } },
    { [DIM] = { 16, I64 },
      [DATATYPE] = { 12, I16 },
      [PIXDIM] = { 104, F64 },
      [OFFSET] = { 168, I64 },
      [SLOPE] = { 176, F64 },
      [INTERCEPT] = { 184, F64 },
      [UNITS] = { 500, I32 },
      [QFORM] = { 344, I32 },
      [SFORM] = { 348, I32 },
      [QUATERN] = { 352, F64 },
      [QSHIFT] = { 376, F64 },
      [SROW] = { 400, F64 },
      [INTENT] = { 504, I32 },
      [INTENT_P] = { 80, F64 } },
};
static const struct {
    uint16_t at, n;
} intent_name[2] = { { 328, 16 }, { 508, 16 } }, description[2] = { { 148, 80 }, { 240, 80 } };

typedef struct header {
    const char *file;
    uint8_t bytes[BYTES_2];
    int version; /* 0 = NIfTI-1, 1 = NIfTI-2 */
    bool big_endian, pair;
    size_t n_dims;
} header;

/* ---- numbers of the header ---- */

static uint64_t raw(const header *h, size_t at, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++) v |= (uint64_t)h->bytes[at + (h->big_endian ? size - 1 - i : i)] << 8 * i;
    return v;
}

/* Entry `index` of a field. Whole numbers of 64 bits lose their last digits beyond 2^53, more than any file has bytes. */
static double get(const header *h, field which, size_t index)
{
    static const uint8_t sizes[] = { [I16] = 2, [I32] = 4, [I64] = 8, [F32] = 4, [F64] = 8, [U8] = 1 };
    const number type = places[h->version][which].type;
    const uint64_t bits = raw(h, places[h->version][which].at + index * sizes[type], sizes[type]);
    const uint32_t low = (uint32_t)bits;
    float single;
    double x;
    switch (type) {
    case I16: return (int16_t)bits;
    case I32: return (int32_t)bits;
    case I64: return (double)(int64_t)bits;
    case F32: memcpy(&single, &low, sizeof single); return (double)single;
    case F64: memcpy(&x, &bits, sizeof x); return x;
    default: return (double)bits;
    }
}

/* ---- recognising ---- */

/* 0 or 1 for the version, -1 for none. */
static int version_of(const uint8_t *head, size_t n, bool *big_endian)
{
    if (n < BYTES_1) return -1;
    const uint32_t size = ndi_le32(head), swapped = __builtin_bswap32(size);
    *big_endian = swapped == BYTES_1 || swapped == BYTES_2;
    if (size != BYTES_1 && size != BYTES_2 && !*big_endian) return -1;
    return (*big_endian ? swapped : size) == BYTES_2;
}

static bool has_magic(const uint8_t *head, int version, bool *pair)
{
    const uint8_t *magic = head + (version ? MAGIC_2 : MAGIC_1);
    *pair = magic[1] == 'i';
    return magic[0] == 'n' && (magic[1] == '+' || *pair) && magic[2] == '1' + version && magic[3] == 0 &&
           (!version || memcmp(magic + 4, "\r\n\032\n", 4) == 0);
}

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    bool big_endian, pair;
    const int version = version_of(head, n, &big_endian);
    if (version >= 0 && has_magic(head, version, &pair)) return 100;
    if (version == 0 && strcmp(extension, "hdr") == 0) return 40; /* Analyze 7.5, to be refused by name */
    return strcmp(extension, "img") == 0 ? 10 : 0;                /* the values of a pair */
}

/* ---- reading ---- */

static nd_status read_header(header *h, stream *s)
{
    size_t got;
    h->file = ndi_stream_name(s);
    TRY(ndi_stream_read_some(s, 0, h->bytes, BYTES_2, &got));
    h->version = version_of(h->bytes, got, &h->big_endian);
    CHECK(h->version >= 0 && got >= (h->version ? BYTES_2 : BYTES_1), ND_ERR_FORMAT,
          "%s: header: got %zu bytes that are none, expected %d or %d of NIfTI", h->file, got, BYTES_1, BYTES_2);
    CHECK(has_magic(h->bytes, h->version, &h->pair), ND_ERR_UNSUPPORTED,
          "%s: is of Analyze 7.5, expected NIfTI: it does not say where its voxels are", h->file);
    return ND_OK;
}

static nd_status read_shape(header *h, array *a)
{
    const double n = get(h, DIM, 0);
    CHECK(n >= 1 && n <= DIMS, ND_ERR_FORMAT, "%s: header: dim[0]: got %g, expected 1 to %d dimensions", h->file, n, DIMS);
    h->n_dims = a->n_dims = (size_t)n;
    for (size_t i = 0; i < a->n_dims; i++) {
        const double extent = get(h, DIM, i + 1);
        CHECK(extent >= 1 && extent < 0x1p53, ND_ERR_FORMAT, "%s: header: dim[%zu]: got %g, expected at least 1", h->file, i + 1, extent);
        a->shape[i] = (size_t)extent;
    }
    return ND_OK;
}

static nd_status read_type(const header *h, array *a)
{
    static const struct {
        int code;
        dtype type;
    } types[] = { { 2, DTYPE_U8 },   { 4, DTYPE_I16 },   { 8, DTYPE_I32 },   { 16, DTYPE_F32 },   { 32, DTYPE_C64 },   { 64, DTYPE_F64 },
                  { 256, DTYPE_I8 }, { 512, DTYPE_U16 }, { 768, DTYPE_U32 }, { 1024, DTYPE_I64 }, { 1280, DTYPE_U64 }, { 1792, DTYPE_C128 } };
    const int code = (int)get(h, DATATYPE, 0);
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].code == code) {
            a->type = types[i].type;
            return ND_OK;
        }
    const char *name = code == 1 ? " (bits)" : code == 128 || code == 2304 ? " (colours)" : code == 1536 || code == 2048 ? " (128-bit floats)" : "";
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: header: datatype: got %d%s, expected integers, float32, float64 or complex numbers", h->file, code,
                    name);
}

static nd_status read_scaling(const header *h, array *a)
{
    const double slope = get(h, SLOPE, 0), intercept = get(h, INTERCEPT, 0);
    if (!isfinite(slope) || slope == 0) return ND_OK;
    CHECK(isfinite(intercept), ND_ERR_FORMAT, "%s: header: scl_inter: got %g with scl_slope %g, expected a number", h->file, intercept, slope);
    a->scaled = slope != 1 || intercept != 0;
    a->slope = slope;
    a->intercept = intercept;
    return ND_OK;
}

/* Where the values begin: in a file of its own from 0, else behind the header. */
static nd_status read_offset(const header *h, array *a)
{
    const double at = get(h, OFFSET, 0), least = h->pair ? 0 : h->version ? BYTES_2 + 4 : BYTES_1 + 4;
    CHECK(at == 0 || (at >= least && at < 0x1p63 && at == floor(at)), ND_ERR_FORMAT,
          "%s: header: vox_offset: got %g, expected a whole number from %g", h->file, at, least);
    a->at = (uint64_t)(at == 0 ? least : at);
    return ND_OK;
}

/* ---- metadata ---- */

static nd_status set_format(json_t *o, const char *key, const char *shape, ...) __attribute__((format(printf, 3, 4)));
static nd_status set_format(json_t *o, const char *key, const char *shape, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, shape);
    ndi_vformat(line, sizeof line, shape, arguments);
    va_end(arguments);
    return ndi_json_set(o, key, json_string(line));
}

/* A text of fixed width, if there is one. */
static nd_status set_text(json_t *o, content *c, const char *key, const header *h, size_t at, size_t n)
{
    const char *s;
    while (n > 0 && (h->bytes[at + n - 1] == ' ' || h->bytes[at + n - 1] == 0)) n--;
    if (n == 0 || h->bytes[at] == 0) return ND_OK;
    TRY(ndi_content_text(c, (const char *)h->bytes + at, n, &s));
    return ndi_json_set(o, key, json_string(s));
}

/* The rotation of a unit quaternion, method 2 of the header's description. */
static void from_quaternion(const header *h, double m[3][4])
{
    const double b = get(h, QUATERN, 0), c = get(h, QUATERN, 1), d = get(h, QUATERN, 2), rest = 1 - b * b - c * c - d * d,
                 a = rest > 0 ? sqrt(rest) : 0;
    const double rotation[3][3] = { { a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c) },
                                    { 2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b) },
                                    { 2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c } };
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) m[i][k] = rotation[i][k] * get(h, PIXDIM, k + 1) * (k == 2 && get(h, PIXDIM, 0) < 0 ? -1 : 1);
        m[i][3] = get(h, QSHIFT, i);
    }
}

/* Voxel indices to millimetres: sform, else qform, else voxel sizes around the middle of the image. */
static const char *find_affine(const header *h, double m[3][4])
{
    memset(m, 0, 12 * sizeof m[0][0]);
    if (get(h, SFORM, 0) > 0) {
        for (size_t i = 0; i < 12; i++) m[i / 4][i % 4] = get(h, SROW, i);
        return "sform";
    }
    if (get(h, QFORM, 0) > 0) {
        from_quaternion(h, m);
        return "qform";
    }
    for (size_t i = 0; i < 3; i++) {
        m[i][i] = get(h, PIXDIM, i + 1) * (i == 0 ? -1 : 1);
        m[i][3] = -m[i][i] * (i < h->n_dims ? get(h, DIM, i + 1) - 1 : 0) / 2;
    }
    return "voxel size";
}

static nd_status set_affine(json_t *o, const header *h)
{
    double m[3][4];
    text line = { 0 };
    TRY(ndi_json_set(o, "affine_from", json_string(find_affine(h, m))));
    for (size_t i = 0; i < 12; i++) ndi_text_add(&line, "%s%.9g", i == 0 ? "" : i % 4 ? " " : "  ", m[i / 4][i % 4] + 0.0); /* + 0: no "-0" */
    nd_status status = ndi_text_status(&line);
    if (status == ND_OK) status = ndi_json_set(o, "affine", json_string(line.s));
    ndi_text_free(&line);
    return status;
}

static nd_status set_space(json_t *o, const header *h)
{
    static const char *const units[] = { "m", "mm", "um" };
    const int unit = (int)get(h, UNITS, 0) & SPACE_UNITS;
    TRY(set_format(o, "voxel_size", "%.7g %.7g %.7g", get(h, PIXDIM, 1), get(h, PIXDIM, 2), get(h, PIXDIM, 3)));
    if (unit >= 1 && unit <= 3) TRY(ndi_json_set(o, "voxel_unit", json_string(units[unit - 1])));
    return set_affine(o, h);
}

/* Seconds from volume to volume; nothing where the fourth dimension is not time. */
static nd_status set_time(json_t *o, const header *h)
{
    const int unit = (int)get(h, UNITS, 0) & TIME_UNITS;
    const double divisor = unit == 0 || unit == 8 ? 1 : unit == 16 ? 1e3 : unit == 24 ? 1e6 : 0, step = h->n_dims >= 4 ? get(h, PIXDIM, 4) : 0;
    if (divisor == 0 || !(step > 0) || !isfinite(step)) return ND_OK;
    return set_format(o, "tr", "%.7g", step / divisor);
}

static nd_status set_intent(json_t *o, content *c, const header *h)
{
    const int code = (int)get(h, INTENT, 0), v = h->version;
    TRY(set_text(o, c, "description", h, description[v].at, description[v].n));
    TRY(set_text(o, c, "intent_name", h, intent_name[v].at, intent_name[v].n));
    if (code == 0) return ND_OK;
    TRY(set_format(o, "intent_parameters", "%.9g %.9g %.9g", get(h, INTENT_P, 0), get(h, INTENT_P, 1), get(h, INTENT_P, 2)));
    return set_format(o, "intent_code", "%d", code);
}

static nd_status fill_metadata(json_t *o, content *c, const header *h, const array *a)
{
    TRY(set_format(o, "version", "NIfTI-%d%s", h->version + 1, h->pair ? " pair" : ""));
    TRY(ndi_json_set(o, "byte_order", json_string(h->big_endian ? "big" : "little")));
    TRY(set_space(o, h));
    TRY(set_time(o, h));
    if (a->scaled) TRY(set_format(o, "scaling", "x %.9g + %.9g", a->slope, a->intercept));
    return set_intent(o, c, h);
}

static nd_status set_metadata(content *c, const header *h, const array *a)
{
    text t = { 0 };
    json_t *o = json_object();
    nd_status status = o ? fill_metadata(o, c, h, a) : ndi_fail(ND_ERR_MEMORY, "%s: out of memory", h->file);
    if (status == ND_OK) status = ndi_json_dump(o, &t);
    if (status == ND_OK) status = ndi_content_text(c, t.s, t.n, &c->metadata);
    ndi_text_free(&t);
    json_decref(o);
    return status;
}

/* ---- the whole ---- */

/* The file of a pair that has the same name but for "hdr" or "img" at its end, perhaps packed. */
static nd_status open_other(content *c, const stream *s, const char *ending, stream **other)
{
    static const char *const packed[] = { "", ".gz" };
    const char *name = ndi_stream_name(s), *end = name + strlen(name);
    if (end - name > 3 && memcmp(end - 3, ".gz", 3) == 0) end -= 3;
    CHECK(end - name > 4 && end[-4] == '.', ND_ERR_FORMAT, "%s: is half of a pair, expected a name that ends in .hdr or .img", name);
    nd_status status = ND_ERR_IO;
    for (size_t i = 0; status == ND_ERR_IO && i < COUNT(packed); i++) {
        text beside = { 0 };
        ndi_text_add(&beside, "%.*s%s%s", (int)(end - 3 - name), name, ending, packed[i]);
        status = ndi_text_status(&beside);
        if (status == ND_OK) status = ndi_stream_open_beside(other, s, beside.s, beside.n);
        ndi_text_free(&beside);
    }
    TRY(status);
    return ndi_content_add_stream(c, *other);
}

static nd_status read(content *c, stream *s)
{
    header h = { 0 };
    stream *head = s;
    bool big_endian;
    uint8_t start[BYTES_1];
    size_t got;
    TRY(ndi_stream_read_some(s, 0, start, sizeof start, &got));
    if (version_of(start, got, &big_endian) < 0) TRY(open_other(c, s, "hdr", &head));
    TRY(read_header(&h, head));
    array a = { .name = "data", .fortran = true, .big_endian = h.big_endian, .in = s };
    TRY(read_shape(&h, &a));
    TRY(read_type(&h, &a));
    TRY(read_scaling(&h, &a));
    TRY(read_offset(&h, &a));
    if (h.pair && head == s) TRY(open_other(c, s, "img", &a.in));
    TRY(ndi_content_add_array(c, &a));
    return set_metadata(c, &h, &a);
}

const format ndi_format_nifti = { "nifti", "NIfTI-1 and NIfTI-2 images", "nii hdr img", probe, read, NULL };
