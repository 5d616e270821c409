/* safetensors.h -- named tensors in one file.
 *
 * The format: the header's length (8 bytes, little-endian), the header (JSON:
 * for each name its type, its shape and where its bytes are), the bytes.
 * The JSON is read and written by (tempera file safetensors); here are the bytes. */
#ifndef TP_SAFETENSORS_H
#define TP_SAFETENSORS_H

#include "io/numbers.h"

/* The header's text, to be freed; *DATA_BYTES: how many bytes follow it. */
char *tp_safetensors_header (const char *path, int64_t *data_bytes);

/* The f32 tensor of the numbers of TYPE whose bytes begin at BEGIN after the header. */
tp_tensor *tp_safetensors_read (const char *path, int64_t begin, const tp_number_type *type, int rank,
                                const int64_t *shape);

/* HEADER, then the COUNT tensors (f32) without gaps, in HALF precision if wanted. */
tp_status tp_safetensors_write (const char *path, const char *header,
                                const tp_tensor *const *tensors, int count, bool half);

#endif
