/* attention.c -- self-attention over the positions of an image (Vaswani et al. 2017).
 *
 *   o_i = sum_j p_ij v_j,   p_ij = exp (q_i . k_j / sqrt (d) - l_i)
 *
 * for each image and head of d channels, l_i being such that the p_ij of a row add up to 1.  The
 * square matrix p is never whole in memory: a block of its rows at a time, and backward computes
 * them anew from l (Dao et al. 2022).  Products are by the register tiles of convolution, which are
 * those of matrices too: at 32 x 32 positions a fifth faster than by OpenBLAS. */
#include <math.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/cpu.h"
#include "core/exponential.h"
#include "core/profile.h"
#include "core/threads.h"
#include "nn/kernels/conv_kernel.h"
#include "nn/layers.h"

enum { ROWS = 64, LANES = 16 }; /* of p, computed together; of a row, summed side by side */

typedef struct {
  int64_t n, positions, c, heads, blocks; /* blocks of rows */
  const float *qkv, *o, *g;   /* (n positions 3c), (n positions c); the output's gradient */
  float *out;                 /* o, or the gradient of qkv */
  float *log_sums;            /* l, (n heads positions) */
  const tp_conv_kernels *kernels;
  int64_t d, width, length;   /* of a head; that and the positions to whole blocks */
  float *packed;              /* forward: keys, transposed, and values of each head */
  tp_status status;
} job;

static int64_t
rows_of (const job *j, int64_t block)
{
  int64_t first = block * ROWS;
  return first + ROWS < j->positions ? ROWS : j->positions - first;
}

static int64_t
blocks_of (int64_t count, int64_t block)
{
  return (count + block - 1) / block;
}

/* --- Products ---------------------------------------------------------------- */

/* M (ROWS x COLUMNS, lines LINE apart) as the right factor of `multiply': [block of columns][row],
 * with zeros to a whole block. */
static void
pack (const tp_conv_kernels *k, float *packed, const float *m, int64_t line, int64_t rows,
      int64_t columns)
{
  for (int64_t c = 0; c < columns; c += k->block)
    {
      int64_t count = columns - c < k->block ? columns - c : k->block;
      for (int64_t r = 0; r < rows; r++, packed += k->block)
        {
          memcpy (packed, m + r * line + c, (size_t) count * sizeof *packed);
          memset (packed + count, 0, (size_t) (k->block - count) * sizeof *packed);
        }
    }
}

/* The same of M's transpose (COLUMNS x ROWS) times SCALE. */
static void
pack_transpose (const tp_conv_kernels *k, float *packed, const float *m, int64_t line,
                int64_t rows, int64_t columns, float scale)
{
  for (int64_t r = 0; r < rows; r += k->block)
    for (int64_t c = 0; c < columns; c++, packed += k->block)
      for (int64_t i = 0; i < k->block; i++)
        packed[i] = r + i < rows ? scale * m[(r + i) * line + c] : 0;
}

/* OUT (ROWS x COLUMNS) = A (ROWS x INNER) B, B packed. */
static void
multiply (const tp_conv_kernels *k, float *out, int64_t out_line, int64_t rows, int64_t columns,
          const float *a, int64_t a_line, int64_t inner, const float *packed)
{
  const tp_epilogue none = { .slope = 1 };
  for (int64_t c = 0; c < columns; c += k->block, packed += inner * k->block)
    for (int64_t r = 0; r < rows; r += k->pixels)
      {
        const float *row = a + r * a_line;
        k->tile (out + r * out_line + c, out_line, &row, 1, a_line, inner, packed,
                 (int) (rows - r < k->pixels ? rows - r : k->pixels),
                 (int) (columns - c < k->block ? columns - c : k->block), &none);
      }
}

/* SUM += A^T B for A (ROWS x COUNT) and B (ROWS x whole blocks WIDTH), in tiles [tile of A's
 * columns][block of B's]. */
static void
add_transposed (const tp_conv_kernels *k, float *sum, const float *a, int64_t count,
                const float *b, int64_t width, int64_t rows)
{
  for (int64_t p = 0; p < count; p += k->pixels)
    for (int64_t c = 0; c < width; c += k->block, sum += k->pixels * k->block)
      k->weight_tile (sum, a + p, count, b + c, width, rows,
                      (int) (count - p < k->pixels ? count - p : k->pixels));
}

