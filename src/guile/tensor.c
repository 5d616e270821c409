/* tensor.c -- tensors in Scheme: a foreign object that owns one reference.
 *
 * Long, since it has a binding for each primitive of its folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/cpu.h"
#include "core/stop.h"
#include "core/threads.h"
#include "guile/binding.h"
#include "tensor/eigen.h"

static SCM tensor_type;

static void
finalize (SCM object)
{
  tp_tensor_free (scm_foreign_object_ref (object, 0));
}

/* The procedure that has taken a tensor that wants a gradient and has yet to record itself. */
static _Thread_local const char *recording;

void
tp_forget_recording (void)
{
  recording = NULL;
}

SCM
tp_from_tensor (const char *procedure, tp_tensor *t)
{
  if (t && tp_stopped ())
    {
      tp_tensor_free (t);
      tp_raise_stop ();
      tp_raise_argument (procedure, "stopped");
    }
  if (!t)
    tp_raise (procedure);
  if (recording && !strcmp (recording, procedure))
    {
      recording = NULL;
      if (!t->requires_grad && tp_tape_current ())
        {
          tp_tensor_free (t);
          tp_raise_argument (procedure, "an argument wants a gradient, which would be lost here; for a "
                             "constant, compute this inside `no-tape'");
        }
    }
  /* Inside a scope memory goes back without the collector's help; a view of a
   * large volume keeps it, but did not allocate it. */
  if (tp_scope_depth () == 0)
    scm_gc_register_allocation ((size_t) tp_tensor_count (t) * tp_dtype_size (t->dtype));
  return scm_make_foreign_object_1 (tensor_type, t);
}

bool
tp_is_tensor (SCM object)
{
  return SCM_IS_A_P (object, tensor_type);
}

tp_tensor *
tp_to_tensor (const char *procedure, const char *argument, SCM object)
{
  if (!tp_is_tensor (object))
    {
      char shown[TP_SHOWN];
      bool numbers = scm_is_pair (object) || scm_is_vector (object);
      tp_raise_argument (procedure, "%s: expected a tensor, got %s%s", argument,
                         tp_shown (object, shown),
                         numbers ? "; list->tensor makes one of a list or vector" : "");
    }
  tp_tensor *t = scm_foreign_object_ref (object, 0);
  if (!tp_buffer_data (t->buffer))
    tp_raise_argument (procedure, "%s: this tensor was released, by `release!' or when its scope "
                       "closed; to keep it beyond a scope, `keep!' it", argument);
  if (t->requires_grad && tp_tape_current ())
    {
      const char *use = tp_gradient_use (procedure);
      if (!use)
        tp_raise_argument (procedure, "%s: this tensor wants a gradient, and %s has none to give and "
                           "would lose it; for a constant, compute this inside `no-tape'", argument,
                           procedure);
      else if (!strcmp (use, "recorded"))
        tp_tape_name (recording = procedure);
    }
  return t;
}

tp_tensor *
tp_to_tensor_or_null (const char *procedure, const char *argument, SCM object)
{
  if (SCM_UNBNDP (object) || scm_is_false (object))
    return NULL;
  return tp_to_tensor (procedure, argument, object);
}

/* VALUE rounded to float32; a finite one must not become infinite. */
static float
to_float (const char *procedure, const char *argument, double value)
{
  float rounded = (float) value;
  if (isinf (rounded) && !isinf (value))
    tp_raise_argument (procedure, "%s: %g is beyond the largest number of float32, 3.4e38", argument,
                       value);
  return rounded;
}

static tp_complex
to_complex (const char *procedure, const char *argument, SCM number)
{
  return to_float (procedure, argument, scm_c_real_part (number))
         + to_float (procedure, argument, scm_c_imag_part (number)) * I;
}

/* A tensor as it is, or a number as a tensor of rank 0; one reference. */
static tp_tensor *
to_operand (const char *procedure, const char *argument, SCM object)
{
  if (!scm_is_number (object))
    return tp_tensor_ref (tp_to_tensor (procedure, argument, object));
  bool real = scm_is_real (object);
  tp_complex value = to_complex (procedure, argument, object);
  tp_tensor *t = tp_tensor_create (real ? TP_F32 : TP_C64, 0, NULL);
  if (!t)
    tp_raise (procedure);
  if (real)
    *tp_f32 (t) = crealf (value);
  else
    *tp_c64 (t) = value;
  return t;
}

static tp_dtype
to_dtype (const char *procedure, SCM object)
{
  if (SCM_UNBNDP (object) || scm_is_eq (object, scm_from_utf8_symbol ("f32")))
    return TP_F32;
  if (scm_is_eq (object, scm_from_utf8_symbol ("c64")))
    return TP_C64;
  tp_raise_argument (procedure, "dtype: expected f32 or c64");
}

static SCM
element (const tp_tensor *t, int64_t at)
{
  if (t->dtype == TP_F32)
    return scm_from_double (tp_f32 (t)[at]);
  tp_complex z = tp_c64 (t)[at];
  return scm_c_make_rectangular (crealf (z), cimagf (z));
}

