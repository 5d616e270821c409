/* plans.h -- FFTW's plans, each made once and kept. */
#ifndef TP_PLANS_H
#define TP_PLANS_H

#include <complex.h>
#include <fftw3.h>

/* A plan for in-place transforms of scratch memory (tp_scratch_alloc): COUNT images of HEIGHT x WIDTH
 * at a time, of which corresponding elements are neighbours.  NULL after tp_fail. */
fftwf_plan tp_fftw_plan (int height, int width, int count, int sign);

#endif
