/* conv.c -- convolution, its data gradient and its weight gradient.
 *
 * All three are loops over the register tiles of nn/kernels.  The data
 * gradient is a convolution of the output's gradient (spread out by the
 * stride) with the window turned round.  Work is dealt to threads by rows, or
 * by tiles of the weights; each number is summed by one thread, in one order. */
#include "nn/conv.h"

#include <string.h>

#include "core/threads.h"
#include "nn/kernels/conv_kernel.h"
#include "nn/layers.h"

/* A convolution as the loops see it: the input stands in a plane that has
 * DILATION - 1 zeros between its pixels and zeros all around; output pixel
 * (i, j) reads the window whose first element is plane pixel
 * (i * stride - top, j * stride - left). */
typedef struct {
  const tp_conv_kernels *kernels;
  const float *in;
  int64_t n, h, w, c;          /* the input */
  int64_t oh, ow, o;           /* the output */
  int kh, kw;
  int64_t stride, top, left, dilation;
  const float *weights;        /* packed: [block][ky][kx c][block] */
  const float *bias;           /* padded to whole blocks, or NULL */
  const float *residual;
  float *out;
  float slope;
  int64_t rows_per_item;
  tp_status status;
} conv_job;

static inline int64_t
blocks_of (int64_t channels, int block)
{
  return (channels + block - 1) / block;
}

