/* Evoked responses: six waves, each of four components. A component has a latency, a width, a scalp pattern and an amplitude that is linear in the
 * image's latent vector, so all of it is one matrix, response: (1 + directions) x (channels * samples), whose first row is what every image
 * evokes.
 *
 * Noise: each electrode has a source with a 1/f spectrum, a sum of leaky integrators with time constants a factor of four apart (Kellet's method);
 * a rhythm near 10 Hz has two sources at the back of the head. One matrix, mixing: channels x sources, gives the noise its correlation over the
 * scalp. */
#include "data/simulate_brain.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "data/electrodes.h"
#include "math/gemm.h"
#include "math/linalg.h"

enum {
    WAVES = 6,
    PER_WAVE = 4,
    COMPONENTS = WAVES * PER_WAVE,
    RESPONSE_ROWS = 1 + BRAIN_DIRECTIONS,
    POLES = 5,
    RHYTHMS = 2,
    MAX_CHANNELS = NDI_N_ELECTRODES
};

typedef struct wave {
    double latency, width; /* seconds */
    double size;
    double front; /* where its patterns are centred on the midline: degrees from the crown to the nose, negative = to the back */
    double side;  /* and how far to either side */
} wave;

static const wave waves[WAVES] = {
    { 0.075, 0.012, 0.6, -75, 15 }, { 0.110, 0.016, 1.0, -65, 35 }, { 0.165, 0.020, 1.2, -55, 50 },
    { 0.220, 0.028, 1.0, -60, 35 }, { 0.310, 0.045, 0.9, -45, 30 }, { 0.430, 0.080, 0.7, -30, 30 },
};

static const double RADIANS = 3.14159265358979323846 / 180;
static const double COMMON_SHARE = 0.35;  /* of the evoked power that is the same for all images */
static const double PATTERN_WIDTH = 0.55; /* of a scalp pattern, in head radii */
static const double PERSON_LATENCY = 0.006, COMPONENT_LATENCY = 0.008, PATTERN_JITTER = 12, GAIN_JITTER = 0.25, TUNING_JITTER = 0.3;
static const double RHYTHM_SHARE = 0.15, RHYTHM_FREQUENCY = 10, RHYTHM_SECONDS = 0.2;
static const double SENSOR_SHARE = 0.4,
                    NOISE_REACH = 0.6; /* of the 1/f noise that is each electrode's own; distance over which the rest is shared, in head radii */
static const double SHORTEST = 0.0016; /* seconds: time constant of the fastest leaky integrator */

struct brain {
    const world *w;
    uint32_t person;
    size_t channels, samples, sources; /* sources: channels and rhythms */
    double positions[MAX_CHANNELS][3];
    float *response;                                       /* RESPONSE_ROWS x channels * samples */
    float *mixing;                                         /* channels x sources */
    float decay[POLES], gain[POLES], start[POLES * POLES]; /* of the integrators; `start` turns normal numbers into a state of the running process */
    float turn_re, turn_im, drive;                         /* of the rhythm, per sample */
    float *latents, *evoked, *scratch;                     /* of a block of images; of each worker */
    size_t block_images, n_workers;
};

const char *ndi_brain_channel(const world *w, size_t channel) { return ndi_electrodes[NDI_N_ELECTRODES - w->options.n_channels + channel]; }

static double of_people(const brain *b, uint64_t index) { return ndi_world_normal(b->w->options.seed, BRAIN_OF_PEOPLE, index); }
static double of_person(const brain *b, uint64_t index)
{
    return ndi_world_normal(b->w->options.seed, BRAIN_OF_PERSON, (uint64_t)b->person << 32 | index);
}

static double distance(const double a[3], const double b[3]) { return sqrt(pow(a[0] - b[0], 2) + pow(a[1] - b[1], 2) + pow(a[2] - b[2], 2)); }

