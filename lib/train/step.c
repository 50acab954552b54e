/* Running a training: one step, the end of an epoch, the whole of it. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "train/optimiser.h"
#include "train/trainer.h"

static const double min_log_scale = 0, max_log_scale = 4.605170185988092; /* temperature 1 to 1/100, as CLIP holds it */

typedef struct gather_job {
    nd_trainer *t;
    const size_t *trials;
    size_t size, dim;
} gather_job;

static void gather_trial(void *context, size_t task, size_t worker)
{
    (void)worker;
    const gather_job *j = context;
    nd_trainer *t = j->t;
    ndi_dataset_read(t->dataset, j->trials[task], t->x + task * j->size);
    t->subjects[task] = ndi_encoder_subject(t->encoder, ndi_dataset_subject_of(t->dataset, j->trials[task]));
    t->images[task] = t->rows[j->trials[task]];
    memcpy(t->z + task * j->dim, ndi_bank_vectors(t->bank, 0) + t->images[task] * j->dim, j->dim * sizeof *t->z);
}

static void gather(nd_trainer *t, const size_t *trials, size_t n)
{
    gather_job j = { t, trials, t->encoder->s.channels * t->encoder->s.samples, t->encoder->s.dim };
    ndi_pool_run(t->threads, n, gather_trial, &j);
}

static loss_call loss_of_batch(nd_trainer *t, const pass *p, float *grad_v)
{
    loss_call c = { .n = p->B, .dim = t->encoder->s.dim, .v = ndi_output(p), .z = t->z, .images = t->images, .scale = exp(t->at.log_scale), .bias = t->loss->bias, .grad_v = grad_v };
    t->loss->kind->evaluate(&t->loss->options, t->space, &c);
    return c;
}

static const size_t *batch_trials(nd_trainer *t)
{
    uint64_t epoch = (uint64_t)t->at.epoch;
    if (t->order_epoch != epoch + 1) {
        ndi_permutation(t->order, t->n_train, t->o.seed, NDI_RANDOM_SHUFFLE, (uint32_t)epoch);
        for (size_t i = 0; i < t->n_train; i++) t->order[i] = t->train[t->order[i]];
        t->order_epoch = epoch + 1;
    }
    return t->order + (size_t)t->at.step_in_epoch * t->o.batch_size;
}

/* AdamW on the scale alone, without decay. */
static void update_scale(nd_trainer *t, double grad, double rate)
{
    numbers *a = &t->at;
    double n = a->step + 1;
    a->log_scale_m = t->o.beta1 * a->log_scale_m + (1 - t->o.beta1) * grad;
    a->log_scale_v = t->o.beta2 * a->log_scale_v + (1 - t->o.beta2) * grad * grad;
    double m = a->log_scale_m / (1 - pow(t->o.beta1, n)), v = a->log_scale_v / (1 - pow(t->o.beta2, n));
    a->log_scale -= rate * m / (sqrt(v) + t->o.epsilon);
    a->log_scale = a->log_scale < min_log_scale ? min_log_scale : a->log_scale > max_log_scale ? max_log_scale : a->log_scale;
    t->loss->log_scale = a->log_scale;
}

/* Forward, loss, backward, clip, update. Parameters and running statistics change only once loss and gradient are known to be finite. */
static nd_status train_batch(nd_trainer *t, double *loss)
{
    nd_encoder *e = t->encoder;
    size_t n_params = e->g->n_params;
    gather(t, batch_trials(t), t->o.batch_size);
    memcpy(t->new_state, e->state, e->g->n_state * sizeof *e->state);
    pass p = { .w = t->w, .B = t->o.batch_size, .training = true, .seed = t->o.seed, .step = (uint32_t)(uint64_t)t->at.step, .x = t->x, .subjects = t->subjects, .params = e->params, .state = e->state,
               .new_state = t->new_state, .grads = t->grads };
    ndi_forward(&p);
    loss_call c = loss_of_batch(t, &p, ndi_output_grad(&p));
    CHECK(isfinite(c.value), ND_ERR_NUMERIC, "train: step %.0f: the loss is not finite", t->at.step + 1);
    ndi_backward(&p);
    double norm = ndi_norm(t->threads, t->grads, n_params, t->norm_blocks);
    CHECK(isfinite(norm), ND_ERR_NUMERIC, "train: step %.0f: the gradient is not finite", t->at.step + 1);
    double scale = t->o.clip_norm > 0 && norm > t->o.clip_norm ? t->o.clip_norm / (norm + 1e-6) : 1;
    adamw a = { ndi_trainer_rate(t), t->o.weight_decay, t->o.beta1, t->o.beta2, t->o.epsilon, (uint64_t)t->at.step + 1 };
    ndi_adamw(t->threads, &a, (float)scale, t->grads, e->params, t->m, t->v, n_params);
    memcpy(e->state, t->new_state, e->g->n_state * sizeof *e->state);
    if (t->loss->options.learn_temperature) update_scale(t, c.grad_log_scale, a.learning_rate);
    *loss = c.value;
    return ND_OK;
}

