/* neurodecode prepare recording: from continuous recordings to a store of trials. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"

typedef struct values {
    shared all;
    const char *output, *variable, *channel_names, *types, *unit, *stim, *events, *drop, *images, *partition, *pick, *channels, *reference, *notch,
        *reject, *flat;
    double source_rate, min_duration, low, high, rate, window[2], baseline[2];
    int32_t filter, method, baseline_kind;
    uint32_t order, decimate, subject, session;
    bool dry_run, bids;
} values;

enum { FILTER_BUTTERWORTH = 1, METHOD_POLYPHASE = 1, MAX_NOTCHES = 64, MAX_FILES = 1000 };

static const values defaults = {
    .all = SHARED_DEFAULTS, .window = { -0.2, 1 }, .baseline = { NAN, NAN }, .order = 4, .decimate = 1, .baseline_kind = 1
};

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "What to make:" },
    { "output", 'o', "STORE", WORD, AT(output), 0, 0, "file for the trials, .safetensors (required, but with --dry-run)" },
    { "dry-run", 0, NULL, FLAG, AT(dry_run), 0, 0, "only say what is there and how many trials there would be" },
    { .help = "What the files do not say themselves:" },
    { "variable", 0, "NAME", WORD, AT(variable), 0, 0, "array to read, of a file with several" },
    { "channel-names", 0, "LIST", WORD, AT(channel_names), 0, 0, "names for a file without them" },
    { "types", 0, "LIST", WORD, AT(types), 0, 0, "type of each channel, or one for all: eeg eog mag stim ..." },
    { "unit", 0, "UNIT", WORD, AT(unit), 0, 0, "of channels without one, as uV" },
    { "bids", 0, NULL, FLAG, AT(bids), 0, 0, "events and channels from the tables of BIDS beside each file: ..._events.tsv, ..._channels.tsv" },
    { "rate", 0, "HZ", REAL, AT(source_rate), 0, 1e6, "samples per second of an array without it" },
    { "subject", 'n', "N", WHOLE, AT(subject), 0, 9999, "number of the person (default 0, unknown)" },
    { "session", 0, "N", WHOLE, AT(session), 0, 9999, "number of the session (default 0, unknown); files are runs 1, 2, ..." },
    { .help = "Events:" },
    { "stim", 0, "LIST", WORD, AT(stim), 0, 0, "trigger channels (default those of type stim, where the file lists no events)" },
    { "min-duration", 0, "S", REAL, AT(min_duration), 0, 1e3, "a trigger that lasts no longer is bounce (default 0)" },
    { "events", 0, "TEXT", WORD, AT(events), 0, 0, "which become trials, as \"house=1 face=2\": image id = code (default all)" },
    { "drop", 0, "CODES", WORD, AT(drop), 0, 0, "which do not" },
    { "images", 0, "FILE", WORD, AT(images), 0, 0, "image ids, one a line, or an image_metadata.npy: code k is the k-th" },
    { "partition", 0, "training|test", WORD, AT(partition), 0, 0, "which list of an image_metadata.npy" },
    { .help = "Signal, in this order:" },
    { "pick", 0, "LIST", WORD, AT(pick), 0, 0, "go on with these channels: names, types, regions, /expressions/ (default all)" },
    { "reference", 0, "LIST", WORD, AT(reference), 0, 0, "subtract the mean of these channels, or average" },
    { "notch", 0, "HZ,...", WORD, AT(notch), 0, 0, "remove narrow bands, as of the mains: 50,100" },
    { "low", 0, "HZ", REAL, AT(low), 0, 1e6, "remove what is slower" },
    { "high", 0, "HZ", REAL, AT(high), 0, 1e6, "remove what is faster" },
    { "filter", 0, "fir|butterworth", CHOICE, AT(filter), 0, 0, "kind of filter for --low and --high (default fir)" },
    { "order", 0, "N", WHOLE, AT(order), 1, 16, "of a Butterworth filter (default 4)" },
    { "resample", 0, "HZ", REAL, AT(rate), 0, 1e6, "new rate" },
    { "method", 0, "fourier|polyphase", CHOICE, AT(method), 0, 0, "of resampling (default fourier)" },
    { .help = "Trials:" },
    { "channels", 0, "LIST", WORD, AT(channels), 0, 0, "of the trials, likewise (default all signals)" },
    { "window", 0, "A:B", SPAN, AT(window), 0, 0, "seconds from the event, both ends included (default -0.2:1)" },
    { "baseline", 0, "A:B", SPAN, AT(baseline), 0, 0, "seconds of the baseline, both ends included (default up to the event)" },
    { "baseline-kind", 0, "none|mean|zscore", CHOICE, AT(baseline_kind), 0, 0,
      "subtract the mean (default), divide by the deviation too, or nothing" },
    { "reject", 0, "TEXT", WORD, AT(reject), 0, 0, "largest peak-to-peak amplitude by type, as \"eeg=150e-6\" in volts" },
    { "flat", 0, "TEXT", WORD, AT(flat), 0, 0, "smallest one" },
    { "decimate", 0, "N", WHOLE, AT(decimate), 1, 1e6, "keep every N-th sample; filter first (default 1)" },
    { 0 },
};

static const char help[] =
    "Cuts trials out of continuous recordings (EDF, BDF, BrainVision, FIF, EEGLAB, tables, arrays) and writes them to a store: finds "
    "the events, picks channels, "
    "references, filters, resamples, cuts, takes the baseline off, rejects. Several files of one person "
    "become one store, each as a run of its own. Memory holds the trials and a few channels, not the recordings.\v"
    "Examples:\n"
    "  neurodecode prepare recording sub-01_task.vhdr -o sub-01.safetensors --low 0.1 --high 100 --resample 250 --dry-run\n"
    "  neurodecode prepare recording session1/*.csv -o person1.safetensors --unit uV --events \"house=1 face=2\" \\\n"
    "      --low 1 --high 30 --filter butterworth --window -0.1:0.8 --reject eeg=200e-6\n"
    "  neurodecode prepare recording ds/sub-01/eeg/*_eeg.vhdr -o sub-01.safetensors --bids\n";

/* ---- one recording ---- */