/* M (ROWS x COLUMNS) with zeros to lines of WIDTH. */
static void
pad_lines (float *out, int64_t width, const float *m, int64_t line, int64_t rows, int64_t columns)
{
  for (int64_t r = 0; r < rows; r++, out += width)
    {
      memcpy (out, m + r * line, (size_t) columns * sizeof *out);
      memset (out + columns, 0, (size_t) (width - columns) * sizeof *out);
    }
}

/* Such tiles into OUT (COUNT x COLUMNS). */
static void
unpack (const tp_conv_kernels *k, float *out, int64_t line, const float *sum, int64_t count,
        int64_t columns)
{
  for (int64_t p = 0; p < count; p += k->pixels)
    for (int64_t c = 0; c < columns; c += k->block, sum += k->pixels * k->block)
      for (int64_t i = 0; i < k->pixels && p + i < count; i++)
        memcpy (out + (p + i) * line + c, sum + i * k->block,
                (size_t) (columns - c < k->block ? columns - c : k->block) * sizeof *out);
}

/* --- Softmax ----------------------------------------------------------------- */

/* Each row S of COUNT numbers to exp (s - m), m its largest; their sums into SUMS and
 * m + log (sum) into LOG_SUMS. */
TP_CLONES static void
exponentials (float *s, int64_t rows, int64_t count, float *sums, float *log_sums)
{
  for (int64_t r = 0; r < rows; r++)
    {
      float *restrict row = s + r * count, largest[LANES], sum[LANES] = { 0 };
      for (int i = 0; i < LANES; i++)
        largest[i] = -INFINITY;
      int64_t whole = count - count % LANES;
      for (int64_t k = 0; k < whole; k += LANES)
        for (int i = 0; i < LANES; i++)
          largest[i] = row[k + i] > largest[i] ? row[k + i] : largest[i];
      for (int64_t k = whole; k < count; k++)
        largest[k - whole] = row[k] > largest[k - whole] ? row[k] : largest[k - whole];
      float m = largest[0];
      for (int i = 1; i < LANES; i++)
        m = largest[i] > m ? largest[i] : m;
      for (int64_t k = 0; k < whole; k += LANES)
        for (int i = 0; i < LANES; i++)
          {
            row[k + i] = tp_exp (row[k + i] - m);
            sum[i] += row[k + i];
          }
      for (int64_t k = whole; k < count; k++)
        {
          row[k] = tp_exp (row[k] - m);
          sum[k - whole] += row[k];
        }
      float total = 0;
      for (int i = 0; i < LANES; i++)
        total += sum[i];
      sums[r] = total;
      log_sums[r] = m + logf (total);
    }
}

TP_CLONES static void
divide_rows (float *o, int64_t line, int64_t rows, int64_t d, const float *sums)
{
  for (int64_t r = 0; r < rows; r++)
    {
      float *restrict row = o + r * line, factor = 1 / sums[r];
      for (int64_t i = 0; i < d; i++)
        row[i] *= factor;
    }
}

/* --- Forward ----------------------------------------------------------------- */

static int64_t
packed_of (const job *j)
{
  return j->length * j->d + j->width * j->positions;
}

static const float *
queries_of (const job *j, int64_t head)
{
  return j->qkv + head / j->heads * j->positions * 3 * j->c + head % j->heads * j->d;
}

/* Items are heads, of every image. */
static void
pack_heads (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t head = begin; head < end; head++)
    {
      const float *keys = queries_of (j, head) + j->c, *values = keys + j->c;
      float *packed = j->packed + head * packed_of (j);
      pack_transpose (j->kernels, packed, keys, 3 * j->c, j->positions, j->d,
                      1 / sqrtf ((float) j->d));
      pack (j->kernels, packed + j->length * j->d, values, 3 * j->c, j->positions, j->d);
    }
}

