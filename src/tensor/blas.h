/* blas.h -- OpenBLAS on the calling thread alone: work is cut among threads by core/threads.h, by shape, so
 * that the bits do not depend on their number. */
#ifndef TP_BLAS_H
#define TP_BLAS_H

#include <cblas.h>

/* Call it before anything of OpenBLAS or LAPACK; the first call does something.  OpenBLAS is set to one thread.
 * The threads that it started as it was loaded are ended: each waits without end for 128 MB of addresses
 * where a limit leaves none, and a fork waits for them. */
void tp_blas_prepare (void);

#endif
