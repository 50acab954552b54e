#include "neurodecode/loss.h"

#include <math.h>

#include "api/handle.h"
#include "loss/loss.h"

static const nd_loss_options defaults = { .size = sizeof defaults, .temperature = 0.04, .vectors = ND_VECTOR_CENTRED_L2 };

nd_status nd_loss_options_init(nd_loss_options *options, size_t size) { return ndi_options_init(options, size, &defaults, sizeof defaults, "nd_loss_options"); }

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

nd_status nd_loss_evaluate(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim, double *value, float *grad_v, float *grad_z, double *grad_log_scale)
{
    REQUIRE(loss);
    REQUIRE(v);
    REQUIRE(z);
    REQUIRE(value);
    return ndi_loss_evaluate(loss, v, z, n, dim, value, grad_v, grad_z, grad_log_scale);
}
