/* module.c -- the extension's entry point. */
#include <gc.h>

#include "guile/binding.h"
#include "tensor/blas.h"

void tempera_init (void);

void
tempera_init (void)
{
  tp_blas_prepare ();
  /* Tensors are small to the collector, which cannot see their buffers; told of
   * them on its first 2 MB heap, it would run at every second image. */
  if (GC_get_heap_size () < (size_t) 256 << 20)
    {
      /* Where memory is limited it may do without. */
      GC_warn_proc warn = GC_get_warn_proc ();
      GC_set_warn_proc (GC_ignore_warn_proc);
      GC_expand_hp ((size_t) 256 << 20);
      GC_set_warn_proc (warn);
    }
  tp_init_stop ();
  tp_init_core ();
  tp_init_tensor ();
  tp_init_autograd ();
  tp_init_nn ();
  tp_init_fourier ();
  tp_init_mcmc ();
  tp_init_image ();
  tp_init_io ();
  tp_init_ranks ();
  tp_init_words ();
}
