/* fits.c -- cfitsio, on bytes in memory only.
 *
 * cfitsio takes much for a file's name that is none: addresses, pipes, filters in brackets, programs to run.  It never
 * sees a name here: files are read and written as all others are, and it works on their bytes. */
#define _GNU_SOURCE /* strcasestr */
#include "io/fits.h"

#include <fitsio.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/numbers.h"

/* Deflate makes at most 1032 bytes of one. */
#define BEST_COMPRESSION 1032
#define BLOCK 2880
#define CARD 80

typedef struct {
  const char *path;
  void *bytes;
  size_t count; /* of the file's bytes; */
  size_t room;  /* of those in memory, whole blocks, which cfitsio takes for granted */
  fitsfile *fits;
  int status; /* cfitsio's */
} reader;

typedef struct {
  int bitpix; /* of the numbers once they are scaled, as cfitsio has it */
  int rank;
  LONGLONG lengths[TP_MAX_RANK]; /* the file's first axis first */
  int64_t count;
} image;

/* --- Reading ------------------------------------------------------------------ */

static tp_status
fail (const reader *r, const char *doing)
{
  char text[FLEN_STATUS] = "";
  fits_get_errstatus (r->status, text);
  fits_clear_errmsg ();
  return tp_fail (TP_BAD_FILE, "%s: truncated or damaged: %s: %s", r->path, doing, text);
}

static void
close_reader (reader *r)
{
  int status = 0;
  if (r->fits)
    fits_close_file (r->fits, &status);
  fits_clear_errmsg ();
  free (r->bytes);
}

/* How many bytes PATH, of LENGTH bytes, holds once it is unpacked; its last four bytes say it where it is packed. */
static tp_status
whole_length (const char *path, FILE *file, int64_t length, size_t *count)
{
  unsigned char start[2] = { 0 }, end[4];
  *count = (size_t) length;
  if (length < 18 || fread (start, 1, 2, file) != 2 || start[0] != 0x1f || start[1] != 0x8b)
    return TP_OK;
  if (fseek (file, -4, SEEK_END) || fread (end, 1, 4, file) != 4)
    return tp_fail (TP_BAD_FILE, "%s: truncated", path);
  *count = (size_t) end[0] | (size_t) end[1] << 8 | (size_t) end[2] << 16 | (size_t) end[3] << 24;
  if (*count > (size_t) length * BEST_COMPRESSION)
    return tp_fail (TP_BAD_FILE, "%s: truncated inside its gzip compression", path);
  return TP_OK;
}

/* Whether a card in the COUNT BYTES names a compressed image.  Of damaged ones cfitsio divides by zero where it only
 * looks at their header, and makes more than there is memory for of their tiles. */
static bool
has_tiles (const char *bytes, size_t count)
{
  for (size_t k = 0; k + CARD <= count; k += CARD)
    {
      char start[33] = { 0 };
      memcpy (start, bytes + k, 32);
      if (strcasestr (start, "ZIMAGE"))
        return true;
    }
  return false;
}

/* Whether the card at BYTES says NAME and a whole number from 0 on, of up to MOST digits. */
static bool
is_count (const char *bytes, const char *name, size_t most)
{
  char card[CARD + 1] = { 0 };
  memcpy (card, bytes, CARD);
  size_t blanks = strspn (card + 10, " "), digits = strspn (card + 10 + blanks, "0123456789");
  return !strncmp (card, name, strlen (name)) && !memcmp (card + 8, "= ", 2) && digits > 0 && digits <= most;
}

/* Whether every table in the COUNT BYTES starts with the eight cards that the standard asks for (FITS 4.0, sections 7.2
 * and 7.3).  Where one is damaged, cfitsio makes as many columns as happens to stand in memory. */
static bool
has_whole_tables (const char *bytes, size_t count)
{
  static const char *names[] = { "BITPIX  ", "NAXIS   ", "NAXIS1  ", "NAXIS2  ", "PCOUNT  ", "GCOUNT  ", "TFIELDS " };
  for (size_t k = 0; k + CARD <= count; k += CARD)
    {
      char start[33] = { 0 };
      memcpy (start, bytes + k, 32);
      if (strncmp (start, "XTENSION", 8) || !strstr (start, "TABLE"))
        continue;
      for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        if (k + (n + 2) * CARD > count
            || !is_count (bytes + k + (n + 1) * CARD, names[n], !strcmp (names[n], "TFIELDS ") ? 3 : 18))
          return false;
    }
  return true;
}

