/* elementwise.c -- one value for each element: maps, broadcasting, assignment.
 *
 * The loops run over the elements of the result in row-major order.  Axes that
 * are contiguous in every operand are merged first, so that the inner loop is
 * long, and the elements are dealt to threads in pieces. */
#include <math.h>
#include <string.h>

#include "core/cpu.h"
#include "core/profile.h"
#include "core/stop.h"
#include "core/threads.h"
#include "tensor/tensor.h"

enum { GRAIN = 16384 }; /* elements worth a thread */

/* Where two operands are read, and one is written. */
typedef struct {
  int operation;
  bool complex_inputs;
  int rank;
  int64_t shape[TP_MAX_RANK];
  int64_t out_strides[TP_MAX_RANK], a_strides[TP_MAX_RANK], b_strides[TP_MAX_RANK];
  void *out;
  const void *a, *b;
  void (*row) (const void *job, int64_t count, int64_t out, int64_t a, int64_t b);
} job;

static void
merge_axes (job *j)
{
  int rank = 0;
  for (int i = 0; i < j->rank; i++)
    {
      if (j->shape[i] == 1)
        continue;
      if (rank > 0 && j->out_strides[rank - 1] == j->out_strides[i] * j->shape[i]
          && j->a_strides[rank - 1] == j->a_strides[i] * j->shape[i]
          && j->b_strides[rank - 1] == j->b_strides[i] * j->shape[i])
        {
          j->shape[rank - 1] *= j->shape[i];
          j->out_strides[rank - 1] = j->out_strides[i];
          j->a_strides[rank - 1] = j->a_strides[i];
          j->b_strides[rank - 1] = j->b_strides[i];
          continue;
        }
      j->shape[rank] = j->shape[i];
      j->out_strides[rank] = j->out_strides[i];
      j->a_strides[rank] = j->a_strides[i];
      j->b_strides[rank] = j->b_strides[i];
      rank++;
    }
  if (rank == 0)
    {
      j->shape[0] = 1;
      j->out_strides[0] = j->a_strides[0] = j->b_strides[0] = 1;
      rank = 1;
    }
  j->rank = rank;
}

static void
run_piece (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int last = j->rank - 1;
  int64_t index[TP_MAX_RANK], rest = begin, out = 0, a = 0, b = 0;
  for (int i = last; i >= 0; i--)
    {
      index[i] = rest % j->shape[i];
      rest /= j->shape[i];
      out += index[i] * j->out_strides[i];
      a += index[i] * j->a_strides[i];
      b += index[i] * j->b_strides[i];
    }
  while (begin < end)
    {
      int64_t count = j->shape[last] - index[last];
      if (count > end - begin)
        count = end - begin;
      j->row (j, count, out, a, b);
      begin += count;
      /* On to the next element, with carries. */
      index[last] += count;
      out += count * j->out_strides[last];
      a += count * j->a_strides[last];
      b += count * j->b_strides[last];
      for (int i = last; i > 0 && index[i] == j->shape[i]; i--)
        {
          index[i] = 0;
          out += j->out_strides[i - 1] - j->shape[i] * j->out_strides[i];
          a += j->a_strides[i - 1] - j->shape[i] * j->a_strides[i];
          b += j->b_strides[i - 1] - j->shape[i] * j->b_strides[i];
          index[i - 1]++;
        }
    }
}

static void
run (job *j)
{
  int64_t count = 1;
  for (int i = 0; i < j->rank; i++)
    count *= j->shape[i];
  if (count == 0)
    return;
  merge_axes (j);
  tp_span span = tp_span_start ();
  tp_parallel_for (count, GRAIN, run_piece, j);
  tp_span_end (span, "elementwise", (tp_work) { .bytes = 12.0 * (double) count }, NULL);
}

