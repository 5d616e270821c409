/* conv_winograd.c -- 3 x 3 convolution at stride 1 with a quarter of the products.
 *
 * The output is cut into tiles of 4 x 4 (winograd_kernel.h).  A batch of tiles,
 * small enough for a core's cache, is transformed, multiplied place by place with
 * the transformed weights, and transformed back; batches are dealt to threads.
 * The weight gradient is the adjoint: products of transformed inputs and spread
 * output gradients, summed over tiles. */
#include <string.h>

#include "core/threads.h"
#include "nn/conv_loops.h"
#include "nn/kernels/winograd_kernel.h"

enum { IN = TP_WINOGRAD_IN, OUT = TP_WINOGRAD_OUT, PLACES = TP_WINOGRAD_PLACES };

typedef struct {
  tp_conv_job *conv;
  const tp_winograd_kernels *kernels;
  int64_t tile_rows, tile_columns, tiles; /* of an image; of all images */
  int64_t batch;                          /* tiles transformed at once */
  int64_t c_padded, o_padded, blocks;
  int64_t v_place, z_place, m_place;      /* from one place to the next, see below */
  float *u;                               /* [block][place][c][block channels] */
  const float *g;                         /* weight gradient alone from here on */
  float *acc, *dw;                        /* [group][place][block][c rounded up][block] */
  int64_t groups, acc_rows;
  tp_status status;
} winograd_job;

static winograd_job
job_for (tp_conv_job *j)
{
  winograd_job q = { .conv = j, .kernels = tp_winograd_kernels_get (), .status = TP_OK };
  q.tile_rows = tp_pieces (j->oh, OUT);
  q.tile_columns = tp_pieces (j->ow, OUT);
  q.tiles = j->n * q.tile_rows * q.tile_columns;
  q.c_padded = tp_pieces (j->c, q.kernels->width) * q.kernels->width;
  q.blocks = tp_pieces (j->o, j->kernels->block);
  q.o_padded = q.blocks * j->kernels->block;
  return q;
}

/* As many tiles, a multiple of the register tile's, as BYTES hold at BYTES_EACH. */
static int64_t
batch_of (const winograd_job *q, int64_t bytes, int64_t bytes_each, int64_t most)
{
  int64_t step = q->conv->kernels->pixels, batch = tp_least (bytes / bytes_each, most);
  return batch < step ? step : batch / step * step;
}

/* Places a power of two apart would share a few sets of the first cache; a line
 * more between them spreads them over all. */
static void
space_places (winograd_job *q)
{
  q->v_place = q->batch * q->c_padded + TP_ALIGNMENT / 4;
  q->z_place = q->batch * q->o_padded + TP_ALIGNMENT / 4;
  q->m_place = q->batch * q->conv->kernels->block + TP_ALIGNMENT / 4;
}

typedef struct {
  int64_t n, y, x; /* image, first output row and column */
} place;

static place
tile_place (const winograd_job *q, int64_t tile)
{
  int64_t per_image = q->tile_rows * q->tile_columns, rest = tile % per_image;
  return (place) { tile / per_image, rest / q->tile_columns * OUT, rest % q->tile_columns * OUT };
}

/* V [place][tile][c_padded] of COUNT tiles from FIRST on; STRIP holds one tile. */
static void
transform_inputs (const winograd_job *q, float *v, float *strip, int64_t first, int64_t count)
{
  const tp_conv_job *j = q->conv;
  for (int64_t t = 0; t < count; t++)
    {
      place p = tile_place (q, first + t);
      int64_t top = p.y - j->top, left = p.x - j->left;
      bool inside = left >= 0 && left + IN <= j->w;
      const float *rows[IN];
      for (int i = 0; i < IN; i++)
        if (inside && top + i >= 0 && top + i < j->h)
          rows[i] = j->in + ((p.n * j->h + top + i) * j->w + left) * j->c;
        else
          {
            tp_conv_gather_row (j, strip + i * IN * j->c, p.n, top + i, left, IN);
            rows[i] = strip + i * IN * j->c;
          }
      q->kernels->input (v + t * q->c_padded, q->v_place, rows, (int) j->c);
    }
}

