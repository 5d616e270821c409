/* png.c -- libpng, and its longjmps, which are caught here. */
#include "io/png.h"

#include <png.h>
#include <stdlib.h>

#include "io/file.h"

/* Larger pictures than this are a mistake or an attack. */
#define LONGEST_SIDE 65536

/* Deflate makes at most 1032 bytes of one, and a bit of grey may become three
 * bytes of colour from a palette. */
#define MOST_EXPANSION (1032.0 * 24.0)

typedef struct {
  const char *path;
  FILE *file;
  tp_writer *writer;
  tp_status status; /* of our own reads and writes */
} channel;

static void
on_error (png_structp png, png_const_charp message)
{
  channel *c = png_get_error_ptr (png);
  if (c->status == TP_OK)
    c->status = tp_fail (TP_BAD_FILE, "%s: damaged: %s", c->path, message);
  png_longjmp (png, 1);
}

static void
on_warning (png_structp png, png_const_charp message)
{
  (void) png;
  (void) message;
}

static void
on_read (png_structp png, png_bytep data, size_t bytes)
{
  channel *c = png_get_io_ptr (png);
  c->status = tp_file_read (c->file, c->path, data, bytes);
  if (c->status != TP_OK)
    png_error (png, "cannot read");
}

static void
on_write (png_structp png, png_bytep data, size_t bytes)
{
  channel *c = png_get_io_ptr (png);
  c->status = tp_writer_write (c->writer, data, bytes);
  if (c->status != TP_OK)
    png_error (png, "cannot write");
}

static void
on_flush (png_structp png)
{
  (void) png;
}

/* --- Reading ------------------------------------------------------------ */

/* What outlives a long jump out of libpng. */
typedef struct {
  channel channel;
  int64_t length; /* of the file */
  png_structp png;
  png_infop info;
  png_bytep pixels;
  png_bytepp rows;
} reader;

/* Decode into r->pixels and say how; false after a failure. */
static bool
decode (reader *r, int64_t *height, int64_t *width, int *channels, int *bits)
{
  if (setjmp (png_jmpbuf (r->png)))
    return false;
  png_set_user_limits (r->png, LONGEST_SIDE, LONGEST_SIDE);
  png_set_read_fn (r->png, &r->channel, on_read);
  png_read_info (r->png, r->info);
  png_set_expand (r->png);
  png_set_strip_alpha (r->png);
  png_set_interlace_handling (r->png);
  png_read_update_info (r->png, r->info);
  *height = png_get_image_height (r->png, r->info);
  *width = png_get_image_width (r->png, r->info);
  *channels = png_get_channels (r->png, r->info);
  *bits = png_get_bit_depth (r->png, r->info);
  size_t stride = png_get_rowbytes (r->png, r->info);
  if ((double) stride * (double) *height > MOST_EXPANSION * (double) r->length)
    {
      r->channel.status = tp_fail (TP_BAD_FILE, "%s: truncated: it would be %lld x %lld pixels",
                                   r->channel.path, (long long) *height, (long long) *width);
      return false;
    }
  r->pixels = malloc (stride * (size_t) *height);
  r->rows = malloc ((size_t) *height * sizeof *r->rows);
  if (!r->pixels || !r->rows)
    {
      r->channel.status = tp_fail (TP_NO_MEMORY, "%s: no memory for %lld x %lld pixels",
                                   r->channel.path, (long long) *height, (long long) *width);
      return false;
    }
  for (int64_t y = 0; y < *height; y++)
    r->rows[y] = r->pixels + (size_t) y * stride;
  png_read_image (r->png, r->rows);
  png_read_end (r->png, NULL);
  return true;
}

static tp_tensor *
read_picture (reader *r)
{
  int64_t height, width;
  int channels, bits;
  if (!decode (r, &height, &width, &channels, &bits))
    return NULL;
  const int64_t shape[3] = { height, width, channels };
  tp_tensor *t = tp_tensor_create (TP_F32, channels == 1 ? 2 : 3, shape);
  if (!t)
    return NULL;
  float *out = tp_f32 (t);
  for (int64_t y = 0; y < height; y++)
    for (int64_t i = 0; i < width * channels; i++)
      *out++ = bits == 16 ? (float) (r->rows[y][2 * i] << 8 | r->rows[y][2 * i + 1])
                          : r->rows[y][i];
  return t;
}

tp_tensor *
tp_png_load (const char *path)
{
  reader r = { .channel = { .path = path } };
  if (!(r.channel.file = tp_file_open (path, &r.length)))
    return NULL;
  tp_tensor *t = NULL;
  unsigned char start[8];
  size_t there = fread (start, 1, sizeof start, r.channel.file);
  if (png_sig_cmp (start, 0, there))
    {
      fclose (r.channel.file);
      tp_file_mistaken (path, "a PNG picture");
      return NULL;
    }
  rewind (r.channel.file);
  r.png = png_create_read_struct (PNG_LIBPNG_VER_STRING, &r.channel, on_error, on_warning);
  r.info = r.png ? png_create_info_struct (r.png) : NULL;
  if (r.info)
    t = read_picture (&r);
  else
    tp_fail (TP_NO_MEMORY, "%s: no memory for a PNG reader", path);
  png_destroy_read_struct (&r.png, &r.info, NULL);
  free (r.rows);
  free (r.pixels);
  fclose (r.channel.file);
  return t;
}

