/* Small NIfTI images for tests: 2 x 3 x 4 voxels of 2 x 3 x 4 mm, volumes 1.5 s apart, each value its place in the file. */
#ifndef ND_TEST_IMAGES_H
#define ND_TEST_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ND_TEST_IMAGE_BYTES = 32768 };

typedef struct nd_test_image {
    int version; /* 1 or 2 */
    bool big_endian, pair;
    int code;         /* of the type */
    size_t n_volumes; /* 0 = two */
    double slope, intercept;
    int qform, sform;                             /* codes; the transforms are always there */
    double (*value)(size_t voxel, size_t volume); /* NULL = the place in the file */
} nd_test_image;

/* Header and values; of a pair the values begin behind the header's 348 or 540 bytes. Returns the size. */
size_t nd_test_image_bytes(const nd_test_image *i, uint8_t bytes[ND_TEST_IMAGE_BYTES]);

#endif
