/* The image side of a shared space: a bank whose first layer has gone through a projector. */
#include "data/bank_layers.h"
#include "encoders/encoder.h"

nd_status ndi_encoder_embed_bank(const nd_encoder *e, const nd_bank *bank, nd_bank **out)
{
    size_t dim = ndi_bank_dim(bank, 0);
    const char *name = ndi_bank_layer_name(bank, 0);
    CHECK(e->s.channels == dim && e->s.samples == 1, ND_ERR_ARGUMENT, "embed: layer '%s' of the bank has vectors of %zu, the encoder takes %zu x %zu",
          name, dim, e->s.channels, e->s.samples);
    nd_bank *b = NULL;
    float *vectors;
    nd_status status;
    GO(ndi_bank_new(&b, 1));
    GO(ndi_bank_add_images_of(b, bank));
    GO(ndi_bank_add_layer(b, name, e->s.dim, &vectors));
    GO(ndi_encoder_embed(e, ndi_bank_vectors(bank, 0), NULL, ndi_bank_images(bank), vectors));
    *out = b;
    b = NULL;
done:
    ndi_bank_free(b);
    return status;
}