static void
convolve_batches (void *context, int64_t begin, int64_t end)
{
  winograd_job *q = context;
  const tp_conv_job *j = q->conv;
  const tp_conv_kernels *k = j->kernels;
  float *v = tp_scratch_alloc ((size_t) (PLACES * q->v_place) * sizeof *v);
  float *m = tp_scratch_alloc ((size_t) (PLACES * q->m_place) * sizeof *m);
  float *strip = tp_scratch_alloc ((size_t) (IN * IN * j->c) * sizeof *strip);
  const tp_epilogue none = { NULL, NULL, 1 };
  if (!v || !m || !strip)
    q->status = TP_NO_MEMORY;
  else
    for (int64_t item = begin; item < end; item++)
      {
        int64_t first = item * q->batch, count = tp_least (q->batch, q->tiles - first);
        transform_inputs (q, v, strip, first, count);
        for (int64_t b = 0; b < q->blocks; b++)
          {
            const float *u = q->u + b * PLACES * j->c * k->block;
            for (int64_t s = 0; s < PLACES; s++)
              for (int64_t t = 0; t < count; t += k->pixels)
                {
                  const float *row = v + s * q->v_place + t * q->c_padded;
                  k->tile (m + s * q->m_place + t * k->block, k->block, &row, 1, q->c_padded,
                           j->c, u + s * j->c * k->block, (int) tp_least (k->pixels, count - t),
                           k->block, &none);
                }
            int channels = (int) tp_least (k->block, j->o - b * k->block);
            for (int64_t t = 0; t < count; t++)
              {
                place p = tile_place (q, first + t);
                int64_t at = ((p.n * j->oh + p.y) * j->ow + p.x) * j->o + b * k->block;
                tp_epilogue e = { j->bias ? j->bias + b * k->block : NULL,
                                  j->residual ? j->residual + at : NULL, j->slope };
                q->kernels->output (j->out + at, j->ow * j->o, j->o, m + t * k->block,
                                    q->m_place, (int) tp_least (OUT, j->oh - p.y),
                                    (int) tp_least (OUT, j->ow - p.x), channels, &e);
              }
          }
      }
  tp_scratch_free (v);
  tp_scratch_free (m);
  tp_scratch_free (strip);
}

/* Items are pairs of a block and an input channel. */
static void
transform_weights (void *context, int64_t begin, int64_t end)
{
  winograd_job *q = context;
  const tp_conv_job *j = q->conv;
  int64_t block = j->kernels->block, line = j->c * block;
  for (int64_t item = begin; item < end; item++)
    {
      int64_t b = item / j->c, c = item % j->c;
      q->kernels->weights (q->u + b * PLACES * line + c * block, line,
                           j->weights + b * 9 * line + c * block, line, (int) block);
    }
}

tp_status
tp_conv_winograd (tp_conv_job *j)
{
  enum { CACHE = 512 * 1024 }; /* bytes of transformed input, within a usual L2 */
  winograd_job q = job_for (j);
  q.batch = batch_of (&q, CACHE, PLACES * q.c_padded * 4, 48);
  space_places (&q);
  q.u = tp_scratch_alloc ((size_t) (q.blocks * PLACES * j->c * j->kernels->block) * sizeof *q.u);
  if (!q.u)
    return TP_NO_MEMORY;
  tp_parallel_for (q.blocks * j->c, 64, transform_weights, &q);
  tp_parallel_for (tp_pieces (q.tiles, q.batch), 1, convolve_batches, &q);
  tp_scratch_free (q.u);
  return q.status;
}

/* --- Weight gradient ------------------------------------------------------- */

static int64_t
acc_count (const winograd_job *q)
{
  return PLACES * q->blocks * q->acc_rows * q->conv->kernels->block;
}

/* Z [place][tile][o_padded] of COUNT tiles from FIRST on. */
static void
spread_gradients (const winograd_job *q, float *z, float *strip, int64_t first, int64_t count)
{
  const tp_conv_job *j = q->conv;
  for (int64_t t = 0; t < count; t++)
    {
      place p = tile_place (q, first + t);
      int64_t rows_inside = tp_least (OUT, j->oh - p.y), inside = tp_least (OUT, j->ow - p.x);
      const float *rows[OUT];
      for (int64_t i = 0; i < OUT; i++)
        {
          const float *row = q->g + ((p.n * j->oh + p.y + i) * j->ow + p.x) * j->o;
          if (rows_inside > i && inside == OUT)
            {
              rows[i] = row;
              continue;
            }
          float *copy = strip + i * OUT * j->o;
          memset (copy, 0, (size_t) (OUT * j->o) * sizeof *copy);
          if (rows_inside > i)
            memcpy (copy, row, (size_t) (inside * j->o) * sizeof *copy);
          rows[i] = copy;
        }
      q->kernels->spread (z + t * q->o_padded, q->z_place, rows, (int) j->o);
    }
}

