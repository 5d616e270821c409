/* status.h -- how the core reports failure.
 *
 * The core never exits, jumps or prints.  A function that acts returns a
 * tp_status; a function that makes an object returns it, or NULL.  On failure
 * the calling thread's message says which argument was wrong, what came and
 * what was expected: "weights: expected shape (3 3 16 *), got (3 3 8 32)".
 * Whoever calls prefixes the name of the procedure. */
#ifndef TP_STATUS_H
#define TP_STATUS_H

typedef enum {
  TP_OK = 0,
  TP_BAD_ARGUMENT, /* a value outside what the function takes */
  TP_BAD_SHAPE,    /* a tensor of the wrong rank, shape or element type */
  TP_BAD_VALUE,    /* NaN or infinity where a finite number is needed */
  TP_NO_MEMORY,
  TP_IO,           /* the operating system refused: a missing file, no permission */
  TP_NO_SPACE,     /* a full disk, a quota, a limit on a file's size */
  TP_BAD_FILE,     /* a file that is truncated, hostile or of another format */
  TP_UNSUPPORTED,  /* valid, but outside what Tempera does */
  TP_INTERRUPTED   /* a callback asked to stop */
} tp_status;

/* Record CODE and a printf-style message for this thread; returns CODE, so
 * that `return tp_fail (...)` reads well. */
tp_status tp_fail (tp_status code, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/* The code of this thread's last failure, and its message (never NULL;
 * valid until the thread's next failure). */
tp_status tp_last_status (void);
const char *tp_last_message (void);

/* How often this thread has called `tp_fail'. */
unsigned tp_failures (void);

/* "bad-shape" for TP_BAD_SHAPE, and so on: the name Scheme sees. */
const char *tp_status_name (tp_status code);

#endif
