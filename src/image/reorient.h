/* reorient.h -- axes permuted and reversed. */
#ifndef TP_REORIENT_H
#define TP_REORIENT_H

#include "autograd/tape.h"

/* A copy of T whose axis i is T's axis PERMUTATION[i], backwards where REVERSE[i].  On
 * the tape. */
tp_tensor *tp_reorient (tp_tensor *t, const int *permutation, const bool *reverse);

#endif
