/* A small thread pool. Work is cut by the caller into tasks by problem size, never by thread count; the pool only decides who does which. */
#ifndef NDI_POOL_H
#define NDI_POOL_H

#include "base/status.h"

typedef struct pool pool;

/* n_threads 0 = all this process may use. A pool of one thread starts none. */
nd_status ndi_pool_create(pool **p, int32_t n_threads);
void ndi_pool_free(pool *p);
size_t ndi_pool_threads(const pool *p); /* 1 for NULL */

/* Runs fn(context, task, worker) for every task; worker < ndi_pool_threads() names the thread, for scratch of its own. Returns when all are done. p NULL = on this thread.
 * Not re-entrant. Denormals are flushed to zero inside and the caller's setting is restored. After a fork the child's first use starts new threads. */
void ndi_pool_run(pool *p, size_t n_tasks, void (*fn)(void *context, size_t task, size_t worker), void *context);

/* The same for tasks that may fail: the failure of the lowest task, with its message, which is the same for any number of threads. Tasks after a failure are left out. */
nd_status ndi_pool_try(pool *p, size_t n_tasks, nd_status (*fn)(void *context, size_t task, size_t worker), void *context);

/* The same flush for code between runs: keep the result and hand it back. */
uint32_t ndi_fp_begin(void);
void ndi_fp_end(uint32_t before);

#endif
