/* Explaining one file. */
#ifndef ABOUT_H
#define ABOUT_H

#include "common.h"

json_t *describe_file(const char *path); /* what nd_file_describe() says; NULL on failure */

/* Prints what is in a file; returns the exit status. */
int show_file(const char *path, bool json);

/* One line of a table of arrays, and the least width of its names. */
enum { LEAST_WIDTH = 32 };
void print_array(const json_t *array, int width);

#endif
