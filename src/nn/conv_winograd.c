/* conv_winograd.c -- 3 x 3 convolution at stride 1 with a quarter of the products.
 *
 * The output is cut into tiles of 4 x 4 (winograd_kernel.h).  A batch of tiles,
 * small enough for a core's cache, is transformed, multiplied place by place with
 * the transformed weights, and transformed back; batches are dealt to threads.
 * The weight gradient is the adjoint: products of transformed inputs and spread
 * output gradients, summed over tiles. */
#include <string.h>

#include "core/profile.h"
#include "core/threads.h"
#include "nn/conv_loops.h"
#include "nn/kernels/winograd_kernel.h"

enum { IN = TP_WINOGRAD_IN, OUT = TP_WINOGRAD_OUT, PLACES = TP_WINOGRAD_PLACES,
       MOST_TILES = 16 /* of a batch forward: two of the widest register tile */ };

typedef struct {
  const tp_conv_job *conv;
  const tp_winograd_kernels *kernels;
  const tp_winograd_factors *factors;
  int64_t tile_rows, tile_columns, tiles; /* of an image; of all images */
  int64_t batch;                          /* tiles transformed at once */
  int64_t c_padded, o_padded;             /* numbers at a place, whole lines of cache */
  int64_t v_tile, z_tile;                 /* from one tile to the next, see below */
  int64_t u_block;                        /* bytes of a block of transformed weights */
  const char *u;
  const float *g;                         /* weight gradient alone from here on */
  float *acc, *dw;                        /* [group][place][block][c rounded up][block] */
  int64_t groups, splits, blocks, acc_rows;
  tp_status status;
} winograd_job;

static winograd_job
job_for (const tp_conv_job *j)
{
  const tp_winograd_kernels *k = tp_winograd_kernels_get ();
  winograd_job q = { .conv = j, .kernels = k, .status = TP_OK };
  q.factors = j->precision == TP_BFLOAT16 ? &k->bfloat16 : &k->float32;
  int64_t line = TP_ALIGNMENT / (int64_t) q.factors->element;
  q.tile_rows = tp_pieces (j->oh, OUT);
  q.tile_columns = tp_pieces (j->ow, OUT);
  q.tiles = j->n * q.tile_rows * q.tile_columns;
  q.c_padded = tp_pieces (j->c, line) * line;
  q.o_padded = tp_pieces (j->o, line) * line;
  /* Tiles a power of two apart would share a few sets of the first cache; a line more
   * between them spreads them over all. */
  q.v_tile = PLACES * q.c_padded + line;
  q.z_tile = PLACES * q.o_padded + line;
  q.u_block = PLACES * tp_pieces (j->c, 2) * 2 * j->kernels->block
              * (int64_t) q.factors->element;
  return q;
}

/* At most MOST of the register tile's tiles together, yet several batches for each of a
 * few threads.  By shape alone. */
