/* attention.c -- self-attention over the positions of an image (Vaswani et al. 2017).
 *
 *   o_i = sum_j p_ij v_j,   p_ij = exp (q_i . k_j / sqrt (d) - l_i)
 *
 * for each image and head of d channels, l_i being such that the p_ij of a row add up to 1.  The
 * square matrix p is never whole in memory: a block of its rows at a time, and backward computes
 * them anew from l (Dao et al. 2022). */
#include <cblas.h>
#include <math.h>

#include "autograd/operations.h"
#include "core/cpu.h"
#include "core/exponential.h"
#include "core/profile.h"
#include "core/threads.h"
#include "nn/layers.h"

enum { ROWS = 64, LANES = 16 }; /* of p, computed together; of a row, summed side by side */

typedef struct {
  int64_t n, positions, c, heads, blocks; /* blocks of rows */
  const float *qkv, *o, *g;   /* (n positions 3c), (n positions c); the output's gradient */
  float *out;                 /* o, or the gradient of qkv */
  float *log_sums;            /* l, (n heads positions) */
  tp_status status;
} job;

static int64_t
rows_of (const job *j, int64_t block)
{
  int64_t first = block * ROWS;
  return first + ROWS < j->positions ? ROWS : j->positions - first;
}

/* C = ALPHA op(A) op(B) + BETA C on row-major matrices with lines of the given strides. */
static void
product (bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
         const float *a, int64_t a_line, const float *b, int64_t b_line, float beta, float *c,
         int64_t c_line)
{
  cblas_sgemm (CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
               transpose_b ? CblasTrans : CblasNoTrans, (int) m, (int) n, (int) k, alpha, a,
               (int) a_line, b, (int) b_line, beta, c, (int) c_line);
}

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

/* Items are blocks of rows, of every head of every image. */
static void
forward_blocks (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t positions = j->positions, c = j->c, d = c / j->heads;
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
      const float *q = j->qkv + n * positions * 3 * c + head % j->heads * d;
      const float *k = q + c, *v = k + c;
      float *o = j->out + (n * positions + first) * c + head % j->heads * d, sums[ROWS];
      product (false, true, rows, positions, d, 1 / sqrtf ((float) d), q + first * 3 * c, 3 * c, k,
               3 * c, 0, s, positions);
      exponentials (s, rows, positions, sums, j->log_sums + head * positions + first);
      product (false, false, rows, d, positions, 1, s, positions, v, 3 * c, 0, o, c);
      divide_rows (o, c, rows, d, sums);
    }
  tp_scratch_free (s);
}

/* P <- exp (p - l), and T <- P (t - D), D the product of the rows of O and G. */
TP_CLONES static void
softmax_gradient (float *p, float *t, int64_t rows, int64_t count, const float *log_sums,
                  const float *o, const float *g, int64_t line, int64_t d)
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
          gradient[k] = row[k] * (gradient[k] - inner);
        }
    }
}

/* Items are heads of images. */
static void
backward_heads (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t positions = j->positions, c = j->c, d = c / j->heads, line = 3 * c;
  float *p = tp_scratch_alloc ((size_t) (2 * ROWS * positions) * sizeof *p);
  if (!p)
    {
      j->status = TP_NO_MEMORY;
      return;
    }
  float *t = p + ROWS * positions, scale = 1 / sqrtf ((float) d);
  for (int64_t head = begin; head < end; head++)
    {
      int64_t n = head / j->heads, at = n * positions * c + head % j->heads * d;
      const float *q = j->qkv + n * positions * line + head % j->heads * d, *k = q + c, *v = k + c;
      float *gq = j->out + (q - j->qkv), *gk = gq + c, *gv = gk + c;
      for (int64_t block = 0; block < j->blocks; block++)
        {
          int64_t first = block * ROWS, rows = rows_of (j, block);
          const float *o = j->o + at + first * c, *g = j->g + at + first * c;
          float before = block ? 1 : 0; /* what earlier blocks added stays */
          product (false, true, rows, positions, d, scale, q + first * line, line, k, line, 0, p,
                   positions);
          product (false, true, rows, positions, d, 1, g, c, v, line, 0, t, positions);
          softmax_gradient (p, t, rows, positions, j->log_sums + head * positions + first, o, g, c,
                            d);
          product (true, false, positions, d, rows, 1, p, positions, g, c, before, gv, line);
          product (false, false, rows, d, positions, scale, t, positions, k, line, 0,
                   gq + first * line, line);
          product (true, false, positions, d, rows, scale, t, positions, q + first * line, line,
                   before, gk, line);
        }
    }
  tp_scratch_free (p);
}

static job
job_of (const tp_tensor *qkv, int heads, const tp_tensor *log_sums)
{
  int64_t positions = qkv->shape[1] * qkv->shape[2];
  return (job) { .n = qkv->shape[0], .positions = positions, .c = qkv->shape[3] / 3,
                 .heads = heads, .blocks = (positions + ROWS - 1) / ROWS, .qkv = tp_f32 (qkv),
                 .log_sums = tp_f32 (log_sums) };
}

/* PRODUCTS: of matrices of positions x positions by d. */
static tp_status
run (job *j, int64_t items, void (*body) (void *, int64_t, int64_t), const char *name, int products)
{
  tp_span span = tp_span_start ();
  openblas_set_num_threads (1);
  tp_parallel_for (items, 1, body, j);
  tp_span_end (span, name,
               (tp_work) { .flops = 2.0 * products * (double) j->n * (double) j->c
                                    * (double) j->positions * (double) j->positions },
               "%lld x %lld x %lld, %lld heads", (long long) j->n, (long long) j->positions,
               (long long) j->c, (long long) j->heads);
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
      if (run (&j, j.n * j.heads, backward_heads, "attention, gradient", 5) != TP_OK)
        {
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
      status = run (&j, j.n * j.heads * j.blocks, forward_blocks, "attention", 2);
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
