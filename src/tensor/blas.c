/* blas.c -- the threads of OpenBLAS, ended once. */
#include "tensor/blas.h"

#include <pthread.h>

/* OpenBLAS's own, which it calls before a fork.  (openblas_set_num_threads, called after it, would start the
 * threads anew.) */
int blas_thread_shutdown_ (void) __attribute__ ((weak));

static void
prepare (void)
{
  enum { N = 256 };
  static float a[N * N], c[N * N];
  openblas_set_num_threads (1);
  /* Whoever multiplies needs as much memory as those threads.  This one takes its own while there is some. */
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1.0f, a, N, a, N, 0.0f, c, N);
  if (blas_thread_shutdown_)
    blas_thread_shutdown_ ();
}

void
tp_blas_prepare (void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once (&once, prepare);
}
