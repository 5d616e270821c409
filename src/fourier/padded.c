/* padded.c -- the Fourier transform of an image in the middle of a larger grid of zeros, and back. */
#include "fourier/padded.h"

#include <limits.h>
#include <string.h>

#include "core/threads.h"

/* Columns side by side are one cache line. */
enum { BLOCK = 8, ROWS_PER_THREAD = 16, BLOCKS_PER_THREAD = 4 };

/* --- Sizes -------------------------------------------------------------- */

/* The least multiple of 8, LEAST or more, whose prime factors are at most 7. */
static int64_t
fast_size (int64_t least)
{
  for (int64_t size = (least + 7) / 8 * 8;; size += 8)
    {
      int64_t rest = size;
      for (int64_t prime = 2; prime <= 7; prime++)
        while (rest % prime == 0)
          rest /= prime;
      if (rest == 1)
        return size;
    }
}

tp_status
tp_padded_init (tp_padded *p, int64_t rows, int64_t columns, int64_t least_rows, int64_t least_columns)
{
  if (least_rows > INT_MAX / 2 || least_columns > INT_MAX / 2)
    return tp_fail (TP_UNSUPPORTED, "images of %ld x %ld are too large to transform", (long) rows,
                    (long) columns);
  *p = (tp_padded) { .rows = rows, .columns = columns, .grid_rows = fast_size (least_rows),
                     .grid_columns = fast_size (least_columns) };
  p->stride = p->grid_columns + TP_MARGIN;
  for (int way = 0; way < 2; way++)
    {
      int sign = way ? FFTW_BACKWARD : FFTW_FORWARD;
      p->row[way] = tp_fftw_plan (1, (int) p->grid_columns, 1, sign);
      p->block[way] = p->row[way] ? tp_fftw_plan (1, (int) p->grid_rows, BLOCK, sign) : NULL;
      if (!p->block[way])
        return tp_last_status ();
    }
  return TP_OK;
}

tp_complex *
tp_padded_grid (const tp_padded *p)
{
  tp_complex *grid = tp_scratch_alloc ((size_t) ((p->grid_rows + TP_MARGIN) * p->stride) * sizeof *grid);
  if (!grid)
    tp_fail (TP_NO_MEMORY, "no memory for a grid of %ld x %ld", (long) p->grid_rows,
             (long) p->grid_columns);
  return grid;
}

/* --- Rows --------------------------------------------------------------- */

typedef struct {
  const tp_padded *p;
  tp_complex *grid;
  const tp_complex *from;
  tp_complex *to;
  const float *row_scale, *column_scale, *table;
  int way;
  atomic_bool failed;
} job;

/* Where the image's row R is in the grid. */
static tp_complex *
grid_row (const job *j, int64_t r)
{
  int64_t at = r - j->p->rows / 2;
  return j->grid + (at < 0 ? at + j->p->grid_rows : at) * j->p->stride;
}

static void
scale_row (tp_complex *to, const tp_complex *from, int64_t count, float factor, const float *factors)
{
  for (int64_t c = 0; c < count; c++)
    to[c] = (factors ? factor * factors[c] : factor) * from[c];
}

static void
rows_in (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t w = j->p->columns, g = j->p->grid_columns, half = w / 2;
  for (int64_t r = begin; r < end; r++)
    {
      tp_complex *row = grid_row (j, r);
      const tp_complex *from = j->from + r * w;
      const float *columns = j->column_scale;
      float scale = j->row_scale ? j->row_scale[r] : 1;
      scale_row (row, from + half, w - half, scale, columns ? columns + half : NULL);
      memset (row + w - half, 0, (size_t) (g - w) * sizeof *row);
      scale_row (row + g - half, from, half, scale, columns);
      fftwf_execute_dft (j->p->row[0], (fftwf_complex *) row, (fftwf_complex *) row);
    }
}

static void
rows_out (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t w = j->p->columns, g = j->p->grid_columns, half = w / 2;
  for (int64_t r = begin; r < end; r++)
    {
      tp_complex *row = grid_row (j, r), *to = j->to + r * w;
      const float *columns = j->column_scale;
      float scale = j->row_scale ? j->row_scale[r] : 1;
      fftwf_execute_dft (j->p->row[1], (fftwf_complex *) row, (fftwf_complex *) row);
      scale_row (to + half, row, w - half, scale, columns ? columns + half : NULL);
      scale_row (to, row + g - half, half, scale, columns);
    }
}

void
tp_padded_rows_in (const tp_padded *p, tp_complex *grid, const tp_complex *image,
                   const float *row_scale, const float *column_scale)
{
  job j = { .p = p, .grid = grid, .from = image, .row_scale = row_scale, .column_scale = column_scale };
  tp_parallel_for (p->rows, ROWS_PER_THREAD, rows_in, &j);
}

void
tp_padded_rows_out (const tp_padded *p, tp_complex *grid, tp_complex *image, const float *row_scale,
                    const float *column_scale)
{
  job j = { .p = p, .grid = grid, .to = image, .row_scale = row_scale, .column_scale = column_scale };
  tp_parallel_for (p->rows, ROWS_PER_THREAD, rows_out, &j);
}

