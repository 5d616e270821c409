/* diagnostics.c -- R-hat and effective sample sizes, one quantity after the other. */
#include "mcmc/diagnostics.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/threads.h"
#include "mcmc/distributions.h"

/* Draws as M sequences (half chains, or groups) of N draws: FIRST[m] is the first draw's
 * first quantity, and a draw is STRIDE floats after the one before. */
typedef struct {
  tp_diagnostic which;
  int64_t m, n, stride;
  const float **first;
  int parts;            /* 2 when quantities are complex */
  const double *scores; /* of rank (r + 1) / 2, r = 1 ... : half ranks are of ties */
  tp_tensor *result;
  atomic_bool failed;   /* no memory */
} job;

/* What one thread works in: numbers of M N draws, sequence by sequence. */
typedef struct {
  double *value, *z, *distance;
  uint64_t *sorted, *spare; /* (key of a float, its place) */
} work;

/* --- Order -------------------------------------------------------------- */

/* Unsigned integers in the order of floats: negative ones have their bits turned. */
static uint32_t
key_of (float x)
{
  uint32_t bits;
  x += 0.0f; /* -0 is 0 */
  memcpy (&bits, &x, sizeof bits);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Sort by the upper half, byte by byte from the least (radix). */
static void
sort_keys (uint64_t *keys, uint64_t *spare, int64_t count)
{
  for (int shift = 32; shift < 64; shift += 8)
    {
      int64_t begin[257] = { 0 };
      for (int64_t i = 0; i < count; i++)
        begin[((keys[i] >> shift) & 255) + 1]++;
      for (int b = 0; b < 256; b++)
        begin[b + 1] += begin[b];
      for (int64_t i = 0; i < count; i++)
        spare[begin[(keys[i] >> shift) & 255]++] = keys[i];
      uint64_t *swap = keys;
      keys = spare;
      spare = swap;
    }
  /* Four passes: the result is where it was. */
}

static int64_t
place (uint64_t key)
{
  return (int64_t) (key & 0xffffffffu);
}

/* The normal score of rank r (1 ... N, half for ties) is Phi^-1 ((r - 3/8) / (N + 1/4)),
 * equation 14; a table for all of them. */
static void
fill_scores (double *scores, int64_t count)
{
  for (int64_t i = 0; i < 2 * count - 1; i++)
    scores[i] = tp_normal_quantile ((1.0 + 0.5 * (double) i - 0.375) / ((double) count + 0.25));
}

/* W->z from draws in rising order: ORDER[i] is a place, equal VALUES share the mean of
 * their ranks. */
static void
rank_normalise (const job *j, const work *w, const uint64_t *order, const double *values)
{
  int64_t count = j->m * j->n;
  for (int64_t begin = 0, end; begin < count; begin = end)
    {
      for (end = begin + 1; end < count && values[place (order[end])] == values[place (order[begin])];)
        end++;
      for (int64_t i = begin; i < end; i++)
        w->z[place (order[i])] = j->scores[begin + end - 1]; /* rank (begin + end + 1) / 2 */
    }
}

/* The Q-quantile, linear between order statistics. */
static double
quantile (const work *w, int64_t count, double q)
{
  double at = q * (double) (count - 1);
  int64_t below = (int64_t) at, above = below + 1 < count ? below + 1 : below;
  double low = w->value[place (w->sorted[below])], high = w->value[place (w->sorted[above])];
  return low + (at - (double) below) * (high - low);
}

/* Put into W->distance how far the draws are from their median, and their places in the
 * order of that into W->spare: from the median outwards on both sides. */
static void
fold (const job *j, const work *w)
{
  int64_t count = j->m * j->n, right = 0;
  double median = quantile (w, count, 0.5);
  for (int64_t i = 0; i < count; i++)
    w->distance[i] = fabs (w->value[i] - median);
  while (right < count && w->value[place (w->sorted[right])] <= median)
    right++;
  int64_t left = right - 1;
  for (int64_t i = 0; i < count; i++)
    {
      bool from_left = right == count
                       || (left >= 0 && w->distance[place (w->sorted[left])]
                                          <= w->distance[place (w->sorted[right])]);
      w->spare[i] = w->sorted[from_left ? left-- : right++];
    }
}

/* --- Between and within ------------------------------------------------- */

typedef struct {
  double within, between; /* W, and B / N: the variance of the sequences' means */
} variances;

/* Of the sequences in X, which are centred on their means. */
static variances
centre (const job *j, double *x)
{
  double sum = 0.0, squares = 0.0, within = 0.0;
  double shift = x[0]; /* else the variance of close means cancels */
  for (int64_t m = 0; m < j->m; m++)
    {
      double *sequence = x + m * j->n, mean = 0.0;
      for (int64_t i = 0; i < j->n; i++)
        mean += sequence[i] - shift;
      mean /= (double) j->n;
      for (int64_t i = 0; i < j->n; i++)
        {
          sequence[i] -= shift + mean;
          within += sequence[i] * sequence[i];
        }
      sum += mean;
      squares += mean * mean;
    }
  double count = (double) j->m;
  return (variances) { within / (count * (double) (j->n - 1)),
                       fmax (0.0, (squares - sum * sum / count) / (count - 1.0)) };
}

/* sqrt (var+ / W), equations 1 to 4; NaN when all of X is equal. */
static double
r_hat (const job *j, double *x)
{
  variances v = centre (j, x);
  double n = (double) j->n;
  if (v.within == 0.0)
    return v.between > 0.0 ? INFINITY : NAN;
  return sqrt ((n - 1.0) / n + v.between / v.within);
}

/* --- Autocorrelation ---------------------------------------------------- */

/* The mean over the sequences of their autocovariance at LAG, in units in which lag 0
 * has W.  Summed directly, since only lags up to where the correlation ends are asked
 * for: for chains that mix that is less work than the transforms that give all. */
static double
autocovariance (const job *j, const double *centred, int64_t lag)
{
  double sum = 0.0;
  for (int64_t m = 0; m < j->m; m++)
    for (int64_t i = 0; i + lag < j->n; i++)
      sum += centred[m * j->n + i] * centred[m * j->n + i + lag];
  return sum / (double) (j->m * (j->n - 1));
}

/* tau = -1 + 2 sum_k P_k with P_k = rho_2k + rho_2k+1, equations 10 to 13, the sum while
 * P_k is positive and with no P_k above the one before: Geyer's initial monotone sequence
 * (Practical Markov chain Monte Carlo, Statistical Science 7, 1992). */
static double
autocorrelation_time (const job *j, double *x)
{
  variances v = centre (j, x);
  double n = (double) j->n, total = v.within * (n - 1.0) / n + v.between, sum = 0.0;
  if (total == 0.0)
    return NAN;
  double least = INFINITY;
  for (int64_t k = 0; 2 * k + 1 < j->n; k++)
    {
      double even = k ? 1.0 - (v.within - autocovariance (j, x, 2 * k)) / total : 1.0;
      double odd = 1.0 - (v.within - autocovariance (j, x, 2 * k + 1)) / total;
      if (!(even + odd > 0.0))
        break;
      least = fmin (least, even + odd);
      sum += least;
    }
  /* Antithetic draws tell more than as many independent ones, but a noisy sum may say
   * anything: the paper's bound, section 3.2. */
  return fmax (2.0 * sum - 1.0, 1.0 / log10 ((double) (j->m * j->n)));
}

static double
effective_size (const job *j, double *x)
{
  return (double) (j->m * j->n) / autocorrelation_time (j, x);
}

/* Of the indicator of being at or below the Q-quantile. */
static double
effective_size_at (const job *j, const work *w, double q)
{
  double limit = quantile (w, j->m * j->n, q);
  for (int64_t i = 0; i < j->m * j->n; i++)
    w->z[i] = w->value[i] <= limit;
  return effective_size (j, w->z);
}

/* --- One quantity ------------------------------------------------------- */

static double
diagnostic_of (const job *j, const work *w, int64_t quantity)
{
  int64_t count = j->m * j->n;
  for (int64_t m = 0; m < j->m; m++)
    for (int64_t i = 0; i < j->n; i++)
      w->value[m * j->n + i] = (double) j->first[m][i * j->stride + quantity];
  if (j->which == TP_AUTOCORRELATION_TIME)
    return autocorrelation_time (j, w->value);
  for (int64_t i = 0; i < count; i++)
    w->sorted[i] = (uint64_t) key_of ((float) w->value[i]) << 32 | (uint64_t) i;
  sort_keys (w->sorted, w->spare, count);
  if (j->which == TP_ESS_TAIL)
    return fmin (effective_size_at (j, w, 0.05), effective_size_at (j, w, 0.95));
  rank_normalise (j, w, w->sorted, w->value);
  if (j->which == TP_ESS_BULK)
    return effective_size (j, w->z);
  double bulk = r_hat (j, w->z);
  fold (j, w);
  rank_normalise (j, w, w->spare, w->distance);
  return fmax (bulk, r_hat (j, w->z)); /* of two values the distances may be equal: NaN */
}

static double
worse (tp_diagnostic which, double a, double b)
{
  return which == TP_R_HAT || which == TP_AUTOCORRELATION_TIME ? fmax (a, b) : fmin (a, b);
}

static void
do_quantities (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  size_t count = (size_t) (j->m * j->n);
  double *memory = tp_scratch_alloc (3 * count * sizeof *memory);
  uint64_t *order = tp_scratch_alloc (2 * count * sizeof *order);
  if (!memory || !order)
    {
      tp_scratch_free (memory);
      tp_scratch_free (order);
      j->failed = true;
      return;
    }
  work w = { .value = memory, .z = memory + count, .distance = memory + 2 * count,
             .sorted = order, .spare = order + count };
  for (int64_t q = begin; q < end; q++)
    {
      double result = diagnostic_of (j, &w, q * j->parts);
      if (j->parts == 2)
        result = worse (j->which, result, diagnostic_of (j, &w, q * j->parts + 1));
      tp_f32 (j->result)[q] = (float) result;
    }
  tp_scratch_free (memory);
  tp_scratch_free (order);
}

/* --- All of them -------------------------------------------------------- */

static const float *
floats (const tp_tensor *t)
{
  return t->dtype == TP_C64 ? (const float *) tp_c64 (t) : tp_f32 (t);
}

static tp_status
run (job *j, const char *name)
{
  int64_t count = j->m * j->n, quantities = tp_tensor_count (j->result);
  double *scores = tp_scratch_alloc ((size_t) (2 * count) * sizeof *scores);
  if (!scores)
    return tp_last_status ();
  fill_scores (scores, count);
  j->scores = scores;
  tp_parallel_for (quantities, 1 + 4096 / count, do_quantities, j);
  tp_scratch_free (scores);
  if (j->failed)
    return tp_fail (TP_NO_MEMORY, "%s: no memory to diagnose %lld draws in", name,
                    (long long) count);
  for (int64_t q = 0; q < quantities; q++)
    if (!isnan (tp_f32 (j->result)[q]))
      return TP_OK;
  return tp_fail (TP_BAD_VALUE, "%s: every draw is equal, so nothing can be said; "
                  "expected draws that differ", name);
}

static tp_status
check_draws (const tp_tensor *draws, const char *name, int rank, const char *expected)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (draws, name, draws->dtype, -1))
    return tp_last_status ();
  if (draws->rank < rank || !tp_tensor_count (draws))
    return tp_fail (TP_BAD_SHAPE, "%s: expected %s, got shape %s", name, expected,
                    tp_shape_text (text, draws->rank, draws->shape));
  if (!tp_all_finite (draws))
    return tp_fail (TP_BAD_VALUE, "%s: expected finite draws, got NaN or infinite ones", name);
  return TP_OK;
}

