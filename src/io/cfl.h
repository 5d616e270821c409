/* cfl.h -- BART's arrays: NAME.hdr, lengths as text, and NAME.cfl, complex64 in column-major
 * order. */
#ifndef TP_CFL_H
#define TP_CFL_H

#include "io/items.h"
#include "tensor/tensor.h"

/* The array of PATH, which has either ending, c64 with the lengths and the order of indices that
 * BART gives it; axes of length 1 after the last that is longer are left out. */
tp_tensor *tp_cfl_load (const char *path);

/* The array of PATH. */
tp_item *tp_cfl_items (const char *path, int *count);

/* Both files.  An f32 tensor gets imaginary parts of 0.  AXES says which of BART's axes those of T are, in
 * order; NULL: the first.  NOTE stands in the header as the command that made them, unless it is empty. */
tp_status tp_cfl_save (const char *path, const tp_tensor *t, const int *axes, const char *note);

#endif