static job
job_for (int operation, const tp_tensor *out, const tp_tensor *a, const tp_tensor *b)
{
  job j = { .operation = operation, .complex_inputs = a->dtype == TP_C64, .rank = out->rank };
  memcpy (j.shape, out->shape, sizeof j.shape);
  memcpy (j.out_strides, out->strides, sizeof j.out_strides);
  memcpy (j.a_strides, a->strides, sizeof j.a_strides);
  memcpy (j.b_strides, b->strides, sizeof j.b_strides);
  j.out = out->dtype == TP_C64 ? (void *) tp_c64 (out) : tp_f32 (out);
  j.a = a->dtype == TP_C64 ? (void *) tp_c64 (a) : tp_f32 (a);
  j.b = b->dtype == TP_C64 ? (void *) tp_c64 (b) : tp_f32 (b);
  return j;
}

/* The strides of the innermost axis, under names that the loops below use.
 * The case of unit strides is written apart so that it becomes vector code. */
#define LOOP2(T, R, EXPRESSION)                                            \
  do {                                                                     \
    R *o = (R *) j->out + out;                                             \
    const T *pa = (const T *) j->a + a, *pb = (const T *) j->b + b;        \
    int64_t so = j->out_strides[last], sa = j->a_strides[last],            \
            sb = j->b_strides[last];                                       \
    if (so == 1 && sa == 1 && sb == 1)                                     \
      for (int64_t i = 0; i < count; i++)                                  \
        { T x = pa[i], y = pb[i]; o[i] = EXPRESSION; }                     \
    else if (so == 1 && sa == 1 && sb == 0)                                \
      {                                                                    \
        T y = *pb;                                                         \
        for (int64_t i = 0; i < count; i++)                                \
          { T x = pa[i]; o[i] = EXPRESSION; }                              \
      }                                                                    \
    else                                                                   \
      for (int64_t i = 0; i < count; i++)                                  \
        { T x = pa[i * sa], y = pb[i * sb]; o[i * so] = EXPRESSION; }      \
  } while (0)

#define LOOP1(T, R, EXPRESSION)                                            \
  do {                                                                     \
    R *o = (R *) j->out + out;                                             \
    const T *pa = (const T *) j->a + a;                                    \
    int64_t so = j->out_strides[last], sa = j->a_strides[last];            \
    if (so == 1 && sa == 1)                                                \
      for (int64_t i = 0; i < count; i++)                                  \
        { T x = pa[i]; o[i] = EXPRESSION; }                                \
    else                                                                   \
      for (int64_t i = 0; i < count; i++)                                  \
        { T x = pa[i * sa]; o[i * so] = EXPRESSION; }                      \
  } while (0)

TP_CLONES static void
row_binary (const void *context, int64_t count, int64_t out, int64_t a, int64_t b)
{
  const job *j = context;
  int last = j->rank - 1;
  if (j->complex_inputs)
    switch ((tp_binary) j->operation)
      {
      case TP_ADD: LOOP2 (tp_complex, tp_complex, x + y); break;
      case TP_SUB: LOOP2 (tp_complex, tp_complex, x - y); break;
      case TP_MUL: LOOP2 (tp_complex, tp_complex, x * y); break;
      default: LOOP2 (tp_complex, tp_complex, x / y); break;
      }
  else
    switch ((tp_binary) j->operation)
      {
      case TP_ADD: LOOP2 (float, float, x + y); break;
      case TP_SUB: LOOP2 (float, float, x - y); break;
      case TP_MUL: LOOP2 (float, float, x * y); break;
      case TP_DIV: LOOP2 (float, float, x / y); break;
      case TP_MAXIMUM: LOOP2 (float, float, x != x || x > y ? x : y); break;
      case TP_MINIMUM: LOOP2 (float, float, x != x || x < y ? x : y); break;
      case TP_POWER: LOOP2 (float, float, powf (x, y)); break;
      case TP_LESS: LOOP2 (float, float, x < y ? 1.0f : 0.0f); break;
      case TP_ATAN2: LOOP2 (float, float, atan2f (x, y)); break;
      }
}

