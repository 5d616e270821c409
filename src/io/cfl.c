/* cfl.c -- the two files of a BART array. */
#include "io/cfl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/file.h"
#include "io/numbers.h"

/* BART's arrays have 16 axes. */
#define AXES 16
#define LONGEST_HEADER 65536
#define LONGEST_NOTE 4096

/* PATH with ENDING in place of its own four characters, to be freed. */
static char *
companion (const char *path, const char *ending)
{
  size_t length = strlen (path);
  const char *own = length < 4 ? "" : path + length - 4;
  char *other = !strcasecmp (own, ".cfl") || !strcasecmp (own, ".hdr") ? strdup (path) : NULL;
  if (other)
    strcpy (other + length - 4, ending);
  else
    tp_fail (TP_BAD_ARGUMENT, "%s: expected a name that ends in .cfl or .hdr", path);
  return other;
}

/* The lengths on the line after "# Dimensions"; the axes beyond them have length 1. */
static tp_status
parse_header (const char *text, const char *path, int64_t lengths[AXES])
{
  static const char title[] = "# Dimensions";
  const char *p = text;
  while (p && strncmp (p, title, sizeof title - 1))
    p = (p = strchr (p, '\n')) ? p + 1 : NULL;
  p = p ? strchr (p, '\n') : NULL;
  if (!p)
    return tp_fail (TP_BAD_FILE, "%s: expected the header of a BART array, with a line"
                    " \"# Dimensions\"", path);
  const char *end = p + 1 + strcspn (p + 1, "\n");
  int count = 0;
  for (p++; p < end; )
    {
      char *after;
      errno = 0;
      long long length = strtoll (p, &after, 10);
      if (after == p || after > end)
        break;
      if (count == AXES || length < 1 || errno)
        return tp_fail (TP_BAD_FILE, "%s: expected at most %d lengths of 1 and more, got %.80s",
                        path, AXES, p);
      lengths[count++] = length;
      p = after;
    }
  if (count == 0 || p + strspn (p, " \t\r") < end)
    return tp_fail (TP_BAD_FILE, "%s: its line of dimensions is not understood", path);
  for (; count < AXES; count++)
    lengths[count] = 1;
  return TP_OK;
}

static tp_status
read_header (const char *path, int64_t lengths[AXES])
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return tp_last_status ();
  char *text = NULL;
  tp_status status = TP_OK;
  if (length > LONGEST_HEADER)
    status = tp_fail (TP_BAD_FILE, "%s: expected a header of at most %d bytes, got %lld", path,
                      LONGEST_HEADER, (long long) length);
  else if (!(text = calloc ((size_t) length + 1, 1)))
    status = tp_fail (TP_NO_MEMORY, "%s: no memory for the header", path);
  else if ((status = tp_file_read (file, path, text, (size_t) length)) == TP_OK)
    status = parse_header (text, path, lengths);
  free (text);
  fclose (file);
  return status;
}

/* The tensor's axes, slowest first, of LENGTHS: without those of 1 at the end, and where more are
 * left than a tensor has, without the others of 1 behind the first two. */
static int
reversed_shape (const int64_t lengths[AXES], int64_t shape[AXES])
{
  int rank = AXES, kept = 0;
  while (rank > 1 && lengths[rank - 1] == 1)
    rank--;
  for (int i = rank - 1; i >= 0; i--)
    if (rank <= TP_MAX_RANK || lengths[i] > 1 || i < 2)
      shape[kept++] = lengths[i];
  return kept;
}

static tp_tensor *
load (const char *header, const char *data)
{
  int64_t lengths[AXES], shape[AXES], length, count = sizeof (tp_complex);
  if (read_header (header, lengths) != TP_OK)
    return NULL;
  int rank = reversed_shape (lengths, shape);
  if (rank > TP_MAX_RANK)
    {
      tp_fail (TP_UNSUPPORTED, "%s: expected at most %d axes longer than 1, got %d", header,
               TP_MAX_RANK, rank);
      return NULL;
    }
  FILE *file = tp_file_open (data, &length);
  if (!file)
    return NULL;
  bool excessive = false;
  for (int i = 0; i < rank; i++)
    excessive |= __builtin_mul_overflow (count, shape[i], &count);
  tp_tensor *t = NULL;
  if (excessive || count != length)
    tp_fail (TP_BAD_FILE, "%s: %s: its header promises %lld bytes, got %lld", data,
             excessive || count > length ? "truncated" : "too long",
             excessive ? (long long) INT64_MAX : (long long) count, (long long) length);
  else if ((t = tp_tensor_create (TP_C64, rank, shape))
           && tp_file_read (file, data, tp_c64 (t), (size_t) length) != TP_OK)
    {
      tp_tensor_free (t);
      t = NULL;
    }
  fclose (file);
  return t ? tp_from_column_major (t) : NULL;
}