static SCM
shape_list (const tp_tensor *t)
{
  SCM list = SCM_EOL;
  for (int i = t->rank - 1; i >= 0; i--)
    list = scm_cons (scm_from_int64 (t->shape[i]), list);
  return list;
}

/* --- Making --------------------------------------------------------------- */

static SCM
tensor_zeros (SCM shape, SCM dtype)
{
  int64_t lengths[TP_MAX_RANK];
  int rank = tp_to_shape ("tensor-zeros", "shape", shape, lengths, 0);
  return tp_from_tensor ("tensor-zeros",
                         tp_tensor_zeros (to_dtype ("tensor-zeros", dtype), rank, lengths));
}

static SCM
list_to_tensor (SCM numbers, SCM shape)
{
  const char *me = "list->tensor";
  if (scm_is_vector (numbers))
    numbers = scm_vector_to_list (numbers);
  if (scm_is_false (scm_list_p (numbers)))
    tp_raise_argument (me, "numbers: expected a list or vector");
  int64_t count = scm_ilength (numbers), lengths[TP_MAX_RANK] = { count };
  int rank = SCM_UNBNDP (shape) ? 1 : tp_to_shape (me, "shape", shape, lengths, 0);
  bool complex_values = false;
  for (SCM l = numbers; scm_is_pair (l); l = scm_cdr (l))
    {
      if (!scm_is_number (scm_car (l)))
        tp_raise_argument (me, "numbers: expected numbers only");
      complex_values |= !scm_is_real (scm_car (l));
    }
  tp_tensor *t = tp_tensor_create (complex_values ? TP_C64 : TP_F32, rank, lengths);
  if (t && tp_tensor_count (t) != count)
    {
      int64_t room = tp_tensor_count (t);
      tp_tensor_free (t);
      tp_raise_argument (me, "numbers: expected %lld for this shape, got %lld", (long long) room,
                         (long long) count);
    }
  SCM object = tp_from_tensor (me, t);
  int64_t at = 0;
  for (SCM l = numbers; scm_is_pair (l); l = scm_cdr (l), at++)
    if (complex_values)
      tp_c64 (t)[at] = to_complex (me, "numbers", scm_car (l));
    else
      tp_f32 (t)[at] = to_float (me, "numbers", scm_to_double (scm_car (l)));
  return object;
}

static SCM
random_tensor (const char *me, SCM shape, SCM seed, SCM stream, SCM dtype,
               tp_status (*fill) (tp_tensor *, uint64_t, uint64_t))
{
  int64_t lengths[TP_MAX_RANK];
  int rank = tp_to_shape (me, "shape", shape, lengths, 0);
  uint64_t s = (uint64_t) tp_to_int (me, "seed", seed, 0, INT64_MAX);
  uint64_t k = SCM_UNBNDP (stream) ? 0 : (uint64_t) tp_to_int (me, "stream", stream, 0, INT64_MAX);
  tp_tensor *t = tp_tensor_create (to_dtype (me, dtype), rank, lengths);
  SCM object = tp_from_tensor (me, t);
  tp_require (me, fill (t, s, k));
  return object;
}

static SCM
random_normal (SCM shape, SCM seed, SCM stream, SCM dtype)
{
  return random_tensor ("random-normal", shape, seed, stream, dtype, tp_fill_normal);
}

static SCM
random_uniform (SCM shape, SCM seed, SCM stream, SCM dtype)
{
  return random_tensor ("random-uniform", shape, seed, stream, dtype, tp_fill_uniform);
}

/* --- Looking -------------------------------------------------------------- */

static SCM
is_tensor (SCM object)
{
  return scm_from_bool (tp_is_tensor (object));
}

static SCM
tensor_alive (SCM object)
{
  return scm_from_bool (tp_is_tensor (object)
                        && tp_buffer_data (((tp_tensor *) scm_foreign_object_ref (object, 0))->buffer));
}

/* Shape and type are known of a released tensor too. */
static const tp_tensor *
header_of (const char *me, SCM object)
{
  if (!tp_is_tensor (object))
    tp_to_tensor (me, "tensor", object);
  return scm_foreign_object_ref (object, 0);
}

static SCM
tensor_shape (SCM t)
{
  return shape_list (header_of ("tensor-shape", t));
}

static SCM
tensor_dtype (SCM t)
{
  return scm_from_utf8_symbol (tp_dtype_name (header_of ("tensor-dtype", t)->dtype));
}

static int64_t
element_place (const char *me, const tp_tensor *t, SCM indices)
{
  if (scm_ilength (indices) != t->rank)
    tp_raise_argument (me, "indices: expected %d, got %ld", t->rank, scm_ilength (indices));
  int64_t at = 0;
  for (int i = 0; i < t->rank; i++, indices = scm_cdr (indices))
    at += t->strides[i] * tp_to_int (me, "index", scm_car (indices), 0, t->shape[i] - 1);
  return at;
}

static SCM
tensor_element (SCM t, SCM indices)
{
  const char *me = "tensor-element";
  tp_tensor *x = tp_to_tensor (me, "tensor", t);
  return element (x, element_place (me, x, indices));
}

