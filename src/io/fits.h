/* fits.h -- images of astronomy: FITS files, through cfitsio. */
#ifndef TP_FITS_H
#define TP_FITS_H

#include "io/items.h"
#include "tensor/tensor.h"

/* The image in header-data unit HDU of PATH, from 0, or in the first that has one when that is -1: f32 with the file's axes
 * reversed, so that its first, along which numbers follow one another, is the tensor's last.  BSCALE and BZERO are
 * applied; what is BLANK is NaN.  PATH may be packed by gzip.  *CARDS, to be freed, has those cards of the header that
 * say anything beside the shape and the type of numbers, such as world coordinates, a line each. */
tp_tensor *tp_fits_load (const char *path, int hdu, char **cards);

/* The images that PATH holds, each named by the number of its header-data unit. */
tp_item *tp_fits_items (const char *path, int *count);

/* T, f32, as 32-bit floats with CARDS, lines of up to 80 characters, in its header, whole or not at all; NOTE is its history. */
tp_status tp_fits_save (const char *path, const tp_tensor *t, const char *cards, const char *note);

#endif
