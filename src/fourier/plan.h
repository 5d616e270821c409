/* plan.h -- FFTW's plans for in-place transforms of one image, for the files of this folder. */
#ifndef TP_PLAN_H
#define TP_PLAN_H

#include <fftw3.h>

/* A plan for transforms of scratch memory (tp_scratch_alloc) in place, without centring or scale:
 * made once for each size and SIGN, kept for good.  NULL after tp_fail. */
fftwf_plan tp_fft_plan (int height, int width, int sign);

#endif
