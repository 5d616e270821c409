/* chains.c -- inner products and copies, chain by chain. */
#include "mcmc/chains.h"

#include <string.h>

#include "core/threads.h"

tp_status
tp_check_chains (const tp_tensor *x, const char *name)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (x, name, x->dtype, -1))
    return tp_last_status ();
  if (x->rank < 2 || !tp_tensor_count (x))
    return tp_fail (TP_BAD_SHAPE, "%s: expected a batch of chains (chains ...), got shape %s", name,
                    tp_shape_text (text, x->rank, x->shape));
  return TP_OK;
}

tp_status
tp_check_like (const tp_tensor *y, const char *name, const tp_tensor *x)
{
  return tp_check_shape (y, name, x->dtype, x->rank, x->shape);
}

int64_t
tp_chain_length (const tp_tensor *x)
{
  return tp_tensor_count (x) / x->shape[0] * (x->dtype == TP_C64 ? 2 : 1);
}

float *
tp_chain (const tp_tensor *x, int64_t c)
{
  float *first = x->dtype == TP_C64 ? (float *) tp_c64 (x) : tp_f32 (x);
  return first + c * tp_chain_length (x);
}

typedef struct {
  const tp_tensor *a, *b;
  double *out;
} dot_job;

static void
dot_chains (void *context, int64_t begin, int64_t end)
{
  dot_job *j = context;
  for (int64_t c = begin; c < end; c++)
    j->out[c] = tp_dot_f32 (tp_chain (j->a, c), tp_chain (j->b, c), tp_chain_length (j->a));
}

void
tp_chains_dot (const tp_tensor *a, const tp_tensor *b, double *out)
{
  dot_job j = { a, b, out };
  tp_parallel_for (a->shape[0], 65536 / tp_chain_length (a) + 1, dot_chains, &j);
}

tp_status
tp_chains_select (tp_tensor *state, const tp_tensor *proposal, const bool *accepted)
{
  tp_tensor *apart = tp_overlap (state, proposal) ? tp_copy (proposal) : tp_tensor_ref (proposal);
  if (!apart)
    return tp_last_status ();
  for (int64_t c = 0; c < state->shape[0]; c++)
    if (accepted[c])
      memcpy (tp_chain (state, c), tp_chain (apart, c),
              (size_t) tp_chain_length (state) * sizeof (float));
  tp_tensor_free (apart);
  tp_tensor_changed (state);
  return TP_OK;
}