static tp_status
open_reader (reader *r, const char *path)
{
  *r = (reader) { .path = path };
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return tp_last_status ();
  tp_status status = whole_length (path, file, length, &r->count);
  fclose (file);
  if (status != TP_OK)
    return status;
  r->room = (r->count + BLOCK - 1) / BLOCK * BLOCK;
  if (!(r->bytes = calloc (r->room + BLOCK, 1)))
    return tp_fail (TP_NO_MEMORY, "%s: no memory for its %zu bytes", path, r->count);
  if (!tp_gzip_read (path, 0, r->bytes, r->count))
    {
      const char *trouble = tp_gzip_trouble (path);
      status = tp_fail (TP_BAD_FILE, "%s: %s", path, trouble ? trouble : "truncated");
    }
  else if (r->count < BLOCK || memcmp (r->bytes, "SIMPLE  =", 9))
    status = tp_file_mistaken (path, "a FITS file");
  else if (has_tiles (r->bytes, r->count))
    status = tp_fail (TP_UNSUPPORTED, "%s: its pixels are compressed in tiles: funpack makes a plain FITS file of it", path);
  else if (!has_whole_tables (r->bytes, r->count))
    status = tp_fail (TP_BAD_FILE, "%s: truncated or damaged: the header of a table", path);
  else if (fits_open_memfile (&r->fits, "fits", READONLY, &r->bytes, &r->room, 0, NULL, &r->status))
    status = fail (r, "its header");
  if (status != TP_OK)
    close_reader (r);
  return status;
}

/* What the header-data unit that R is at holds, into I; a rank of 0 where that is no image. */
static tp_status
look (reader *r, image *i)
{
  int kind, rank = 0;
  LONGLONG start, data, end;
  *i = (image) { 0 };
  if (fits_get_hdu_type (r->fits, &kind, &r->status))
    return fail (r, "its header");
  if (kind != IMAGE_HDU)
    return TP_OK;
  if (fits_get_img_dim (r->fits, &rank, &r->status))
    return fail (r, "its shape");
  if (rank < 1)
    return TP_OK;
  if (rank > TP_MAX_RANK)
    return tp_fail (TP_UNSUPPORTED, "%s: expected images of at most %d axes, got %d", r->path, TP_MAX_RANK, rank);
  if (fits_get_img_sizell (r->fits, rank, i->lengths, &r->status)
      || fits_get_img_equivtype (r->fits, &i->bitpix, &r->status)
      || fits_get_hduaddrll (r->fits, &start, &data, &end, &r->status))
    return fail (r, "its shape");
  int raw = 8;
  if (fits_get_img_type (r->fits, &raw, &r->status))
    return fail (r, "its type");
  double promised = abs (raw) / 8;
  i->count = 1;
  for (int k = 0; k < rank; k++)
    {
      if (i->lengths[k] < 0)
        return tp_fail (TP_BAD_FILE, "%s: axis %d: expected a length, got %lld", r->path, k + 1,
                        (long long) i->lengths[k]);
      promised *= (double) i->lengths[k];
      i->count = promised > 1e15 ? 0 : i->count * i->lengths[k];
    }
  if (promised > (double) r->count - (double) data)
    return tp_fail (TP_BAD_FILE, "%s: truncated: its header promises %.0f bytes of pixels", r->path, promised);
  i->rank = i->count ? rank : 0; /* NAXISn = 0: there is none */
  return TP_OK;
}

/* To header-data unit HDU, or to the first with an image when that is -1. */
static tp_status
seek_image (reader *r, int hdu, image *i)
{
  int count = 0, kind;
  if (fits_get_num_hdus (r->fits, &count, &r->status))
    return fail (r, "its units");
  if (hdu >= count)
    return tp_fail (TP_BAD_ARGUMENT, "%s: hdu: expected 0 to %d, got %d", r->path, count - 1, hdu);
  for (int k = hdu < 0 ? 0 : hdu; k < (hdu < 0 ? count : hdu + 1); k++)
    {
      if (fits_movabs_hdu (r->fits, k + 1, &kind, &r->status))
        return fail (r, "its units");
      if (look (r, i) != TP_OK)
        return tp_last_status ();
      if (i->rank)
        return TP_OK;
    }
  if (hdu >= 0)
    return tp_fail (TP_BAD_FILE, "%s: expected an image in header-data unit %d, got none", r->path, hdu);
  return tp_fail (TP_BAD_FILE, "%s: expected a FITS file with an image, got one without", r->path);
}

