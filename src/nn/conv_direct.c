/* conv_direct.c -- convolution as it is written: loops over register tiles.
 *
 * Work is dealt to threads by rows, weight gradients by groups of rows; each
 * number is summed by one thread, in one order. */
#include <string.h>

#include "core/threads.h"
#include "nn/conv_loops.h"

void
tp_conv_gather_row (const tp_conv_job *j, const tp_conv_source *source, float *line, int64_t n,
                    int64_t y, int64_t x, int64_t count)
{
  int64_t c = source->c, d = j->dilation;
  int shift = source->enlarged;
  size_t pixel = (size_t) c * sizeof *line;
  bool inside = y >= 0 && y % d == 0 && y / d < j->h;
  int64_t at = inside ? (y / d) >> shift : 0;
  const float *row = source->data + (n * (j->h >> shift) + at) * (j->w >> shift) * c;
  if (d == 1 && !shift)
    { /* zeros, a run of pixels, zeros */
      int64_t first = inside ? tp_least (x < 0 ? -x : 0, count) : count;
      int64_t last = inside && j->w > x ? tp_least (j->w - x, count) : first;
      if (last < first)
        last = first;
      memset (line, 0, (size_t) first * pixel);
      if (last > first)
        memcpy (line + first * c, row + (x + first) * c, (size_t) (last - first) * pixel);
      memset (line + last * c, 0, (size_t) (count - last) * pixel);
      return;
    }
  for (int64_t i = 0; i < count; i++, line += c)
    {
      int64_t column = x + i;
      if (inside && column >= 0 && column % d == 0 && column / d < j->w)
        memcpy (line, row + ((column / d) >> shift) * c, pixel);
      else
        memset (line, 0, pixel);
    }
}

typedef struct {
  const tp_conv_job *conv;
  const float *packed;   /* [block][ky][kx][c][block], or, narrow, [o][ky][kx][c] */
  int64_t rows_per_item;
  bool narrow;
  tp_status status;
} direct_job;

/* With few outputs most of a register tile would stand idle: then the products run
 * along the input channels instead. */
static bool
is_narrow (const tp_conv_job *j)
{
  return j->o <= TP_CONV_NARROW && j->c % j->kernels->width == 0;
}

/* The rows of the window of the tile at (Y, X) of image N, PIXELS wide: in
 * place when it lies inside the image, else gathered into STRIP. */
static void
window_rows (const tp_conv_job *j, const float **rows, float *strip, int64_t n, int64_t y,
             int64_t x, int pixels)
{
  const tp_conv_source *source = &j->sources[0];
  int64_t top = y * j->stride - j->top, left = x * j->stride - j->left;
  int64_t width = (pixels - 1) * j->stride + j->kw;
  bool in_place = j->dilation == 1 && !source->enlarged && left >= 0 && left + width <= j->w;
  for (int ky = 0; ky < j->kh; ky++)
    {
      int64_t row = top + ky;
      if (in_place && row >= 0 && row < j->h)
        rows[ky] = source->data + ((n * j->h + row) * j->w + left) * j->c;
      else
        {
          tp_conv_gather_row (j, source, strip, n, row, left, width);
          rows[ky] = strip;
          strip += width * j->c;
        }
    }
}

static void
convolve_rows (void *context, int64_t begin, int64_t end)
{
  direct_job *q = context;
  const tp_conv_job *j = q->conv;
  const tp_conv_sink *sink = &j->sinks[0];
  const tp_conv_kernels *k = j->kernels;
  int64_t run = (int64_t) j->kw * j->c, groups = tp_pieces (j->oh, q->rows_per_item);
  int64_t strip_width = (k->pixels - 1) * j->stride + j->kw;
  float *strip = tp_scratch_alloc ((size_t) (j->kh * strip_width * j->c) * sizeof *strip);
  if (!strip)
    {
      q->status = TP_NO_MEMORY;
      return;
    }
  int64_t width = q->narrow ? j->o : k->block;
  for (int64_t item = begin; item < end; item++)
    {
      int64_t n = item / groups, first = item % groups * q->rows_per_item;
      int64_t last = tp_least (first + q->rows_per_item, j->oh);
      for (int64_t b = 0; b < tp_pieces (j->o, width); b++)
        {
          const float *weights = q->packed + b * j->kh * run * width;
          int channels = (int) tp_least (width, j->o - b * width);
          for (int64_t y = first; y < last; y++)
            for (int64_t x = 0; x < j->ow; x += k->pixels)
              {
                int pixels = (int) tp_least (k->pixels, j->ow - x);
                const float *rows[TP_CONV_MAX_SIZE];
                window_rows (j, rows, strip, n, y, x, pixels);
                int64_t at = ((n * j->oh + y) * j->ow + x) * j->o + b * width;
                tp_epilogue e = { j->bias ? j->bias + b * width : NULL,
                                  sink->residual ? sink->residual + at : NULL, j->slope };
                (q->narrow ? k->narrow_tile : k->tile) (sink->data + at, j->o, rows, j->kh,
                                                        j->stride * j->c, run, weights, pixels,
                                                        channels, &e);
              }
        }
    }
  tp_scratch_free (strip);
}