/* Items are blocks of rows, of every head of every image. */
static void
forward_blocks (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t positions = j->positions, c = j->c, d = j->d;
  float *s = tp_scratch_alloc ((size_t) (ROWS * positions) * sizeof *s);
  if (!s)
    {
      j->status = TP_NO_MEMORY;
      return;
    }
  for (int64_t item = begin; item < end; item++)
    {
      int64_t head = item / j->blocks, n = head / j->heads, first = item % j->blocks * ROWS;
      int64_t rows = rows_of (j, item % j->blocks);
      const float *keys = j->packed + head * packed_of (j), *values = keys + j->length * d;
      float *o = j->out + (n * positions + first) * c + head % j->heads * d, sums[ROWS];
      multiply (j->kernels, s, positions, rows, positions, queries_of (j, head) + first * 3 * c,
                3 * c, d, keys);
      exponentials (s, rows, positions, sums, j->log_sums + head * positions + first);
      multiply (j->kernels, o, c, rows, d, s, positions, positions, values);
      divide_rows (o, c, rows, d, sums);
    }
  tp_scratch_free (s);
}

/* --- Backward ---------------------------------------------------------------- */

/* P <- exp (p - l), and T <- SCALE P (t - D), D the product of the rows of O and G. */
TP_CLONES static void
softmax_gradient (float *p, float *t, int64_t rows, int64_t count, const float *log_sums,
                  const float *o, const float *g, int64_t line, int64_t d, float scale)
{
  for (int64_t r = 0; r < rows; r++)
    {
      float *restrict row = p + r * count, *restrict gradient = t + r * count;
      float l = log_sums[r], inner = 0;
      for (int64_t i = 0; i < d; i++)
        inner += o[r * line + i] * g[r * line + i];
      for (int64_t k = 0; k < count; k++)
        {
          row[k] = tp_exp (row[k] - l);
          gradient[k] = scale * row[k] * (gradient[k] - inner);
        }
    }
}

/* Items are heads, of every image. */
static void
backward_heads (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  const tp_conv_kernels *kernels = j->kernels;
  int64_t positions = j->positions, c = j->c, d = j->d, line = 3 * c, width = j->width;
  int64_t square = ROWS * positions, rows_padded = ROWS * width;
  int64_t sum = blocks_of (positions, kernels->pixels) * kernels->pixels * width;
  int64_t transposed = j->length * d, straight = width * positions;
  float *scratch = tp_scratch_alloc ((size_t) (2 * square + 2 * rows_padded + 2 * sum + 2 * transposed
                                               + straight) * sizeof *scratch);
  if (!scratch)
    {
      j->status = TP_NO_MEMORY;
      return;
    }
  float *p = scratch, *t = p + square, *q_rows = t + square, *g_rows = q_rows + rows_padded;
  float *sum_k = g_rows + rows_padded, *sum_v = sum_k + sum;
  float *keys_transposed = sum_v + sum, *values_transposed = keys_transposed + transposed;
  float *keys_packed = values_transposed + transposed, scale = 1 / sqrtf ((float) d);
  for (int64_t head = begin; head < end; head++)
    {
      int64_t at = head / j->heads * positions * c + head % j->heads * d;
      const float *q = queries_of (j, head), *k = q + c, *v = k + c;
      float *gradient = j->out + (q - j->qkv);
      pack_transpose (kernels, keys_transposed, k, line, positions, d, scale);
      pack_transpose (kernels, values_transposed, v, line, positions, d, 1);
      pack (kernels, keys_packed, k, line, positions, d);
      memset (sum_k, 0, (size_t) (2 * sum) * sizeof *sum_k);
      for (int64_t block = 0; block < j->blocks; block++)
        {
          int64_t first = block * ROWS, rows = rows_of (j, block);
          const float *o = j->o + at + first * c, *g = j->g + at + first * c;
          const float *queries = q + first * line;
          multiply (kernels, p, positions, rows, positions, queries, line, d, keys_transposed);
          multiply (kernels, t, positions, rows, positions, g, c, d, values_transposed);
          softmax_gradient (p, t, rows, positions, j->log_sums + head * positions + first, o, g, c,
                            d, scale);
          multiply (kernels, gradient + first * line, line, rows, d, t, positions, positions,
                    keys_packed);
          pad_lines (q_rows, width, queries, line, rows, d);
          pad_lines (g_rows, width, g, c, rows, d);
          add_transposed (kernels, sum_k, t, positions, q_rows, width, rows);
          add_transposed (kernels, sum_v, p, positions, g_rows, width, rows);
        }
      unpack (kernels, gradient + c, line, sum_k, positions, d);
      unpack (kernels, gradient + 2 * c, line, sum_v, positions, d);
    }
  tp_scratch_free (scratch);
}

