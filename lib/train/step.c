/* Running a training: one step, the end of an epoch, the whole of it. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "io/json.h"
#include "train/batch.h"
#include "train/trainer.h"

static const double min_log_scale = 0, max_log_scale = 4.605170185988092; /* temperature 1 to 1/100, as CLIP holds it */

/* ---- a batch ---- */

/* One pass of each network over the batch. */
static void forward(nd_trainer *t, batch b, bool training, pass passes[NETWORKS])
{
    size_t n = b.n;
    ndi_gather(t, b, training);
    bool mixed = training && t->mixed;
    if (mixed) ndi_augment_mix(&t->augment, t->threads, (uint32_t)(uint64_t)t->at.step, n, t->x, t->mixed, t->partner, t->share);
    const float *inputs[NETWORKS] = { mixed ? t->mixed : t->x, t->z };
    const int32_t *subjects[NETWORKS] = { t->subjects, NULL };
    for (size_t i = 0; i < t->n_networks; i++) {
        network *net = &t->networks[i];
        passes[i] =
            training ? ndi_network_train(net, n, inputs[i], subjects[i], (uint64_t)t->at.step) : ndi_network_validate(net, n, inputs[i], subjects[i]);
        ndi_forward(&passes[i]);
    }
}

static loss_call loss_of_batch(nd_trainer *t, const pass passes[NETWORKS])
{
    const pass *brain = &passes[BRAIN], *projector = t->projector ? &passes[PROJECTOR] : NULL;
    loss_call c = { .n = brain->B,
                    .dim = t->encoder->s.dim,
                    .v = ndi_output(brain),
                    .z = projector ? ndi_output(projector) : t->z,
                    .images = t->images,
                    .scale = exp(t->at.log_scale.value),
                    .bias = t->at.bias.value };
    if (brain->training) {
        c.partner = t->partner;
        c.share = t->share;
        c.grad_v = ndi_output_grad(brain);
        c.grad_z = projector ? ndi_output_grad(projector) : NULL;
    }
    t->loss->kind->evaluate(&t->loss->options, t->space, &c);
    return c;
}

/* ---- steps ---- */

static batch next_batch(nd_trainer *t)
{
    uint64_t epoch = (uint64_t)t->at.epoch;
    if (t->order_epoch != epoch + 1) {
        ndi_permutation(t->order, t->n_train, t->o.seed, NDI_RANDOM_SHUFFLE, (uint32_t)epoch);
        for (size_t i = 0; i < t->n_train; i++) t->order[i] = t->train[t->order[i]];
        t->order_epoch = epoch + 1;
    }
    size_t done = (size_t)t->at.step_in_epoch * t->o.batch_size;
    return (batch){ t->order + done, t->o.batch_size, t->n_train - done };
}

/* Temperature and bias follow the optimiser without decay or clipping. */
static void learn(nd_trainer *t, const rule *r, const loss_call *c)
{
    learned *scale = &t->at.log_scale, *bias = &t->at.bias;
    r->kind->number(r, c->grad_log_scale, &scale->value, scale->moments);
    scale->value = scale->value < min_log_scale ? min_log_scale : scale->value > max_log_scale ? max_log_scale : scale->value;
    if (t->loss->kind->biased) r->kind->number(r, c->grad_bias, &bias->value, bias->moments);
    t->loss->log_scale = scale->value;
    t->loss->bias = bias->value;
}

/* The averages follow faster at first, so that the initial weights are soon forgotten. */
static double ema_decay(double most, double step) { return most < (1 + step) / (10 + step) ? most : (1 + step) / (10 + step); }

