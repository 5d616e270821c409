/* nufft.c -- the Fourier transform at any points of k-space, by a finer grid and a kernel between.
 *
 * Forward: the image, divided by the kernel's transform, goes to a finer grid; each point takes from
 * the square of the grid around it.  The adjoint is the same backward. */
#include "fourier/nufft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/threads.h"
#include "fourier/kernels/grid_kernel.h"
#include "fourier/padded.h"

enum {
  BAND = 16, /* rows of the grid; points of one reach into the next, and no further */
  POINTS_PER_THREAD = 1024
};

/* --- What a trajectory needs ---------------------------------------------- */

/* Points are in the order of their bands, and of columns in these. */
typedef struct {
  tp_padded grid;
  float *row_scale, *column_scale; /* the image's: 1 / sqrt (length) / the kernel's transform */
  double area;                     /* of k-space that a point of the grid stands for, over the
                                      kernel's integral squared */
  int64_t count, bands, *begin;    /* band b has the points from begin[b] to begin[b + 1] */
  tp_place *places;
  tp_weights *weights;
  unsigned version; /* of the trajectory's values */
} plan;

static void
plan_free (void *context)
{
  plan *p = context;
  tp_scratch_free (p->row_scale);
  tp_scratch_free (p->column_scale);
  tp_scratch_free (p->begin);
  tp_scratch_free (p->places);
  tp_scratch_free (p->weights);
  free (p);
}

/* The exponential of a semicircle, exp (beta (sqrt (1 - (2 t / width)^2) - 1)), with the beta that suits
 * a grid FINER times as fine (Barnett, Magland, af Klinteberg 2019, equation 4.5). */
static double
kernel_beta (double finer)
{
  return 0.97 * M_PI * TP_REACH * (1 - 1 / (2 * finer));
}

static double
kernel (double t, double beta)
{
  double s = 2 * t / TP_REACH, inside = 1 - s * s;
  return exp (beta * ((inside > 0 ? sqrt (inside) : 0) - 1));
}

/* Its Fourier transform at F turns for each point of the grid. */
static double
kernel_transform (double f, double beta)
{
  enum { STEPS = 256 }; /* of the trapezoid rule on one half; the kernel is as good as 0 at its end */
  double step = TP_REACH / 2. / STEPS, sum = kernel (0, beta) / 2;
  for (int i = 1; i < STEPS; i++)
    sum += kernel (i * step, beta) * cos (2 * M_PI * f * i * step);
  return 2 * step * sum;
}

static float *
image_scale (int64_t length, int64_t grid, double beta)
{
  float *scale = tp_scratch_alloc ((size_t) length * sizeof *scale);
  for (int64_t n = 0; scale && n < length; n++)
    scale[n] = (float) (1 / sqrt ((double) length)
                        / kernel_transform ((double) (n - length / 2) / (double) grid, beta));
  return scale;
}

typedef struct {
  plan *p;
  const float *coordinates; /* (count 2) */
  const int64_t *order;     /* which point is where, or NULL: each at its own */
  double beta[2];
} place_job;

/* Where point NUMBER's square begins along AXIS, from 0 to the grid's length, and the point's place in it. */
static int64_t
corner (const place_job *j, int64_t number, int axis, double *inside)
{
  const tp_padded *g = &j->p->grid;
  int64_t length = axis ? g->grid_columns : g->grid_rows, image = axis ? g->columns : g->rows;
  double u = (double) j->coordinates[2 * number + axis] * (double) length / (double) image;
  double begin = ceil (u - TP_REACH / 2);
  *inside = u - begin;
  int64_t at = (int64_t) begin % length;
  return at < 0 ? at + length : at;
}

static void
place_points (void *context, int64_t begin, int64_t end)
{
  place_job *j = context;
  for (int64_t i = begin; i < end; i++)
    {
      tp_weights *w = &j->p->weights[i];
      int64_t number = j->order[i];
      double inside[2];
      int64_t row = corner (j, number, 0, &inside[0]), column = corner (j, number, 1, &inside[1]);
      j->p->places[i] = (tp_place) { row * j->p->grid.stride + column, number };
      for (int k = 0; k < TP_REACH; k++)
        {
          w->rows[k] = (float) kernel (inside[0] - k, j->beta[0]);
          w->columns[k] = (float) kernel (inside[1] - k, j->beta[1]);
        }
    }
}