/* --- The layer --------------------------------------------------------------- */

static job
job_of (const tp_tensor *qkv, int heads, const tp_tensor *log_sums)
{
  const tp_conv_kernels *kernels = tp_conv_kernels_get ();
  int64_t positions = qkv->shape[1] * qkv->shape[2], c = qkv->shape[3] / 3, d = c / heads;
  int64_t block = kernels->block;
  return (job) { .n = qkv->shape[0], .positions = positions, .c = c, .heads = heads,
                 .blocks = blocks_of (positions, ROWS), .qkv = tp_f32 (qkv),
                 .log_sums = tp_f32 (log_sums), .kernels = kernels, .d = d,
                 .width = blocks_of (d, block) * block,
                 .length = blocks_of (positions, block) * block };
}

/* PRODUCTS: of matrices of positions x positions by d. */
static void
end_span (const job *j, tp_span span, const char *name, int products)
{
  tp_span_end (span, name,
               (tp_work) { .flops = 2.0 * products * (double) j->n * (double) j->c
                                    * (double) j->positions * (double) j->positions },
               "%lld x %lld x %lld, %lld heads", (long long) j->n, (long long) j->positions,
               (long long) j->c, (long long) j->heads);
}

static tp_status
forward (job *j)
{
  int64_t heads = j->n * j->heads;
  tp_span span = tp_span_start ();
  j->packed = tp_scratch_alloc ((size_t) (heads * packed_of (j)) * sizeof *j->packed);
  if (!j->packed)
    return tp_fail (TP_NO_MEMORY, "memory is exhausted");
  tp_parallel_for (heads, 1, pack_heads, j);
  tp_parallel_for (heads * j->blocks, 1, forward_blocks, j);
  tp_scratch_free (j->packed);
  end_span (j, span, "attention", 2);
  return j->status == TP_OK ? TP_OK : tp_fail (j->status, "memory is exhausted");
}

static tp_status
backward (const tp_record *r)
{
  tp_tensor *qkv = r->inputs[0], *gradient = tp_tensor_like (qkv);
  job j = job_of (qkv, (int) r->numbers[0], r->saved[0]);
  if (gradient)
    {
      j.o = tp_f32 (r->output);
      j.g = tp_f32 (r->output->grad);
      j.out = tp_f32 (gradient);
      tp_span span = tp_span_start ();
      tp_parallel_for (j.n * j.heads, 1, backward_heads, &j);
      end_span (&j, span, "attention, gradient", 5);
      if (j.status != TP_OK)
        {
          tp_fail (j.status, "memory is exhausted");
          tp_tensor_free (gradient);
          gradient = NULL;
        }
    }
  return tp_accumulate_grad (qkv, gradient);
}

tp_tensor *
tp_self_attention (tp_tensor *qkv, int heads)
{
  if (tp_check (qkv, "qkv", TP_F32, 4) != TP_OK)
    return NULL;
  int64_t *shape = qkv->shape, positions = shape[1] * shape[2];
  if (heads < 1 || shape[3] % (3 * (int64_t) heads) || !shape[3])
    {
      tp_fail (TP_BAD_SHAPE, "qkv: expected channels divisible by 3 x %d heads, got %lld", heads,
               (long long) shape[3]);
      return NULL;
    }
  if (positions > 1 << 16)
    {
      tp_fail (TP_UNSUPPORTED, "qkv: expected at most %d positions, got %lld", 1 << 16,
               (long long) positions);
      return NULL;
    }
  tp_tensor *log_sums = tp_tensor_create (TP_F32, 3, (int64_t[]) { shape[0], heads, positions });
  tp_tensor *o = tp_tensor_create (TP_F32, 4, (int64_t[]) { shape[0], shape[1], shape[2],
                                                            shape[3] / 3 });
  tp_status status = log_sums && o ? TP_OK : tp_last_status ();
  if (status == TP_OK)
    {
      job j = job_of (qkv, heads, log_sums);
      j.out = tp_f32 (o);
      status = forward (&j);
    }
  if (status != TP_OK)
    {
      tp_tensor_free (o);
      o = NULL;
    }
  tp_record r = { .inputs = { qkv }, .input_count = 1, .saved = { log_sums }, .numbers = { heads } };
  o = tp_recorded (o, &r, backward);
  tp_tensor_free (log_sums);
  return o;
}
