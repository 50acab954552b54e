/* Ridge regression from all samples of a trial to its embedding: the linear baseline. With features standardised to mean 0 and population deviation 1 on the training trials and targets centred,
 *   W = (X'X + penalty I)^-1 X'Z   (primal, features x features)   =   X' (XX' + penalty I)^-1 Z   (dual, trials x trials, where trials are fewer).
 * Standardisation and centring are folded into the weights, so that the graph is one linear layer. Everything is solved in double precision from blocks of trials; X is never held whole.
 *
 * Without a penalty it is chosen by cross-validation over concepts: the one of 13 with the least squared error, from 1/1000 to 1000 times the mean diagonal of the matrix. Beyond 2000 rows
 * of that matrix a single fold of five is held out instead of each in turn. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "encoders/encoder.h"
#include "math/gemm.h"
#include "math/linalg.h"
#include "nn/ops.h"

static const param params[] = {
    /* name                 whole  default reference min max */
    { "penalty",            false, 0, 0, 0, 1e30, "added to the diagonal of X'X; 0 = chosen by cross-validation" },
    { "penalty_per_feature", false, 0, 0, 0, 1e30, "the same, times the number of features" },
    { "standardise",        true,  1, 1, 0, 1,    "1 = each feature has mean 0 and deviation 1 on the training trials; 0 = mean 0 only" },
};

enum { ROWS = 256, FOLDS = 5, GRID = 13, MANY = 2000 };

static void build(graph *g, const spec *s, int x) { ndi_linear(g, ndi_flatten(g, x, false), "linear", s->dim); }

/* The problem while it is solved: n trials, p features, D outputs, m = min(n, p) unknown rows. */
typedef struct ridge {
    const fit_data *data;
    size_t n, p, D, m;
    bool dual;
    double *mean, *scale;   /* p: features become (x - mean) scale */
    double *z_mean;         /* D */
    double *left, *right;   /* m x m and m x D: XX' and Z, or X'X and X'Z */
    double *block, *other;  /* ROWS x p: trials in double */
    float *x;               /* ROWS x p as read */
    double *z;              /* ROWS x D */
} ridge;

typedef struct load_job {
    const ridge *r;
    size_t first;
    double *to;
} load_job;

static void load_row(void *context, size_t task, size_t worker)
{
    (void)worker;
    const load_job *j = context;
    const ridge *r = j->r;
    float *x = r->x + task * r->p;
    double *to = j->to + task * r->p;
    ndi_dataset_read(r->data->dataset, r->data->trials[j->first + task], x);
    for (size_t k = 0; k < r->p; k++) to[k] = ((double)x[k] - r->mean[k]) * r->scale[k];
}

static size_t load_rows(const ridge *r, size_t first, double *to)
{
    size_t count = r->n - first < ROWS ? r->n - first : ROWS;
    load_job j = { r, first, to };
    ndi_pool_run(r->data->threads, count, load_row, &j);
    return count;
}

static void load_targets(const ridge *r, size_t first, size_t count, double *to)
{
    for (size_t i = 0; i < count; i++)
        for (size_t d = 0; d < r->D; d++) to[i * r->D + d] = (double)r->data->targets[first + i][d] - r->z_mean[d];
}

static void feature_moments(ridge *r, bool standardise)
{
    for (size_t k = 0; k < r->p; k++) r->scale[k] = 1;
    for (size_t i = 0; i < r->n; i += ROWS) {
        size_t count = load_rows(r, i, r->block);
        for (size_t row = 0; row < count; row++)
            for (size_t k = 0; k < r->p; k++) r->right[k] += r->block[row * r->p + k];
    }
    for (size_t k = 0; k < r->p; k++) {
        r->mean[k] = r->right[k] / (double)r->n;
        r->right[k] = 0;
    }
    if (!standardise) return;
    for (size_t i = 0; i < r->n; i += ROWS) {
        size_t count = load_rows(r, i, r->block);
        for (size_t row = 0; row < count; row++)
            for (size_t k = 0; k < r->p; k++) r->right[k] += r->block[row * r->p + k] * r->block[row * r->p + k];
    }
    for (size_t k = 0; k < r->p; k++) {
        double deviation = sqrt(r->right[k] / (double)r->n);
        r->scale[k] = deviation > 1e-12 * (1 + fabs(r->mean[k])) ? 1 / deviation : 0;
        r->right[k] = 0;
    }
}