/* A smooth hill around a place given by its angles to the front and to the right. */
static void make_pattern(const brain *b, double front, double side, double *pattern)
{
    double centre[3] = { cos(front * RADIANS) * sin(side * RADIANS), sin(front * RADIANS), cos(front * RADIANS) * cos(side * RADIANS) };
    for (size_t c = 0; c < b->channels; c++) pattern[c] = exp(-0.5 * pow(distance(b->positions[c], centre) / PATTERN_WIDTH, 2));
}

/* Three half-waves under a bell. */
static void make_waveform(const brain *b, double latency, double width, double *waveform)
{
    for (size_t t = 0; t < b->samples; t++) {
        double z = (SIMULATE_START + (double)t / SIMULATE_RATE - latency) / width;
        waveform[t] = exp(-0.5 * z * z) * cos(1.5 * z);
    }
}

/* Adds component k to the response, row by row. */
static void add_component(brain *b, size_t k, double *pattern, double *waveform)
{
    const wave *v = &waves[k / PER_WAVE];
    uint64_t at = k * 64;
    double side = (k % 2 ? -1 : 1) * v->side;
    make_pattern(b, v->front + PATTERN_JITTER * (of_people(b, at) + 0.5 * of_person(b, at)),
                 side + PATTERN_JITTER * (of_people(b, at + 1) + 0.5 * of_person(b, at + 1)), pattern);
    make_waveform(b, v->latency + PERSON_LATENCY * of_person(b, UINT32_MAX) + COMPONENT_LATENCY * (of_people(b, at + 2) + 0.5 * of_person(b, at + 2)),
                  v->width * exp(0.2 * of_people(b, at + 3)), waveform);
    double size = v->size * exp(GAIN_JITTER * of_person(b, at + 3));
    for (size_t row = 0; row < RESPONSE_ROWS; row++) {
        double amplitude = size * (of_people(b, at + 8 + row) + TUNING_JITTER * of_person(b, at + 8 + row));
        float *r = b->response + row * b->channels * b->samples;
        for (size_t c = 0; c < b->channels; c++)
            for (size_t t = 0; t < b->samples; t++) r[c * b->samples + t] += (float)(amplitude * pattern[c] * waveform[t]);
    }
}

static double power(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum / (double)n;
}

static void scale(float *x, size_t n, double factor)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)(x[i] * factor);
}

/* Gives the evoked response the power asked for; that of the noise is 1. */
static void scale_response(brain *b)
{
    size_t n = b->channels * b->samples;
    double common = power(b->response, n), specific = 0;
    for (size_t j = 0; j < BRAIN_DIRECTIONS; j++) specific += pow(b->w->deviation[j], 2) * power(b->response + (1 + j) * n, n);
    scale(b->response, n, sqrt(COMMON_SHARE * b->w->options.snr / common));
    scale(b->response + n, BRAIN_DIRECTIONS * n, sqrt((1 - COMMON_SHARE) * b->w->options.snr / specific));
}

static nd_status make_response(brain *b)
{
    double *pattern = NULL, *waveform = NULL;
    nd_status status = ND_OK;
    GO(NEW(b->response, RESPONSE_ROWS * b->channels * b->samples));
    GO(NEW(pattern, b->channels));
    GO(NEW(waveform, b->samples));
    for (size_t k = 0; k < COMPONENTS; k++) add_component(b, k, pattern, waveform);
    scale_response(b);
done:
    ndi_free(pattern);
    ndi_free(waveform);
    return status;
}

/* Integrator k: z = decay z + gain w with w white and the same for all. Its gain makes each add the same power per octave around its corner, and
 * their sum has variance 1. The states have the covariance gain_k gain_l / (1 - decay_k decay_l), whose Cholesky factor starts a trial in the
 * middle of things. */