/* Mean of the losses of the validation batches, in evaluation mode. */
static double validate(nd_trainer *t)
{
    size_t batches = 0;
    double sum = 0;
    for (size_t first = 0; first < t->n_validation; first += t->o.validation_batch, batches++) {
        size_t n = t->n_validation - first < t->o.validation_batch ? t->n_validation - first : t->o.validation_batch;
        gather(t, t->validation + first, n);
        pass p = { .w = t->w, .B = n, .x = t->x, .subjects = t->subjects, .params = t->encoder->params, .state = t->encoder->state };
        ndi_forward(&p);
        sum += loss_of_batch(t, &p, NULL).value;
    }
    return sum / (double)batches;
}

static void keep_best(nd_trainer *t)
{
    const graph *g = t->encoder->g;
    memcpy(t->best_params, t->encoder->params, g->n_params * sizeof *t->best_params);
    memcpy(t->best_state, t->encoder->state, g->n_state * sizeof *t->best_state);
    t->at.best_epoch = t->at.epoch;
    t->at.best_validation_loss = t->at.validation_loss;
    t->at.best_log_scale = t->at.log_scale;
}

static void end_epoch(nd_trainer *t)
{
    numbers *a = &t->at;
    a->epoch++;
    a->step_in_epoch = 0;
    a->train_loss = a->epoch_loss / (double)t->steps_per_epoch;
    a->epoch_loss = 0;
    a->validation_loss = t->n_validation ? validate(t) : NAN;
    bool better = t->n_validation == 0 || a->best_epoch == 0 || isnan(a->best_validation_loss) || a->validation_loss < a->best_validation_loss;
    a->stale_epochs = better ? 0 : a->stale_epochs + 1;
    a->plateau_stale = better ? 0 : a->plateau_stale + 1;
    if (better) keep_best(t);
    if (a->plateau_stale >= t->o.plateau_patience) {
        a->plateau_stale = 0;
        a->plateaus++;
    }
    bool stopped = t->o.patience > 0 && a->stale_epochs >= t->o.patience;
    a->finished = stopped || a->epoch >= t->o.epochs;
}

nd_status ndi_trainer_step(nd_trainer *t, double *loss)
{
    double value = 0;
    CHECK(!t->encoder->s.kind->fit, ND_ERR_STATE, "train: encoder %s has a closed form; there are no steps, only a run", t->encoder->s.kind->name);
    CHECK(t->at.finished == 0, ND_ERR_STATE, "train: finished after %.0f epochs", t->at.epoch);
    uint32_t before = ndi_fp_begin();
    nd_status status = train_batch(t, &value);
    if (status == ND_OK) {
        t->at.epoch_loss += value;
        t->at.step++;
        if (++t->at.step_in_epoch == (double)t->steps_per_epoch) end_epoch(t);
    }
    ndi_fp_end(before);
    if (status == ND_OK && loss) *loss = value;
    return status;
}

