#include "neurodecode/loss.h"

#include <math.h>

#include "api/handle.h"
#include "loss/loss.h"

static const nd_loss_options defaults = { .size = sizeof defaults, .vectors = ND_VECTOR_CENTRED_L2, .bias = -10 };

nd_status nd_loss_kind_get_info(size_t index, nd_loss_kind_info *info)
{
    size_t n = 0;
    while (ndi_loss_kinds[n]) n++;
    CHECK(index < n, ND_ERR_ARGUMENT, "loss kinds: index %zu, there are %zu", index, n);
    const loss_kind *k = ndi_loss_kinds[index];
    nd_loss_kind_info known = { sizeof known, k->name, k->title, k->source, k->temperature, k->biased ? defaults.bias : 0 };
    return ndi_struct_out(info, &known, sizeof known, "nd_loss_kind_info");
}

nd_status nd_loss_options_init(nd_loss_options *options, size_t size)
{
    return ndi_options_init(options, size, &defaults, sizeof defaults, "nd_loss_options");
}

nd_status nd_loss_create(nd_loss **loss, const char *kind, const nd_loss_options *options)
{
    REQUIRE(loss);
    *loss = NULL;
    nd_loss_options o = defaults;
    TRY(ndi_options_in(&o, sizeof o, options, "nd_loss_options"));
    CHECK(o.reserved == 0, ND_ERR_ARGUMENT, "nd_loss_options: reserved: got %d, expected 0", (int)o.reserved);
    return ndi_loss_create(loss, kind, &o);
}

void nd_loss_free(nd_loss *loss) { ndi_loss_free(loss); }

nd_status nd_loss_get_temperature(const nd_loss *loss, double *temperature)
{
    REQUIRE(loss);
    REQUIRE(temperature);
    *temperature = exp(-loss->log_scale);
    return ND_OK;
}

nd_status nd_loss_get_bias(const nd_loss *loss, double *bias)
{
    REQUIRE(loss);
    REQUIRE(bias);
    *bias = loss->bias;
    return ND_OK;
}

nd_status nd_loss_evaluate(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim, double *value, float *grad_v, float *grad_z,
                           double *grad_log_scale)
{
    REQUIRE(loss);
    REQUIRE(v);
    REQUIRE(z);
    REQUIRE(value);
    loss_call c = { .n = n, .dim = dim, .v = v, .z = z, .grad_v = grad_v, .grad_z = grad_z };
    TRY(ndi_loss_evaluate(loss, &c));
    *value = c.value;
    if (grad_log_scale) *grad_log_scale = c.grad_log_scale;
    return ND_OK;
}

nd_status nd_loss_evaluate_batch(const nd_loss *loss, const nd_loss_batch *batch, nd_loss_result *result, float *grad_v, float *grad_z)
{
    REQUIRE(loss);
    REQUIRE(batch);
    REQUIRE(result);
    nd_loss_batch b = { .size = sizeof b };
    TRY(ndi_options_in(&b, sizeof b, batch, "nd_loss_batch"));
    REQUIRE(b.v);
    REQUIRE(b.z);
    CHECK(result->size >= sizeof result->size, ND_ERR_ARGUMENT, "nd_loss_result: size: got %zu, expected sizeof(nd_loss_result)", result->size);
    loss_call c = {
        .n = b.n, .dim = b.dim, .v = b.v, .z = b.z, .images = b.images, .partner = b.partner, .share = b.share, .grad_v = grad_v, .grad_z = grad_z
    };
    TRY(ndi_loss_evaluate(loss, &c));
    nd_loss_result known = { sizeof known, c.value, c.grad_log_scale, c.grad_bias };
    return ndi_struct_out(result, &known, sizeof known, "nd_loss_result");
}
