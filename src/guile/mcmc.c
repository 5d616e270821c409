/* mcmc.c -- trajectories, path integral, mass, acceptance, diagnostics and the
 * distributions of their tests for Scheme.
 *
 * Long, since it has a binding for each primitive of its folder.
 *
 * A score is a Scheme procedure x -> score.  It runs under a catch: an error
 * or Ctrl-C in it becomes TP_INTERRUPTED, the C frames return and free what
 * is theirs, and then the same exception is raised again.  A non-local exit past
 * us (let/ec, an aborted prompt) runs the dynwinds: what the procedure made is left to the
 * collector, since it may be what is carried out; what C made is released.
 *
 * The procedure may release what it gets and what it has returned: it gets views, and C has its
 * own of what it goes on to read. */
#include "guile/binding.h"

#include "autograd/tape.h"
#include "mcmc/chains.h"
#include "mcmc/conjugate_gradient.h"
#include "mcmc/diagnostics.h"
#include "mcmc/distributions.h"
#include "mcmc/funnel.h"
#include "mcmc/integrator.h"
#include "mcmc/mass.h"
#include "mcmc/metropolis.h"
#include "mcmc/mixture.h"
#include "mcmc/path_integral.h"
#include "mcmc/sobol.h"

/* --- A score in Scheme -------------------------------------------------- */

typedef struct {
  const char *caller;
  SCM procedure;
  const tp_tensor *x;
  tp_tensor *score;
  SCM key, arguments; /* of what was thrown; key #f: nothing */
} scheme_score;

static void
leave_scope (void *depth)
{
  scm_gc_register_allocation (tp_scope_close (*(int *) depth, false));
}

static SCM
call_procedure (void *data)
{
  scheme_score *s = data;
  int depth = tp_scope_depth ();
  scm_dynwind_begin (0);
  scm_dynwind_unwind_handler (leave_scope, &depth, 0);
  SCM x = tp_from_tensor (s->caller, tp_view (s->x));
  SCM score = scm_call_1 (s->procedure, x);
  s->score = tp_tensor_ref (tp_to_tensor (s->caller, "score", score));
  scm_remember_upto_here_2 (x, score);
  scm_dynwind_end ();
  return SCM_BOOL_T;
}

static SCM
note_throw (void *data, SCM key, SCM arguments)
{
  scheme_score *s = data;
  s->key = key;
  s->arguments = arguments;
  return SCM_BOOL_F;
}

/* Where it came from would be lost with the frames below us. */
static SCM
keep_stack (void *data, SCM key, SCM arguments)
{
  (void) data;
  return scm_call_2 (scm_c_public_ref ("tempera base exceptions", "keep-stack-of-throw!"),
                     key, arguments);
}

static tp_status
evaluate (void *context, const tp_tensor *x, tp_tensor **score)
{
  scheme_score *s = context;
  s->x = x;
  s->score = NULL;
  scm_c_catch (SCM_BOOL_T, call_procedure, s, note_throw, s, keep_stack, NULL);
  if (scm_is_true (s->key))
    return tp_fail (TP_INTERRUPTED, "score: stopped by an exception");
  *score = s->score;
  return TP_OK;
}

static scheme_score
make_score (const char *caller, SCM procedure)
{
  if (scm_is_false (scm_procedure_p (procedure)))
    tp_raise_argument (caller, "score: expected a procedure of x");
  return (scheme_score) { .caller = caller, .procedure = procedure, .key = SCM_BOOL_F,
                          .arguments = SCM_EOL };
}

/* --- Around a computation that calls it --------------------------------- */

static void
close_scope (void *depth)
{
  tp_scope_close (*(int *) depth, true);
}

/* Open a scope for CALLER into *DEPTH that an escape closes. */
static void
enter (const char *caller, int *depth)
{
  *depth = tp_scope_open ();
  if (!*depth)
    tp_raise (caller);
  scm_dynwind_begin (0);
  scm_dynwind_unwind_handler (close_scope, depth, 0);
}

static void
let_go (void *held)
{
  tp_tensor_free (held);
}

/* T (NULL allowed) until the scope is left, whatever is released meanwhile. */
static tp_tensor *
hold (const char *caller, const tp_tensor *t)
{
  tp_tensor *held = t ? tp_view (t) : NULL;
  if (t && !held)
    tp_raise (caller);
  if (held)
    scm_dynwind_unwind_handler (let_go, held, SCM_F_WIND_EXPLICITLY);
  return held;
}

