#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { MAX_THREADS = 256, SPINS = 4000 };

struct pool {
    size_t n_threads, n_started;
    pid_t owner;                   /* process whose threads these are */
    volatile char *mark;           /* a page holding 1 that the system wipes in a child, so that no call need ask for the process; NULL = there is none */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    atomic_uint_fast64_t round;    /* counts runs; a worker waits for it to change */
    atomic_size_t next, running;   /* next task; workers not yet back */
    atomic_size_t sleepers;        /* workers that no longer look at `round` and want to be woken */
    atomic_bool waiting;           /* so does the caller, for `running` */
    bool stop;
    size_t n_tasks;
    void (*fn)(void *, size_t, size_t);
    void *context;
};

typedef struct worker {
    pool *p;
    size_t index;
} worker;

uint32_t ndi_fp_begin(void)
{
#if defined(__SSE2__)
    uint32_t before = _mm_getcsr();
    _mm_setcsr(0x9FC0); /* flush to zero, denormals are zero, round to nearest, no traps: whatever the caller has set */
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)1 << 24));
    return (uint32_t)before;
#else
    return 0;
#endif
}

void ndi_fp_end(uint32_t before)
{
#if defined(__SSE2__)
    _mm_setcsr(before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)before));
#else
    (void)before;
#endif
}

static volatile char *page_wiped_on_fork(void)
{
#if defined(MADV_WIPEONFORK)
    void *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
    if (madvise(page, 1, MADV_WIPEONFORK) == 0) return page;
    munmap(page, 1);
#endif
    return NULL;
}

/* Did this process start the threads? */
static bool ours(const pool *p) { return p->mark ? *p->mark == 1 : p->owner == getpid(); }

static void take_tasks(pool *p, size_t index)
{
    for (;;) {
        size_t task = atomic_fetch_add(&p->next, 1);
        if (task >= p->n_tasks) return;
        p->fn(p->context, task, index);
    }
}

static inline void relax(void)
{
#if defined(__SSE2__)
    _mm_pause();
#endif
}

/* Each side first says that it sleeps and then looks again; the other first changes what is looked at and then asks who sleeps. So either sees the other, and nobody is woken who is awake. */
static void sleep_until_woken(pool *p, uint_fast64_t seen)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->round) == seen) pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

/* A new round for all workers. */
static void begin_round(pool *p)
{
    atomic_fetch_add(&p->round, 1);
    if (atomic_load(&p->sleepers) == 0) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static void end_round(pool *p)
{
    for (int i = 0; i < SPINS && atomic_load(&p->running); i++) relax();
    if (atomic_load(&p->running) == 0) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, true);
    while (atomic_load(&p->running)) pthread_cond_wait(&p->idle, &p->lock);
    atomic_store(&p->waiting, false);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *argument)
{
    worker w = *(worker *)argument;
    ndi_free(argument);
    pool *p = w.p;
    ndi_fp_begin();
    uint_fast64_t seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&p->round) == seen; i++) relax();
        if (atomic_load(&p->round) == seen) sleep_until_woken(p, seen);
        seen = atomic_load(&p->round);
        if (p->stop) return NULL;
        take_tasks(p, w.index);
        if (atomic_fetch_sub(&p->running, 1) == 1 && atomic_load(&p->waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->idle);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

/* Starts what threads it can; fewer only make it slower, never different. */
static void start_threads(pool *p)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->idle, NULL);
    atomic_store(&p->round, 0);
    atomic_store(&p->sleepers, 0);
    atomic_store(&p->waiting, false);
    p->owner = getpid();
    if (p->mark) *p->mark = 1;
    p->n_started = 0;
    for (size_t i = 1; i < p->n_threads; i++) {
        worker *w = ndi_alloc(1, sizeof *w);
        if (!w) break;
        *w = (worker){ p, i };
        if (pthread_create(&p->threads[p->n_started], NULL, work, w) != 0) {
            ndi_free(w);
            break;
        }
        p->n_started++;
    }
    if (p->n_started + 1 < p->n_threads) ndi_log(ND_LOG_WARNING, "threads: %zu of %zu could be started", p->n_started + 1, p->n_threads);
}

