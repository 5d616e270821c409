/* nifti.h -- NIfTI-1 volumes, .nii and .nii.gz, through Debian's libnifti. */
#ifndef TP_NIFTI_H
#define TP_NIFTI_H

#include "tensor/tensor.h"

typedef struct {
  /* Millimetres between voxels (other units for other axes), in the order of
   * the tensor's axes: the file's, reversed. */
  double spacing[TP_MAX_RANK];
  /* The anatomical direction in which each of the last three axes rises: of
   * L R, P A, I S one letter each; "???" when the file does not say. */
  char orientation[4];
} tp_nifti_info;

/* The volume in f32, slope and intercept applied, its slowest axis first.  What is finite in the
 * file and not in f32 is an error.  A .nii.gz is read to its end, where the checksum is. */
tp_tensor *tp_nifti_load (const char *path, tp_nifti_info *info);

#endif
