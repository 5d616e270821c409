/* cpu.h -- which instruction set the kernels use. */
#ifndef TP_CPU_H
#define TP_CPU_H

typedef enum { TP_ISA_GENERIC, TP_ISA_V3, TP_ISA_V4, TP_ISA_V4_BF16 } tp_isa;

/* The best the processor has, or what TEMPERA_ISA names (generic, v3, v4, v4-bf16) when
 * the processor has that too.  Decided once. */
tp_isa tp_cpu_isa (void);
const char *tp_isa_name (tp_isa isa);

/* In front of a loop over elements: compile it for each instruction set, and let
 * the loader choose.  The loops have no fused operations and no reordering, so
 * that the choice changes no bit.  Not by clang, which gives two files' static functions of one
 * name the same symbol. */
#if defined __x86_64__ && defined __gnu_linux__ && !defined __SANITIZE_ADDRESS__ && !defined __clang__
#define TP_CLONES __attribute__ ((target_clones ("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define TP_CLONES
#endif

#endif
