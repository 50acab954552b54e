/** @file recording.h
 *  @brief Continuous recordings: channels x samples with events, from the file of a recording system to trials. */
#ifndef NEURODECODE_RECORDING_H
#define NEURODECODE_RECORDING_H

#include "dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup recording Recording
 *  @brief A continuous signal, its channels and its events.
 *
 *  A recording never changes: operations make a new handle. Selecting channels, cropping and looking for events leave the samples where they are, in the
 *  file; re-referencing, filtering and resampling make a copy in memory, as double. Values are in volts, tesla or tesla per metre where the file says
 *  in which unit it holds them, otherwise as they stand. Samples count from 0, the first of the recording.
 *  @{ */

/** @brief Channels x samples with events. */
typedef struct nd_recording nd_recording;

/** @brief How to read or make a recording. */
typedef struct nd_recording_options {
    size_t size;           /**< set by nd_recording_options_init() */
    const char *variable;  /**< array of a file of arrays; NULL = `raw_eeg_data`, `data` or the only one with two dimensions */
    const char *channels;  /**< names for an array whose file has none, separated by blanks or commas; NULL = from the file (`ch_names`), else "0", "1", ... */
    const char *types;     /**< a type for each channel (`eeg`, `eog`, `stim`, ...), or one for all; NULL = from the file (`ch_types`), else by unit and name */
    const char *unit;      /**< what channels other than `stim` without a unit are in, as "uV"; NULL = unknown */
    double rate;           /**< samples per second of an array; 0 = from the file (`sfreq`, or a column of times), else 1 */
    int32_t bids;          /**< 1 = events, and names, types, units and states of the channels, come from the tables of BIDS beside the file, `<stem>_events.tsv`
                                and `<stem>_channels.tsv`, the stem being its name up to the last `_`; at least one of them must be there */
    int32_t reserved;      /**< 0 */
} nd_recording_options;

/** @brief Sizes and timing of a recording. */
typedef struct nd_recording_info {
    size_t size;         /**< set by the caller */
    size_t n_channels;   /**< rows */
    uint64_t n_samples;  /**< columns */
    size_t n_events;     /**< see nd_recording_get_event() */
    double rate;         /**< samples per second */
    const char *format;  /**< of the file it came from, "memory" for arrays and copies; lives as long as the recording */
} nd_recording_info;

/** @brief What is known of one channel. Texts live as long as the recording. */
typedef struct nd_channel {
    size_t size;       /**< set by the caller */
    const char *name;  /**< as in the file; "-0", "-1", ... are added to names that stand there more than once */
    const char *type;  /**< "eeg", "eog", "ecg", "emg", "mag", "grad", "ref_meg", "stim", "misc", ... */
    const char *unit;  /**< of the values; "" = unknown */
    int32_t bad;       /**< 1 = said to be bad: not part of trials unless it is named */
    int32_t reserved;  /**< 0 */
} nd_channel;

/** @brief One event: a trigger, a marker or an annotation. */
typedef struct nd_event {
    size_t size;        /**< set by the caller */
    uint64_t sample;    /**< when it begins */
    uint64_t duration;  /**< samples, 0 = a point in time or unknown */
    const char *text;   /**< "" for triggers; lives as long as the recording */
    int32_t code;       /**< of the trigger or the marker; where a file has texts only: the number they are, else their place (from 1) in alphabetical order */
    int32_t previous;   /**< value of the trigger channel before */
} nd_event;

/** @brief How to find events on trigger channels; the meanings are those of `mne.find_events`. */
typedef struct nd_events_options {
    size_t size;           /**< set by nd_events_options_init() */
    const char *channels;  /**< names of trigger channels; NULL = all of type `stim` */
    double min_duration;   /**< seconds; a value that does not last longer is taken for bounce */
    int32_t consecutive;   /**< which changes count: 0 = from zero only, 1 = to any value other than zero, 2 = rising ones (default) */
    int32_t initial_event; /**< 1 = a value other than zero at the first sample is an event */
    int32_t mask;          /**< only these bits of the values count; 0 = all */
    int32_t mask_not;      /**< 1 = all bits but those of `mask` */
} nd_events_options;

/** @brief Kinds of filters. */
enum {
    ND_FILTER_FIR = 0,         /**< linear phase, windowed sinc (Hamming), delay removed; lengths and transition bands as in MNE */
    ND_FILTER_BUTTERWORTH = 1  /**< second-order sections, forwards and backwards */
};

/** @brief How to filter. Triggers (`stim`) and channels of type `misc`, `syst`, `exci` stay as they are. */
typedef struct nd_filter_options {
    size_t size;        /**< set by nd_filter_options_init() */
    double low;         /**< Hz: what is slower is removed; 0 = nothing is */
    double high;        /**< Hz: what is faster is removed; 0 = nothing is */
    int32_t kind;       /**< ND_FILTER_...; default FIR */
    int32_t order;      /**< of the Butterworth filter, of each edge; default 4 */
    int32_t n_threads;  /**< 0 = all this process may use */
    int32_t reserved;   /**< 0 */
} nd_filter_options;

/** @brief How to cut trials out of a recording. */
typedef struct nd_epoch_options {
    size_t size;            /**< set by nd_epoch_options_init() */
    double start;           /**< seconds from the event, inclusive; default -0.2 */
    double end;             /**< seconds from the event, inclusive; default 1.0 */
    double baseline_start;  /**< seconds, inclusive, of the samples before any are left out; NaN (default) = from the first sample of the trial */
    double baseline_end;    /**< seconds, inclusive; default 0, NaN = to the last */
    int32_t baseline;       /**< 0 = none, 1 = subtract the mean (default), 2 = subtract the mean and divide by the population standard deviation */
    int32_t decimate;       /**< keep every n-th sample, time 0 among them; default 1. Filter first */
    const char *events;     /**< which events become trials, "house=1 face=2" (the trial's image id is the name) or "1 2" (it is the number); NULL = all */
    const char *drop;       /**< codes to leave out, as "99999" */
    const char *images;     /**< a file of image ids as in nd_dataset_options: code k is the k-th, from 1 */
    const char *partition;  /**< "training" or "test", for an `image_metadata.npy` */
    const char *channels;   /**< as in nd_recording_select_channels(); NULL = all but `stim`, `misc`, `syst`, `exci` and bad ones */
    const char *reject;     /**< largest peak-to-peak amplitude by type, in the channels' unit, "eeg=150e-6 eog=250e-6"; NULL = none */
    const char *flat;       /**< smallest peak-to-peak amplitude, likewise */
    int32_t subject;        /**< number of the person, 0 = unknown */
    int32_t n_threads;      /**< 0 = all this process may use */
} nd_epoch_options;

/** @brief What became of the events. */
typedef struct nd_epoch_report {
    size_t size;              /**< set by the caller */
    size_t n_events;          /**< that were to become trials */
    size_t n_kept;            /**< that did */
    size_t n_outside;         /**< dropped: their window is not all inside the recording */
    size_t n_bad;             /**< dropped: their window meets an event whose text begins with "bad" */
    size_t n_peak_to_peak;    /**< dropped: a channel varies more than `reject` says */
    size_t n_flat;            /**< dropped: a channel varies less than `flat` says */
    size_t worst_channel;     /**< index among the channels of the trials: the one that most often was the first to have a trial dropped */
    size_t worst_count;       /**< how often */
} nd_epoch_report;

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_recording_options_init(nd_recording_options *options, size_t size);

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_events_options_init(nd_events_options *options, size_t size);

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_filter_options_init(nd_filter_options *options, size_t size);

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_epoch_options_init(nd_epoch_options *options, size_t size);

/** @brief Opens EDF, EDF+, BDF, BrainVision (the header, `.vhdr`), FIF (raw, also in several files), a table with a column per channel (Muse, LSL; a column of
 *  times gives the rate), or a file of arrays such as the `raw_eeg_*.npy` of THINGS-EEG2. Samples stay in the file; of a gzipped one they are unpacked
 *  into memory. Annotations and markers become events; triggers are found by nd_recording_find_events().
 *  @return ::ND_ERR_IO, ::ND_ERR_FORMAT, ::ND_ERR_UNSUPPORTED, ... */
ND_API nd_status nd_recording_open(nd_recording **recording, const char *path, const nd_recording_options *options);

/** @brief Copies an array of @p n_channels x @p n_samples, C order. @param recording receives the handle @param data the samples @param n_channels rows
 *  @param n_samples columns @param options `channels`, `types`, `unit`, `rate` count; NULL = defaults
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_MEMORY. */
ND_API nd_status nd_recording_create(nd_recording **recording, const double *data, size_t n_channels, size_t n_samples, const nd_recording_options *options);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_recording_free(nd_recording *recording);

/** @brief Describes the recording. @param recording the handle @param info its `size` must be set. */
ND_API nd_status nd_recording_get_info(const nd_recording *recording, nd_recording_info *info);

/** @brief What is known of channel @p index. @param recording the handle @param index from 0 @param channel its `size` must be set. */
ND_API nd_status nd_recording_get_channel(const nd_recording *recording, size_t index, nd_channel *channel);

/** @brief Event @p index, in the order of time. @param recording the handle @param index from 0 @param event its `size` must be set. */
ND_API nd_status nd_recording_get_event(const nd_recording *recording, size_t index, nd_event *event);

/** @brief Reads samples @p first .. @p first + @p count - 1 of all channels into @p data (channels x count, room for @p capacity values).
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_BUFFER, ::ND_ERR_IO, ::ND_ERR_FORMAT. */
ND_API nd_status nd_recording_get_data(const nd_recording *recording, uint64_t first, size_t count, double *data, size_t capacity);

/** @brief Keeps the channels named, in the order named. @p channels is a list separated by commas or, without any, by blanks, of names, types (`eeg`), regions
 *  (`occipital`, see nd_dataset_select_channels()) and extended regular expressions between slashes (`/^(O|P)/`). A channel is taken once.
 *  @return ::ND_ERR_ARGUMENT for what fits no channel. */
ND_API nd_status nd_recording_select_channels(nd_recording **recording, const nd_recording *source, const char *channels);

/** @brief Keeps the samples with @p start <= t < @p end, seconds, and the events among them. */
ND_API nd_status nd_recording_crop(nd_recording **recording, const nd_recording *source, double start, double end);

/** @brief Looks for events on trigger channels. They replace the events there were, but for those whose text begins with "bad".
 *  @param recording receives the handle @param source where to look @param options NULL = defaults
 *  @return ::ND_ERR_ARGUMENT where there is no trigger channel. */
ND_API nd_status nd_recording_find_events(nd_recording **recording, const nd_recording *source, const nd_events_options *options);

/** @brief Gives the recording these events in place of the ones it has, but for those whose text begins with "bad".
 *  @param recording receives the handle @param source what to copy @param samples when each begins, in any order @param codes of each @param n how many
 *  @return ::ND_ERR_ARGUMENT for a sample after the end. */
ND_API nd_status nd_recording_set_events(nd_recording **recording, const nd_recording *source, const uint64_t *samples, const int32_t *codes, size_t n);

/** @brief Subtracts from the channels of type `eeg`, sample by sample, the mean of the channels named in @p reference, or of all of them for "average". */
ND_API nd_status nd_recording_rereference(nd_recording **recording, const nd_recording *source, const char *reference);

/** @brief Removes what is slower than `low` and faster than `high`. @return ::ND_ERR_ARGUMENT for edges that are not below half the rate or not in order;
 *  ::ND_ERR_CANCELLED. */
ND_API nd_status nd_recording_filter(nd_recording **recording, const nd_recording *source, const nd_filter_options *options, nd_progress_fn progress, void *user);

/** @brief Removes narrow bands around @p n frequencies, such as those of the mains: linear phase, each as wide as a 200th of the frequency, with
 *  transitions of 0.5 Hz on both sides. */
ND_API nd_status nd_recording_notch(nd_recording **recording, const nd_recording *source, const double *frequencies, size_t n, nd_progress_fn progress,
                                    void *user);

/** @brief Changes the rate by way of the frequencies: nothing above half the new rate remains. Triggers take the first value other than zero of each new sample's
 *  span. Arithmetic of `mne.io.Raw.resample`. */
ND_API nd_status nd_recording_resample(nd_recording **recording, const nd_recording *source, double rate, nd_progress_fn progress, void *user);

/** @brief Cuts trials out of the recording, one for each event, in the order of the events. Windows include both ends, as in MNE.
 *  @param dataset receives the trials
 *  @param source the recording
 *  @param options NULL = defaults
 *  @param report receives what became of the events, its `size` must be set; may be NULL
 *  @param progress may be NULL @param user for @p progress
 *  @return ::ND_ERR_ARGUMENT where no event is left, ::ND_ERR_NUMERIC, ::ND_ERR_CANCELLED, ... */
ND_API nd_status nd_recording_epoch(nd_dataset **dataset, const nd_recording *source, const nd_epoch_options *options, nd_epoch_report *report,
                                    nd_progress_fn progress, void *user);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