tp_status
tp_conv_direct (const tp_conv_job *j, const float *packed)
{
  direct_job q = { .conv = j, .packed = packed, .narrow = is_narrow (j), .status = TP_OK };
  /* Rows of an item share what a block of weights costs to bring in; there
   * should be several items for each thread even so. */
  q.rows_per_item = 8;
  while (q.rows_per_item > 1 && j->n * (j->oh / q.rows_per_item) < 16)
    q.rows_per_item /= 2;
  tp_parallel_for (j->n * tp_pieces (j->oh, q.rows_per_item), 1, convolve_rows, &q);
  return q.status;
}

float *
tp_conv_direct_pack (const tp_conv_job *j, const float *w, int64_t c, int64_t first_c, int64_t o,
                     int64_t first_o)
{
  bool narrow = is_narrow (j);
  int64_t width = narrow ? j->o : j->kernels->block, taps = (int64_t) j->kh * j->kw;
  int64_t blocks = tp_pieces (j->o, width);
  float *packed = tp_scratch_alloc ((size_t) (blocks * taps * j->c * width) * sizeof *packed);
  if (!packed)
    return NULL;
  float *to = packed;
  for (int64_t b = 0; b < blocks; b++)
    {
      int64_t full = tp_least (width, j->o - b * width);
      for (int64_t k = 0; k < taps; k++)
        for (int64_t i = 0; i < j->c; i++)
          {
            const float *from = w + (k * c + first_c + i) * o + first_o + b * width;
            if (narrow)
              for (int64_t q = 0; q < full; q++)
                packed[(q * taps + k) * j->c + i] = from[q];
            else
              {
                memcpy (to, from, (size_t) full * sizeof *to);
                memset (to + full, 0, (size_t) (width - full) * sizeof *to);
                to += width;
              }
          }
    }
  return packed;
}

/* --- Weight gradient ------------------------------------------------------
 *
 *   dw[k, l, c, o] = sum_{n, i, j} x[n, i s + k - p, j s + l - p, c] g[n, i, j, o]
 *
 * The output rows of all images are dealt to groups, by shape alone; a group
 * is summed by one thread into its own copy of dw, from rows of x (with their
 * zeros) that it copies into its own cache; then the copies are added in order.
 * No core waits for lines that another has just written. */
typedef struct {
  tp_conv_job conv;     /* the forward convolution's geometry */
  const float *g;
  int64_t groups, blocks, pieces, tiles; /* tile = (ky, piece of the run, block) */
  int64_t rows, x_width, g_stride;       /* rows held in cache at once */
  float *acc;        /* [group][tile][pixels][block] */
  float *dw;
  tp_status status;
} weight_job;

static int64_t
acc_count (const weight_job *q)
{
  return q->tiles * q->conv.kernels->pixels * q->conv.kernels->block;
}

/* G's row ROW (counted over all images), its channels padded to whole blocks:
 * in place, or in COPY. */
static const float *
padded_row (const weight_job *q, float *copy, int64_t row)
{
  const tp_conv_job *j = &q->conv;
  const float *from = q->g + row * j->ow * j->o;
  if (q->g_stride == j->o)
    return from;
  float *to = copy;
  for (int64_t x = 0; x < j->ow; x++, from += j->o, to += q->g_stride)
    {
      memcpy (to, from, (size_t) j->o * sizeof *to);
      memset (to + j->o, 0, (size_t) (q->g_stride - j->o) * sizeof *to);
    }
  return copy;
}

/* Add to ACC the products of one row of g with the rows of x in its windows. */
static void
add_row (const weight_job *q, float *acc, const float *x_rows, const float *g)
{
  const tp_conv_job *j = &q->conv;
  const tp_conv_kernels *k = j->kernels;
  int64_t run = (int64_t) j->kw * j->c;
  /* A stretch of pixels short enough that its x and g stay in the first cache
   * while all tiles take their products from it. */
  const int64_t stretch = 64;
  for (int64_t x = 0; x < j->ow; x += stretch)
    {
      float *tile = acc;
      for (int64_t ky = 0; ky < j->kh; ky++)
        for (int64_t at = 0; at < run; at += k->pixels)
          for (int64_t b = 0; b < q->blocks; b++, tile += k->pixels * k->block)
            k->weight_tile (tile, x_rows + (ky * q->x_width + x * j->stride) * j->c + at,
                            j->stride * j->c, g + x * q->g_stride + b * k->block, q->g_stride,
                            tp_least (stretch, j->ow - x), (int) tp_least (k->pixels, run - at));
    }
}