static nd_status make_integrators(brain *b)
{
    double decay[POLES], gain[POLES], covariance[POLES * POLES], variance = 0;
    for (int k = 0; k < POLES; k++) {
        double seconds = SHORTEST * pow(4, k);
        decay[k] = exp(-1 / (SIMULATE_RATE * seconds));
        gain[k] = (1 - decay[k]) * sqrt(seconds);
    }
    for (int k = 0; k < POLES; k++)
        for (int l = 0; l < POLES; l++) variance += covariance[k * POLES + l] = gain[k] * gain[l] / (1 - decay[k] * decay[l]);
    TRY(ndi_cholesky(NULL, covariance, POLES));
    for (int k = 0; k < POLES; k++) {
        b->decay[k] = (float)decay[k];
        b->gain[k] = (float)(gain[k] / sqrt(variance));
        for (int l = 0; l <= k; l++) b->start[k * POLES + l] = (float)(covariance[k * POLES + l] / sqrt(variance));
    }
    double frequency = RHYTHM_FREQUENCY + 0.7 * of_person(b, UINT32_MAX - 1), keep = exp(-1 / (SIMULATE_RATE * RHYTHM_SECONDS));
    b->turn_re = (float)(keep * cos(360 * RADIANS * frequency / SIMULATE_RATE));
    b->turn_im = (float)(keep * sin(360 * RADIANS * frequency / SIMULATE_RATE));
    b->drive = (float)sqrt(1 - keep * keep);
    return ND_OK;
}

/* The 1/f sources are mixed by the Cholesky factor of the correlation wanted between electrodes, the rhythms by a pattern on either side of the
 * back of the head. */
static nd_status make_mixing(brain *b)
{
    size_t n = b->channels;
    double *correlation = NULL, pattern[RHYTHMS][MAX_CHANNELS], rhythm_power = 0;
    nd_status status = ND_OK;
    GO(NEW(b->mixing, n * b->sources));
    GO(NEW(correlation, n * n));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            correlation[i * n + j] =
                (1 - SENSOR_SHARE) * exp(-distance(b->positions[i], b->positions[j]) / NOISE_REACH) + (i == j ? SENSOR_SHARE : 0);
    GO(ndi_cholesky(NULL, correlation, n));
    for (size_t r = 0; r < RHYTHMS; r++) {
        make_pattern(b, -60, r ? 25 : -25, pattern[r]);
        for (size_t c = 0; c < n; c++) rhythm_power += pattern[r][c] * pattern[r][c] / (double)n;
    }
    for (size_t c = 0; c < n; c++) {
        float *row = b->mixing + c * b->sources;
        for (size_t s = 0; s <= c; s++) row[s] = (float)(sqrt(1 - RHYTHM_SHARE) * correlation[c * n + s]);
        for (size_t r = 0; r < RHYTHMS; r++) row[n + r] = (float)(sqrt(RHYTHM_SHARE / rhythm_power) * pattern[r][c]);
    }
done:
    ndi_free(correlation);
    return status;
}

nd_status ndi_brain_create(brain **out, const world *w, uint32_t person)
{
    brain *b;
    nd_status status = ND_OK;
    TRY(NEW(b, 1));
    b->w = w;
    b->person = person;
    b->channels = w->options.n_channels;
    b->samples = w->options.n_samples;
    b->sources = b->channels + RHYTHMS;
    for (size_t c = 0; c < b->channels; c++)
        if (!ndi_electrode_position(ndi_brain_channel(w, c), b->positions[c]))
            GO(ndi_fail(ND_ERR_INTERNAL, "simulate: unknown electrode %s", ndi_brain_channel(w, c)));
    GO(make_response(b));
    GO(make_integrators(b));
    GO(make_mixing(b));
    *out = b;
    return ND_OK;
done:
    ndi_brain_free(b);
    return status;
}

void ndi_brain_free(brain *b)
{
    if (!b) return;
    ndi_free(b->response);
    ndi_free(b->mixing);
    ndi_free(b->latents);
    ndi_free(b->evoked);
    ndi_free(b->scratch);
    ndi_free(b);
}

