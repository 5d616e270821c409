/* mat.h -- MATLAB's files, v4 to v7.3, through libmatio. */
#ifndef TP_MAT_H
#define TP_MAT_H

#include "tensor/tensor.h"

/* The names of the arrays of numbers in PATH, COUNT of them, to be freed each and together; NULL
 * after tp_fail. */
char **tp_mat_names (const char *path, int *count);

/* The array NAME, with MATLAB's shape and indices. */
tp_tensor *tp_mat_load (const char *path, const char *name);

/* Arrays in a v5 file, whole or not at all. */
tp_status tp_mat_save (const char *path, const char *const *names, const tp_tensor *const *tensors,
                       int count);

#endif
