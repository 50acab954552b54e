/* The simulated world: concepts with names, images with a latent vector, and two image models that see it. Every number is a function of the seed
 * and of what it belongs to. */
#ifndef NDI_SIMULATE_WORLD_H
#define NDI_SIMULATE_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "neurodecode/simulate.h"

/* The latent vector of an image: directions that brains respond to, then directions that only image models see. */
enum { BRAIN_DIRECTIONS = 32, OTHER_DIRECTIONS = 96, LATENT_DIRECTIONS = BRAIN_DIRECTIONS + OTHER_DIRECTIONS };

typedef enum partition { TRAINING, TEST, N_PARTITIONS } partition;
typedef enum image_model { ALIGNED, UNALIGNED, N_IMAGE_MODELS } image_model;

/* The `step` of the random streams: what a number belongs to. */
enum simulate_stream {
    DRAW_TEST_CONCEPTS,
    DRAW_CATEGORY,
    DRAW_NAME,
    DRAW_FILE,
    LATENT_OF_CATEGORY,
    LATENT_OF_CONCEPT,
    LATENT_OF_IMAGE,
    MODEL_MEAN,
    MODEL_MAP,
    MODEL_REST,
    BRAIN_OF_PEOPLE,
    BRAIN_OF_PERSON,
    BRAIN_NOISE,
    DRAW_ORDER,
    DRAW_CHANNELS
};

typedef struct world {
    nd_simulate_options options;
    uint32_t *concepts[N_PARTITIONS]; /* of each concept of the partition its number among all, from 0, ascending */
    float *maps[N_IMAGE_MODELS];      /* embed_dim x LATENT_DIRECTIONS */
    float *means[N_IMAGE_MODELS];     /* embed_dim */
    double deviation[LATENT_DIRECTIONS];
} world;

nd_status ndi_world_create(world **w, const nd_simulate_options *options);
void ndi_world_free(world *w);

size_t ndi_world_images(const world *w, partition p);
uint32_t ndi_world_repetitions(const world *w, partition p);

/* Names as THINGS-EEG2 has them: "00001_aardvark" in the partition's and in the common numbering, and "aardvark_01b". */
enum { NDI_NAME_SIZE = 32 };
void ndi_world_names(const world *w, partition p, size_t image, char concept[NDI_NAME_SIZE], char things[NDI_NAME_SIZE], char file[NDI_NAME_SIZE]);

/* latent: LATENT_DIRECTIONS numbers; vector: embed_dim numbers. */
void ndi_world_latent(const world *w, partition p, size_t image, float *latent);
void ndi_world_embed(const world *w, image_model m, partition p, size_t image, float *vector);
const char *ndi_world_model_name(image_model m);

/* Normal number `index` of a stream. */
double ndi_world_normal(uint64_t seed, enum simulate_stream stream, uint64_t index);

#endif
