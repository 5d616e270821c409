/* tensor.h -- n-dimensional arrays: a shape and strides over a shared buffer.
 *
 * Glossary.  Element type: TP_F32 (float) or TP_C64 (float _Complex).
 * Row-major: the last axis varies fastest.  Images are NHWC: (batch, rows,
 * columns, channels).  Strides and offset count elements, not bytes.  A view
 * shares its buffer with the tensor it was made from.  The fields may be read
 * anywhere and are written in src/tensor alone (gradient ones: in
 * src/autograd).
 *
 * A function that makes a tensor returns it with one reference, or NULL after
 * tp_fail. */
#ifndef TP_TENSOR_H
#define TP_TENSOR_H

#include <complex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"
#include "core/status.h"

#define TP_MAX_RANK 8

typedef enum { TP_F32, TP_C64 } tp_dtype;
typedef float _Complex tp_complex;

typedef struct tp_tensor {
  atomic_int references;
  tp_buffer *buffer;
  int64_t offset;
  tp_dtype dtype;
  int rank;
  int64_t shape[TP_MAX_RANK];
  int64_t strides[TP_MAX_RANK];
  bool requires_grad;        /* gradients flow to it (src/autograd) */
  struct tp_tensor *grad;    /* accumulated gradient, or NULL */
  uint64_t tape;             /* serial of the tape it was made on, 0: none (src/autograd) */
  unsigned made;             /* 1 + version of its values when it was made there */
  void *derived;             /* see tp_set_derived */
  void (*derived_free) (void *);
  int needed;                /* by how many records of a tape its values are (src/autograd) */
  tp_status (*restore) (struct tp_tensor *); /* see tp_tensor_let_go */
} tp_tensor;

/* --- Making and freeing ------------------------------------------------- */

/* Uninitialised, and zero-filled. */
tp_tensor *tp_tensor_create (tp_dtype dtype, int rank, const int64_t *shape);
tp_tensor *tp_tensor_zeros (tp_dtype dtype, int rank, const int64_t *shape);
/* Uninitialised, of T's shape and element type. */
tp_tensor *tp_tensor_like (const tp_tensor *t);

tp_tensor *tp_tensor_ref (const tp_tensor *t);
void tp_tensor_free (tp_tensor *t); /* one reference less; NULL is fine */

/* All of T under another header, which no release of T takes the memory from. */
tp_tensor *tp_view (const tp_tensor *t);

/* A tensor of T's shape and element type without memory: what is left of one that is
 * released. */
tp_tensor *tp_tensor_husk (const tp_tensor *t);

/* T's values are not wanted any more but by a tape: free them now, if no record needs them
 * or T has a function to compute them anew (`restore', which gives it a buffer; of what, it
 * keeps with tp_set_derived), and no other tensor shares them. */
void tp_tensor_let_go (tp_tensor *t);

/* T's values computed anew, where they were let go and there is a way. */
tp_status tp_tensor_restore (tp_tensor *t);

/* Keep with T something made from its values, in place of what was kept before; it is
 * freed with T by RELEASE.  Whoever uses it finds out whether the values are still those. */
void tp_set_derived (tp_tensor *t, void *derived, void (*release) (void *));

/* T's values were written over in place; every function here that does so calls it.  A tape
 * finds out by it that values it needs are not those any more. */
void tp_tensor_changed (tp_tensor *t);

/* --- Looking ------------------------------------------------------------ */

int64_t tp_tensor_count (const tp_tensor *t);   /* elements */
bool tp_tensor_contiguous (const tp_tensor *t); /* row-major without gaps */
bool tp_same_shape (const tp_tensor *a, const tp_tensor *b);
/* Whether A and B may share memory: they lie in one stretch of a buffer. */
bool tp_overlap (const tp_tensor *a, const tp_tensor *b);
size_t tp_dtype_size (tp_dtype dtype);
const char *tp_dtype_name (tp_dtype dtype);     /* "f32", "c64" */

/* The first element.  NULL once the tensor's scope has closed. */
float *tp_f32 (const tp_tensor *t);
tp_complex *tp_c64 (const tp_tensor *t);

/* "(2 320 320)" into TEXT; returns TEXT. */
#define TP_SHAPE_TEXT 192
char *tp_shape_text (char text[TP_SHAPE_TEXT], int rank, const int64_t *shape);

/* Fail unless T (called NAME in the message) is alive and contiguous, of DTYPE
 * and of RANK; RANK -1 takes any. */
tp_status tp_check (const tp_tensor *t, const char *name, tp_dtype dtype, int rank);

/* The same and of exactly this SHAPE; -1 in SHAPE takes any length there. */
tp_status tp_check_shape (const tp_tensor *t, const char *name, tp_dtype dtype,
                          int rank, const int64_t *shape);

/* --- Views and copies --------------------------------------------------- */

