/* mat.h -- MATLAB's files, v4 to v7.3, through libmatio. */
#ifndef TP_MAT_H
#define TP_MAT_H

#include "io/items.h"
#include "tensor/tensor.h"

/* The arrays of numbers in PATH, COUNT of them, to be freed by tp_items_free; NULL after tp_fail. */
tp_item *tp_mat_items (const char *path, int *count);

/* The array NAME, with MATLAB's shape and indices. */
tp_tensor *tp_mat_load (const char *path, const char *name);

/* Arrays in a v5 file, whole or not at all. */
tp_status tp_mat_save (const char *path, const char *const *names, const tp_tensor *const *tensors,
                       int count);

#endif
