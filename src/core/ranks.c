/* ranks.c -- processes that compute together. */
#include "core/ranks.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/profile.h"
#include "core/stop.h"

static const tp_transport *transport;
static int own_rank, rank_count = 1;
static bool lost;              /* the others are not to be had any more */
static bool ended;             /* this process is about to */
static double seconds;
static int64_t received;
static _Thread_local bool shared;

/* Of the last meeting at which not all were well. */
static int failed_rank = -1, failed_signal;
static char failed_text[1024];

enum { WELL, FAILED, ENDED };

/* What a rank says at a meeting. */
typedef struct {
  int32_t state, signal;
  char text[200];
} word;

int
tp_rank (void)
{
  return own_rank;
}

int
tp_rank_count (void)
{
  return rank_count;
}

int
tp_ranks_failed (int *signal, const char **text)
{
  *signal = failed_signal;
  *text = failed_text;
  return failed_rank;
}

void
tp_ranks_forget (void)
{
  failed_rank = -1;
}

double
tp_ranks_seconds (void)
{
  return seconds;
}

int64_t
tp_ranks_bytes (void)
{
  return received;
}

/* --- Waiting -------------------------------------------------------------- */

/* After a signal the others come to a meeting soon, if they live: those that start a program send signals to
 * all of it, also when one process of it has died, and kill what is left a second later. */
static const double patience = 0.5;

/* Until what was started is over.  A rank that waits for long sleeps: its core may be another's. */
static tp_status
wait_done (void)
{
  double start = tp_clock (), stopped = 0;
  while (!transport->done ())
    {
      double waited = tp_clock () - start;
      if (waited < 1e-4)
        sched_yield ();
      else
        nanosleep (&(struct timespec) { 0, waited < 1e-2 ? 20000 : 500000 }, NULL);
      if (!ended && !stopped && tp_stop_wanted ())
        stopped = tp_clock ();
      if (stopped && tp_clock () - stopped > patience)
        {
          lost = true;
          break;
        }
    }
  seconds += tp_clock () - start;
  return lost ? tp_fail (TP_INTERRUPTED, "other ranks do not answer") : TP_OK;
}

static tp_status
started (bool begun)
{
  if (begun)
    return wait_done ();
  lost = true;
  return tp_fail (TP_IO, "the exchange between ranks failed");
}

/* --- Meeting -------------------------------------------------------------- */

/* Say MINE; TP_OK when all are well.  Into *OVER goes whether all have ended, into *HEARD whether rank 0 has
 * not. */
static tp_status
meet (const word *mine, bool *over, bool *heard)
{
  if (lost)
    return tp_fail (TP_IO, "other ranks do not answer");
  word *all = malloc ((size_t) rank_count * sizeof *all);
  int64_t *bytes = malloc ((size_t) rank_count * sizeof *bytes);
  tp_status status = all && bytes ? TP_OK : tp_fail (TP_NO_MEMORY, "no memory for a meeting");
  if (status == TP_OK)
    {
      for (int r = 0; r < rank_count; r++)
        bytes[r] = sizeof *all;
      status = started (transport->gather (mine, all, bytes));
    }
  if (status == TP_OK)
    {
      int first = -1;
      *over = true;
      *heard = all[0].state != ENDED;
      for (int r = rank_count - 1; r >= 0; r--)
        {
          *over = *over && all[r].state == ENDED;
          if (all[r].state != WELL)
            first = r;
        }
      if (first >= 0)
        {
          failed_rank = first;
          failed_signal = all[first].signal;
          memcpy (failed_text, all[first].text, sizeof all[first].text);
          status = tp_fail (TP_INTERRUPTED, "rank %d: %s", failed_rank, failed_text);
        }
    }
  free (all);
  free (bytes);
  return status;
}

static tp_status
meet_well (void)
{
  bool over, heard;
  return meet (&(word) { WELL, 0, "" }, &over, &heard);
}

bool
tp_ranks_fail (int signal, const char *text)
{
  bool over, heard = own_rank == 0;
  word mine = { FAILED, signal, "" };
  snprintf (mine.text, sizeof mine.text, "%s", text);
  if (rank_count > 1)
    meet (&mine, &over, &heard);
  return heard;
}

/* At the end of the process: come to the others' meetings until all have ended. */
static void
leave (void)
{
  bool over = false, heard;
  ended = true;
  while (!over && !lost)
    meet (&(word) { ENDED, 0, "has ended" }, &over, &heard);
  transport->leave (!lost);
}

tp_status
tp_ranks_join (const tp_transport *t)
{
  const char *problem = "";
  if (transport)
    return TP_OK;
  if (t->version != TP_TRANSPORT)
    return tp_fail (TP_UNSUPPORTED, "the library that exchanges bytes between ranks is of another version");
  if (!t->join (&own_rank, &rank_count, &problem))
    return tp_fail (TP_IO, "%s", problem);
  transport = t;
  atexit (leave);
  return TP_OK;
}

