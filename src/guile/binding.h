/* binding.h -- what every file of bindings shares.
 *
 * A primitive is registered with its argument names and its documentation, so
 * that ,describe shows both.  A failure of the core becomes an exception with
 * key `tempera-error', the procedure's name, and the core's message. */
#ifndef TP_BINDING_H
#define TP_BINDING_H

#include <libguile.h>

#include "tensor/tensor.h"

/* Register C FUNCTION (of REQUIRED + OPTIONAL SCM arguments) as NAME in the
 * current module and export it.  ARGUMENTS: "x weights bias"; DOC: the docstring. */
void tp_define (const char *name, int required, int optional, void *function,
                const char *arguments, const char *doc);

/* While a tape is open, a primitive refuses a tensor that wants a gradient (tp_to_tensor
 * raises), since the gradient would be lost: unless it is among these NAMES, parted by spaces.
 * Those that record themselves (tp_from_tensor raises should one of them not have done it)
 * and those that only read, whose results are no tensors or constant almost everywhere.  The
 * procedure property `gradient' says so in Scheme. */
void tp_define_recorded (const char *names);
void tp_define_reading (const char *names);

/* What tp_to_tensor does about such a tensor.  NULL when PROCEDURE is not declared. */
const char *tp_gradient_use (const char *procedure);
/* Forget which procedure has yet to record itself. */
void tp_forget_recording (void);

/* Raise `tempera-error' from PROCEDURE with the core's last status and message. */
_Noreturn void tp_raise (const char *procedure);
/* The same with a message of our own (printf style), TP_BAD_ARGUMENT. */
_Noreturn void tp_raise_argument (const char *procedure, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/* Raise unless STATUS is TP_OK. */
void tp_require (const char *procedure, tp_status status);

/* Have Ctrl-C stop what computes for long (core/stop.h): once, when the extension is loaded.  What its
 * handler raises is raised again when the primitive ends, by tp_raise_stop or at Guile's next look. */
void tp_init_stop (void);
void tp_raise_stop (void);

/* Tensors.  tp_from_tensor takes over T's reference (NULL: raises).
 * tp_to_tensor borrows: the SCM keeps it alive (use scm_remember_upto_here_1
 * when it is not otherwise referenced); raises unless OBJECT is a live tensor. */
SCM tp_from_tensor (const char *procedure, tp_tensor *t);
tp_tensor *tp_to_tensor (const char *procedure, const char *argument, SCM object);
/* #f or absent gives NULL. */
tp_tensor *tp_to_tensor_or_null (const char *procedure, const char *argument, SCM object);
bool tp_is_tensor (SCM object);

/* OBJECT as `write' shows it, cut to what fits a message. */
enum { TP_SHOWN = 512 };
const char *tp_shown (SCM object, char text[TP_SHOWN]);

/* Numbers and strings, checked: finite real; integer in [LOW, HIGH]; string
 * without NUL characters (a malloc'd UTF-8 copy, freed when the current dynwind ends or at once by
 * the caller). */
double tp_to_double (const char *procedure, const char *argument, SCM object);
int64_t tp_to_int (const char *procedure, const char *argument, SCM object,
                   int64_t low, int64_t high);
char *tp_to_string (const char *procedure, const char *argument, SCM object);
/* A list of lengths into SHAPE; returns the rank. */
int tp_to_shape (const char *procedure, const char *argument, SCM list,
                 int64_t shape[TP_MAX_RANK], int64_t lowest);

/* Each file's bindings, called once by the extension's entry point. */
void tp_init_core (void);
void tp_init_tensor (void);
void tp_init_autograd (void);
void tp_init_nn (void);
void tp_init_fourier (void);
void tp_init_mcmc (void);
void tp_init_image (void);
void tp_init_io (void);
void tp_init_ranks (void);
void tp_init_words (void);

#endif