static int64_t
batch_of (const winograd_job *q, int64_t most)
{
  int64_t step = q->conv->kernels->pixels;
  int64_t groups = tp_least (most, q->tiles / (4 * step));
  return groups < 1 ? step : groups * step;
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

/* The 6 x 6 inputs of the tile at P: rows and columns into the source where it lies
 * inside, else into STRIP, where it is copied with its zeros. */
static void
tile_inputs (const tp_conv_job *j, const tp_conv_source *source, place p, const float *rows[IN],
             int64_t columns[IN], float *strip)
{
  int64_t top = p.y - j->top, left = p.x - j->left, c = source->c;
  int shift = source->enlarged;
  bool inside = left >= 0 && left + IN <= j->w && top >= 0 && top + IN <= j->h;
  for (int i = 0; i < IN; i++)
    if (inside)
      {
        rows[i] = source->data + (p.n * (j->h >> shift) + ((top + i) >> shift))
                  * (j->w >> shift) * c;
        columns[i] = ((left + i) >> shift) * c;
      }
    else
      {
        rows[i] = strip + i * IN * c;
        columns[i] = i * c;
        tp_conv_gather_row (j, source, strip + i * IN * c, p.n, top + i, left, IN);
      }
}

/* V [tile][place][c_padded] of COUNT tiles from FIRST on; STRIP holds one tile. */
static void
transform_inputs (const winograd_job *q, void *v, float *strip, int64_t first, int64_t count)
{
  const tp_conv_job *j = q->conv;
  int64_t element = (int64_t) q->factors->element;
  for (int64_t t = 0; t < count; t++)
    {
      place p = tile_place (q, first + t);
      char *at = (char *) v + t * q->v_tile * element;
      for (int i = 0; i < j->source_count; at += j->sources[i].c * element, i++)
        {
          const float *rows[IN];
          int64_t columns[IN];
          tile_inputs (j, &j->sources[i], p, rows, columns, strip);
          q->factors->input (at, q->c_padded, rows, columns, (int) j->sources[i].c);
        }
    }
}

/* The outputs of COUNT tiles from FIRST on in one block of SINK, from BIAS on. */
static void
transform_outputs (const winograd_job *q, const float *m, const tp_conv_sink *sink, int64_t block,
                   const float *bias, int64_t first, int64_t count)
{
  const tp_conv_job *j = q->conv;
  int64_t width = j->kernels->block;
  int channels = (int) tp_least (width, sink->o - block * width);
  for (int64_t t = 0; t < count; t++)
    {
      place p = tile_place (q, first + t);
      int64_t at = ((p.n * j->oh + p.y) * j->ow + p.x) * sink->o + block * width;
      tp_epilogue e = { bias, sink->residual ? sink->residual + at : NULL, j->slope };
      q->kernels->output (sink->data + at, j->ow * sink->o, sink->o, m + t * PLACES * width,
                          (int) tp_least (OUT, j->oh - p.y), (int) tp_least (OUT, j->ow - p.x),
                          channels, &e);
    }
}

/* Of those outputs, which are in cache still: piece FIRST / q->batch of j->moments. */
static void
take_moments (const winograd_job *q, const tp_conv_sink *sink, int64_t block, int64_t first,
              int64_t count)
{
  const tp_conv_job *j = q->conv;
  int64_t width = j->kernels->block;
  tp_run runs[MOST_TILES * OUT];
  int run_count = 0;
  for (int64_t t = 0; t < count; t++)
    {
      place p = tile_place (q, first + t);
      const float *at = sink->data + ((p.n * j->oh + p.y) * j->ow + p.x) * sink->o + block * width;
      for (int64_t i = 0; i < tp_least (OUT, j->oh - p.y); i++)
        runs[run_count++] = (tp_run) { at + i * j->ow * sink->o, tp_least (OUT, j->ow - p.x) };
    }
  tp_moments_add (j->moments, first / q->batch, block * width,
                  tp_least (width, sink->o - block * width), runs, run_count);
}

static void
convolve_batches (void *context, int64_t begin, int64_t end)
{
  winograd_job *q = context;
  const tp_conv_job *j = q->conv;
  int64_t width = j->kernels->block, step = j->kernels->pixels;
  size_t v_bytes = (size_t) (q->batch * q->v_tile) * q->factors->element;
  void *v = tp_scratch_alloc (v_bytes);
  float *m = tp_scratch_alloc ((size_t) (q->batch * PLACES * width) * sizeof *m);
  float *strip = tp_scratch_alloc ((size_t) (IN * IN * j->c) * sizeof *strip);
  if (!v || !m || !strip)
    q->status = TP_NO_MEMORY;
  else
    {
      memset (v, 0, v_bytes); /* what no tile fills is multiplied too */
      for (int64_t item = begin; item < end; item++)
        {
          int64_t first = item * q->batch, count = tp_least (q->batch, q->tiles - first);
          int64_t whole = tp_pieces (count, step) * step;
          tp_span span = tp_span_start ();
          transform_inputs (q, v, strip, first, count);
          tp_part_end (span, "input transform", (tp_work) { 0 });
          const char *u = q->u;
          const float *bias = j->bias;
          for (int i = 0; i < j->sink_count; i++)
            for (int64_t b = 0; b < tp_pieces (j->sinks[i].o, width); b++, u += q->u_block)
              {
                span = tp_span_start ();
                q->factors->product (m, v, q->v_tile, q->c_padded, u, j->c, whole);
                /* What the layer needs.  How far tiles and channels are filled up is the
                 * kernel's affair, and shows as so much less of the peak. */
                double products = (double) (PLACES * count * j->c
                                            * tp_least (width, j->sinks[i].o - b * width));
                tp_part_end (span, "products",
                             (tp_work) { .flops = 2 * products,
                                         .bf16 = j->precision == TP_BFLOAT16 });
                span = tp_span_start ();
                transform_outputs (q, m, &j->sinks[i], b, bias ? bias + b * width : NULL, first,
                                   count);
                tp_part_end (span, "output transform", (tp_work) { 0 });
                if (j->moments)
                  take_moments (q, &j->sinks[i], b, first, count);
              }
        }
    }
  tp_scratch_free (v);
  tp_scratch_free (m);
  tp_scratch_free (strip);
}

tp_status
tp_conv_winograd (const tp_conv_job *j, const void *transformed)
{
  winograd_job q = job_for (j);
  q.u = transformed;
  q.batch = batch_of (&q, 2); /* measured: 1 to 3 are close, 4 and 6 a third slower */
  if (j->moments && tp_moments_start (j->moments, tp_pieces (q.tiles, q.batch), j->o) != TP_OK)
    return TP_NO_MEMORY;
  tp_parallel_for (tp_pieces (q.tiles, q.batch), 1, convolve_batches, &q);
  return q.status;
}

/* --- Weights ----------------------------------------------------------------- */

typedef struct {
  winograd_job job;
  const float *w;
  void *u;
} transform_job;

/* Items are pairs of an input channel and a block, counted over all sinks. */
static void
transform_weights (void *context, int64_t begin, int64_t end)
{
  transform_job *t = context;
  const tp_conv_job *j = t->job.conv;
  int64_t width = j->kernels->block;
  for (int64_t item = begin; item < end; item++)
    {
      int64_t block = item / j->c, c = item % j->c, b = block, first = 0;
      const tp_conv_sink *sink = j->sinks;
      for (; b >= tp_pieces (sink->o, width); sink++)
        {
          b -= tp_pieces (sink->o, width);
          first += sink->o;
        }
      const float *taps = t->w + c * j->o + first + b * width;
      int count = (int) tp_least (width, sink->o - b * width);
      char *u = (char *) t->u + block * t->job.u_block;
      t->job.factors->weights (u, j->c, c, taps, j->c * j->o, count);
    }
}

void *
tp_conv_winograd_transform (const tp_conv_job *j, const float *w)
{
  transform_job t = { .job = job_for (j), .w = w };
  int64_t blocks = 0;
  for (int i = 0; i < j->sink_count; i++)
    blocks += tp_pieces (j->sinks[i].o, j->kernels->block);
  t.u = tp_scratch_alloc ((size_t) (blocks * t.job.u_block));
  tp_span span = tp_span_start ();
  if (t.u)
    tp_parallel_for (blocks * j->c, 64, transform_weights, &t);
  tp_part_end (span, "weight transform", (tp_work) { 0 });
  return t.u;
}

/* --- Weight gradient ------------------------------------------------------- */

static int64_t
acc_count (const winograd_job *q)
{
  return PLACES * q->blocks * q->acc_rows * q->conv->kernels->block;
}

/* Z [tile][place][o_padded] of COUNT tiles from FIRST on, the CHANNELS from FIRST_O on. */
static void
spread_gradients (const winograd_job *q, float *z, float *strip, int64_t first, int64_t count,
                  int64_t first_o, int64_t channels)
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
              rows[i] = row + first_o;
              continue;
            }
          float *copy = strip + i * OUT * j->o;
          memset (copy, 0, (size_t) (OUT * j->o) * sizeof *copy);
          if (rows_inside > i)
            memcpy (copy, row, (size_t) (inside * j->o) * sizeof *copy);
          rows[i] = copy + first_o;
        }
      q->kernels->spread (z + t * q->z_tile, q->o_padded, rows, j->o, (int) channels);
    }
}