/* Takes the result of an operation in place of what it was made from. */
static bool replace(nd_recording **r, nd_status status, nd_recording *const *made)
{
    nd_recording_free(*r);
    *r = status == ND_OK ? *made : NULL;
    return status == ND_OK;
}

static bool has_triggers(const nd_recording *r, size_t n_channels)
{
    nd_channel ch = { .size = sizeof ch };
    for (size_t c = 0; c < n_channels; c++)
        if (nd_recording_get_channel(r, c, &ch) == ND_OK && strcmp(ch.type, "stim") == 0) return true;
    return false;
}

/* The file with its events: its own, or those of trigger channels. */
static nd_recording *open_file(const values *v, const char *path)
{
    nd_recording_options o;
    nd_events_options e;
    nd_recording_info info = { .size = sizeof info };
    nd_recording *r = NULL, *found = NULL;
    nd_recording_options_init(&o, sizeof o);
    nd_events_options_init(&e, sizeof e);
    o.variable = v->variable;
    o.channels = v->channel_names;
    o.types = v->types;
    o.unit = v->unit;
    o.rate = v->source_rate;
    o.bids = v->bids;
    e.channels = v->stim;
    e.min_duration = v->min_duration;
    if (nd_recording_open(&r, path, &o) != ND_OK || nd_recording_get_info(r, &info) != ND_OK) return NULL;
    if (v->stim || (info.n_events == 0 && has_triggers(r, info.n_channels))) replace(&r, nd_recording_find_events(&found, r, &e), &found);
    return r;
}

static bool notch(nd_recording **r, const values *v)
{
    double frequencies[MAX_NOTCHES];
    size_t n = 0;
    nd_recording *made = NULL;
    for (const char *s = v->notch; *s && n < MAX_NOTCHES;) {
        char *end;
        frequencies[n++] = strtod(s, &end);
        s = *end == ',' ? end + 1 : end;
        if (*end && *end != ',') frequencies[n - 1] = NAN; /* the library says what is wrong with it */
        if (*end && *end != ',') break;
    }
    return replace(r, nd_recording_notch(&made, *r, frequencies, n, show_progress, (void *)&v->all), &made);
}

