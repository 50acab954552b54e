/* HDF5 through libhdf5, which sees nothing but our streams. Built only where the library is there. libhdf5 keeps global state: every call of it stands
 * between ndi_hdf5_enter() and ndi_hdf5_leave(), which may be nested. */
#ifndef NDI_HDF5_H
#define NDI_HDF5_H

#define H5_USE_110_API /* the same calls whatever version is installed */
#include <hdf5.h>

#include "io/content.h"
#include "io/mat_value.h"
#include "io/stream_kind.h"

/* An open file. One of its datasets at a time is open, with its chunks and a window of its elements in memory. */
typedef struct hdf5_file {
    stream head; /* nothing can be read from it: it closes the file */
    stream *in;
    void *unpacked; /* the bytes of a packed stream, which libhdf5 could not read back and forth */
    hid_t id, driver;
    nd_status status;   /* of the stream below */
    size_t length_size; /* bytes of a length in this file */
    hid_t open;         /* the dataset that `window` shows, < 0: none */
    haddr_t address;    /* of that dataset */
    char *window;
    hsize_t from, till; /* elements in it */
} hdf5_file;

enum { NDI_HDF5_WINDOW = 1 << 18, NDI_HDF5_CHUNKS = 1 << 26 }; /* bytes in memory */

/* What is to be given back to ndi_hdf5_leave(). Meanwhile libhdf5 prints no errors. */
typedef struct hdf5_quiet {
    H5E_auto2_t print;
    void *data;
} hdf5_quiet;

hdf5_quiet ndi_hdf5_enter(void);
void ndi_hdf5_leave(hdf5_quiet before);

/* Opens what lies in the stream; closed with the content, after everything that is added later. */
nd_status ndi_hdf5_open(content *c, stream *in, hdf5_file **f);

/* ND_ERR_FORMAT with what libhdf5 says, or what went wrong below it. */
nd_status ndi_hdf5_fail(const hdf5_file *f, const char *what);

/* The element type, false if it is none of ours. */
bool ndi_hdf5_dtype(hid_t type, dtype *t, bool *big_endian);

/* A dataset of numbers as an array without a name: in place where its bytes lie in the file as they are, otherwise by way of libhdf5. For what is no
 * array of ours *why says what it is; NULL means success. */
nd_status ndi_hdf5_array(content *c, hdf5_file *f, hid_t dataset, array *a, const char **why);

/* A dataset of strings as texts. */
nd_status ndi_hdf5_texts(content *c, const hdf5_file *f, hid_t dataset, const char *name, const char **why);

/* Scalar attributes: false and NULL if there is none of this sort. */
bool ndi_hdf5_number(hid_t attribute, double *value);
nd_status ndi_hdf5_string(content *c, hid_t attribute, const char **value);

/* Is it a file of MATLAB, version 7.3? And its variables. */
bool ndi_hdf5_is_matlab(const hdf5_file *f);
nd_status ndi_hdf5_matlab(mat_file *m, hdf5_file *f, mat_value *root);

nd_status ndi_hdf5_read(content *c, stream *in); /* the row */

#endif
