/* tape.h -- reverse-mode differentiation: a tape of what was computed.
 *
 * While a tape is open on this thread, an operation whose inputs need
 * gradients records itself: its inputs, its output, and a function that turns
 * the output's gradient into the inputs'.  tp_tape_backward plays the tape
 * from the end.  The tape knows no operation by name.
 *
 * The gradient of a real L with respect to z = a + i b is dL/da + i dL/db: what
 * the real view of z would get.  So through w = f (z), holomorphic, it is
 * conj (f' (z)) times w's, and through a linear map the adjoint of w's.
 *
 * Tapes nest: what is recorded on one is also recorded on those around it, and
 * so is the backward pass of the inner one.  So its gradients have gradients. */
#ifndef TP_TAPE_H
#define TP_TAPE_H

#include "tensor/tensor.h"

typedef struct tp_tape tp_tape;

/* What an operation's backward function works with. */
#define TP_MAX_INPUTS 8
#define TP_MAX_SAVED 4
#define TP_OUTPUT_UNNEEDED (1u << TP_MAX_INPUTS)
typedef struct {
  tp_tensor *output;                 /* output->grad is set when called */
  tp_tensor *inputs[TP_MAX_INPUTS];  /* may hold NULL where optional */
  int input_count;
  tp_tensor *saved[TP_MAX_SAVED];    /* whatever the backward needs besides; none may want
                                        a gradient */
  double numbers[8];                 /* its parameters */
  unsigned unneeded;                 /* bit i: the backward does not read the values of
                                        inputs[i]; TP_OUTPUT_UNNEEDED: nor the output's */
  bool twice;                        /* the backward is made of operations that record
                                        themselves */
} tp_record;

/* Add to each input that wants it (tp_wants_grad) its part of the gradient. */
typedef tp_status (*tp_backward) (const tp_record *record);

tp_tape *tp_tape_create (void);
void tp_tape_free (tp_tape *tape);

/* Make TAPE (or NULL: none) this thread's tape, inside the one before, which is
 * returned for tp_tape_leave.  With NULL nothing is recorded on those outside either. */
tp_tape *tp_tape_enter (tp_tape *tape);
void tp_tape_leave (tp_tape *before);

/* Whether TAPE is this thread's, or around it. */
bool tp_tape_open (const tp_tape *tape);

/* This thread's tape, or NULL. */
tp_tape *tp_tape_current (void);

/* True when a tape is open and one of INPUTS requires a gradient. */
bool tp_tape_wants (tp_tensor *const *inputs, int count);

/* Fail when a tape is open and T (NULL: fine), called NAME, requires a gradient: for what
 * the operation is not differentiated by. */
tp_status tp_tape_constant (const tp_tensor *t, const char *name);

/* Under this name (which must stay where it is) the operations that follow are spoken of
 * when their gradients fail. */
void tp_tape_name (const char *operation);

/* Record; references are taken to every tensor in RECORD.  Sets
 * output->requires_grad.  No-op (TP_OK) unless tp_tape_wants its inputs. */
tp_status tp_tape_record (const tp_record *record, tp_backward backward);

/* From LOSS (one element, made under TAPE) to every tensor that requires a
 * gradient: gradients accumulate in ->grad.  With SEED (LOSS's shape) instead
 * of 1, the vector-Jacobian product.  Records are consumed, also when it fails:
 * as it does when values that it needs were changed in place meanwhile, and
 * when another tape is open. */
tp_status tp_tape_backward (tp_tape *tape, tp_tensor *loss, const tp_tensor *seed);

/* The gradients of LOSS with respect to the COUNT PARAMETERS into GRADIENTS (NULL where
 * LOSS does not depend on one), leaving every ->grad as it was.  Inside another open tape
 * they are recorded there, or it fails where an operation is not differentiable twice. */
tp_status tp_tape_gradients (tp_tape *tape, tp_tensor *loss, tp_tensor *const *parameters,
                             int count, tp_tensor **gradients);

int tp_tape_length (const tp_tape *tape);

bool tp_wants_grad (const tp_tensor *t); /* NULL: false */

/* t->grad += g, taking over the caller's reference to G (of T's shape,
 * contiguous).  NULL G passes an earlier failure on. */
tp_status tp_accumulate_grad (tp_tensor *t, tp_tensor *g);

#endif