static void
throw_again (const scheme_score *s)
{
  /* What was raised as an object, not thrown by key, is under this key. */
  if (scm_is_eq (s->key, scm_from_utf8_symbol ("%exception")))
    scm_call_1 (scm_c_public_ref ("guile", "raise-exception"), scm_car (s->arguments));
  scm_throw (s->key, s->arguments);
}

/* Let the COUNT tensors of RESULTS (NULLs allowed) outlive the scope, close it,
 * and raise what STATUS or S says went wrong (RESULTS are freed then). */
static void
leave (int *depth, const scheme_score *s, tp_status status, tp_tensor **results, int count)
{
  for (int i = 0; i < count; i++)
    if (status)
      tp_tensor_free (results[i]);
    else
      tp_scope_keep (results[i]->buffer);
  scm_dynwind_end ();
  tp_scope_close (*depth, !status);
  if (status && scm_is_true (s->key))
    throw_again (s);
  tp_require (s->caller, status);
}

/* --- Vectors of doubles, one number a chain ----------------------------- */

static SCM
vector_of_doubles (const double *values, int64_t count)
{
  SCM vector = scm_c_make_vector ((size_t) count, SCM_BOOL_F);
  for (int64_t i = 0; i < count; i++)
    scm_c_vector_set_x (vector, (size_t) i, scm_from_double (values[i]));
  return vector;
}

static void *
pointerless (int64_t count, size_t size)
{
  return scm_gc_malloc_pointerless ((size_t) count * size, "tempera chains");
}

static const tp_tensor *
chains (const char *caller, const char *name, SCM x)
{
  tp_tensor *t = tp_to_tensor (caller, name, x);
  tp_require (caller, tp_check_chains (t, name));
  return t;
}

/* --- Primitives --------------------------------------------------------- */

static SCM
trajectory (SCM integrator, SCM score, SCM x, SCM m, SCM gradient, SCM step, SCM steps, SCM mass)
{
  static const char name[] = "trajectory";
  scheme_score s = make_score (name, score);
  tp_score callback = { evaluate, &s };
  const tp_tensor *x0 = chains (name, "x", x), *m0 = tp_to_tensor (name, "m", m);
  tp_tensor *gradient0 = tp_to_tensor (name, "gradient", gradient);
  /* The mass may be a procedure too, and throw as the score may. */
  bool procedure = scm_is_true (scm_procedure_p (mass));
  scheme_score inverse = s;
  inverse.procedure = mass;
  tp_score inverse_callback = { evaluate, &inverse };
  tp_mass metric = { .table = procedure ? NULL : tp_to_tensor_or_null (name, "mass", mass),
                     .inverse = procedure ? &inverse_callback : NULL };
  double size = tp_to_double (name, "step", step);
  int count = (int) tp_to_int (name, "steps", steps, 1, INT32_MAX);
  if (!scm_is_symbol (integrator))
    tp_raise_argument (name, "integrator: expected a symbol such as leapfrog");
  scm_dynwind_begin (0);
  char *text = scm_to_utf8_string (scm_symbol_to_string (integrator));
  scm_dynwind_free (text);
  const tp_integrator *scheme = tp_integrator_named (text);
  scm_dynwind_end ();
  if (!scheme)
    tp_require (name, tp_last_status ());
  int64_t batch = x0->shape[0];
  double *work = pointerless (batch, sizeof (double));
  int depth;
  enter (name, &depth);
  metric.table = hold (name, metric.table);
  tp_tensor *results[3] = { tp_copy (x0), tp_copy (m0), tp_view (gradient0) };
  tp_status status = results[0] && results[1] && results[2]
                       ? tp_integrate (scheme, &callback, &metric, size, count,
                                       results[0], results[1], &results[2], work)
                       : tp_last_status ();
  leave (&depth, scm_is_true (inverse.key) ? &inverse : &s, status, results, 3);
  SCM values[4];
  values[3] = vector_of_doubles (work, batch);
  for (int i = 0; i < 3; i++)
    values[i] = tp_from_tensor (name, results[i]);
  scm_remember_upto_here (x, m, gradient, mass, score);
  return scm_c_values (values, 4);
}

