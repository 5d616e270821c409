/* ismrmrd.h -- ISMRM raw data through libismrmrd: the header, and acquisitions one by one. */
#ifndef TP_ISMRMRD_H
#define TP_ISMRMRD_H

#include "tensor/tensor.h"

/* What sorting needs of an acquisition's header. */
typedef struct {
  uint64_t flags; /* bit k - 1 is flag k of the standard */
  int coils, samples, center, discard_pre, discard_post, dimensions, encoding;
  int step_1, step_2, average, slice, contrast, phase, repetition, set;
  /* In the patient, towards left, posterior and superior: where the middle of the field of view is,
   * in mm, and the directions of readout, phase encoding and slices. */
  float position[3], directions[3][3];
} tp_acquisition;

typedef struct {
  char *xml;
  tp_acquisition *acquisitions;
  int count;
} tp_ismrmrd;

/* The group "dataset" of PATH. */
tp_status tp_ismrmrd_open (tp_ismrmrd *scan, const char *path);
void tp_ismrmrd_close (tp_ismrmrd *scan);

/* Of the acquisitions INDICES, COUNT of them: the samples to DATA[k], c64 (coils samples), and the
 * trajectory to TRAJECTORIES[k], f32 (samples dimensions), NULL without one. */
tp_status tp_ismrmrd_read (const char *path, const int *indices, int count, tp_tensor **data,
                           tp_tensor **trajectories);

#endif
