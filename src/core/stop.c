/* stop.c -- whether a thread's computation is to stop. */
#include "core/stop.h"

#include <stddef.h>

#include "core/profile.h"

static bool (*ask) (void);
static _Thread_local bool stopped;
static _Thread_local int held;
static _Thread_local double asked;

void
tp_stop_ask (bool (*wanted) (void))
{
  ask = wanted;
}

bool
tp_stop_wanted (void)
{
  if (stopped || held || !ask)
    return stopped;
  double now = tp_clock ();
  if (now - asked > 0.05)
    {
      asked = now;
      stopped = ask ();
    }
  return stopped;
}

bool
tp_stopped (void)
{
  return stopped;
}

tp_status
tp_stop_status (void)
{
  return stopped ? tp_fail (TP_INTERRUPTED, "stopped") : TP_OK;
}

void
tp_stop_forget (void)
{
  stopped = false;
}

void
tp_stop_hold (void)
{
  held++;
}

void
tp_stop_release (void)
{
  held--;
}