/* XX' by pairs of blocks (both triangles), Z beside it. */
static nd_status accumulate_dual(ridge *r)
{
    load_targets(r, 0, r->n, r->right);
    for (size_t i = 0; i < r->n; i += ROWS) {
        size_t rows = load_rows(r, i, r->block);
        for (size_t j = 0; j <= i; j += ROWS) {
            size_t cols = i == j ? rows : load_rows(r, j, r->other);
            const double *b = i == j ? r->block : r->other;
            ndi_gemm_parallel_f64(r->data->threads, false, true, rows, cols, r->p, 1, r->block, r->p, b, r->p, 0, r->left + i * r->n + j, r->n);
        }
        TRY(ndi_progress_at(r->data->progress, i));
    }
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = i + 1; j < r->n; j++) r->left[i * r->n + j] = r->left[j * r->n + i];
    return ND_OK;
}

/* Adds the block's share of X'X and X'Z. */
static void add_primal(const ridge *r, const double *x, const double *z, size_t rows, double *left, double *right)
{
    ndi_gemm_parallel_f64(r->data->threads, true, false, r->p, r->p, rows, 1, x, r->p, x, r->p, 1, left, r->p);
    ndi_gemm_parallel_f64(r->data->threads, true, false, r->p, r->D, rows, 1, x, r->p, z, r->D, 1, right, r->D);
}

static nd_status accumulate_primal(ridge *r)
{
    for (size_t i = 0; i < r->n; i += ROWS) {
        size_t rows = load_rows(r, i, r->block);
        load_targets(r, i, rows, r->z);
        add_primal(r, r->block, r->z, rows, r->left, r->right);
        TRY(ndi_progress_at(r->data->progress, i));
    }
    return ND_OK;
}

/* Fold of each trial: whole concepts, or trials where concepts are few. */
static nd_status make_folds(const ridge *r, size_t *fold)
{
    size_t n_groups, *group = NULL, *order = NULL;
    const nd_dataset *d = r->data->dataset;
    size_t all = ndi_dataset_trials(d);
    nd_status status = NEW(group, all);
    if (status != ND_OK) return status;
    GO(ndi_dataset_groups(d, "concept", group, &n_groups));
    bool by_trial = n_groups < 2 * FOLDS;
    size_t n = by_trial ? all : n_groups;
    GO(NEW(order, n));
    ndi_permutation(order, n, 0, NDI_RANDOM_SPLIT, 1);
    for (size_t i = 0; i < r->n; i++) fold[i] = order[by_trial ? r->data->trials[i] : group[r->data->trials[i]]] % FOLDS;
done:
    ndi_free(group);
    ndi_free(order);
    return status;
}

/* Memory of one fold: the training matrix and its factor, and what is left out. */
typedef struct fold_space {
    double *left, *factor, *right, *solution, *held, *predicted;
    size_t *in, *out;
} fold_space;

static void free_fold_space(fold_space *f)
{
    double *parts[] = { f->left, f->factor, f->right, f->solution, f->held, f->predicted };
    for (size_t i = 0; i < COUNT(parts); i++) ndi_free(parts[i]);
    ndi_free(f->in);
    ndi_free(f->out);
}

static nd_status new_fold_space(const ridge *r, fold_space *f)
{
    TRY(NEW(f->left, r->m * r->m));
    TRY(NEW(f->factor, r->m * r->m));
    TRY(NEW(f->right, r->m * r->D));
    TRY(NEW(f->solution, r->m * r->D));
    if (r->dual) TRY(NEW(f->held, r->n * r->n));
    TRY(NEW(f->predicted, (r->dual ? r->n : ROWS) * r->D));
    TRY(NEW(f->in, r->n));
    return NEW(f->out, r->n);
}

/* The dual problem without one fold: rows and columns of XX' that stay, and the rows left out against the columns that stay. Returns how many stay. */
static size_t cut_dual(const ridge *r, const size_t *fold, size_t which, fold_space *f, size_t *n_out)
{
    size_t n_in = 0;
    *n_out = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (fold[i] == which)
            f->out[(*n_out)++] = i;
        else
            f->in[n_in++] = i;
    }
    for (size_t i = 0; i < n_in; i++) {
        for (size_t j = 0; j < n_in; j++) f->left[i * n_in + j] = r->left[f->in[i] * r->n + f->in[j]];
        memcpy(f->right + i * r->D, r->right + f->in[i] * r->D, r->D * sizeof *f->right);
    }
    for (size_t i = 0; i < *n_out; i++)
        for (size_t j = 0; j < n_in; j++) f->held[i * n_in + j] = r->left[f->out[i] * r->n + f->in[j]];
    return n_in;
}

