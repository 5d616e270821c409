/* operations.h -- tensor operations that the tape can differentiate.
 *
 * Each computes what its namesake in tensor.h does, for the same types, and
 * records itself.  Derivatives are made of these operations again, so that
 * they can be differentiated any number of times. */
#ifndef TP_OPERATIONS_H
#define TP_OPERATIONS_H

#include "autograd/tape.h"

/* LESS only computes: it is constant almost everywhere.  Where MAXIMUM's or MINIMUM's
 * operands are equal, each gets half. */
tp_tensor *tp_diff_map2 (tp_binary operation, tp_tensor *a, tp_tensor *b);
/* SIGN and ROUND only compute.  The gradient of |z| at 0 is 0. */
tp_tensor *tp_diff_map (tp_unary operation, tp_tensor *a);
tp_tensor *tp_diff_affine (tp_tensor *x, double a, double b);
/* Those that are the MAX, or MIN, share its gradient. */
tp_tensor *tp_diff_reduce (tp_reduction operation, tp_tensor *t, unsigned axes, bool keep);
tp_tensor *tp_diff_quantile (tp_tensor *t, double q, int axis);
tp_tensor *tp_diff_copy (tp_tensor *t);
tp_tensor *tp_diff_reshape (tp_tensor *t, int rank, const int64_t *shape);
tp_tensor *tp_diff_slice (tp_tensor *t, int axis, int64_t begin, int64_t end, int64_t step);
tp_tensor *tp_diff_transpose (tp_tensor *t, const int *permutation);
tp_tensor *tp_diff_broadcast_to (tp_tensor *t, int rank, const int64_t *shape);
tp_tensor *tp_diff_view_real (tp_tensor *t);
tp_tensor *tp_diff_view_complex (tp_tensor *t);
tp_tensor *tp_diff_matmul (tp_tensor *a, bool transpose_a, tp_tensor *b, bool transpose_b);
/* Any number of parts. */
tp_tensor *tp_diff_concatenate (tp_tensor *const *parts, int count, int axis);

/* --- For backward functions ---------------------------------------------- */

/* Record OUTPUT (NULL: an earlier failure) and pass it on, or free it and give NULL. */
tp_tensor *tp_recorded (tp_tensor *output, tp_record *record, tp_backward backward);

/* G, whose reference it takes, as a gradient of T: summed over the axes that broadcasting
 * stretched, its real part where T is real. */
tp_tensor *tp_fit_gradient (tp_tensor *g, const tp_tensor *t);

#endif
