#include "data/simulate_world.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "math/vec.h"

/* Variance of a latent direction that lies between categories of concepts, between concepts of a category, and between images of a concept. */
static const double CATEGORY_SHARE = 0.15, CONCEPT_SHARE = 0.45, IMAGE_SHARE = 0.40;
static const double SPECTRUM_EXPONENT = 0.7; /* variance of direction j falls as j^-0.7 */
static const double MEAN_SIZE = 0.5;         /* all embeddings of a model share a direction, as those of CLIP do */
static const double REST_SIZE = 0.15;        /* what no latent direction explains */
enum { CONCEPTS_PER_CATEGORY = 25, SYLLABLES = 80, N_NAMES = SYLLABLES * SYLLABLES * SYLLABLES, MAX_FILE_NUMBER = 1024 };

/* Which share of an embedding's variance comes from the directions brains respond to, and how strongly the model sees the first and the later ones
 * among them. */
typedef struct model_row {
    const char *name;
    double brain_share;
    double blind; /* factor on every second of the brain's directions: what the model hardly sees */
} model_row;
static const model_row models[N_IMAGE_MODELS] = { [ALIGNED] = { "aligned", 0.85, 1.0 }, [UNALIGNED] = { "unaligned", 0.35, 0.35 } };

double ndi_world_normal(uint64_t seed, enum simulate_stream stream, uint64_t index)
{
    double pair[2];
    ndi_normal2(seed, NDI_RANDOM_SIMULATE, stream, index / 2, pair);
    return pair[index % 2];
}

static size_t n_concepts_in_all(const world *w) { return (size_t)w->options.n_concepts + w->options.n_test; }

/* The test concepts are drawn from all; both lists stay in the common, alphabetical order. */
static nd_status draw_test_concepts(world *w)
{
    size_t n = n_concepts_in_all(w), taken[N_PARTITIONS] = { 0 };
    size_t *order = NULL;
    bool *is_test = NULL;
    nd_status status = ND_OK;
    GO(NEW(w->concepts[TRAINING], w->options.n_concepts));
    GO(NEW(w->concepts[TEST], w->options.n_test));
    GO(NEW(order, n));
    GO(NEW(is_test, n));
    ndi_permutation(order, n, w->options.seed, NDI_RANDOM_SIMULATE, DRAW_TEST_CONCEPTS);
    for (size_t i = 0; i < w->options.n_test; i++) is_test[order[i]] = true;
    for (size_t i = 0; i < n; i++) {
        partition p = is_test[i] ? TEST : TRAINING;
        w->concepts[p][taken[p]++] = (uint32_t)i;
    }
done:
    ndi_free(order);
    ndi_free(is_test);
    return status;
}

/* Each block of directions has variance 1 in all. */
static void set_spectrum(double *deviation, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += pow((double)(j + 1), -SPECTRUM_EXPONENT);
    for (size_t j = 0; j < n; j++) deviation[j] = sqrt(pow((double)(j + 1), -SPECTRUM_EXPONENT) / sum);
}

/* A model's map: random directions, scaled so that an entry of an embedding has variance 1 and the brain's directions have their share of it. */
static nd_status make_model(world *w, image_model m)
{
    size_t dim = w->options.embed_dim;
    TRY(NEW(w->maps[m], dim * LATENT_DIRECTIONS));
    TRY(NEW(w->means[m], dim));
    double gain[LATENT_DIRECTIONS], seen = 0;
    for (size_t j = 0; j < BRAIN_DIRECTIONS; j++) {
        gain[j] = j % 2 ? models[m].blind : 1;
        seen += gain[j] * gain[j] * w->deviation[j] * w->deviation[j];
    }
    for (size_t j = 0; j < LATENT_DIRECTIONS; j++)
        gain[j] = j < BRAIN_DIRECTIONS ? gain[j] * sqrt(models[m].brain_share / seen) : sqrt(1 - models[m].brain_share);
    for (size_t d = 0; d < dim; d++) {
        uint64_t at = (uint64_t)m * dim + d;
        w->means[m][d] = (float)(MEAN_SIZE * ndi_world_normal(w->options.seed, MODEL_MEAN, at));
        for (size_t j = 0; j < LATENT_DIRECTIONS; j++)
            w->maps[m][d * LATENT_DIRECTIONS + j] = (float)(gain[j] * ndi_world_normal(w->options.seed, MODEL_MAP, at * LATENT_DIRECTIONS + j));
    }
    return ND_OK;
}

nd_status ndi_world_create(world **out, const nd_simulate_options *options)
{
    world *w;
    nd_status status = ND_OK;
    TRY(NEW(w, 1));
    w->options = *options;
    set_spectrum(w->deviation, BRAIN_DIRECTIONS);
    set_spectrum(w->deviation + BRAIN_DIRECTIONS, OTHER_DIRECTIONS);
    GO(draw_test_concepts(w));
    GO(make_model(w, ALIGNED));
    GO(make_model(w, UNALIGNED));
    *out = w;
    return ND_OK;
done:
    ndi_world_free(w);
    return status;
}

