/* png.h -- PNG pictures, through libpng. */
#ifndef TP_PNG_H
#define TP_PNG_H

#include "io/items.h"
#include "tensor/tensor.h"

/* The file's own numbers, 0 to 255 or (16 bits) 0 to 65535: (rows, columns)
 * when grey, (rows, columns, 3) when coloured.  Palettes are looked up and
 * transparency is dropped. */
tp_tensor *tp_png_load (const char *path);

/* The picture that PATH holds, as tp_png_load has it. */
tp_item *tp_png_items (const char *path, int *count);

/* T (rows, columns) grey or (rows, columns, 3) red, green, blue, with LOW black
 * and HIGH full, clipped outside; NaN is black.  BITS: 8 or 16. */
tp_status tp_png_save (const char *path, const tp_tensor *t, double low, double high, int bits);

#endif
