/* conjugate_gradient.c -- solve A x = b for a batch of chains, A given as a procedure. */
#include "mcmc/conjugate_gradient.h"

#include <math.h>

#include "mcmc/chains.h"

/* y_c = alpha_c x_c + beta_c y_c */
static void
update (tp_tensor *y, const double *beta, const tp_tensor *x, const double *alpha)
{
  int64_t length = tp_chain_length (x);
  for (int64_t c = 0; c < x->shape[0]; c++)
    {
      float *to = tp_chain (y, c), a = (float) alpha[c], b = beta ? (float) beta[c] : 1;
      const float *from = tp_chain (x, c);
      for (int64_t i = 0; i < length; i++)
        to[i] = a * from[i] + b * to[i];
    }
}

tp_tensor *
tp_conjugate_gradient (const tp_score *a, const tp_tensor *b, int steps, double tolerance)
{
  if (tp_check_chains (b, "b"))
    return NULL;
  if (steps < 1 || !(tolerance >= 0))
    {
      tp_fail (TP_BAD_ARGUMENT, "steps, tolerance: expected 1 or more and 0 or more, got %d and %g",
               steps, tolerance);
      return NULL;
    }
  int64_t chains = b->shape[0];
  tp_tensor *x = tp_tensor_zeros (b->dtype, b->rank, b->shape);
  tp_tensor *r = tp_copy (b), *p = tp_copy (b);
  double *numbers = tp_scratch_alloc ((size_t) (6 * chains) * sizeof *numbers);
  bool ok = x && r && p && numbers;
  if (ok)
    {
      double *rr = numbers, *goal = rr + chains, *pap = goal + chains, *alpha = pap + chains;
      double *minus = alpha + chains, *beta = minus + chains;
      tp_chains_dot (r, r, rr);
      for (int64_t c = 0; c < chains; c++)
        goal[c] = tolerance * tolerance * rr[c];
      for (int step = 0; step < steps && ok; step++)
        {
          bool all = true;
          for (int64_t c = 0; c < chains; c++)
            all = all && !(rr[c] > goal[c]);
          if (all)
            break;
          tp_tensor *ap = tp_score_at (a, p);
          ok = ap != NULL;
          if (!ok)
            break;
          tp_chains_dot (p, ap, pap);
          for (int64_t c = 0; c < chains && ok; c++)
            {
              /* A chain that is done stands still while others go on; so does one that is not
               * finite, which spoils no other. */
              bool done = !(rr[c] > goal[c]);
              if (!done && pap[c] <= 0)
                ok = tp_fail (TP_BAD_VALUE, "a: expected a positive definite map, got p^H A p = %g",
                              pap[c]) == TP_OK;
              alpha[c] = done ? 0 : rr[c] / pap[c];
              minus[c] = -alpha[c];
              beta[c] = rr[c];
            }
          if (ok)
            {
              update (x, NULL, p, alpha);
              update (r, NULL, ap, minus);
              tp_chains_dot (r, r, rr);
              for (int64_t c = 0; c < chains; c++)
                {
                  beta[c] = alpha[c] != 0 ? rr[c] / beta[c] : 0;
                  alpha[c] = 1;
                }
              update (p, beta, r, alpha);
            }
          tp_tensor_free (ap);
        }
      for (int64_t c = 0; c < chains && ok; c++)
        for (int64_t i = 0; !isfinite (rr[c]) && i < tp_chain_length (x); i++)
          tp_chain (x, c)[i] = NAN;
    }
  tp_scratch_free (numbers);
  tp_tensor_free (r);
  tp_tensor_free (p);
  if (ok)
    return x;
  tp_tensor_free (x);
  return NULL;
}
