/* Files for the length of a test program, in one fresh folder that is removed at exit. */
#ifndef ND_TEST_TEMP_H
#define ND_TEST_TEMP_H

#include <stddef.h>
#include <stdint.h>

/* Path of `name` in the folder; four of them are valid at a time. */
const char *nd_test_temp(const char *name);

void nd_test_write(const char *path, const void *bytes, size_t n);

/* The whole file, to be freed with free(); NULL if there is none. */
uint8_t *nd_test_read(const char *path, size_t *n);

/* Number of files in the folder, and removing them (not what is in folders below). */
size_t nd_test_temp_count(void);
void nd_test_temp_clear(void);

#endif