static bool filter(nd_recording **r, const values *v)
{
    nd_filter_options o;
    nd_recording *made = NULL;
    nd_filter_options_init(&o, sizeof o);
    o.low = v->low;
    o.high = v->high;
    o.kind = v->filter == FILTER_BUTTERWORTH ? ND_FILTER_BUTTERWORTH : ND_FILTER_FIR;
    o.order = (int32_t)v->order;
    o.n_threads = (int32_t)v->all.threads;
    return replace(r, nd_recording_filter(&made, *r, &o, show_progress, (void *)&v->all), &made);
}

static bool resample(nd_recording **r, const values *v)
{
    nd_recording *made = NULL;
    nd_status status = v->method == METHOD_POLYPHASE ? nd_recording_resample_polyphase(&made, *r, v->rate, show_progress, (void *)&v->all)
                                                     : nd_recording_resample(&made, *r, v->rate, show_progress, (void *)&v->all);
    return replace(r, status, &made);
}

static bool process(nd_recording **r, const values *v)
{
    nd_recording *made = NULL;
    const char *wanted = v->pick ? v->pick : v->reference ? NULL : v->channels; /* a reference may need channels that trials do not have */
    bool done = !wanted || replace(r, nd_recording_select_channels(&made, *r, wanted), &made);
    done = done && (!v->reference || replace(r, nd_recording_rereference(&made, *r, v->reference), &made));
    done = done && (!v->notch || notch(r, v));
    done = done && ((v->low == 0 && v->high == 0) || filter(r, v));
    done = done && (v->rate == 0 || resample(r, v));
    end_progress();
    return done;
}

/* ---- what is said of it ---- */

/* Number of events by code, and what the header says. */
static json_t *describe(const nd_recording *r, const char *path)
{
    nd_recording_info info = { .size = sizeof info };
    nd_event e = { .size = sizeof e };
    nd_recording_get_info(r, &info);
    json_t *events = must(json_object());
    for (size_t i = 0; i < info.n_events && nd_recording_get_event(r, i, &e) == ND_OK; i++) {
        char code[16];
        snprintf(code, sizeof code, "%d", (int)e.code);
        json_object_set_new(events, code, json_integer(json_integer_value(json_object_get(events, code)) + 1));
    }
    return must(json_pack("{s:s, s:s, s:I, s:I, s:f, s:o}", "file", path, "format", info.format, "channels", (json_int_t)info.n_channels, "samples",
                          (json_int_t)info.n_samples, "rate", info.rate, "events", events));
}

static void print_file(const json_t *about)
{
    const char *code;
    json_t *count;
    printf("%s: %lld channels x %lld samples at %g Hz, events", json_string_value(json_object_get(about, "file")),
           (long long)json_integer_value(json_object_get(about, "channels")), (long long)json_integer_value(json_object_get(about, "samples")),
           json_real_value(json_object_get(about, "rate")));
    json_object_foreach(json_object_get(about, "events"), code, count) printf(" %s: %lld", code, (long long)json_integer_value(count));
    putchar('\n');
}

static void print_trials(const json_t *about)
{
    const json_t *t = json_object_get(about, "trials");
    const char *names[] = { "outside", "bad", "too_large", "flat" }, *channel = json_string_value(json_object_get(t, "worst_channel"));
    printf("  %lld of %lld events became trials", (long long)json_integer_value(json_object_get(t, "kept")),
           (long long)json_integer_value(json_object_get(t, "events")));
    for (size_t i = 0; i < 4; i++) {
        const long long n = json_integer_value(json_object_get(t, names[i]));
        if (n)
            printf(", %lld %s", n,
                   strcmp(names[i], "too_large") == 0 ? "too large"
                   : strcmp(names[i], "outside") == 0 ? "not all inside the recording"
                                                      : names[i]);
    }
    if (channel) printf("; most often for %s", channel);
    putchar('\n');
}

