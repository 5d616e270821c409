/* binding.c -- what every file of bindings shares: registration, errors, arguments. */
#include "guile/binding.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/stop.h"

/* --- Registration --------------------------------------------------------- */

void
tp_define (const char *name, int required, int optional, void *function, const char *arguments,
           const char *doc)
{
  SCM procedure = scm_c_define_gsubr (name, required, optional, 0, function);
  scm_c_export (name, NULL);
  scm_set_procedure_property_x (procedure, scm_from_utf8_symbol ("documentation"),
                                scm_from_utf8_string (doc));
  /* (required optional keyword allow-other-keys? rest), as (ice-9 session) reads it */
  SCM names[2] = { SCM_EOL, SCM_EOL };
  int seen = 0;
  for (const char *p = arguments; *p;)
    {
      size_t length = strcspn (p, " ");
      SCM symbol = scm_from_utf8_symboln (p, length);
      int which = seen++ >= required;
      names[which] = scm_append (scm_list_2 (names[which], scm_list_1 (symbol)));
      p += length;
      p += strspn (p, " ");
    }
  scm_set_procedure_property_x (procedure, scm_from_utf8_symbol ("arglist"),
                                scm_list_5 (names[0], names[1], SCM_EOL, SCM_BOOL_F, SCM_BOOL_F));
}

/* Names that are not of primitives, but under which these speak of themselves, count too. */
static struct {
  char name[32];
  const char *use;
} uses[256];
static int use_count;

static void
declare (const char *names, const char *use)
{
  SCM module = scm_current_module ();
  for (const char *p = names; *p;)
    {
      size_t length = strcspn (p, " ");
      if (use_count == sizeof uses / sizeof *uses || length >= sizeof uses->name)
        abort ();
      memcpy (uses[use_count].name, p, length);
      uses[use_count++].use = use;
      SCM variable = scm_module_variable (module, scm_from_utf8_symboln (p, length));
      if (scm_is_true (variable))
        scm_set_procedure_property_x (scm_variable_ref (variable), scm_from_utf8_symbol ("gradient"),
                                      scm_from_utf8_symbol (use));
      p += length;
      p += strspn (p, " ");
    }
}

void
tp_define_recorded (const char *names)
{
  declare (names, "recorded");
}

void
tp_define_reading (const char *names)
{
  declare (names, "reading");
}

const char *
tp_gradient_use (const char *procedure)
{
  for (int i = 0; i < use_count; i++)
    if (!strcmp (uses[i].name, procedure))
      return uses[i].use;
  return NULL;
}

/* --- Errors --------------------------------------------------------------- */

/* The length of TEXT without the part of a character at its end, where it was cut to fit. */
static size_t
whole_characters (const char *text)
{
  size_t length = strlen (text), start = length;
  while (start > 0 && length - start < 3 && ((unsigned char) text[start - 1] & 0xc0) == 0x80)
    start--;
  if (start == 0)
    return length;
  unsigned char lead = (unsigned char) text[start - 1];
  size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return length - start + 1 < wanted ? start - 1 : length;
}

static _Noreturn void
raise_text (const char *procedure, tp_status status, const char *text)
{
  tp_forget_recording ();
  /* Text from a file, or a file's name, may be no UTF-8. */
  SCM message = scm_from_stringn (text, whole_characters (text), "UTF-8",
                                  SCM_FAILED_CONVERSION_QUESTION_MARK);
  scm_error (scm_from_utf8_symbol ("tempera-error"), procedure, "~A", scm_list_1 (message),
             scm_list_1 (scm_from_utf8_symbol (tp_status_name (status))));
  abort ();
}

void
tp_raise (const char *procedure)
{
  tp_raise_stop ();
  raise_text (procedure, tp_last_status (), tp_last_message ());
}

void
tp_raise_argument (const char *procedure, const char *format, ...)
{
  char text[1024];
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (text, sizeof text, format, arguments);
  va_end (arguments);
  raise_text (procedure, TP_BAD_ARGUMENT, text);
}

void
tp_require (const char *procedure, tp_status status)
{
  tp_raise_stop ();
  if (status != TP_OK)
    tp_raise (procedure);
}

/* --- Ctrl-C ------------------------------------------------------------------ */

/* What a handler of signals has thrown while this thread computed; #f: nothing. */
static SCM thrown_key, thrown_arguments; /* fluids */

static SCM
call_handlers (void *nothing)
{
  (void) nothing;
  scm_async_tick ();
  return SCM_BOOL_F;
}

static SCM
note_throw (void *nothing, SCM key, SCM arguments)
{
  (void) nothing;
  scm_fluid_set_x (thrown_key, key);
  scm_fluid_set_x (thrown_arguments, arguments);
  return SCM_BOOL_T;
}