/* Items are pairs of a group of tiles and a part of the output channels. */
static void
add_groups (void *context, int64_t begin, int64_t end)
{
  winograd_job *q = context;
  const tp_conv_job *j = q->conv;
  const tp_conv_kernels *k = j->kernels;
  int64_t strip_pixels = IN * IN * j->c > OUT * OUT * j->o ? IN * IN * j->c : OUT * OUT * j->o;
  size_t z_bytes = (size_t) (q->batch * q->z_tile + k->block) * sizeof (float);
  float *v = tp_scratch_alloc ((size_t) (q->batch * q->v_tile) * sizeof *v);
  float *z = tp_scratch_alloc (z_bytes);
  float *strip = tp_scratch_alloc ((size_t) strip_pixels * sizeof *strip);
  if (!v || !z || !strip)
    q->status = TP_NO_MEMORY;
  else
    {
      memset (z, 0, z_bytes); /* the last block reads beyond the channels */
      for (int64_t item = begin; item < end; item++)
        {
          int64_t group = item / q->splits, split = item % q->splits;
          int64_t first_b = q->blocks * split / q->splits;
          int64_t last_b = q->blocks * (split + 1) / q->splits, first_o = first_b * k->block;
          int64_t channels = tp_least (last_b * k->block, j->o) - first_o;
          int64_t row = q->acc_rows * k->block;
          float *acc = q->acc + group * acc_count (q);
          for (int64_t s = 0; s < PLACES; s++)
            memset (acc + (s * q->blocks + first_b) * row, 0,
                    (size_t) ((last_b - first_b) * row) * sizeof *acc);
          int64_t last = q->tiles * (group + 1) / q->groups;
          for (int64_t first = q->tiles * group / q->groups; first < last; first += q->batch)
            {
              int64_t count = tp_least (q->batch, last - first);
              tp_span span = tp_span_start ();
              transform_inputs (q, v, strip, first, count);
              tp_part_end (span, "input transform", (tp_work) { 0 });
              span = tp_span_start ();
              spread_gradients (q, z, strip, first, count, first_o, channels);
              tp_part_end (span, "gradient transform", (tp_work) { 0 });
              span = tp_span_start ();
              for (int64_t s = 0; s < PLACES; s++)
                for (int64_t b = first_b; b < last_b; b++)
                  for (int64_t c = 0; c < j->c; c += k->pixels)
                    k->weight_tile (acc + (s * q->blocks + b) * row + c * k->block,
                                    v + s * q->c_padded + c, q->v_tile,
                                    z + s * q->o_padded + (b - first_b) * k->block, q->z_tile,
                                    count, (int) tp_least (k->pixels, j->c - c));
              double products = (double) (PLACES * count * j->c * channels);
              tp_part_end (span, "products", (tp_work) { .flops = 2 * products });
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
  tp_conv_job j = *job;
  j.precision = TP_FLOAT32; /* sums over all pixels: no place for rounded factors */
  winograd_job q = job_for (&j);
  q.g = g;
  q.dw = dw;
  q.blocks = tp_pieces (j.o, j.kernels->block);
  q.batch = batch_of (&q, 6); /* measured: 4 to 8 are alike */
  q.acc_rows = tp_pieces (j.c, j.kernels->pixels) * j.kernels->pixels;
  /* Each group sums into its own copy; with few tiles the copies would cost more than
   * the products, and the output channels are dealt out instead. */
  enum { ITEMS = 4, GROUP = 64 };
  q.groups = tp_least (ITEMS, tp_pieces (q.tiles, GROUP));
  q.splits = tp_least (q.blocks, ITEMS / q.groups);
  q.acc = tp_scratch_alloc ((size_t) (q.groups * acc_count (&q)) * sizeof *q.acc);
  if (!q.acc)
    return TP_NO_MEMORY;
  tp_parallel_for (q.groups * q.splits, 1, add_groups, &q);
  tp_span span = tp_span_start ();
  tp_parallel_for (q.blocks * j.c, 16, collect_taps, &q);
  tp_part_end (span, "sum of groups", (tp_work) { 0 });
  tp_scratch_free (q.acc);
  return q.status;
}

/* Measured where it can be done (16 input channels fill a vector on every processor; fewer
 * outputs than five have a way of their own): from 1.15 times as fast as direct sums
 * (one image of 8 x 8, 128 channels) to 3 times (128 x 128, 32 channels and more), and never
 * slower, the weight gradient alike. */
bool
tp_conv_winograd_pays (const tp_conv_job *j)
{
  if (j->kh != 3 || j->kw != 3 || j->stride != 1 || j->dilation != 1 || j->oh < OUT || j->ow < OUT
      || j->o <= TP_CONV_NARROW)
    return false;
  for (int i = 0; i < j->source_count; i++)
    if (j->sources[i].c < 16)
      return false;
  return true;
}
