/* test-mcmc.c -- the integrator's three properties, mass, path integral, acceptance.  Long, since each
 * file of src/mcmc is tested here. */
#include "check.h"

#include <string.h>

#include "core/random.h"
#include "core/threads.h"
#include "mcmc/chains.h"
#include "mcmc/conjugate_gradient.h"
#include "mcmc/integrator.h"
#include "mcmc/mass.h"
#include "mcmc/metropolis.h"
#include "mcmc/mixture.h"
#include "mcmc/path_integral.h"

#define SHAPE(...) (const int64_t[]) { __VA_ARGS__ }

static tp_tensor *
noise (tp_dtype dtype, int rank, const int64_t *shape, uint64_t stream)
{
  tp_tensor *t = tp_tensor_create (dtype, rank, shape);
  tp_fill_normal (t, 11, stream);
  return t;
}

/* --- Targets ------------------------------------------------------------ */

static int evaluations;

/* log p = -sum (x^2/2 + x^4/4): smooth, not Gaussian. */
static tp_status
quartic_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  (void) context;
  evaluations++;
  *score = tp_tensor_like (x);
  for (int64_t c = 0; c < x->shape[0]; c++)
    for (int64_t i = 0; i < tp_chain_length (x); i++)
      {
        float v = tp_chain (x, c)[i];
        tp_chain (*score, c)[i] = -v - v * v * v;
      }
  return TP_OK;
}

static double
quartic_log_density (const tp_tensor *x, int64_t c)
{
  double sum = 0;
  for (int64_t i = 0; i < tp_chain_length (x); i++)
    {
      double v = tp_chain (x, c)[i];
      sum -= v * v / 2 + v * v * v * v / 4;
    }
  return sum;
}

static const tp_score quartic = { quartic_score, NULL };

/* Two arcs of N points each: two moons. */
typedef struct {
  tp_tensor *means, *log_weights;
  double sd, sigma[64];
} moons;

static moons
make_moons (double sd, double sigma)
{
  enum { N = 100 };
  moons m = { .means = tp_tensor_create (TP_F32, 2, SHAPE (2 * N, 2)),
              .log_weights = tp_tensor_zeros (TP_F32, 1, SHAPE (2 * N)), .sd = sd };
  for (int i = 0; i < N; i++)
    {
      double t = M_PI * i / (N - 1);
      float *outer = tp_chain (m.means, i), *inner = tp_chain (m.means, N + i);
      outer[0] = (float) cos (t);
      outer[1] = (float) sin (t);
      inner[0] = (float) (1 - cos (t));
      inner[1] = (float) (0.5 - sin (t));
    }
  for (int c = 0; c < 64; c++)
    m.sigma[c] = sigma;
  return m;
}

static tp_status
moons_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  moons *m = context;
  *score = tp_mixture_score ((tp_tensor *) x, m->means, m->log_weights, m->sd, m->sigma);
  return *score ? TP_OK : tp_last_status ();
}

static tp_status
refusing_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  (void) context, (void) x, (void) score;
  return tp_fail (TP_INTERRUPTED, "score: stopped");
}

static tp_status
identity_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  (void) context;
  *score = tp_tensor_ref (x);
  return TP_OK;
}

static tp_status
misshapen_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  (void) context;
  *score = tp_tensor_zeros (x->dtype, 1, SHAPE (3));
  return TP_OK;
}

static tp_tensor *
score_of (const tp_score *score, const tp_tensor *x)
{
  tp_tensor *g = tp_score_at (score, x);
  CHECK (g != NULL);
  return g;
}

/* --- Leapfrog ----------------------------------------------------------- */

static void
negate (tp_tensor *m)
{
  tp_tensor *copy = tp_copy (m);
  tp_axpby (-1, copy, 0, m);
  tp_tensor_free (copy);
}

