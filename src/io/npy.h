/* npy.h -- NumPy's array files, versions 1 to 3.
 *
 * The format: "\x93NUMPY", version, header length, then a Python dictionary
 * of descr, fortran_order and shape, then the elements.  f32 and c64 are
 * written; integers, bool, f16, f64 and c128 of either byte order are also
 * read, as the nearest f32 or c64.  A value that is finite in the file but not
 * in f32 is an error. */
#ifndef TP_NPY_H
#define TP_NPY_H

#include "tensor/tensor.h"

tp_tensor *tp_npy_load (const char *path);
tp_status tp_npy_save (const char *path, const tp_tensor *t);

#endif