/* T itself (one reference more) when contiguous, else a contiguous copy. */
tp_tensor *tp_contiguous (const tp_tensor *t);
tp_tensor *tp_copy (const tp_tensor *t);
/* A view with another shape of the same count; one length may be -1. */
tp_tensor *tp_reshape (const tp_tensor *t, int rank, const int64_t *shape);
/* Elements BEGIN, BEGIN + STEP, ... below END of one axis, as a view. */
tp_tensor *tp_slice (const tp_tensor *t, int axis, int64_t begin, int64_t end, int64_t step);
/* Axes in the order of PERMUTATION, as a view. */
tp_tensor *tp_transpose (const tp_tensor *t, const int *permutation);
/* A view stretched to SHAPE by zero strides, by the rules of broadcasting. */
tp_tensor *tp_broadcast_to (const tp_tensor *t, int rank, const int64_t *shape);
/* (..., c64) as (..., 2) of f32, and back, over the same memory. */
tp_tensor *tp_view_real (const tp_tensor *t);
tp_tensor *tp_view_complex (const tp_tensor *t);
/* The parts joined along AXIS, copied. */
tp_tensor *tp_concatenate (const tp_tensor *const *parts, int count, int axis);

/* Copy SOURCE (broadcast) into every element of TARGET, which may be a view, but
 * not a stretched one; f32 into c64 is allowed, not the reverse.  SOURCE may
 * overlap TARGET in any way: its values are those before. */
tp_status tp_assign (tp_tensor *target, const tp_tensor *source);
tp_status tp_fill (tp_tensor *target, double value);

/* --- Elementwise -------------------------------------------------------- */

typedef enum { TP_ADD, TP_SUB, TP_MUL, TP_DIV, TP_MAXIMUM, TP_MINIMUM, TP_POWER,
               TP_LESS, TP_ATAN2 } tp_binary;
typedef enum { TP_NEGATE, TP_ABS, TP_SQUARE, TP_SQRT, TP_EXP, TP_LOG, TP_SIN, TP_COS,
               TP_TANH, TP_RECIPROCAL, TP_SIGN, TP_ROUND, TP_REAL, TP_IMAG, TP_ANGLE,
               TP_CONJ } tp_unary;

/* Shapes broadcast; f32 with c64 gives c64.  The last five of tp_binary and
 * SIGN, ROUND are for f32 only.  TP_ABS, REAL, IMAG, ANGLE of c64 give f32. */
tp_tensor *tp_map2 (tp_binary operation, const tp_tensor *a, const tp_tensor *b);
tp_tensor *tp_map (tp_unary operation, const tp_tensor *a);
/* a * x + b */
tp_tensor *tp_affine (const tp_tensor *x, double a, double b);

/* y <- a x + b y, y contiguous, x of its shape, which may overlap y: the one
 * update that training and leapfrog need in place. */
tp_status tp_axpby (double a, const tp_tensor *x, double b, tp_tensor *y);

/* --- Reductions, in a fixed order --------------------------------------- */

typedef enum { TP_SUM, TP_MEAN, TP_MAX, TP_MIN, TP_SUM_SQUARES } tp_reduction;

/* Over the axes in the bit set AXES (bit i: axis i); with KEEP they stay with
 * length 1.  Sums accumulate in double.  SUM_SQUARES of c64 is of |x|^2, f32. */
tp_tensor *tp_reduce (tp_reduction operation, const tp_tensor *t, unsigned axes, bool keep);

/* Sum over blocks: DATA[0..COUNT) in double, in an order that COUNT alone
 * fixes; and sum of products. */
double tp_sum_f32 (const float *data, int64_t count);
double tp_dot_f32 (const float *a, const float *b, int64_t count);

/* True when no element is NaN or infinite. */
bool tp_all_finite (const tp_tensor *t);

/* The Q-quantile (0..1, linear between order statistics) along axis AXIS (which
 * goes), f32. */
tp_tensor *tp_quantile (const tp_tensor *t, double q, int axis);
/* Its derivative: of T's shape, what each element adds to it. */
tp_tensor *tp_quantile_weights (const tp_tensor *t, double q, int axis);

/* --- Matrix product ----------------------------------------------------- */

/* C = op(A) op(B), rank 2, both f32 or both c64, of which a transpose is conjugate too;
 * OpenBLAS on blocks of rows that the shape alone fixes. */
tp_tensor *tp_matmul (const tp_tensor *a, bool transpose_a, const tp_tensor *b, bool transpose_b);

/* --- Random ------------------------------------------------------------- */

/* Fill T (contiguous; c64 counts as pairs) from core/random.h, index 0 on. */
tp_status tp_fill_normal (tp_tensor *t, uint64_t seed, uint64_t stream);
tp_status tp_fill_uniform (tp_tensor *t, uint64_t seed, uint64_t stream);

#endif
