/* stop.h -- long computations stop where the user asks, by Ctrl-C.
 *
 * Loops look now and then whether to go on.  Once they are told not to, everything that the
 * calling thread computes is cut short until tp_stop_forget: results are garbage, which whoever
 * asked to stop throws away, and nothing that outlives the call may be made of them.  What writes
 * over values in place is held to its end, so that they are never half new. */
#ifndef TP_STOP_H
#define TP_STOP_H

#include <stdbool.h>

#include "core/status.h"

/* Have WANTED, called on the thread that computes and at most every twentieth of a second, say
 * whether to stop.  NULL, as at first: never. */
void tp_stop_ask (bool (*wanted) (void));

/* Whether this thread is to stop: asks, where it is time to, and nothing is held. */
bool tp_stop_wanted (void);

/* The same as known by now. */
bool tp_stopped (void);
tp_status tp_stop_status (void); /* TP_OK, or TP_INTERRUPTED with a message */

/* Compute again. */
void tp_stop_forget (void);

/* Between these, which nest, this thread does not stop.  What had begun to stop before goes on
 * doing so. */
void tp_stop_hold (void);
void tp_stop_release (void);

#endif
