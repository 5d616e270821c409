/* tape.c -- the tape: a list of records, played backwards. */
#include "autograd/tape.h"

#include <stdlib.h>

#include "autograd/operations.h"
#include "core/profile.h"
#include "core/stop.h"

enum { TENSORS = TP_MAX_INPUTS + TP_MAX_SAVED + 1 };

typedef struct {
  tp_record record;
  tp_backward backward;
  const char *layer;          /* whose operation it is, to a profile */
  const char *operation;      /* tp_tape_name */
  unsigned versions[TENSORS]; /* of what is needed, in the order of each_needed */
} entry;

struct tp_tape {
  entry *entries;
  int length, room;
  uint64_t serial; /* another one after every playing */
  tp_tape *outer;  /* while it is open: the one it was opened inside of */
  int opened;      /* how many times it was entered and not left */
};

static atomic_uint_fast64_t serials;
static _Thread_local tp_tape *current;
static _Thread_local const char *operation_now;

tp_tape *
tp_tape_create (void)
{
  tp_tape *tape = calloc (1, sizeof *tape);
  if (!tape)
    {
      tp_fail (TP_NO_MEMORY, "tape: no memory");
      return NULL;
    }
  tape->serial = atomic_fetch_add (&serials, 1) + 1;
  return tape;
}

/* Call VISIT with each tensor whose values E's backward reads, and the version noted of it;
 * stops where it fails. */
static tp_status
each_needed (entry *e, tp_status (*visit) (tp_tensor *, unsigned *version, const char *operation))
{
  const tp_record *r = &e->record;
  unsigned *version = e->versions;
  tp_status status = TP_OK;
  if (!(r->unneeded & TP_OUTPUT_UNNEEDED))
    status = visit (r->output, version++, e->operation);
  for (int i = 0; status == TP_OK && i < r->input_count; i++)
    if (r->inputs[i] && !(r->unneeded >> i & 1))
      status = visit (r->inputs[i], version++, e->operation);
  for (int i = 0; status == TP_OK && i < TP_MAX_SAVED; i++)
    if (r->saved[i])
      status = visit (r->saved[i], version++, e->operation);
  return status;
}

static tp_status
need (tp_tensor *t, unsigned *version, const char *operation)
{
  (void) operation;
  t->needed++;
  *version = tp_buffer_version (t->buffer);
  return TP_OK;
}

static tp_status
need_no_more (tp_tensor *t, unsigned *version, const char *operation)
{
  (void) version;
  (void) operation;
  t->needed--;
  return TP_OK;
}

/* Values that were let go come back; others must be those that were recorded. */
static tp_status
ready (tp_tensor *t, unsigned *version, const char *operation)
{
  char text[TP_SHAPE_TEXT];
  tp_status status = tp_tensor_restore (t);
  if (status != TP_OK)
    return status;
  if (!tp_buffer_data (t->buffer))
    return tp_fail (TP_BAD_ARGUMENT, "%s: its gradient needs a tensor %s %s whose scope has closed; "
                    "go backward inside the scope, or `keep!' it", operation,
                    tp_dtype_name (t->dtype), tp_shape_text (text, t->rank, t->shape));
  if (tp_buffer_version (t->buffer) != *version)
    return tp_fail (TP_BAD_ARGUMENT, "%s: its gradient needs a tensor %s %s as it was, but it was "
                    "changed in place after its use on the tape; change a copy, or change it after "
                    "the gradient", operation, tp_dtype_name (t->dtype),
                    tp_shape_text (text, t->rank, t->shape));
  return TP_OK;
}

static void
entry_release (entry *e)
{
  each_needed (e, need_no_more);
  tp_tensor_free (e->record.output);
  for (int i = 0; i < e->record.input_count; i++)
    tp_tensor_free (e->record.inputs[i]);
  for (int i = 0; i < TP_MAX_SAVED; i++)
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
  if (tape && tape->opened++ == 0)
    tape->outer = before;
  current = tape;
  return before;
}

bool
tp_tape_open (const tp_tape *tape)
{
  for (const tp_tape *t = current; t; t = t->outer)
    if (t == tape)
      return true;
  return false;
}

void
tp_tape_leave (tp_tape *before)
{
  if (current)
    current->opened--;
  current = before;
}

tp_tape *
tp_tape_current (void)
{
  return current;
}