static SCM
tensor_set_element (SCM t, SCM indices, SCM value)
{
  const char *me = "tensor-set-element!";
  tp_tensor *x = tp_to_tensor (me, "tensor", t);
  int64_t at = element_place (me, x, indices);
  for (int i = 0; i < x->rank; i++)
    if (x->strides[i] == 0 && x->shape[i] > 1)
      tp_raise_argument (me, "tensor: expected a place for each element, got a stretched view, whose "
                         "elements share theirs; set those of a copy");
  if (!scm_is_number (value) || (x->dtype == TP_F32 && !scm_is_real (value)))
    tp_raise_argument (me, "value: expected a number of type %s", tp_dtype_name (x->dtype));
  if (x->dtype == TP_F32)
    tp_f32 (x)[at] = to_float (me, "value", scm_to_double (value));
  else
    tp_c64 (x)[at] = to_complex (me, "value", value);
  tp_tensor_changed (x);
  return SCM_UNSPECIFIED;
}

static SCM
tensor_to_list (SCM t)
{
  tp_tensor *whole = tp_contiguous (tp_to_tensor ("tensor->list", "tensor", t));
  SCM object = tp_from_tensor ("tensor->list", whole), list = SCM_EOL;
  for (int64_t i = tp_tensor_count (whole) - 1; i >= 0; i--)
    list = scm_cons (element (whole, i), list);
  scm_remember_upto_here_1 (object);
  return list;
}

static SCM
tensor_finite (SCM t)
{
  return scm_from_bool (tp_all_finite (tp_to_tensor ("tensor-finite?", "tensor", t)));
}

static SCM
tensor_equal (SCM a, SCM b)
{
  tp_tensor *x = tp_to_tensor ("tensor-identical?", "a", a);
  tp_tensor *y = tp_to_tensor ("tensor-identical?", "b", b);
  if (x->dtype != y->dtype || !tp_same_shape (x, y))
    return SCM_BOOL_F;
  tp_tensor *cx = tp_contiguous (x), *cy = tp_contiguous (y);
  bool same = false;
  if (cx && cy)
    same = !memcmp (x->dtype == TP_C64 ? (void *) tp_c64 (cx) : tp_f32 (cx),
                    x->dtype == TP_C64 ? (void *) tp_c64 (cy) : tp_f32 (cy),
                    (size_t) tp_tensor_count (x) * tp_dtype_size (x->dtype));
  tp_tensor_free (cx);
  tp_tensor_free (cy);
  return scm_from_bool (same);
}

/* --- Views and copies ----------------------------------------------------- */

static SCM
tensor_copy (SCM t)
{
  return tp_from_tensor ("tensor-copy", tp_diff_copy (tp_to_tensor ("tensor-copy", "tensor", t)));
}

static SCM
tensor_reshape (SCM t, SCM shape)
{
  const char *me = "tensor-reshape";
  int64_t lengths[TP_MAX_RANK];
  int rank = tp_to_shape (me, "shape", shape, lengths, -1);
  return tp_from_tensor (me, tp_diff_reshape (tp_to_tensor (me, "tensor", t), rank, lengths));
}

static int
to_axis (const char *me, const tp_tensor *t, SCM axis)
{
  int64_t a = tp_to_int (me, "axis", axis, -t->rank, t->rank - 1);
  return (int) (a < 0 ? a + t->rank : a);
}

static SCM
tensor_slice (SCM t, SCM axis, SCM begin, SCM end, SCM step)
{
  const char *me = "tensor-slice";
  tp_tensor *x = tp_to_tensor (me, "tensor", t);
  int a = to_axis (me, x, axis);
  int64_t length = x->shape[a];
  int64_t first = tp_to_int (me, "begin", begin, 0, length);
  int64_t last = SCM_UNBNDP (end) || scm_is_false (end) ? length
                                                       : tp_to_int (me, "end", end, first, length);
  int64_t by = SCM_UNBNDP (step) ? 1 : tp_to_int (me, "step", step, 1, INT64_MAX);
  return tp_from_tensor (me, tp_diff_slice (x, a, first, last, by));
}

static SCM
tensor_transpose (SCM t, SCM axes)
{
  const char *me = "tensor-transpose";
  tp_tensor *x = tp_to_tensor (me, "tensor", t);
  int64_t list[TP_MAX_RANK];
  int permutation[TP_MAX_RANK];
  if (tp_to_shape (me, "axes", axes, list, 0) != x->rank)
    tp_raise_argument (me, "axes: expected each of %d axes once", x->rank);
  for (int i = 0; i < x->rank; i++)
    permutation[i] = (int) (list[i] < TP_MAX_RANK ? list[i] : TP_MAX_RANK);
  return tp_from_tensor (me, tp_diff_transpose (x, permutation));
}

static SCM
tensor_broadcast (SCM t, SCM shape)
{
  const char *me = "tensor-broadcast";
  int64_t lengths[TP_MAX_RANK];
  int rank = tp_to_shape (me, "shape", shape, lengths, 0);
  return tp_from_tensor (me, tp_diff_broadcast_to (tp_to_tensor (me, "tensor", t), rank, lengths));
}