void ndi_world_free(world *w)
{
    if (!w) return;
    for (int i = 0; i < N_PARTITIONS; i++) ndi_free(w->concepts[i]);
    for (int i = 0; i < N_IMAGE_MODELS; i++) {
        ndi_free(w->maps[i]);
        ndi_free(w->means[i]);
    }
    ndi_free(w);
}

static size_t images_of_concept(const world *w, partition p) { return p == TRAINING ? w->options.images_per_concept : 1; }
size_t ndi_world_images(const world *w, partition p)
{
    return p == TRAINING ? (size_t)w->options.n_concepts * w->options.images_per_concept : w->options.n_test;
}
uint32_t ndi_world_repetitions(const world *w, partition p) { return p == TRAINING ? w->options.train_repetitions : w->options.test_repetitions; }
const char *ndi_world_model_name(image_model m) { return models[m].name; }

/* Syllables of two letters in alphabetical order, so that names are in the order of their numbers: the concept's place among all, with some room
 * to vary. */
static void concept_name(const world *w, uint64_t concept, char name[7])
{
    static const char consonants[] = "bdfghjklmnprstvz", vowels[] = "aeiou";
    uint64_t stride = N_NAMES / n_concepts_in_all(w);
    uint64_t code = concept * stride + ndi_below(w->options.seed, NDI_RANDOM_SIMULATE, DRAW_NAME, concept, stride);
    for (int i = 2; i >= 0; i--) {
        uint64_t syllable = code % SYLLABLES;
        code /= SYLLABLES;
        name[2 * i] = consonants[syllable / 5];
        name[2 * i + 1] = vowels[syllable % 5];
    }
    name[6] = '\0';
}

void ndi_world_names(const world *w, partition p, size_t image, char concept[NDI_NAME_SIZE], char things[NDI_NAME_SIZE], char file[NDI_NAME_SIZE])
{
    static const char source[] = "bns";
    size_t each = images_of_concept(w, p), at = image / each;
    uint64_t number = w->concepts[p][at],
             draw = ndi_below(w->options.seed, NDI_RANDOM_SIMULATE, DRAW_FILE, number * MAX_FILE_NUMBER + image % each, 36);
    char name[7];
    concept_name(w, number, name);
    ndi_format(concept, NDI_NAME_SIZE, "%05u_%s", (unsigned)(at + 1), name);
    ndi_format(things, NDI_NAME_SIZE, "%05u_%s", (unsigned)(number + 1), name);
    ndi_format(file, NDI_NAME_SIZE, "%s_%02u%c", name, (unsigned)(p == TRAINING ? image % each + 1 : draw / 3 + 1), source[draw % 3]);
}

void ndi_world_latent(const world *w, partition p, size_t image, float *latent)
{
    size_t each = images_of_concept(w, p), n_categories = 1 + n_concepts_in_all(w) / CONCEPTS_PER_CATEGORY;
    uint64_t seed = w->options.seed, concept = w->concepts[p][image / each], exemplar = concept * MAX_FILE_NUMBER + image % each;
    uint64_t category = ndi_below(seed, NDI_RANDOM_SIMULATE, DRAW_CATEGORY, concept, n_categories);
    for (size_t j = 0; j < LATENT_DIRECTIONS; j++) {
        double x = sqrt(CATEGORY_SHARE) * ndi_world_normal(seed, LATENT_OF_CATEGORY, category * LATENT_DIRECTIONS + j) +
                   sqrt(CONCEPT_SHARE) * ndi_world_normal(seed, LATENT_OF_CONCEPT, concept * LATENT_DIRECTIONS + j) +
                   sqrt(IMAGE_SHARE) * ndi_world_normal(seed, LATENT_OF_IMAGE, exemplar * LATENT_DIRECTIONS + j);
        latent[j] = (float)(w->deviation[j] * x);
    }
}

void ndi_world_embed(const world *w, image_model m, partition p, size_t image, float *vector)
{
    float latent[LATENT_DIRECTIONS];
    size_t dim = w->options.embed_dim;
    uint64_t rest = (((uint64_t)m * N_PARTITIONS + p) << 40 | image) * dim;
    ndi_world_latent(w, p, image, latent);
    for (size_t d = 0; d < dim; d++)
        vector[d] = w->means[m][d] + ndi_vec->dot(w->maps[m] + d * LATENT_DIRECTIONS, latent, LATENT_DIRECTIONS) +
                    (float)(REST_SIZE * ndi_world_normal(w->options.seed, MODEL_REST, rest + d));
}
