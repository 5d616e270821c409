/* npz.h -- NumPy's archives: npy files in a zip archive, each called NAME.npy. */
#ifndef TP_NPZ_H
#define TP_NPZ_H

#include "io/items.h"
#include "tensor/tensor.h"

/* The arrays in PATH, COUNT of them, to be freed by tp_items_free; NULL after tp_fail.  One whose header
 * is not understood is of kind '?'. */
tp_item *tp_npz_items (const char *path, int *count);

tp_tensor *tp_npz_load (const char *path, const char *name);
tp_status tp_npz_save (const char *path, const char *const *names, const tp_tensor *const *tensors,
                       int count);

#endif