static SCM
real_view (SCM t)
{
  return tp_from_tensor ("real-view", tp_diff_view_real (tp_to_tensor ("real-view", "tensor", t)));
}

static SCM
complex_view (SCM t)
{
  return tp_from_tensor ("complex-view",
                         tp_diff_view_complex (tp_to_tensor ("complex-view", "tensor", t)));
}

static SCM
tensor_concatenate (SCM parts, SCM axis)
{
  const char *me = "tensor-concatenate";
  long count = scm_is_true (scm_list_p (parts)) ? scm_ilength (parts) : 0;
  if (count < 1)
    tp_raise_argument (me, "parts: expected a list of tensors");
  tp_tensor **list = scm_gc_malloc ((size_t) count * sizeof *list, "parts");
  for (long i = 0; i < count; i++, parts = scm_cdr (parts))
    list[i] = tp_to_tensor (me, "part", scm_car (parts));
  int a = to_axis (me, list[0], axis);
  return tp_from_tensor (me, tp_diff_concatenate (list, (int) count, a));
}

static SCM
tensor_assign (SCM target, SCM source)
{
  const char *me = "tensor-assign!";
  tp_tensor *to = tp_to_tensor (me, "target", target);
  tp_tensor *from = to_operand (me, "source", source);
  tp_stop_hold ();
  tp_status status = tp_assign (to, from);
  tp_stop_release ();
  tp_tensor_free (from);
  tp_require (me, status);
  return target;
}

static SCM
tensor_axpby (SCM a, SCM x, SCM b, SCM y)
{
  const char *me = "tensor-axpby!";
  tp_require (me, tp_axpby (tp_to_double (me, "a", a), tp_to_tensor (me, "x", x),
                            tp_to_double (me, "b", b), tp_to_tensor (me, "y", y)));
  return y;
}

/* --- Elementwise ---------------------------------------------------------- */

static SCM
map2 (const char *me, tp_binary operation, SCM a, SCM b)
{
  tp_tensor *x = to_operand (me, "a", a), *y = to_operand (me, "b", b);
  tp_tensor *out = tp_diff_map2 (operation, x, y);
  tp_tensor_free (x);
  tp_tensor_free (y);
  return tp_from_tensor (me, out);
}

static SCM
map1 (const char *me, tp_unary operation, SCM a)
{
  return tp_from_tensor (me, tp_diff_map (operation, tp_to_tensor (me, "tensor", a)));
}

#define BINARY(function, name, operation) \
  static SCM function (SCM a, SCM b) { return map2 (name, operation, a, b); }
BINARY (tensor_add, "tensor+", TP_ADD)
BINARY (tensor_subtract, "tensor-", TP_SUB)
BINARY (tensor_multiply, "tensor*", TP_MUL)
BINARY (tensor_divide, "tensor/", TP_DIV)
BINARY (tensor_maximum, "tensor-maximum", TP_MAXIMUM)
BINARY (tensor_minimum, "tensor-minimum", TP_MINIMUM)
BINARY (tensor_power, "tensor-power", TP_POWER)
BINARY (tensor_less, "tensor<", TP_LESS)
BINARY (tensor_atan2, "tensor-atan2", TP_ATAN2)

#define UNARY(function, name, operation) \
  static SCM function (SCM a) { return map1 (name, operation, a); }
UNARY (tensor_negate, "tensor-negate", TP_NEGATE)
UNARY (tensor_abs, "tensor-abs", TP_ABS)
UNARY (tensor_square, "tensor-square", TP_SQUARE)
UNARY (tensor_sqrt, "tensor-sqrt", TP_SQRT)
UNARY (tensor_exp, "tensor-exp", TP_EXP)
UNARY (tensor_log, "tensor-log", TP_LOG)
UNARY (tensor_sin, "tensor-sin", TP_SIN)
UNARY (tensor_cos, "tensor-cos", TP_COS)
UNARY (tensor_tanh, "tensor-tanh", TP_TANH)
UNARY (tensor_sign, "tensor-sign", TP_SIGN)
UNARY (tensor_round, "tensor-round", TP_ROUND)
UNARY (tensor_real, "tensor-real", TP_REAL)
UNARY (tensor_imag, "tensor-imag", TP_IMAG)
UNARY (tensor_angle, "tensor-angle", TP_ANGLE)
UNARY (tensor_conjugate, "tensor-conjugate", TP_CONJ)

/* --- Reductions ----------------------------------------------------------- */

static SCM
reduce (const char *me, tp_reduction operation, SCM t, SCM axes, SCM keep)
{
  tp_tensor *x = tp_to_tensor (me, "tensor", t);
  unsigned set = (1u << x->rank) - 1;
  if (!SCM_UNBNDP (axes) && scm_is_true (axes))
    {
      if (scm_is_false (scm_list_p (axes)))
        axes = scm_list_1 (axes);
      for (set = 0; scm_is_pair (axes); axes = scm_cdr (axes))
        set |= 1u << to_axis (me, x, scm_car (axes));
    }
  return tp_from_tensor (me, tp_diff_reduce (operation, x, set,
                                             !SCM_UNBNDP (keep) && scm_is_true (keep)));
}