/* --- Exchanges ------------------------------------------------------------ */

static int64_t
total (const int64_t *bytes)
{
  int64_t sum = 0;
  for (int r = 0; r < rank_count; r++)
    sum += bytes[r];
  return sum;
}

tp_status
tp_ranks_gather (const void *mine, void *all, const int64_t *bytes)
{
  if (rank_count == 1)
    {
      memcpy (all, mine, (size_t) bytes[0]);
      return TP_OK;
    }
  tp_status status = meet_well ();
  if (status != TP_OK)
    return status;
  received += total (bytes) - bytes[own_rank];
  return started (transport->gather (mine, all, bytes));
}

tp_status
tp_ranks_gather_any (const void *mine, int64_t count, char **all, int64_t *bytes)
{
  int64_t *lengths = malloc ((size_t) rank_count * sizeof *lengths);
  tp_status status = lengths ? TP_OK : tp_fail (TP_NO_MEMORY, "no memory for an exchange");
  *all = NULL;
  if (status == TP_OK)
    {
      for (int r = 0; r < rank_count; r++)
        lengths[r] = sizeof *lengths;
      status = tp_ranks_gather (&count, bytes, lengths);
    }
  free (lengths);
  if (status != TP_OK)
    return status;
  /* Nobody meets a second time: this is the same exchange. */
  *all = malloc ((size_t) total (bytes) + 1);
  if (!*all)
    return tp_fail (TP_NO_MEMORY, "no memory for %lld bytes of other ranks", (long long) total (bytes));
  if (rank_count == 1)
    {
      memcpy (*all, mine, (size_t) count);
      return TP_OK;
    }
  received += total (bytes) - count;
  return started (transport->gather (mine, *all, bytes));
}

tp_status
tp_ranks_sum (double *values, int64_t count)
{
  if (rank_count == 1)
    return TP_OK;
  double *all = malloc ((size_t) (count * rank_count) * sizeof *all);
  int64_t *bytes = malloc ((size_t) rank_count * sizeof *bytes);
  tp_status status = all && bytes ? TP_OK : tp_fail (TP_NO_MEMORY, "no memory for sums over ranks");
  if (status == TP_OK)
    {
      for (int r = 0; r < rank_count; r++)
        bytes[r] = count * (int64_t) sizeof *values;
      status = tp_ranks_gather (values, all, bytes);
    }
  if (status == TP_OK)
    for (int64_t i = 0; i < count; i++)
      {
        double sum = 0;
        for (int r = 0; r < rank_count; r++)
          sum += all[r * count + i];
        values[i] = sum;
      }
  free (all);
  free (bytes);
  return status;
}

/* Rank r adds up the r-th part of the values, which it gets of everybody, and everybody gets the sum from it:
 * each number travels twice, however many ranks there are. */
tp_status
tp_ranks_sum_f32 (float *values, int64_t count)
{
  if (rank_count == 1)
    return TP_OK;
  int64_t *starts = malloc ((size_t) (rank_count + 1) * sizeof *starts);
  int64_t *bytes = malloc ((size_t) rank_count * sizeof *bytes);
  if (!starts || !bytes)
    {
      free (starts);
      free (bytes);
      return tp_fail (TP_NO_MEMORY, "no memory for sums over ranks");
    }
  for (int r = 0; r <= rank_count; r++)
    starts[r] = count * r / rank_count * (int64_t) sizeof *values;
  for (int r = 0; r < rank_count; r++)
    bytes[r] = starts[r + 1] - starts[r];
  int64_t own = bytes[own_rank] / (int64_t) sizeof *values;
  float *parts = malloc ((size_t) (own * rank_count) * sizeof *parts + 1);
  float *sum = malloc ((size_t) own * sizeof *sum + 1);
  tp_status status = parts && sum ? meet_well () : tp_fail (TP_NO_MEMORY, "no memory for sums over ranks");
  if (status == TP_OK)
    status = started (transport->scatter (values, starts, parts));
  if (status == TP_OK)
    {
      for (int64_t i = 0; i < own; i++)
        {
          sum[i] = parts[i];
          for (int r = 1; r < rank_count; r++)
            sum[i] += parts[r * own + i];
        }
      received += bytes[own_rank] * (rank_count - 1) + total (bytes) - bytes[own_rank];
      status = started (transport->gather (sum, values, bytes));
    }
  free (starts);
  free (bytes);
  free (parts);
  free (sum);
  return status;
}

bool
tp_ranks_share_batch (bool share)
{
  bool before = shared;
  shared = share;
  return before;
}

tp_status
tp_ranks_sum_of_batch (double *values, int64_t count)
{
  return shared ? tp_ranks_sum (values, count) : TP_OK;
}
