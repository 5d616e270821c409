/* adam.c -- the Adam update (Kingma, Ba 2015), also rectified (Liu et al. 2020). */
#include "nn/adam.h"

#include <math.h>

#include "core/cpu.h"
#include "core/profile.h"
#include "core/stop.h"
#include "core/threads.h"

typedef struct {
  float *w, *m, *v;
  const float *g;
  float beta1, beta2, rate, epsilon;
  bool plain; /* without v */
} job;

TP_CLONES static void
update_piece (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  float *restrict w = j->w, *restrict m = j->m, *restrict v = j->v;
  const float *restrict g = j->g;
  float beta1 = j->beta1, beta2 = j->beta2, rate = j->rate, epsilon = j->epsilon;
  bool plain = j->plain;
  for (int64_t i = begin; i < end; i++)
    {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
      w[i] -= rate * m[i] / (plain ? 1.0f : sqrtf (v[i]) + epsilon);
    }
}

/* r of step t, or 0 where the variance of an average of few squares is not tractable: with
 * rho = 2 / (1 - beta2) - 1 in the end and rho - 2 t beta2^t / (1 - beta2^t) now. */
static double
rectification (double beta2, double t)
{
  double last = 2 / (1 - beta2) - 1, now = last - 2 * t * pow (beta2, t) / (1 - pow (beta2, t));
  if (!(now > 4))
    return 0;
  return sqrt ((now - 4) * (now - 2) * last / ((last - 4) * (last - 2) * now));
}

tp_status
tp_adam_step (tp_tensor *w, const tp_tensor *g, tp_tensor *m, tp_tensor *v, int64_t step,
              tp_adam_options o)
{
  if (tp_check (w, "parameter", TP_F32, -1) != TP_OK
      || tp_check_shape (g, "gradient", TP_F32, w->rank, w->shape) != TP_OK
      || tp_check_shape (m, "first moment", TP_F32, w->rank, w->shape) != TP_OK
      || tp_check_shape (v, "second moment", TP_F32, w->rank, w->shape) != TP_OK)
    return tp_last_status ();
  if (tp_overlap (w, g) || tp_overlap (w, m) || tp_overlap (w, v) || tp_overlap (m, v)
      || tp_overlap (m, g) || tp_overlap (v, g))
    return tp_fail (TP_BAD_ARGUMENT, "parameter, gradient, moments: expected memory of their own, got "
                    "views of one tensor");
  if (step < 1)
    return tp_fail (TP_BAD_ARGUMENT, "step: expected 1 or more, got %lld", (long long) step);
  /* sqrt (v^) = sqrt (v) / sqrt (c2): the corrections go into rate and epsilon. */
  double c1 = 1 - pow (o.beta1, (double) step), c2 = 1 - pow (o.beta2, (double) step);
  double r = o.rectified ? rectification (o.beta2, (double) step) : 1;
  bool plain = r == 0;
  job j = { tp_f32 (w), tp_f32 (m), tp_f32 (v), tp_f32 (g), (float) o.beta1, (float) o.beta2,
            (float) (o.rate * (plain ? 1 : r * sqrt (c2)) / c1), (float) (o.epsilon * sqrt (c2)), plain };
  tp_span span = tp_span_start ();
  tp_stop_hold ();
  tp_parallel_for (tp_tensor_count (w), 16384, update_piece, &j);
  tp_stop_release ();
  tp_span_end (span, "Adam", (tp_work) { .bytes = 28.0 * (double) tp_tensor_count (w) }, NULL);
  tp_tensor_changed (w);
  tp_tensor_changed (m);
  tp_tensor_changed (v);
  return TP_OK;
}
