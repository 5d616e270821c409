/* distributions.c -- GSL's distribution functions, without its error handler. */
#include "mcmc/distributions.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>

double
tp_normal_quantile (double p)
{
  return gsl_cdf_ugaussian_Pinv (p); /* no input makes it report an error */
}

double
tp_chi_square_tail (double chi_square, double freedom)
{
  /* An underflow, harmless, would abort the program. */
  gsl_error_handler_t *before = gsl_set_error_handler_off ();
  double tail = gsl_cdf_chisq_Q (chi_square, freedom);
  gsl_set_error_handler (before);
  return tail >= 0.0 ? tail : 0.0;
}

double
tp_binomial_cdf (int64_t count, double p, int64_t trials)
{
  if (count < 0)
    return 0.0;
  gsl_error_handler_t *before = gsl_set_error_handler_off ();
  double sum = gsl_cdf_binomial_P ((unsigned int) count, p, (unsigned int) trials);
  gsl_set_error_handler (before);
  return sum;
}
