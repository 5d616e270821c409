/* tiff.h -- TIFF pictures and stacks of them, through libtiff. */
#ifndef TP_TIFF_H
#define TP_TIFF_H

#include "io/items.h"
#include "tensor/tensor.h"

/* The pages of PATH: (rows columns), (pages rows columns) where there are several, and colours
 * as a last axis of 3; f32, or c64 where its numbers are complex.  Transparency is left out. */
tp_tensor *tp_tiff_load (const char *path);

/* The array that PATH holds. */
tp_item *tp_tiff_items (const char *path, int *count);

/* T, f32 (rows columns) or a page for each of (pages rows columns), as floats, whole or not at all;
 * NOTE is their description. */
tp_status tp_tiff_save (const char *path, const tp_tensor *t, const char *note);

#endif
