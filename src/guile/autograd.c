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
  SCM before = current;
  tp_tape_enter (t);
  current = tape;
  return before;
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
  tp_to_tensor ("require-gradient!", "tensor", t)->requires_grad = true;
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
             "Use with-tape.\nExample: (tape-enter! #f)");
  tp_define ("tape-backward!", 2, 1, tape_backward, "tape loss seed",
             "Propagate from LOSS, one element made under TAPE, to every tensor that requires a\n"
             "gradient, where it accumulates.  With SEED, of LOSS's shape, instead of 1: a\n"
             "vector-Jacobian product.  The tape is empty afterwards.\n"
             "Example: (let ((tape (make-tape)) (w (require-gradient! (list->tensor '(1 2)))))\n"
             "           (tape-backward! tape (with-tape tape (lambda () (tensor-sum (tensor* w w)))))\n"
             "           (tensor->list (tensor-gradient w))) => (2.0 4.0)");
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
}