TP_CLONES static void
row_unary (const void *context, int64_t count, int64_t out, int64_t a, int64_t b)
{
  (void) b;
  const job *j = context;
  int last = j->rank - 1;
  if (j->complex_inputs)
    switch ((tp_unary) j->operation)
      {
      case TP_NEGATE: LOOP1 (tp_complex, tp_complex, -x); break;
      case TP_ABS: LOOP1 (tp_complex, float, cabsf (x)); break;
      case TP_SQUARE: LOOP1 (tp_complex, tp_complex, x * x); break;
      case TP_SQRT: LOOP1 (tp_complex, tp_complex, csqrtf (x)); break;
      case TP_EXP: LOOP1 (tp_complex, tp_complex, cexpf (x)); break;
      case TP_LOG: LOOP1 (tp_complex, tp_complex, clogf (x)); break;
      case TP_SIN: LOOP1 (tp_complex, tp_complex, csinf (x)); break;
      case TP_COS: LOOP1 (tp_complex, tp_complex, ccosf (x)); break;
      case TP_TANH: LOOP1 (tp_complex, tp_complex, ctanhf (x)); break;
      case TP_RECIPROCAL: LOOP1 (tp_complex, tp_complex, 1.0f / x); break;
      case TP_REAL: LOOP1 (tp_complex, float, crealf (x)); break;
      case TP_IMAG: LOOP1 (tp_complex, float, cimagf (x)); break;
      case TP_ANGLE: LOOP1 (tp_complex, float, cargf (x)); break;
      default: LOOP1 (tp_complex, tp_complex, conjf (x)); break;
      }
  else
    switch ((tp_unary) j->operation)
      {
      case TP_NEGATE: LOOP1 (float, float, -x); break;
      case TP_ABS: LOOP1 (float, float, fabsf (x)); break;
      case TP_SQUARE: LOOP1 (float, float, x * x); break;
      case TP_SQRT: LOOP1 (float, float, sqrtf (x)); break;
      case TP_EXP: LOOP1 (float, float, expf (x)); break;
      case TP_LOG: LOOP1 (float, float, logf (x)); break;
      case TP_SIN: LOOP1 (float, float, sinf (x)); break;
      case TP_COS: LOOP1 (float, float, cosf (x)); break;
      case TP_TANH: LOOP1 (float, float, tanhf (x)); break;
      case TP_RECIPROCAL: LOOP1 (float, float, 1.0f / x); break;
      case TP_SIGN: LOOP1 (float, float, (float) ((x > 0) - (x < 0))); break;
      case TP_ROUND: LOOP1 (float, float, nearbyintf (x)); break;
      case TP_REAL: case TP_CONJ: LOOP1 (float, float, x); break;
      case TP_IMAG: LOOP1 (float, float, 0.0f * x); break;
      case TP_ANGLE: LOOP1 (float, float, x < 0 ? 3.14159265358979f : 0.0f); break;
      }
}

TP_CLONES static void
row_copy (const void *context, int64_t count, int64_t out, int64_t a, int64_t b)
{
  (void) b;
  const job *j = context;
  int last = j->rank - 1;
  if (j->complex_inputs)
    LOOP1 (tp_complex, tp_complex, x);
  else if (j->operation == TP_C64)
    LOOP1 (float, tp_complex, x);
  else
    LOOP1 (float, float, x);
}

static bool
alive (const tp_tensor *t, const char *name)
{
  if (tp_buffer_data (t->buffer))
    return true;
  tp_fail (TP_BAD_ARGUMENT, "%s: this tensor was released when its scope closed; "
           "keep it with `keep!'", name);
  return false;
}

