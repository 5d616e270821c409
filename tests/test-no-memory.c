/* test-no-memory.c -- memory that is refused: the core says so, or does without, to the same bits.
 *
 * The linker gives the core our malloc, calloc, realloc and posix_memalign (its option --wrap), which refuse one
 * call, or all calls from one on.  Each piece of work is done with each of its calls refused. */
#include "check.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "autograd/operations.h"
#include "autograd/tape.h"
#include "core/memory.h"
#include "core/threads.h"
#include "fourier/fft.h"
#include "mcmc/integrator.h"
#include "mcmc/score.h"
#include "nn/conv.h"
#include "nn/layers.h"
#include "tensor/tensor.h"

#define SHAPE(...) (const int64_t[]) { __VA_ARGS__ }

/* --- Memory that is refused --------------------------------------------------------- */

void *__real_malloc (size_t bytes);
void *__real_calloc (size_t count, size_t bytes);
void *__real_realloc (void *memory, size_t bytes);
int __real_posix_memalign (void **memory, size_t alignment, size_t bytes);
void *__wrap_malloc (size_t bytes);
void *__wrap_calloc (size_t count, size_t bytes);
void *__wrap_realloc (void *memory, size_t bytes);
int __wrap_posix_memalign (void **memory, size_t alignment, size_t bytes);

static atomic_long calls;
static long first_refused = -1, last_refused; /* -1: none */

static bool
refused (void)
{
  long call = atomic_fetch_add (&calls, 1);
  return first_refused >= 0 && call >= first_refused && call <= last_refused;
}

void *
__wrap_malloc (size_t bytes)
{
  return refused () ? NULL : __real_malloc (bytes);
}

void *
__wrap_calloc (size_t count, size_t bytes)
{
  return refused () ? NULL : __real_calloc (count, bytes);
}

void *
__wrap_realloc (void *memory, size_t bytes)
{
  return refused () ? NULL : __real_realloc (memory, bytes);
}

int
__wrap_posix_memalign (void **memory, size_t alignment, size_t bytes)
{
  return refused () ? ENOMEM : __real_posix_memalign (memory, alignment, bytes);
}

/* --- Work ------------------------------------------------------------------------------ */

static tp_tensor *a, *b, *images, *k_space, *weights, *bias;

/* What all work is summed up in. */
static bool
summed (const tp_tensor *t, double *sum)
{
  if (!t)
    return false;
  const float *values = t->dtype == TP_C64 ? (const float *) tp_c64 (t) : tp_f32 (t);
  int64_t count = tp_tensor_count (t) * (t->dtype == TP_C64 ? 2 : 1);
  for (int64_t i = 0; i < count; i++)
    *sum += values[i] * (double) (i % 7 + 1);
  return true;
}

static bool
summed_and_freed (tp_tensor *t, double *sum)
{
  bool done = summed (t, sum);
  tp_tensor_free (t);
  return done;
}

static bool
add_all (double *sum)
{
  return summed_and_freed (tp_reduce (TP_SUM, a, 3, false), sum);
}

static bool
add_columns (double *sum)
{
  return summed_and_freed (tp_reduce (TP_SUM, a, 1, false), sum);
}

static bool
multiply (double *sum)
{
  return summed_and_freed (tp_matmul (b, true, b, false), sum);
}

static bool
transform (double *sum)
{
  return summed_and_freed (tp_fft2 (k_space), sum);
}

static bool
learn (double *sum)
{
  tp_tape *tape = tp_tape_create ();
  if (!tape)
    return false;
  tp_tape *before = tp_tape_enter (tape);
  tp_conv_options options = { .stride = 1, .padding = 1, .slope = 0.1f };
  tp_tensor *y = tp_conv (&images, 1, weights, bias, NULL, options);
  tp_tensor *z = y ? tp_silu (y) : NULL;
  tp_tensor *loss = z ? tp_diff_reduce (TP_SUM_SQUARES, z, 15, false) : NULL;
  tp_tape_leave (before);
  bool done = loss && tp_tape_backward (tape, loss, NULL) == TP_OK && summed (loss, sum)
              && summed (weights->grad, sum) && summed (bias->grad, sum);
  tp_tensor_free (y), tp_tensor_free (z), tp_tensor_free (loss);
  tp_tape_free (tape);
  tp_tensor *const learned[] = { weights, bias };
  for (int i = 0; i < 2; i++)
    {
      tp_tensor_free (learned[i]->grad);
      learned[i]->grad = NULL;
    }
  return done;
}

