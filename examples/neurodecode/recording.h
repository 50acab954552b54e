/* Options that say which trials and which image embeddings to take, the same for every command, and opening both. */
#ifndef RECORDING_H
#define RECORDING_H

#include <math.h>

#include "common.h"

typedef struct recording {
    const char *data, *variable, *axes, *images, *channel_names, *subjects, *store; /* which file, and what it does not say itself */
    double rate, start;                                                             /* 0 and NaN = from the file */
    bool average;
    const char *channels; /* what to keep of it, in this order: baseline, normalise, channels, window */
    double baseline[2], window[2];
    uint32_t every;
    double model_rate;          /* of a model, 0 = unknown: which samples to take, where `every` does not say it */
    int32_t normalise;          /* -1 = not given */
    bool normalise_unless_done; /* `normalise` comes from a model: trials that are normalised already stay as they are */
} recording;

#define RECORDING_DEFAULTS \
    { \
        .start = NAN, .baseline = { NAN, NAN }, .window = { NAN, NAN }, .every = 1, .normalise = -1 \
    }

#define RECORDING_OPTIONS(values, field) \
    { .help = "Recordings:" }, { "data", \
                                 'd', \
                                 "FILE", \
                                 WORD, \
                                 offsetof(values, field.data), \
                                 0, \
                                 0, \
                                 "recordings in a file: .npy, .npz, .safetensors, .csv, a pickle, a store" }, \
        { "variable", 0, "NAME", WORD, offsetof(values, field.variable), 0, 0, "array to read, of a file with several" }, \
        { "axes", \
          0, \
          "LIST", \
          WORD, \
          offsetof(values, field.axes), \
          0, \
          0, \
          "what its dimensions are, in order: trial concept image repetition subject channel sample (default by their number)" }, \
        { "images", 0, "FILE", WORD, offsetof(values, field.images), 0, 0, "image ids, one a line, or an image_metadata.npy (default 0, 1, ...)" }, \
        { "channel-names", 0, "LIST", WORD, offsetof(values, field.channel_names), 0, 0, "names for a file without them" }, \
        { "rate", 0, "HZ", REAL, offsetof(values, field.rate), 0, 1e6, "samples per second (default from the file, else 1)" }, \
        { "start", 0, "S", REAL, offsetof(values, field.start), -1e6, 1e6, "time of the first sample, seconds (default from the file, else 0)" }, \
        { "subject", 'n', "LIST", WORD, offsetof(values, field.subjects), 0, 0, "people of a data set's folder, from 1, as in 1,2,5 (default 1)" }, \
        { "store", \
          0, \
          "DIR", \
          WORD, \
          offsetof(values, field.store), \
          0, \
          0, \
          "keep float32 copies of a data set's recordings there, for the next time and to save memory" }, \
        { "average", \
          0, \
          NULL, \
          FLAG, \
          offsetof(values, field.average), \
          0, \
          0, \
          "average the repetitions of each image of --data (a folder's are always averaged)" }, \
        { .help = "What to take of them:" }, { "channels", \
                                               0, \
                                               "LIST", \
                                               WORD, \
                                               offsetof(values, field.channels), \
                                               0, \
                                               0, \
                                               "names, or regions: frontal central temporal parietal occipital (default all)" }, \
        { "baseline", 0, "A:B", SPAN, offsetof(values, field.baseline), 0, 0, "subtract each channel's mean over A <= t < B, seconds" }, \
        { "window", 0, "A:B", SPAN, offsetof(values, field.window), 0, 0, "keep A <= t < B, seconds" }, \
        { "every", 0, "N", WHOLE, offsetof(values, field.every), 1, 1e6, "of these every N-th sample (default 1)" }, \
    { \
        "normalise", 0, "none|zscore|reference", CHOICE, offsetof(values, field.normalise), 0, 0, \
            "each channel of each trial: as it is (default), to mean 0 and deviation 1, or as the reference system does" \
    }

/* Trials of --data, or of one partition ("training", "test") of the people of a data set's folder (NULL = --data). NULL after a message. */
nd_dataset *open_recording(const recording *r, const char *folder, const char *partition, const shared *all);

typedef struct images {
    const char *bank, *suffix, *ids, *align;
} images;

#define IMAGE_OPTIONS(values, field) \
    { .help = "Image embeddings:" }, { "embeddings", \
                                       'e', \
                                       "SUFFIX", \
                                       WORD, \
                                       offsetof(values, field.suffix), \
                                       0, \
                                       0, \
                                       "image model whose files <image>_<SUFFIX>.npy to take (default the only one)" }, \
        { "bank", \
          'b', \
          "FILE|DIR", \
          WORD, \
          offsetof(values, field.bank), \
          0, \
          0, \
          "embeddings in a file or folder; 'one-hot' = the images themselves, as in classification" }, \
        { "bank-images", 0, "FILE", WORD, offsetof(values, field.ids), 0, 0, "image ids of its rows, where the file has none (default 0, 1, ...)" }, \
    { \
        "align", 0, "NPZ", WORD, offsetof(values, field.align), 0, 0, "human-alignment transform to apply to them: weights, mean, std, perhaps bias" \
    }

/* The bank of the options, or of the data set's folder. `which` replaces the suffix or the bank of the options where it is not NULL. NULL after a
 * message. */
nd_bank *open_images(const images *i, const char *which, const char *folder, const char *partition, const nd_dataset *dataset, const shared *all);

/* 0, or 2 after a message: numbers of people with commas between them, none of them twice. */
int check_subjects(const char *list);

/* 0, or 2 after a message: whether the options say where recordings and (unless NULL) embeddings are. */
int check_sources(const recording *r, const images *i, const char *folder);

/* Sets what the options leave open to what the encoder was trained with: the normalisation and, for a data set's folder, channels and window.
 * Returns the list of channels that `r` now refers to, to be freed by the caller, or NULL. */
char *take_input(recording *r, const nd_encoder *encoder, bool from_folder);

/* Embeds all trials of `name` (n_trials x embed_dim; the caller frees it). Channels, rate and window are checked where the recording knows them. NULL after
 * a message. */
float *embed_trials(const nd_encoder *encoder, const nd_dataset *dataset, const char *name, const shared *all);

#endif