static SCM
conjugate_gradient (SCM a, SCM b, SCM steps, SCM tolerance)
{
  static const char name[] = "conjugate-gradient";
  scheme_score s = make_score (name, a);
  tp_score callback = { evaluate, &s };
  const tp_tensor *right = chains (name, "b", b);
  int count = (int) tp_to_int (name, "steps", steps, 1, INT32_MAX);
  double least = tp_to_double (name, "tolerance", tolerance);
  int depth;
  enter (name, &depth);
  tp_tensor *x = tp_conjugate_gradient (&callback, hold (name, right), count, least);
  leave (&depth, &s, x ? TP_OK : tp_last_status (), &x, 1);
  scm_remember_upto_here (a, b);
  return tp_from_tensor (name, x);
}

static SCM
path_integral (SCM score, SCM x0, SCM gradient0, SCM x1, SCM gradient1, SCM intervals)
{
  static const char name[] = "path-integral";
  scheme_score s = make_score (name, score);
  tp_score callback = { evaluate, &s };
  const tp_tensor *a = chains (name, "x0", x0), *b = chains (name, "x1", x1);
  const tp_tensor *ga = tp_to_tensor (name, "gradient0", gradient0);
  const tp_tensor *gb = tp_to_tensor (name, "gradient1", gradient1);
  int count = (int) tp_to_int (name, "intervals", intervals, 2, INT32_MAX);
  int64_t batch = a->shape[0];
  double *difference = pointerless (batch, sizeof (double));
  int depth;
  enter (name, &depth);
  tp_status status = tp_path_integral (&callback, hold (name, a), hold (name, ga), hold (name, b),
                                       hold (name, gb), count, difference);
  leave (&depth, &s, status, NULL, 0);
  SCM result = vector_of_doubles (difference, batch);
  scm_remember_upto_here (x0, gradient0, x1, gradient1, score);
  return result;
}

static SCM
momentum_draw (SCM x, SCM mass, SCM seed, SCM stream)
{
  static const char name[] = "momentum-draw";
  const tp_tensor *state = chains (name, "x", x);
  const tp_tensor *table = tp_to_tensor_or_null (name, "mass", mass);
  SCM m = tp_from_tensor (name, tp_momentum (state, table,
                                             (uint64_t) tp_to_int (name, "seed", seed, 0, INT64_MAX),
                                             (uint64_t) tp_to_int (name, "stream", stream, 0, INT64_MAX)));
  scm_remember_upto_here_2 (x, mass);
  return m;
}

static SCM
kinetic_energy (SCM m, SCM mass)
{
  static const char name[] = "kinetic-energy";
  const tp_tensor *momentum = chains (name, "m", m);
  const tp_tensor *table = tp_to_tensor_or_null (name, "mass", mass);
  double *energy = pointerless (momentum->shape[0], sizeof (double));
  tp_require (name, tp_kinetic_energy (momentum, table, energy));
  SCM result = vector_of_doubles (energy, momentum->shape[0]);
  scm_remember_upto_here_2 (m, mass);
  return result;
}

static SCM
metropolis (SCM log_ratio, SCM seed, SCM stream)
{
  static const char name[] = "metropolis";
  if (!scm_is_vector (log_ratio))
    tp_raise_argument (name, "log-ratio: expected a vector of real numbers");
  int64_t count = (int64_t) scm_c_vector_length (log_ratio);
  double *ratio = pointerless (count + 1, sizeof (double));
  for (int64_t c = 0; c < count; c++)
    {
      SCM number = scm_c_vector_ref (log_ratio, (size_t) c);
      if (!scm_is_real (number))
        tp_raise_argument (name, "log-ratio: expected a vector of real numbers");
      ratio[c] = scm_to_double (number);
    }
  bool *accepted = pointerless (count + 1, sizeof (bool));
  tp_require (name, tp_metropolis (ratio, count,
                                   (uint64_t) tp_to_int (name, "seed", seed, 0, INT64_MAX),
                                   (uint64_t) tp_to_int (name, "stream", stream, 0, INT64_MAX),
                                   accepted));
  SCM result = scm_c_make_vector ((size_t) count, SCM_BOOL_F);
  for (int64_t c = 0; c < count; c++)
    scm_c_vector_set_x (result, (size_t) c, scm_from_bool (accepted[c]));
  return result;
}

