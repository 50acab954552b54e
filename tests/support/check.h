/* Assertions on statuses and messages. */
#ifndef ND_TEST_CHECK_H
#define ND_TEST_CHECK_H

#include <string.h>

#define OK(call) \
    do { \
        if ((call) != ND_OK) fail_msg(#call ": %s", nd_last_error()); \
    } while (0)

/* The call fails with the code, and `part` stands in the message. */
#define FAILS(code, part, call) \
    do { \
        assert_int_equal((call), (code)); \
        if (!strstr(nd_last_error(), part)) fail_msg("message '%s' does not contain '%s'", nd_last_error(), (const char *)(part)); \
    } while (0)

#endif
