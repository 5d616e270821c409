/* mgh.h -- FreeSurfer's volumes: .mgh, and .mgz, which is packed by gzip. */
#ifndef TP_MGH_H
#define TP_MGH_H

#include "io/geometry.h"
#include "io/items.h"
#include "tensor/tensor.h"

/* The volumes in PATH, or one VOLUME (FreeSurfer's frame) of them when that is not -1: f32 (slices
 * rows columns), with volumes before them where there are several. */
tp_tensor *tp_mgh_load (const char *path, int64_t volume, tp_geometry *geometry);

/* The array that PATH holds. */
tp_item *tp_mgh_items (const char *path, int *count);

/* T, f32 of two to four axes, whole or not at all; packed when PATH ends in z. */
tp_status tp_mgh_save (const char *path, const tp_tensor *t, const tp_geometry *geometry);

#endif