static SCM
chains_select (SCM accepted, SCM x, SCM x1, SCM gradient, SCM gradient1)
{
  static const char name[] = "chains-select!";
  tp_tensor *state = (tp_tensor *) chains (name, "x", x);
  tp_tensor *score = tp_to_tensor (name, "gradient", gradient);
  const tp_tensor *state1 = tp_to_tensor (name, "x1", x1);
  const tp_tensor *score1 = tp_to_tensor (name, "gradient1", gradient1);
  tp_require (name, tp_check_like (score, "gradient", state));
  tp_require (name, tp_check_like (state1, "x1", state));
  tp_require (name, tp_check_like (score1, "gradient1", state));
  int64_t count = state->shape[0];
  if (!scm_is_vector (accepted) || (int64_t) scm_c_vector_length (accepted) != count)
    tp_raise_argument (name, "accepted: expected a vector of %lld booleans", (long long) count);
  bool *take = pointerless (count, sizeof (bool));
  for (int64_t c = 0; c < count; c++)
    take[c] = scm_is_true (scm_c_vector_ref (accepted, (size_t) c));
  if (tp_overlap (state, score) || tp_overlap (state, score1) || tp_overlap (score, state1))
    tp_raise_argument (name, "x, gradient: expected memory of their own, got views of one tensor");
  tp_require (name, tp_chains_select (state, state1, take));
  tp_require (name, tp_chains_select (score, score1, take));
  scm_remember_upto_here (x, x1, gradient, gradient1);
  return SCM_UNSPECIFIED;
}

static SCM
chains_dot (SCM a, SCM b)
{
  static const char name[] = "chains-dot";
  const tp_tensor *left = chains (name, "a", a), *right = tp_to_tensor (name, "b", b);
  tp_require (name, tp_check_like (right, "b", left));
  double *dot = pointerless (left->shape[0], sizeof (double));
  tp_chains_dot (left, right, dot);
  SCM result = vector_of_doubles (dot, left->shape[0]);
  scm_remember_upto_here_2 (a, b);
  return result;
}

/* SIGMA, a number or f32 (chains), as one double for each of COUNT chains. */
static double *
sigmas (const char *caller, SCM sigma, int64_t count)
{
  double *values = pointerless (count, sizeof (double));
  if (tp_is_tensor (sigma))
    {
      const tp_tensor *t = tp_to_tensor (caller, "sigma", sigma);
      tp_require (caller, tp_check_shape (t, "sigma", TP_F32, 1, &count));
      tp_require (caller, tp_tape_constant (t, "sigma"));
      for (int64_t c = 0; c < count; c++)
        values[c] = (double) tp_f32 (t)[c];
    }
  else
    {
      double value = tp_to_double (caller, "sigma", sigma);
      for (int64_t c = 0; c < count; c++)
        values[c] = value;
    }
  return values;
}

static SCM
mixture_score (SCM x, SCM means, SCM log_weights, SCM sd, SCM sigma)
{
  static const char name[] = "mixture-score";
  tp_tensor *state = (tp_tensor *) chains (name, "x", x), *centres = tp_to_tensor (name, "means", means);
  tp_tensor *weights = tp_to_tensor (name, "log-weights", log_weights);
  SCM score = tp_from_tensor (name, tp_mixture_score (state, centres, weights,
                                                      tp_to_double (name, "sd", sd),
                                                      sigmas (name, sigma, state->shape[0])));
  scm_remember_upto_here (x, means, log_weights);
  return score;
}

static SCM
mixture_log_density (SCM x, SCM means, SCM log_weights, SCM sd, SCM sigma)
{
  static const char name[] = "mixture-log-density";
  const tp_tensor *state = chains (name, "x", x), *centres = tp_to_tensor (name, "means", means);
  const tp_tensor *weights = tp_to_tensor (name, "log-weights", log_weights);
  double *density = pointerless (state->shape[0], sizeof (double));
  tp_require (name, tp_mixture_log_density (state, centres, weights, tp_to_double (name, "sd", sd),
                                            sigmas (name, sigma, state->shape[0]), density));
  SCM result = vector_of_doubles (density, state->shape[0]);
  scm_remember_upto_here (x, means, log_weights);
  return result;
}

