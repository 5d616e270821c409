/* threads.c -- parallel loops over OpenMP. */
#include "core/threads.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/profile.h"
#include "core/stop.h"

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

/* --- Loops ------------------------------------------------------------------ */

typedef struct {
  int64_t items, grain, most; /* at a time, at least and at most */
  void (*body) (void *, int64_t, int64_t);
  void *context;
  atomic_int_fast64_t next;
  atomic_bool stop;
  pthread_mutex_t failing;
  tp_status failure; /* of a thread other than the caller's, */
  char message[1024];
} loop;

/* Work on L, as others do, until nothing is left or it is to be stopped.  The first piece is a
 * small one, by which this thread learns how much takes it a twentieth of a second. */
static void
take_pieces (loop *l, bool may_ask)
{
  int64_t size = l->grain < l->most ? l->grain : l->most;
  while (!atomic_load_explicit (&l->stop, memory_order_relaxed))
    {
      int64_t begin = atomic_fetch_add (&l->next, size), count = l->items - begin;
      if (count <= 0)
        break;
      if (count > size)
        count = size;
      double start = tp_clock ();
      l->body (l->context, begin, begin + count);
      double fitting = 0.05 * (double) count / (tp_clock () - start + 1e-9);
      size = fitting >= (double) l->most ? l->most : fitting > 1 ? (int64_t) fitting : 1;
      if (may_ask && tp_stop_wanted ())
        atomic_store (&l->stop, true);
    }
}

/* The same on a thread that is not the caller's, which is to know of its failures. */
static void
help (loop *l)
{
  unsigned before = tp_failures ();
  take_pieces (l, false);
  if (tp_failures () == before)
    return;
  pthread_mutex_lock (&l->failing);
  l->failure = tp_last_status ();
  snprintf (l->message, sizeof l->message, "%s", tp_last_message ());
  pthread_mutex_unlock (&l->failing);
}

void
tp_parallel_for (int64_t items, int64_t grain,
                 void (*body) (void *, int64_t, int64_t), void *context)
{
  if (items <= 0 || tp_stopped ())
    return;
  if (grain < 1)
    grain = 1;
  if (items / grain <= 1 || omp_in_parallel ())
    {
      body (context, 0, items);
      return;
    }
  int threads = tp_threads ();
  /* More pieces than threads, taken as threads come free: where other programs
   * run too, no core waits long for one that was held up. */
  int64_t share = threads == 1 ? items : (items + 8 * threads - 1) / (8 * threads);
  loop l = { .items = items, .grain = grain, .most = share > grain ? share : grain, .body = body,
             .context = context, .failing = PTHREAD_MUTEX_INITIALIZER };
  if (threads == 1)
    take_pieces (&l, true);
  else
    {
#pragma omp parallel num_threads(threads)
      if (omp_get_thread_num () == 0)
        take_pieces (&l, true);
      else
        help (&l);
      if (l.failure)
        tp_fail (l.failure, "%s", l.message);
    }
}
