/* pixels.h -- from numbers to colours.
 *
 * A pixel is the word 0xFFrrggbb, in the machine's byte order, as cairo and
 * libwebp expect it. */
#ifndef TP_PIXELS_H
#define TP_PIXELS_H

#include "tensor/tensor.h"

/* IMAGE, f32 (rows, columns), with LOW the first of the 256 colours of TABLE and
 * HIGH the last, or (rows, columns, 3) red, green and blue, with LOW none and HIGH
 * full, and TABLE not looked at.  Clipped outside; NaN is LOW.  PIXELS has room
 * for rows x columns. */
tp_status tp_pixels (const tp_tensor *image, double low, double high,
                     const uint32_t table[256], uint32_t *pixels);

#endif
