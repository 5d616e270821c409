/* nifti.h -- NIfTI-1 and NIfTI-2 volumes, .nii, .nii.gz and pairs of .hdr and .img, through Debian's libnifti. */
#ifndef TP_NIFTI_H
#define TP_NIFTI_H

#include "io/geometry.h"
#include "io/items.h"
#include "tensor/tensor.h"

/* The volumes in PATH, or one VOLUME of them when that is not -1: f32, or c64 when they are complex,
 * slope and intercept applied, the slowest axis first.  What is finite in the file and not in f32 is
 * an error.  A .nii.gz is read to its end, where the checksum is. */
tp_tensor *tp_nifti_load (const char *path, int64_t volume, tp_geometry *geometry);

/* The array that PATH holds. */
tp_item *tp_nifti_items (const char *path, int *count);

/* T, whole or not at all, compressed when PATH ends in .gz; NIfTI-1 where that can count its voxels.
 * NOTE, of at most 79 bytes, is its description. */
tp_status tp_nifti_save (const char *path, const tp_tensor *t, const tp_geometry *geometry,
                         const char *note);

#endif