static size_t usable_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return (size_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

nd_status ndi_pool_create(pool **out, int32_t n_threads)
{
    CHECK(n_threads >= 0 && n_threads <= MAX_THREADS, ND_ERR_ARGUMENT, "threads: got %d, expected 0 to %d", (int)n_threads, MAX_THREADS);
    size_t n = n_threads ? (size_t)n_threads : usable_cpus();
    if (n > MAX_THREADS) n = MAX_THREADS;
    pool *p;
    TRY(NEW(p, 1));
    p->n_threads = n;
    if (n > 1) p->mark = page_wiped_on_fork();
    nd_status status = NEW(p->threads, n);
    if (status != ND_OK) {
        if (p->mark) munmap((void *)(uintptr_t)p->mark, 1);
        ndi_free(p);
        return status;
    }
    start_threads(p);
    *out = p;
    return ND_OK;
}

size_t ndi_pool_threads(const pool *p) { return p ? p->n_threads : 1; }

void ndi_pool_free(pool *p)
{
    if (!p) return;
    if (ours(p)) {
        p->stop = true;
        begin_round(p);
        for (size_t i = 0; i < p->n_started; i++) pthread_join(p->threads[i], NULL);
        pthread_mutex_destroy(&p->lock);
        pthread_cond_destroy(&p->wake);
        pthread_cond_destroy(&p->idle);
    }
    if (p->mark) munmap((void *)(uintptr_t)p->mark, 1);
    ndi_free(p->threads);
    ndi_free(p);
}

static void run_parallel(pool *p, size_t n_tasks, void (*fn)(void *, size_t, size_t), void *context)
{
    p->fn = fn;
    p->context = context;
    p->n_tasks = n_tasks;
    atomic_store(&p->next, 0);
    atomic_store(&p->running, p->n_started);
    begin_round(p);
    take_tasks(p, 0);
    end_round(p);
}

void ndi_pool_run(pool *p, size_t n_tasks, void (*fn)(void *, size_t, size_t), void *context)
{
    uint32_t before = ndi_fp_begin();
    if (p && p->n_threads > 1 && !ours(p)) start_threads(p);
    if (!p || p->n_started == 0 || n_tasks < 2) {
        for (size_t task = 0; task < n_tasks; task++) fn(context, task, 0);
    } else {
        run_parallel(p, n_tasks, fn, context);
    }
    ndi_fp_end(before);
}

/* ---- tasks that may fail ---- */

enum { MESSAGE_SIZE = 1024 };

typedef struct attempt {
    nd_status (*fn)(void *context, size_t task, size_t index);
    void *context;
    atomic_size_t failed; /* the lowest task that failed so far; SIZE_MAX = none */
    pthread_mutex_t lock; /* of what is known of it */
    nd_status status;
    char message[MESSAGE_SIZE];
} attempt;

static void try_task(void *context, size_t task, size_t index)
{
    attempt *a = context;
    if (task > atomic_load(&a->failed)) return;
    const nd_status status = a->fn(a->context, task, index);
    if (status == ND_OK) return;
    pthread_mutex_lock(&a->lock);
    if (task < atomic_load(&a->failed)) {
        atomic_store(&a->failed, task);
        a->status = status;
        ndi_format(a->message, sizeof a->message, "%s", nd_last_error());
    }
    pthread_mutex_unlock(&a->lock);
}

nd_status ndi_pool_try(pool *p, size_t n_tasks, nd_status (*fn)(void *, size_t, size_t), void *context)
{
    attempt a = { .fn = fn, .context = context, .failed = SIZE_MAX, .status = ND_OK };
    pthread_mutex_init(&a.lock, NULL);
    ndi_pool_run(p, n_tasks, try_task, &a);
    pthread_mutex_destroy(&a.lock);
    return a.status == ND_OK ? ND_OK : ndi_fail(a.status, "%s", a.message);
}
