/* status.c -- a status code and a message for each thread. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local tp_status last_status = TP_OK;
static _Thread_local char last_message[1024];
static _Thread_local unsigned failures;

tp_status
tp_fail (tp_status code, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (last_message, sizeof last_message, format, arguments);
  va_end (arguments);
  last_status = code;
  failures++;
  return code;
}

tp_status
tp_last_status (void)
{
  return last_status;
}

const char *
tp_last_message (void)
{
  return last_message;
}

unsigned
tp_failures (void)
{
  return failures;
}

const char *
tp_status_name (tp_status code)
{
  switch (code)
    {
    case TP_OK: return "ok";
    case TP_BAD_ARGUMENT: return "bad-argument";
    case TP_BAD_SHAPE: return "bad-shape";
    case TP_BAD_VALUE: return "bad-value";
    case TP_NO_MEMORY: return "no-memory";
    case TP_IO: return "io";
    case TP_NO_SPACE: return "no-space";
    case TP_BAD_FILE: return "bad-file";
    case TP_UNSUPPORTED: return "unsupported";
    case TP_INTERRUPTED: return "interrupted";
    }
  return "unknown";
}
