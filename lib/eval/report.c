/* All figures of a retrieval as one JSON object. */
#include <string.h>

#include "eval/stats.h"
#include "io/json.h"

typedef struct ranking {
    const size_t *ranks;
    size_t n, n_gallery;
    uint64_t seed;
} ranking;

static nd_status add_top_k(json_t *report, const ranking *r, const char *key, size_t k)
{
    nd_estimate e;
    TRY(ndi_metrics_top_k(r->ranks, r->n, r->n_gallery, k < r->n_gallery ? k : r->n_gallery, 0, r->seed, &e));
    return ndi_json_set(report, key,
                        json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "value", e.value, "low", e.low, "high", e.high, "chance", e.chance, "p",
                                  e.p_value, "hits", (json_int_t)e.hits, "n", (json_int_t)e.n));
}

static nd_status add_summary(json_t *report, const nd_metrics *m)
{
    TRY(ndi_json_set(report, "mean_rank", json_real(m->mean_rank)));
    TRY(ndi_json_set(report, "median_rank", json_real(m->median_rank)));
    TRY(ndi_json_set(report, "mrr", json_real(m->mrr)));
    return ndi_json_set(report, "pairwise", json_real(m->pairwise));
}

static nd_status add_k_way(json_t *report, const ranking *r)
{
    static const struct { size_t k; const char *key; } ways[] = { { 2, "2" },   { 4, "4" },     { 10, "10" },
                                                               { 50, "50" }, { 100, "100" }, { 200, "200" } };
    json_t *object = json_object();
    TRY(ndi_json_set(report, "k_way", object));
    for (size_t i = 0; i < COUNT(ways) && ways[i].k <= r->n_gallery; i++) {
        double expected;
        TRY(ndi_metrics_k_way(r->ranks, r->n, r->n_gallery, ways[i].k, 0, r->seed, &expected, NULL));
        TRY(ndi_json_set(object, ways[i].key, json_real(expected)));
    }
    return ND_OK;
}

static nd_status add_protocol(json_t *report, const char *protocol)
{
    if (!protocol) return ND_OK;
    json_t *object;
    nd_status status = ndi_json_parse(&object, protocol, strlen(protocol), "metrics: protocol");
    if (status != ND_OK) return status == ND_ERR_FORMAT ? ND_ERR_ARGUMENT : status;
    if (!json_is_object(object)) {
        json_decref(object);
        return ndi_fail(ND_ERR_ARGUMENT, "metrics: protocol: got an array, expected an object");
    }
    return ndi_json_set(report, "protocol", object);
}

nd_status ndi_metrics_report(const size_t *ranks, size_t n_ranks, size_t n_gallery, const char *protocol, uint64_t seed, text *json)
{
    nd_metrics m;
    TRY(ndi_metrics_compute(ranks, n_ranks, n_gallery, &m));
    ranking r = { ranks, n_ranks, n_gallery, seed };
    nd_status status;
    json_t *report = json_pack("{s:I, s:I}", "n_queries", (json_int_t)n_ranks, "n_gallery", (json_int_t)n_gallery);
    GO(add_top_k(report, &r, "top1", 1));
    GO(add_top_k(report, &r, "top3", 3));
    GO(add_top_k(report, &r, "top5", 5));
    GO(add_summary(report, &m));
    GO(add_k_way(report, &r));
    GO(add_protocol(report, protocol));
    GO(ndi_json_dump(report, json));
done:
    json_decref(report);
    return status;
}