static SCM
funnel_score (SCM x, SCM sd, SCM sigma)
{
  static const char name[] = "funnel-score";
  const tp_tensor *state = chains (name, "x", x);
  SCM score = tp_from_tensor (name, tp_funnel_score (state, tp_to_double (name, "sd", sd),
                                                     sigmas (name, sigma, state->shape[0])));
  scm_remember_upto_here_1 (x);
  return score;
}

static SCM
funnel_log_density (SCM x, SCM sd, SCM sigma)
{
  static const char name[] = "funnel-log-density";
  const tp_tensor *state = chains (name, "x", x);
  double *density = pointerless (state->shape[0], sizeof (double));
  tp_require (name, tp_funnel_log_density (state, tp_to_double (name, "sd", sd),
                                           sigmas (name, sigma, state->shape[0]), density));
  SCM result = vector_of_doubles (density, state->shape[0]);
  scm_remember_upto_here_1 (x);
  return result;
}

/* --- Diagnostics -------------------------------------------------------- */

static SCM
diagnose (const char *name, tp_diagnostic which, SCM draws)
{
  SCM result = tp_from_tensor (name, tp_diagnose (which, tp_to_tensor (name, "draws", draws)));
  scm_remember_upto_here_1 (draws);
  return result;
}

static SCM
r_hat (SCM draws)
{
  return diagnose ("r-hat", TP_R_HAT, draws);
}

static SCM
ess_bulk (SCM draws)
{
  return diagnose ("ess-bulk", TP_ESS_BULK, draws);
}

static SCM
ess_tail (SCM draws)
{
  return diagnose ("ess-tail", TP_ESS_TAIL, draws);
}

static SCM
autocorrelation_time (SCM draws)
{
  return diagnose ("autocorrelation-time", TP_AUTOCORRELATION_TIME, draws);
}

static SCM
r_hat_between (SCM groups)
{
  static const char name[] = "r-hat-between";
  long count = scm_is_true (scm_list_p (groups)) ? scm_ilength (groups) : -1;
  if (count < 0)
    tp_raise_argument (name, "groups: expected a list of tensors");
  const tp_tensor **list = scm_gc_malloc ((size_t) (count + 1) * sizeof *list, "groups");
  SCM rest = groups;
  for (long g = 0; g < count; g++, rest = scm_cdr (rest))
    list[g] = tp_to_tensor (name, "group", scm_car (rest));
  SCM result = tp_from_tensor (name, tp_r_hat_between (list, (int) count));
  scm_remember_upto_here_1 (groups);
  return result;
}

static SCM
chi_square_tail (SCM chi_square, SCM freedom)
{
  static const char name[] = "chi-square-tail";
  double x = tp_to_double (name, "chi-square", chi_square), n = tp_to_double (name, "freedom", freedom);
  if (!(x >= 0.0 && n > 0.0))
    tp_raise_argument (name, "chi-square, freedom: expected a number of 0 or more and a positive one, "
                       "got %g and %g", x, n);
  return scm_from_double (tp_chi_square_tail (x, n));
}

static SCM
binomial_cdf (SCM count, SCM p, SCM trials)
{
  static const char name[] = "binomial-cdf";
  double probability = tp_to_double (name, "p", p);
  if (!(probability >= 0.0 && probability <= 1.0))
    tp_raise_argument (name, "p: expected 0 to 1, got %g", probability);
  int64_t n = tp_to_int (name, "trials", trials, 1, INT32_MAX);
  return scm_from_double (tp_binomial_cdf (tp_to_int (name, "count", count, -1, n), probability, n));
}

static SCM
sobol_sequence (SCM count, SCM dimensions)
{
  const char *me = "sobol-sequence";
  int64_t n = tp_to_int (me, "count", count, 0, 1 << 24);
  return tp_from_tensor (me, tp_sobol (n, tp_to_int (me, "dimensions", dimensions, 1,
                                                     TP_SOBOL_DIMENSIONS)));
}