static void solve_with(const ridge *r, const fold_space *f, size_t m, double penalty, nd_status *status)
{
    memcpy(f->factor, f->left, m * m * sizeof *f->factor);
    memcpy(f->solution, f->right, m * r->D * sizeof *f->solution);
    for (size_t i = 0; i < m; i++) f->factor[i * m + i] += penalty;
    *status = ndi_cholesky(r->data->threads, f->factor, m);
    if (*status == ND_OK) ndi_cholesky_solve(r->data->threads, f->factor, m, f->solution, r->D);
}

static double squared_error(const double *predicted, const double *target, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (predicted[i] - target[i]) * (predicted[i] - target[i]);
    return sum;
}

static nd_status score_dual(const ridge *r, const size_t *fold, size_t which, fold_space *f, const double *grid, double *errors)
{
    size_t n_out, n_in = cut_dual(r, fold, which, f, &n_out);
    for (size_t g = 0; g < GRID && n_in && n_out; g++) {
        nd_status status;
        solve_with(r, f, n_in, grid[g], &status);
        TRY(status);
        ndi_gemm_parallel_f64(r->data->threads, false, false, n_out, r->D, n_in, 1, f->held, n_in, f->solution, r->D, 0, f->predicted, r->D);
        for (size_t i = 0; i < n_out; i++) errors[g] += squared_error(f->predicted + i * r->D, r->right + f->out[i] * r->D, r->D);
        TRY(ndi_progress_at(r->data->progress, r->n));
    }
    return ND_OK;
}

/* Rows of the block that belong to the fold, moved to its front. */
static size_t keep_fold(const ridge *r, const size_t *fold, size_t which, size_t first, size_t rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows; i++) {
        if (fold[first + i] != which) continue;
        memmove(r->block + kept * r->p, r->block + i * r->p, r->p * sizeof *r->block);
        memmove(r->z + kept * r->D, r->z + i * r->D, r->D * sizeof *r->z);
        kept++;
    }
    return kept;
}

static size_t load_fold(const ridge *r, const size_t *fold, size_t which, size_t first)
{
    size_t rows = load_rows(r, first, r->block);
    load_targets(r, first, rows, r->z);
    return keep_fold(r, fold, which, first, rows);
}

static nd_status score_primal(const ridge *r, const size_t *fold, size_t which, fold_space *f, const double *grid, double *errors)
{
    memset(f->left, 0, r->p * r->p * sizeof *f->left);
    memset(f->right, 0, r->p * r->D * sizeof *f->right);
    for (size_t i = 0; i < r->n; i += ROWS) add_primal(r, r->block, r->z, load_fold(r, fold, which, i), f->left, f->right);
    for (size_t i = 0; i < r->p * r->p; i++) f->left[i] = r->left[i] - f->left[i];
    for (size_t i = 0; i < r->p * r->D; i++) f->right[i] = r->right[i] - f->right[i];
    for (size_t g = 0; g < GRID; g++) {
        nd_status status;
        solve_with(r, f, r->p, grid[g], &status);
        TRY(status);
        for (size_t i = 0; i < r->n; i += ROWS) {
            size_t rows = load_fold(r, fold, which, i);
            ndi_gemm_parallel_f64(r->data->threads, false, false, rows, r->D, r->p, 1, r->block, r->p, f->solution, r->D, 0, f->predicted, r->D);
            errors[g] += squared_error(f->predicted, r->z, rows * r->D);
        }
        TRY(ndi_progress_at(r->data->progress, r->n));
    }
    return ND_OK;
}

static nd_status choose_penalty(const ridge *r, double *penalty)
{
    fold_space f = { 0 };
    size_t *fold = NULL;
    double grid[GRID], errors[GRID] = { 0 }, diagonal = 0;
    nd_status status = NEW(fold, r->n);
    if (status != ND_OK) return status;
    GO(new_fold_space(r, &f));
    GO(make_folds(r, fold));
    for (size_t i = 0; i < r->m; i++) diagonal += r->left[i * r->m + i] / (double)r->m;
    for (size_t g = 0; g < GRID; g++) grid[g] = (diagonal > 0 ? diagonal : 1) * pow(10, -3 + 0.5 * (double)g);
    for (size_t k = 0; k < (r->m > MANY ? 1 : FOLDS); k++) GO(r->dual ? score_dual(r, fold, k, &f, grid, errors) : score_primal(r, fold, k, &f, grid, errors));
    size_t best = 0;
    for (size_t g = 1; g < GRID; g++)
        if (errors[g] < errors[best]) best = g;
    *penalty = grid[best];
done:
    free_fold_space(&f);
    ndi_free(fold);
    return status;
}