/* ORDER (count) of the points by band and column, and where the bands begin. */
static tp_status
sort_points (place_job *j, int64_t *order)
{
  plan *p = j->p;
  int64_t blocks = p->grid.grid_columns / TP_REACH, bins = p->bands * blocks;
  int64_t *at = tp_scratch_alloc ((size_t) (bins + 1) * sizeof *at);
  int64_t *bin = tp_scratch_alloc ((size_t) p->count * sizeof *bin);
  if (at && bin)
    {
      memset (at, 0, (size_t) (bins + 1) * sizeof *at);
      for (int64_t i = 0; i < p->count; i++)
        {
          double inside;
          bin[i] = corner (j, i, 0, &inside) / BAND * blocks + corner (j, i, 1, &inside) / TP_REACH;
          at[bin[i] + 1]++;
        }
      for (int64_t b = 0; b < bins; b++)
        at[b + 1] += at[b];
      for (int64_t b = 0; b <= p->bands; b++)
        p->begin[b] = at[b * blocks];
      for (int64_t i = 0; i < p->count; i++)
        order[at[bin[i]]++] = i;
    }
  bool ready = at && bin;
  tp_scratch_free (at);
  tp_scratch_free (bin);
  return ready ? TP_OK : TP_NO_MEMORY;
}

static tp_status
plan_fill (plan *p, const float *coordinates, int64_t rows, int64_t columns)
{
  /* One and a half times, and no less than the kernel and as much again. */
  int64_t least_rows = rows + (rows + 1) / 2, least_columns = columns + (columns + 1) / 2;
  enum { LEAST = 2 * TP_REACH };
  if (tp_padded_init (&p->grid, rows, columns, least_rows < LEAST ? LEAST : least_rows,
                      least_columns < LEAST ? LEAST : least_columns))
    return tp_last_status ();
  place_job j = { p, coordinates, NULL,
                  { kernel_beta ((double) p->grid.grid_rows / (double) rows),
                    kernel_beta ((double) p->grid.grid_columns / (double) columns) } };
  double integral = kernel_transform (0, j.beta[0]) * kernel_transform (0, j.beta[1]);
  p->area = (double) (rows * columns) / (double) (p->grid.grid_rows * p->grid.grid_columns)
            * integral * integral;
  p->bands = (p->grid.grid_rows + BAND - 1) / BAND;
  p->row_scale = image_scale (rows, p->grid.grid_rows, j.beta[0]);
  p->column_scale = image_scale (columns, p->grid.grid_columns, j.beta[1]);
  p->begin = tp_scratch_alloc ((size_t) (p->bands + 1) * sizeof *p->begin);
  p->places = tp_scratch_alloc ((size_t) p->count * sizeof *p->places);
  p->weights = tp_scratch_alloc ((size_t) p->count * sizeof *p->weights);
  int64_t *order = tp_scratch_alloc ((size_t) p->count * sizeof *order);
  bool ready = p->row_scale && p->column_scale && p->begin && p->places && p->weights && order
               && sort_points (&j, order) == TP_OK;
  if (ready)
    {
      j.order = order;
      tp_parallel_for (p->count, POINTS_PER_THREAD, place_points, &j);
    }
  tp_scratch_free (order);
  return ready ? TP_OK : tp_fail (TP_NO_MEMORY, "trajectory: no memory for %ld points", (long) p->count);
}