void
tp_tape_name (const char *operation)
{
  operation_now = operation;
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
tp_tape_constant (const tp_tensor *t, const char *name)
{
  if (!current || !tp_wants_grad (t))
    return TP_OK;
  return tp_fail (TP_UNSUPPORTED, "%s: it wants a gradient, which this operation does not give it; "
                  "for a constant, pass a copy made inside `no-tape'", name);
}

/* Whether a tensor that wants a gradient is made on no tape, or on all that need to know: made
 * outside of an inner one it is constant to that, but the outermost must have it. */
static bool
belongs (const tp_tensor *t)
{
  const tp_tape *outermost = current;
  while (outermost->outer)
    outermost = outermost->outer;
  return !tp_wants_grad (t) || !t->tape || t->tape == outermost->serial;
}

/* Whether a record's output holds other values than the record gave it. */
static bool
overwritten (const tp_tensor *t)
{
  return tp_wants_grad (t) && t->made && t->made != tp_buffer_version (t->buffer) + 1;
}

static tp_status
append (tp_tape *tape, const tp_record *record, tp_backward backward)
{
  if (tape->length == tape->room)
    {
      int room = tape->room ? 2 * tape->room : 64;
      entry *entries = realloc (tape->entries, (size_t) room * sizeof *entries);
      if (!entries)
        return tp_fail (TP_NO_MEMORY, "tape: no memory for %d records", room);
      tape->entries = entries;
      tape->room = room;
    }
  entry *e = &tape->entries[tape->length++];
  e->record = *record;
  e->backward = backward;
  e->layer = tp_layer_now ();
  e->operation = operation_now ? operation_now : "tape";
  tp_tensor_ref (record->output);
  for (int i = 0; i < record->input_count; i++)
    if (record->inputs[i])
      tp_tensor_ref (record->inputs[i]);
  for (int i = 0; i < TP_MAX_SAVED; i++)
    if (record->saved[i])
      tp_tensor_ref (record->saved[i]);
  return each_needed (e, need);
}

tp_status
tp_tape_record (const tp_record *record, tp_backward backward)
{
  for (int i = 0; i < TP_MAX_SAVED; i++)
    if (tp_tape_constant (record->saved[i], "saved") != TP_OK)
      return tp_last_status ();
  if (!tp_tape_wants (record->inputs, record->input_count))
    return TP_OK;
  for (int i = 0; i < record->input_count; i++)
    if (!belongs (record->inputs[i]))
      return tp_fail (TP_BAD_ARGUMENT, "an input was made on another tape, which this gradient would "
                      "not reach; make it on this one, or for a constant copy it inside `no-tape'");
    else if (overwritten (record->inputs[i]))
      return tp_fail (TP_BAD_ARGUMENT, "an input was changed in place after it was made on the tape, and "
                      "its gradient is no more that of what made it; change a copy");
  tp_status status = TP_OK;
  for (tp_tape *tape = current; status == TP_OK && tape; tape = tape->outer)
    {
      status = append (tape, record, backward);
      record->output->tape = tape->serial; /* the outermost stays */
    }
  record->output->made = tp_buffer_version (record->output->buffer) + 1;
  record->output->requires_grad = true;
  return status;
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
  if (tp_stopped ())
    {
      tp_tensor_free (g);
      return tp_stop_status ();
    }
  if (!t->grad || !tp_buffer_data (t->grad->buffer))
    { /* none yet, or one whose scope has closed */
      tp_tensor_free (t->grad);
      t->grad = g;
      return TP_OK;
    }
  if (current)
    { /* what is recorded is not changed in place */
      tp_tensor *sum = tp_diff_map2 (TP_ADD, t->grad, g);
      tp_tensor_free (g);
      tp_tensor_free (t->grad);
      t->grad = sum;
      return sum ? TP_OK : tp_last_status ();
    }
  tp_status status = tp_axpby (1, g, 1, t->grad);
  tp_tensor_free (g);
  return status;
}

static tp_status
check_loss (const tp_tape *tape, const tp_tensor *loss, const tp_tensor *seed)
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
  if (!seed && loss->dtype != TP_F32)
    return tp_fail (TP_BAD_SHAPE, "loss: expected f32, got c64; a loss is real");
  if (overwritten (loss))
    return tp_fail (TP_BAD_ARGUMENT, "loss: it was changed in place after it was made on the tape; change "
                    "a copy");
  /* A parameter is its own loss; all else must be a record's output. */
  bool found = !loss->tape;
  for (int i = tape->length - 1; !found && i >= 0; i--)
    found = tape->entries[i].record.output == loss;
  if (!found)
    return tp_fail (TP_BAD_ARGUMENT, tape->length
                    ? "loss: it was made on another tape than this"
                    : "loss: this tape is empty: it was played before, or the loss was made on "
                      "another; record the loss anew");
  return TP_OK;
}