/* W (p x D) from the solution: itself, or X' times it. */
static void primal_weights(ridge *r, double *weights)
{
    if (!r->dual) {
        memcpy(weights, r->right, r->p * r->D * sizeof *weights);
        return;
    }
    for (size_t i = 0; i < r->n; i += ROWS) {
        size_t rows = load_rows(r, i, r->block);
        ndi_gemm_parallel_f64(r->data->threads, true, false, r->p, r->D, rows, 1, r->block, r->p, r->right + i * r->D, r->D, 1, weights, r->D);
    }
}

/* Folds mean and scale of the features and the mean of the targets into w (D x p) and b (D). */
static void fold_in(const ridge *r, const double *weights, float *w, float *b)
{
    for (size_t d = 0; d < r->D; d++) {
        double bias = r->z_mean[d];
        for (size_t k = 0; k < r->p; k++) {
            double value = weights[k * r->D + d] * r->scale[k];
            w[d * r->p + k] = (float)value;
            bias -= value * r->mean[k];
        }
        b[d] = (float)bias;
    }
}

static void free_ridge(ridge *r)
{
    double *parts[] = { r->mean, r->scale, r->z_mean, r->left, r->right, r->block, r->other, r->z };
    for (size_t i = 0; i < COUNT(parts); i++) ndi_free(parts[i]);
    ndi_free(r->x);
}

static nd_status new_ridge(ridge *r)
{
    size_t rows = r->n < ROWS ? r->n : ROWS;
    TRY(NEW(r->mean, r->p));
    TRY(NEW(r->scale, r->p));
    TRY(NEW(r->z_mean, r->D));
    TRY(NEW(r->left, r->m * r->m));
    TRY(NEW(r->right, r->m * r->D + r->p));
    TRY(NEW(r->block, rows * r->p));
    if (r->dual && r->n > ROWS) TRY(NEW(r->other, rows * r->p));
    TRY(NEW(r->z, rows * r->D));
    return NEW(r->x, rows * r->p);
}

static nd_status solve(ridge *r, const spec *s, double *penalty)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t d = 0; d < r->D; d++) r->z_mean[d] += (double)r->data->targets[i][d] / (double)r->n;
    feature_moments(r, ndi_get(s, "standardise") > 0);
    TRY(r->dual ? accumulate_dual(r) : accumulate_primal(r));
    *penalty = ndi_get(s, "penalty") + ndi_get(s, "penalty_per_feature") * (double)r->p;
    if (*penalty <= 0) TRY(choose_penalty(r, penalty));
    for (size_t i = 0; i < r->m; i++) r->left[i * r->m + i] += *penalty;
    TRY(ndi_prefix(ndi_cholesky(r->data->threads, r->left, r->m), "ridge: penalty %g", *penalty));
    ndi_cholesky_solve(r->data->threads, r->left, r->m, r->right, r->D);
    return ND_OK;
}

static nd_status fit(nd_encoder *e, const fit_data *data)
{
    ridge r = { .data = data, .n = data->n, .p = e->s.channels * e->s.samples, .D = e->s.dim };
    double penalty, *weights = NULL;
    CHECK(r.n > 1, ND_ERR_ARGUMENT, "ridge: %zu trials to fit on, expected at least 2", r.n);
    r.dual = r.n < r.p;
    r.m = r.dual ? r.n : r.p;
    nd_status status = new_ridge(&r);
    if (status != ND_OK) goto done;
    GO(solve(&r, &e->s, &penalty));
    GO(NEW(weights, r.p * r.D));
    primal_weights(&r, weights);
    fold_in(&r, weights, ndi_encoder_values(e, &e->g->tensors[0]), ndi_encoder_values(e, &e->g->tensors[1]));
    ndi_encoder_changed(e);
    status = ndi_encoder_set_meta(e, "penalty", json_real(penalty));
done:
    free_ridge(&r);
    ndi_free(weights);
    return status;
}

const encoder_kind ndi_encoder_ridge = {
    "ridge", "ridge regression: the linear baseline, in closed form", "Hoerl and Kennard, Technometrics 1970", params, COUNT(params), "linear.bias", build, fit,
};