static json_t *report_json(const nd_epoch_report *e, const nd_dataset *d)
{
    const char *channel = NULL;
    json_t *t = must(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "events", (json_int_t)e->n_events, "kept", (json_int_t)e->n_kept, "outside",
                               (json_int_t)e->n_outside, "bad", (json_int_t)e->n_bad, "too_large", (json_int_t)e->n_peak_to_peak, "flat",
                               (json_int_t)e->n_flat));
    if (d && e->worst_count && nd_dataset_get_channel(d, e->worst_channel, &channel) == ND_OK)
        json_object_set_new(t, "worst_channel", json_string(channel));
    return t;
}

/* ---- before any work ---- */

/* Whether a list of codes, "house=1 face=2" or "1 2", has this one. */
static bool lists_code(const char *list, int32_t code)
{
    for (const char *s = list; *s;) {
        const size_t n = strcspn(s, " ,"), equals = strcspn(s, "=");
        if (n && strtol(equals < n ? s + equals + 1 : s, NULL, 10) == code) return true;
        s += n + (s[n] != '\0');
    }
    return false;
}

static size_t count_trials(const nd_recording *r, const values *v, size_t n_events)
{
    size_t n = 0;
    nd_event e = { .size = sizeof e };
    for (size_t i = 0; i < n_events && nd_recording_get_event(r, i, &e) == ND_OK; i++)
        n += strncasecmp(e.text, "bad", 3) != 0 && (!v->events || lists_code(v->events, e.code)) && !(v->drop && lists_code(v->drop, e.code));
    return n;
}

static size_t count_signals(const nd_recording *r, size_t n_channels)
{
    size_t n = 0;
    nd_channel ch = { .size = sizeof ch };
    for (size_t c = 0; c < n_channels && nd_recording_get_channel(r, c, &ch) == ND_OK; c++)
        n += strcmp(ch.type, "stim") != 0 && strcmp(ch.type, "misc") != 0 && strcmp(ch.type, "syst") != 0 && strcmp(ch.type, "exci") != 0;
    return n;
}

/* What there would be: trials, their size, and the memory they take. */
static bool foresee(nd_recording **r, const values *v, json_t *about)
{
    nd_recording_info info = { .size = sizeof info };
    nd_recording *made = NULL;
    const char *wanted = v->channels ? v->channels : v->pick;
    if (wanted && !replace(r, nd_recording_select_channels(&made, *r, wanted), &made)) return false;
    if (nd_recording_get_info(*r, &info) != ND_OK) return false;
    const double rate = v->rate > 0 ? v->rate : info.rate, window = rint(v->window[1] * rate) - rint(v->window[0] * rate) + 1;
    const size_t n_trials = count_trials(*r, v, info.n_events), n_channels = wanted ? info.n_channels : count_signals(*r, info.n_channels);
    const double samples = ceil(window / v->decimate), bytes = (double)n_trials * (double)n_channels * samples * sizeof(float);
    json_object_set_new(about, "expected",
                        json_pack("{s:I, s:I, s:I, s:I}", "trials", (json_int_t)n_trials, "channels", (json_int_t)n_channels, "samples",
                                  (json_int_t)samples, "bytes", (json_int_t)bytes));
    return true;
}

static void print_expected(const json_t *about)
{
    const json_t *e = json_object_get(about, "expected");
    printf("  %lld trials at the most x %lld channels x about %lld samples, %.1f MB\n", (long long)json_integer_value(json_object_get(e, "trials")),
           (long long)json_integer_value(json_object_get(e, "channels")), (long long)json_integer_value(json_object_get(e, "samples")),
           (double)json_integer_value(json_object_get(e, "bytes")) / 1e6);
}

/* ---- all files ---- */

static nd_epoch_options epoch_options(const values *v, int32_t run)
{
    nd_epoch_options o;
    nd_epoch_options_init(&o, sizeof o);
    o.start = v->window[0];
    o.end = v->window[1];
    o.baseline = v->baseline_kind;
    if (!isnan(v->baseline[0])) o.baseline_start = v->baseline[0] == -FAR_AWAY ? NAN : v->baseline[0];
    if (!isnan(v->baseline[0])) o.baseline_end = v->baseline[1] == FAR_AWAY ? NAN : v->baseline[1];
    o.decimate = (int32_t)v->decimate;
    o.events = v->events;
    o.drop = v->drop;
    o.images = v->images;
    o.partition = v->images ? v->partition : NULL;
    o.channels = v->channels;
    o.reject = v->reject;
    o.flat = v->flat;
    o.subject = (int32_t)v->subject;
    o.session = (int32_t)v->session;
    o.run = run;
    o.n_threads = (int32_t)v->all.threads;
    return o;
}

