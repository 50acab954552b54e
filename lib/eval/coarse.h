/* Vectors in 8 bits a number, each with a scale of its own, and by how much scores made of them can be wrong. */
#ifndef NDI_COARSE_H
#define NDI_COARSE_H

#include <stdbool.h>

#include "base/pool.h"

typedef struct coarse coarse; /* a gallery */

/* Of n normalised vectors. *c becomes NULL where it would not pay: for small galleries and on CPUs without instructions for it. */
nd_status ndi_coarse_create(coarse **c, pool *threads, const float *gallery, size_t n, size_t dim);
void ndi_coarse_free(coarse *c);

typedef struct coarse_queries coarse_queries;

nd_status ndi_coarse_queries_create(coarse_queries **q, const coarse *c, size_t most);
void ndi_coarse_queries_free(coarse_queries *q);

/* Sets row `row` of the queries to a normalised vector. */
void ndi_coarse_set(coarse_queries *q, const coarse *c, size_t row, const float *query);

/* The most by which a score of this query can differ from the scalar product of the vectors. */
float ndi_coarse_error(const coarse_queries *q, size_t row);

/* Scores of the first n_rows queries with candidates first .. first + count - 1, count and first in multiples of NDI_CODES_COLUMNS (the last ones padded): scores[row scores_row + candidate]. */
void ndi_coarse_scores(const coarse *c, const coarse_queries *q, size_t n_rows, size_t first, size_t count, float *scores, size_t scores_row);

#endif
