/* cpu.c -- which instruction set the kernels use. */
#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = { "generic", "v3", "v4", "v4-bf16" };

const char *
tp_isa_name (tp_isa isa)
{
  return names[isa];
}

static tp_isa
best_isa (void)
{
#if defined __x86_64__
  __builtin_cpu_init ();
  if (__builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw")
      && __builtin_cpu_supports ("avx512vl") && __builtin_cpu_supports ("avx512dq"))
    return __builtin_cpu_supports ("avx512bf16") ? TP_ISA_V4_BF16 : TP_ISA_V4;
  if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma"))
    return TP_ISA_V3;
#endif
  return TP_ISA_GENERIC;
}

tp_isa
tp_cpu_isa (void)
{
  static int decided = -1;
  if (decided < 0)
    {
      tp_isa best = best_isa ();
      const char *asked = getenv ("TEMPERA_ISA");
      decided = (int) best;
      for (int isa = 0; asked && isa <= (int) best; isa++)
        if (!strcmp (asked, names[isa]))
          decided = isa;
    }
  return (tp_isa) decided;
}