static void
test_reversible (void)
{
  tp_tensor *mass = tp_tensor_create (TP_F32, 2, SHAPE (6, 5));
  for (int i = 0; i < 30; i++)
    tp_f32 (mass)[i] = 0.5f + 0.1f * (float) (i % 7);
  for (int with_mass = 0; with_mass < 2; with_mass++)
    {
      const tp_tensor *table = with_mass ? mass : NULL;
      tp_tensor *x0 = noise (TP_C64, 3, SHAPE (3, 6, 5), 1), *x = tp_copy (x0);
      tp_tensor *m0 = tp_momentum (x0, table, 2, 3), *m = tp_copy (m0);
      tp_tensor *g = score_of (&quartic, x);
      CHECK (!tp_integrate (&tp_leapfrog, &quartic, &(tp_mass) { .table = table }, 0.1, 20, x, m, &g, NULL));
      CHECK (fabsf (tp_chain (x, 0)[0] - tp_chain (x0, 0)[0]) > 1e-3f);
      negate (m);
      CHECK (!tp_integrate (&tp_leapfrog, &quartic, &(tp_mass) { .table = table }, 0.1, 20, x, m, &g, NULL));
      negate (m);
      double worst = 0;
      for (int c = 0; c < 3; c++)
        for (int i = 0; i < 60; i++)
          {
            worst = fmax (worst, fabs ((double) tp_chain (x, c)[i] - tp_chain (x0, c)[i]));
            worst = fmax (worst, fabs ((double) tp_chain (m, c)[i] - tp_chain (m0, c)[i]));
          }
      /* 40 steps, each rounded at 2^-24 of values near 3 and magnified by the flow. */
      CHECK_CLOSE (worst, 0, 2e-4);
      tp_tensor_free (x0), tp_tensor_free (x), tp_tensor_free (m0), tp_tensor_free (m);
      tp_tensor_free (g);
    }
  tp_tensor_free (mass);
}

/* RMS over chains of the change of H over a path of time 1.6. */
static double
energy_error (double step)
{
  enum { CHAINS = 64 };
  tp_tensor *x = noise (TP_F32, 2, SHAPE (CHAINS, 4), 5);
  tp_tensor *m = tp_momentum (x, NULL, 6, 7), *g = score_of (&quartic, x);
  double before[CHAINS], after[CHAINS], sum = 0;
  tp_kinetic_energy (m, NULL, before);
  for (int c = 0; c < CHAINS; c++)
    before[c] -= quartic_log_density (x, c);
  CHECK (!tp_integrate (&tp_leapfrog, &quartic, NULL, step, (int) lround (1.6 / step), x, m, &g, NULL));
  tp_kinetic_energy (m, NULL, after);
  for (int c = 0; c < CHAINS; c++)
    {
      after[c] -= quartic_log_density (x, c);
      sum += (after[c] - before[c]) * (after[c] - before[c]);
    }
  tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (g);
  return sqrt (sum / CHAINS);
}

static void
test_energy_order (void)
{
  double slope = log (energy_error (0.08) / energy_error (0.02)) / log (4.0);
  CHECK_CLOSE (slope, 2, 0.1);
}

/* RMS over chains of the difference between the work along a path of time 1.6 and that of
 * log p. */
static double
work_error (const tp_integrator *scheme, double step)
{
  enum { CHAINS = 64 };
  tp_tensor *x = noise (TP_F32, 2, SHAPE (CHAINS, 4), 5);
  tp_tensor *m = tp_momentum (x, NULL, 6, 7), *g = score_of (&quartic, x);
  double before[CHAINS], work[CHAINS], sum = 0;
  for (int c = 0; c < CHAINS; c++)
    before[c] = quartic_log_density (x, c);
  CHECK (!tp_integrate (scheme, &quartic, NULL, step, (int) lround (1.6 / step), x, m, &g, work));
  for (int c = 0; c < CHAINS; c++)
    sum += pow (quartic_log_density (x, c) - before[c] - work[c], 2);
  tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (g);
  return sqrt (sum / CHAINS);
}

/* Simpson's rule on an even number of segments is of fourth order; one segment too many, by the
 * trapezium rule, is of third, and is seen in it. */
static void
test_work (void)
{
  double slope = log (work_error (&tp_leapfrog, 0.2) / work_error (&tp_leapfrog, 0.1)) / log (2.0);
  CHECK_CLOSE (slope, 4, 0.5);
  CHECK (work_error (&tp_leapfrog, 0.1) < 0.2 * energy_error (0.1));
  CHECK (work_error (&tp_two_stage, 0.2) < 0.2 * energy_error (0.1));
  CHECK (work_error (&tp_leapfrog, 1.6 / 15) < energy_error (0.1));
}

