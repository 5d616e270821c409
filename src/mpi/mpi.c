/* mpi.c -- bytes between ranks by MPI (core/ranks.h): a library of its own, which is loaded when mpirun or srun
 * has started the program.
 *
 * Of MPI it takes what version 3 of the standard has, so that any implementation will do.  Whoever waits
 * asks `done', and may look for signals meanwhile. */
#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/ranks.h"

static int rank, count;
static MPI_Request request = MPI_REQUEST_NULL;
static int *counts, *starts; /* of an operation, by rank: what is sent, */
static int *own_counts, *own_starts; /* and what is received of a `scatter' */

static bool
join (int *own, int *all, const char **problem)
{
  int started, provided;
  MPI_Initialized (&started);
  if (!started && MPI_Init_thread (NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    {
      *problem = "MPI_Init failed";
      return false;
    }
  MPI_Comm_set_errhandler (MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank (MPI_COMM_WORLD, &rank);
  MPI_Comm_size (MPI_COMM_WORLD, &count);
  counts = malloc ((size_t) count * 4 * sizeof *counts);
  if (!counts)
    {
      *problem = "no memory";
      return false;
    }
  starts = counts + count;
  own_counts = starts + count;
  own_starts = own_counts + count;
  *own = rank;
  *all = count;
  return true;
}

/* Counts of MPI are ints: bytes are sent as they are where they are few, else in fours.  The number of bytes
 * of a unit, or 0 if that is not enough. */
static int
unit_of (int64_t all, bool fours)
{
  return all <= INT32_MAX ? 1 : fours && all / 4 <= INT32_MAX ? 4 : 0;
}

static MPI_Datatype
type_of (int unit)
{
  return unit == 4 ? MPI_INT32_T : MPI_BYTE;
}

static bool
gather (const void *mine, void *all, const int64_t *bytes)
{
  int64_t sum = 0;
  bool fours = true;
  for (int r = 0; r < count; r++)
    {
      sum += bytes[r];
      fours = fours && bytes[r] % 4 == 0;
    }
  int unit = unit_of (sum, fours);
  if (!unit)
    return false;
  int64_t at = 0;
  for (int r = 0; r < count; r++)
    {
      counts[r] = (int) (bytes[r] / unit);
      starts[r] = (int) (at / unit);
      at += bytes[r];
    }
  return MPI_Iallgatherv (mine, counts[rank], type_of (unit), all, counts, starts, type_of (unit),
                          MPI_COMM_WORLD, &request) == MPI_SUCCESS;
}

static bool
scatter (const void *mine, const int64_t *from, void *parts)
{
  int64_t own = from[rank + 1] - from[rank], most = own * count > from[count] ? own * count : from[count];
  bool fours = own % 4 == 0;
  for (int r = 0; r <= count; r++)
    fours = fours && from[r] % 4 == 0;
  int unit = unit_of (most, fours);
  if (!unit)
    return false;
  for (int r = 0; r < count; r++)
    {
      counts[r] = (int) ((from[r + 1] - from[r]) / unit);
      starts[r] = (int) (from[r] / unit);
      own_counts[r] = (int) (own / unit);
      own_starts[r] = (int) (own * r / unit);
    }
  return MPI_Ialltoallv (mine, counts, starts, type_of (unit), parts, own_counts, own_starts,
                         type_of (unit), MPI_COMM_WORLD, &request) == MPI_SUCCESS;
}

static bool
done (void)
{
  int over = 0;
  /* What has failed is over too; the next meeting finds it out. */
  return MPI_Test (&request, &over, MPI_STATUS_IGNORE) != MPI_SUCCESS || over;
}

static void
leave (bool whole)
{
  if (whole)
    MPI_Finalize ();
  else
    MPI_Abort (MPI_COMM_WORLD, 1);
}

extern const tp_transport tempera_transport;
const tp_transport tempera_transport = { TP_TRANSPORT, join, gather, scatter, done, leave };
