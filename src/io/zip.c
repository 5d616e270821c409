/* zip.c -- the directory at an archive's end (with the fields of 64 bits), members stored or
 * deflated. */
#include "io/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/file.h"

/* Deflate makes at most 1032 bytes of one. */
#define BEST_COMPRESSION 1032
#define MOST_MEMBERS 4096

enum { END = 0x06054b50, END_64 = 0x06064b50, LOCATOR_64 = 0x07064b50, ENTRY = 0x02014b50,
       LOCAL = 0x04034b50 };

static uint64_t
number (const unsigned char *p, int bytes)
{
  uint64_t value = 0;
  while (bytes--)
    value = value << 8 | p[bytes];
  return value;
}

static tp_status
damaged (const char *path)
{
  return tp_fail (TP_BAD_FILE, "%s: truncated or damaged: the directory of the zip archive is not"
                  " understood", path);
}

static tp_status
read_at (FILE *file, const char *path, int64_t at, void *data, size_t bytes)
{
  return fseek (file, at, SEEK_SET) ? damaged (path) : tp_file_read (file, path, data, bytes);
}

/* Where the directory is, how long, and of how many members. */
static tp_status
find_directory (FILE *file, const char *path, int64_t length, int64_t *at, int64_t *bytes,
                int64_t *count)
{
  /* The end has 22 bytes and a comment of at most 65535. */
  int64_t room = length < 22 + 65535 ? length : 22 + 65535;
  unsigned char *tail = malloc ((size_t) room + 1);
  if (!tail)
    return tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  tp_status status = read_at (file, path, length - room, tail, (size_t) room);
  int64_t i = room - 22;
  while (status == TP_OK && i >= 0 && number (tail + i, 4) != END)
    i--;
  if (status == TP_OK && i < 0)
    status = tp_file_mistaken (path, "a zip archive");
  else if (status == TP_OK)
    {
      *count = (int64_t) number (tail + i + 10, 2);
      *bytes = (int64_t) number (tail + i + 12, 4);
      *at = (int64_t) number (tail + i + 16, 4);
      unsigned char locator[20], end[56];
      int64_t before = length - room + i - 20;
      if (before >= 0 && read_at (file, path, before, locator, sizeof locator) == TP_OK
          && number (locator, 4) == LOCATOR_64)
        {
          uint64_t end_at = number (locator + 8, 8);
          if (end_at > (uint64_t) length
              || read_at (file, path, (int64_t) end_at, end, sizeof end) != TP_OK
              || number (end, 4) != END_64)
            status = damaged (path);
          *count = (int64_t) number (end + 32, 8);
          *bytes = (int64_t) number (end + 40, 8);
          *at = (int64_t) number (end + 48, 8);
        }
    }
  free (tail);
  if (status == TP_OK && (*count < 0 || *bytes < 0 || *at < 0 || *at > length
                          || *bytes > length - *at || *count > *bytes / 46))
    status = damaged (path);
  if (status == TP_OK && *count > MOST_MEMBERS)
    status = tp_fail (TP_UNSUPPORTED, "%s: expected at most %d members, got %lld", path,
                      MOST_MEMBERS, (long long) *count);
  return status;
}

/* The field of 64 bits in place of one that is full, in the extra field at EXTRA, whose next is
 * at *PLACE. */
static bool
widen (int64_t *value, const unsigned char *extra, size_t bytes, size_t *place)
{
  if (*value != 0xffffffff)
    return true;
  if (bytes < 8 || *place > bytes - 8)
    return false;
  *value = (int64_t) number (extra + *place, 8);
  *place += 8;
  return *value >= 0;
}

static bool
read_entry (const unsigned char **p, const unsigned char *end, tp_zip_member *m)
{
  if (end - *p < 46 || number (*p, 4) != ENTRY)
    return false;
  const unsigned char *entry = *p;
  size_t name = number (entry + 28, 2), extra = number (entry + 30, 2);
  size_t comment = number (entry + 32, 2);
  if ((size_t) (end - entry) < 46 + name + extra + comment)
    return false;
  m->method = (int) number (entry + 10, 2);
  m->crc = (uint32_t) number (entry + 16, 4);
  m->packed = (int64_t) number (entry + 20, 4);
  m->bytes = (int64_t) number (entry + 24, 4);
  m->at = (int64_t) number (entry + 42, 4);
  const unsigned char *field = entry + 46 + name, *last = field + extra;
  while (last - field >= 4)
    {
      size_t bytes = number (field + 2, 2), place = 0;
      if (bytes > (size_t) (last - field) - 4)
        return false;
      if (number (field, 2) == 1
          && !(widen (&m->bytes, field + 4, bytes, &place)
               && widen (&m->packed, field + 4, bytes, &place)
               && widen (&m->at, field + 4, bytes, &place)))
        return false;
      field += 4 + bytes;
    }
  m->name = strndup ((const char *) entry + 46, name);
  *p = entry + 46 + name + extra + comment;
  return m->name && !(number (entry + 8, 2) & 1); /* not encrypted */
}

