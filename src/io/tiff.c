/* tiff.c -- libtiff, held to memory that the file can fill. */
#include "io/tiff.h"

#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

#include "io/file.h"
#include "io/numbers.h"

#define MOST_PAGES 65535
#define LONGEST_SIDE 65536
/* LZW makes at most 1365 bytes of one, deflate 1032. */
#define BEST_COMPRESSION 1366.0

typedef struct {
  uint32_t rows, columns;
  uint16_t samples; /* a pixel, transparency among them */
  int channels;     /* 1, or 3 of colours */
  uint16_t bits, format;
  bool planes; /* samples lie apart */
} page;

static int
ignore (TIFF *tiff, void *data, const char *module, const char *format, va_list arguments)
{
  (void) tiff, (void) data, (void) module, (void) format, (void) arguments;
  return 1;
}

/* A TIFF on DESCRIPTOR, which it does not close; NULL where the library makes none. */
static TIFF *
open_tiff (int descriptor, const char *path, const char *mode, int64_t most_memory)
{
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc ();
  if (!options)
    return NULL;
  TIFFOpenOptionsSetErrorHandlerExtR (options, ignore, NULL);
  TIFFOpenOptionsSetWarningHandlerExtR (options, ignore, NULL);
  TIFFOpenOptionsSetMaxSingleMemAlloc (options, most_memory);
  TIFF *tiff = TIFFFdOpenExt (descriptor, path, mode, options);
  TIFFOpenOptionsFree (options);
  return tiff;
}

/* --- Reading ------------------------------------------------------------------ */

typedef struct {
  const char *path;
  FILE *file;
  int64_t length;
  TIFF *tiff;
} reader;

static tp_status
damaged (const char *path)
{
  return tp_fail (TP_BAD_FILE, "%s: truncated or damaged", path);
}

static void
close_reader (reader *r)
{
  if (r->tiff)
    TIFFCleanup (r->tiff);
  fclose (r->file);
}

static bool
open_reader (reader *r, const char *path)
{
  *r = (reader) { .path = path };
  if (!(r->file = tp_file_open (path, &r->length)))
    return false;
  int64_t most = (int64_t) BEST_COMPRESSION * r->length;
  r->tiff = open_tiff (fileno (r->file), path, "rm", most > 1 << 20 ? most : 1 << 20);
  if (r->tiff)
    return true;
  close_reader (r);
  tp_file_mistaken (path, "a TIFF picture");
  return false;
}

/* The kind of number, for tp_number_type_of, of P's samples or of their parts; 0 when they are not read. */
static char
kind_of (const page *p)
{
  switch (p->format)
    {
    case SAMPLEFORMAT_UINT: return p->bits == 8 || p->bits == 16 || p->bits == 32 ? 'u' : 0;
    case SAMPLEFORMAT_INT: return p->bits == 8 || p->bits == 16 || p->bits == 32 ? 'i' : 0;
    case SAMPLEFORMAT_IEEEFP: return p->bits == 16 || p->bits == 32 || p->bits == 64 ? 'f' : 0;
    case SAMPLEFORMAT_COMPLEXIEEEFP: return p->bits == 64 || p->bits == 128 ? 'f' : 0;
    default: return 0;
    }
}

static bool
is_complex (const page *p)
{
  return p->format == SAMPLEFORMAT_COMPLEXIEEEFP;
}