/* Whether CARD says something that is true of other images made from the same pixels. */
static bool
is_kept (char card[FLEN_CARD])
{
  int class = fits_get_keyclass (card);
  return class >= TYP_UNIT_KEY && class != TYP_CKSUM_KEY && class != TYP_HDUID_KEY;
}

static char *
read_cards (reader *r)
{
  int count = 0;
  fits_get_hdrspace (r->fits, &count, NULL, &r->status);
  char *text = r->status ? NULL : calloc ((size_t) count + 1, CARD + 1), *end = text;
  for (int k = 1; text && k <= count; k++)
    {
      char card[FLEN_CARD];
      if (fits_read_record (r->fits, k, card, &r->status))
        {
          free (text);
          text = NULL;
        }
      else if (is_kept (card))
        end += snprintf (end, CARD + 2, "%.80s\n", card);
    }
  if (!text)
    fail (r, "its header");
  return text;
}

/* Into OUT, which has place for COUNT doubles: cfitsio makes floats of them without a word where they do not fit. */
static void
read_pixels (reader *r, const image *i, double *out)
{
  double blank = NAN;
  int any;
  LONGLONG first[TP_MAX_RANK];
  for (int k = 0; k < i->rank; k++)
    first[k] = 1;
  fits_read_pixll (r->fits, TDOUBLE, first, i->count, &blank, out, &any, &r->status);
}

static tp_tensor *
read_image (reader *r, const image *i)
{
  int64_t shape[TP_MAX_RANK];
  for (int k = 0; k < i->rank; k++)
    shape[k] = i->lengths[i->rank - 1 - k];
  tp_tensor *t = tp_tensor_create (TP_F32, i->rank, shape);
  double *out = t ? malloc ((size_t) i->count * sizeof *out) : NULL;
  tp_status status = TP_OK;
  if (!out)
    status = t ? tp_fail (TP_NO_MEMORY, "%s: no memory for its %" PRId64 " pixels", r->path, i->count) : tp_last_status ();
  else
    {
      read_pixels (r, i, out);
      status = r->status ? fail (r, "its pixels")
                         : tp_numbers_read (r->path, tp_number_type_of ('f', 8), false, (unsigned char *) out,
                                            tp_f32 (t), i->count, 0);
    }
  free (out);
  if (status == TP_OK)
    return t;
  tp_tensor_free (t);
  return NULL;
}

tp_tensor *
tp_fits_load (const char *path, int hdu, char **cards)
{
  reader r;
  image i;
  *cards = NULL;
  if (open_reader (&r, path) != TP_OK)
    return NULL;
  tp_tensor *t = NULL;
  if (seek_image (&r, hdu, &i) == TP_OK && (*cards = read_cards (&r)) && !(t = read_image (&r, &i)))
    {
      free (*cards);
      *cards = NULL;
    }
  close_reader (&r);
  return t;
}

static tp_status
add_item (tp_item **items, int *count, const image *i, int hdu)
{
  tp_item *more = realloc (*items, ((size_t) *count + 1) * sizeof *more);
  char *name = malloc (16);
  if (more)
    *items = more;
  if (!more || !name)
    {
      free (name);
      return tp_fail (TP_NO_MEMORY, "no memory for what the file holds");
    }
  snprintf (name, 16, "%d", hdu);
  more[*count] = (tp_item) { .name = name, .kind = i->bitpix < 0 ? 'f' : 'i', .rank = i->rank };
  more[*count].size = i->bitpix == FLOAT_IMG || i->bitpix == LONG_IMG || i->bitpix == ULONG_IMG     ? 4
                      : i->bitpix == BYTE_IMG || i->bitpix == SBYTE_IMG                             ? 1
                      : i->bitpix == SHORT_IMG || i->bitpix == USHORT_IMG                           ? 2
                                                                                                    : 8;
  for (int k = 0; k < i->rank; k++)
    more[*count].shape[k] = i->lengths[i->rank - 1 - k];
  (*count)++;
  return TP_OK;
}