tp_status
tp_zip_open (tp_zip *zip, const char *path)
{
  *zip = (tp_zip) { 0 };
  int64_t length, at = 0, bytes = 0, count = 0;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return tp_last_status ();
  unsigned char *directory = NULL;
  tp_status status = find_directory (file, path, length, &at, &bytes, &count);
  if (status == TP_OK)
    {
      directory = malloc ((size_t) bytes + 1);
      zip->members = calloc ((size_t) count + 1, sizeof *zip->members);
      status = directory && zip->members ? read_at (file, path, at, directory, (size_t) bytes)
                                         : tp_fail (TP_NO_MEMORY, "%s: no memory", path);
      const unsigned char *p = directory;
      for (int64_t i = 0; status == TP_OK && i < count; i++)
        {
          zip->count = (int) i + 1;
          if (!read_entry (&p, directory + bytes, zip->members + i))
            status = damaged (path);
        }
    }
  free (directory);
  fclose (file);
  if (status != TP_OK)
    tp_zip_close (zip);
  return status;
}

void
tp_zip_close (tp_zip *zip)
{
  for (int i = 0; i < zip->count; i++)
    free (zip->members[i].name);
  free (zip->members);
  *zip = (tp_zip) { 0 };
}

/* What is at FILE, PACKED bytes, deflated, as BYTES. */
static bool
unpack (FILE *file, int64_t packed, unsigned char *out, int64_t bytes)
{
  z_stream stream = { 0 };
  if (inflateInit2 (&stream, -MAX_WBITS) != Z_OK)
    return false;
  unsigned char piece[65536];
  int state = Z_OK;
  int64_t done = 0;
  while (state == Z_OK)
    {
      if (stream.avail_in == 0 && packed > 0)
        {
          size_t next = packed < (int64_t) sizeof piece ? (size_t) packed : sizeof piece;
          if (fread (piece, 1, next, file) != next)
            break;
          packed -= (int64_t) next;
          stream.next_in = piece;
          stream.avail_in = (unsigned) next;
        }
      unsigned room = bytes - done < 1 << 30 ? (unsigned) (bytes - done) : 1u << 30;
      stream.next_out = out + done;
      stream.avail_out = room;
      state = inflate (&stream, Z_NO_FLUSH);
      done += room - stream.avail_out;
    }
  inflateEnd (&stream);
  return state == Z_STREAM_END && done == bytes;
}

unsigned char *
tp_zip_read (const char *path, const tp_zip_member *m)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return NULL;
  unsigned char local[30], *out = NULL;
  tp_status status = TP_OK;
  if (m->method != 0 && m->method != 8)
    status = tp_fail (TP_UNSUPPORTED, "%s: %s: expected a member that is stored or deflated, got"
                      " method %d", path, m->name, m->method);
  else if (m->packed > length || m->at > length - m->packed
           || m->bytes / BEST_COMPRESSION > m->packed || (m->method == 0 && m->packed != m->bytes))
    status = damaged (path);
  else if ((status = read_at (file, path, m->at, local, sizeof local)) == TP_OK)
    {
      int64_t data = m->at + 30 + (int64_t) (number (local + 26, 2) + number (local + 28, 2));
      if (number (local, 4) != LOCAL || fseek (file, data, SEEK_SET))
        status = damaged (path);
      else if (!(out = malloc ((size_t) m->bytes + 1)))
        status = tp_fail (TP_NO_MEMORY, "%s: no memory for %lld bytes", path, (long long) m->bytes);
      else if (m->method == 0)
        status = tp_file_read (file, path, out, (size_t) m->bytes);
      else if (!unpack (file, m->packed, out, m->bytes))
        status = tp_fail (TP_BAD_FILE, "%s: %s: truncated or damaged inside its compression", path,
                          m->name);
      if (status == TP_OK && (uint32_t) crc32_z (0, out, (size_t) m->bytes) != m->crc)
        status = tp_fail (TP_BAD_FILE, "%s: %s: damaged: its checksum is another", path, m->name);
    }
  fclose (file);
  if (status == TP_OK)
    return out;
  free (out);
  return NULL;
}

