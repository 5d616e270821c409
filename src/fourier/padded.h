/* padded.h -- the Fourier transform of an image in the middle of a larger grid of zeros, and back.
 *
 * The image's pixel (r, c) is at grid row (r - rows / 2) mod grid rows, and columns alike; the
 * transform is neither scaled nor shifted.  Rows are transformed first, those alone that the image
 * has, then columns, eight side by side; on the way back columns first, and rows that are not of the
 * image are left out.  The grid has a margin of eight rows below and eight columns at the right, which
 * repeat its first ones, so that a square of the grid is found in one piece. */
#ifndef TP_PADDED_H
#define TP_PADDED_H

#include "fourier/plans.h"
#include "tensor/tensor.h"

enum { TP_MARGIN = 8 };

typedef struct {
  int64_t rows, columns;           /* the image's */
  int64_t grid_rows, grid_columns; /* the grid's: multiples of 8, without the margin */
  int64_t stride;                  /* from a row of the grid to the next */
  fftwf_plan row[2], block[2];     /* a row, and eight columns: forward, backward */
} tp_padded;

/* For images of ROWS x COLUMNS on a grid of at least LEAST_ROWS x LEAST_COLUMNS, which are the smallest
 * that transform fast. */
tp_status tp_padded_init (tp_padded *p, int64_t rows, int64_t columns, int64_t least_rows,
                          int64_t least_columns);

/* Room for a grid, uninitialised, freed by tp_scratch_free.  NULL after tp_fail. */
tp_complex *tp_padded_grid (const tp_padded *p);

/* IMAGE, times ROW_SCALE of its row and COLUMN_SCALE of its column (NULL: 1), to its rows' transforms
 * in GRID; and from there, unscaled transforms backward, to IMAGE, times the same. */
void tp_padded_rows_in (const tp_padded *p, tp_complex *grid, const tp_complex *image,
                        const float *row_scale, const float *column_scale);
void tp_padded_rows_out (const tp_padded *p, tp_complex *grid, tp_complex *image,
                         const float *row_scale, const float *column_scale);

/* From the rows' transforms to all of GRID and its margin; from GRID, to whose first rows and columns
 * the margin is added, to the rows' transforms; and there, times TABLE (grid_rows x grid_columns), and
 * back. */
tp_status tp_padded_columns_in (const tp_padded *p, tp_complex *grid);
tp_status tp_padded_columns_out (const tp_padded *p, tp_complex *grid);
tp_status tp_padded_columns_multiply (const tp_padded *p, tp_complex *grid, const float *table);

#endif