static tp_status
normal_score (void *context, const tp_tensor *x, tp_tensor **score)
{
  (void) context;
  *score = tp_map2 (TP_SUB, x, x);
  tp_tensor *more = *score ? tp_map2 (TP_SUB, *score, x) : NULL;
  tp_tensor_free (*score);
  *score = more;
  return more ? TP_OK : tp_last_status ();
}

/* A trajectory in a scope, whose tensors stay those of the scope. */
static bool
move (double *sum)
{
  int depth = tp_scope_open ();
  if (!depth)
    return false;
  tp_tensor *x = tp_copy (b), *m = tp_copy (b);
  const tp_score score = { normal_score, NULL };
  tp_tensor *g = x && m ? tp_score_at (&score, x) : NULL;
  bool done = g && tp_integrate (&tp_leapfrog, &score, NULL, 0.1, 3, x, m, &g, NULL) == TP_OK;
  CHECK ((!x || tp_buffer_data (x->buffer)) && (!m || tp_buffer_data (m->buffer)));
  done = done && summed (x, sum) && summed (m, sum);
  tp_tensor_free (x), tp_tensor_free (m), tp_tensor_free (g);
  tp_scope_close (depth, true);
  return done;
}

/* --- Each of its calls refused ---------------------------------------------------------- */

static void
try_work (const char *name, bool (*work) (double *sum))
{
  double expected = 0;
  CHECK (work (&expected));
  tp_memory_trim ();
  atomic_store (&calls, 0);
  double again = 0;
  CHECK (work (&again) && again == expected);
  long all = atomic_load (&calls);
  CHECK (all > 0);
  for (int rest = 0; rest < 2; rest++)
    for (long k = 0; k < all; k++)
      {
        tp_memory_trim ();
        tp_fail (TP_OK, "%s", "");
        atomic_store (&calls, 0);
        first_refused = k;
        last_refused = rest ? all + 1000 : k;
        double sum = 0;
        bool done = work (&sum);
        first_refused = -1;
        if (!CHECK (done ? sum == expected : tp_last_status () == TP_NO_MEMORY))
          printf ("  %s: call %ld of %ld%s: %s %.9g, expected %.9g; %s\n", name, k, all, rest ? " and the rest" : "",
                  done ? "done" : "failed", sum, expected, tp_last_message ());
      }
}

static tp_tensor *
noise (tp_dtype dtype, int rank, const int64_t *shape, uint64_t stream)
{
  tp_tensor *t = tp_tensor_create (dtype, rank, shape);
  tp_fill_normal (t, 7, stream);
  return t;
}

static void
test_refused (void)
{
  tp_set_threads (2); /* what another thread is refused the caller has to hear of */
  a = noise (TP_F32, 2, SHAPE (1100, 1000), 1);
  b = noise (TP_F32, 2, SHAPE (200, 100), 2);
  k_space = noise (TP_C64, 3, SHAPE (3, 48, 32), 3);
  images = noise (TP_F32, 4, SHAPE (2, 16, 16, 16), 4);
  weights = noise (TP_F32, 4, SHAPE (3, 3, 16, 16), 5);
  bias = noise (TP_F32, 1, SHAPE (16), 6);
  weights->requires_grad = bias->requires_grad = true;
  try_work ("a sum", add_all);
  try_work ("sums of columns", add_columns);
  try_work ("a product", multiply);
  try_work ("an FFT", transform);
  try_work ("gradients", learn);
  try_work ("a trajectory", move);
  tp_tensor *const all[] = { a, b, k_space, images, weights, bias };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    tp_tensor_free (all[i]);
}

CHECK_MAIN (test_refused)