static tp_status
harmonic_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  (void) context;
  *score = tp_map (TP_NEGATE, x);
  return *score ? TP_OK : tp_last_status ();
}

/* The greatest mean energy error of up to eleven steps of SCHEME on a normal target of width 1, for
 * steps up to the number of stages.  A trajectory is a matrix M there, which acts on (1, 0) and
 * (0, 1), and the mean is (|M|^2 - 2) / 2. */
static double
mean_energy_error (const tp_integrator *scheme)
{
  const tp_score harmonic = { harmonic_score, NULL };
  double worst = 0;
  for (int part = 1; part <= 4; part++)
    for (int steps = 1; steps <= 11; steps++)
      {
        tp_tensor *x = tp_tensor_zeros (TP_F32, 2, SHAPE (2, 1)), *m = tp_tensor_zeros (TP_F32, 2, SHAPE (2, 1));
        tp_f32 (x)[0] = tp_f32 (m)[1] = 1;
        tp_tensor *g = score_of (&harmonic, x);
        double squares = 0, step = 0.25 * part * scheme->stages - 0.01;
        CHECK (!tp_integrate (scheme, &harmonic, NULL, step, steps, x, m, &g, NULL));
        for (int c = 0; c < 2; c++)
          squares += pow (tp_f32 (x)[c], 2) + pow (tp_f32 (m)[c], 2);
        worst = fmax (worst, (squares - 2) / 2);
        tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (g);
      }
  return worst;
}

/* What the stages are for.  The bounds hold for their coefficients alone: of the matrices of
 * those with 0.19 for 0.21178 and 0.28 for 0.29620 the worst means are 0.017 and 3.6. */
static void
test_stages (void)
{
  CHECK (mean_energy_error (&tp_leapfrog) > 0.03);
  CHECK (mean_energy_error (&tp_two_stage) < 5e-4);
  CHECK (mean_energy_error (&tp_three_stage) < 1e-4);
}

static tp_status
scaled_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  *score = tp_copy (x);
  if (!*score)
    return tp_last_status ();
  const float *scale = context;
  int64_t length = x->shape[1];
  for (int64_t i = 0; i < tp_tensor_count (x); i++)
    tp_f32 (*score)[i] *= scale[i % length];
  return TP_OK;
}

/* A diagonal of four values is solved in four steps, each chain as it would be alone, and
 * what is not positive definite is refused. */
static void
test_conjugate_gradient (void)
{
  float diagonal[] = { 1, 2, 5, 30, 2, 1 }, indefinite[] = { 1, -2, 1, 1, 1, 1 };
  tp_score map = { scaled_score, diagonal }, wrong = { scaled_score, indefinite };
  tp_tensor *b = noise (TP_F32, 2, SHAPE (3, 6), 9), *first = noise (TP_F32, 2, SHAPE (1, 6), 9);
  memset (tp_f32 (b) + 6, 0, 6 * sizeof (float)); /* solved before it begins */
  tp_tensor *x = tp_conjugate_gradient (&map, b, 4, 0);
  tp_tensor *alone = tp_conjugate_gradient (&map, first, 4, 0);
  for (int i = 0; x && i < 18; i++)
    CHECK_CLOSE (tp_f32 (x)[i], tp_f32 (b)[i] / diagonal[i % 6], 1e-5);
  CHECK (alone && !memcmp (tp_f32 (x), tp_f32 (alone), 6 * sizeof (float)));
  CHECK (!tp_conjugate_gradient (&wrong, b, 4, 0) && tp_last_status () == TP_BAD_VALUE);
  CHECK (!tp_conjugate_gradient (&map, b, 0, 0) && tp_last_status () == TP_BAD_ARGUMENT);
  CHECK (!tp_integrator_named ("euler") && tp_integrator_named ("three-stage") == &tp_three_stage);
  tp_tensor_free (b), tp_tensor_free (first), tp_tensor_free (x), tp_tensor_free (alone);
}

