/* ranks.h -- processes that compute together: they meet, and exchange bytes and sums.
 *
 * Every process, a rank, runs the same program.  What they divide, they exchange by the functions
 * here, which all call in the same order.  Each call begins with a meeting, where every rank says
 * whether it is well: one that failed, was stopped or has ended comes to the others' next meeting,
 * and so none waits for it in vain.  Sums are taken in the order of ranks, whatever way the
 * numbers came.
 *
 * How bytes travel is a transport's, which is loaded when there are ranks (src/mpi).  Without one
 * there is one rank, and all of this does nothing. */
#ifndef TP_RANKS_H
#define TP_RANKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* How bytes travel.  An operation is started, and is over once `done' says so; one at a time. */
typedef struct {
  int version; /* of this struct: TP_TRANSPORT */
  /* Join the others; 0, or false with a text in *PROBLEM. */
  bool (*join) (int *rank, int *count, const char **problem);
  /* MINE of every rank, one after another, into ALL; BYTES by rank, those of MINE at this rank's place. */
  bool (*gather) (const void *mine, void *all, const int64_t *bytes);
  /* Of MINE the part that is rank r's goes there: FROM everybody its part for this rank.  Part r begins at
   * byte STARTS[r] and ends at STARTS[r + 1]. */
  bool (*scatter) (const void *mine, const int64_t *starts, void *from);
  bool (*done) (void);
  /* Leave; with WHOLE false the others may be gone, and are ended with this one. */
  void (*leave) (bool whole);
} tp_transport;

enum { TP_TRANSPORT = 1 };

/* The name under which a transport's library exports it. */
#define TP_TRANSPORT_SYMBOL "tempera_transport"

/* Join the other ranks by T, for as long as the process lasts. */
tp_status tp_ranks_join (const tp_transport *t);

int tp_rank (void);       /* of this process, from 0 */
int tp_rank_count (void); /* 1 without a transport */

/* Meet the others: say that this rank goes no further with what they do together, by SIGNAL or, 0, for the
 * reason TEXT.  Whether rank 0, which speaks for all, has heard of it. */
bool tp_ranks_fail (int signal, const char *text);

/* What a meeting found: the lowest rank that had failed or ended, or -1; its signal, or 0; its text. */
int tp_ranks_failed (int *signal, const char **text);
/* That has been dealt with. */
void tp_ranks_forget (void);

/* Every rank has COUNTS[rank] bytes in MINE; ALL gets those of all, one after another. */
tp_status tp_ranks_gather (const void *mine, void *all, const int64_t *bytes);
/* The same where no rank knows how many bytes the others have: *ALL, to be freed, and BYTES by rank. */
tp_status tp_ranks_gather_any (const void *mine, int64_t count, char **all, int64_t *bytes);

/* VALUES (COUNT of them) of all ranks added up, in place: v_0 + v_1 + ... in float32 or double. */
tp_status tp_ranks_sum_f32 (float *values, int64_t count);
tp_status tp_ranks_sum (double *values, int64_t count);

/* Whether statistics of a batch are those of the parts that all ranks have of it: of this thread, while it is
 * true, batch norm sums over ranks.  Returns what it was. */
bool tp_ranks_share_batch (bool share);
/* tp_ranks_sum where that is so; else TP_OK, and VALUES stay. */
tp_status tp_ranks_sum_of_batch (double *values, int64_t count);

/* Seconds that this rank has spent in exchanges, and bytes that it has received. */
double tp_ranks_seconds (void);
int64_t tp_ranks_bytes (void);

#endif