/* Fail unless TRAJECTORY has points that images of ROWS x COLUMNS determine. */
static tp_status
check_trajectory (const tp_tensor *t, int64_t rows, int64_t columns)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (t, "trajectory", TP_F32, -1))
    return tp_last_status ();
  if (t->rank < 2 || t->shape[t->rank - 1] != 2 || !tp_tensor_count (t))
    return tp_fail (TP_BAD_SHAPE, "trajectory: expected one point or more, (points 2) or (spokes samples "
                    "2), got shape %s", tp_shape_text (text, t->rank, t->shape));
  if (rows < 1 || columns < 1)
    return tp_fail (TP_BAD_ARGUMENT, "rows, columns: expected 1 or more, got %ld and %ld", (long) rows,
                    (long) columns);
  const float *k = tp_f32 (t);
  for (int64_t i = 0; i < tp_tensor_count (t); i++)
    {
      int64_t length = i % 2 ? columns : rows;
      if (!isfinite (k[i]))
        return tp_fail (TP_BAD_VALUE, "trajectory: point %ld is (%g %g), expected finite coordinates",
                        (long) (i / 2), (double) k[i - i % 2], (double) k[i - i % 2 + 1]);
      if (fabs ((double) k[i]) > 0.500005 * (double) length)
        return tp_fail (TP_BAD_VALUE, "trajectory: point %ld is (%g %g), expected coordinates within "
                        "%g and %g, half of an image of %ld x %ld, in units of 1 / field of view",
                        (long) (i / 2), (double) k[i - i % 2], (double) k[i - i % 2 + 1],
                        (double) rows / 2, (double) columns / 2, (long) rows, (long) columns);
    }
  return TP_OK;
}

/* What is kept with TRAJECTORY, made anew where its values or the images' size have changed. */
static const plan *
find_plan (tp_tensor *trajectory, int64_t rows, int64_t columns)
{
  plan *p = trajectory->derived;
  unsigned version = tp_buffer_version (trajectory->buffer);
  if (p && p->version == version && p->grid.rows == rows && p->grid.columns == columns)
    return p;
  if (check_trajectory (trajectory, rows, columns))
    return NULL;
  p = calloc (1, sizeof *p);
  if (!p)
    {
      tp_fail (TP_NO_MEMORY, "trajectory: no memory");
      return NULL;
    }
  p->version = version;
  p->count = tp_tensor_count (trajectory) / 2;
  if (plan_fill (p, tp_f32 (trajectory), rows, columns))
    {
      plan_free (p);
      return NULL;
    }
  tp_set_derived (trajectory, p, plan_free);
  return p;
}

/* --- Between grid and points ------------------------------------------------ */

typedef struct {
  const plan *p;
  const tp_grid_kernels *kernels;
  tp_complex *grid, *values;
  int64_t odd; /* which bands */
} point_job;

static void
interpolate (void *context, int64_t begin, int64_t end)
{
  point_job *j = context;
  j->kernels->interpolate (j->values, j->grid, j->p->grid.stride, j->p->places + begin,
                           j->p->weights + begin, end - begin);
}

/* VALUES (count) of GRID at the points. */
static void
take_points (const plan *p, tp_complex *values, tp_complex *grid)
{
  point_job j = { p, tp_grid_kernels_get (), grid, values, 0 };
  tp_parallel_for (p->count, POINTS_PER_THREAD, interpolate, &j);
}

static void
spread (void *context, int64_t begin, int64_t end)
{
  point_job *j = context;
  for (int64_t b = 2 * begin + j->odd; b < 2 * end + j->odd && b < j->p->bands; b++)
    if ((b - j->odd) % 2 == 0)
      {
        int64_t first = j->p->begin[b];
        j->kernels->spread (j->grid, j->values, j->p->grid.stride, j->p->places + first,
                            j->p->weights + first, j->p->begin[b + 1] - first);
      }
}

/* GRID and its margin <- VALUES (count) of the points.  Every other band, and then the others: so
 * threads do not meet, and each sum has its order. */
static void
put_points (const plan *p, tp_complex *grid, tp_complex *values)
{
  memset (grid, 0, (size_t) ((p->grid.grid_rows + TP_MARGIN) * p->grid.stride) * sizeof *grid);
  for (int64_t odd = 0; odd < 2; odd++)
    {
      point_job j = { p, tp_grid_kernels_get (), grid, values, odd };
      tp_parallel_for ((p->bands + 1) / 2, 1, spread, &j);
    }
}

/* --- Forward and adjoint -------------------------------------------------- */