/* --- Columns -------------------------------------------------------------- */

static void
copy (tp_complex *to, const tp_complex *from)
{
  memcpy (to, from, BLOCK * sizeof *to);
}

static void
add (tp_complex *to, const tp_complex *from)
{
  for (int c = 0; c < BLOCK; c++)
    to[c] += from[c];
}

/* The block at COLUMN of the rows that the image has, and zeros between, to LINES; and back. */
static void
load_image_rows (const job *j, int64_t column, tp_complex *lines)
{
  int64_t half = j->p->rows / 2, top = j->p->rows - half, g = j->p->grid_rows;
  for (int64_t r = 0; r < top; r++)
    copy (lines + r * BLOCK, j->grid + r * j->p->stride + column);
  memset (lines + top * BLOCK, 0, (size_t) (g - j->p->rows) * BLOCK * sizeof *lines);
  for (int64_t r = g - half; r < g; r++)
    copy (lines + r * BLOCK, j->grid + r * j->p->stride + column);
}

static void
store_image_rows (const job *j, int64_t column, const tp_complex *lines)
{
  int64_t half = j->p->rows / 2, top = j->p->rows - half, g = j->p->grid_rows;
  for (int64_t r = 0; r < top; r++)
    copy (j->grid + r * j->p->stride + column, lines + r * BLOCK);
  for (int64_t r = g - half; r < g; r++)
    copy (j->grid + r * j->p->stride + column, lines + r * BLOCK);
}

/* The block at COLUMN of all rows and of the margin's that repeat them. */
static void
store_grid (const job *j, int64_t column, int64_t to, const tp_complex *lines)
{
  int64_t g = j->p->grid_rows;
  for (int64_t r = 0; r < g; r++)
    copy (j->grid + r * j->p->stride + to, lines + r * BLOCK);
  for (int64_t r = 0; r < TP_MARGIN; r++)
    copy (j->grid + (g + r) * j->p->stride + to, lines + r * BLOCK);
  if (column == 0 && to == 0)
    store_grid (j, column, j->p->grid_columns, lines);
}

static void
load_grid (const job *j, int64_t column, tp_complex *lines)
{
  int64_t g = j->p->grid_rows;
  for (int64_t r = 0; r < g; r++)
    copy (lines + r * BLOCK, j->grid + r * j->p->stride + column);
  for (int64_t r = 0; r < TP_MARGIN; r++)
    add (lines + r * BLOCK, j->grid + (g + r) * j->p->stride + column);
  if (column == 0)
    for (int64_t r = 0; r < g + TP_MARGIN; r++)
      add (lines + r % g * BLOCK, j->grid + r * j->p->stride + j->p->grid_columns);
}

static void
multiply (const job *j, int64_t column, tp_complex *lines)
{
  for (int64_t r = 0; r < j->p->grid_rows; r++)
    for (int c = 0; c < BLOCK; c++)
      lines[r * BLOCK + c] *= j->table[r * j->p->grid_columns + column + c];
}

enum { IN, OUT, BOTH };

static void
columns (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  tp_complex *lines = tp_scratch_alloc ((size_t) (j->p->grid_rows * BLOCK) * sizeof *lines);
  if (!lines)
    {
      atomic_store (&j->failed, true);
      return;
    }
  fftwf_complex *z = (fftwf_complex *) lines;
  for (int64_t b = begin; b < end; b++)
    {
      int64_t column = b * BLOCK;
      if (j->way == OUT)
        load_grid (j, column, lines);
      else
        {
          load_image_rows (j, column, lines);
          fftwf_execute_dft (j->p->block[0], z, z);
        }
      if (j->way == BOTH)
        multiply (j, column, lines);
      if (j->way == IN)
        store_grid (j, column, column, lines);
      else
        {
          fftwf_execute_dft (j->p->block[1], z, z);
          store_image_rows (j, column, lines);
        }
    }
  tp_scratch_free (lines);
}

static tp_status
all_columns (const tp_padded *p, tp_complex *grid, const float *table, int way)
{
  job j = { .p = p, .grid = grid, .table = table, .way = way };
  tp_parallel_for (p->grid_columns / BLOCK, BLOCKS_PER_THREAD, columns, &j);
  return j.failed ? tp_fail (TP_NO_MEMORY, "no memory for columns of %ld", (long) p->grid_rows) : TP_OK;
}

tp_status
tp_padded_columns_in (const tp_padded *p, tp_complex *grid)
{
  return all_columns (p, grid, NULL, IN);
}

tp_status
tp_padded_columns_out (const tp_padded *p, tp_complex *grid)
{
  return all_columns (p, grid, NULL, OUT);
}

tp_status
tp_padded_columns_multiply (const tp_padded *p, tp_complex *grid, const float *table)
{
  return all_columns (p, grid, table, BOTH);
}
