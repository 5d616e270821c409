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

/* The upper half of a float. */
static void
from_bf16 (const unsigned char *in, float *out, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    {
      uint16_t upper;
      memcpy (&upper, in + 2 * i, sizeof upper);
      uint32_t bits = (uint32_t) upper << 16;
      memcpy (out + i, &bits, sizeof bits);
    }
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
  { 'f', 2, from_f16 }, { 'b', 2, from_bf16 }, { 'f', 4, from_f32 }, { 'f', 8, from_f64 },
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

int
tp_number_size (const tp_number_type *type)
{
  return type->size;
}

/* The bits of the number of half precision that is nearest to X, of two the even one. */
static uint16_t
half_of (float x)
{
  uint16_t sign = signbit (x) ? 0x8000 : 0;
  float magnitude = fabsf (x);
  if (isnan (x))
    return 0x7e00;
  if (magnitude >= 65520)
    return (uint16_t) (sign | 0x7c00); /* infinity */
  if (magnitude < 0x1p-14f) /* too small for a first bit of 1; the largest round up into those that are not */
    return (uint16_t) (sign | lrintf (ldexpf (magnitude, 24)));
  int exponent;
  frexpf (magnitude, &exponent); /* magnitude = m 2^exponent, 1/2 <= m < 1 */
  /* A mantissa that rounds to 2048 carries into the exponent. */
  return (uint16_t) (sign | (((exponent + 14) << 10) + lrintf (ldexpf (magnitude, 11 - exponent)) - 1024));
}

void
tp_half_from_floats (const float *in, unsigned char *out, int64_t count)
{
  for (int64_t i = 0; i < count; i++)
    {
      uint16_t half = half_of (in[i]);
      memcpy (out + 2 * i, &half, sizeof half);
    }
}

tp_tensor *
tp_round_to_half (const tp_tensor *t)
{
  if (tp_check (t, "tensor", TP_F32, -1) != TP_OK)
    return NULL;
  tp_tensor *result = tp_copy (t);
  if (!result)
    return NULL;
  float *x = tp_f32 (result);
  for (int64_t i = 0, n = tp_tensor_count (result); i < n; i++)
    {
      uint16_t bits = half_of (x[i]);
      float half;
      from_f16 ((unsigned char *) &bits, &half, 1);
      if (isinf (half) && !isinf (x[i]))
        {
          tp_fail (TP_BAD_VALUE, "number %lld is %g, beyond the 65504 that half precision holds", (long long) i,
                   (double) x[i]);
          tp_tensor_free (result);
          return NULL;
        }
      x[i] = half;
    }
  return result;
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
