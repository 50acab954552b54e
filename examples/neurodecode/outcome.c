#include "outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *report_of(const outcome *o, json_t *protocol, uint64_t seed)
{
    size_t needed;
    char *text = must(json_dumps(protocol, JSON_REAL_PRECISION(12))), *json = NULL;
    json_t *report = NULL;
    if (nd_metrics_to_json(o->ranks, o->n, o->n_gallery, text, seed, NULL, 0, &needed) == ND_OK) {
        json = must(malloc(needed));
        if (nd_metrics_to_json(o->ranks, o->n, o->n_gallery, text, seed, json, needed, NULL) == ND_OK) report = must(json_loads(json, 0, NULL));
    }
    if (!report) failed();
    double auc;
    if (report && o->scores && nd_metrics_auc(o->scores, o->positive, o->n, &auc) == ND_OK) json_object_set_new(report, "auc", json_real(auc));
    free(text);
    free(json);
    return report;
}

void add_people(outcome *o, const nd_dataset *d)
{
    json_t *people = must(json_object());
    nd_trial trial = { .size = sizeof trial };
    for (size_t i = 0; i < o->n && nd_dataset_get_trial(d, i, &trial) == ND_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)trial.subject);
        const json_t *before = json_object_get(people, name);
        json_int_t n = json_integer_value(json_object_get(before, "n")), top1 = json_integer_value(json_object_get(before, "top1_hits")),
                   top5 = json_integer_value(json_object_get(before, "top5_hits"));
        json_object_set_new(people, name,
                            json_pack("{s:I, s:I, s:I}", "n", n + 1, "top1_hits", top1 + (o->ranks[i] <= 1), "top5_hits", top5 + (o->ranks[i] <= 5)));
    }
    json_object_set_new(o->report, "subjects", people);
}

static double get(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

static void print_people(const json_t *people)
{
    const char *name;
    json_t *p;
    if (!people) return;
    printf("\n\n  person         trials      top-1      top-5");
    json_object_foreach((json_t *)people, name, p)
    {
        double n = get(p, "n");
        printf("\n  %-10s %10.0f %8.2f %% %8.2f %%", name, n, 100 * get(p, "top1_hits") / n, 100 * get(p, "top5_hits") / n);
    }
}

static void print_report(const outcome *o)
{
    static const char *const tops[] = { "top1", "top3", "top5" };
    const char *key;
    json_t *value;
    printf("%s: %zu trial%s, %zu candidate%s\n\n  %-10s %10s   %-19s %9s %10s\n", o->name, o->n, PLURAL(o->n), o->n_gallery, PLURAL(o->n_gallery), "",
           "accuracy", "95 % interval", "chance", "p");
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        const json_t *t = json_object_get(o->report, tops[i]);
        printf("  top-%-6c %8.2f %%   %6.2f .. %6.2f %%   %7.2f %% %10.2g\n", tops[i][3], 100 * get(t, "value"), 100 * get(t, "low"),
               100 * get(t, "high"), 100 * get(t, "chance"), get(t, "p"));
    }
    printf("\n  mean rank %.2f, median rank %.1f, mean 1/rank %.4f, pairwise %.4f (chance 0.5)\n  k-way     ", get(o->report, "mean_rank"),
           get(o->report, "median_rank"), get(o->report, "mrr"), get(o->report, "pairwise"));
    const char *between = "";
    json_object_foreach(json_object_get(o->report, "k_way"), key, value)
    {
        printf("%s%s: %.2f %%", between, key, 100 * json_number_value(value));
        between = "  ";
    }
    if (json_object_get(o->report, "auc")) printf("\n  area under the curve %.4f (chance 0.5)", get(o->report, "auc"));
    print_people(json_object_get(o->report, "subjects"));
    printf("\n\nProtocol\n");
    json_object_foreach(json_object_get(o->report, "protocol"), key, value)
    {
        char *text = must(json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)));
        printf("  %-22s %s%s\n", key, json_is_string(value) ? json_string_value(value) : text,
               ends_with(key, "_sample") || strcmp(key, "baseline") == 0 ? " s" : "");
        free(text);
    }
    putchar('\n');
}

static json_t *compare(const outcome *a, const outcome *b, size_t k, uint64_t seed)
{
    nd_comparison c = { .size = sizeof c };
    if (nd_metrics_compare(a->ranks, b->ranks, a->n, k, 0, seed, &c) != ND_OK) return NULL;
    return json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "difference", c.difference, "low", c.low, "high", c.high, "p", c.p_value, "only_first",
                     (json_int_t)c.only_first, "only_second", (json_int_t)c.only_second, "n", (json_int_t)c.n);
}

static void print_comparison(const char *name, const json_t *c)
{
    printf("  %-6s %+8.2f points   %+7.2f .. %+7.2f   p = %.2g   (only the first: %lld, only the second: %lld)\n", name, 100 * get(c, "difference"),
           100 * get(c, "low"), 100 * get(c, "high"), get(c, "p"), (long long)get(c, "only_first"), (long long)get(c, "only_second"));
}

int write_ranks(const char *path, const outcome *o, size_t n_models)
{
    float *columns = must(malloc(o->n * n_models * sizeof *columns));
    for (size_t i = 0; i < o->n; i++)
        for (size_t m = 0; m < n_models; m++) columns[i * n_models + m] = (float)o[m].ranks[i];
    nd_status status = nd_array_write(path, columns, (size_t[]){ o->n, n_models }, 2);
    free(columns);
    return status == ND_OK ? 0 : failed();
}

int report_one(const shared *all, const outcome *o)
{
    if (all->json)
        print_json(json_incref(o->report));
    else if (!all->quiet)
        print_report(o);
    return 0;
}

int report_two(const shared *all, const outcome *o)
{
    if (o[0].n != o[1].n) return refused("%s and %s have different trials: %zu and %zu", o[0].name, o[1].name, o[0].n, o[1].n);
    json_t *top1 = compare(&o[0], &o[1], 1, all->seed), *top5 = compare(&o[0], &o[1], 5, all->seed);
    int status = top1 && top5 ? 0 : failed();
    if (status == 0 && all->json) {
        print_json(json_pack("{s:[{s:s, s:O}, {s:s, s:O}], s:{s:O, s:O}}", "models", "name", o[0].name, "result", o[0].report, "name", o[1].name,
                             "result", o[1].report, "comparison", "top1", top1, "top5", top5));
    } else if (status == 0 && !all->quiet) {
        print_report(&o[0]);
        print_report(&o[1]);
        printf("%s minus %s, same trials, 95 %% interval, exact McNemar test\n", o[0].name, o[1].name);
        print_comparison("top-1", top1);
        print_comparison("top-5", top5);
    }
    json_decref(top1);
    json_decref(top5);
    return status;
}