/* --- Writing ---------------------------------------------------------------- */

static unsigned char *
put (unsigned char *p, uint64_t value, int bytes)
{
  for (; bytes--; value >>= 8)
    *p++ = (unsigned char) value;
  return p;
}

/* From the fields that local header and entry share, version to length of the name, and the field
 * of 64 bits that both have. */
static unsigned char *
put_member (unsigned char *p, const tp_zip_content *c, uint32_t crc)
{
  p = put (p, 45, 2);         /* version needed */
  p = put (p, 0, 2);          /* flags */
  p = put (p, 0, 2);          /* stored */
  p = put (p, 0, 2);          /* time and date: 1980-01-01, the same bytes at any time */
  p = put (p, 0x21, 2);
  p = put (p, crc, 4);
  p = put (p, 0xffffffff, 4); /* lengths are in the field of 64 bits */
  p = put (p, 0xffffffff, 4);
  return put (p, strlen (c->name), 2);
}

static unsigned char *
put_lengths (unsigned char *p, const tp_zip_content *c, int more)
{
  p = put (p, 1, 2);
  p = put (p, 16 + (uint64_t) more, 2);
  p = put (p, c->head_bytes + c->data_bytes, 8);
  return put (p, c->head_bytes + c->data_bytes, 8);
}

tp_status
tp_zip_save (const char *path, const tp_zip_content *contents, int count)
{
  uint64_t *places = calloc ((size_t) count + 1, sizeof *places), at = 0;
  uint32_t *crcs = calloc ((size_t) count + 1, sizeof *crcs);
  tp_writer writer;
  tp_status status = places && crcs ? tp_writer_open (&writer, path)
                                    : tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  bool opened = status == TP_OK;
  unsigned char bytes[128];
  for (int i = 0; status == TP_OK && i < count; i++)
    {
      const tp_zip_content *c = contents + i;
      crcs[i] = (uint32_t) crc32_z (crc32_z (0, c->head, c->head_bytes), c->data, c->data_bytes);
      places[i] = at;
      unsigned char *p = put (put_member (put (bytes, LOCAL, 4), c, crcs[i]), 20, 2);
      status = tp_writer_write (&writer, bytes, (size_t) (p - bytes));
      if (status == TP_OK)
        status = tp_writer_write (&writer, c->name, strlen (c->name));
      unsigned char *q = put_lengths (bytes, c, 0);
      if (status == TP_OK)
        status = tp_writer_write (&writer, bytes, (size_t) (q - bytes));
      if (status == TP_OK)
        status = tp_writer_write (&writer, c->head, c->head_bytes);
      if (status == TP_OK)
        status = tp_writer_write (&writer, c->data, c->data_bytes);
      at += 50 + strlen (c->name) + c->head_bytes + c->data_bytes;
    }
  uint64_t directory = at;
  for (int i = 0; status == TP_OK && i < count; i++)
    {
      const tp_zip_content *c = contents + i;
      unsigned char *p = put (put (bytes, ENTRY, 4), 45, 2);
      p = put (put_member (p, c, crcs[i]), 28, 2);
      p = put (p, 0, 10);         /* comment, disk, attributes */
      p = put (p, 0xffffffff, 4); /* its place too is in the field of 64 bits */
      status = tp_writer_write (&writer, bytes, (size_t) (p - bytes));
      if (status == TP_OK)
        status = tp_writer_write (&writer, c->name, strlen (c->name));
      p = put (put_lengths (bytes, c, 8), places[i], 8);
      if (status == TP_OK)
        status = tp_writer_write (&writer, bytes, (size_t) (p - bytes));
      at += 46 + strlen (c->name) + 28;
    }
  if (status == TP_OK)
    {
      unsigned char *p = put (put (put (bytes, END_64, 4), 44, 8), 45, 2);
      p = put (put (put (p, 45, 2), 0, 4), 0, 4);
      p = put (put (p, (uint64_t) count, 8), (uint64_t) count, 8);
      p = put (put (p, at - directory, 8), directory, 8);
      p = put (put (put (put (p, LOCATOR_64, 4), 0, 4), at, 8), 1, 4);
      p = put (put (put (p, END, 4), 0, 4), 0xffff, 2);
      p = put (put (put (put (p, 0xffff, 2), 0xffffffff, 4), 0xffffffff, 4), 0, 2);
      status = tp_writer_write (&writer, bytes, (size_t) (p - bytes));
    }
  if (opened)
    status = tp_writer_close (&writer, status);
  free (crcs);
  free (places);
  return status;
}
