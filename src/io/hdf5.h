/* hdf5.h -- HDF5 files through libhdf5: what is in them, arrays whole or by slices, and writing.
 *
 * Errors of the library are silent here and become ours.  Links to other files, arrays that are kept
 * outside the file and those that claim more than the file can hold are refused. */
#ifndef TP_HDF5_H
#define TP_HDF5_H

#include "io/items.h"
#include "tensor/tensor.h"

/* All arrays of PATH, by their paths without the first slash, and the attributes of the file itself, as
 * @NAME: COUNT of them, to be freed by tp_items_free; NULL after tp_fail. */
tp_item *tp_hdf5_items (const char *path, int *count);

/* The array NAME of PATH, f32 or c64: of its first axis the indices from FIRST, COUNT of them; all
 * when COUNT is -1. */
tp_tensor *tp_hdf5_load (const char *path, const char *name, int64_t first, int64_t count);

/* The text in the array NAME, or in the attribute when it is @NAME, to be freed. */
char *tp_hdf5_text (const char *path, const char *name);
/* The number in the attribute @NAME. */
tp_status tp_hdf5_number (const char *path, const char *name, double *number);

/* Arrays, then texts as arrays of one string, whole or not at all. */
tp_status tp_hdf5_save (const char *path, const char *const *names,
                        const tp_tensor *const *tensors, int count,
                        const char *const *text_names, const char *const *texts, int text_count);

#endif
