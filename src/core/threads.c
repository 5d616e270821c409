/* threads.c -- parallel loops over OpenMP. */
#include "core/threads.h"

#include <omp.h>
#include <stdlib.h>

static int thread_count;

int
tp_threads (void)
{
  if (!thread_count)
    {
      const char *setting = getenv ("TEMPERA_THREADS");
      int count = setting ? atoi (setting) : 0;
      /* OpenMP has read OMP_NUM_THREADS; without it, it has the processors. */
      thread_count = count > 0 ? count : omp_get_max_threads ();
    }
  return thread_count;
}

void
tp_set_threads (int count)
{
  thread_count = count > 0 ? count : 1;
}

void
tp_parallel_for (int64_t items, int64_t grain,
                 void (*body) (void *, int64_t, int64_t), void *context)
{
  int64_t pieces = grain > 0 ? items / grain : items;
  int threads = tp_threads ();
  /* More pieces than threads, taken as threads come free: where other programs
   * run too, no core waits long for one that was held up. */
  if (pieces > 8 * threads)
    pieces = 8 * threads;
  if (pieces <= 1 || threads == 1 || omp_in_parallel ())
    {
      if (items > 0)
        body (context, 0, items);
      return;
    }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t p = 0; p < pieces; p++)
    body (context, items * p / pieces, items * (p + 1) / pieces);
}
