/* neurodecode align: makes image embeddings human-aligned by a linear transform. */
#include <stdio.h>
#include <stdlib.h>

#include "recording.h"

typedef struct values {
    shared all;
    images pictures; /* its bank is the argument */
} values;

static const values defaults = { .all = SHARED_DEFAULTS };

static const option options[] = {
    { "transform", 0, "NPZ", WORD, offsetof(values, pictures.align), 0, 0, "weights (dim x dim'), mean, std, perhaps bias, as gLocal has them" },
    { "suffix", 0, "NAME", WORD, offsetof(values, pictures.suffix), 0, 0, "of a folder: take the files <image>_<NAME>.npy (default the only one)" },
    { "images", 0, "FILE", WORD, offsetof(values, pictures.ids), 0, 0,
      "image ids of the rows, one a line, where the file has none (default 0, 1, ...)" },
    { 0 },
};

static const char help[] = "Applies y = ((x - mean) / std) W + b to image embeddings. IN is a bank, an array of images x dim, or a folder of .npy "
                           "files; OUT is a bank (.safetensors) or an array (.npy, .npz, .csv).\v"
                           "Examples:\n"
                           "  neurodecode align --transform glocal.npz clip.npy aligned.npy\n"
                           "  neurodecode align --transform glocal.npz embeddings/ aligned.safetensors --suffix clip\n";

/* The first layer, as an array without ids. */
static nd_status write_vectors(const nd_bank *bank, const nd_bank_info *about, const char *path)
{
    size_t n = about->n_images * about->dim;
    float *vectors = must(malloc(n * sizeof *vectors));
    nd_status status = nd_bank_get_vectors(bank, NULL, vectors, n);
    if (status == ND_OK) status = nd_array_write(path, vectors, (size_t[]){ about->n_images, about->dim }, 2);
    free(vectors);
    return status;
}

static int run(const void *values_given, char *const *arguments)
{
    values v = *(const values *)values_given;
    const char *output = arguments[1];
    if (!v.pictures.align) return misused("align: --transform NPZ is missing");
    v.pictures.bank = arguments[0];
    int refusal = check_output("align", output, ANY_ARRAY, FILES(arguments[0], v.pictures.align, v.pictures.ids));
    if (refusal) return refusal;
    nd_bank *bank = open_images(&v.pictures, NULL, NULL, NULL, NULL, &v.all);
    if (!bank) return 1;
    nd_bank_info about = { .size = sizeof about };
    nd_status status = nd_bank_get_info(bank, &about);
    if (status == ND_OK) status = ends_with(output, ".safetensors") ? nd_bank_save(bank, output) : write_vectors(bank, &about, output);
    nd_bank_free(bank);
    if (status != ND_OK) return failed();
    if (v.all.json)
        print_json(json_pack("{s:s, s:I, s:I}", "out", output, "images", (json_int_t)about.n_images, "dim", (json_int_t)about.dim));
    else if (!v.all.quiet)
        printf("%s: %zu images x %zu\n", output, about.n_images, about.dim);
    return 0;
}

const command align_command = {
    "align", "make image embeddings human-aligned by a linear transform", "IN OUT", help, options, &defaults, sizeof defaults, 2, 2, run
};
