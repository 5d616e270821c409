/* score.c -- one checked evaluation of a score. */
#include "mcmc/score.h"

#include "mcmc/chains.h"

tp_tensor *
tp_score_at (const tp_score *score, const tp_tensor *x)
{
  int depth = tp_scope_open ();
  if (!depth)
    return NULL;
  tp_tensor *value = NULL, *own = NULL;
  if (!score->evaluate (score->context, x, &value) && !tp_check (value, "score", x->dtype, -1)
      && !tp_check_like (value, "score", x))
    {
      /* X changes in place after this: the score may not be X itself.  Nor may it be lost when
       * the procedure, called again, releases what it has returned. */
      own = value->buffer == x->buffer ? tp_copy (value) : tp_view (value);
      if (own)
        tp_scope_keep (own->buffer);
    }
  tp_tensor_free (value);
  tp_scope_close (depth, own != NULL);
  return own;
}