static inline int64_t
least (int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Copy to LINE the plane's pixels X .. X + COUNT - 1 of row Y of image N. */
static void
gather_row (const conv_job *j, float *line, int64_t n, int64_t y, int64_t x, int64_t count)
{
  int64_t c = j->c, d = j->dilation;
  size_t pixel = (size_t) c * sizeof *line;
  bool inside = y >= 0 && y % d == 0 && y / d < j->h;
  const float *row = j->in + (n * j->h + (inside ? y / d : 0)) * j->w * c;
  if (d == 1)
    { /* zeros, a run of pixels, zeros */
      int64_t first = inside ? least (x < 0 ? -x : 0, count) : count;
      int64_t last = inside && j->w > x ? least (j->w - x, count) : first;
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
      int64_t at = x + i;
      if (inside && at >= 0 && at % d == 0 && at / d < j->w)
        memcpy (line, row + at / d * c, pixel);
      else
        memset (line, 0, pixel);
    }
}

/* The rows of the window of the tile at (Y, X) of image N, PIXELS wide: in
 * place when it lies inside the image, else gathered into STRIP. */
static void
window_rows (const conv_job *j, const float **rows, float *strip, int64_t n, int64_t y,
             int64_t x, int pixels)
{
  int64_t top = y * j->stride - j->top, left = x * j->stride - j->left;
  int64_t width = (pixels - 1) * j->stride + j->kw;
  bool in_place = j->dilation == 1 && left >= 0 && left + width <= j->w;
  for (int ky = 0; ky < j->kh; ky++)
    {
      int64_t row = top + ky;
      if (in_place && row >= 0 && row < j->h)
        rows[ky] = j->in + ((n * j->h + row) * j->w + left) * j->c;
      else
        {
          gather_row (j, strip, n, row, left, width);
          rows[ky] = strip;
          strip += width * j->c;
        }
    }
}

static void
convolve_rows (void *context, int64_t begin, int64_t end)
{
  conv_job *j = context;
  const tp_conv_kernels *k = j->kernels;
  int64_t run = (int64_t) j->kw * j->c, groups = (j->oh + j->rows_per_item - 1) / j->rows_per_item;
  int64_t strip_width = (k->pixels - 1) * j->stride + j->kw;
  float *strip = tp_scratch_alloc ((size_t) (j->kh * strip_width * j->c) * sizeof *strip);
  if (!strip)
    {
      j->status = TP_NO_MEMORY;
      return;
    }
  for (int64_t item = begin; item < end; item++)
    {
      int64_t n = item / groups, first = item % groups * j->rows_per_item;
      int64_t last = least (first + j->rows_per_item, j->oh);
      for (int64_t b = 0; b < blocks_of (j->o, k->block); b++)
        {
          const float *weights = j->weights + b * j->kh * run * k->block;
          int channels = (int) least (k->block, j->o - b * k->block);
          for (int64_t y = first; y < last; y++)
            for (int64_t x = 0; x < j->ow; x += k->pixels)
              {
                int pixels = (int) least (k->pixels, j->ow - x);
                const float *rows[TP_CONV_MAX_SIZE];
                window_rows (j, rows, strip, n, y, x, pixels);
                int64_t at = ((n * j->oh + y) * j->ow + x) * j->o + b * k->block;
                tp_epilogue e = { j->bias ? j->bias + b * k->block : NULL,
                                  j->residual ? j->residual + at : NULL, j->slope };
                k->tile (j->out + at, j->o, rows, j->kh, j->stride * j->c, run, weights, pixels,
                         channels, &e);
              }
        }
    }
  tp_scratch_free (strip);
}

static tp_status
convolve (conv_job *j)
{
  /* Rows of an item share what a block of weights costs to bring in; there
   * should be several items for each thread even so. */
  j->rows_per_item = 8;
  while (j->rows_per_item > 1 && j->n * (j->oh / j->rows_per_item) < 16)
    j->rows_per_item /= 2;
  j->status = TP_OK;
  int64_t groups = (j->oh + j->rows_per_item - 1) / j->rows_per_item;
  tp_parallel_for (j->n * groups, 1, convolve_rows, j);
  return j->status;
}

/* The weights as the tiles read them: blocks of output channels, padded with
 * zeros.  TURNED: for the data gradient, the window turned round and input and
 * output channels exchanged. */
static float *
pack_weights (const tp_tensor *w, int block, bool turned)
{
  int64_t kh = w->shape[0], kw = w->shape[1], c = w->shape[2], o = w->shape[3];
  int64_t in = turned ? o : c, out = turned ? c : o;
  int64_t blocks = blocks_of (out, block);
  float *packed = tp_scratch_alloc ((size_t) (blocks * kh * kw * in * block) * sizeof *packed);
  if (!packed)
    return NULL;
  const float *from = tp_f32 (w);
  float *to = packed;
  for (int64_t b = 0; b < blocks; b++)
    {
      int64_t full = least (block, out - b * block);
      for (int64_t ky = 0; ky < kh; ky++)
        for (int64_t kx = 0; kx < kw; kx++)
          for (int64_t i = 0; i < in; i++, to += block)
            {
              if (turned)
                {
                  const float *tap = from + ((kh - 1 - ky) * kw + (kw - 1 - kx)) * c * o + i;
                  for (int64_t q = 0; q < full; q++)
                    to[q] = tap[(b * block + q) * o];
                }
              else
                memcpy (to, from + ((ky * kw + kx) * c + i) * o + b * block,
                        (size_t) full * sizeof *to);
              memset (to + full, 0, (size_t) (block - full) * sizeof *to);
            }
    }
  return packed;
}

static float *
pad_bias (const tp_tensor *b, int block)
{
  int64_t o = b->shape[0], padded = blocks_of (o, block) * block;
  float *copy = tp_scratch_alloc ((size_t) padded * sizeof *copy);
  if (copy)
    {
      memcpy (copy, tp_f32 (b), (size_t) o * sizeof *copy);
      memset (copy + o, 0, (size_t) (padded - o) * sizeof *copy);
    }
  return copy;
}

static tp_status
check_window (const tp_tensor *w, tp_conv_options options)
{
  if (tp_check (w, "weights", TP_F32, 4) != TP_OK)
    return tp_last_status ();
  int64_t kh = w->shape[0], kw = w->shape[1];
  if (kh % 2 == 0 || kw % 2 == 0 || kh > TP_CONV_MAX_SIZE || kw > TP_CONV_MAX_SIZE)
    return tp_fail (TP_BAD_SHAPE, "weights: expected an odd window up to %d x %d, got %lld x %lld",
                    TP_CONV_MAX_SIZE, TP_CONV_MAX_SIZE, (long long) kh, (long long) kw);
  if (options.stride != 1 && options.stride != 2)
    return tp_fail (TP_BAD_ARGUMENT, "stride: expected 1 or 2, got %d", options.stride);
  if (options.padding < 0 || options.padding >= kh || options.padding >= kw)
    return tp_fail (TP_BAD_ARGUMENT, "padding: expected 0 to %lld, got %d",
                    (long long) least (kh, kw) - 1, options.padding);
  if (!(options.slope >= 0))
    return tp_fail (TP_BAD_ARGUMENT, "slope: expected 0 or more, got %g", (double) options.slope);
  return TP_OK;
}

static tp_tensor *
conv_forward (const tp_tensor *x, const tp_tensor *w, const tp_tensor *b, const tp_tensor *r,
              tp_conv_options options)
{
  if (check_window (w, options) != TP_OK
      || tp_check_shape (x, "images", TP_F32, 4, (int64_t[]) { -1, -1, -1, w->shape[2] }) != TP_OK
      || (b && tp_check_shape (b, "bias", TP_F32, 1, (int64_t[]) { w->shape[3] }) != TP_OK))
    return NULL;
  int64_t p = options.padding, s = options.stride;
  int64_t oh = (x->shape[1] + 2 * p - w->shape[0]) / s + 1;
  int64_t ow = (x->shape[2] + 2 * p - w->shape[1]) / s + 1;
  if (x->shape[1] + 2 * p < w->shape[0] || x->shape[2] + 2 * p < w->shape[1])
    {
      tp_fail (TP_BAD_SHAPE, "images: expected at least %lld x %lld with padding %lld, got %lld x %lld",
               (long long) w->shape[0], (long long) w->shape[1], (long long) p,
               (long long) x->shape[1], (long long) x->shape[2]);
      return NULL;
    }
  int64_t shape[4] = { x->shape[0], oh, ow, w->shape[3] };
  if (r && tp_check_shape (r, "residual", TP_F32, 4, shape) != TP_OK)
    return NULL;
  const tp_conv_kernels *kernels = tp_conv_kernels_get ();
  tp_tensor *y = tp_tensor_create (TP_F32, 4, shape);
  float *weights = pack_weights (w, kernels->block, false);
  float *bias = b ? pad_bias (b, kernels->block) : NULL;
  if (!y || !weights || (b && !bias))
    goto fail;
  conv_job j = { .kernels = kernels, .in = tp_f32 (x), .n = x->shape[0], .h = x->shape[1],
                 .w = x->shape[2], .c = x->shape[3], .oh = oh, .ow = ow, .o = w->shape[3],
                 .kh = (int) w->shape[0], .kw = (int) w->shape[1], .stride = s, .top = p,
                 .left = p, .dilation = 1, .weights = weights, .bias = bias,
                 .residual = r ? tp_f32 (r) : NULL, .out = tp_f32 (y), .slope = options.slope };
  if (convolve (&j) != TP_OK)
    goto fail;
  tp_scratch_free (weights);
  tp_scratch_free (bias);
  return y;
fail:
  tp_scratch_free (weights);
  tp_scratch_free (bias);
  tp_tensor_free (y);
  return NULL;
}

tp_tensor *
tp_conv_adjoint (const tp_tensor *y, const tp_tensor *w, const int64_t shape[4],
                 tp_conv_options options)
{
  if (check_window (w, options) != TP_OK)
    return NULL;
  int64_t p = options.padding, s = options.stride;
  int64_t oh = (shape[1] + 2 * p - w->shape[0]) / s + 1;
  int64_t ow = (shape[2] + 2 * p - w->shape[1]) / s + 1;
  if (tp_check_shape (y, "images", TP_F32, 4, (int64_t[]) { shape[0], oh, ow, w->shape[3] }) != TP_OK)
    return NULL;
  if (shape[3] != w->shape[2])
    {
      tp_fail (TP_BAD_SHAPE, "shape: expected %lld channels, as the weights have, got %lld",
               (long long) w->shape[2], (long long) shape[3]);
      return NULL;
    }
  const tp_conv_kernels *kernels = tp_conv_kernels_get ();
  tp_tensor *x = tp_tensor_create (TP_F32, 4, shape);
  float *weights = pack_weights (w, kernels->block, true);
  tp_status status = x && weights ? TP_OK : TP_NO_MEMORY;
  if (status == TP_OK)
    {
      conv_job j = { .kernels = kernels, .in = tp_f32 (y), .n = shape[0], .h = oh, .w = ow,
                     .c = w->shape[3], .oh = shape[1], .ow = shape[2], .o = shape[3],
                     .kh = (int) w->shape[0], .kw = (int) w->shape[1], .stride = 1,
                     .top = w->shape[0] - 1 - p, .left = w->shape[1] - 1 - p, .dilation = s,
                     .weights = weights, .out = tp_f32 (x), .slope = 1 };
      status = convolve (&j);
    }
  tp_scratch_free (weights);
  if (status != TP_OK)
    {
      tp_tensor_free (x);
      return NULL;
    }
  return x;
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
  conv_job conv;     /* the forward convolution's geometry */
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
  const conv_job *j = &q->conv;
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
  const conv_job *j = &q->conv;
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
                            least (stretch, j->ow - x), (int) least (k->pixels, run - at));
    }
}

