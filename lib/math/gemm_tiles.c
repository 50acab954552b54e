/* Matrix products in single precision on the tiles of tile.h. No sum depends on how C is cut into tasks; a task goes through the inner side in blocks, copies a strip of B, which may have to be
 * turned, into a panel in the second cache, and multiplies it by all its rows of A, which are read where they are unless they have to be turned too. A few rows repay no copies. */
#include "math/gemm_tiles.h"

#include <string.h>

#include "math/tile.h"

enum {
    FEW = 32,
    FEW_TURNED = 8,
    ROWS = 256,
    DEPTH = 256,
    STRIP = 64,
    WIDE = 512,
    ENOUGH_TASKS = 4 /* a thread */,
    LINE = 16 /* floats in a cache line */,
    FAR = 1 << 20
};

/* How a product is cut. */
typedef struct cut {
    const gemm *g;
    size_t columns; /* of a task */
} cut;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t parts(size_t n, size_t each) { return (n + each - 1) / each; }

static const float *a_at(const gemm *g, size_t i, size_t l) { return g->a + (g->ta ? l * g->lda + i : i * g->lda + l); }
static const float *b_at(const gemm *g, size_t l, size_t j) { return g->b + (g->tb ? j * g->ldb + l : l * g->ldb + j); }

/* C = beta C */
static void scale(float beta, size_t m, size_t n, float *c, size_t ldc)
{
    for (size_t i = 0; i < m && beta != 1; i++, c += ldc)
        for (size_t j = 0; j < n; j++) c[j] = beta == 0 ? 0 : c[j] * beta;
}

/* ---- many rows ---- */

/* alpha times a strip of B, `depth` x n, in rows of STRIP, with zeros up to the next whole tile. */
static void copy_strip(const gemm *g, size_t l, size_t depth, size_t j, size_t n, float *strip)
{
    size_t end = parts(n, NDI_TILE_COLUMNS) * NDI_TILE_COLUMNS;
    if (g->tb)
        ndi_tile->turn(b_at(g, l, j), g->ldb, n, depth, strip, STRIP);
    else
        ndi_tile->copy(b_at(g, l, j), g->ldb, depth, n, g->alpha, strip, STRIP);
    if (g->tb && g->alpha != 1) ndi_tile->copy(strip, STRIP, depth, n, g->alpha, strip, STRIP);
    for (size_t r = 0; r < depth && n < end; r++) memset(strip + r * STRIP + n, 0, (end - n) * sizeof *strip);
}

/* The last columns, fewer than a tile, by way of whole ones. */
static void multiply_rest(product p, size_t rest)
{
    float c[ROWS * NDI_TILE_COLUMNS] = { 0 }, *out = p.c;
    size_t out_row = p.c_row;
    for (size_t i = 0; i < p.m && p.add; i++) memcpy(c + i * NDI_TILE_COLUMNS, out + i * out_row, rest * sizeof *c);
    p.n = p.c_row = NDI_TILE_COLUMNS;
    p.c = c;
    ndi_tile->product(&p);
    for (size_t i = 0; i < p.m; i++) memcpy(out + i * out_row, c + i * NDI_TILE_COLUMNS, rest * sizeof *c);
}

/* Lines that come next. */
typedef struct lines {
    const char *at[DEPTH * (STRIP / LINE)];
    size_t n;
} lines;

static void multiply_strip(product p, size_t n)
{
    size_t rest = n % NDI_TILE_COLUMNS;
    p.n = n - rest;
    if (p.n) ndi_tile->product(&p);
    p.b += p.n;
    p.c += p.n;
    if (rest) multiply_rest(p, rest);
}

/* Those of a strip of B that no cache holds. */
static void find_strip(const gemm *g, size_t l, size_t depth, size_t j, size_t n, lines *found)
{
    size_t rows = g->tb ? n : depth, length = g->tb ? depth : n;
    found->n = 0;
    for (size_t r = 0; r < rows && g->k * g->n >= FAR; r++)
        for (size_t t = 0; t < length; t += LINE) found->at[found->n++] = (const char *)(b_at(g, l, j) + r * g->ldb + t);
}

