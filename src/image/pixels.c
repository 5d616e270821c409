/* pixels.c -- a window of intensities, cut into 256 levels. */
#include "image/pixels.h"

#include <stdbool.h>

static inline uint32_t
level (float x, double low, double scale)
{
  double v = ((double) x - low) * scale;
  return !(v > 0) ? 0 : v >= 255 ? 255 : (uint32_t) (v + 0.5);
}

tp_status
tp_pixels (const tp_tensor *image, double low, double high, const uint32_t table[256],
           uint32_t *pixels)
{
  char text[TP_SHAPE_TEXT];
  bool coloured = image->rank == 3 && image->shape[2] == 3;
  if (image->dtype != TP_F32 || (image->rank != 2 && !coloured))
    return tp_fail (TP_BAD_SHAPE, "image: expected f32 (rows columns) or (rows columns 3), got"
                    " %s %s", tp_dtype_name (image->dtype),
                    tp_shape_text (text, image->rank, image->shape));
  if (!(high > low))
    return tp_fail (TP_BAD_ARGUMENT, "high: expected more than low (%g), got %g", low, high);
  tp_tensor *whole = tp_contiguous (image);
  if (!whole)
    return tp_last_status ();
  const float *in = tp_f32 (whole);
  tp_status status = in ? TP_OK : tp_fail (TP_BAD_ARGUMENT, "image: its scope has closed");
  double scale = 255 / (high - low);
  int64_t count = image->shape[0] * image->shape[1];
  if (status == TP_OK)
    for (int64_t i = 0; i < count; i++)
      pixels[i] = coloured ? 0xff000000u | level (in[3 * i], low, scale) << 16
                               | level (in[3 * i + 1], low, scale) << 8
                               | level (in[3 * i + 2], low, scale)
                           : table[level (in[i], low, scale)];
  tp_tensor_free (whole);
  return status;
}
