/* gif.c -- frames are written to the file as they come. */
#include "io/gif.h"

#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

#define LONGEST_SIDE 65535

struct tp_gif {
  tp_writer writer;
  GifFileType *file;
  int height, width;
  int64_t time, written; /* so far, in milliseconds; in hundredths, as written */
  GifByteType *levels;   /* (height, width): numbers in the table */
  GifByteType *planes;   /* (3, height, width): red, green, blue, when quantised */
};

static int
on_write (GifFileType *file, const GifByteType *data, int bytes)
{
  tp_gif *g = file->UserData;
  return tp_writer_write (&g->writer, data, (size_t) bytes) == TP_OK ? bytes : 0;
}

static tp_status
failure (tp_gif *g, int code)
{
  /* What went wrong while writing has been said by the writer. */
  if (code == E_GIF_ERR_WRITE_FAILED)
    return tp_last_status ();
  const char *text = GifErrorString (code);
  return tp_fail (TP_IO, "%s: %s", g->writer.path, text ? text : "giflib fails");
}

/* The block by which browsers know how often to play. */
static bool
put_loops (GifFileType *file, int loops)
{
  const GifByteType count[3] = { 1, (GifByteType) (loops & 255), (GifByteType) (loops >> 8 & 255) };
  return EGifPutExtensionLeader (file, APPLICATION_EXT_FUNC_CODE)
         && EGifPutExtensionBlock (file, 11, "NETSCAPE2.0")
         && EGifPutExtensionBlock (file, 3, count) && EGifPutExtensionTrailer (file);
}

tp_gif *
tp_gif_open (const char *path, int height, int width, int loops)
{
  if (height < 1 || width < 1 || height > LONGEST_SIDE || width > LONGEST_SIDE)
    {
      tp_fail (TP_BAD_SHAPE, "frames: expected 1 to %d pixels a side, got %d x %d", LONGEST_SIDE,
               height, width);
      return NULL;
    }
  tp_gif *g = calloc (1, sizeof *g);
  size_t count = (size_t) height * (size_t) width;
  if (!g || !(g->levels = malloc (count)) || !(g->planes = malloc (3 * count)))
    tp_fail (TP_NO_MEMORY, "no memory for frames of %d x %d pixels", height, width);
  else if (tp_writer_open (&g->writer, path) == TP_OK)
    {
      int code = 0;
      g->height = height;
      g->width = width;
      g->file = EGifOpen (g, on_write, &code);
      if (g->file)
        EGifSetGifVersion (g->file, true);
      /* A count of 1 is not written: it would be 1 time more.  */
      if (g->file && EGifPutScreenDesc (g->file, width, height, 8, 0, NULL)
          && (loops == 1 || put_loops (g->file, loops ? loops - 1 : 0)))
        return g;
      tp_gif_close (g, failure (g, g->file ? g->file->Error : code));
      return NULL;
    }
  if (g)
    {
      free (g->levels);
      free (g->planes);
    }
  free (g);
  return NULL;
}

/* --- Colours ------------------------------------------------------------- */

/* The colours of a frame, found by hashing. */
typedef struct {
  int count;
  uint32_t colours[256];
  int16_t slots[1024]; /* number of a colour plus 1, or 0 */
} palette;

/* The number of COLOUR in P, added if it is new; -1 when P is full. */
static int
number_in (palette *p, uint32_t colour)
{
  unsigned at = (colour * 2654435761u) >> 22;
  for (; p->slots[at]; at = (at + 1) & 1023)
    if (p->colours[p->slots[at] - 1] == colour)
      return p->slots[at] - 1;
  if (p->count == 256)
    return -1;
  p->colours[p->count] = colour;
  p->slots[at] = (int16_t) ++p->count;
  return p->count - 1;
}

/* PIXELS into g->levels and MAP; false when they have too many colours. */
static bool
look_up (tp_gif *g, const uint32_t *pixels, ColorMapObject *map)
{
  palette p = { 0 };
  size_t count = (size_t) g->height * (size_t) g->width;
  for (size_t i = 0; i < count; i++)
    {
      int number = number_in (&p, pixels[i]);
      if (number < 0)
        return false;
      g->levels[i] = (GifByteType) number;
    }
  for (int k = 0; k < p.count; k++)
    map->Colors[k] = (GifColorType) { (GifByteType) (p.colours[k] >> 16),
                                      (GifByteType) (p.colours[k] >> 8),
                                      (GifByteType) p.colours[k] };
  return true;
}

static bool
quantise (tp_gif *g, const uint32_t *pixels, ColorMapObject *map)
{
  size_t count = (size_t) g->height * (size_t) g->width;
  GifByteType *red = g->planes, *green = red + count, *blue = green + count;
  for (size_t i = 0; i < count; i++)
    {
      red[i] = (GifByteType) (pixels[i] >> 16);
      green[i] = (GifByteType) (pixels[i] >> 8);
      blue[i] = (GifByteType) pixels[i];
    }
  int colours = 256;
  return GifQuantizeBuffer ((unsigned) g->width, (unsigned) g->height, &colours, red, green, blue,
                            g->levels, map->Colors) == GIF_OK;
}

/* --- Frames -------------------------------------------------------------- */

static bool
put_frame (tp_gif *g, int hundredths, const ColorMapObject *map)
{
  GraphicsControlBlock control = { .DisposalMode = DISPOSE_DO_NOT, .DelayTime = hundredths,
                                   .TransparentColor = NO_TRANSPARENT_COLOR };
  GifByteType bytes[4];
  size_t length = EGifGCBToExtension (&control, bytes);
  if (!EGifPutExtension (g->file, GRAPHICS_EXT_FUNC_CODE, (int) length, bytes)
      || !EGifPutImageDesc (g->file, 0, 0, g->width, g->height, false, map))
    return false;
  for (int y = 0; y < g->height; y++)
    if (!EGifPutLine (g->file, g->levels + (size_t) y * (size_t) g->width, g->width))
      return false;
  return true;
}

tp_status
tp_gif_add (tp_gif *g, const uint32_t *pixels, int milliseconds)
{
  if (milliseconds < 1 || milliseconds > 600000)
    return tp_fail (TP_BAD_ARGUMENT, "frames: expected 1 ms to 10 minutes each, got %d ms",
                    milliseconds);
  ColorMapObject *map = GifMakeMapObject (256, NULL);
  if (!map)
    return tp_fail (TP_NO_MEMORY, "no memory for a frame");
  /* Rounded over all frames, lest a third of a second each adds up. */
  g->time += milliseconds;
  int hundredths = (int) ((g->time + 5) / 10 - g->written);
  g->written += hundredths;
  tp_status status = TP_OK;
  if (!look_up (g, pixels, map) && !quantise (g, pixels, map))
    status = tp_fail (TP_NO_MEMORY, "no memory to bring colours together");
  else if (!put_frame (g, hundredths, map))
    status = failure (g, g->file->Error);
  GifFreeMapObject (map);
  return status;
}

tp_status
tp_gif_close (tp_gif *g, tp_status status)
{
  int code = 0;
  if (g->file && !EGifCloseFile (g->file, &code) && status == TP_OK)
    status = failure (g, code);
  status = tp_writer_close (&g->writer, status);
  free (g->levels);
  free (g->planes);
  free (g);
  return status;
}
