/* threads.h -- parallel loops whose result does not depend on the number of threads.
 *
 * The caller cuts work into items, by shape alone; each item is done by one
 * thread.  As no item adds to what another writes, the bits are the same on any
 * number of threads. */
#ifndef TP_THREADS_H
#define TP_THREADS_H

#include <stdint.h>

#include "core/status.h"

/* More help nobody, and are a slip of the keyboard. */
#define TP_MOST_THREADS 1024

/* How many threads parallel loops use: TEMPERA_THREADS, or OMP_NUM_THREADS, or the
 * processors at hand, or as many of these as the system gives.  tp_set_threads changes it
 * (to 1 at least); it fails, and changes nothing, where the system has not so many. */
int tp_threads (void);
tp_status tp_set_threads (int count);

/* Call BODY (context, begin, end) for pieces that cover 0..ITEMS-1, on several
 * threads.  GRAIN: the fewest items worth a thread of their own.  Where the thread is to stop (see
 * stop.h), some are not done.  The last failure of any of them is the caller's too. */
void tp_parallel_for (int64_t items, int64_t grain,
                      void (*body) (void *context, int64_t begin, int64_t end),
                      void *context);

#endif