/* Four normal numbers from one Philox block, in single precision (Box-Muller). */
static void draw_normals(float *x, size_t n, uint64_t seed, uint64_t trial)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t w[4];
        ndi_philox(seed, NDI_RANDOM_SIMULATE, BRAIN_NOISE, trial << 16 | i / 4, w);
        for (size_t pair = 0; pair < 4 && i + pair < n; pair += 2) {
            float radius = sqrtf(-2 * logf((float)((w[pair] >> 8) + 1) * 0x1p-24f)), angle = 6.2831853f * ((float)(w[pair + 1] >> 8) * 0x1p-24f);
            x[i + pair] = radius * cosf(angle);
            if (i + pair + 1 < n) x[i + pair + 1] = radius * sinf(angle);
        }
    }
}

/* A row of the scratch: white noise for each channel, then two numbers for each rhythm. The first POLES rows hold what the states are drawn from;
 * in the others the white noise is replaced by the sources, rhythms by their real part, samples x sources at a distance of a row. Behind the rows
 * lie the states. */
static size_t row_length(const brain *b) { return b->channels + 2 * RHYTHMS; }
static size_t scratch_length(const brain *b) { return (b->samples + POLES) * row_length(b) + POLES * b->channels; }

static void start_sources(const brain *b, const float *rows, float *states, float *rhythm)
{
    size_t n = b->channels, length = row_length(b);
    memset(states, 0, POLES * n * sizeof *states);
    for (size_t k = 0; k < POLES; k++)
        for (size_t l = 0; l <= k; l++)
            for (size_t c = 0; c < n; c++) states[k * n + c] += b->start[k * POLES + l] * rows[l * length + c];
    memcpy(rhythm, rows + n, 2 * RHYTHMS * sizeof *rhythm);
}

/* The next n_samples rows. */
static void make_sources(const brain *b, float *rows, size_t n_samples, float *states, float *rhythm)
{
    size_t n = b->channels, length = row_length(b);
    for (size_t t = 0; t < n_samples; t++) {
        float *x = rows + t * length;
        for (size_t c = 0; c < n; c++) {
            float white = x[c], sum = 0;
            for (size_t k = 0; k < POLES; k++) sum += states[k * n + c] = b->decay[k] * states[k * n + c] + b->gain[k] * white;
            x[c] = sum;
        }
        for (size_t r = 0; r < RHYTHMS; r++) {
            float re = rhythm[2 * r], im = rhythm[2 * r + 1];
            rhythm[2 * r] = b->turn_re * re - b->turn_im * im + b->drive * x[n + 2 * r];
            rhythm[2 * r + 1] = b->turn_im * re + b->turn_re * im + b->drive * x[n + 2 * r + 1];
        }
        for (size_t r = 0; r < RHYTHMS; r++) x[n + r] = rhythm[2 * r];
    }
}

typedef struct job {
    brain *b;
    partition p;
    size_t first, repetitions;
    float *data;
} job;

/* One trial: the response to its image plus mixing * sources'. */
static void record_trial(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const brain *b = j->b;
    size_t n = b->channels * b->samples, length = row_length(b), image = j->first + task / j->repetitions;
    uint64_t trial = ((uint64_t)b->person * N_PARTITIONS + j->p) << 43 | (uint64_t)image << 16 | task % j->repetitions;
    float *x = j->data + task * n, *rows = b->scratch + worker * scratch_length(b), *states = rows + (b->samples + POLES) * length, rhythm[2 * RHYTHMS];
    memcpy(x, b->evoked + task / j->repetitions * n, n * sizeof *x);
    draw_normals(rows, (b->samples + POLES) * length, b->w->options.seed, trial);
    start_sources(b, rows, states, rhythm);
    make_sources(b, rows + POLES * length, b->samples, states, rhythm);
    ndi_gemm(false, true, b->channels, b->samples, b->sources, 1, b->mixing, b->sources, rows + POLES * length, length, 1, x, b->samples);
}