typedef struct {
  const plan *p;
  tp_complex *images, *values;
  bool adjoint;
  atomic_bool failed;
} image_job;

static void
transform_images (void *context, int64_t begin, int64_t end)
{
  image_job *j = context;
  const plan *p = j->p;
  tp_complex *grid = tp_padded_grid (&p->grid);
  if (!grid)
    atomic_store (&j->failed, true);
  for (int64_t i = begin; grid && i < end; i++)
    {
      tp_complex *image = j->images + i * p->grid.rows * p->grid.columns, *values = j->values + i * p->count;
      if (j->adjoint)
        {
          put_points (p, grid, values);
          if (tp_padded_columns_out (&p->grid, grid))
            atomic_store (&j->failed, true);
          tp_padded_rows_out (&p->grid, grid, image, p->row_scale, p->column_scale);
        }
      else
        {
          tp_padded_rows_in (&p->grid, grid, image, p->row_scale, p->column_scale);
          if (tp_padded_columns_in (&p->grid, grid))
            atomic_store (&j->failed, true);
          take_points (p, values, grid);
        }
    }
  tp_scratch_free (grid);
}

/* RESULT (NULL: none), filled from X, one image or more. */
static tp_tensor *
transformed (const plan *p, const tp_tensor *x, tp_tensor *result, bool adjoint)
{
  if (!result)
    return NULL;
  const tp_tensor *images = adjoint ? result : x, *values = adjoint ? x : result;
  image_job j = { .p = p, .images = tp_c64 (images), .values = tp_c64 (values), .adjoint = adjoint };
  tp_parallel_for (tp_tensor_count (images) / (p->grid.rows * p->grid.columns), 1, transform_images, &j);
  if (!j.failed)
    return result;
  tp_fail (TP_NO_MEMORY, "no memory for images of %ld x %ld", (long) p->grid.rows, (long) p->grid.columns);
  tp_tensor_free (result);
  return NULL;
}

/* The adjoint, of what a record of either has. */
static tp_status
nufft_backward (const tp_record *r)
{
  tp_tensor *g = r->output->grad, *trajectory = r->saved[0];
  bool forward = r->numbers[0] == 0;
  return tp_accumulate_grad (r->inputs[0], forward ? tp_nufft_adjoint (g, trajectory, (int64_t) r->numbers[1],
                                                                       (int64_t) r->numbers[2])
                                                   : tp_nufft_forward (g, trajectory));
}

static tp_tensor *
recorded (tp_tensor *result, tp_tensor *x, tp_tensor *trajectory, bool adjoint, int64_t rows, int64_t columns)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .saved = { trajectory },
                  .numbers = { adjoint, (double) rows, (double) columns },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED, .twice = true };
  return tp_recorded (result, &r, nufft_backward);
}

tp_tensor *
tp_nufft_forward (tp_tensor *x, tp_tensor *trajectory)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (x, "x", TP_C64, -1) || tp_tape_constant (trajectory, "trajectory"))
    return NULL;
  if (x->rank < 2 || x->rank - 2 + trajectory->rank - 1 > TP_MAX_RANK)
    {
      tp_fail (TP_BAD_SHAPE, "x: expected images (... rows columns), got shape %s",
               tp_shape_text (text, x->rank, x->shape));
      return NULL;
    }
  int64_t rows = x->shape[x->rank - 2], columns = x->shape[x->rank - 1], shape[TP_MAX_RANK];
  const plan *p = find_plan (trajectory, rows, columns);
  if (!p)
    return NULL;
  int rank = x->rank - 2;
  memcpy (shape, x->shape, (size_t) rank * sizeof *shape);
  for (int a = 0; a < trajectory->rank - 1; a++)
    shape[rank++] = trajectory->shape[a];
  return recorded (transformed (p, x, tp_tensor_create (TP_C64, rank, shape), false), x, trajectory, false,
                   rows, columns);
}

