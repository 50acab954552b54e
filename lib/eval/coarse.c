#include "eval/coarse.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "math/codes.h"
#include "math/vec.h"

enum { LEAST_CANDIDATES = 1024, LARGEST_CODE = 127, OFFSET = 128, PIECE = 256 };

struct coarse {
    size_t n_panels, dim, steps;
    uint8_t *panels; /* as in codes.h, one after the other */
    float *scale;    /* per candidate */
    float *error;    /* per panel: the largest length of what a candidate lost */
    float worst;     /* of all panels */
};

struct coarse_queries {
    int8_t *vectors;
    int32_t *start;
    float *scale, *error;
};

/* x = scale code, nearly; returns the scale. `lost` is the length of the difference. */
static float encode(const float *x, size_t n, int8_t *code, float *lost)
{
    const float rounder = 0x1.8p23f; /* added and taken away again, it leaves a whole number */
    float largest = 0, rest[PIECE];
    double squares = 0;
    for (size_t i = 0; i < n; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    const float scale = largest / LARGEST_CODE, inverse = largest > 0x1p-100f ? LARGEST_CODE / largest : 0;
    for (size_t first = 0; first < n; first += PIECE) {
        const size_t count = n - first < PIECE ? n - first : PIECE;
        for (size_t i = 0; i < count; i++) {
            const float whole = (x[first + i] * inverse + rounder) - rounder;
            code[first + i] = (int8_t)(int32_t)whole;
            rest[i] = x[first + i] - scale * whole;
        }
        squares += ndi_dot_f64(rest, rest, count);
    }
    *lost = (float)sqrt(squares);
    return scale;
}

/* ---- the gallery ---- */

typedef struct packing {
    coarse *c;
    const float *gallery;
    size_t n;
    int8_t *code; /* per worker: one vector */
} packing;

/* The numbers of a candidate go to its column, four by four. */
static void put_column(const coarse *c, const int8_t *code, uint8_t *column)
{
    for (size_t i = 0; i < c->dim; i++)
        column[i / NDI_CODES_GROUP * ((size_t)NDI_CODES_COLUMNS * NDI_CODES_GROUP) + i % NDI_CODES_GROUP] = (uint8_t)(code[i] + OFFSET);
}

static void pack_panel(void *context, size_t panel, size_t worker)
{
    const packing *p = context;
    coarse *c = p->c;
    int8_t *code = p->code + worker * c->dim;
    const size_t first = panel * NDI_CODES_COLUMNS;
    for (size_t i = first; i < first + NDI_CODES_COLUMNS && i < p->n; i++) {
        float lost;
        c->scale[i] = encode(p->gallery + i * c->dim, c->dim, code, &lost);
        c->error[panel] = fmaxf(c->error[panel], lost);
        put_column(c, code, c->panels + first * c->steps * NDI_CODES_GROUP + (i - first) * NDI_CODES_GROUP);
    }
}

static nd_status pack(coarse *c, pool *threads, const float *gallery, size_t n)
{
    packing p = { .c = c, .gallery = gallery, .n = n };
    TRY(NEW(p.code, ndi_pool_threads(threads) * c->dim));
    ndi_pool_run(threads, c->n_panels, pack_panel, &p);
    ndi_free(p.code);
    for (size_t i = 0; i < c->n_panels; i++) c->worst = fmaxf(c->worst, c->error[i]);
    return ND_OK;
}

nd_status ndi_coarse_create(coarse **out, pool *threads, const float *gallery, size_t n, size_t dim)
{
    *out = NULL;
    if (!ndi_codes_product || n < LEAST_CANDIDATES || dim > NDI_CODES_MOST) return ND_OK;
    coarse *c;
    TRY(NEW(c, 1));
    c->n_panels = (n + NDI_CODES_COLUMNS - 1) / NDI_CODES_COLUMNS;
    c->dim = dim;
    c->steps = (dim + NDI_CODES_GROUP - 1) / NDI_CODES_GROUP;
    nd_status status;
    GO(NEW(c->panels, c->n_panels * NDI_CODES_COLUMNS * c->steps * NDI_CODES_GROUP));
    GO(NEW(c->scale, c->n_panels * NDI_CODES_COLUMNS));
    GO(NEW(c->error, c->n_panels));
    GO(pack(c, threads, gallery, n));
    *out = c;
    return ND_OK;
done:
    ndi_coarse_free(c);
    return status;
}

void ndi_coarse_free(coarse *c)
{
    if (!c) return;
    ndi_free(c->panels);
    ndi_free(c->scale);
    ndi_free(c->error);
    ndi_free(c);
}

/* ---- queries ---- */

nd_status ndi_coarse_queries_create(coarse_queries **out, const coarse *c, size_t most)
{
    coarse_queries *q;
    *out = NULL;
    TRY(NEW(q, 1));
    nd_status status;
    GO(NEW(q->vectors, most * c->steps * NDI_CODES_GROUP));
    GO(NEW(q->start, most));
    GO(NEW(q->scale, most));
    GO(NEW(q->error, most));
    *out = q;
    return ND_OK;
done:
    ndi_coarse_queries_free(q);
    return status;
}

void ndi_coarse_queries_free(coarse_queries *q)
{
    if (!q) return;
    ndi_free(q->vectors);
    ndi_free(q->start);
    ndi_free(q->scale);
    ndi_free(q->error);
    ndi_free(q);
}

/* With q = q' + e and g = g' + f, the score q' g' misses q g by e g + q' f: at most |e| |g| + |q'| |f|, |g| = 1 and |q'| <= 1 + |e|. The rest is rounding. */
void ndi_coarse_set(coarse_queries *q, const coarse *c, size_t row, const float *query)
{
    int8_t *code = q->vectors + row * c->steps * NDI_CODES_GROUP;
    float lost;
    int32_t sum = 0;
    q->scale[row] = encode(query, c->dim, code, &lost);
    for (size_t i = 0; i < c->dim; i++) sum += code[i];
    q->start[row] = -OFFSET * sum;
    q->error[row] = 1.0001f * (lost + (1 + lost) * c->worst) + 1e-6f;
}

float ndi_coarse_error(const coarse_queries *q, size_t row) { return q->error[row]; }

void ndi_coarse_scores(const coarse *c, const coarse_queries *q, size_t n_rows, size_t first, size_t count, float *scores, size_t scores_row)
{
    for (size_t i = first; i < first + count; i += NDI_CODES_COLUMNS)
        ndi_codes_product(&(codes){ .rows = n_rows,
                                    .steps = c->steps,
                                    .queries = q->vectors,
                                    .panel = c->panels + i * c->steps * NDI_CODES_GROUP,
                                    .start = q->start,
                                    .row_scale = q->scale,
                                    .column_scale = c->scale + i,
                                    .scores = scores + (i - first),
                                    .scores_row = scores_row });
}
