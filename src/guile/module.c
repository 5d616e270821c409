/* module.c -- the extension's entry point. */
#include <gc.h>

#include "guile/binding.h"

void tempera_init (void);

void
tempera_init (void)
{
  /* Tensors are small to the collector, which cannot see their buffers; told of
   * them on its first 2 MB heap, it would run at every second image. */
  if (GC_get_heap_size () < (size_t) 256 << 20)
    GC_expand_hp ((size_t) 256 << 20);
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