/* The determinant of the Jacobian of (x, m) -> (x', m') in 2 + 2 dimensions,
 * by central differences of the map in float. */
static void
test_volume (void)
{
  const double h = 1.0 / 64;
  float start[4] = { 0.3f, -0.7f, 0.9f, 0.4f };
  double jacobian[4][4];
  for (int column = 0; column < 4; column++)
    {
      float end[2][4];
      for (int side = 0; side < 2; side++)
        {
          tp_tensor *x = tp_tensor_create (TP_F32, 2, SHAPE (1, 2)), *m = tp_tensor_like (x);
          memcpy (tp_f32 (x), start, 2 * sizeof (float));
          memcpy (tp_f32 (m), start + 2, 2 * sizeof (float));
          *(column < 2 ? tp_f32 (x) + column : tp_f32 (m) + column - 2) += (float) (side ? h : -h);
          moons target = make_moons (0.5, 0.0);
          tp_score score = { moons_score, &target };
          tp_tensor *g = score_of (&score, x);
          CHECK (!tp_integrate (&tp_leapfrog, &score, NULL, 0.2, 4, x, m, &g, NULL));
          memcpy (end[side], tp_f32 (x), 2 * sizeof (float));
          memcpy (end[side] + 2, tp_f32 (m), 2 * sizeof (float));
          tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (g);
          tp_tensor_free (target.means), tp_tensor_free (target.log_weights);
        }
      for (int row = 0; row < 4; row++)
        jacobian[row][column] = ((double) end[1][row] - end[0][row]) / (2 * h);
    }
  double determinant = 1;
  for (int k = 0; k < 4; k++)
    {
      int pivot = k;
      for (int r = k + 1; r < 4; r++)
        if (fabs (jacobian[r][k]) > fabs (jacobian[pivot][k]))
          pivot = r;
      for (int c = 0; c < 4; c++)
        {
          double swap = jacobian[k][c];
          jacobian[k][c] = jacobian[pivot][c];
          jacobian[pivot][c] = swap;
        }
      determinant *= pivot == k ? jacobian[k][k] : -jacobian[k][k];
      for (int r = k + 1; r < 4; r++)
        for (int c = 3; c >= k; c--)
          jacobian[r][c] -= jacobian[r][k] / jacobian[k][k] * jacobian[k][c];
    }
  /* Truncation h^2 f'''/6 and rounding 2^-24 / h are both near 1e-4. */
  CHECK_CLOSE (determinant, 1, 2e-3);
}

static void
test_evaluations (void)
{
  tp_tensor *x = noise (TP_F32, 2, SHAPE (2, 3), 8), *m = tp_momentum (x, NULL, 1, 2);
  tp_tensor *x0 = tp_copy (x), *g = score_of (&quartic, x), *g0 = tp_copy (g);
  evaluations = 0;
  CHECK (!tp_integrate (&tp_leapfrog, &quartic, NULL, 0.1, 3, x, m, &g, NULL));
  CHECK (evaluations == 3);
  tp_tensor *again = score_of (&quartic, x);
  CHECK (!memcmp (tp_f32 (again), tp_f32 (g), 6 * sizeof (float)));
  double difference[2];
  evaluations = 0;
  CHECK (!tp_path_integral (&quartic, x0, g0, x, g, 4, difference));
  CHECK (evaluations == 3);
  /* The integrand is a cubic in t: Simpson is exact. */
  for (int c = 0; c < 2; c++)
    CHECK_CLOSE (difference[c], quartic_log_density (x, c) - quartic_log_density (x0, c), 1e-5);
  tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (x0), tp_tensor_free (g);
  tp_tensor_free (g0), tp_tensor_free (again);
}

/* --- Mass --------------------------------------------------------------- */

