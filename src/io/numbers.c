/* numbers.c -- one loop a type of number, byte order, range, and column-major order. */
#include "io/numbers.h"

#include <math.h>
#include <string.h>

struct tp_number_type {
  char kind;
  int size;
  void (*convert) (const unsigned char *in, float *out, int64_t count);
};

#define CONVERTER(name, type)                                          \
  static void                                                          \
  name (const unsigned char *in, float *out, int64_t count)            \
  {                                                                    \
    for (int64_t i = 0; i < count; i++)                                \
      {                                                                \
        type value;                                                    \
        memcpy (&value, in + (size_t) i * sizeof value, sizeof value); \
        out[i] = (float) value;                                        \
      }                                                                \
  }

CONVERTER (from_f32, float)
CONVERTER (from_f64, double)
CONVERTER (from_i8, int8_t)
CONVERTER (from_u8, uint8_t)
CONVERTER (from_i16, int16_t)
CONVERTER (from_u16, uint16_t)
CONVERTER (from_i32, int32_t)
CONVERTER (from_u32, uint32_t)
CONVERTER (from_i64, int64_t)
CONVERTER (from_u64, uint64_t)

/* Not every compiler has the type: a sign, 5 bits of exponent, 10 of mantissa. */
static void
from_f16 (const unsigned char *in, float *out, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    {
      uint16_t bits;
      memcpy (&bits, in + 2 * i, sizeof bits);
      int exponent = bits >> 10 & 31, mantissa = bits & 1023;
      float value = exponent == 31 ? (mantissa ? NAN : INFINITY)
                    : exponent   ? ldexpf ((float) (1024 + mantissa), exponent - 25)
                                 : ldexpf ((float) mantissa, -24);
      out[i] = bits >> 15 ? -value : value;
    }
}

static const tp_number_type types[] = {
  { 'f', 2, from_f16 }, { 'f', 4, from_f32 }, { 'f', 8, from_f64 },
  { 'i', 1, from_i8 }, { 'u', 1, from_u8 }, { 'i', 2, from_i16 }, { 'u', 2, from_u16 },
  { 'i', 4, from_i32 }, { 'u', 4, from_u32 }, { 'i', 8, from_i64 }, { 'u', 8, from_u64 },
};

const tp_number_type *
tp_number_type_of (char kind, int size)
{
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].kind == kind && types[i].size == size)
      return types + i;
  return NULL;
}

static void
swap_bytes (unsigned char *bytes, int size, int64_t count)
{
  for (int64_t i = 0; i < count; i++, bytes += size)
    for (int low = 0, high = size - 1; low < high; low++, high--)
      {
        unsigned char byte = bytes[low];
        bytes[low] = bytes[high];
        bytes[high] = byte;
      }
}

/* Only a double can be finite and not as float. */
static tp_status
check_range (const char *path, const unsigned char *in, const float *out, int64_t count,
             int64_t first)
{
  for (int64_t i = 0; i < count; i++)
    if (isinf (out[i]))
      {
        double value;
        memcpy (&value, in + (size_t) i * sizeof value, sizeof value);
        if (isfinite (value))
          return tp_fail (TP_BAD_VALUE, "%s: number %lld is %g, beyond the %g that float32 holds:"
                          " scale the array before it is saved", path, (long long) (first + i),
                          value, (double) __FLT_MAX__);
      }
  return TP_OK;
}

tp_status
tp_numbers_read (const char *path, const tp_number_type *type, bool swapped, unsigned char *in,
                 float *out, int64_t count, int64_t first)
{
  if (swapped)
    swap_bytes (in, type->size, count);
  type->convert (in, out, count);
  return type->convert == from_f64 ? check_range (path, in, out, count, first) : TP_OK;
}

tp_tensor *
tp_to_column_major (const tp_tensor *t)
{
  int permutation[TP_MAX_RANK];
  for (int i = 0; i < t->rank; i++)
    permutation[i] = t->rank - 1 - i;
  tp_tensor *view = tp_transpose (t, permutation);
  tp_tensor *result = view ? tp_contiguous (view) : NULL;
  tp_tensor_free (view);
  return result;
}

tp_tensor *
tp_from_column_major (tp_tensor *t)
{
  if (t->rank < 2)
    return t;
  tp_tensor *result = tp_to_column_major (t);
  tp_tensor_free (t);
  return result;
}