#define REDUCTION(function, name, operation) \
  static SCM function (SCM t, SCM axes, SCM keep) { return reduce (name, operation, t, axes, keep); }
REDUCTION (tensor_sum, "tensor-sum", TP_SUM)
REDUCTION (tensor_mean, "tensor-mean", TP_MEAN)
REDUCTION (tensor_max, "tensor-max", TP_MAX)
REDUCTION (tensor_min, "tensor-min", TP_MIN)
REDUCTION (tensor_sum_squares, "tensor-sum-squares", TP_SUM_SQUARES)

static SCM
tensor_quantile (SCM t, SCM q, SCM axis)
{
  const char *me = "tensor-quantile";
  tp_tensor *x = tp_to_tensor (me, "tensor", t);
  return tp_from_tensor (me, tp_diff_quantile (x, tp_to_double (me, "q", q), to_axis (me, x, axis)));
}

static SCM
tensor_to_number (SCM t)
{
  tp_tensor *x = tp_to_tensor ("tensor->number", "tensor", t);
  if (tp_tensor_count (x) != 1)
    {
      char text[TP_SHAPE_TEXT];
      tp_raise_argument ("tensor->number", "tensor: expected one element, got shape %s",
                         tp_shape_text (text, x->rank, x->shape));
    }
  return element (x, 0);
}

static SCM
matrix_product (SCM a, SCM b, SCM transpose_a, SCM transpose_b)
{
  const char *me = "matrix-product";
  return tp_from_tensor (me, tp_diff_matmul (tp_to_tensor (me, "a", a),
                                             !SCM_UNBNDP (transpose_a) && scm_is_true (transpose_a),
                                             tp_to_tensor (me, "b", b),
                                             !SCM_UNBNDP (transpose_b) && scm_is_true (transpose_b)));
}

static SCM
hermitian_eigen (SCM a)
{
  const char *me = "hermitian-eigen";
  tp_tensor *values, *vectors;
  tp_require (me, tp_tensor_eigen (tp_to_tensor (me, "a", a), &values, &vectors));
  scm_remember_upto_here_1 (a);
  SCM first = tp_from_tensor (me, values);
  return scm_values_2 (first, tp_from_tensor (me, vectors));
}

/* --- Scopes, memory, threads ---------------------------------------------- */

static SCM
scope_open (void)
{
  int depth = tp_scope_open ();
  if (!depth)
    tp_raise ("scope-open!");
  return scm_from_int (depth);
}

static SCM
scope_close (SCM depth, SCM release)
{
  /* The collector, which has now to free what is left, is told of it. */
  scm_gc_register_allocation (tp_scope_close ((int) tp_to_int ("scope-close!", "depth", depth, 1,
                                                               INT32_MAX),
                                              scm_is_true (release)));
  return SCM_UNSPECIFIED;
}

static SCM
keep (SCM t)
{
  tp_scope_keep (tp_to_tensor ("keep!", "tensor", t)->buffer);
  return t;
}

static SCM
keep_always (SCM t)
{
  tp_scope_keep_always (tp_to_tensor ("keep-always!", "tensor", t)->buffer);
  return t;
}

static SCM
memory_usage (void)
{
  tp_memory_use use = tp_memory_usage ();
  return scm_list_4 (scm_cons (scm_from_utf8_symbol ("live"), scm_from_size_t (use.live)),
                     scm_cons (scm_from_utf8_symbol ("peak"), scm_from_size_t (use.peak)),
                     scm_cons (scm_from_utf8_symbol ("pooled"), scm_from_size_t (use.pooled)),
                     scm_cons (scm_from_utf8_symbol ("fetched"), scm_from_size_t (use.fetched)));
}

static SCM
memory_trim (void)
{
  tp_memory_trim ();
  tp_memory_reset_peak ();
  return SCM_UNSPECIFIED;
}

static SCM
threads (void)
{
  return scm_from_int (tp_threads ());
}

static SCM
set_threads (SCM count)
{
  static const char name[] = "set-threads!";
  tp_require (name, tp_set_threads ((int) tp_to_int (name, "count", count, 1, TP_MOST_THREADS)));
  return SCM_UNSPECIFIED;
}

static SCM
instruction_set (void)
{
  return scm_from_utf8_symbol (tp_isa_name (tp_cpu_isa ()));
}

static SCM
release (SCM object)
{
  tp_tensor *t = tp_to_tensor ("release!", "tensor", object), *husk = tp_tensor_husk (t);
  if (!husk)
    tp_raise ("release!");
  scm_foreign_object_set_x (object, 0, husk);
  tp_tensor_let_go (t);
  tp_tensor_free (t);
  return SCM_UNSPECIFIED;
}