static void run_copied(const gemm *g, size_t i, size_t m, size_t first, size_t n)
{
    lines next;
    float turned[ROWS * DEPTH], strip[DEPTH * STRIP];
    if (g->beta != 0) scale(g->beta, m, n, g->c + i * g->ldc + first, g->ldc);
    for (size_t l = 0; l < g->k; l += DEPTH) {
        size_t depth = least(g->k - l, DEPTH);
        if (g->ta) ndi_tile->copy(a_at(g, i, l), g->lda, depth, m, 1, turned, m);
        for (size_t j = first; j < first + n; j += STRIP) {
            size_t columns = least(first + n - j, STRIP);
            copy_strip(g, l, depth, j, columns, strip);
            if (j + STRIP < first + n)
                find_strip(g, l, depth, j + STRIP, least(first + n - j - STRIP, STRIP), &next);
            else
                find_strip(g, l + depth, least(g->k - l - depth, DEPTH), first, least(n, STRIP), &next);
            multiply_strip((product){ .m = m,
                                      .k = depth,
                                      .a = g->ta ? turned : a_at(g, i, l),
                                      .a_row = g->ta ? 1 : g->lda,
                                      .a_step = g->ta ? m : 1,
                                      .b = strip,
                                      .b_row = STRIP,
                                      .c = g->c + i * g->ldc + j,
                                      .c_row = g->ldc,
                                      .add = l > 0 || g->beta != 0,
                                      .times = 1,
                                      .lines = next.at,
                                      .n_lines = next.n },
                           columns);
        }
    }
}

/* ---- a few rows ---- */

static bool reads_in_place(const gemm *g) { return g->alpha == 1 && (g->tb ? g->m <= FEW_TURNED && !g->ta : g->m <= FEW); }

static void dots_in_place(const gemm *g, size_t j, size_t n)
{
    float *c = g->c + j;
    size_t rest = g->k % NDI_TILE_RUN, run = g->k - rest;
    dots d = { .m = g->m, .n = n, .steps = 1, .run = run, .x = g->a, .x_row = g->lda, .y = b_at(g, 0, j), .y_row = g->ldb, .c_row = g->ldc };
    scale(g->beta, g->m, n, c, g->ldc);
    ndi_tile->dots(&d, c);
    for (size_t i = 0; i < g->m && rest; i++)
        for (size_t r = 0; r < n; r++)
            for (size_t l = run; l < g->k; l++) c[i * g->ldc + r] += g->a[i * g->lda + l] * d.y[r * g->ldb + l];
}

static void product_in_place(const gemm *g, size_t j, size_t n)
{
    if (g->beta != 0) scale(g->beta, g->m, n, g->c + j, g->ldc);
    const product p = { .m = g->m,
                        .n = n,
                        .k = g->k,
                        .a = g->a,
                        .a_row = g->ta ? 1 : g->lda,
                        .a_step = g->ta ? g->lda : 1,
                        .b = b_at(g, 0, j),
                        .b_row = g->ldb,
                        .c = g->c + j,
                        .c_row = g->ldc,
                        .add = g->beta != 0,
                        .times = 1 };
    ndi_tile->product(&p);
}

static void run_in_place(const gemm *g, size_t j, size_t n)
{
    size_t rest = n % NDI_TILE_COLUMNS;
    if (g->tb) {
        dots_in_place(g, j, n);
        return;
    }
    if (n > rest) product_in_place(g, j, n - rest);
    if (rest) run_copied(g, 0, g->m, j + n - rest, rest);
}

/* ---- tasks ---- */

/* Wide tasks read whole stretches of the rows of B, read A less often and turn it less often: as wide as leaves enough tasks for all threads. No sum depends on the cut. */
static cut cut_of(const gemm *g, size_t threads)
{
    cut c = { g, WIDE };
    while (c.columns > STRIP && parts(g->m, ROWS) * parts(g->n, c.columns) < ENOUGH_TASKS * threads) c.columns /= 2;
    return c;
}

/* Tasks of the same columns follow each other: they find these columns of B in the cache. */
static size_t tasks_down(const cut *c) { return parts(c->g->m, ROWS); }
static size_t tasks(const cut *c) { return tasks_down(c) * parts(c->g->n, c->columns); }

static void run_task(void *context, size_t task, size_t worker)
{
    (void)worker;
    const cut *c = context;
    const gemm *g = c->g;
    size_t i = task % tasks_down(c) * ROWS, j = task / tasks_down(c) * c->columns;
    size_t m = least(g->m - i, ROWS), n = least(g->n - j, c->columns);
    if (g->k == 0)
        scale(g->beta, m, n, g->c + i * g->ldc + j, g->ldc);
    else if (reads_in_place(g))
        run_in_place(g, j, n);
    else
        run_copied(g, i, m, j, n);
}