static nd_status reserve_scratch(brain *b, size_t n_workers)
{
    if (n_workers <= b->n_workers) return ND_OK;
    ndi_free(b->scratch);
    b->scratch = NULL;
    b->n_workers = 0;
    TRY(NEW(b->scratch, n_workers * scratch_length(b)));
    b->n_workers = n_workers;
    return ND_OK;
}

static nd_status reserve_images(brain *b, size_t n_images)
{
    if (n_images <= b->block_images) return ND_OK;
    ndi_free(b->latents);
    ndi_free(b->evoked);
    b->latents = b->evoked = NULL;
    b->block_images = 0;
    TRY(NEW(b->latents, n_images * RESPONSE_ROWS));
    TRY(NEW(b->evoked, n_images * b->channels * b->samples));
    b->block_images = n_images;
    return ND_OK;
}

nd_status ndi_brain_evoke(brain *b, pool *workers, partition p, const size_t *images, size_t count, const float **evoked)
{
    size_t n = b->channels * b->samples;
    TRY(reserve_images(b, count));
    memset(b->latents, 0, count * RESPONSE_ROWS * sizeof *b->latents);
    for (size_t i = 0; i < count; i++) {
        float latent[LATENT_DIRECTIONS];
        b->latents[i * RESPONSE_ROWS] = 1;
        if (images[i] == NDI_NO_IMAGE) continue;
        ndi_world_latent(b->w, p, images[i], latent);
        memcpy(b->latents + i * RESPONSE_ROWS + 1, latent, BRAIN_DIRECTIONS * sizeof *latent);
    }
    ndi_gemm_parallel(workers, false, false, count, n, RESPONSE_ROWS, 1, b->latents, RESPONSE_ROWS, b->response, n, 0, b->evoked, n);
    *evoked = b->evoked;
    return ND_OK;
}

nd_status ndi_brain_record(brain *b, pool *workers, partition p, size_t first, size_t count, float *data)
{
    size_t *images, repetitions = ndi_world_repetitions(b->w, p);
    const float *evoked;
    TRY(reserve_scratch(b, ndi_pool_threads(workers)));
    TRY(NEW(images, count));
    for (size_t i = 0; i < count; i++) images[i] = first + i;
    nd_status status = ndi_brain_evoke(b, workers, p, images, count, &evoked);
    ndi_free(images);
    TRY(status);
    job j = { b, p, first, repetitions, data };
    ndi_pool_run(workers, count * repetitions, record_trial, &j);
    return ND_OK;
}

/* ---- noise without end ---- */

enum { NOISE_BLOCK = 2048 }; /* samples made at a time: its normal numbers have an index of 16 bits */

nd_status ndi_brain_noise(brain *b, pool *workers, partition p, uint32_t session, size_t n_samples, float *x)
{
    const size_t length = row_length(b);
    const uint64_t stream = ((uint64_t)b->person * N_PARTITIONS + p) << 43 | (uint64_t)1 << 42 | (uint64_t)session << 32; /* none of a trial */
    float *rows = NULL, *states = NULL, rhythm[2 * RHYTHMS];
    nd_status status;
    GO(NEW(rows, NOISE_BLOCK * length));
    GO(NEW(states, POLES * b->channels));
    draw_normals(rows, POLES * length, b->w->options.seed, stream | UINT32_MAX);
    start_sources(b, rows, states, rhythm);
    for (size_t first = 0; first < n_samples; first += NOISE_BLOCK) {
        const size_t n = n_samples - first < (size_t)NOISE_BLOCK ? n_samples - first : (size_t)NOISE_BLOCK;
        draw_normals(rows, n * length, b->w->options.seed, stream | first / NOISE_BLOCK);
        make_sources(b, rows, n, states, rhythm);
        ndi_gemm_parallel(workers, false, true, b->channels, n, b->sources, 1, b->mixing, b->sources, rows, length, 0, x + first, n_samples);
    }
done:
    ndi_free(rows);
    ndi_free(states);
    return status;
}
