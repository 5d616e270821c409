/* trial.h -- a damaged file may bring down the library that reads it: it is read in a child process
 * first, and by this one only when the child lives. */
#ifndef TP_TRIAL_H
#define TP_TRIAL_H

#include "core/status.h"

/* Call READ with DATA in a child process.  Fails, for the file PATH, when that dies or takes more
 * than ten minutes; what READ finds out is the child's alone.  READ must not
 * make tensors nor use threads: a child process has the locks of the others, and not the threads. */
tp_status tp_trial (const char *path, void (*read) (void *data), void *data);

#endif