static void
test_mass (void)
{
  enum { CHAINS = 64, H = 8, W = 8 };
  tp_tensor *x = tp_tensor_zeros (TP_C64, 3, SHAPE (CHAINS, H, W));
  tp_tensor *mass = tp_tensor_create (TP_F32, 2, SHAPE (H, W));
  for (int i = 0; i < H * W; i++)
    tp_f32 (mass)[i] = i % 3 ? 0.01f : 50.0f;
  tp_tensor *m = tp_momentum (x, mass, 4, 5);
  double energy[CHAINS], total = 0;
  CHECK (!tp_kinetic_energy (m, mass, energy));
  for (int c = 0; c < CHAINS; c++)
    total += energy[c];
  /* A chi-square of 2 CHAINS H W degrees of freedom, halved. */
  double n = 2.0 * CHAINS * H * W;
  CHECK_CLOSE (total, n / 2, 4 * sqrt (n / 2));
  /* A chain's momentum does not depend on how many others there are. */
  tp_tensor *one = tp_tensor_zeros (TP_C64, 3, SHAPE (1, H, W));
  tp_tensor *alone = tp_momentum (one, mass, 4, 5);
  CHECK (!memcmp (tp_c64 (alone), tp_c64 (m), H * W * sizeof (tp_complex)));
  tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (one), tp_tensor_free (alone);

  tp_tensor *flat = tp_tensor_zeros (TP_F32, 2, SHAPE (4, 8));
  CHECK (!tp_momentum (flat, mass, 0, 0) && tp_last_status () == TP_BAD_SHAPE);
  tp_tensor_free (flat);
  tp_f32 (mass)[3] = 0;
  tp_tensor *state = tp_tensor_zeros (TP_C64, 3, SHAPE (1, H, W));
  CHECK (!tp_momentum (state, mass, 0, 0) && tp_last_status () == TP_BAD_VALUE);
  tp_tensor_free (state), tp_tensor_free (mass);
}

/* --- Path integral and mixture ------------------------------------------ */

/* The score is the gradient of the log density, by central differences. */
static void
test_mixture (void)
{
  moons target = make_moons (0.05, 0.3);
  tp_tensor *x = noise (TP_F32, 2, SHAPE (64, 2), 9);
  tp_tensor *score = tp_mixture_score (x, target.means, target.log_weights, target.sd, target.sigma);
  double worst = 0, up[64], down[64];
  const float h = 1.0f / 512;
  for (int i = 0; i < 2; i++)
    {
      tp_tensor *a = tp_copy (x), *b = tp_copy (x);
      for (int c = 0; c < 64; c++)
        tp_chain (a, c)[i] += h, tp_chain (b, c)[i] -= h;
      tp_mixture_log_density (a, target.means, target.log_weights, target.sd, target.sigma, up);
      tp_mixture_log_density (b, target.means, target.log_weights, target.sd, target.sigma, down);
      for (int c = 0; c < 64; c++)
        {
          double slope = (up[c] - down[c])
                         / ((double) tp_chain (a, c)[i] - tp_chain (b, c)[i]);
          worst = fmax (worst, fabs (slope - tp_chain (score, c)[i]));
        }
      tp_tensor_free (a), tp_tensor_free (b);
    }
  /* Truncation h^2 f''' / 6; between the arcs f''' is near 1 / (sd^2 + sigma^2)^3 / 4. */
  CHECK_CLOSE (worst, 0, 1e-3);

  /* One component: a Gaussian, whose density is known. */
  tp_tensor *mean = tp_tensor_zeros (TP_F32, 2, SHAPE (1, 2));
  tp_tensor *weight = tp_tensor_zeros (TP_F32, 1, SHAPE (1));
  double sigma[64], density[64];
  for (int c = 0; c < 64; c++)
    sigma[c] = 0.5 + c;
  CHECK (!tp_mixture_log_density (x, mean, weight, 1.0, sigma, density));
  for (int c = 0; c < 64; c += 21)
    {
      double v = 1 + sigma[c] * sigma[c], a = tp_chain (x, c)[0], b = tp_chain (x, c)[1];
      CHECK_CLOSE (density[c], -(a * a + b * b) / (2 * v) - log (2 * M_PI * v), 1e-9);
    }
  tp_tensor_free (mean), tp_tensor_free (weight), tp_tensor_free (x), tp_tensor_free (score);
  tp_tensor_free (target.means), tp_tensor_free (target.log_weights);
}

/* RMS over proposals of path integral minus true difference, on the paths that
 * trajectories of 3 leapfrog steps of 0.3 widths make of the two moons.  (On
 * paths of several widths, across the gap between the moons, no rule of few
 * points follows the density: there the error is of order 1.) */
