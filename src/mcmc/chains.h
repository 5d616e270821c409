/* chains.h -- a batch of Markov chains: axis 0 of a tensor counts the chains.
 *
 * A state is c64 (C H W) or f32 (C ...).  Complex numbers count as two real
 * dimensions throughout: inner products are Re <a, b>. */
#ifndef TP_CHAINS_H
#define TP_CHAINS_H

#include "tensor/tensor.h"

/* Fail unless X (called NAME) is contiguous, of rank 2 or more. */
tp_status tp_check_chains (const tp_tensor *x, const char *name);
/* ... and unless Y (called NAME) has X's element type and shape. */
tp_status tp_check_like (const tp_tensor *y, const char *name, const tp_tensor *x);

/* The real dimensions of one chain, and the first of chain C. */
int64_t tp_chain_length (const tp_tensor *x);
float *tp_chain (const tp_tensor *x, int64_t c);

/* OUT[c] = <a_c, b_c>, accumulated in double in a fixed order. */
void tp_chains_dot (const tp_tensor *a, const tp_tensor *b, double *out);

/* The chains c with ACCEPTED[c], copied from PROPOSAL, which may overlap it, to STATE. */
tp_status tp_chains_select (tp_tensor *state, const tp_tensor *proposal, const bool *accepted);

#endif