tp_status
tp_assign (tp_tensor *target, const tp_tensor *source)
{
  if (!alive (target, "target") || !alive (source, "source"))
    return TP_BAD_ARGUMENT;
  if (target->dtype == TP_F32 && source->dtype == TP_C64)
    return tp_fail (TP_BAD_SHAPE, "source: expected f32, got c64; take its real part or magnitude");
  for (int i = 0; i < target->rank; i++)
    if (target->strides[i] == 0 && target->shape[i] > 1 && tp_tensor_count (target) > 0)
      return tp_fail (TP_BAD_ARGUMENT, "target: expected a place for each element, got a stretched "
                      "view, whose elements share theirs; assign to a copy");
  tp_tensor *from = tp_broadcast_to (source, target->rank, target->shape);
  if (from && tp_overlap (target, from))
    {
      tp_tensor *apart = tp_copy (from);
      tp_tensor_free (from);
      from = apart;
    }
  if (!from)
    return tp_last_status ();
  job j = job_for ((int) target->dtype, target, from, from);
  j.row = row_copy;
  run (&j);
  tp_tensor_free (from);
  tp_tensor_changed (target);
  return TP_OK;
}

tp_status
tp_fill (tp_tensor *target, double value)
{
  tp_tensor *one = tp_tensor_create (TP_F32, 0, NULL);
  if (!one)
    return TP_NO_MEMORY;
  *tp_f32 (one) = (float) value;
  tp_status status = tp_assign (target, one);
  tp_tensor_free (one);
  return status;
}

static tp_tensor *
as_complex (const tp_tensor *t)
{
  if (t->dtype == TP_C64)
    return tp_tensor_ref (t);
  tp_tensor *c = tp_tensor_create (TP_C64, t->rank, t->shape);
  if (c && tp_assign (c, t) != TP_OK)
    {
      tp_tensor_free (c);
      return NULL;
    }
  return c;
}

/* The shape that A and B broadcast to. */
static tp_status
joint_shape (const tp_tensor *a, const tp_tensor *b, int *rank, int64_t shape[TP_MAX_RANK])
{
  *rank = a->rank > b->rank ? a->rank : b->rank;
  for (int i = 0; i < *rank; i++)
    {
      int ia = i - (*rank - a->rank), ib = i - (*rank - b->rank);
      int64_t na = ia >= 0 ? a->shape[ia] : 1, nb = ib >= 0 ? b->shape[ib] : 1;
      if (na != nb && na != 1 && nb != 1)
        {
          char ta[TP_SHAPE_TEXT], tb[TP_SHAPE_TEXT];
          return tp_fail (TP_BAD_SHAPE, "shapes %s and %s do not broadcast together",
                          tp_shape_text (ta, a->rank, a->shape),
                          tp_shape_text (tb, b->rank, b->shape));
        }
      shape[i] = na == 1 ? nb : na;
    }
  return TP_OK;
}

tp_tensor *
tp_map2 (tp_binary operation, const tp_tensor *a, const tp_tensor *b)
{
  int rank;
  int64_t shape[TP_MAX_RANK];
  if (!alive (a, "a") || !alive (b, "b") || joint_shape (a, b, &rank, shape) != TP_OK)
    return NULL;
  bool is_complex = a->dtype == TP_C64 || b->dtype == TP_C64;
  if (is_complex && operation > TP_DIV)
    {
      tp_fail (TP_BAD_SHAPE, "operands: expected f32, got c64");
      return NULL;
    }
  tp_tensor *ca = is_complex ? as_complex (a) : tp_tensor_ref (a);
  tp_tensor *cb = is_complex ? as_complex (b) : tp_tensor_ref (b);
  tp_tensor *va = ca ? tp_broadcast_to (ca, rank, shape) : NULL;
  tp_tensor *vb = cb ? tp_broadcast_to (cb, rank, shape) : NULL;
  tp_tensor *out = va && vb ? tp_tensor_create (is_complex ? TP_C64 : TP_F32, rank, shape) : NULL;
  if (out)
    {
      job j = job_for ((int) operation, out, va, vb);
      j.row = row_binary;
      run (&j);
    }
  tp_tensor_free (ca);
  tp_tensor_free (cb);
  tp_tensor_free (va);
  tp_tensor_free (vb);
  return out;
}

