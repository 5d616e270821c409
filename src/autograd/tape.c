/* tape.c -- the tape: a list of records, played backwards. */
#include "autograd/tape.h"

#include <stdlib.h>

#include "core/profile.h"

typedef struct {
  tp_record record;
  tp_backward backward;
  const char *layer; /* whose operation it is, to a profile */
} entry;

struct tp_tape {
  entry *entries;
  int length, room;
};

static _Thread_local tp_tape *current;

tp_tape *
tp_tape_create (void)
{
  tp_tape *tape = calloc (1, sizeof *tape);
  if (!tape)
    tp_fail (TP_NO_MEMORY, "tape: no memory");
  return tape;
}

/* Call VISIT with each tensor whose values E's backward reads; stops where it fails. */
static tp_status
each_needed (entry *e, tp_status (*visit) (tp_tensor *))
{
  const tp_record *r = &e->record;
  tp_status status = r->unneeded & TP_OUTPUT_UNNEEDED ? TP_OK : visit (r->output);
  for (int i = 0; status == TP_OK && i < r->input_count; i++)
    if (r->inputs[i] && !(r->unneeded >> i & 1))
      status = visit (r->inputs[i]);
  return status;
}

static tp_status
need (tp_tensor *t)
{
  t->needed++;
  return TP_OK;
}

static tp_status
need_no_more (tp_tensor *t)
{
  t->needed--;
  return TP_OK;
}

/* Values that were let go come back. */
static tp_status
restore (tp_tensor *t)
{
  return !t->buffer && t->restore ? t->restore (t) : TP_OK;
}

static void
entry_release (entry *e)
{
  each_needed (e, need_no_more);
  tp_tensor_free (e->record.output);
  for (int i = 0; i < e->record.input_count; i++)
    tp_tensor_free (e->record.inputs[i]);
  for (int i = 0; i < 4; i++)
    tp_tensor_free (e->record.saved[i]);
}

static void
clear (tp_tape *tape)
{
  while (tape->length > 0)
    entry_release (&tape->entries[--tape->length]);
}

void
tp_tape_free (tp_tape *tape)
{
  if (!tape)
    return;
  clear (tape);
  free (tape->entries);
  free (tape);
}

tp_tape *
tp_tape_enter (tp_tape *tape)
{
  tp_tape *before = current;
  current = tape;
  return before;
}

bool
tp_wants_grad (const tp_tensor *t)
{
  return t && t->requires_grad;
}

bool
tp_tape_wants (tp_tensor *const *inputs, int count)
{
  if (!current)
    return false;
  for (int i = 0; i < count; i++)
    if (tp_wants_grad (inputs[i]))
      return true;
  return false;
}

tp_status
tp_tape_record (const tp_record *record, tp_backward backward)
{
  if (!tp_tape_wants (record->inputs, record->input_count))
    return TP_OK;
  if (current->length == current->room)
    {
      int room = current->room ? 2 * current->room : 64;
      entry *entries = realloc (current->entries, (size_t) room * sizeof *entries);
      if (!entries)
        return tp_fail (TP_NO_MEMORY, "tape: no memory for %d records", room);
      current->entries = entries;
      current->room = room;
    }
  entry *e = &current->entries[current->length++];
  e->record = *record;
  e->backward = backward;
  e->layer = tp_layer_now ();
  tp_tensor_ref (record->output);
  for (int i = 0; i < record->input_count; i++)
    if (record->inputs[i])
      tp_tensor_ref (record->inputs[i]);
  for (int i = 0; i < 4; i++)
    if (record->saved[i])
      tp_tensor_ref (record->saved[i]);
  each_needed (e, need);
  record->output->requires_grad = true;
  return TP_OK;
}

int
tp_tape_length (const tp_tape *tape)
{
  return tape->length;
}

tp_status
tp_accumulate_grad (tp_tensor *t, tp_tensor *g)
{
  if (!g)
    return tp_last_status ();
  if (!t->grad || !tp_buffer_data (t->grad->buffer))
    { /* none yet, or one whose scope has closed */
      tp_tensor_free (t->grad);
      t->grad = g;
      return TP_OK;
    }
  tp_status status = tp_axpby (1, g, 1, t->grad);
  tp_tensor_free (g);
  return status;
}

tp_status
tp_tape_backward (tp_tape *tape, tp_tensor *loss, const tp_tensor *seed)
{
  char text[TP_SHAPE_TEXT];
  if (!seed && tp_tensor_count (loss) != 1)
    return tp_fail (TP_BAD_SHAPE, "loss: expected one element (or give a seed of its shape), got %s",
                    tp_shape_text (text, loss->rank, loss->shape));
  if (seed && tp_check_shape (seed, "seed", loss->dtype, loss->rank, loss->shape) != TP_OK)
    return tp_last_status ();
  if (!loss->requires_grad)
    return tp_fail (TP_BAD_ARGUMENT, "loss: it was not made on this tape from anything that "
                    "requires a gradient");
  tp_tape *before = tp_tape_enter (NULL); /* backward functions record nothing */
  tp_tensor *g = seed ? tp_copy (seed) : tp_tensor_like (loss);
  tp_status status = g ? TP_OK : tp_last_status ();
  if (g && !seed)
    status = tp_fill (g, 1);
  if (status == TP_OK)
    status = tp_accumulate_grad (loss, g);
  else
    tp_tensor_free (g);
  const char *layer = tp_layer_now ();
  while (tape->length > 0)
    {
      entry *e = &tape->entries[--tape->length];
      if (tp_profiling)
        tp_layer_enter (e->layer);
      if (status == TP_OK && e->record.output->grad)
        status = each_needed (e, restore);
      if (status == TP_OK && e->record.output->grad)
        status = e->backward (&e->record);
      /* An inner node's gradient has been passed on; what asked for a gradient
       * itself is no operation's output, and keeps it. */
      tp_tensor_free (e->record.output->grad);
      e->record.output->grad = NULL;
      entry_release (e);
    }
  if (tp_profiling)
    tp_layer_enter (layer);
  tp_tape_enter (before);
  return status;
}
