/* threads.c -- parallel loops over OpenMP. */
#include "core/threads.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int thread_count;

static void *
wait_for_all (void *started)
{
  /* Until whoever starts them lets go. */
  pthread_mutex_lock (started);
  pthread_mutex_unlock (started);
  return NULL;
}

/* Whether the system gives COUNT threads at a time.  OpenMP, which is to have them, would end the
 * process. */
static tp_status
try_threads (int count)
{
  pthread_t *threads = malloc ((size_t) count * sizeof *threads);
  if (!threads)
    return tp_fail (TP_NO_MEMORY, "threads: no memory for %d", count);
  pthread_mutex_t started = PTHREAD_MUTEX_INITIALIZER;
  int made = 1, error = 0; /* the calling one is among them */
  pthread_mutex_lock (&started);
  while (made < count && !(error = pthread_create (&threads[made], NULL, wait_for_all, &started)))
    made++;
  pthread_mutex_unlock (&started);
  for (int i = 1; i < made; i++)
    pthread_join (threads[i], NULL);
  free (threads);
  return error ? tp_fail (TP_NO_MEMORY, "threads: %d asked for, %d to be had: %s", count, made,
                          strerror (error))
               : TP_OK;
}

int
tp_threads (void)
{
  if (!thread_count)
    {
      const char *setting = getenv ("TEMPERA_THREADS");
      long count = setting ? strtol (setting, NULL, 10) : 0;
      /* OpenMP has read OMP_NUM_THREADS; without it, it has the processors. */
      if (count < 1)
        count = omp_get_max_threads ();
      if (count > TP_MOST_THREADS)
        count = TP_MOST_THREADS;
      while (count > 1 && tp_set_threads ((int) count) != TP_OK)
        count /= 2;
      thread_count = (int) count;
    }
  return thread_count;
}

tp_status
tp_set_threads (int count)
{
  /* Those of a smaller number are there. */
  if (count > thread_count && try_threads (count) != TP_OK)
    return tp_last_status ();
  thread_count = count > 0 ? count : 1;
  return TP_OK;
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
