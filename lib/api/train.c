#include "neurodecode/train.h"

#include "api/handle.h"
#include "train/trainer.h"

nd_status nd_augmentation_get_info(size_t index, nd_param_info *info)
{
    CHECK(index < NDI_AUGMENTATIONS, ND_ERR_ARGUMENT, "augmentations: index %zu, there are %d", index, (int)NDI_AUGMENTATIONS);
    const param *p = &ndi_augmentations[index];
    nd_param_info known = { sizeof known, p->name, p->meaning, p->value, p->reference, p->min, p->max };
    return ndi_struct_out(info, &known, sizeof known, "nd_param_info");
}

nd_status nd_train_options_init_recipe(nd_train_options *options, size_t size, const char *recipe)
{
    REQUIRE(recipe);
    nd_train_options known;
    TRY(ndi_train_recipe(&known, recipe));
    return ndi_options_init(options, size, &known, sizeof known, "nd_train_options");
}

nd_status nd_train_options_init(nd_train_options *options, size_t size) { return nd_train_options_init_recipe(options, size, "default"); }

static nd_status options_in(nd_train_options *o, const nd_train_options *given)
{
    TRY(ndi_train_recipe(o, "default"));
    return ndi_options_in(o, sizeof *o, given, "nd_train_options");
}

nd_status nd_trainer_create(nd_trainer **trainer, nd_encoder *encoder, nd_loss *loss, const nd_dataset *dataset, const nd_bank *bank, const nd_train_options *options)
{
    REQUIRE(trainer);
    *trainer = NULL;
    REQUIRE(encoder);
    REQUIRE(dataset);
    REQUIRE(bank);
    nd_train_options o;
    TRY(options_in(&o, options));
    return ndi_trainer_create(trainer, encoder, loss, dataset, bank, &o);
}

nd_status nd_trainer_resume(nd_trainer *trainer, const char *checkpoint)
{
    REQUIRE(trainer);
    REQUIRE(checkpoint);
    return ndi_trainer_resume(trainer, checkpoint);
}

nd_status nd_trainer_save(const nd_trainer *trainer, const char *checkpoint)
{
    REQUIRE(trainer);
    REQUIRE(checkpoint);
    return ndi_trainer_save(trainer, checkpoint);
}

void nd_trainer_free(nd_trainer *trainer) { ndi_trainer_free(trainer); }

nd_status nd_trainer_get_info(const nd_trainer *trainer, nd_train_info *info)
{
    REQUIRE(trainer);
    nd_train_info known;
    ndi_trainer_info(trainer, &known);
    return ndi_struct_out(info, &known, sizeof known, "nd_train_info");
}

nd_status nd_trainer_step(nd_trainer *trainer, double *loss)
{
    REQUIRE(trainer);
    return ndi_trainer_step(trainer, loss);
}

nd_status nd_trainer_run(nd_trainer *trainer, nd_progress_fn fn, void *user)
{
    REQUIRE(trainer);
    return ndi_trainer_run(trainer, fn, user);
}

nd_status nd_trainer_take_best(nd_trainer *trainer)
{
    REQUIRE(trainer);
    return ndi_trainer_take_best(trainer);
}
