/* kernels.c -- the kernels of the instruction set in use. */
#include "core/cpu.h"
#include "nn/kernels/peak_kernel.h"
#include "nn/kernels/winograd_kernel.h"

extern const tp_conv_kernels tp_conv_kernels_generic;
extern const tp_winograd_kernels tp_winograd_kernels_generic;
extern const tp_peak_kernels tp_peak_kernels_generic;
#if defined __x86_64__
extern const tp_conv_kernels tp_conv_kernels_v3, tp_conv_kernels_v4, tp_conv_kernels_v4_bf16;
extern const tp_winograd_kernels tp_winograd_kernels_v3, tp_winograd_kernels_v4,
  tp_winograd_kernels_v4_bf16;
extern const tp_peak_kernels tp_peak_kernels_v3, tp_peak_kernels_v4, tp_peak_kernels_v4_bf16;
#endif

const tp_conv_kernels *
tp_conv_kernels_get (void)
{
  switch (tp_cpu_isa ())
    {
#if defined __x86_64__
    case TP_ISA_V4_BF16: return &tp_conv_kernels_v4_bf16;
    case TP_ISA_V4: return &tp_conv_kernels_v4;
    case TP_ISA_V3: return &tp_conv_kernels_v3;
#endif
    default: return &tp_conv_kernels_generic;
    }
}

const tp_winograd_kernels *
tp_winograd_kernels_get (void)
{
  switch (tp_cpu_isa ())
    {
#if defined __x86_64__
    case TP_ISA_V4_BF16: return &tp_winograd_kernels_v4_bf16;
    case TP_ISA_V4: return &tp_winograd_kernels_v4;
    case TP_ISA_V3: return &tp_winograd_kernels_v3;
#endif
    default: return &tp_winograd_kernels_generic;
    }
}

const tp_peak_kernels *
tp_peak_kernels_get (void)
{
  switch (tp_cpu_isa ())
    {
#if defined __x86_64__
    case TP_ISA_V4_BF16: return &tp_peak_kernels_v4_bf16;
    case TP_ISA_V4: return &tp_peak_kernels_v4;
    case TP_ISA_V3: return &tp_peak_kernels_v3;
#endif
    default: return &tp_peak_kernels_generic;
    }
}
