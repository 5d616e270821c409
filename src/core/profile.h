/* profile.h -- where the time goes: a table of operations, each with the time spent in it.
 *
 *   tp_span span = tp_span_start ();
 *   ...
 *   tp_span_end (span, "matrix product", (tp_work) { .flops = 2.0 * m * n * k },
 *                "(%lld %lld) (%lld %lld)", m, k, k, n);
 *
 * While profiling is off, as it is until tp_profile_start, this costs a predictable branch.
 * The time of an operation inside another counts for the inner one alone, so that the
 * times of all operations add up to no more than the clock's.  A span that is never ended
 * (because of an error) leaves no trace. */
#ifndef TP_PROFILE_H
#define TP_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether spans are measured; changed between operations only. */
extern bool tp_profiling;

typedef struct {
  double start;   /* 0: not measured */
  double counted; /* seconds of this thread already in the table */
} tp_span;

/* What an operation does, nominally; 0 where that says nothing.  A multiplication and an
 * addition are two; bytes are those that it must read and write once. */
typedef struct {
  double flops, bytes;
  bool bf16; /* products in bfloat16: measured against that peak */
} tp_work;

/* Seconds of a clock that only goes forward. */
double tp_clock (void);

tp_span tp_span_measure (void);

static inline tp_span
tp_span_start (void)
{
  return __builtin_expect (tp_profiling, 0) ? tp_span_measure () : (tp_span) { 0, 0 };
}

/* The end of an operation, on the thread that began it and outside tp_parallel_for.  What
 * agrees in OPERATION, in the text of FORMAT (shapes, the way chosen) and in the layer is
 * one row.  FORMAT may be NULL, where the operation says enough. */
void tp_span_end (tp_span span, const char *operation, tp_work work, const char *format, ...)
  __attribute__ ((format (printf, 4, 5)));

/* The end of a part of an operation, such as one of a convolution's transforms, on any
 * thread, in tp_parallel_for too: seconds of all threads together.  It is shown under the
 * first operation to end that had begun before it, and not counted again. */
void tp_part_end (tp_span span, const char *part, tp_work work);

/* Measure, beginning with an empty table; measure no more (the table stays). */
void tp_profile_start (void);
void tp_profile_stop (void);

/* The layer at work on this thread, for the rows of the operations that end from now on: ""
 * for none.  `enter' returns the one before.  Names are kept for good, so that a tape may
 * hold one and enter it again when it goes back. */
const char *tp_layer_enter (const char *name);
const char *tp_layer_now (void);

enum { TP_PROFILE_TEXT = 96 };

typedef struct {
  char layer[TP_PROFILE_TEXT];
  char operation[TP_PROFILE_TEXT];
  char detail[TP_PROFILE_TEXT];
  char part[TP_PROFILE_TEXT]; /* "": the operation itself */
  int64_t calls;
  double seconds;             /* without the operations inside; of a part, on all threads */
  tp_work work;
} tp_profile_row;

/* Row INDEX of the table, in order of appearance; false when there is none. */
bool tp_profile_row_get (int64_t index, tp_profile_row *row);

#endif
