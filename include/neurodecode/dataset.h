/** @file dataset.h
 *  @brief Trials of brain activity: trials x channels x samples, float32, each trial with the id of the image that was seen. */
#ifndef NEURODECODE_DATASET_H
#define NEURODECODE_DATASET_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup dataset Dataset
 *  @brief One handle for EEG, MEG (channels x samples) and fMRI (voxels x 1).
 *
 *  A dataset never changes its trials: operations make a new handle, which shares the data of the old one where it can. Image ids are text
 *  and are what joins trials to embeddings; for THINGS they read `concept/file` without suffix, as `00001_aardvark/aardvark_01b`. The concept of an
 *  image is the part of its id before the last `/`, or the whole id.
 *  @{ */

/** @brief Trials x channels x samples with their labels. */
typedef struct nd_dataset nd_dataset;

/** @brief How each channel of each trial is normalised over its samples. */
enum {
    ND_NORMALISE_NONE = 0,       /**< as recorded */
    ND_NORMALISE_ZSCORE = 1,     /**< mean 0, population standard deviation 1; a flat channel becomes 0 */
    ND_NORMALISE_REFERENCE = 2   /**< (x - mean) / ||x||, the norm over the un-centred samples, as the reference system has it; a zero channel stays 0 */
};

/** @brief How samples or vectors are written. */
enum {
    ND_PRECISION_FLOAT32 = 0,              /**< as they are in memory */
    ND_PRECISION_BFLOAT16 = 1              /**< the nearest with 8 bits of precision (relative error up to 2^-8), in half the space; still mapped */
};

/** @brief How to read or make a dataset. */
typedef struct nd_dataset_options {
    size_t size;             /**< set by nd_dataset_options_init() */
    const char *variable;    /**< array to read from a file with several; NULL = the only numeric one, or `preprocessed_eeg_data`, `meg_data`, `data` */
    const char *axes;        /**< what the dimensions are, in order, from `trial concept image repetition subject channel sample`; NULL = by their number: 2 "trial channel",
                                  3 "trial channel sample", 4 "image repetition channel sample" (or "trial 1 channel sample" where the second is 1),
                                  5 "concept image repetition channel sample". A trial is one combination of the axes trial, concept, image, repetition and subject, the last of
                                  them fastest; images are counted through all concepts */
    const char *images;      /**< a file of image ids, one per image in order: a text file (one per line), `.npy` of strings, or the `image_metadata.npy` of THINGS-EEG2; or
                                  `column:NAME`, texts or whole numbers in the file itself, such as `column:image_path` of the metadata of epochs; NULL = from the file (`image_ids`,
                                  `meg_images`, the events of epochs, the conditions of averages), else "0", "1", ... Paths of THINGS-MEG (`images_meg/dog/dog_01b.jpg`,
                                  `images_test_meg/dog_22s.jpg`) become `dog/dog_01b`, `dog/dog_22s` */
    const char *partition;   /**< "training" or "test": which list of an `image_metadata.npy` to take; NULL = by the number of images */
    const char *channels;    /**< names separated by blanks or commas; NULL = from the file (`ch_names`), else "0", "1", ... */
    double rate;             /**< samples per second; 0 = from the file (`times`), else 1 */
    double start;            /**< time of the first sample in seconds; NaN = from the file, else 0 */
    int32_t subject;         /**< number of the person, 0 = unknown; an axis `subject` counts from 1 instead */
    int32_t normalise;       /**< ND_NORMALISE_...: applied to every repetition while reading, before any averaging; default none */
    int32_t average;         /**< 1 = average the repetitions of each image while reading; default 0 */
    int32_t n_threads;       /**< 0 = all this process may use */
    const char *mask;        /**< for images of the brain (NIfTI): an image whose voxels other than 0 become the channels; NULL = all voxels */
    int32_t session;         /**< number of the session, 0 = unknown */
    int32_t run;             /**< number of the run, 0 = unknown */
    int32_t precision;       /**< ND_PRECISION_FLOAT32 or ND_PRECISION_BFLOAT16: of the store that is made, where one is; default ND_PRECISION_FLOAT32 */
    int32_t reserved;        /**< 0 */
} nd_dataset_options;

/** @brief Sizes and timing of a dataset. */
typedef struct nd_dataset_info {
    size_t size;              /**< set by the caller */
    size_t n_trials;          /**< rows */
    size_t n_channels;        /**< channels or voxels */
    size_t n_samples;         /**< time points, 1 for fMRI */
    size_t n_images;          /**< distinct image ids among the trials */
    size_t n_concepts;        /**< distinct concepts among the trials */
    size_t n_subjects;        /**< distinct subjects among the trials */
    double rate;              /**< samples per second */
    double start;             /**< seconds, of the first sample */
    int32_t normalise;        /**< how trials were normalised */
    int32_t averaged;         /**< repetitions averaged into one trial (the largest number), 1 = single trials */
} nd_dataset_info;

/** @brief What is known of one trial. */
typedef struct nd_trial {
    size_t size;              /**< set by the caller */
    const char *image;        /**< id; lives as long as the dataset */
    int32_t image_index;      /**< index among the dataset's image ids, see nd_dataset_get_image() */
    int32_t concept_index;    /**< index of its concept, in order of first appearance of the image ids */
    int32_t subject;          /**< number of the person, 0 = unknown */
    int32_t repetition;       /**< from 0; 0 for averages */
    int32_t session;          /**< number of the session, 0 = unknown */
    int32_t run;              /**< number of the run within its session, 0 = unknown */
} nd_trial;

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_dataset_options_init(nd_dataset_options *options, size_t size);

/** @brief Copies an array of @p n_trials x @p n_channels x @p n_samples, C order. Samples that are not finite are refused, with trial and channel.
 *  @param dataset receives the handle
 *  @param data the samples
 *  @param n_trials first extent @param n_channels second @param n_samples third, fastest
 *  @param image_ids one id per trial; NULL = "0", "1", ...
 *  @param options `channels`, `rate`, `start`, `subject`, `session`, `run`, `normalise` count; NULL = defaults
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_MEMORY, ::ND_ERR_NUMERIC (samples that are not finite). */
ND_API nd_status nd_dataset_create(nd_dataset **dataset, const float *data, size_t n_trials, size_t n_channels, size_t n_samples,
                                   const char *const *image_ids, const nd_dataset_options *options);

/** @brief Reads a dataset: a store written by nd_dataset_save() (mapped, not loaded) or any file with a numeric array: `.npy`, `.npz`, `.safetensors`, a
 *  pickled dict of arrays such as the `preprocessed_eeg_*.npy` of THINGS-EEG2 or the `train_sub1.pkl` of THINGS-MEG, epochs or averages as `.fif`, `.csv`/`.tsv`. A file
 *  called `train.npy` or `test.npy` gets channels, times and the shape that it should have from an `info.json` (`ch_names`, `times`, `train_data_shape`, `test_data_shape`)
 *  in its folder or in the one above. Arrays are streamed: memory holds the float32 result only.
 *  @return ::ND_ERR_IO, ::ND_ERR_FORMAT, ::ND_ERR_UNSUPPORTED, ::ND_ERR_NUMERIC, ::ND_ERR_CANCELLED, ... */
ND_API nd_status nd_dataset_open(nd_dataset **dataset, const char *path, const nd_dataset_options *options, nd_progress_fn progress, void *user);

/** @brief Reads @p source as nd_dataset_open() does, but straight into the store @p path, in constant memory, and opens that. This is how 8.3 GB of
 *  repetitions become a 1 GB store without ever being in memory. The store appears whole or not at all. */
ND_API nd_status nd_dataset_import(nd_dataset **dataset, const char *source, const char *path, const nd_dataset_options *options, nd_progress_fn progress,
                                   void *user);

/** @brief Opens one partition of one subject of a folder laid out as THINGS-EEG2: `Preprocessed_data_250Hz/sub-XX/preprocessed_eeg_{training,test}.npy`,
 *  `preprocessed_eeg/sub-XX/...` or `preprocessed_eeg/sub-XX/{train,test}.npy` with `image_metadata.npy` in the folder, in `image_embeddings`, `images` or `image_set`.
 *  @param dataset receives the handle
 *  @param folder the data set's root
 *  @param subject from 1
 *  @param partition "training" or "test"
 *  @param store_dir folder for the float32 store, which is made once and reused as long as the source and the options are the same; NULL = no store, load into memory
 *  @param options `normalise`, `average`, `n_threads` count; NULL = averaged, not normalised
 *  @param progress may be NULL @param user for @p progress
 *  @return as nd_dataset_open(); the error names the file that is missing. */
ND_API nd_status nd_dataset_open_things_eeg2(nd_dataset **dataset, const char *folder, int32_t subject, const char *partition, const char *store_dir,
                                             const nd_dataset_options *options, nd_progress_fn progress, void *user);

/** @brief Writes the dataset as a store: a safetensors file whose array `data` is aligned for mapping. @return ::ND_ERR_IO, ::ND_ERR_CANCELLED. */
ND_API nd_status nd_dataset_save(const nd_dataset *dataset, const char *path, nd_progress_fn progress, void *user);

/** @brief The same in a chosen precision: a store in 16 bits has half the size, and reading trials out of it brings half the bytes from the disk.
 *  @param dataset whose trials @param path of the store @param precision ND_PRECISION_FLOAT32 or ND_PRECISION_BFLOAT16 @param progress may be NULL @param user for @p progress
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_IO, ::ND_ERR_CANCELLED. */
ND_API nd_status nd_dataset_save_as(const nd_dataset *dataset, const char *path, int32_t precision, nd_progress_fn progress, void *user);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_dataset_free(nd_dataset *dataset);

/** @brief Describes the dataset. @param dataset the handle @param info its `size` must be set. */
ND_API nd_status nd_dataset_get_info(const nd_dataset *dataset, nd_dataset_info *info);

/** @brief Name of channel @p index. */
ND_API nd_status nd_dataset_get_channel(const nd_dataset *dataset, size_t index, const char **name);

/** @brief Id of image @p index, 0 .. `n_images` - 1, in the order of first appearance. */
ND_API nd_status nd_dataset_get_image(const nd_dataset *dataset, size_t index, const char **id);

/** @brief What is known of trial @p index. @param dataset the handle @param index from 0 @param trial its `size` must be set. */
ND_API nd_status nd_dataset_get_trial(const nd_dataset *dataset, size_t index, nd_trial *trial);

/** @brief Copies trials @p first .. @p first + @p count - 1 into @p data (count x channels x samples). @return ::ND_ERR_ARGUMENT, ::ND_ERR_BUFFER. */
ND_API nd_status nd_dataset_get_data(const nd_dataset *dataset, size_t first, size_t count, float *data, size_t capacity);

/** @brief Keeps the trials listed, in that order; a trial may be listed several times. */
ND_API nd_status nd_dataset_select(nd_dataset **dataset, const nd_dataset *source, const size_t *trials, size_t n_trials);

/** @brief Keeps the channels named, in the order named: names or regions (`frontal`, `central`, `temporal`, `parietal`, `occipital`, of the 10-10 system), separated by
 *  blanks or commas. A channel named twice is taken once; a name the dataset lacks is an error that lists it. */
ND_API nd_status nd_dataset_select_channels(nd_dataset **dataset, const nd_dataset *source, const char *channels);

/** @brief Keeps the samples with @p start <= t < @p end, seconds, then every @p step -th of them. */
ND_API nd_status nd_dataset_window(nd_dataset **dataset, const nd_dataset *source, double start, double end, size_t step);

/** @brief Subtracts from each channel of each trial its mean over @p start <= t < @p end, seconds. */
ND_API nd_status nd_dataset_baseline(nd_dataset **dataset, const nd_dataset *source, double start, double end);

/** @brief Averages the trials of each (subject, image) into one, images in the order of first appearance. */
ND_API nd_status nd_dataset_average(nd_dataset **dataset, const nd_dataset *source);

/** @brief Normalises each channel of each trial, see ::ND_NORMALISE_ZSCORE. @return ::ND_ERR_STATE where trials were normalised before. */
ND_API nd_status nd_dataset_normalise(nd_dataset **dataset, const nd_dataset *source, int32_t normalise);

/** @brief How to read a table of labels. */
typedef struct nd_label_options {
    size_t size;          /**< set by nd_label_options_init() */
    const char *column;   /**< name of the column of labels; NULL = `trial_type`, `label`, `labels`, `condition`, `stimulus` or `image` */
    const char *rest;     /**< label of trials outside of all events, and of `n/a`; NULL = "rest" */
    double interval;      /**< seconds from trial to trial, for events; 0 = one over the rate of the dataset, which is the TR of an image */
    double shift;         /**< seconds by which the response lags behind the event; 0 = none */
    int32_t session;      /**< number of the session of all trials; 0 = from the table, else as it was */
    int32_t run;          /**< number of the run of all trials; 0 = from the table, else as it was */
} nd_label_options;

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_label_options_init(nd_label_options *options, size_t size);

/** @brief Gives the trials the labels of a table as image ids, and runs and sessions where the table has them. Repetitions are counted anew.
 *
 *  The table (.csv, .tsv or text with blanks) has a row for each trial: with a header, the columns of nd_label_options and `run` (or `chunk`), `session`; without
 *  one, label, run and session in this order. Runs that count from 0 are raised by one, as 0 stands for unknown. Or it has the column `onset`
 *  and lists events in seconds from the first trial, as BIDS has them: a trial is of the first event with onset + shift <= t < onset + duration + shift,
 *  t being the trial's place times the interval.
 *  @param dataset receives the handle @param source whose trials @param table path of the table @param options NULL = defaults
 *  @return ::ND_ERR_IO, ::ND_ERR_FORMAT, ::ND_ERR_ARGUMENT where rows and trials differ in number or no event meets a trial. */
ND_API nd_status nd_dataset_label(nd_dataset **dataset, const nd_dataset *source, const char *table, const nd_label_options *options);

/** @brief Keeps the trials whose image (or concept) is listed in @p keep and not in @p drop, lists separated by blanks or commas; NULL = all and none. @return
 *  ::ND_ERR_ARGUMENT for a label that no trial has, or where no trial is left. */
ND_API nd_status nd_dataset_select_labels(nd_dataset **dataset, const nd_dataset *source, const char *keep, const char *drop);

/** @brief Averages consecutive trials of the same image (and subject, session and run) into one. */
ND_API nd_status nd_dataset_average_blocks(nd_dataset **dataset, const nd_dataset *source);

/** @brief Subtracts from each channel's series of trials its least-squares polynomial, in each group of trials on its own. The result is in memory.
 *  @param dataset receives the handle @param source whose trials, in the order of time
 *  @param degree 0 = the mean, 1 = a line (as `scipy.signal.detrend`), up to 10
 *  @param group "run", "session" or another group of nd_dataset_split(); NULL = all trials are one
 *  @return ::ND_ERR_ARGUMENT where a group has too few trials. */
ND_API nd_status nd_dataset_detrend(nd_dataset **dataset, const nd_dataset *source, int32_t degree, const char *group);

/** @brief Brings each channel's series of trials to mean 0 and population standard deviation 1, in each group of trials on its own; what is flat becomes 0. The
 *  result is in memory. @param dataset receives the handle @param source whose trials @param group as in nd_dataset_detrend() @param label take mean and
 *  deviation from the trials with this label only, such as "rest"; NULL = from all
 *  @return ::ND_ERR_ARGUMENT where a group has fewer than two of them. */
ND_API nd_status nd_dataset_standardise(nd_dataset **dataset, const nd_dataset *source, const char *group, const char *label);

/** @brief Changes the rate by way of the frequencies, with the first and last value held beyond the ends of each trial: the arithmetic of `mne.Epochs.resample`.
 *  The time of the first sample stays as it was by name; where the padding is not a whole number of new samples the values lag behind it, by at most half a new
 *  sample (the 1201 samples of THINGS-EEG2 from 1000 to 250 Hz: 1 ms). The result is in memory.
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_STATE where trials were normalised before, ::ND_ERR_CANCELLED. */
ND_API nd_status nd_dataset_resample(nd_dataset **dataset, const nd_dataset *source, double rate, nd_progress_fn progress, void *user);

/** @brief What a covariance of the channels is taken over. */
enum {
    ND_WHITEN_EPOCHS = 0, /**< the samples of each trial */
    ND_WHITEN_TIME = 1    /**< the repetitions of each image, at each time point */
};

/** @brief Multivariate noise normalisation: multiplies each time point by the inverse square root of the channels' covariance. Covariances are shrunk after Ledoit and
 *  Wolf with standardised features and averaged over repetitions, then images, then the datasets of @p fits. The result is in memory.
 *  @param dataset receives the handle
 *  @param source what to whiten
 *  @param fits where the covariance comes from: the training trials alone, or training and test as the published THINGS-EEG2 data have it
 *  @param n_fits how many
 *  @param per ND_WHITEN_...
 *  @param progress may be NULL @param user for @p progress
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_NUMERIC for a singular covariance, ::ND_ERR_CANCELLED. */
ND_API nd_status nd_dataset_whiten(nd_dataset **dataset, const nd_dataset *source, const nd_dataset *const *fits, size_t n_fits, int32_t per,
                                   nd_progress_fn progress, void *user);

/** @brief Appends the trials of @p second to those of @p first; channels, samples and rate must agree. */
ND_API nd_status nd_dataset_concat(nd_dataset **dataset, const nd_dataset *first, const nd_dataset *second);

/** @brief Splits the trials at random, all trials of one group on the same side.
 *  @param first receives all but about @p fraction of the groups
 *  @param second receives the rest, at least one group
 *  @param source what to split
 *  @param fraction of the groups for @p second, in (0, 1)
 *  @param group "image" (as the reference: concepts stand on both sides), "concept" (no concept on both sides), "subject", "session" or "run"
 *  @param seed the same seed gives the same split
 *  @return ::ND_ERR_ARGUMENT; fewer than two groups included. */
ND_API nd_status nd_dataset_split(nd_dataset **first, nd_dataset **second, const nd_dataset *source, double fraction, const char *group, uint64_t seed);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