static void
add_groups (void *context, int64_t begin, int64_t end)
{
  weight_job *q = context;
  const tp_conv_job *j = &q->conv;
  int64_t x_line = q->x_width * j->c, all = j->n * j->oh;
  float *x_rows = tp_scratch_alloc ((size_t) (((q->rows - 1) * j->stride + j->kh) * x_line)
                                    * sizeof *x_rows);
  float *g_row = tp_scratch_alloc ((size_t) (j->ow * q->g_stride) * sizeof *g_row);
  if (!x_rows || !g_row)
    q->status = TP_NO_MEMORY;
  else
    for (int64_t group = begin; group < end; group++)
      {
        float *acc = q->acc + group * acc_count (q);
        memset (acc, 0, (size_t) acc_count (q) * sizeof *acc);
        int64_t row = all * group / q->groups, last = all * (group + 1) / q->groups;
        while (row < last)
          { /* as many rows as the cache holds, of one image */
            int64_t n = row / j->oh, y = row % j->oh;
            int64_t count = tp_least (tp_least (q->rows, j->oh - y), last - row);
            for (int64_t i = 0; i < (count - 1) * j->stride + j->kh; i++)
              tp_conv_gather_row (j, &j->sources[0], x_rows + i * x_line, n,
                                  y * j->stride - j->top + i, -j->left, q->x_width);
            for (int64_t i = 0; i < count; i++)
              add_row (q, acc, x_rows + i * j->stride * x_line, padded_row (q, g_row, row + i));
            row += count;
          }
      }
  tp_scratch_free (x_rows);
  tp_scratch_free (g_row);
}

/* Tiles of dw from the groups' sums. */
static void
collect_tiles (void *context, int64_t begin, int64_t end)
{
  const weight_job *q = context;
  const tp_conv_job *j = &q->conv;
  int pixels = j->kernels->pixels, block = j->kernels->block;
  int64_t run = (int64_t) j->kw * j->c;
  for (int64_t tile = begin; tile < end; tile++)
    {
      int64_t b = tile % q->blocks, piece = tile / q->blocks % q->pieces;
      int64_t ky = tile / q->blocks / q->pieces;
      int64_t width = tp_least (pixels, run - piece * pixels);
      int64_t full = tp_least (block, j->o - b * block);
      for (int64_t i = 0; i < width; i++)
        {
          float *to = q->dw + (ky * run + piece * pixels + i) * j->o + b * block;
          const float *from = q->acc + (tile * pixels + i) * block;
          memcpy (to, from, (size_t) full * sizeof *to);
          for (int64_t group = 1; group < q->groups; group++)
            for (int64_t c = 0; c < full; c++)
              to[c] += from[group * acc_count (q) + c];
        }
    }
}

tp_status
tp_conv_direct_weights (const tp_conv_job *j, const float *g, float *dw)
{
  enum { CACHE = 256 * 1024,       /* bytes of x that a thread holds at once */
         PARTIAL = 8 * 1024 * 1024 /* bytes of copies of dw, about */ };
  const tp_conv_kernels *k = j->kernels;
  weight_job q = { .conv = *j, .g = g, .dw = dw };
  q.blocks = tp_pieces (j->o, k->block);
  q.pieces = tp_pieces ((int64_t) j->kw * j->c, k->pixels);
  q.tiles = j->kh * q.pieces * q.blocks;
  q.g_stride = q.blocks * k->block;
  q.x_width = (j->ow - 1) * j->stride + j->kw;
  q.rows = CACHE / (q.x_width * j->c * 4) - j->kh;
  q.rows = q.rows < 1 ? 1 : q.rows;
  q.groups = PARTIAL / (acc_count (&q) * 4);
  q.groups = tp_least (q.groups < 4 ? 4 : tp_least (q.groups, 32), j->n * j->oh);
  q.acc = tp_scratch_alloc ((size_t) (q.groups * acc_count (&q)) * sizeof (float));
  q.status = q.acc ? TP_OK : TP_NO_MEMORY;
  if (q.acc)
    {
      tp_parallel_for (q.groups, 1, add_groups, &q);
      tp_parallel_for (q.tiles, 8, collect_tiles, &q);
    }
  tp_scratch_free (q.acc);
  return q.status;
}
