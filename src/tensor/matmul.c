/* matmul.c -- the matrix product, by OpenBLAS.  Of complex matrices a transpose is conjugate too.
 *
 * The rows of the result are cut into blocks that the shape alone fixes; a
 * block is one single-threaded product, so that the bits do not depend on the
 * number of threads. */
#include "core/threads.h"
#include "tensor/blas.h"
#include "tensor/tensor.h"

enum { BLOCK_ROWS = 64 };

typedef struct {
  const void *a, *b;
  void *c;
  int64_t m, n, k;
  bool transpose_a, transpose_b;
} job;

static void
multiply_blocks (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t block = begin; block < end; block++)
    {
      int64_t row = block * BLOCK_ROWS;
      int64_t rows = row + BLOCK_ROWS < j->m ? BLOCK_ROWS : j->m - row;
      const float *a = (const float *) j->a + (j->transpose_a ? row : row * j->k);
      cblas_sgemm (CblasRowMajor, j->transpose_a ? CblasTrans : CblasNoTrans,
                   j->transpose_b ? CblasTrans : CblasNoTrans, (int) rows, (int) j->n,
                   (int) j->k, 1.0f, a, (int) (j->transpose_a ? j->m : j->k), j->b,
                   (int) (j->transpose_b ? j->k : j->n), 0.0f, (float *) j->c + row * j->n, (int) j->n);
    }
}

static void
multiply_complex_blocks (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  const tp_complex one = 1.0f, zero = 0.0f;
  for (int64_t block = begin; block < end; block++)
    {
      int64_t row = block * BLOCK_ROWS;
      int64_t rows = row + BLOCK_ROWS < j->m ? BLOCK_ROWS : j->m - row;
      const tp_complex *a = (const tp_complex *) j->a + (j->transpose_a ? row : row * j->k);
      cblas_cgemm (CblasRowMajor, j->transpose_a ? CblasConjTrans : CblasNoTrans,
                   j->transpose_b ? CblasConjTrans : CblasNoTrans, (int) rows, (int) j->n,
                   (int) j->k, &one, a, (int) (j->transpose_a ? j->m : j->k), j->b,
                   (int) (j->transpose_b ? j->k : j->n), &zero, (tp_complex *) j->c + row * j->n, (int) j->n);
    }
}

tp_tensor *
tp_matmul (const tp_tensor *a, bool transpose_a, const tp_tensor *b, bool transpose_b)
{
  bool is_complex = a->dtype == TP_C64;
  if (tp_check (a, "a", a->dtype, 2) != TP_OK || tp_check (b, "b", a->dtype, 2) != TP_OK)
    return NULL;
  int64_t m = a->shape[transpose_a], k = a->shape[!transpose_a];
  int64_t n = b->shape[!transpose_b], kb = b->shape[transpose_b];
  if (k != kb)
    {
      char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_SHAPE, "b: expected %lld along the summed axis, as a has, got %lld (a %s%s, b %s%s)",
               (long long) k, (long long) kb, tp_shape_text (ta, 2, a->shape),
               transpose_a ? " transposed" : "", tp_shape_text (tb, 2, b->shape),
               transpose_b ? " transposed" : "");
      return NULL;
    }
  if (m > INT32_MAX || n > INT32_MAX || k > INT32_MAX)
    {
      tp_fail (TP_UNSUPPORTED, "a, b: lengths beyond 2^31 - 1");
      return NULL;
    }
  tp_tensor *c = tp_tensor_zeros (a->dtype, 2, (int64_t[]) { m, n });
  if (!c || m == 0 || n == 0 || k == 0)
    return c;
  tp_blas_prepare ();
  job j = { .m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b };
  j.a = is_complex ? (const void *) tp_c64 (a) : tp_f32 (a);
  j.b = is_complex ? (const void *) tp_c64 (b) : tp_f32 (b);
  j.c = is_complex ? (void *) tp_c64 (c) : tp_f32 (c);
  tp_parallel_for ((m + BLOCK_ROWS - 1) / BLOCK_ROWS, 1 + 100000 / (BLOCK_ROWS * n * k + 1),
                   is_complex ? multiply_complex_blocks : multiply_blocks, &j);
  return c;
}
