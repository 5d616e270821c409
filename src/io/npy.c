/* npy.c -- a small parser for the header's dictionary, and the elements. */
#include "io/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/numbers.h"

#define MAGIC "\x93NUMPY"

/* Enough for eight lengths; NumPy itself stays under 200 bytes. */
#define LONGEST_HEADER 65536

typedef struct {
  const char *descr;
  char kind;   /* for tp_number_type_of */
  int size;    /* bytes a number */
  int numbers; /* 2 when complex */
} element_type;

/* After the letter for the byte order. */
static const element_type element_types[] = {
  { "f4", 'f', 4, 1 }, { "c8", 'f', 4, 2 }, { "f8", 'f', 8, 1 }, { "c16", 'f', 8, 2 },
  { "f2", 'f', 2, 1 }, { "b1", 'u', 1, 1 }, { "i1", 'i', 1, 1 }, { "u1", 'u', 1, 1 },
  { "i2", 'i', 2, 1 }, { "u2", 'u', 2, 1 }, { "i4", 'i', 4, 1 }, { "u4", 'u', 4, 1 },
  { "i8", 'i', 8, 1 }, { "u8", 'u', 8, 1 },
};

typedef struct {
  const element_type *type;
  bool swapped; /* the file's bytes are big-endian */
  bool fortran;
  int rank;
  int64_t shape[TP_MAX_RANK];
} description;

/* --- The header ----------------------------------------------------------- */

static void
skip_space (const char **p)
{
  while (isspace ((unsigned char) **p))
    ++*p;
}

static bool
take (const char **p, const char *word)
{
  skip_space (p);
  size_t length = strlen (word);
  if (strncmp (*p, word, length))
    return false;
  *p += length;
  return true;
}

/* 'text' or "text", without escapes, of at most ROOM - 1 characters. */
static bool
take_string (const char **p, char *text, size_t room)
{
  skip_space (p);
  char quote = **p;
  if (quote != '\'' && quote != '"')
    return false;
  const char *end = strchr (*p + 1, quote);
  if (!end || (size_t) (end - *p - 1) >= room)
    return false;
  memcpy (text, *p + 1, (size_t) (end - *p - 1));
  text[end - *p - 1] = 0;
  *p = end + 1;
  return true;
}

static bool
take_shape (const char **p, description *d)
{
  if (!take (p, "("))
    return false;
  for (d->rank = 0; !take (p, ")"); )
    {
      if (d->rank == TP_MAX_RANK || !isdigit ((unsigned char) **p))
        return false;
      int64_t length = 0;
      for (; isdigit ((unsigned char) **p); ++*p)
        if (__builtin_mul_overflow (length, 10, &length)
            || __builtin_add_overflow (length, **p - '0', &length))
          return false;
      d->shape[d->rank++] = length;
      if (!take (p, ","))
        return take (p, ")");
    }
  return true;
}

static bool
take_type (const char **p, description *d, const char *path)
{
  char descr[16];
  if (!take_string (p, descr, sizeof descr))
    {
      tp_fail (TP_UNSUPPORTED, "%s: descr: expected one number type, got %.40s", path, *p);
      return false;
    }
  for (size_t i = 0; i < sizeof element_types / sizeof *element_types; i++)
    if (strchr (element_types[i].size == 1 ? "<>|" : "<>", *descr)
        && !strcmp (descr + 1, element_types[i].descr))
      {
        d->type = element_types + i;
        d->swapped = *descr == '>';
        return true;
      }
  tp_fail (TP_UNSUPPORTED, "%s: descr: expected booleans, integers, or real or complex floats of"
           " at most 64 bits, such as <f4 or <c8, got %s", path, descr);
  return false;
}

static tp_status
parse_header (const char *header, description *d, const char *path)
{
  const char *p = header;
  bool descr = false, order = false, shape = false, good = take (&p, "{");
  while (good && !take (&p, "}"))
    {
      char key[32];
      good = take_string (&p, key, sizeof key) && take (&p, ":");
      if (!good)
        break;
      if (!strcmp (key, "descr") && !descr)
        {
          skip_space (&p);
          if (!take_type (&p, d, path))
            return tp_last_status ();
          descr = true;
        }
      else if (!strcmp (key, "fortran_order") && !order)
        {
          d->fortran = take (&p, "True");
          good = order = d->fortran || take (&p, "False");
        }
      else if (!strcmp (key, "shape") && !shape)
        good = shape = take_shape (&p, d);
      else
        good = false;
      if (!take (&p, ","))
        {
          good = good && take (&p, "}");
          break;
        }
    }
  if (!good || !descr || !order || !shape)
    return tp_fail (TP_BAD_FILE, "%s: the npy header is not understood: %.80s", path, header);
  return TP_OK;
}

static tp_status
read_header (FILE *file, const char *path, description *d)
{
  unsigned char start[8], size[4] = { 0 };
  tp_status status = tp_file_read (file, path, start, sizeof start);
  if (status != TP_OK)
    return status;
  if (memcmp (start, MAGIC, 6))
    return tp_file_mistaken (path, "an npy file");
  int version = start[6];
  if (version < 1 || version > 3)
    return tp_fail (TP_UNSUPPORTED, "%s: expected npy version 1 to 3, got %d", path, version);
  status = tp_file_read (file, path, size, version == 1 ? 2 : 4);
  if (status != TP_OK)
    return status;
  uint32_t length = size[0] | (uint32_t) size[1] << 8 | (uint32_t) size[2] << 16
                    | (uint32_t) size[3] << 24;
  if (length > LONGEST_HEADER)
    return tp_fail (TP_BAD_FILE, "%s: expected an npy header of at most %d bytes, got %u",
                    path, LONGEST_HEADER, length);
  char *header = malloc (length + 1);
  if (!header)
    return tp_fail (TP_NO_MEMORY, "%s: no memory for the header", path);
  status = tp_file_read (file, path, header, length);
  header[length] = 0;
  if (status == TP_OK)
    status = parse_header (header, d, path);
  free (header);
  return status;
}

