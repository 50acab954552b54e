#include "neurodecode/preparation.h"

#include "api/handle.h"
#include "data/preparation.h"

nd_status nd_preparation_kind_get_info(size_t index, nd_preparation_kind_info *info)
{
    size_t n = 0;
    while (ndi_preparation_kinds[n]) n++;
    CHECK(index < n, ND_ERR_ARGUMENT, "preparation kinds: index %zu, there are %zu", index, n);
    const preparation_kind *k = ndi_preparation_kinds[index];
    nd_preparation_kind_info known = { sizeof known, k->name, k->title, k->source };
    return ndi_struct_out(info, &known, sizeof known, "nd_preparation_kind_info");
}

nd_status nd_preparation_kind_get_param(const char *kind, size_t index, nd_param_info *info)
{
    REQUIRE(kind);
    const preparation_kind *k;
    TRY(ndi_preparation_kind_find(kind, &k));
    CHECK(index < k->n_params, ND_ERR_ARGUMENT, "%s: parameter %zu, there are %zu", kind, index, k->n_params);
    const param *p = &k->params[index];
    nd_param_info known = { sizeof known, p->name, p->meaning, p->value, p->reference, p->min, p->max };
    return ndi_struct_out(info, &known, sizeof known, "nd_param_info");
}

static const nd_preparation_options defaults = { .size = sizeof defaults };

nd_status nd_preparation_options_init(nd_preparation_options *options, size_t size)
{
    return ndi_options_init(options, size, &defaults, sizeof defaults, "nd_preparation_options");
}

nd_status nd_preparation_create(nd_preparation **preparation, const char *kind, const char *source, const nd_preparation_options *options)
{
    REQUIRE(preparation);
    *preparation = NULL;
    REQUIRE(kind);
    REQUIRE(source);
    REQUIRE(options);
    nd_preparation_options o = defaults;
    const preparation_kind *k;
    TRY(ndi_options_in(&o, sizeof o, options, "nd_preparation_options"));
    CHECK(o.reserved == 0, ND_ERR_ARGUMENT, "nd_preparation_options: reserved: got %d, expected 0", (int)o.reserved);
    CHECK(o.output && *o.output, ND_ERR_ARGUMENT, "nd_preparation_options: output: got none, expected a folder");
    TRY(ndi_preparation_kind_find(kind, &k));
    return ndi_preparation_create(preparation, k, source, &o);
}

nd_status nd_preparation_get_report(const nd_preparation *preparation, char *json, size_t capacity, size_t *needed)
{
    REQUIRE(preparation);
    text t = { 0 };
    nd_status status = ndi_preparation_report(preparation, &t);
    if (status == ND_OK) status = ndi_text_out(t.s, json, capacity, needed);
    ndi_text_free(&t);
    return status;
}

nd_status nd_preparation_run(nd_preparation *preparation, nd_progress_fn progress_fn, void *user)
{
    REQUIRE(preparation);
    return ndi_preparation_run(preparation, progress_fn, user);
}

void nd_preparation_free(nd_preparation *preparation) { ndi_preparation_free(preparation); }