tp_tensor *
tp_diagnose (tp_diagnostic which, const tp_tensor *draws)
{
  if (check_draws (draws, "draws", 2, "(draws chains ...)"))
    return NULL;
  int64_t each = draws->shape[0], chains = draws->shape[1];
  if (each < 4)
    {
      tp_fail (TP_BAD_ARGUMENT, "draws: expected 4 or more of each chain, got %lld; `hold' a chain "
               "at its temperature for more, or compare two groups of annealings by "
               "`r-hat-between'", (long long) each);
      return NULL;
    }
  int parts = draws->dtype == TP_C64 ? 2 : 1;
  int64_t quantities = tp_tensor_count (draws) / (each * chains);
  job j = { .which = which, .m = 2 * chains, .n = each / 2, .parts = parts,
            .stride = chains * quantities * parts,
            .result = tp_tensor_create (TP_F32, draws->rank - 2, draws->shape + 2) };
  j.first = tp_scratch_alloc ((size_t) j.m * sizeof *j.first);
  bool done = j.first && j.result;
  for (int64_t m = 0; done && m < j.m; m++)
    j.first[m] = floats (draws) + m / 2 * quantities * parts
                 + (m % 2 ? (each - j.n) * j.stride : 0);
  done = done && !run (&j, "draws");
  tp_scratch_free (j.first);
  if (done)
    return j.result;
  tp_tensor_free (j.result);
  return NULL;
}