tp_item *
tp_fits_items (const char *path, int *count)
{
  reader r;
  tp_item *items = NULL;
  *count = 0;
  if (open_reader (&r, path) != TP_OK)
    return NULL;
  int units = 0, kind;
  tp_status status = fits_get_num_hdus (r.fits, &units, &r.status) ? fail (&r, "its units") : TP_OK;
  for (int k = 0; status == TP_OK && k < units; k++)
    {
      image i;
      status = fits_movabs_hdu (r.fits, k + 1, &kind, &r.status) ? fail (&r, "its units") : look (&r, &i);
      if (status == TP_OK && i.rank)
        status = add_item (&items, count, &i, k);
    }
  close_reader (&r);
  if (status == TP_OK && !items)
    tp_fail (TP_BAD_FILE, "%s: expected a FITS file with an image, got one without", path);
  if (status == TP_OK)
    return items;
  tp_items_free (items, *count);
  *count = 0;
  return NULL;
}

/* --- Writing ------------------------------------------------------------------ */

static tp_status
write_cards (fitsfile *fits, const char *cards, int *status)
{
  for (const char *line = cards; *line && !*status;)
    {
      size_t length = strcspn (line, "\n");
      char card[FLEN_CARD] = "";
      bool good = length <= CARD;
      for (size_t k = 0; good && k < length; k++)
        good = line[k] >= ' ' && line[k] <= '~';
      if (!good)
        return tp_fail (TP_BAD_ARGUMENT, "cards: expected lines of up to 80 characters of ASCII, got %.*s",
                        (int) (length < 200 ? length : 200), line);
      memcpy (card, line, length);
      if (is_kept (card))
        fits_write_record (fits, card, status);
      line += length + (line[length] == '\n');
    }
  return TP_OK;
}

tp_status
tp_fits_save (const char *path, const tp_tensor *t, const char *cards, const char *note)
{
  char text[TP_SHAPE_TEXT];
  LONGLONG lengths[TP_MAX_RANK];
  if (t->dtype != TP_F32 || t->rank < 1 || tp_tensor_count (t) == 0)
    return tp_fail (TP_BAD_SHAPE, "tensor: expected f32 with pixels, got %s %s", tp_dtype_name (t->dtype),
                    tp_shape_text (text, t->rank, t->shape));
  for (int k = 0; k < t->rank; k++)
    lengths[k] = t->shape[t->rank - 1 - k];
  tp_tensor *copy = tp_copy (t);
  size_t size = BLOCK;
  void *bytes = copy ? malloc (size) : NULL;
  fitsfile *fits = NULL;
  int failed = 0;
  LONGLONG start, data, end = 0;
  tp_status status = TP_OK;
  if (!bytes)
    status = copy ? tp_fail (TP_NO_MEMORY, "%s: no memory", path) : tp_last_status ();
  else if (!fits_create_memfile (&fits, &bytes, &size, 1 << 20, realloc, &failed)
           && !fits_create_imgll (fits, FLOAT_IMG, t->rank, lengths, &failed))
    {
      status = write_cards (fits, cards, &failed);
      if (status == TP_OK && *note)
        fits_write_history (fits, note, &failed);
      if (status == TP_OK)
        {
          fits_write_img (fits, TFLOAT, 1, tp_tensor_count (t), tp_f32 (copy), &failed);
          fits_flush_file (fits, &failed);
          fits_get_hduaddrll (fits, &start, &data, &end, &failed);
        }
    }
  if (status == TP_OK && failed)
    {
      fits_get_errstatus (failed, text);
      status = tp_fail (TP_IO, "%s: %s", path, text);
    }
  if (fits)
    fits_close_file (fits, &(int) { 0 });
  fits_clear_errmsg ();
  tp_tensor_free (copy);
  tp_writer writer;
  if (status == TP_OK && (status = tp_writer_open (&writer, path)) == TP_OK)
    status = tp_writer_close (&writer, tp_writer_write (&writer, bytes, (size_t) end));
  free (bytes);
  return status;
}