tp_tensor *
tp_map (tp_unary operation, const tp_tensor *a)
{
  if (!alive (a, "tensor"))
    return NULL;
  bool is_complex = a->dtype == TP_C64;
  if (is_complex && (operation == TP_SIGN || operation == TP_ROUND))
    {
      tp_fail (TP_BAD_SHAPE, "tensor: expected f32, got c64");
      return NULL;
    }
  bool real_result = !is_complex || operation == TP_ABS || operation == TP_REAL
                     || operation == TP_IMAG || operation == TP_ANGLE;
  tp_tensor *out = tp_tensor_create (real_result ? TP_F32 : TP_C64, a->rank, a->shape);
  if (out)
    {
      job j = job_for ((int) operation, out, a, a);
      j.row = row_unary;
      run (&j);
    }
  return out;
}

/* y <- a x + b y on plain floats; c64 counts as pairs, a and b being real. */
typedef struct {
  float a, b;
  const float *x;
  float *y, *out;
} axpby_job;

TP_CLONES static void
axpby_piece (void *context, int64_t begin, int64_t end)
{
  const axpby_job *j = context;
  const float *restrict x = j->x;
  float *y = j->y;
  if (j->b == 0.0f)
    for (int64_t i = begin; i < end; i++)
      y[i] = j->a * x[i];
  else
    for (int64_t i = begin; i < end; i++)
      y[i] = j->a * x[i] + j->b * y[i];
}

static float *
floats_of (const tp_tensor *t)
{
  return t->dtype == TP_C64 ? (float *) tp_c64 (t) : tp_f32 (t);
}

tp_status
tp_axpby (double a, const tp_tensor *x, double b, tp_tensor *y)
{
  tp_status status = tp_check (y, "y", y->dtype, -1);
  if (status == TP_OK)
    status = tp_check_shape (x, "x", y->dtype, y->rank, y->shape);
  if (status != TP_OK)
    return status;
  tp_tensor *apart = tp_overlap (y, x) ? tp_copy (x) : tp_tensor_ref (x);
  if (!apart)
    return tp_last_status ();
  axpby_job j = { (float) a, (float) b, floats_of (apart), floats_of (y), NULL };
  tp_span span = tp_span_start ();
  tp_stop_hold ();
  tp_parallel_for (tp_tensor_count (y) * (y->dtype == TP_C64 ? 2 : 1), GRAIN, axpby_piece, &j);
  tp_stop_release ();
  tp_span_end (span, "a x + b y", (tp_work) { .bytes = 12.0 * (double) tp_tensor_count (y) }, NULL);
  tp_tensor_free (apart);
  tp_tensor_changed (y);
  return TP_OK;
}

TP_CLONES static void
affine_piece (void *context, int64_t begin, int64_t end)
{
  const axpby_job *j = context;
  for (int64_t i = begin; i < end; i++)
    j->out[i] = j->a * j->x[i] + j->b;
}

tp_tensor *
tp_affine (const tp_tensor *x, double a, double b)
{
  if (!alive (x, "x"))
    return NULL;
  if (x->dtype == TP_C64)
    { /* b shifts the real part alone */
      tp_tensor *out = tp_copy (x);
      if (!out)
        return NULL;
      tp_complex *data = tp_c64 (out);
      int64_t count = tp_tensor_count (out);
      for (int64_t i = 0; i < count; i++)
        data[i] = (float) a * data[i] + (float) b;
      return out;
    }
  tp_tensor *whole = tp_contiguous (x);
  tp_tensor *out = whole ? tp_tensor_like (whole) : NULL;
  if (out)
    {
      axpby_job j = { (float) a, (float) b, tp_f32 (whole), NULL, tp_f32 (out) };
      tp_span span = tp_span_start ();
      tp_parallel_for (tp_tensor_count (out), GRAIN, affine_piece, &j);
      tp_span_end (span, "elementwise", (tp_work) { .bytes = 8.0 * (double) tp_tensor_count (out) },
                   NULL);
    }
  tp_tensor_free (whole);
  return out;
}
