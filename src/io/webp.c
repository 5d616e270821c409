/* webp.c -- libwebp compresses each frame as it comes and keeps it in memory; the file
 * is written at the end. */
#include "io/webp.h"

#include <stdlib.h>
#include <string.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "io/file.h"

/* Of libwebp's levels 0 to 9 for what is lossless: four times as fast as its
 * usual 6, and a few hundredths larger. */
#define EFFORT 3

struct tp_webp {
  tp_writer writer;
  WebPAnimEncoder *encoder;
  WebPConfig config;
  int height, width;
  int64_t time; /* so far, in milliseconds */
};

tp_webp *
tp_webp_open (const char *path, int height, int width, int loops, double quality)
{
  if (height < 1 || width < 1 || height > WEBP_MAX_DIMENSION || width > WEBP_MAX_DIMENSION)
    {
      tp_fail (TP_BAD_SHAPE, "frames: expected 1 to %d pixels a side, got %d x %d",
               WEBP_MAX_DIMENSION, height, width);
      return NULL;
    }
  tp_webp *w = calloc (1, sizeof *w);
  if (!w)
    {
      tp_fail (TP_NO_MEMORY, "no memory for an animation");
      return NULL;
    }
  if (tp_writer_open (&w->writer, path) != TP_OK)
    {
      free (w);
      return NULL;
    }
  w->height = height;
  w->width = width;
  WebPAnimEncoderOptions options;
  bool ready = WebPAnimEncoderOptionsInit (&options) && WebPConfigInit (&w->config);
  if (ready && quality < 0)
    ready = WebPConfigLosslessPreset (&w->config, EFFORT);
  else
    w->config.quality = (float) quality;
  options.anim_params.loop_count = loops;
  if (!ready || !WebPValidateConfig (&w->config)
      || !(w->encoder = WebPAnimEncoderNew (width, height, &options)))
    {
      tp_webp_close (w, tp_fail (TP_NO_MEMORY, "%s: libwebp does not begin", path));
      return NULL;
    }
  return w;
}

tp_status
tp_webp_add (tp_webp *w, const uint32_t *pixels, int milliseconds)
{
  if (milliseconds < 1 || w->time + milliseconds > INT32_MAX)
    return tp_fail (TP_BAD_ARGUMENT, "frames: expected 1 ms or more each, a month in all at most");
  WebPPicture picture;
  if (!WebPPictureInit (&picture))
    return tp_fail (TP_NO_MEMORY, "no memory for a frame");
  picture.use_argb = 1;
  picture.height = w->height;
  picture.width = w->width;
  tp_status status = TP_OK;
  if (!WebPPictureAlloc (&picture))
    status = tp_fail (TP_NO_MEMORY, "no memory for a frame");
  else
    {
      for (int y = 0; y < w->height; y++)
        memcpy (picture.argb + (size_t) y * (size_t) picture.argb_stride,
                pixels + (size_t) y * (size_t) w->width, (size_t) w->width * sizeof *pixels);
      if (!WebPAnimEncoderAdd (w->encoder, &picture, (int) w->time, &w->config))
        status = tp_fail (TP_IO, "%s: %s", w->writer.path, WebPAnimEncoderGetError (w->encoder));
    }
  WebPPictureFree (&picture);
  w->time += milliseconds;
  return status;
}

tp_status
tp_webp_close (tp_webp *w, tp_status status)
{
  WebPData data;
  WebPDataInit (&data);
  if (status == TP_OK
      && (!WebPAnimEncoderAdd (w->encoder, NULL, (int) w->time, NULL)
          || !WebPAnimEncoderAssemble (w->encoder, &data)))
    status = tp_fail (TP_IO, "%s: %s", w->writer.path, WebPAnimEncoderGetError (w->encoder));
  if (status == TP_OK)
    status = tp_writer_write (&w->writer, data.bytes, data.size);
  status = tp_writer_close (&w->writer, status);
  WebPDataClear (&data);
  WebPAnimEncoderDelete (w->encoder);
  free (w);
  return status;
}