static double
path_error (double sigma, int intervals)
{
  enum { CHAINS = 64, ROUNDS = 30 };
  moons target = make_moons (0.05, sigma);
  tp_score score = { moons_score, &target };
  double width = hypot (target.sd, target.sigma[0]), sum = 0;
  tp_tensor *x = noise (TP_F32, 2, SHAPE (CHAINS, 2), 10);
  tp_tensor *g = score_of (&score, x);
  int count = 0;
  for (int round = 0; round < ROUNDS; round++)
    {
      tp_tensor *x1 = tp_copy (x), *m = tp_momentum (x, NULL, 12, (uint64_t) round);
      tp_tensor *g1 = tp_tensor_ref (g);
      double k0[CHAINS], k1[CHAINS], path[CHAINS], p0[CHAINS], p1[CHAINS], ratio[CHAINS];
      bool accepted[CHAINS];
      tp_kinetic_energy (m, NULL, k0);
      CHECK (!tp_integrate (&tp_leapfrog, &score, NULL, 0.3 * width, 3, x1, m, &g1, NULL));
      tp_kinetic_energy (m, NULL, k1);
      CHECK (!tp_path_integral (&score, x, g, x1, g1, intervals, path));
      tp_mixture_log_density (x, target.means, target.log_weights, target.sd, target.sigma, p0);
      tp_mixture_log_density (x1, target.means, target.log_weights, target.sd, target.sigma, p1);
      for (int c = 0; c < CHAINS; c++)
        ratio[c] = p1[c] - p0[c] + k0[c] - k1[c];
      tp_metropolis (ratio, CHAINS, 13, (uint64_t) round, accepted);
      for (int c = 0; c < CHAINS && round >= 10; c++)
        {
          sum += (path[c] - (p1[c] - p0[c])) * (path[c] - (p1[c] - p0[c]));
          count++;
        }
      tp_chains_select (x, x1, accepted);
      tp_chains_select (g, g1, accepted);
      tp_tensor_free (x1), tp_tensor_free (m), tp_tensor_free (g1);
    }
  tp_tensor_free (x), tp_tensor_free (g);
  tp_tensor_free (target.means), tp_tensor_free (target.log_weights);
  return sqrt (sum / count);
}

static void
test_path_integral (void)
{
  static const double sigmas[] = { 0, 0.05, 0.1, 0.2, 0.4, 0.8 };
  for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++)
    CHECK (path_error (sigmas[i], 4) < 1e-2);
  CHECK (path_error (0.2, 16) < path_error (0.2, 4) / 10);
}

/* --- Acceptance and failures -------------------------------------------- */

static void
test_metropolis (void)
{
  enum { N = 20000 };
  static double ratio[N];
  static bool accepted[N], again[N];
  for (int i = 0; i < N; i++)
    ratio[i] = log (0.3);
  CHECK (!tp_metropolis (ratio, N, 1, 2, accepted));
  int count = 0;
  for (int i = 0; i < N; i++)
    count += accepted[i];
  CHECK_CLOSE ((double) count / N, 0.3, 4 * sqrt (0.3 * 0.7 / N));
  tp_metropolis (ratio, N / 2, 1, 2, again);
  CHECK (!memcmp (accepted, again, N / 2));
  double special[5] = { 1.0, 0.0, NAN, INFINITY, -INFINITY };
  CHECK (!tp_metropolis (special, 5, 1, 2, accepted));
  CHECK (accepted[0] && accepted[1] && !accepted[2] && !accepted[3] && !accepted[4]);
}

