/* autograd.c -- the tape in Scheme. */
#include "autograd/tape.h"

#include "guile/binding.h"

static SCM tape_type;

static void
finalize (SCM object)
{
  tp_tape_free (scm_foreign_object_ref (object, 0));
}

static tp_tape *
to_tape (const char *procedure, SCM object)
{
  if (!SCM_IS_A_P (object, tape_type))
    tp_raise_argument (procedure, "tape: expected a tape");
  return scm_foreign_object_ref (object, 0);
}

static SCM
make_tape (void)
{
  tp_tape *tape = tp_tape_create ();
  if (!tape)
    tp_raise ("make-tape");
  return scm_make_foreign_object_1 (tape_type, tape);
}

/* The tape in use, as SCM, so that the collector sees it. */
static SCM current = SCM_BOOL_F;

static SCM
tape_enter (SCM tape)
{
  tp_tape *t = scm_is_false (tape) ? NULL : to_tape ("tape-enter!", tape);
  if (t && t != tp_tape_current () && tp_tape_open (t))
    tp_raise_argument ("tape-enter!", "tape: it is open already, around the one in use, which would "
                       "not see what is recorded now");
  SCM before = current;
  tp_tape_enter (t);
  current = tape;
  return before;
}

static SCM
tape_leave (SCM before)
{
  tp_forget_recording ();
  tp_tape_leave (scm_is_false (before) ? NULL : to_tape ("tape-leave!", before));
  current = before;
  return SCM_UNSPECIFIED;
}

static SCM
tape_open (void)
{
  return scm_from_bool (tp_tape_current () != NULL);
}

static SCM
tape_gradients (SCM tape, SCM loss, SCM parameters)
{
  const char *me = "tape-gradients";
  long count = scm_is_true (scm_list_p (parameters)) ? scm_ilength (parameters) : -1;
  if (count < 0)
    tp_raise_argument (me, "parameters: expected a list of tensors");
  tp_tensor **list = scm_gc_malloc ((size_t) (2 * count + 1) * sizeof *list, "parameters");
  tp_tensor **gradients = list + count;
  SCM rest = parameters;
  for (long i = 0; i < count; i++, rest = scm_cdr (rest))
    list[i] = tp_to_tensor (me, "parameter", scm_car (rest));
  tp_require (me, tp_tape_gradients (to_tape (me, tape), tp_to_tensor (me, "loss", loss), list,
                                     (int) count, gradients));
  SCM result = SCM_EOL;
  for (long i = count; i-- > 0;)
    result = scm_cons (gradients[i] ? tp_from_tensor (me, gradients[i]) : SCM_BOOL_F, result);
  scm_remember_upto_here (tape, loss, parameters);
  return result;
}

static SCM
tape_backward (SCM tape, SCM loss, SCM seed)
{
  const char *me = "tape-backward!";
  tp_require (me, tp_tape_backward (to_tape (me, tape), tp_to_tensor (me, "loss", loss),
                                    tp_to_tensor_or_null (me, "seed", seed)));
  return SCM_UNSPECIFIED;
}

static SCM
tape_length (SCM tape)
{
  return scm_from_int (tp_tape_length (to_tape ("tape-length", tape)));
}

static SCM
require_gradient (SCM t)
{
  tp_tensor *x = tp_to_tensor ("require-gradient!", "tensor", t);
  x->requires_grad = true;
  x->tape = 0; /* wherever it was made: gradients begin here */
  if (!tp_tape_current ())
    x->made = 0; /* a parameter, which may change: no tape needs it as a result */
  return t;
}

static SCM
gradient (SCM t)
{
  tp_tensor *x = tp_to_tensor ("tensor-gradient", "tensor", t);
  if (!x->grad || !tp_buffer_data (x->grad->buffer))
    return SCM_BOOL_F;
  return tp_from_tensor ("tensor-gradient", tp_tensor_ref (x->grad));
}

static SCM
clear_gradient (SCM t)
{
  tp_tensor *x = tp_to_tensor ("clear-gradient!", "tensor", t);
  tp_tensor_free (x->grad);
  x->grad = NULL;
  return SCM_UNSPECIFIED;
}

void
tp_init_autograd (void)
{
  tape_type = scm_make_foreign_object_type (scm_from_utf8_symbol ("<tape>"),
                                            scm_list_1 (scm_from_utf8_symbol ("pointer")), finalize);
  scm_gc_protect_object (tape_type);
  scm_permanent_object (current);
  scm_c_define ("<tape>", tape_type);
  scm_c_export ("<tape>", NULL);
  tp_define ("make-tape", 0, 0, make_tape, "",
             "An empty tape, for with-tape.\nExample: (make-tape)");
  tp_define ("tape-enter!", 1, 0, tape_enter, "tape",
             "Record operations on TAPE (#f: on none) from now on; returns the tape before.\n"
             "Use with-tape.\nExample: (tape-leave! (tape-enter! #f))");
  tp_define ("tape-leave!", 1, 0, tape_leave, "before",
             "Record on the tape BEFORE again, which `tape-enter!' has returned.  Use with-tape.\n"
             "Example: (tape-leave! (tape-enter! #f))");
  tp_define ("tape-open?", 0, 0, tape_open, "",
             "Whether operations are recorded.\n"
             "Example: (with-tape (make-tape) tape-open?) => #t");
  tp_define ("tape-backward!", 2, 1, tape_backward, "tape loss seed",
             "Propagate from LOSS, one element made under TAPE, to every tensor that requires a\n"
             "gradient, where it accumulates.  With SEED, of LOSS's shape, instead of 1: a\n"
             "vector-Jacobian product.  The tape is empty afterwards.  No other tape may be open\n"
             "around it: see `gradients'.\n"
             "Example: (let ((tape (make-tape)) (w (require-gradient! (list->tensor '(1 2)))))\n"
             "           (tape-backward! tape (with-tape tape (lambda () (tensor-sum (tensor* w w)))))\n"
             "           (tensor->list (tensor-gradient w))) => (2.0 4.0)");
  tp_define ("tape-gradients", 3, 0, tape_gradients, "tape loss parameters",
             "The list of the gradients of LOSS with respect to the tensors PARAMETERS, #f where it\n"
             "does not depend on one; what `tensor-gradient' has stays as it was.  On the tape that\n"
             "is open around TAPE, if one is.  Use gradients.\n"
             "Example: (let ((tape (make-tape)) (w (require-gradient! (list->tensor '(1 2)))))\n"
             "           (map tensor->list (tape-gradients tape (with-tape tape (lambda () (tensor-sum (tensor* w w))))\n"
             "                                             (list w)))) => ((2.0 4.0))");
  tp_define ("tape-length", 1, 0, tape_length, "tape",
             "How many operations TAPE holds.\nExample: (tape-length (make-tape)) => 0");
  tp_define ("require-gradient!", 1, 0, require_gradient, "tensor",
             "Mark TENSOR, so that operations on it are recorded; returns TENSOR.\n"
             "Example: (require-gradient! (tensor-zeros '(3)))");
  tp_define ("tensor-gradient", 1, 0, gradient, "tensor",
             "The gradient accumulated for TENSOR, or #f.\n"
             "Example: (tensor-gradient (require-gradient! (tensor-zeros '(3)))) => #f");
  tp_define ("clear-gradient!", 1, 0, clear_gradient, "tensor",
             "Forget TENSOR's gradient.\n"
             "Example: (clear-gradient! (require-gradient! (tensor-zeros '(3))))");
  tp_define_reading ("tape-backward! tape-gradients require-gradient! tensor-gradient clear-gradient!");
}