/* Play TAPE from LOSS, the open tape being the one that records the playing. */
static tp_status
play (tp_tape *tape, tp_tensor *loss, const tp_tensor *seed)
{
  /* What a tape played meanwhile has left at inner nodes is not of this loss. */
  for (int i = 0; i < tape->length; i++)
    {
      tp_tensor *output = tape->entries[i].record.output;
      tp_tensor_free (output->grad);
      output->grad = NULL;
    }
  tp_tensor *g = seed ? tp_copy (seed) : tp_tensor_like (loss);
  tp_status status = g ? TP_OK : tp_last_status ();
  if (g && !seed)
    status = tp_fill (g, 1);
  if (status == TP_OK)
    status = tp_accumulate_grad (loss, g);
  else
    tp_tensor_free (g);
  const char *layer = tp_layer_now (), *operation = operation_now;
  while (tape->length > 0)
    {
      entry *e = &tape->entries[--tape->length];
      if (tp_profiling)
        tp_layer_enter (e->layer);
      operation_now = e->operation;
      if (status == TP_OK && e->record.output->grad)
        status = each_needed (e, ready);
      if (status == TP_OK && e->record.output->grad && current && !e->record.twice)
        status = tp_fail (TP_UNSUPPORTED, "%s: the gradient of its gradient is not known; for a "
                          "constant, take the inner gradient inside `no-tape'", e->operation);
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
  operation_now = operation;
  tape->serial = atomic_fetch_add (&serials, 1) + 1;
  return status;
}

/* The tape that is open around TAPE, which itself may be. */
static tp_tape *
around (const tp_tape *tape)
{
  return current == tape ? tape->outer : current;
}

tp_status
tp_tape_backward (tp_tape *tape, tp_tensor *loss, const tp_tensor *seed)
{
  if (check_loss (tape, loss, seed) != TP_OK)
    return tp_last_status ();
  if (around (tape))
    return tp_fail (TP_UNSUPPORTED, "tape: another one is open around it, and what accumulates would be "
                    "added to that one's gradients; use `gradients', or `no-tape' around both");
  tp_tape *before = tp_tape_enter (NULL); /* backward functions record nothing */
  tp_status status = play (tape, loss, seed);
  tp_tape_leave (before);
  return status;
}

/* A tensor whose gradient is put aside. */
typedef struct {
  tp_tensor *t, *grad;
} aside;

tp_status
tp_tape_gradients (tp_tape *tape, tp_tensor *loss, tp_tensor *const *parameters, int count,
                   tp_tensor **gradients)
{
  for (int i = 0; i < count; i++)
    gradients[i] = NULL;
  if (check_loss (tape, loss, NULL) != TP_OK)
    return tp_last_status ();
  size_t room = (size_t) tape->length * TP_MAX_INPUTS + (size_t) count + 1, kept = 0;
  aside *stack = malloc (room * sizeof *stack);
  if (!stack)
    return tp_fail (TP_NO_MEMORY, "tape: no memory to put %zu gradients aside", room);
#define PUT_ASIDE(tensor)                                                     \
  do {                                                                        \
    tp_tensor *put = (tensor);                                                \
    stack[kept++] = (aside) { tp_tensor_ref (put), put->grad };               \
    put->grad = NULL;                                                         \
  } while (0)
  for (int i = 0; i < count; i++)
    PUT_ASIDE (parameters[i]);
  PUT_ASIDE (loss);
  for (int i = 0; i < tape->length; i++)
    for (int k = 0; k < tape->entries[i].record.input_count; k++)
      if (tp_wants_grad (tape->entries[i].record.inputs[k]))
        PUT_ASIDE (tape->entries[i].record.inputs[k]);
#undef PUT_ASIDE
  tp_tape *before = current;
  current = around (tape); /* a look outside, not an entry */
  tp_status status = play (tape, loss, NULL);
  current = before;
  for (int i = 0; status == TP_OK && i < count; i++)
    gradients[i] = parameters[i]->grad ? tp_tensor_ref (parameters[i]->grad) : NULL;
  /* The first time that a tensor was put aside is the last here. */
  while (kept > 0)
    {
      aside a = stack[--kept];
      tp_tensor_free (a.t->grad);
      a.t->grad = a.grad;
      tp_tensor_free (a.t);
    }
  free (stack);
  return status;
}