nd_status ndi_trainer_take_best(nd_trainer *t)
{
    if (t->encoder->s.kind->fit) return ND_OK;
    CHECK(t->at.best_epoch > 0, ND_ERR_STATE, "train: no epoch is finished yet");
    const graph *g = t->encoder->g;
    memcpy(t->encoder->params, t->best_params, g->n_params * sizeof *t->best_params);
    memcpy(t->encoder->state, t->best_state, g->n_state * sizeof *t->best_state);
    t->loss->log_scale = t->at.best_log_scale;
    return ND_OK;
}

static json_t *number_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* What a saved encoder says of its training. */
static nd_status record(nd_trainer *t)
{
    char hash[24], seed[24];
    ndi_format(seed, sizeof seed, "%llu", (unsigned long long)t->o.seed);
    ndi_format(hash, sizeof hash, "%016llx", (unsigned long long)ndi_bank_hash(t->bank));
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:s, s:f}", "bank", ndi_bank_layer_name(t->bank, 0), "bank_hash", hash, "n_train",
                          (json_int_t)t->n_train, "n_validation", (json_int_t)t->n_validation, "epochs", (json_int_t)t->at.epoch, "best_epoch", (json_int_t)t->at.best_epoch, "split",
                          t->o.split_by_image ? "image" : "concept", "validation_loss", number_or_null(t->at.best_validation_loss), "train_loss", number_or_null(t->at.train_loss),
                          "seed", seed, "temperature", exp(-t->at.best_log_scale));
    return ndi_encoder_set_meta(t->encoder, "training", o);
}

static nd_status fit(nd_trainer *t, progress *p)
{
    size_t dim = t->encoder->s.dim;
    const float **targets;
    TRY(NEW(targets, t->n_train + 1));
    for (size_t i = 0; i < t->n_train; i++) targets[i] = ndi_bank_vectors(t->bank, 0) + t->rows[t->train[i]] * dim;
    fit_data data = { t->dataset, t->train, t->n_train, targets, t->threads, p };
    nd_status status = t->encoder->s.kind->fit(t->encoder, &data);
    ndi_free(targets);
    if (status == ND_OK) t->at.finished = 1;
    return status;
}

static nd_status tell(nd_trainer *t, progress *p)
{
    p->report.epoch = (uint64_t)t->at.epoch + (t->at.step_in_epoch > 0);
    p->report.n_epochs = t->o.epochs;
    p->report.train_loss = t->at.step_in_epoch > 0 ? t->at.epoch_loss / t->at.step_in_epoch : t->at.train_loss;
    p->report.validation_loss = t->at.validation_loss;
    p->report.learning_rate = ndi_trainer_rate(t);
    p->report.temperature = exp(-t->at.log_scale);
    if (t->at.finished > 0) p->report.total = (uint64_t)t->at.step; /* stopped early */
    if (t->at.step_in_epoch == 0) p->last = -1e9;                   /* every epoch is told */
    return ndi_progress_at(p, (uint64_t)t->at.step);
}

static nd_status steps(nd_trainer *t, progress *p)
{
    while (t->at.finished == 0) {
        TRY(ndi_trainer_step(t, NULL));
        bool due = t->at.step_in_epoch == 0 && (t->at.finished > 0 || (uint64_t)t->at.epoch % t->o.checkpoint_every == 0);
        if (due && t->o.checkpoint) TRY(ndi_trainer_save(t, t->o.checkpoint));
        nd_status status = tell(t, p);
        if (status == ND_ERR_CANCELLED && t->o.checkpoint && !due) TRY(ndi_trainer_save(t, t->o.checkpoint));
        if (status == ND_ERR_CANCELLED) return ndi_fail(ND_ERR_CANCELLED, "train: cancelled by the caller");
        TRY(status);
    }
    return ndi_trainer_take_best(t);
}

nd_status ndi_trainer_run(nd_trainer *t, nd_progress_fn fn, void *user)
{
    progress p;
    bool closed_form = t->encoder->s.kind->fit != NULL;
    if (closed_form)
        ndi_progress_begin(&p, fn, user, "fit", "trials", 0, t->n_train);
    else
        ndi_progress_begin(&p, fn, user, "train", "steps", (uint64_t)t->at.step, t->o.epochs * t->steps_per_epoch);
    TRY(closed_form ? fit(t, &p) : steps(t, &p));
    return record(t);
}
