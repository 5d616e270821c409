/* ranks.c -- ranks in Scheme: joining, meetings, exchanges of texts, rows and sums. */
#include <stdlib.h>
#include <string.h>

#include "core/ranks.h"
#include "guile/binding.h"

static SCM
join (SCM pointer)
{
  const char *me = "ranks-join!";
  if (!SCM_POINTER_P (pointer))
    tp_raise_argument (me, "transport: expected a pointer");
  tp_require (me, tp_ranks_join (scm_to_pointer (pointer)));
  return SCM_UNSPECIFIED;
}

static SCM
rank (void)
{
  return scm_from_int (tp_rank ());
}

static SCM
size (void)
{
  return scm_from_int (tp_rank_count ());
}

static SCM
fail (SCM signal, SCM text)
{
  const char *me = "ranks-fail!";
  int number = (int) tp_to_int (me, "signal", signal, 0, 64);
  char *reason = tp_to_string (me, "text", text);
  bool heard = tp_ranks_fail (number, reason);
  free (reason);
  return scm_from_bool (heard);
}

static SCM
failure (void)
{
  int signal;
  const char *text;
  int who = tp_ranks_failed (&signal, &text);
  if (who < 0)
    return SCM_BOOL_F;
  tp_ranks_forget ();
  return scm_list_3 (scm_from_int (who), scm_from_int (signal),
                     scm_from_stringn (text, strlen (text), "UTF-8",
                                       SCM_FAILED_CONVERSION_QUESTION_MARK));
}

static SCM
gather_texts (SCM text)
{
  const char *me = "ranks-gather-texts";
  char *mine = tp_to_string (me, "text", text), *all;
  int64_t *bytes = scm_gc_malloc_pointerless ((size_t) tp_rank_count () * sizeof *bytes, "ranks");
  tp_status status = tp_ranks_gather_any (mine, (int64_t) strlen (mine), &all, bytes);
  free (mine);
  if (status != TP_OK)
    {
      free (all);
      tp_raise (me);
    }
  SCM texts = SCM_EOL;
  const char *at = all;
  for (int r = 0; r < tp_rank_count (); at += bytes[r++])
    texts = scm_cons (scm_from_utf8_stringn (at, (size_t) bytes[r]), texts);
  free (all);
  tp_raise_stop ();
  return scm_reverse_x (texts, SCM_EOL);
}

static SCM
gather_rows (SCM whole, SCM mine)
{
  const char *me = "ranks-gather-rows!";
  tp_tensor *all = tp_to_tensor (me, "whole", whole), *own = tp_to_tensor_or_null (me, "mine", mine);
  int ranks = tp_rank_count ();
  if (all->rank < 1 || !tp_tensor_contiguous (all))
    tp_raise_argument (me, "whole: expected contiguous rows");
  int64_t rows = all->shape[0], row = rows ? tp_tensor_count (all) / rows * (int64_t) tp_dtype_size (all->dtype) : 0;
  int64_t *bytes = scm_gc_malloc_pointerless ((size_t) ranks * sizeof *bytes, "ranks");
  for (int r = 0; r < ranks; r++)
    bytes[r] = (rows * (r + 1) / ranks - rows * r / ranks) * row;
  bool fits = own ? own->dtype == all->dtype && tp_tensor_contiguous (own)
                    && tp_tensor_count (own) * (int64_t) tp_dtype_size (own->dtype) == bytes[tp_rank ()]
                  : bytes[tp_rank ()] == 0;
  if (!fits)
    tp_raise_argument (me, "mine: expected the rows of this rank, of the type of the whole");
  tp_require (me, tp_ranks_gather (own ? (void *) tp_f32 (own) : "", tp_f32 (all), bytes));
  tp_tensor_changed (all);
  scm_remember_upto_here_2 (whole, mine);
  return SCM_UNSPECIFIED;
}

static SCM
sum (SCM tensor)
{
  const char *me = "ranks-sum!";
  tp_tensor *t = tp_to_tensor (me, "tensor", tensor);
  tp_require (me, tp_check (t, "tensor", TP_F32, -1));
  tp_require (me, tp_ranks_sum_f32 (tp_f32 (t), tp_tensor_count (t)));
  tp_tensor_changed (t);
  scm_remember_upto_here_1 (tensor);
  return tensor;
}

static SCM
share_batch (SCM share)
{
  return scm_from_bool (tp_ranks_share_batch (scm_is_true (share)));
}

static SCM
exchanged (void)
{
  return scm_cons (scm_from_double (tp_ranks_seconds ()), scm_from_int64 (tp_ranks_bytes ()));
}

void
tp_init_ranks (void)
{
  tp_define ("mpi-rank", 0, 0, rank, "",
             "Which of the processes that mpirun or srun has started for a program this one is, from 0; 0 where\n"
             "there is one.\nExample: (mpi-rank) => 0");
  tp_define ("mpi-size", 0, 0, size, "",
             "How many processes mpirun or srun has started for a program that compute together; 1 without\n"
             "them.\nExample: (mpi-size) => 1");
  tp_define ("ranks-join!", 1, 0, join, "transport",
             "Join the other ranks by TRANSPORT, a pointer to what src/mpi exports.");
  tp_define ("ranks-fail!", 2, 0, fail, "signal text",
             "Come to the other ranks' next meeting and say that this one goes no further, by SIGNAL or, where that\n"
             "is 0, for the reason TEXT.  Whether rank 0 has heard of it.");
  tp_define ("ranks-failure!", 0, 0, failure, "",
             "Which rank had failed at a meeting since the last call, its signal or 0, and why, a list; or #f.\n"
             "Example: (ranks-failure!) => #f");
  tp_define ("ranks-gather-texts", 1, 0, gather_texts, "text",
             "The TEXTs of all ranks, a list in their order.\n"
             "Example: (ranks-gather-texts \"here\") => (\"here\")");
  tp_define ("ranks-gather-rows!", 2, 0, gather_rows, "whole mine",
             "Fill WHOLE, (N ...), with the rows MINE of all ranks, in their order: of rank r out of R those from\n"
             "N r / R, rounded down, to N (r + 1) / R.  MINE is #f where a rank has none.\n"
             "Example: (ranks-gather-rows! (tensor-zeros '(2)) (list->tensor '(1 2)))");
  tp_define ("ranks-sum!", 1, 0, sum, "tensor",
             "Add up TENSOR, f32, over all ranks, in their order, in place; return it.\n"
             "Example: (tensor->list (ranks-sum! (list->tensor '(1 2)))) => (1.0 2.0)");
  tp_define ("ranks-share-batch!", 1, 0, share_batch, "share",
             "Whether all ranks have parts of one batch from now on: then batch norm takes its statistics over\n"
             "all.  Returns what it was.\nExample: (ranks-share-batch! #f) => #f");
  tp_define ("mpi-exchanged", 0, 0, exchanged, "",
             "How long this rank has spent in exchanges with the others, in seconds, waiting for them included, and\n"
             "how many bytes it has received, a pair.\nExample: (mpi-exchanged) => (0.0 . 0)");
  tp_define_reading ("mpi-rank mpi-size ranks-join! ranks-fail! ranks-failure! ranks-gather-texts ranks-gather-rows! "
                     "ranks-sum! ranks-share-batch! mpi-exchanged");
}