/* Where it came from is lost with the frames of C. */
static SCM
keep_stack (void *nothing, SCM key, SCM arguments)
{
  (void) nothing;
  return scm_call_2 (scm_c_public_ref ("tempera base exceptions", "keep-stack-of-throw!"), key,
                     arguments);
}

static SCM
throw_again (void)
{
  SCM key = scm_fluid_ref (thrown_key), arguments = scm_fluid_ref (thrown_arguments);
  tp_stop_forget ();
  if (scm_is_false (key))
    return SCM_UNSPECIFIED; /* it was raised */
  scm_fluid_set_x (thrown_key, SCM_BOOL_F);
  scm_throw (key, arguments);
}

static SCM throw_again_procedure;

/* Handlers of signals are called here, in the middle of a computation: one that returns lets it
 * go on, one that throws ends it. */
static bool
stop_wanted (void)
{
  SCM thrown = scm_c_catch (SCM_BOOL_T, call_handlers, NULL, note_throw, NULL, keep_stack, NULL);
  if (scm_is_false (thrown))
    return false;
  scm_system_async_mark (throw_again_procedure);
  return true;
}

void
tp_raise_stop (void)
{
  if (!tp_stopped ())
    return;
  tp_forget_recording ();
  scm_async_tick ();
}

void
tp_init_stop (void)
{
  thrown_key = scm_permanent_object (scm_make_thread_local_fluid (SCM_BOOL_F));
  thrown_arguments = scm_permanent_object (scm_make_thread_local_fluid (SCM_BOOL_F));
  throw_again_procedure
    = scm_permanent_object (scm_c_make_gsubr ("throw-again", 0, 0, 0, throw_again));
  tp_stop_ask (stop_wanted);
}

/* --- Numbers and strings -------------------------------------------------- */

/* Each has 4 bytes at most. */
enum { SHOWN_CHARACTERS = (TP_SHOWN - 1) / 4 };

const char *
tp_shown (SCM object, char text[TP_SHOWN])
{
  SCM bounded = scm_call_1 (scm_c_public_ref ("tempera base errors", "bounded"), object);
  SCM full = scm_object_to_string (bounded, SCM_UNDEFINED);
  if (scm_c_string_length (full) > SHOWN_CHARACTERS)
    full = scm_substring (full, scm_from_int (0), scm_from_int (SHOWN_CHARACTERS));
  char *bytes = scm_to_utf8_string (full);
  snprintf (text, TP_SHOWN, "%s", bytes);
  free (bytes);
  return text;
}

double
tp_to_double (const char *procedure, const char *argument, SCM object)
{
  char text[TP_SHOWN];
  double value = scm_is_real (object) ? scm_to_double (object) : NAN;
  if (!isfinite (value))
    tp_raise_argument (procedure, "%s: expected a finite number, got %s", argument,
                       tp_shown (object, text));
  return value;
}

int64_t
tp_to_int (const char *procedure, const char *argument, SCM object, int64_t low, int64_t high)
{
  char text[TP_SHOWN];
  if (!scm_is_signed_integer (object, low, high))
    tp_raise_argument (procedure, "%s: expected an integer from %lld to %lld, got %s", argument,
                       (long long) low, (long long) high, tp_shown (object, text));
  return scm_to_int64 (object);
}

char *
tp_to_string (const char *procedure, const char *argument, SCM object)
{
  char text[TP_SHOWN];
  if (!scm_is_string (object))
    tp_raise_argument (procedure, "%s: expected a string, got %s", argument, tp_shown (object, text));
  /* C would take it to end there. */
  if (scm_is_true (scm_string_index (object, SCM_MAKE_CHAR (0), SCM_UNDEFINED, SCM_UNDEFINED)))
    tp_raise_argument (procedure, "%s: expected a string without NUL characters, got %s", argument,
                       tp_shown (object, text));
  return scm_to_utf8_string (object);
}

int
tp_to_shape (const char *procedure, const char *argument, SCM list,
             int64_t shape[TP_MAX_RANK], int64_t lowest)
{
  char text[TP_SHOWN];
  if (scm_is_false (scm_list_p (list)) || scm_ilength (list) > TP_MAX_RANK)
    tp_raise_argument (procedure, "%s: expected a list of at most %d lengths, got %s", argument,
                       TP_MAX_RANK, tp_shown (list, text));
  int rank = 0;
  for (; scm_is_pair (list); list = scm_cdr (list))
    shape[rank++] = tp_to_int (procedure, argument, scm_car (list), lowest, INT64_MAX / 16);
  return rank;
}