static void
test_failures (void)
{
  tp_tensor *x = noise (TP_F32, 2, SHAPE (2, 3), 1), *m = noise (TP_F32, 2, SHAPE (2, 3), 2);
  tp_tensor *g = score_of (&quartic, x);
  tp_score refusing = { refusing_score, NULL }, identity = { identity_score, NULL };
  tp_score misshapen = { misshapen_score, NULL };
  double difference[2];
  CHECK_FAILS (TP_INTERRUPTED, tp_integrate (&tp_leapfrog, &refusing, NULL, 0.1, 1, x, m, &g, NULL));
  CHECK_FAILS (TP_BAD_SHAPE, tp_integrate (&tp_leapfrog, &misshapen, NULL, 0.1, 1, x, m, &g, NULL));
  CHECK_FAILS (TP_INTERRUPTED, tp_path_integral (&refusing, x, g, x, g, 4, difference));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_path_integral (&quartic, x, g, x, g, 3, difference));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_path_integral (&quartic, x, g, x, g, 0, difference));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_integrate (&tp_leapfrog, &quartic, NULL, -1, 1, x, m, &g, NULL));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_integrate (&tp_leapfrog, &quartic, NULL, NAN, 1, x, m, &g, NULL));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_integrate (&tp_leapfrog, &quartic, NULL, 0.1, 0, x, m, &g, NULL));
  tp_tensor *other = noise (TP_F32, 2, SHAPE (2, 4), 2);
  CHECK_FAILS (TP_BAD_SHAPE, tp_integrate (&tp_leapfrog, &quartic, NULL, 0.1, 1, x, other, &g, NULL));
  CHECK_FAILS (TP_BAD_SHAPE, tp_path_integral (&quartic, x, g, other, g, 4, difference));
  /* A score that is x itself is not overwritten as x moves. */
  tp_tensor *own = tp_score_at (&identity, x);
  CHECK (own->buffer != x->buffer);
  double sigma[2] = { 0, 0 };
  tp_tensor *mean = tp_tensor_zeros (TP_F32, 2, SHAPE (1, 3));
  tp_tensor *weight = tp_tensor_zeros (TP_F32, 1, SHAPE (1)), *weights = tp_tensor_zeros (TP_F32, 1, SHAPE (2));
  CHECK (!tp_mixture_score (x, mean, weight, 0.0, sigma) && tp_last_status () == TP_BAD_ARGUMENT);
  CHECK (!tp_mixture_score (x, mean, weights, 1.0, sigma) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_mixture_score (other, mean, weight, 1.0, sigma) && tp_last_status () == TP_BAD_SHAPE);
  tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (g), tp_tensor_free (other);
  tp_tensor_free (own), tp_tensor_free (mean), tp_tensor_free (weight), tp_tensor_free (weights);
}

/* A trajectory with a Fourier mass: the same bits on 1 and 2 threads. */
static void
test_threads (void)
{
  tp_tensor *mass = tp_tensor_create (TP_F32, 2, SHAPE (40, 36));
  for (int i = 0; i < 40 * 36; i++)
    tp_f32 (mass)[i] = 1.0f + (float) (i % 5);
  tp_tensor *end[2];
  double energy[2][6], path[2][6];
  for (int t = 0; t < 2; t++)
    {
      tp_set_threads (t + 1);
      tp_tensor *x0 = noise (TP_C64, 3, SHAPE (6, 40, 36), 3), *x = tp_copy (x0);
      tp_tensor *m = tp_momentum (x, mass, 1, 2), *g = score_of (&quartic, x), *g0 = tp_copy (g);
      CHECK (!tp_integrate (&tp_leapfrog, &quartic, &(tp_mass) { .table = mass }, 0.1, 3, x, m, &g, NULL));
      CHECK (!tp_kinetic_energy (m, mass, energy[t]));
      CHECK (!tp_path_integral (&quartic, x0, g0, x, g, 4, path[t]));
      end[t] = x;
      tp_tensor_free (x0), tp_tensor_free (m), tp_tensor_free (g), tp_tensor_free (g0);
    }
  CHECK (!memcmp (tp_c64 (end[0]), tp_c64 (end[1]), 6 * 40 * 36 * sizeof (tp_complex)));
  CHECK (!memcmp (energy[0], energy[1], sizeof energy[0]));
  CHECK (!memcmp (path[0], path[1], sizeof path[0]));
  tp_tensor_free (end[0]), tp_tensor_free (end[1]), tp_tensor_free (mass);
}

CHECK_MAIN (test_reversible, test_energy_order, test_work, test_stages, test_conjugate_gradient, test_volume, test_evaluations, test_mass,
            test_mixture, test_path_integral, test_metropolis, test_failures, test_threads)
