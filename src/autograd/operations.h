/* operations.h -- tensor operations that the tape can differentiate.
 *
 * Each computes as its namesake in tensor.h does, and records itself.  f32. */
#ifndef TP_OPERATIONS_H
#define TP_OPERATIONS_H

#include "autograd/tape.h"

/* ADD, SUB, MUL, DIV with broadcasting; other operations only compute. */
tp_tensor *tp_diff_map2 (tp_binary operation, tp_tensor *a, tp_tensor *b);
/* NEGATE, SQUARE, SQRT, EXP, LOG, TANH, ABS, RECIPROCAL, SIN, COS. */
tp_tensor *tp_diff_map (tp_unary operation, tp_tensor *a);
tp_tensor *tp_diff_affine (tp_tensor *x, double a, double b);
/* SUM, MEAN and SUM_SQUARES. */
tp_tensor *tp_diff_reduce (tp_reduction operation, tp_tensor *t, unsigned axes, bool keep);
tp_tensor *tp_diff_reshape (tp_tensor *t, int rank, const int64_t *shape);
tp_tensor *tp_diff_matmul (tp_tensor *a, bool transpose_a, tp_tensor *b, bool transpose_b);
/* Any number of parts up to TP_MAX_INPUTS. */
tp_tensor *tp_diff_concatenate (tp_tensor *const *parts, int count, int axis);

#endif