/* What the directory that TIFF is at says. */
static tp_status
read_page (const reader *r, page *p)
{
  uint16_t colours = 0, compression, plan, extra = 0, *kinds;
  *p = (page) { 0 };
  TIFFGetField (r->tiff, TIFFTAG_IMAGEWIDTH, &p->columns);
  TIFFGetField (r->tiff, TIFFTAG_IMAGELENGTH, &p->rows);
  TIFFGetFieldDefaulted (r->tiff, TIFFTAG_SAMPLESPERPIXEL, &p->samples);
  TIFFGetFieldDefaulted (r->tiff, TIFFTAG_BITSPERSAMPLE, &p->bits);
  TIFFGetFieldDefaulted (r->tiff, TIFFTAG_SAMPLEFORMAT, &p->format);
  TIFFGetFieldDefaulted (r->tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetFieldDefaulted (r->tiff, TIFFTAG_PLANARCONFIG, &plan);
  TIFFGetFieldDefaulted (r->tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
  TIFFGetField (r->tiff, TIFFTAG_PHOTOMETRIC, &colours);
  p->channels = colours == PHOTOMETRIC_RGB ? 3 : 1;
  p->planes = plan == PLANARCONFIG_SEPARATE && p->samples > 1;
  if (p->rows < 1 || p->columns < 1 || p->rows > LONGEST_SIDE || p->columns > LONGEST_SIDE
      || extra >= p->samples)
    return damaged (r->path);
  if (compression != COMPRESSION_NONE && compression != COMPRESSION_LZW
      && compression != COMPRESSION_DEFLATE && compression != COMPRESSION_ADOBE_DEFLATE
      && compression != COMPRESSION_PACKBITS)
    return tp_fail (TP_UNSUPPORTED, "%s: expected a TIFF picture without compression or with LZW,"
                    " deflate or PackBits, got compression %d", r->path, compression);
  if ((colours != PHOTOMETRIC_MINISBLACK && colours != PHOTOMETRIC_RGB) || !kind_of (p)
      || p->samples - extra != p->channels || (p->channels == 3 && is_complex (p)))
    return tp_fail (TP_UNSUPPORTED, "%s: expected grey, black being 0, or red, green and blue, of 8 to"
                    " 32 bits or floats, got %d samples of %d bits", r->path, p->samples, p->bits);
  double bytes = (double) p->rows * p->columns * p->samples * p->bits / 8;
  if (bytes > BEST_COMPRESSION * (double) r->length)
    return tp_fail (TP_BAD_FILE, "%s: truncated: it would be %u x %u pixels", r->path, p->rows,
                    p->columns);
  return TP_OK;
}

static bool
alike (const page *p, const page *q)
{
  return p->rows == q->rows && p->columns == q->columns && p->samples == q->samples
         && p->channels == q->channels && p->bits == q->bits && p->format == q->format && p->planes == q->planes;
}

/* All pages have to be as the first one, P; how many they are, 0 after tp_fail. */
static int
count_pages (const reader *r, page *p)
{
  int pages = 0;
  do
    {
      page other;
      if (read_page (r, &other) != TP_OK)
        return 0;
      if (pages == 0)
        *p = other;
      if (!alike (p, &other) || pages == MOST_PAGES)
        {
          tp_fail (TP_UNSUPPORTED, "%s: expected at most %d pages, all of one size and type; page %d is"
                   " another", r->path, MOST_PAGES, pages + 1);
          return 0;
        }
      pages++;
    }
  while (TIFFReadDirectory (r->tiff));
  if ((double) pages * p->rows * p->columns * p->samples * p->bits / 8
      <= BEST_COMPRESSION * (double) r->length)
    return pages;
  tp_fail (TP_BAD_FILE, "%s: truncated: it would be %d pages of %u x %u pixels", r->path, pages,
           p->rows, p->columns);
  return 0;
}

/* A page is cut into strips or tiles, each of which is unpacked alone: how it is cut. */
typedef struct {
  bool tiled;
  uint32_t rows, columns; /* of one piece */
  int samples;            /* a pixel in it */
  int64_t line;           /* bytes of a row of it */
  int64_t size;
} cut;

static tp_status
read_cut (const reader *r, const page *p, cut *c)
{
  *c = (cut) { .tiled = TIFFIsTiled (r->tiff), .columns = p->columns, .rows = p->rows,
               .samples = p->planes ? 1 : p->samples };
  if (c->tiled)
    {
      TIFFGetField (r->tiff, TIFFTAG_TILEWIDTH, &c->columns);
      TIFFGetField (r->tiff, TIFFTAG_TILELENGTH, &c->rows);
    }
  else
    TIFFGetFieldDefaulted (r->tiff, TIFFTAG_ROWSPERSTRIP, &c->rows);
  if (!c->tiled && c->rows > p->rows)
    c->rows = p->rows;
  if (c->rows < 1 || c->columns < 1 || c->rows > 2 * LONGEST_SIDE || c->columns > 2 * LONGEST_SIDE)
    return damaged (r->path);
  c->line = (int64_t) c->columns * c->samples * p->bits / 8;
  c->size = c->line * c->rows;
  return (double) c->size > BEST_COMPRESSION * (double) r->length + (1 << 20) ? damaged (r->path)
                                                                             : TP_OK;
}

/* Row LINE of a piece, which the page P has in row Y from column X on, to OUT, the page.  SAMPLE is the
 * one that the piece has, or the first of all. */
static tp_status
read_line (const reader *r, const page *p, const cut *c, unsigned char *line, float *numbers,
           int64_t y, int64_t x, int sample, float *out)
{
  int parts = is_complex (p) ? 2 : 1, channels = p->channels;
  int64_t left = p->columns - x, count = left < c->columns ? left : c->columns;
  tp_status status = tp_numbers_read (r->path, tp_number_type_of (kind_of (p), p->bits / 8 / parts),
                                      false, line, numbers, count * c->samples * parts,
                                      (y * p->columns + x) * c->samples * parts);
  int here = c->samples < channels ? c->samples : channels;
  out += (y * p->columns + x) * channels * parts;
  for (int64_t k = 0; k < count; k++)
    for (int i = 0; i < here * parts; i++)
      out[k * channels * parts + sample + i] = numbers[k * c->samples * parts + i];
  return status;
}

/* The page that TIFF is at, P, into OUT; PIECE and NUMBERS are room for one of its pieces and for a row. */
static tp_status
read_pieces (const reader *r, const page *p, const cut *c, unsigned char *piece, float *numbers,
             float *out)
{
  uint32_t index = 0;
  for (int sample = 0; sample < (p->planes ? p->channels : 1); sample++)
    for (int64_t y = 0; y < p->rows; y += c->rows)
      for (int64_t x = 0; x < p->columns; x += c->columns, index++)
        {
          int64_t rows = p->rows - y < c->rows ? p->rows - y : c->rows;
          int64_t got = c->tiled ? TIFFReadEncodedTile (r->tiff, index, piece, c->size)
                                 : TIFFReadEncodedStrip (r->tiff, index, piece, rows * c->line);
          if (got < rows * c->line)
            return damaged (r->path);
          for (int64_t k = 0; k < rows; k++)
            {
              tp_status status = read_line (r, p, c, piece + k * c->line, numbers, y + k, x, sample, out);
              if (status != TP_OK)
                return status;
            }
        }
  return TP_OK;
}

static tp_status
read_page_into (const reader *r, const page *p, float *out)
{
  cut c;
  tp_status status = read_cut (r, p, &c);
  if (status != TP_OK)
    return status;
  unsigned char *piece = malloc ((size_t) c.size);
  float *numbers = malloc ((size_t) c.columns * (size_t) c.samples * 2 * sizeof *numbers);
  status = piece && numbers ? read_pieces (r, p, &c, piece, numbers, out)
                            : tp_fail (TP_NO_MEMORY, "%s: no memory for a page", r->path);
  free (piece);
  free (numbers);
  return status;
}

/* The tensor's shape; its rank. */
static int
shape_of (const page *p, int pages, int64_t shape[4])
{
  int rank = 0;
  if (pages > 1)
    shape[rank++] = pages;
  shape[rank++] = p->rows;
  shape[rank++] = p->columns;
  if (p->channels == 3)
    shape[rank++] = 3;
  return rank;
}

static tp_tensor *
read_pages (const reader *r)
{
  page p;
  int pages = count_pages (r, &p);
  int64_t shape[4];
  int rank = pages ? shape_of (&p, pages, shape) : 0;
  tp_tensor *t = pages ? tp_tensor_create (is_complex (&p) ? TP_C64 : TP_F32, rank, shape) : NULL;
  if (!t)
    return NULL;
  float *out = is_complex (&p) ? (float *) tp_c64 (t) : tp_f32 (t);
  int64_t step = (int64_t) p.rows * p.columns * p.channels * (is_complex (&p) ? 2 : 1);
  tp_status status = TIFFSetDirectory (r->tiff, 0) ? TP_OK : damaged (r->path);
  for (int k = 0; status == TP_OK && k < pages; k++)
    {
      if (k > 0 && !TIFFReadDirectory (r->tiff))
        status = damaged (r->path);
      else
        status = read_page_into (r, &p, out + k * step);
    }
  if (status == TP_OK)
    return t;
  tp_tensor_free (t);
  return NULL;
}

tp_tensor *
tp_tiff_load (const char *path)
{
  reader r;
  if (!open_reader (&r, path))
    return NULL;
  tp_tensor *t = read_pages (&r);
  close_reader (&r);
  return t;
}

tp_item *
tp_tiff_items (const char *path, int *count)
{
  reader r;
  if (!open_reader (&r, path))
    return NULL;
  page p;
  int pages = count_pages (&r, &p);
  close_reader (&r);
  if (!pages)
    return NULL;
  tp_item item = { .size = p.bits / 8 };
  item.kind = is_complex (&p) ? 'c' : kind_of (&p) == 'f' ? 'f' : 'i';
  item.rank = shape_of (&p, pages, item.shape);
  *count = 1;
  return tp_items_of_one (&item);
}

/* --- Writing ------------------------------------------------------------------ */

static bool
write_page (TIFF *tiff, const float *numbers, int64_t rows, int64_t columns, int page, int pages,
            const char *note)
{
  TIFFSetField (tiff, TIFFTAG_IMAGEWIDTH, (uint32_t) columns);
  TIFFSetField (tiff, TIFFTAG_IMAGELENGTH, (uint32_t) rows);
  TIFFSetField (tiff, TIFFTAG_BITSPERSAMPLE, 32);
  TIFFSetField (tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP);
  TIFFSetField (tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField (tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  TIFFSetField (tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  TIFFSetField (tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField (tiff, TIFFTAG_ROWSPERSTRIP, (uint32_t) rows);
  if (*note && page == 0)
    TIFFSetField (tiff, TIFFTAG_IMAGEDESCRIPTION, note);
  if (pages > 1)
    {
      TIFFSetField (tiff, TIFFTAG_SUBFILETYPE, FILETYPE_PAGE);
      TIFFSetField (tiff, TIFFTAG_PAGENUMBER, page, pages);
    }
  /* (The library takes no constant numbers, and leaves them as they are.) */
  return TIFFWriteEncodedStrip (tiff, 0, (void *) numbers, rows * columns * (int64_t) sizeof *numbers) >= 0
         && TIFFWriteDirectory (tiff);
}

tp_status
tp_tiff_save (const char *path, const tp_tensor *t, const char *note)
{
  char text[TP_SHAPE_TEXT];
  int64_t pages = t->rank == 3 ? t->shape[0] : 1;
  int64_t rows = t->rank >= 2 ? t->shape[t->rank - 2] : 0, columns = t->rank >= 2 ? t->shape[t->rank - 1] : 0;
  if (t->dtype != TP_F32 || t->rank < 2 || t->rank > 3 || rows < 1 || columns < 1 || pages < 1
      || rows > LONGEST_SIDE || columns > LONGEST_SIDE || pages > MOST_PAGES)
    return tp_fail (TP_BAD_SHAPE, "tensor: expected f32 (rows columns) or (pages rows columns), got %s %s",
                    tp_dtype_name (t->dtype), tp_shape_text (text, t->rank, t->shape));
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return tp_last_status ();
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  if (status == TP_OK)
    {
      /* 8: BigTIFF, for more bytes than 32 bits count. */
      bool big = (double) pages * (double) rows * (double) columns * 4 > 4e9;
      TIFF *tiff = open_tiff (fileno (writer.file), path, big ? "w8" : "w", 0);
      bool good = tiff;
      for (int64_t k = 0; good && k < pages; k++)
        good = write_page (tiff, tp_f32 (whole) + k * rows * columns, rows, columns, (int) k, (int) pages,
                           note);
      if (tiff)
        TIFFCleanup (tiff);
      if (!good)
        status = tp_fail (TP_IO, "%s: not written: no space, or no file that could be sought in", path);
      status = tp_writer_close (&writer, status);
    }
  tp_tensor_free (whole);
  return status;
}