tp_item *
tp_png_items (const char *path, int *count)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return NULL;
  /* The signature, and the chunk IHDR: at 16 width and height, at 24 bits and kind of colours. */
  unsigned char start[26] = { 0 };
  size_t there = fread (start, 1, sizeof start, file);
  fclose (file);
  if (there < sizeof start || png_sig_cmp (start, 0, 8))
    {
      tp_file_mistaken (path, "a PNG picture");
      return NULL;
    }
  tp_item item = { .kind = 'i', .size = start[24] > 8 ? 2 : 1,
                   .rank = start[25] & PNG_COLOR_MASK_COLOR ? 3 : 2 };
  item.shape[0] = png_get_uint_32 (start + 20);
  item.shape[1] = png_get_uint_32 (start + 16);
  item.shape[2] = 3;
  *count = 1;
  return tp_items_of_one (&item);
}

/* --- Writing ------------------------------------------------------------ */

static void
quantise (const float *in, int64_t count, double low, double high, int bits, png_bytep out)
{
  double full = bits == 16 ? 65535 : 255;
  for (int64_t i = 0; i < count; i++)
    {
      double v = ((double) in[i] - low) / (high - low);
      unsigned level = !(v > 0) ? 0 : v >= 1 ? (unsigned) full : (unsigned) (v * full + 0.5);
      if (bits == 16)
        *out++ = (png_byte) (level >> 8);
      *out++ = (png_byte) level;
    }
}

typedef struct {
  channel channel;
  png_structp png;
  png_infop info;
  png_bytep row;
} picture_writer;

static void
encode (picture_writer *w, const tp_tensor *t, double low, double high, int bits)
{
  if (setjmp (png_jmpbuf (w->png)))
    return;
  int64_t channels = t->rank == 3 ? 3 : 1, numbers = t->shape[1] * channels;
  png_set_write_fn (w->png, &w->channel, on_write, on_flush);
  png_set_IHDR (w->png, w->info, (png_uint_32) t->shape[1], (png_uint_32) t->shape[0], bits,
                channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info (w->png, w->info);
  for (int64_t y = 0; y < t->shape[0]; y++)
    {
      quantise (tp_f32 (t) + y * numbers, numbers, low, high, bits, w->row);
      png_write_row (w->png, w->row);
    }
  png_write_end (w->png, NULL);
}

static tp_status
write_picture (tp_writer *writer, const char *path, const tp_tensor *t, double low, double high,
               int bits)
{
  picture_writer w = { .channel = { .path = path, .writer = writer } };
  w.row = malloc ((size_t) t->shape[1] * 6);
  w.png = png_create_write_struct (PNG_LIBPNG_VER_STRING, &w.channel, on_error, on_warning);
  w.info = w.png ? png_create_info_struct (w.png) : NULL;
  if (w.row && w.info)
    encode (&w, t, low, high, bits);
  else
    w.channel.status = tp_fail (TP_NO_MEMORY, "%s: no memory for a PNG writer", path);
  png_destroy_write_struct (&w.png, &w.info);
  free (w.row);
  return w.channel.status;
}

tp_status
tp_png_save (const char *path, const tp_tensor *t, double low, double high, int bits)
{
  char text[TP_SHAPE_TEXT];
  if (t->dtype != TP_F32 || (t->rank != 2 && !(t->rank == 3 && t->shape[2] == 3))
      || t->shape[0] < 1 || t->shape[1] < 1 || t->shape[0] > LONGEST_SIDE
      || t->shape[1] > LONGEST_SIDE)
    return tp_fail (TP_BAD_SHAPE, "tensor: expected f32 (rows columns) or (rows columns 3), got"
                    " %s %s", tp_dtype_name (t->dtype), tp_shape_text (text, t->rank, t->shape));
  if (!(high > low))
    return tp_fail (TP_BAD_ARGUMENT, "high: expected more than low (%g), got %g", low, high);
  if (bits != 8 && bits != 16)
    return tp_fail (TP_BAD_ARGUMENT, "bits: expected 8 or 16, got %d", bits);
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return tp_last_status ();
  tp_writer writer;
  tp_status status = tp_f32 (whole) ? tp_writer_open (&writer, path)
                                    : tp_fail (TP_BAD_ARGUMENT, "tensor: its scope has closed");
  if (status == TP_OK)
    status = tp_writer_close (&writer, write_picture (&writer, path, whole, low, high, bits));
  tp_tensor_free (whole);
  return status;
}