tp_tensor *
tp_nufft_adjoint (tp_tensor *y, tp_tensor *trajectory, int64_t rows, int64_t columns)
{
  char text[TP_SHAPE_TEXT], points[TP_SHAPE_TEXT];
  if (tp_check (y, "y", TP_C64, -1) || tp_tape_constant (trajectory, "trajectory"))
    return NULL;
  const plan *p = find_plan (trajectory, rows, columns);
  if (!p)
    return NULL;
  int axes = trajectory->rank - 1, rank = y->rank - axes;
  bool fits = rank >= 0 && rank + 2 <= TP_MAX_RANK;
  for (int a = 0; fits && a < axes; a++)
    fits = y->shape[rank + a] == trajectory->shape[a];
  if (!fits)
    {
      tp_fail (TP_BAD_SHAPE, "y: expected a number for each point of the trajectory, (... %s, got shape %s",
               tp_shape_text (points, axes, trajectory->shape) + 1, tp_shape_text (text, y->rank, y->shape));
      return NULL;
    }
  int64_t shape[TP_MAX_RANK];
  memcpy (shape, y->shape, (size_t) rank * sizeof *shape);
  shape[rank] = rows;
  shape[rank + 1] = columns;
  return recorded (transformed (p, y, tp_tensor_create (TP_C64, rank + 2, shape), true), y, trajectory, true,
                   rows, columns);
}

/* --- Density --------------------------------------------------------------- */

/* Add GRID's margin to the first rows and columns that it repeats, and repeat them. */
static void
close_grid (const tp_padded *g, tp_complex *grid)
{
  for (int64_t r = 0; r < g->grid_rows + TP_MARGIN; r++)
    for (int64_t c = 0; c < TP_MARGIN; c++)
      grid[r * g->stride + c] += grid[r * g->stride + g->grid_columns + c];
  for (int64_t r = 0; r < TP_MARGIN; r++)
    {
      tp_complex *first = grid + r * g->stride, *beyond = first + g->grid_rows * g->stride;
      for (int64_t c = 0; c < g->grid_columns; c++)
        first[c] += beyond[c];
      memcpy (beyond, first, (size_t) g->grid_columns * sizeof *first);
    }
  for (int64_t r = 0; r < g->grid_rows + TP_MARGIN; r++)
    memcpy (grid + r * g->stride + g->grid_columns, grid + r * g->stride, TP_MARGIN * sizeof *grid);
}

tp_tensor *
tp_nufft_density (tp_tensor *trajectory, int64_t rows, int64_t columns, int steps)
{
  if (check_trajectory (trajectory, rows, columns) || tp_tape_constant (trajectory, "trajectory"))
    return NULL;
  /* Over images twice as large the kernel is half as wide in k-space, and its own transform nearly
   * constant over the image. */
  tp_tensor *twice = tp_affine (trajectory, 2, 0);
  const plan *p = twice ? find_plan (twice, 2 * rows, 2 * columns) : NULL;
  tp_tensor *density = p ? tp_tensor_create (TP_F32, trajectory->rank - 1, trajectory->shape) : NULL;
  tp_complex *grid = density ? tp_padded_grid (&p->grid) : NULL;
  tp_complex *values = grid ? tp_scratch_alloc ((size_t) p->count * 2 * sizeof *values) : NULL;
  if (values)
    {
      tp_complex *around = values + p->count;
      float area = (float) (p->area / 4);
      for (int64_t i = 0; i < p->count; i++)
        values[i] = 1;
      for (int step = 0; step < steps; step++)
        {
          put_points (p, grid, values);
          close_grid (&p->grid, grid);
          take_points (p, around, grid);
          for (int64_t i = 0; i < p->count; i++)
            values[i] = crealf (values[i]) / crealf (around[i]);
        }
      for (int64_t i = 0; i < p->count; i++)
        tp_f32 (density)[i] = crealf (values[i]) * area;
    }
  else if (grid)
    tp_fail (TP_NO_MEMORY, "trajectory: no memory for %ld points", (long) p->count);
  bool ready = values;
  tp_scratch_free (values);
  tp_scratch_free (grid);
  tp_tensor_free (twice);
  if (ready)
    return density;
  tp_tensor_free (density);
  return NULL;
}