static void
add_groups (void *context, int64_t begin, int64_t end)
{
  winograd_job *q = context;
  const tp_conv_job *j = q->conv;
  const tp_conv_kernels *k = j->kernels;
  int64_t strip_pixels = IN * IN * j->c > OUT * OUT * j->o ? IN * IN * j->c : OUT * OUT * j->o;
  float *v = tp_scratch_alloc ((size_t) (PLACES * q->v_place) * sizeof *v);
  float *z = tp_scratch_alloc ((size_t) (PLACES * q->z_place) * sizeof *z);
  float *strip = tp_scratch_alloc ((size_t) strip_pixels * sizeof *strip);
  if (!v || !z || !strip)
    q->status = TP_NO_MEMORY;
  else
    {
      /* The last vector of a pixel may not fill its padding. */
      memset (z, 0, (size_t) (PLACES * q->z_place) * sizeof *z);
      for (int64_t group = begin; group < end; group++)
        {
          float *acc = q->acc + group * acc_count (q);
          memset (acc, 0, (size_t) acc_count (q) * sizeof *acc);
          int64_t last = q->tiles * (group + 1) / q->groups;
          for (int64_t first = q->tiles * group / q->groups; first < last; first += q->batch)
            {
              int64_t count = tp_least (q->batch, last - first);
              transform_inputs (q, v, strip, first, count);
              spread_gradients (q, z, strip, first, count);
              float *tile = acc;
              for (int64_t s = 0; s < PLACES; s++)
                for (int64_t b = 0; b < q->blocks; b++, tile += q->acc_rows * k->block)
                  for (int64_t c = 0; c < j->c; c += k->pixels)
                    k->weight_tile (tile + c * k->block, v + s * q->v_place + c,
                                    q->c_padded, z + s * q->z_place + b * k->block,
                                    q->o_padded, count, (int) tp_least (k->pixels, j->c - c));
            }
        }
    }
  tp_scratch_free (v);
  tp_scratch_free (z);
  tp_scratch_free (strip);
}

/* Items are pairs of a block and an input channel: the groups' sums, then taps. */
static void
collect_taps (void *context, int64_t begin, int64_t end)
{
  const winograd_job *q = context;
  const tp_conv_job *j = q->conv;
  int64_t block = j->kernels->block, stride = q->blocks * q->acc_rows * block;
  for (int64_t item = begin; item < end; item++)
    {
      int64_t b = item / j->c, c = item % j->c;
      float *sum = q->acc + (b * q->acc_rows + c) * block;
      for (int64_t group = 1; group < q->groups; group++)
        for (int64_t s = 0; s < PLACES; s++)
          for (int64_t i = 0; i < block; i++)
            sum[s * stride + i] += sum[group * acc_count (q) + s * stride + i];
      q->kernels->taps (q->dw + c * j->o + b * block, j->c * j->o, sum, stride,
                        (int) tp_least (block, j->o - b * block));
    }
}

tp_status
tp_conv_winograd_weights (const tp_conv_job *job, const float *g, float *dw)
{
  enum { CACHE = 1024 * 1024 }; /* bytes of transformed input and gradient */
  tp_conv_job j = *job;
  winograd_job q = job_for (&j);
  q.g = g;
  q.dw = dw;
  q.batch = batch_of (&q, CACHE, PLACES * (q.c_padded + q.o_padded) * 4, 64);
  space_places (&q);
  q.acc_rows = tp_pieces (j.c, j.kernels->pixels) * j.kernels->pixels;
  q.groups = tp_least (4, tp_pieces (q.tiles, q.batch));
  q.acc = tp_scratch_alloc ((size_t) (q.groups * acc_count (&q)) * sizeof *q.acc);
  if (!q.acc)
    return TP_NO_MEMORY;
  tp_parallel_for (q.groups, 1, add_groups, &q);
  tp_parallel_for (q.blocks * j.c, 16, collect_taps, &q);
  tp_scratch_free (q.acc);
  return q.status;
}

bool
tp_conv_winograd_pays (const tp_conv_job *j)
{
  /* With few input channels the transforms cost what the products save; 16 is by
   * count of operations, not yet by measurement. */
  return j->kh == 3 && j->kw == 3 && j->stride == 1 && j->dilation == 1 && j->c >= 16
         && j->oh >= OUT && j->ow >= OUT;
}
