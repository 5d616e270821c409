/* toeplitz.c -- the normal operator of a trajectory, a convolution, by two transforms of twice the size. */
#include <math.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/threads.h"
#include "fourier/fft.h"
#include "fourier/nufft.h"
#include "fourier/padded.h"

/* The grid for images of ROWS x COLUMNS: as large as differences between pixels. */
static tp_status
find_grid (tp_padded *grid, int64_t rows, int64_t columns)
{
  return tp_padded_init (grid, rows, columns, 2 * rows, 2 * columns);
}

/* sum_p w[p] exp (2 pi i k[p] d / N), d from -N to N - 1 along both axes, over 4 HW: the adjoint over images
 * twice as large, where k counts twice. */
static tp_tensor *
point_spread (tp_tensor *trajectory, const tp_tensor *weights, int64_t rows, int64_t columns)
{
  tp_tensor *twice = tp_affine (trajectory, 2, 0);
  tp_tensor *ones = tp_tensor_zeros (TP_C64, trajectory->rank - 1, trajectory->shape);
  tp_tensor *spread = NULL;
  if (twice && ones && (weights ? tp_assign (ones, weights) : tp_fill (ones, 1)) == TP_OK)
    spread = tp_nufft_adjoint (ones, twice, 2 * rows, 2 * columns);
  tp_tensor_free (twice);
  tp_tensor_free (ones);
  return spread;
}

tp_tensor *
tp_toeplitz_table (tp_tensor *trajectory, const tp_tensor *weights, int64_t rows, int64_t columns)
{
  tp_padded grid;
  if (tp_check (trajectory, "trajectory", TP_F32, -1) || tp_tape_constant (trajectory, "trajectory")
      || (weights
          && (tp_tape_constant (weights, "weights")
              || tp_check_shape (weights, "weights", TP_F32, trajectory->rank - 1, trajectory->shape)))
      || find_grid (&grid, rows, columns))
    return NULL;
  tp_tensor *spread = point_spread (trajectory, weights, rows, columns);
  tp_tensor *room = spread ? tp_tensor_zeros (TP_C64, 2, (int64_t[]) { grid.grid_rows, grid.grid_columns })
                           : NULL;
  if (room)
    for (int64_t r = 0; r < 2 * rows; r++)
      memcpy (tp_c64 (room) + (grid.grid_rows / 2 - rows + r) * grid.grid_columns + grid.grid_columns / 2
                - columns,
              tp_c64 (spread) + r * 2 * columns, (size_t) (2 * columns) * sizeof (tp_complex));
  tp_tensor *centred = room ? tp_fft2 (room) : NULL;
  tp_tensor *table = centred ? tp_tensor_create (TP_F32, 2, room->shape) : NULL;
  if (table)
    {
      /* Both transforms are scaled, to 1 / sqrt (4 HW) and 1 / sqrt (grid): to 1 / HW and, for the two
       * that the table is between, 1 / grid. */
      double count = (double) (grid.grid_rows * grid.grid_columns);
      float scale = (float) (2 / sqrt ((double) (rows * columns)) / sqrt (count));
      int64_t r2 = grid.grid_rows / 2, c2 = grid.grid_columns / 2;
      for (int64_t r = 0; r < grid.grid_rows; r++)
        for (int64_t c = 0; c < grid.grid_columns; c++)
          tp_f32 (table)[r * grid.grid_columns + c]
            = scale * crealf (tp_c64 (centred)[(r + r2) % grid.grid_rows * grid.grid_columns
                                               + (c + c2) % grid.grid_columns]);
    }
  tp_tensor_free (spread);
  tp_tensor_free (room);
  tp_tensor_free (centred);
  return table;
}

typedef struct {
  const tp_padded *grid;
  const tp_complex *in;
  tp_complex *out;
  const float *table;
  atomic_bool failed;
} job;

static void
multiply_images (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t pixels = j->grid->rows * j->grid->columns;
  tp_complex *grid = tp_padded_grid (j->grid);
  if (!grid)
    atomic_store (&j->failed, true);
  for (int64_t i = begin; grid && i < end; i++)
    {
      tp_padded_rows_in (j->grid, grid, j->in + i * pixels, NULL, NULL);
      if (tp_padded_columns_multiply (j->grid, grid, j->table))
        atomic_store (&j->failed, true);
      tp_padded_rows_out (j->grid, grid, j->out + i * pixels, NULL, NULL);
    }
  tp_scratch_free (grid);
}

static tp_tensor *
multiply (const tp_tensor *x, const tp_tensor *table)
{
  char text[TP_SHAPE_TEXT];
  tp_padded grid;
  if (tp_check (x, "x", TP_C64, -1))
    return NULL;
  if (x->rank < 2 || !tp_tensor_count (x))
    {
      tp_fail (TP_BAD_SHAPE, "x: expected images (... rows columns), got shape %s",
               tp_shape_text (text, x->rank, x->shape));
      return NULL;
    }
  int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1];
  if (find_grid (&grid, rows, columns)
      || tp_check_shape (table, "table", TP_F32, 2, (int64_t[]) { grid.grid_rows, grid.grid_columns }))
    return NULL;
  tp_tensor *y = tp_tensor_like (x);
  if (!y)
    return NULL;
  job j = { .grid = &grid, .in = tp_c64 (x), .out = tp_c64 (y), .table = tp_f32 (table) };
  tp_parallel_for (tp_tensor_count (x) / (rows * columns), 1, multiply_images, &j);
  if (!j.failed)
    return y;
  tp_fail (TP_NO_MEMORY, "no memory for images of %ld x %ld", (long) rows, (long) columns);
  tp_tensor_free (y);
  return NULL;
}

/* It is its own adjoint. */
static tp_status
multiply_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_toeplitz_multiply (r->output->grad, r->saved[0]));
}

tp_tensor *
tp_toeplitz_multiply (tp_tensor *x, tp_tensor *table)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .saved = { table },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED, .twice = true };
  return tp_tape_constant (table, "table") ? NULL : tp_recorded (multiply (x, table), &r, multiply_backward);
}
