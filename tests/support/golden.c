#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[4096];

static const char *existing(const char *folder, const char *below, const char *name)
{
    snprintf(path, sizeof path, "%s/%s%s", folder, below, name);
    return access(path, R_OK) == 0 ? path : NULL;
}

static const char *data_folder(void)
{
    const char *set = getenv("ND_DATA");
    return set && *set ? set : "../shared/data";
}

const char *nd_test_golden_path(const char *name)
{
    const char *own = existing("tests/data", "", name);
    return own ? own : existing(data_folder(), "../golden/", name);
}

const char *nd_test_data_path(const char *name) { return existing(data_folder(), "", name); }

content *nd_test_golden(const char *name)
{
    const char *found = nd_test_golden_path(name);
    content *c;
    if (!found) {
        print_message("%s is absent: skipped\n", name);
        return NULL;
    }
    if (ndi_content_open(&c, found) != ND_OK) fail_msg("%s", nd_last_error());
    return c;
}

float *nd_test_floats(const content *c, const char *name, size_t *n)
{
    const array *a = ndi_content_array(c, name);
    if (!a) fail_msg("%s is not in the file", name);
    float *values = ndi_alloc(a->n + 1, sizeof *values);
    assert_non_null(values);
    if (ndi_array_read_f32(a, 0, a->n, values) != ND_OK) fail_msg("%s", nd_last_error());
    if (n) *n = a->n;
    return values;
}

double nd_test_number(const content *c, const char *name)
{
    double value = 0;
    const array *a = ndi_content_array(c, name);
    if (!a || ndi_array_read_f64(a, 0, 1, &value) != ND_OK) fail_msg("%s is not in the file", name);
    return value;
}
