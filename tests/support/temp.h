/* Files for the length of a test program: one fresh folder, in memory where the system has such a place, removed at exit with everything in it. */
#ifndef ND_TEST_TEMP_H
#define ND_TEST_TEMP_H

#include <stddef.h>
#include <stdint.h>

const char *nd_test_temp_folder(void);

/* Path of `name` in the folder. Up to 64 results are valid at a time. */
const char *nd_test_temp(const char *name);

/* Makes a folder in it, with the folders above. */
void nd_test_subfolder(const char *name);

void nd_test_write(const char *path, const void *bytes, size_t n);
void nd_test_write_text(const char *name, const char *text); /* a file in the folder */

/* The whole file, to be freed with free(); NULL if there is none. */
uint8_t *nd_test_read(const char *path, size_t *n);

/* Number of files and folders in the folder, and removing them all. */
size_t nd_test_temp_count(void);
void nd_test_temp_clear(void);

#endif