static bool shows(const values *v) { return !v->all.json && (!v->all.quiet || v->dry_run); }

/* A file all of whose events are rejected gives no dataset and is no failure. */
static int cut(const values *v, nd_recording **r, int32_t run, nd_dataset **d, json_t *about)
{
    nd_epoch_report report = { .size = sizeof report };
    const nd_epoch_options o = epoch_options(v, run);
    if (!process(r, v)) return failed();
    nd_status status = nd_recording_epoch(d, *r, &o, &report, show_progress, (void *)&v->all);
    end_progress();
    if (status != ND_OK && (report.n_events == 0 || report.n_kept > 0)) return failed();
    json_object_set_new(about, "trials", report_json(&report, *d));
    if (shows(v)) print_trials(about);
    return 0;
}

/* Puts the trials behind those that were there. */
static int append(nd_dataset **all, nd_dataset *d)
{
    nd_dataset *joined = NULL;
    if (!*all || !d) {
        *all = d ? d : *all;
        return 0;
    }
    nd_status status = nd_dataset_concat(&joined, *all, d);
    nd_dataset_free(d);
    if (status != ND_OK) return failed();
    nd_dataset_free(*all);
    *all = joined;
    return 0;
}

static int add_file(const values *v, const char *path, int32_t run, nd_dataset **all, json_t *files)
{
    nd_dataset *d = NULL;
    nd_recording *r = open_file(v, path);
    if (!r) return failed();
    json_t *about = describe(r, path);
    json_array_append_new(files, about);
    if (shows(v)) print_file(about);
    int status = 0;
    if (!v->dry_run)
        status = cut(v, &r, run, &d, about);
    else if (!foresee(&r, v, about))
        status = failed();
    else if (shows(v))
        print_expected(about);
    nd_recording_free(r);
    return status ? status : append(all, d);
}

static int finish(const values *v, const nd_dataset *d, json_t *files)
{
    nd_dataset_info info = { .size = sizeof info };
    if (!d) return refused("prepare recording: no file has a trial");
    nd_status status = nd_dataset_save(d, v->output, show_progress, (void *)&v->all);
    end_progress();
    if (status != ND_OK || nd_dataset_get_info(d, &info) != ND_OK) return failed();
    if (v->all.json)
        print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:O}", "out", v->output, "trials", (json_int_t)info.n_trials, "channels",
                             (json_int_t)info.n_channels, "samples", (json_int_t)info.n_samples, "images", (json_int_t)info.n_images, "rate",
                             info.rate, "start", info.start, "files", files));
    else if (!v->all.quiet)
        printf("%s: %zu trial%s x %zu channel%s x %zu sample%s, %zu image%s, %g samples per second from %g s\n", v->output, info.n_trials,
               PLURAL(info.n_trials), info.n_channels, PLURAL(info.n_channels), info.n_samples, PLURAL(info.n_samples), info.n_images,
               PLURAL(info.n_images), info.rate, info.start);
    return 0;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    nd_dataset *all = NULL;
    if (!v->output && !v->dry_run) return misused("prepare recording: which output? Give -o STORE");
    int status = 0;
    for (size_t i = 0; status == 0 && !v->dry_run && arguments[i]; i++)
        status = check_output("--output", v->output, "safetensors", FILES(arguments[i], v->images));
    json_t *files = must(json_array());
    for (int32_t i = 0; status == 0 && arguments[i]; i++) status = add_file(v, arguments[i], i + 1, &all, files);
    if (status == 0 && !v->dry_run) status = finish(v, all, files);
    if (status == 0 && v->dry_run && v->all.json) print_json(json_pack("{s:O}", "files", files));
    json_decref(files);
    nd_dataset_free(all);
    return status;
}

const command prepare_recording_command = {
    "prepare recording", "cut trials out of continuous recordings", "FILE...", help, options, &defaults, sizeof defaults, 1, MAX_FILES, run
};
