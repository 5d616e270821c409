/* score.h -- the score of a target, grad log p: a procedure that the caller
 * provides, in C or in Scheme. */
#ifndef TP_SCORE_H
#define TP_SCORE_H

#include "tensor/tensor.h"

/* Put the score at X, of X's type and shape, into *SCORE with one reference.
 * X is valid for the call only.  TP_INTERRUPTED stops whatever asked. */
typedef tp_status (*tp_score_fn) (void *context, const tp_tensor *x, tp_tensor **score);

typedef struct {
  tp_score_fn evaluate;
  void *context;
} tp_score;

/* The score at X: checked, contiguous, no part of X's memory.  Evaluated in a
 * scope of its own, so that a network's activations go at once. */
tp_tensor *tp_score_at (const tp_score *score, const tp_tensor *x);

#endif