tp_tensor *
tp_r_hat_between (const tp_tensor *const *groups, int count)
{
  if (count < 2)
    {
      tp_fail (TP_BAD_ARGUMENT, "groups: expected two or more, got %d", count);
      return NULL;
    }
  for (int g = 0; g < count; g++)
    if (check_draws (groups[g], "group", 1, "(members ...)")
        || tp_check_shape (groups[g], "group", groups[0]->dtype, groups[0]->rank,
                           groups[0]->shape))
      return NULL;
  if (groups[0]->shape[0] < 2)
    {
      tp_fail (TP_BAD_ARGUMENT, "groups: expected two members or more in each, got %lld",
               (long long) groups[0]->shape[0]);
      return NULL;
    }
  int parts = groups[0]->dtype == TP_C64 ? 2 : 1;
  job j = { .which = TP_R_HAT, .m = count, .n = groups[0]->shape[0], .parts = parts,
            .result = tp_tensor_create (TP_F32, groups[0]->rank - 1, groups[0]->shape + 1) };
  j.first = tp_scratch_alloc ((size_t) count * sizeof *j.first);
  bool done = j.first && j.result;
  for (int g = 0; done && g < count; g++)
    j.first[g] = floats (groups[g]);
  if (done)
    j.stride = tp_tensor_count (j.result) * parts;
  done = done && !run (&j, "groups");
  tp_scratch_free (j.first);
  if (done)
    return j.result;
  tp_tensor_free (j.result);
  return NULL;
}
