/* tape.h -- reverse-mode differentiation: a tape of what was computed.
 *
 * While a tape is open on this thread, an operation whose inputs need
 * gradients records itself: its inputs, its output, and a function that turns
 * the output's gradient into the inputs'.  tp_tape_backward plays the tape
 * from the end.  The tape knows no operation by name. */
#ifndef TP_TAPE_H
#define TP_TAPE_H

#include "tensor/tensor.h"

typedef struct tp_tape tp_tape;

/* What an operation's backward function works with. */
#define TP_MAX_INPUTS 8
#define TP_OUTPUT_UNNEEDED (1u << TP_MAX_INPUTS)
typedef struct {
  tp_tensor *output;                 /* output->grad is set when called */
  tp_tensor *inputs[TP_MAX_INPUTS];  /* may hold NULL where optional */
  int input_count;
  tp_tensor *saved[4];               /* whatever the backward needs besides */
  double numbers[8];                 /* its parameters */
  unsigned unneeded;                 /* bit i: the backward does not read the values of
                                        inputs[i]; TP_OUTPUT_UNNEEDED: nor the output's */
} tp_record;

/* Add to each input that wants it (tp_wants_grad) its part of the gradient. */
typedef tp_status (*tp_backward) (const tp_record *record);

tp_tape *tp_tape_create (void);
void tp_tape_free (tp_tape *tape);

/* Make TAPE (or NULL: none) this thread's tape; returns the one before. */
tp_tape *tp_tape_enter (tp_tape *tape);

/* True when a tape is open and one of INPUTS requires a gradient. */
bool tp_tape_wants (tp_tensor *const *inputs, int count);

/* Record; references are taken to every tensor in RECORD.  Sets
 * output->requires_grad.  No-op (TP_OK) unless tp_tape_wants its inputs. */
tp_status tp_tape_record (const tp_record *record, tp_backward backward);

/* From LOSS (one element, made under TAPE) to every tensor that requires a
 * gradient: gradients accumulate in ->grad.  With SEED (LOSS's shape) instead
 * of 1, the vector-Jacobian product.  Records are consumed. */
tp_status tp_tape_backward (tp_tape *tape, tp_tensor *loss, const tp_tensor *seed);

int tp_tape_length (const tp_tape *tape);

bool tp_wants_grad (const tp_tensor *t); /* NULL: false */

/* t->grad += g, taking over the caller's reference to G (of T's shape,
 * contiguous).  NULL G passes an earlier failure on. */
tp_status tp_accumulate_grad (tp_tensor *t, tp_tensor *g);

#endif
