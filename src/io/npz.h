/* npz.h -- NumPy's archives: npy files in a zip archive, each called NAME.npy. */
#ifndef TP_NPZ_H
#define TP_NPZ_H

#include "tensor/tensor.h"

/* The names of the arrays in PATH, COUNT of them, to be freed each and together; NULL after
 * tp_fail. */
char **tp_npz_names (const char *path, int *count);

tp_tensor *tp_npz_load (const char *path, const char *name);
tp_status tp_npz_save (const char *path, const char *const *names, const tp_tensor *const *tensors,
                       int count);

#endif