tp_tensor *
tp_cfl_load (const char *path)
{
  char *header = companion (path, ".hdr"), *data = header ? companion (path, ".cfl") : NULL;
  tp_tensor *t = data ? load (header, data) : NULL;
  free (data);
  free (header);
  return t;
}

tp_item *
tp_cfl_items (const char *path, int *count)
{
  char *header = companion (path, ".hdr");
  int64_t lengths[AXES], shape[AXES];
  tp_status status = header ? read_header (header, lengths) : tp_last_status ();
  free (header);
  if (status != TP_OK)
    return NULL;
  tp_item item = { .kind = 'c', .size = sizeof (tp_complex), .rank = reversed_shape (lengths, shape) };
  if (item.rank > TP_MAX_RANK)
    {
      tp_fail (TP_UNSUPPORTED, "%s: expected at most %d axes longer than 1, got %d", path, TP_MAX_RANK,
               item.rank);
      return NULL;
    }
  for (int i = 0; i < item.rank; i++)
    item.shape[i] = shape[item.rank - 1 - i];
  *count = 1;
  return tp_items_of_one (&item);
}

static tp_status
write_whole (const char *path, const void *data, size_t bytes)
{
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  return status != TP_OK ? status
                         : tp_writer_close (&writer, tp_writer_write (&writer, data, bytes));
}

/* NOTE with its line breaks as blanks, since a # at the beginning of a line has a meaning. */
static void
one_line (char *out, size_t room, const char *note)
{
  snprintf (out, room, "%s", note);
  for (; *out; out++)
    if (*out == '\n' || *out == '\r')
      *out = ' ';
}

tp_status
tp_cfl_save (const char *path, const tp_tensor *t, const int *axes, const char *note)
{
  int64_t lengths[AXES];
  for (int i = 0; i < AXES; i++)
    lengths[i] = 1;
  for (int i = 0, last = -1; i < t->rank; last = axes ? axes[i] : i, i++)
    {
      int axis = axes ? axes[i] : i;
      if (axis <= last || axis >= AXES)
        return tp_fail (TP_BAD_ARGUMENT, "axes: expected numbers that grow, from 0 to %d", AXES - 1);
      lengths[axis] = t->shape[i];
    }
  char text[LONGEST_NOTE + 64 + 32 * AXES] = "# Dimensions\n", command[LONGEST_NOTE];
  size_t n = strlen (text);
  for (int i = 0; i < AXES; i++)
    n += (size_t) snprintf (text + n, sizeof text - n, "%lld ", (long long) lengths[i]);
  text[n++] = '\n';
  one_line (command, sizeof command, note);
  if (*command)
    n += (size_t) snprintf (text + n, sizeof text - n, "# Command\n%s\n# Creator\nTempera\n", command);
  tp_tensor *wide = tp_tensor_zeros (TP_C64, t->rank, t->shape), *data = NULL;
  tp_status status = wide ? tp_assign (wide, t) : tp_last_status ();
  if (status == TP_OK && !(data = tp_to_column_major (wide)))
    status = tp_last_status ();
  char *header_path = companion (path, ".hdr"), *data_path = companion (path, ".cfl");
  if (status == TP_OK && !(header_path && data_path))
    status = tp_last_status ();
  if (status == TP_OK)
    status = write_whole (data_path, tp_c64 (data),
                          (size_t) tp_tensor_count (data) * sizeof (tp_complex));
  if (status == TP_OK)
    status = write_whole (header_path, text, n);
  free (data_path);
  free (header_path);
  tp_tensor_free (data);
  tp_tensor_free (wide);
  return status;
}