void
tp_init_tensor (void)
{
  tensor_type = scm_make_foreign_object_type (scm_from_utf8_symbol ("<tensor>"),
                                              scm_list_1 (scm_from_utf8_symbol ("pointer")),
                                              finalize);
  scm_c_define ("<tensor>", tensor_type);
  scm_c_export ("<tensor>", NULL);

  tp_define ("tensor-zeros", 1, 1, tensor_zeros, "shape dtype",
             "A tensor of SHAPE (a list of lengths) filled with zeros; DTYPE is f32 (the\n"
             "default) or c64.\nExample: (tensor-zeros '(2 320 320) 'c64)");
  tp_define ("list->tensor", 1, 1, list_to_tensor, "numbers shape",
             "A tensor of the NUMBERS of a list or vector in row-major order, of SHAPE or flat; c64\n"
             "when one of them is complex.\nExample: (list->tensor '(1 2 3 4 5 6) '(2 3))");
  tp_define ("random-normal", 2, 2, random_normal, "shape seed stream dtype",
             "Standard normal numbers of SHAPE from Philox 4x32-10, a function of SEED,\n"
             "STREAM (0) and place alone.  c64 has a unit normal in each of its two parts.\n"
             "Example: (random-normal '(8 64 64) 42 0 'c64)");
  tp_define ("random-uniform", 2, 2, random_uniform, "shape seed stream dtype",
             "Uniform numbers in (0, 1), as random-normal.\nExample: (random-uniform '(10) 1)");
  tp_define ("tensor?", 1, 0, is_tensor, "object",
             "Whether OBJECT is a tensor.\nExample: (tensor? 3) => #f");
  tp_define ("tensor-alive?", 1, 0, tensor_alive, "object",
             "Whether OBJECT is a tensor whose memory no scope has released.\n"
             "Example: (tensor-alive? (tensor-zeros '(3))) => #t");
  tp_define ("tensor-shape", 1, 0, tensor_shape, "tensor",
             "The list of TENSOR's lengths.\nExample: (tensor-shape (tensor-zeros '(2 3))) => (2 3)");
  tp_define ("tensor-dtype", 1, 0, tensor_dtype, "tensor",
             "f32 or c64.\nExample: (tensor-dtype (tensor-zeros '(3))) => f32");
  tp_define ("tensor-element", 2, 0, tensor_element, "tensor indices",
             "The element at INDICES, a list; (tensor-ref t i j) is the same.\n"
             "Example: (tensor-element (list->tensor '(1 2 3)) '(1)) => 2.0");
  tp_define ("tensor-set-element!", 3, 0, tensor_set_element, "tensor indices value",
             "Put VALUE at INDICES, a list.\nExample: (tensor-set-element! t '(0 1) 2.5)");
  tp_define ("tensor->list", 1, 0, tensor_to_list, "tensor",
             "All elements in row-major order.\n"
             "Example: (tensor->list (list->tensor '(1 2))) => (1.0 2.0)");
  tp_define ("tensor->number", 1, 0, tensor_to_number, "tensor",
             "The element of a tensor that has one.\n"
             "Example: (tensor->number (tensor-sum (list->tensor '(1 2)))) => 3.0");
  tp_define ("tensor-finite?", 1, 0, tensor_finite, "tensor",
             "Whether no element is NaN or infinite.\n"
             "Example: (tensor-finite? (list->tensor '(1 +nan.0))) => #f");
  tp_define ("tensor-identical?", 2, 0, tensor_equal, "a b",
             "Whether A and B agree in type, shape and every bit.\n"
             "Example: (tensor-identical? (random-normal '(3) 1) (random-normal '(3) 1)) => #t");
  tp_define ("tensor-copy", 1, 0, tensor_copy, "tensor",
             "A contiguous copy of TENSOR.\nExample: (tensor-copy t)");
  tp_define ("tensor-reshape", 2, 0, tensor_reshape, "tensor shape",
             "TENSOR's elements in another SHAPE of the same count, where one length may be\n"
             "-1; a view when TENSOR is contiguous.\nExample: (tensor-reshape t '(4 -1))");
  tp_define ("tensor-slice", 3, 2, tensor_slice, "tensor axis begin end step",
             "A view of the elements BEGIN to END - 1 (#f: all the rest) by STEP (1) of AXIS.\n"
             "Example: (tensor->list (tensor-slice t 0 1 2)) => (3.0 4.0)");
  tp_define ("tensor-transpose", 2, 0, tensor_transpose, "tensor axes",
             "A view with the axes in the order of the list AXES.\n"
             "Example: (tensor-transpose t '(1 0))");
  tp_define ("tensor-broadcast", 2, 0, tensor_broadcast, "tensor shape",
             "A view of TENSOR stretched to SHAPE: axes of length 1, and new leading ones,\n"
             "repeat.\nExample: (tensor-broadcast (list->tensor '(1 2)) '(3 2))");
  tp_define ("real-view", 1, 0, real_view, "tensor",
             "A c64 tensor (...) as f32 (... 2), over the same memory: what a network sees of\n"
             "a complex image.\nExample: (tensor-shape (real-view (tensor-zeros '(8 8) 'c64))) => (8 8 2)");
  tp_define ("complex-view", 1, 0, complex_view, "tensor",
             "An f32 tensor (... 2) as c64 (...), over the same memory.\n"
             "Example: (complex-view (tensor-zeros '(8 8 2)))");
  tp_define ("tensor-concatenate", 2, 0, tensor_concatenate, "parts axis",
             "The tensors of the list PARTS joined along AXIS.\n"
             "Example: (tensor-shape (tensor-concatenate (list t t) -1)) => (2 4)");
  tp_define ("tensor-assign!", 2, 0, tensor_assign, "target source",
             "Copy SOURCE (a tensor that broadcasts to TARGET's shape, or a number) into\n"
             "TARGET, which may be a view; returns TARGET.\nExample: (tensor-assign! t 0)");
  tp_define ("tensor-axpby!", 4, 0, tensor_axpby, "a x b y",
             "y <- a x + b y in place, for numbers A and B and tensors of one shape; returns Y.\n"
             "Example: (let ((w (tensor-copy t))) (tensor-axpby! -0.1 t 1 w) (tensor->list w)) => (0.9 1.8 2.7 3.6)");
  tp_define ("tensor+", 2, 0, tensor_add, "a b",
             "a + b by element, shapes broadcasting; a number counts as a tensor.  On the tape.\n"
             "Example: (tensor+ t 1)");
  tp_define ("tensor-", 2, 0, tensor_subtract, "a b",
             "a - b by element; see tensor+.\nExample: (tensor- 1 t)");
  tp_define ("tensor*", 2, 0, tensor_multiply, "a b",
             "a times b by element; see tensor+.\nExample: (tensor* 0.5 t)");
  tp_define ("tensor/", 2, 0, tensor_divide, "a b",
             "a / b by element; see tensor+.\nExample: (tensor/ t 2)");
  tp_define ("tensor-maximum", 2, 0, tensor_maximum, "a b",
             "The larger by element, f32.\nExample: (tensor-maximum t 0)");
  tp_define ("tensor-minimum", 2, 0, tensor_minimum, "a b",
             "The smaller by element, f32.\nExample: (tensor-minimum t 1)");
  tp_define ("tensor-power", 2, 0, tensor_power, "a b",
             "a to the power b by element, f32.\nExample: (tensor-power t 1.5)");
  tp_define ("tensor<", 2, 0, tensor_less, "a b",
             "1 where a < b, else 0, f32.\nExample: (tensor< t 0)");
  tp_define ("tensor-atan2", 2, 0, tensor_atan2, "a b",
             "The angle of (b, a) by element, f32.\n"
             "Example: (tensor-atan2 (tensor-real image) (tensor-imag image))");
  tp_define ("tensor-negate", 1, 0, tensor_negate, "tensor", "-x by element.\nExample: (tensor-negate t)");
  tp_define ("tensor-abs", 1, 0, tensor_abs, "tensor",
             "The magnitude by element; f32 of a c64 tensor.\nExample: (tensor-abs image)");
  tp_define ("tensor-square", 1, 0, tensor_square, "tensor", "x^2 by element.\nExample: (tensor-square t)");
  tp_define ("tensor-sqrt", 1, 0, tensor_sqrt, "tensor", "The square root by element.\nExample: (tensor-sqrt t)");
  tp_define ("tensor-exp", 1, 0, tensor_exp, "tensor", "The exponential by element.\nExample: (tensor-exp t)");
  tp_define ("tensor-log", 1, 0, tensor_log, "tensor", "The natural logarithm by element.\nExample: (tensor-log t)");
  tp_define ("tensor-sin", 1, 0, tensor_sin, "tensor", "The sine by element.\nExample: (tensor-sin t)");
  tp_define ("tensor-cos", 1, 0, tensor_cos, "tensor", "The cosine by element.\nExample: (tensor-cos t)");
  tp_define ("tensor-tanh", 1, 0, tensor_tanh, "tensor", "The hyperbolic tangent by element.\nExample: (tensor-tanh t)");
  tp_define ("tensor-sign", 1, 0, tensor_sign, "tensor", "-1, 0 or 1 by element, f32.\nExample: (tensor-sign t)");
  tp_define ("tensor-round", 1, 0, tensor_round, "tensor", "The nearest integer by element, f32.\nExample: (tensor-round t)");
  tp_define ("tensor-real", 1, 0, tensor_real, "tensor", "The real part by element, f32.\nExample: (tensor-real image)");
  tp_define ("tensor-imag", 1, 0, tensor_imag, "tensor", "The imaginary part by element, f32.\nExample: (tensor-imag image)");
  tp_define ("tensor-angle", 1, 0, tensor_angle, "tensor", "The phase by element, in (-pi, pi], f32.\nExample: (tensor-angle image)");
  tp_define ("tensor-conjugate", 1, 0, tensor_conjugate, "tensor", "The complex conjugate by element.\nExample: (tensor-conjugate image)");
  tp_define ("tensor-sum", 1, 2, tensor_sum, "tensor axes keep?",
             "The sum over AXES (a list, or one; #f or absent: all), which go, or stay with\n"
             "length 1 when KEEP?.  Sums run in double, in an order the shape fixes.  On the\n"
             "tape.\nExample: (tensor-sum t '(0 1))");
  tp_define ("tensor-mean", 1, 2, tensor_mean, "tensor axes keep?",
             "The mean over AXES; see tensor-sum.\nExample: (tensor-mean t)");
  tp_define ("tensor-max", 1, 2, tensor_max, "tensor axes keep?",
             "The largest over AXES, f32; NaN when there is one.\nExample: (tensor-max t)");
  tp_define ("tensor-min", 1, 2, tensor_min, "tensor axes keep?",
             "The smallest over AXES, f32; NaN when there is one.\nExample: (tensor-min t)");
  tp_define ("tensor-sum-squares", 1, 2, tensor_sum_squares, "tensor axes keep?",
             "The sum of |x|^2 over AXES, f32; see tensor-sum.\nExample: (tensor-sum-squares t)");
  tp_define ("tensor-quantile", 3, 0, tensor_quantile, "tensor q axis",
             "The Q-quantile, 0 to 1, along AXIS, which goes; f32, linear between neighbours.\n"
             "Example: (tensor->list (tensor-quantile (list->tensor '(1 2 3)) 0.5 0)) => (2.0)");
  tp_define ("matrix-product", 2, 2, matrix_product, "a b transpose-a? transpose-b?",
             "The product of two matrices, both f32 or both c64, each transposed first where asked, of which\n"
             "complex ones become conjugate too.  On the tape.\n"
             "Example: (tensor->list (matrix-product t t)) => (7.0 10.0 15.0 22.0)");
  tp_define ("hermitian-eigen", 1, 0, hermitian_eigen, "a",
             "Two values: the eigenvalues of the Hermitian matrix A, c64 (n n), greatest first, f32 (n), and its\n"
             "eigenvectors, of length 1, the rows of a c64 (n n).  By LAPACK, in double precision.\n"
             "Example: (call-with-values (lambda () (hermitian-eigen (tensor* 2 (complex-view (tensor-zeros '(2 2 2))))))\n"
             "           (lambda (values vectors) (tensor->list values))) => (0.0 0.0)");
  tp_define ("scope-open!", 0, 0, scope_open, "",
             "Open a scope; returns its depth.  Use with-scope.\nExample: (scope-open!)");
  tp_define ("scope-close!", 2, 0, scope_close, "depth release?",
             "Close the scopes at DEPTH and deeper, releasing their tensors' memory when\n"
             "RELEASE?.  Use with-scope.\nExample: (scope-close! 1 #t)");
  tp_define ("release!", 1, 0, release, "tensor",
             "Let go of TENSOR, which is not used again under this name: its memory goes back at\n"
             "once, unless a tape or a view still needs it.\n"
             "Example: (let ((t (tensor-zeros '(3)))) (release! t) (tensor-alive? t)) => #f");
  tp_define ("keep!", 1, 0, keep, "tensor",
             "Move TENSOR out of the innermost scope, so that it outlives it; returns TENSOR.\n"
             "Example: (with-scope (lambda () (keep! (tensor-zeros '(3)))))");
  tp_define ("keep-always!", 1, 0, keep_always, "tensor",
             "Move TENSOR out of all scopes, so that it lives as long as something refers to it: what is\n"
             "made once, whoever asks first; returns TENSOR.\n"
             "Example: (with-scope (lambda () (keep-always! (tensor-zeros '(3)))))");
  tp_define ("memory-usage", 0, 0, memory_usage, "",
             "Bytes of tensors live now, their peak since memory-trim!, and those pooled for\n"
             "reuse; and the times that memory was fetched from the system, which stand still while\n"
             "the same work repeats.  An association list.\nExample: (assq-ref (memory-usage) 'live)");
  tp_define ("memory-trim!", 0, 0, memory_trim, "",
             "Return pooled memory to the system and start a new peak.\nExample: (memory-trim!)");
  tp_define ("threads", 0, 0, threads, "",
             "How many threads primitives use: what the environment variable TEMPERA_THREADS says, or\n"
             "OMP_NUM_THREADS, or as many as there are processors at hand.\n"
             "Example: (threads)");
  tp_define ("set-threads!", 1, 0, set_threads, "count",
             "Use COUNT threads from now on.  Results do not change by a bit.\n"
             "Example: (set-threads! 1)");
  tp_define ("instruction-set", 0, 0, instruction_set, "",
             "The instruction set of the kernels in use: generic, v3, v4 or v4-bf16 (x86-64 levels).\n"
             "The environment variable TEMPERA_ISA asks for a lower one.  Networks round differently\n"
             "on each.\nExample: (instruction-set)");
  tp_define_recorded ("tensor-copy tensor-reshape tensor-slice tensor-transpose tensor-broadcast "
                      "real-view complex-view tensor-concatenate tensor+ tensor- tensor* tensor/ "
                      "tensor-maximum tensor-minimum tensor-power tensor-atan2 tensor-negate "
                      "tensor-abs tensor-square tensor-sqrt tensor-exp tensor-log tensor-sin "
                      "tensor-cos tensor-tanh tensor-real tensor-imag tensor-angle "
                      "tensor-conjugate tensor-sum tensor-mean tensor-max tensor-min "
                      "tensor-sum-squares tensor-quantile matrix-product");
  tp_define_reading ("tensor-element tensor->list tensor->number tensor-finite? tensor-identical? "
                     "tensor? tensor-alive? tensor-shape tensor-dtype tensor< tensor-sign tensor-round "
                     "release! keep! keep-always!");
}
