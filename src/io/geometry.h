/* geometry.h -- where the voxels of a volume lie, and which volume of several is meant. */
#ifndef TP_GEOMETRY_H
#define TP_GEOMETRY_H

#include "tensor/tensor.h"

typedef struct {
  /* Millimetres between voxels (other units for other axes), in the order of
   * the tensor's axes: the file's, reversed. */
  double spacing[TP_MAX_RANK];
  /* Whether the file says where its voxels lie, and then how: AFFINE goes from the indices (i j k)
   * of a voxel, the tensor's last axis first, to millimetres to the right, to anterior, to superior. */
  bool placed;
  double affine[3][4];
} tp_geometry;

/* The anatomical direction in which each of the last three axes rises: of L R, P A, I S one letter
 * each; "???" when G says nothing of it. */
void tp_geometry_letters (const tp_geometry *g, char letters[4]);

/* Whether all numbers of the affine are finite, and no axis without direction. */
bool tp_geometry_sound (const tp_geometry *g);

/* Of a file of RANK axes, SHAPE, the last three those of a volume: leave of SHAPE and of G's spacing
 * those of volume VOLUME, from 0, or all when that is -1.  How many elements of the file come before it
 * goes to FIRST. */
tp_status tp_choose_volume (const char *path, int64_t volume, int *rank, int64_t *shape,
                            tp_geometry *g, int64_t *first);

#endif
