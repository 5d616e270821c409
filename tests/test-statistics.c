/* test-statistics.c -- diagnostics of draws, the distributions of their tests, the funnel:
 * values known in closed form, odd sizes, extremes and failures. */
#include "check.h"

#include "mcmc/chains.h"
#include "mcmc/diagnostics.h"
#include "mcmc/distributions.h"
#include "mcmc/funnel.h"

#define SHAPE(...) (const int64_t[]) { __VA_ARGS__ }

static tp_tensor *
noise (tp_dtype dtype, int rank, const int64_t *shape, uint64_t stream)
{
  tp_tensor *t = tp_tensor_create (dtype, rank, shape);
  tp_fill_normal (t, 17, stream);
  return t;
}

/* The first number of a result, which is freed. */
static double
taken (tp_tensor *t)
{
  double value = t ? (double) tp_f32 (t)[0] : NAN;
  tp_tensor_free (t);
  return value;
}

static tp_status
failure (const tp_tensor *t)
{
  return t ? TP_OK : tp_last_status ();
}

/* --- Distributions ------------------------------------------------------ */

static void
test_distributions (void)
{
  CHECK_CLOSE (tp_normal_quantile (0.975), 1.959963984540054, 1e-12);
  CHECK_CLOSE (tp_normal_quantile (0.3), -tp_normal_quantile (0.7), 1e-12);
  CHECK_CLOSE (tp_chi_square_tail (3.0, 2.0), exp (-1.5), 1e-12);
  CHECK (tp_chi_square_tail (0.0, 3.0) == 1.0);
  CHECK (tp_chi_square_tail (1e9, 3.0) == 0.0);
  CHECK_CLOSE (tp_binomial_cdf (0, 0.25, 3), 0.421875, 1e-12);
  CHECK (tp_binomial_cdf (-1, 0.25, 3) == 0.0);
  CHECK (tp_binomial_cdf (3, 0.25, 3) == 1.0);
}

/* --- Diagnostics -------------------------------------------------------- */

static void
test_alternating (void)
{
  /* +1 -1 +1 -1 in every chain. */
  tp_tensor *draws = tp_tensor_create (TP_F32, 3, SHAPE (8, 2, 1));
  for (int i = 0; i < 16; i++)
    tp_f32 (draws)[i] = i / 2 % 2 ? -1.0f : 1.0f;
  /* Halves of 4: W = 4 / 3, var+ = 3 / 4 W = 1, rho_1 = 1 - (4 / 3 + 1) = -4 / 3, so that the
   * first pair is negative and the bound holds: tau = 1 / log10 (16). */
  CHECK_CLOSE (taken (tp_diagnose (TP_AUTOCORRELATION_TIME, draws)), 1.0 / log10 (16.0), 1e-6);
  /* Equal means: R-hat^2 = (n - 1) / n; folded, all distances are equal. */
  CHECK_CLOSE (taken (tp_diagnose (TP_R_HAT, draws)), sqrt (0.75), 1e-6);
  /* The greatest are at the 95 % quantile as well: one indicator alone differs. */
  CHECK_CLOSE (taken (tp_diagnose (TP_ESS_TAIL, draws)), 16.0 * log10 (16.0), 1e-4);
  tp_tensor_free (draws);
}

static void
test_moved (void)
{
  /* Two chains apart by more than their spread: R-hat by ranks, whatever the distance. */
  tp_tensor *near = noise (TP_F32, 3, SHAPE (9, 2, 3), 1);
  for (int i = 0; i < 9; i++)
    for (int q = 0; q < 3; q++)
      tp_f32 (near)[(2 * i + 1) * 3 + q] += 10.0f;
  tp_tensor *far = tp_affine (near, 1.0, 0.0);
  for (int i = 0; i < 9; i++)
    for (int q = 0; q < 3; q++)
      tp_f32 (far)[(2 * i + 1) * 3 + q] += 1e6f;
  double r = taken (tp_diagnose (TP_R_HAT, near));
  CHECK (r > 1.5);
  CHECK_CLOSE (taken (tp_diagnose (TP_R_HAT, far)), r, 0.05);
  tp_tensor_free (near);
  tp_tensor_free (far);
}

