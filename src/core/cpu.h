/* cpu.h -- which instruction set the kernels use. */
#ifndef TP_CPU_H
#define TP_CPU_H

typedef enum { TP_ISA_GENERIC, TP_ISA_V3, TP_ISA_V4 } tp_isa;

/* The best the processor has, or what TEMPERA_ISA names (generic, v3, v4) when
 * the processor has that too.  Decided once. */
tp_isa tp_cpu_isa (void);
const char *tp_isa_name (tp_isa isa);

#endif
