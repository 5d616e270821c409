/* numbers.h -- the numbers of files, of any type and byte order, as floats. */
#ifndef TP_NUMBERS_H
#define TP_NUMBERS_H

#include "tensor/tensor.h"

typedef struct tp_number_type tp_number_type;

/* The type of KIND, 'f' (float), 'b' (bfloat16), 'i' (integer) or 'u' (unsigned), of SIZE bytes; NULL when
 * there is none: floats have 2, 4 or 8, a bfloat16 has 2, integers have 1, 2, 4 or 8. */
const tp_number_type *tp_number_type_of (char kind, int size);
int tp_number_size (const tp_number_type *type);

/* COUNT numbers of TYPE at IN, whose bytes are put in this machine's order first when SWAPPED, as
 * the nearest floats to OUT.  The first is number FIRST of the file PATH, for messages: a number
 * that is finite in the file and not as float is an error. */
tp_status tp_numbers_read (const char *path, const tp_number_type *type, bool swapped,
                           unsigned char *in, float *out, int64_t count, int64_t first);

/* The nearest numbers of half precision (IEEE 754 binary16, 11 bits), COUNT of them, of IN to the bytes OUT. */
void tp_half_from_floats (const float *in, unsigned char *out, int64_t count);
/* T, f32, with the nearest number of half precision for each; one that is finite and beyond them, 65504 at
 * most, is an error. */
tp_tensor *tp_round_to_half (const tp_tensor *t);

/* T, which it takes over, was filled in the file's order, first axis fastest, with the shape
 * reversed: the tensor whose shape is the file's. */
tp_tensor *tp_from_column_major (tp_tensor *t);
/* T with its axes reversed, contiguous: its elements in column-major order. */
tp_tensor *tp_to_column_major (const tp_tensor *t);

#endif
