/* peak.c -- the machine's peak, measured. */
#include "core/profile.h"
#include "core/threads.h"
#include "nn/kernels/peak_kernel.h"

typedef struct {
  void (*run) (int64_t rounds, float *sink);
  int64_t rounds;
} peak_job;

static void
run_pieces (void *context, int64_t begin, int64_t end)
{
  const peak_job *j = context;
  volatile float kept;
  for (int64_t i = begin; i < end; i++)
    {
      float sink;
      j->run (j->rounds, &sink);
      kept = sink;
    }
  (void) kept;
}

double
tp_peak_flops (bool bf16)
{
  const tp_peak_kernels *k = tp_peak_kernels_get ();
  peak_job j = { bf16 ? k->bf16 : k->float32, 1000 };
  double flops = bf16 ? k->bf16_flops : k->float32_flops, best = 0;
  int threads = tp_threads ();
  for (double begin = tp_clock (), start = begin; start - begin < 0.1;)
    {
      tp_parallel_for (threads, 1, run_pieces, &j);
      double end = tp_clock (), elapsed = end - start;
      if (elapsed < 2e-3)
        j.rounds *= 2; /* too short to tell from the start of a thread */
      else if (flops * (double) j.rounds * threads / elapsed > best)
        best = flops * (double) j.rounds * threads / elapsed;
      start = end;
    }
  return best;
}