void
tp_init_mcmc (void)
{
  tp_define ("trajectory", 8, 0, trajectory, "integrator score x m gradient step steps mass",
             "STEPS steps of size STEP of an INTEGRATOR, leapfrog (equation 6), two-stage or\n"
             "three-stage (Blanes, Casas, Sanz-Serna 2014; as many scores a step), for a batch of\n"
             "chains.  X and M are positions and momenta, c64 (C H W) or f32 (C ...); GRADIENT is\n"
             "(SCORE x).  MASS is #f (identity), a table M(k), f32 (H W) or (W), for c64 states, or\n"
             "the procedure m -> M^-1 m.  Four values: x, m and the score at the new x, and for each\n"
             "chain the score's integral along the trajectory, log p(x) - log p(X), by Simpson's\n"
             "rule on the scores that the steps take anyway.  The arguments stay as they are.\n"
             "Example: (trajectory 'leapfrog (lambda (x) (tensor* -1 x)) x (random-normal '(8 2) 2)\n"
             "                     (tensor* -1 x) 0.1 10 #f)");
  tp_define ("conjugate-gradient", 4, 0, conjugate_gradient, "a b steps tolerance",
             "The x with A x = B for each chain of B, (C ...): A is a procedure x -> A x, symmetric and\n"
             "positive definite.  At most STEPS steps, until every |A x - B| <= TOLERANCE |B|\n"
             "(Hestenes, Stiefel 1952).\n"
             "Example: (conjugate-gradient (lambda (x) (tensor* 2 x)) scan 10 1e-6)");
  tp_define ("path-integral", 6, 0, path_integral, "score x0 gradient0 x1 gradient1 intervals",
             "log p(X1) - log p(X0) for each chain, a vector, from the score alone (equation 7): Simpson's\n"
             "rule with INTERVALS (even) intervals on the straight line.  GRADIENT0 and GRADIENT1 are the\n"
             "scores at the ends, so INTERVALS - 1 evaluations of SCORE are made.\n"
             "Example: (let ((score (lambda (x) (tensor* -1 x))) (zero (tensor-zeros '(2 2))))\n"
             "           (path-integral score zero zero t (tensor* -1 t) 4)) => #(-2.5 -12.5)");
  tp_define ("momentum-draw", 4, 0, momentum_draw, "x mass seed stream",
             "Momenta m ~ N(0, M) of X's shape, from the random numbers (SEED, STREAM).\n"
             "Example: (momentum-draw x #f 42 0)");
  tp_define ("kinetic-energy", 2, 0, kinetic_energy, "m mass",
             "m^H M^-1 m / 2 for each chain, a vector.\n"
             "Example: (kinetic-energy t #f) => #(2.5 12.5)");
  tp_define ("metropolis", 3, 0, metropolis, "log-ratio seed stream",
             "Accept chain c with probability min(1, exp(LOG-RATIO_c)): a vector of booleans.  A ratio\n"
             "that is NaN or infinite is never accepted.\n"
             "Example: (metropolis #(+inf.0 0.0) 1 0) => #(#f #t)");
  tp_define ("chains-select!", 5, 0, chains_select, "accepted x x1 gradient gradient1",
             "Copy the chains that ACCEPTED (a vector) marks from X1 to X and from GRADIENT1 to GRADIENT,\n"
             "all at once: what is interrupted has whole steps only.\n"
             "Example: (let ((x (tensor-zeros '(2 2))) (g (tensor-zeros '(2 2))))\n"
             "           (chains-select! #(#t #f) x t g t)\n"
             "           (tensor->list x)) => (1.0 2.0 0.0 0.0)");
  tp_define ("chains-dot", 2, 0, chains_dot, "a b",
             "The inner product Re <a, b> for each chain, a vector; axis 0 counts the chains.\n"
             "Example: (chains-dot t t) => #(5.0 25.0)");
  tp_define ("mixture-score", 5, 0, mixture_score, "x means log-weights sd sigma",
             "The score at X (C ...) of the mixture sum_k w_k N(mu_k, (SD^2 + SIGMA^2) I).  MEANS is (K ...),\n"
             "LOG-WEIGHTS f32 (K), SIGMA a number or f32 (C).  On the tape, in X.\n"
             "Example: (tensor->list (mixture-score t (tensor-zeros '(1 2)) (tensor-zeros '(1)) 1 1)) => (-0.5 -1.0 -1.5 -2.0)");
  tp_define ("mixture-log-density", 5, 0, mixture_log_density, "x means log-weights sd sigma",
             "The log density of that mixture at each chain of X, a vector.\n"
             "Example: (mixture-log-density x (tensor-zeros '(1 2)) (tensor-zeros '(1)) 1 0.1)");
  tp_define ("funnel-score", 3, 0, funnel_score, "x sd sigma",
             "The score at X, f32 (C 1 + n), v first, of Neal's funnel v ~ N(0, SD^2), x_i ~ N(0, e^v), with\n"
             "noise SIGMA, a number or f32 (C).\n"
             "Example: (funnel-score x 3 0.1)");
  tp_define ("funnel-log-density", 3, 0, funnel_log_density, "x sd sigma",
             "The log density of that funnel at each chain of X, a vector.\n"
             "Example: (funnel-log-density x 3 0.1)");
  tp_define ("r-hat", 1, 0, r_hat, "draws",
             "Rank-normalised split R-hat of DRAWS, f32 or c64 (S C ...), S draws of each of C chains: f32\n"
             "(...), near 1 when the chains agree in place (bulk) and in spread (folded), the worse of both\n"
             "and of real and imaginary part.  Above 1.01, more draws or better mixing is wanted.  NaN for a\n"
             "quantity whose draws are all equal, infinite when each chain stands still in another place.\n"
             "Errors: fewer than 4 draws, NaN or infinite ones, none that differ.\n"
             "Source: Vehtari et al., Bayesian Analysis 16 (2021), equations 1 to 4 and 14.\n"
             "Example: (tensor->number (tensor-max (r-hat draws)))");
  tp_define ("ess-bulk", 1, 0, ess_bulk, "draws",
             "Bulk effective sample size of DRAWS, f32 or c64 (S C ...): f32 (...), to how many independent\n"
             "draws their ranks amount, the smaller of real and imaginary part; for errors and NaN see\n"
             "`r-hat'.  By Geyer's initial monotone sequence over all chains.\n"
             "Source: Vehtari et al., Bayesian Analysis 16 (2021), equations 10 to 14.\n"
             "Example: (tensor->number (tensor-min (ess-bulk draws)))");
  tp_define ("ess-tail", 1, 0, ess_tail, "draws",
             "The same of the tails: the smaller effective sample size of the 5 % and the 95 % quantile.\n"
             "Example: (tensor->number (tensor-min (ess-tail draws)))");
  tp_define ("autocorrelation-time", 1, 0, autocorrelation_time, "draws",
             "The integrated autocorrelation time tau of DRAWS, f32 or c64 (S C ...), f32 (...): how many\n"
             "draws are worth one independent draw for the mean, S C over the effective sample size of the\n"
             "values as they are; the greater of real and imaginary part.\n"
             "Example: (autocorrelation-time draws)");
  tp_define ("r-hat-between", 1, 0, r_hat_between, "groups",
             "R-hat between GROUPS, a list of tensors (n ...), f32 or c64, each of n independent chains of\n"
             "one draw: do annealings from different starts agree?  Rank-normalised and folded, not split.\n"
             "Two groups that agree in all have R-hat^2 = 1 + (F - 1) / n with F Fisher's of (1, 2 n - 2)\n"
             "degrees of freedom, so small groups differ by chance: for n = 16, 11 % of quantities are above\n"
             "1.05 by the bulk alone, for n = 48 2 %.\n"
             "Example: (r-hat-between (list (tensor-slice draws 0 0 20) (tensor-slice draws 0 20 40)))");
  tp_define ("sobol-sequence", 2, 0, sobol_sequence, "count dimensions",
             "The first COUNT points of the Sobol sequence, f32 (COUNT DIMENSIONS), which fill the\n"
             "unit cube evenly, whatever COUNT; at most 40 dimensions.\n"
             "Example: (tensor->list (sobol-sequence 2 1)) => (0.5 0.75)");
  tp_define ("chi-square-tail", 2, 0, chi_square_tail, "chi-square freedom",
             "The probability that a chi-square of FREEDOM degrees of freedom is above CHI-SQUARE: the p\n"
             "of Pearson's test.\n"
             "Example: (chi-square-tail 16.92 9) => 0.05");
  tp_define ("binomial-cdf", 3, 0, binomial_cdf, "count p trials",
             "The probability of COUNT successes or fewer in TRIALS, each of probability P.\n"
             "Example: (binomial-cdf 1 1/2 2) => 0.75");
  tp_define_recorded ("mixture-score");
}
