/* npy.h -- NumPy's array files, versions 1 to 3.
 *
 * The format: "\x93NUMPY", version, header length, then a Python dictionary
 * of descr, fortran_order and shape, then the elements.  f32 and c64 are
 * written; integers, bool, f16, f64 and c128 of either byte order are also
 * read, as the nearest f32 or c64.  A value that is finite in the file but not
 * in f32 is an error. */
#ifndef TP_NPY_H
#define TP_NPY_H

#include <stdio.h>

#include "io/items.h"
#include "tensor/tensor.h"

tp_tensor *tp_npy_load (const char *path);
tp_status tp_npy_save (const char *path, const tp_tensor *t);

/* The array that PATH holds. */
tp_item *tp_npy_items (const char *path, int *count);

/* The array at which FILE stands, and which is all that follows: LENGTH is that of the whole file,
 * PATH for messages. */
tp_tensor *tp_npy_read (FILE *file, const char *path, int64_t length);
/* What the header at which FILE stands says. */
tp_status tp_npy_describe (FILE *file, const char *path, tp_item *item);
/* The header of T in an npy file with its ten first bytes, into TEXT; returns its length. */
#define TP_NPY_HEADER 512
size_t tp_npy_header (const tp_tensor *t, char text[TP_NPY_HEADER]);

#endif