static void
test_shapes (void)
{
  tp_tensor *complex_draws = noise (TP_C64, 4, SHAPE (7, 3, 2, 5), 2);
  for (int which = TP_R_HAT; which <= TP_AUTOCORRELATION_TIME; which++)
    {
      tp_tensor *t = tp_diagnose ((tp_diagnostic) which, complex_draws);
      CHECK (t && t->dtype == TP_F32 && t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 5);
      CHECK (t && tp_all_finite (t));
      tp_tensor_free (t);
    }
  tp_tensor *a = noise (TP_C64, 2, SHAPE (5, 4), 3), *b = noise (TP_C64, 2, SHAPE (5, 4), 4);
  tp_tensor *between = tp_r_hat_between ((const tp_tensor *[]) { a, b }, 2);
  CHECK (between && between->rank == 1 && between->shape[0] == 4);
  /* The order of groups does not matter. */
  tp_tensor *turned = tp_r_hat_between ((const tp_tensor *[]) { b, a }, 2);
  for (int i = 0; i < 4; i++)
    CHECK_CLOSE (tp_f32 (between)[i], tp_f32 (turned)[i], 1e-6);
  tp_tensor_free (between);
  tp_tensor_free (turned);
  CHECK_FAILS (TP_BAD_ARGUMENT, failure (tp_r_hat_between ((const tp_tensor *[]) { a }, 1)));
  tp_tensor *other = noise (TP_C64, 2, SHAPE (6, 4), 5);
  CHECK_FAILS (TP_BAD_SHAPE, failure (tp_r_hat_between ((const tp_tensor *[]) { a, other }, 2)));
  tp_tensor_free (other);
  tp_tensor_free (a);
  tp_tensor_free (b);
  tp_tensor_free (complex_draws);
}

static void
test_failures (void)
{
  tp_tensor *few = noise (TP_F32, 3, SHAPE (3, 2, 2), 1), *flat = noise (TP_F32, 1, SHAPE (9), 1);
  tp_tensor *constant = tp_tensor_zeros (TP_F32, 3, SHAPE (8, 2, 2));
  tp_tensor *none = tp_tensor_zeros (TP_F32, 3, SHAPE (8, 2, 0));
  tp_tensor *odd = noise (TP_F32, 3, SHAPE (8, 2, 2), 1);
  CHECK_FAILS (TP_BAD_ARGUMENT, failure (tp_diagnose (TP_R_HAT, few)));
  CHECK_FAILS (TP_BAD_SHAPE, failure (tp_diagnose (TP_R_HAT, flat)));
  CHECK_FAILS (TP_BAD_SHAPE, failure (tp_diagnose (TP_R_HAT, none)));
  for (int which = TP_R_HAT; which <= TP_AUTOCORRELATION_TIME; which++)
    CHECK_FAILS (TP_BAD_VALUE, failure (tp_diagnose ((tp_diagnostic) which, constant)));
  tp_f32 (odd)[5] = INFINITY;
  CHECK_FAILS (TP_BAD_VALUE, failure (tp_diagnose (TP_ESS_BULK, odd)));
  tp_tensor_free (few);
  tp_tensor_free (flat);
  tp_tensor_free (constant);
  tp_tensor_free (none);
  tp_tensor_free (odd);
}

/* --- The funnel --------------------------------------------------------- */

static void
test_funnel (void)
{
  /* Far out and at all scales of noise: numbers, and the score the slope of the density. */
  const float v[] = { -30, -9, 0, 4, 12 }, length[] = { 0, 1e-3f, 1, 100 };
  const double sigma[] = { 1e-3, 0.1, 1, 50, 1000 };
  tp_tensor *x = tp_tensor_zeros (TP_F32, 2, SHAPE (3, 5));
  int wrong = 0;
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 4; k++)
      for (int s = 0; s < 5; s++)
        {
          float h = 0x1p-7f;
          double noise3[3] = { sigma[s], sigma[s], sigma[s] }, density[3];
          for (int c = 0; c < 3; c++)
            {
              tp_chain (x, c)[0] = v[i] + (float) (c - 1) * h;
              tp_chain (x, c)[1] = length[k];
            }
          CHECK (tp_funnel_log_density (x, 3.0, noise3, density) == TP_OK);
          tp_tensor *score = tp_funnel_score (x, 3.0, noise3);
          CHECK (score && tp_all_finite (score));
          double slope = (density[2] - density[0]) / (2.0 * (double) h);
          double value = (double) tp_chain (score, 1)[0];
          /* The third derivative is of the order of the slope, or of its inverse widths. */
          bool close = fabs (slope - value) <= 1e-3 * fmax (1.0, fabs (value));
          wrong += !close && sigma[s] >= 0.1;
          CHECK (isfinite (density[1]));
          tp_tensor_free (score);
        }
  CHECK (wrong == 0);
  double one[3] = { 1, 1, 1 }, infinite[3] = { 1, INFINITY, 1 }, out[3];
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_funnel_log_density (x, 5.0, one, out));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_funnel_log_density (x, 3.0, infinite, out));
  tp_tensor *narrow = tp_tensor_zeros (TP_F32, 2, SHAPE (3, 1));
  CHECK_FAILS (TP_BAD_SHAPE, failure (tp_funnel_score (narrow, 3.0, one)));
  tp_tensor_free (narrow);
  tp_tensor_free (x);
}

CHECK_MAIN (test_distributions, test_alternating, test_moved, test_shapes, test_failures,
            test_funnel)
