/** @file simulate.h
 *  @brief A world shaped like THINGS-EEG2, made without any download. */
#ifndef NEURODECODE_SIMULATE_H
#define NEURODECODE_SIMULATE_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup simulate Simulator
 *  @brief Concepts, images, embeddings, and brains that respond to them.
 *
 *  Images have a latent vector: a concept part and an image part, with a spectrum that decays as those of image models do. An image model sees the latent through a random
 *  map; the "aligned" bank keeps the directions brains respond to, the "unaligned" one mixes in directions they do not. A brain response is a sum of evoked components,
 *  each with a latency, a width, a scalp pattern over named 10-10 electrodes that is strongest at the back of the head, and an amplitude that is a linear function of the latent;
 *  people differ in latency, pattern and gain. The noise is 1/f in time and correlated over the scalp.
 *  @{ */

/** @brief What to simulate. The defaults are a small world; set the counts for the real size. */
typedef struct nd_simulate_options {
    size_t size;                 /**< set by nd_simulate_options_init() */
    uint32_t n_subjects;         /**< 1 .. 10; default 1 */
    uint32_t n_concepts;         /**< training concepts, real size 1654; default 200 */
    uint32_t images_per_concept; /**< training images of each, real size 10; default 10 */
    uint32_t n_test;             /**< test concepts, one image each, not among the training concepts; default 200 */
    uint32_t train_repetitions;  /**< real size 4; default 4 */
    uint32_t test_repetitions;   /**< real size 80; default 20 */
    uint32_t n_channels;         /**< 63 or 17 (occipital and parietal); default 63 */
    uint32_t n_samples;          /**< at 250 Hz from 0 s on; default 250 */
    uint32_t embed_dim;          /**< of the embeddings; default 512 */
    uint32_t n_sessions;         /**< 0 = trials as they come out of preprocessing; 1, 2 or 4 = raw recordings of as many sessions, see nd_simulate(); default 0 */
    double snr;                  /**< ratio of the power of the evoked response to that of the noise, in a single trial over all channels and samples; default 0.02 */
    uint64_t seed;               /**< default 42 */
} nd_simulate_options;

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_simulate_options_init(nd_simulate_options *options, size_t size);

/** @brief Writes the files that THINGS-EEG2 has into @p folder, which is made if need be: `Preprocessed_data_250Hz/sub-XX/preprocessed_eeg_{training,test}.npy` (protocol-4 pickles of float64),
 *  `image_metadata.npy`, `image_embeddings/{training_images|test_images}/<concept>/<file>_{aligned,unaligned}.npy`, and `simulation.json` with every option.
 *  Streamed: memory stays small at any size.
 *
 *  With `n_sessions` it writes, instead of the first of these, `raw_eeg/sub-XX/ses-YY/raw_eeg_{training,test}.npy` as the public release has them: continuous signals at 1000 Hz in volts, channels
 *  in random order, a trigger channel `stim` with the number of the image, 99999 for the targets between them. Images follow each other every 200 ms, so responses overlap. Of four sessions a
 *  training image is in two, a test image in all. A session is in memory at 250 Hz: 0.2 GB at the real size.
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_IO, ::ND_ERR_CANCELLED. */
ND_API nd_status nd_simulate(const char *folder, const nd_simulate_options *options, nd_progress_fn progress, void *user);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