static void
add_groups (void *context, int64_t begin, int64_t end)
{
  weight_job *q = context;
  const conv_job *j = &q->conv;
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
            int64_t count = least (least (q->rows, j->oh - y), last - row);
            for (int64_t i = 0; i < (count - 1) * j->stride + j->kh; i++)
              gather_row (j, x_rows + i * x_line, n, y * j->stride - j->top + i, -j->left,
                          q->x_width);
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
  const conv_job *j = &q->conv;
  int pixels = j->kernels->pixels, block = j->kernels->block;
  int64_t run = (int64_t) j->kw * j->c;
  for (int64_t tile = begin; tile < end; tile++)
    {
      int64_t b = tile % q->blocks, piece = tile / q->blocks % q->pieces;
      int64_t ky = tile / q->blocks / q->pieces;
      int64_t width = least (pixels, run - piece * pixels);
      int64_t full = least (block, j->o - b * block);
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

static tp_tensor *
weight_gradient (const tp_tensor *x, const tp_tensor *w, const tp_tensor *g,
                 tp_conv_options options)
{
  enum { CACHE = 256 * 1024,       /* bytes of x that a thread holds at once */
         PARTIAL = 8 * 1024 * 1024 /* bytes of copies of dw, about */ };
  const tp_conv_kernels *k = tp_conv_kernels_get ();
  weight_job q = {
    .conv = { .kernels = k, .in = tp_f32 (x), .n = x->shape[0], .h = x->shape[1],
              .w = x->shape[2], .c = x->shape[3], .oh = g->shape[1], .ow = g->shape[2],
              .o = g->shape[3], .kh = (int) w->shape[0], .kw = (int) w->shape[1],
              .stride = options.stride, .top = options.padding, .left = options.padding,
              .dilation = 1 },
    .g = tp_f32 (g)
  };
  const conv_job *j = &q.conv;
  q.blocks = blocks_of (j->o, k->block);
  q.pieces = blocks_of ((int64_t) j->kw * j->c, k->pixels);
  q.tiles = j->kh * q.pieces * q.blocks;
  q.g_stride = q.blocks * k->block;
  q.x_width = (j->ow - 1) * j->stride + j->kw;
  q.rows = CACHE / (q.x_width * j->c * 4) - j->kh;
  q.rows = q.rows < 1 ? 1 : q.rows;
  q.groups = PARTIAL / (acc_count (&q) * 4);
  q.groups = least (q.groups < 4 ? 4 : least (q.groups, 32), j->n * j->oh);
  tp_tensor *dw = tp_tensor_zeros (TP_F32, 4, w->shape);
  if (!dw || q.groups == 0)
    return dw;
  q.dw = tp_f32 (dw);
  q.acc = tp_scratch_alloc ((size_t) (q.groups * acc_count (&q)) * sizeof (float));
  q.status = q.acc ? TP_OK : TP_NO_MEMORY;
  if (q.acc)
    {
      tp_parallel_for (q.groups, 1, add_groups, &q);
      tp_parallel_for (q.tiles, 8, collect_tiles, &q);
    }
  tp_scratch_free (q.acc);
  if (q.status != TP_OK)
    {
      tp_tensor_free (dw);
      return NULL;
    }
  return dw;
}

/* --- On the tape ---------------------------------------------------------- */

static tp_status
conv_backward (const tp_record *record)
{
  tp_tensor *x = record->inputs[0], *w = record->inputs[1], *b = record->inputs[2],
            *r = record->inputs[3];
  tp_conv_options options = { (int) record->numbers[0], (int) record->numbers[1],
                              (float) record->numbers[2] };
  tp_tensor *g = tp_leaky_relu_gradient (record->output, record->output->grad, options.slope);
  tp_status status = g ? TP_OK : tp_last_status ();
  if (status == TP_OK && tp_wants_grad (x))
    status = tp_accumulate_grad (x, tp_conv_adjoint (g, w, x->shape, options));
  if (status == TP_OK && tp_wants_grad (w))
    status = tp_accumulate_grad (w, weight_gradient (x, w, g, options));
  if (status == TP_OK && tp_wants_grad (b))
    status = tp_accumulate_grad (b, tp_reduce (TP_SUM, g, 7, false));
  if (status == TP_OK && tp_wants_grad (r))
    status = tp_accumulate_grad (r, tp_copy (g));
  tp_tensor_free (g);
  return status;
}

tp_tensor *
tp_conv (tp_tensor *x, tp_tensor *w, tp_tensor *b, tp_tensor *r, tp_conv_options options)
{
  tp_tensor *y = conv_forward (x, w, b, r, options);
  if (!y)
    return NULL;
  tp_record record = { .output = y, .inputs = { x, w, b, r }, .input_count = 4,
                       .numbers = { options.stride, options.padding, options.slope } };
  if (tp_tape_record (&record, conv_backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}