tp_status
tp_npy_describe (FILE *file, const char *path, tp_item *item)
{
  description d = { 0 };
  tp_status status = read_header (file, path, &d);
  if (status != TP_OK)
    return status;
  *item = (tp_item) { .kind = d.type->numbers == 2 ? 'c' : d.type->kind == 'f' ? 'f' : 'i',
                      .size = d.type->size * d.type->numbers, .rank = d.rank };
  memcpy (item->shape, d.shape, sizeof d.shape);
  return TP_OK;
}

tp_item *
tp_npy_items (const char *path, int *count)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return NULL;
  tp_item item;
  tp_status status = tp_npy_describe (file, path, &item);
  fclose (file);
  *count = 1;
  return status == TP_OK ? tp_items_of_one (&item) : NULL;
}

/* --- The elements --------------------------------------------------------- */

static tp_status
read_elements (FILE *file, const char *path, const description *d, float *out, int64_t numbers)
{
  const tp_number_type *type = tp_number_type_of (d->type->kind, d->type->size);
  if (d->type->kind == 'f' && d->type->size == 4 && !d->swapped)
    return tp_file_read (file, path, out, (size_t) numbers * sizeof *out);
  enum { PIECE = 4096 };
  unsigned char piece[PIECE * 8];
  for (int64_t i = 0; i < numbers; i += PIECE)
    {
      int64_t count = numbers - i < PIECE ? numbers - i : PIECE;
      tp_status status = tp_file_read (file, path, piece, (size_t) (count * d->type->size));
      if (status == TP_OK)
        status = tp_numbers_read (path, type, d->swapped, piece, out + i, count, i);
      if (status != TP_OK)
        return status;
    }
  return TP_OK;
}

tp_tensor *
tp_npy_read (FILE *file, const char *path, int64_t length)
{
  description d = { 0 };
  if ((length == 0 ? tp_file_mistaken (path, "an npy file") : read_header (file, path, &d)) != TP_OK)
    return NULL;
  int element_size = d.type->size * d.type->numbers;
  int64_t bytes = element_size, rest = length - ftell (file);
  bool excessive = false;
  for (int i = 0; i < d.rank; i++)
    excessive |= __builtin_mul_overflow (bytes, d.shape[i], &bytes);
  if (excessive || bytes > rest)
    {
      char text[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_FILE, "%s: truncated: expected %s elements of %d bytes, got %lld bytes",
               path, tp_shape_text (text, d.rank, d.shape), element_size, (long long) rest);
      return NULL;
    }
  if (bytes < rest)
    {
      tp_fail (TP_BAD_FILE, "%s: %lld bytes follow its array: expected one array in a file", path,
               (long long) (rest - bytes));
      return NULL;
    }
  if (d.fortran)
    for (int i = 0, j = d.rank - 1; i < j; i++, j--)
      {
        int64_t s = d.shape[i];
        d.shape[i] = d.shape[j];
        d.shape[j] = s;
      }
  bool pairs = d.type->numbers == 2;
  tp_tensor *t = tp_tensor_create (pairs ? TP_C64 : TP_F32, d.rank, d.shape);
  if (!t)
    return NULL;
  float *out = pairs ? (float *) tp_c64 (t) : tp_f32 (t);
  if (read_elements (file, path, &d, out, tp_tensor_count (t) * d.type->numbers) != TP_OK)
    {
      tp_tensor_free (t);
      return NULL;
    }
  return d.fortran ? tp_from_column_major (t) : t;
}

tp_tensor *
tp_npy_load (const char *path)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return NULL;
  tp_tensor *t = tp_npy_read (file, path, length);
  fclose (file);
  return t;
}

size_t
tp_npy_header (const tp_tensor *t, char text[TP_NPY_HEADER])
{
  /* Version 1: ten bytes, then a header that ends in a newline and fills up
   * to a multiple of 64. */
  char *header = text + 10;
  size_t room = TP_NPY_HEADER - 10;
  int n = snprintf (header, room, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                    t->dtype == TP_C64 ? "<c8" : "<f4");
  for (int i = 0; i < t->rank; i++)
    n += snprintf (header + n, room - (size_t) n, "%lld%s", (long long) t->shape[i],
                   t->rank == 1 ? "," : i + 1 < t->rank ? ", " : "");
  n += snprintf (header + n, room - (size_t) n, "), }");
  int padded = (10 + n + 1 + 63) / 64 * 64 - 10;
  memset (header + n, ' ', (size_t) (padded - n));
  header[padded - 1] = '\n';
  memcpy (text, MAGIC "\1\0", 8);
  text[8] = (char) (padded & 255);
  text[9] = (char) (padded >> 8);
  return 10 + (size_t) padded;
}

tp_status
tp_npy_save (const char *path, const tp_tensor *t)
{
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return tp_last_status ();
  char header[TP_NPY_HEADER];
  size_t length = tp_npy_header (t, header);
  const void *data = t->dtype == TP_C64 ? (const void *) tp_c64 (whole) : tp_f32 (whole);
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  if (status == TP_OK)
    {
      status = tp_writer_write (&writer, header, length);
      if (status == TP_OK)
        status = tp_writer_write (&writer, data,
                                  (size_t) tp_tensor_count (t) * tp_dtype_size (t->dtype));
      status = tp_writer_close (&writer, status);
    }
  tp_tensor_free (whole);
  return status;
}
