/* check.h -- a harness for the C tests of the core.
 *
 * A test program includes this, lists its cases and lets CHECK_MAIN run them:
 *
 *   static void test_sum (void) { CHECK (1 + 1 == 2); }
 *   CHECK_MAIN (test_sum)
 *
 * A check that fails prints where and goes on.  The last line of output is
 * "N passed, N failed"; the exit status is 1 if any failed. */
#ifndef TP_TESTS_CHECK_H
#define TP_TESTS_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/status.h"

static int check_passed, check_failed;

static inline bool
check_report (bool passed, const char *file, int line, const char *what)
{
  if (passed)
    check_passed++;
  else
    {
      check_failed++;
      printf ("%s:%d: FAILED: %s\n", file, line, what);
      fflush (stdout);
    }
  return passed;
}

/* Both are expressions whose value is whether the check passed. */
#define CHECK(condition) check_report ((condition), __FILE__, __LINE__, #condition)

#define CHECK_CLOSE(a, b, tolerance) \
  check_close ((a), (b), (tolerance), __FILE__, __LINE__, #a " = " #b)

/* |A - B| <= TOLERANCE; never true of NaN. */
static inline bool
check_close (double a, double b, double tolerance, const char *file, int line, const char *what)
{
  bool passed = fabs (a - b) <= tolerance;
  if (!passed)
    printf ("  %.9g against %.9g, tolerance %.3g\n", a, b, tolerance);
  return check_report (passed, file, line, what);
}

/* STATUS is the failure EXPECTED, with a message. */
#define CHECK_FAILS(expected, call) \
  check_report ((call) == (expected) && *tp_last_message (), __FILE__, __LINE__, #call " fails")

/* NAME inside tests/ of the source tree, into a buffer of this file's own. */
static inline const char *
check_file (const char *name)
{
  static char path[4096];
  const char *srcdir = getenv ("srcdir");
  snprintf (path, sizeof path, "%s/tests/%s", srcdir ? srcdir : ".", name);
  return path;
}

static inline int
check_run (void (*const *cases) (void), int count)
{
  for (int i = 0; i < count; i++)
    cases[i] ();
  printf ("%d passed, %d failed\n", check_passed, check_failed);
  return check_failed != 0;
}

#define CHECK_MAIN(...) \
  int \
  main (void) \
  { \
    void (*const cases[]) (void) = { __VA_ARGS__ }; \
    return check_run (cases, sizeof cases / sizeof cases[0]); \
  }

#endif