void ndi_gemm_tiles(pool *threads, const gemm *g)
{
    cut c = cut_of(g, ndi_pool_threads(threads));
    if (threads)
        ndi_pool_run(threads, tasks(&c), run_task, &c);
    else
        for (size_t task = 0; task < tasks(&c); task++) run_task(&c, task, 0);
}

/* ---- products that are not stored ---- */

enum { PANEL = 256, HANDED_ROWS = 24, ROWS_OF_PANEL = 512, MOST_LINES = HANDED_ROWS * NDI_ALONG * PANEL / LINE };

typedef struct handing {
    size_t m, n, k;
    const float *a, *b;
    const product_taker *taker;
} handing;

/* A block of C: some of its rows, as many columns as a panel has. */
typedef struct handed {
    size_t row, rows, column, columns;
    float turned[NDI_SHORT * HANDED_ROWS], c[HANDED_ROWS * PANEL]; /* of A; the block */
    const char *lines[MOST_LINES];                                 /* that taking it will touch */
    size_t n_lines;
} handed;

static void find_lines(const handing *h, handed *b)
{
    b->n_lines = 0;
    for (size_t r = 0; r < b->rows; r++)
        for (size_t k = 0; k < NDI_ALONG && h->taker->along[k]; k++)
            for (size_t j = 0; j < b->columns; j += LINE)
                b->lines[b->n_lines++] = (const char *)(h->taker->along[k] + (b->row + r) * h->n + b->column + j);
}

/* The panel: strips of B one after the other. */
static void multiply_panel(const handing *h, handed *b, const float *panel)
{
    size_t strips = parts(b->columns, STRIP);
    ndi_tile->copy(h->a + b->row, h->m, h->k, b->rows, 1, b->turned, HANDED_ROWS);
    for (size_t s = 0; s < strips; s++) {
        size_t from = s * b->n_lines / strips, to = (s + 1) * b->n_lines / strips;
        const product p = { .m = b->rows,
                            .n = parts(least(b->columns - s * STRIP, STRIP), NDI_TILE_COLUMNS) * NDI_TILE_COLUMNS,
                            .k = h->k,
                            .a = b->turned,
                            .a_row = 1,
                            .a_step = HANDED_ROWS,
                            .b = panel + s * STRIP * h->k,
                            .b_row = STRIP,
                            .c = b->c + s * STRIP,
                            .c_row = PANEL,
                            .times = 1,
                            .lines = b->lines + from,
                            .n_lines = to - from };
        ndi_tile->product(&p);
    }
}

/* B's columns are copied once for many rows of C. Tasks of the same rows follow each other: they find the pages of what is gone along with. */
static void hand_over(void *context, size_t task, size_t worker)
{
    (void)worker;
    const handing *h = context;
    float panel[NDI_SHORT * PANEL];
    size_t across = parts(h->n, PANEL), first = task / across * ROWS_OF_PANEL, end = least(first + ROWS_OF_PANEL, h->m);
    handed b = { .column = task % across * PANEL };
    b.columns = least(h->n - b.column, PANEL);
    gemm g = { .k = h->k, .ldb = h->n, .alpha = 1, .b = h->b };
    for (size_t j = 0; j < b.columns; j += STRIP) copy_strip(&g, 0, h->k, b.column + j, least(b.columns - j, STRIP), panel + j * h->k);
    for (b.row = first; b.row < end; b.row += HANDED_ROWS) {
        b.rows = least(end - b.row, HANDED_ROWS);
        find_lines(h, &b);
        multiply_panel(h, &b, panel);
        for (size_t r = 0; r < b.rows; r++) h->taker->take(h->taker->context, (b.row + r) * h->n + b.column, b.c + r * PANEL, b.columns);
    }
}

void ndi_hand_over_product(pool *threads, size_t m, size_t n, size_t k, const float *a, const float *b, const product_taker *taker)
{
    handing h = { m, n, k, a, b, taker };
    ndi_pool_run(threads, parts(m, ROWS_OF_PANEL) * parts(n, PANEL), hand_over, &h);
}
