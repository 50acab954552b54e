#include "neurodecode/common.h"

#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "math/gemm.h"
#include "math/vec.h"

#ifdef ND_HAVE_HDF5
#define FEATURES "\"hdf5\""
#else
#define FEATURES ""
#endif
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *nd_version(void) { return TEXT(ND_VERSION_MAJOR) "." TEXT(ND_VERSION_MINOR) "." TEXT(ND_VERSION_PATCH); }

uint32_t nd_version_number(void) { return ND_VERSION_MAJOR << 16 | ND_VERSION_MINOR << 8 | ND_VERSION_PATCH; }

nd_status nd_set_log(int32_t level, nd_log_fn fn, void *user) { return ndi_log_set(level, fn, user); }

static char build_info[512];
static pthread_once_t build_info_once = PTHREAD_ONCE_INIT;

static void describe_build(void)
{
    snprintf(build_info, sizeof build_info,
             "{\"version\": \"%s\", \"blis\": \"%s\", \"blis_kernels\": \"%s\", \"kernels\": \"%s\", \"compiler\": \"%s\", \"features\": [" FEATURES "]}", nd_version(),
             ndi_blis_version(), ndi_blis_kernels(), ndi_vec->name, __VERSION__);
}

const char *nd_build_info(void)
{
    pthread_once(&build_info_once, describe_build);
    return build_info;
}