/* Forward, loss, backward, clip, update. Parameters and running statistics change only once loss and gradient are known to be finite. */
static nd_status train_batch(nd_trainer *t, double *loss)
{
    pass passes[NETWORKS];
    forward(t, next_batch(t), true, passes);
    loss_call c = loss_of_batch(t, passes);
    CHECK(isfinite(c.value), ND_ERR_NUMERIC, "train: step %.0f: the loss is not finite", t->at.step + 1);
    double squares = 0;
    for (size_t i = 0; i < t->n_networks; i++) {
        ndi_backward(&passes[i]);
        squares += ndi_network_squares(&t->networks[i], &passes[i]);
    }
    double norm = sqrt(squares), scale = t->o.clip_norm > 0 && norm > t->o.clip_norm ? t->o.clip_norm / (norm + 1e-6) : 1;
    CHECK(isfinite(norm), ND_ERR_NUMERIC, "train: step %.0f: the gradient is not finite", t->at.step + 1);
    rule r = { .kind = t->optimiser,
               .learning_rate = ndi_trainer_rate(t),
               .weight_decay = t->o.weight_decay,
               .beta1 = t->o.beta1,
               .beta2 = t->o.beta2,
               .epsilon = t->o.epsilon,
               .momentum = t->o.momentum,
               .nesterov = t->o.nesterov != 0,
               .step = (uint64_t)t->at.step + 1 };
    for (size_t i = 0; i < t->n_networks; i++)
        ndi_network_update(&t->networks[i], &passes[i], &r, (float)scale, ema_decay(t->o.ema_decay, t->at.step + 1));
    if (t->loss->options.learn_temperature) learn(t, &r, &c);
    *loss = c.value;
    return ND_OK;
}

/* ---- epochs ---- */

/* Mean of the losses of the validation batches, in evaluation mode. */
static double validate(nd_trainer *t)
{
    size_t batches = 0;
    double sum = 0;
    for (size_t first = 0; first < t->n_validation; first += t->o.validation_batch, batches++) {
        size_t left = t->n_validation - first;
        pass passes[NETWORKS];
        forward(t, (batch){ t->validation + first, left < t->o.validation_batch ? left : t->o.validation_batch, left }, false, passes);
        sum += loss_of_batch(t, passes).value;
    }
    return sum / (double)batches;
}

static void keep_best(nd_trainer *t)
{
    for (size_t i = 0; i < t->n_networks; i++) ndi_network_keep_best(&t->networks[i]);
    t->at.best_epoch = t->at.epoch;
    t->at.best_validation_loss = t->at.validation_loss;
    t->at.log_scale.best = t->at.log_scale.value;
    t->at.bias.best = t->at.bias.value;
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
    for (size_t i = 0; i < t->n_networks; i++) ndi_network_take_best(&t->networks[i]);
    t->loss->log_scale = t->at.log_scale.best;
    t->loss->bias = t->at.bias.best;
    return ND_OK;
}

/* ---- the whole ---- */

static json_t *number_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* What a saved encoder says of its training: the choices that differ from the default only where they do. `other` was trained with it, as its `role`; NULL = none. */
static nd_status record(const nd_trainer *t, nd_encoder *e, const char *role, const nd_encoder *other)
{
    const nd_train_options *o = &t->o;
    char hash[24], seed[24], decay[32];
    ndi_format(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    ndi_format(hash, sizeof hash, "%016llx", (unsigned long long)ndi_bank_hash(t->bank));
    ndi_format(decay, sizeof decay, "%.17g", o->ema_decay);
    json_t *about =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:s, s:f, s:s*, s:s*, s:s*, s:s*}", "bank", ndi_bank_layer_name(t->bank, 0),
                  "bank_hash", hash, "n_train", (json_int_t)t->n_train, "n_validation", (json_int_t)t->n_validation, "epochs",
                  (json_int_t)t->at.epoch, "best_epoch", (json_int_t)t->at.best_epoch, "split", o->split_by_image ? "image" : "concept",
                  "validation_loss", number_or_null(t->at.best_validation_loss), "train_loss", number_or_null(t->at.train_loss), "seed", seed,
                  "temperature", exp(-t->at.log_scale.best), "optimiser", o->optimiser == ND_OPTIMISER_ADAMW ? NULL : t->optimiser->name, "no_decay",
                  o->no_decay, "ema_decay", o->ema_decay > 0 ? decay : NULL, "augment", o->augment);
    if (about && other) {
        nd_status status = ndi_json_set(about, role, json_pack("{s:s, s:s}", "encoder", other->s.kind->name, "params", other->params_text));
        if (status != ND_OK) {
            json_decref(about);
            return status;
        }
    }
    return ndi_encoder_set_meta(e, "training", about);
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
    p->report.temperature = exp(-t->at.log_scale.value);
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
    TRY(record(t, t->encoder, "projector", t->projector));
    return t->projector ? record(t, t->projector, "projector_of", t->encoder) : ND_OK;
}
