/* npz.c -- npy files as members of a zip archive, through libzip; written without compression, as
 * numpy.savez does. */
#include "io/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "io/file.h"
#include "io/npy.h"

#define MOST_MEMBERS 4096
#define LONGEST_NAME 256

/* Deflate makes at most 1032 bytes of one. */
#define BEST_COMPRESSION 1032

/* The length of NAME without .npy; 0 when it has no such ending. */
static size_t
stem_length (const char *name)
{
  size_t length = strlen (name);
  return length > 4 && !strcmp (name + length - 4, ".npy") ? length - 4 : 0;
}

/* The archive PATH, whose length goes into LENGTH; NULL after tp_fail. */
static zip_t *
open_archive (const char *path, int64_t *length)
{
  FILE *file = tp_file_open (path, length);
  if (!file)
    return NULL;
  fclose (file);
  int code;
  zip_t *zip = zip_open (path, ZIP_RDONLY, &code);
  if (!zip)
    {
      zip_error_t error;
      zip_error_init_with_code (&error, code);
      if (code == ZIP_ER_NOZIP)
        tp_file_mistaken (path, "a zip archive");
      else
        tp_fail (TP_BAD_FILE, "%s: damaged: %s", path, zip_error_strerror (&error));
      zip_error_fini (&error);
    }
  else if (zip_get_num_entries (zip, 0) > MOST_MEMBERS)
    {
      tp_fail (TP_UNSUPPORTED, "%s: expected at most %d members", path, MOST_MEMBERS);
      zip_discard (zip);
      zip = NULL;
    }
  return zip;
}

/* What the first bytes of member INDEX say of its array, into ITEM. */
static void
describe (zip_t *zip, int64_t index, const char *path, tp_item *item)
{
  char start[4096];
  zip_file_t *member = zip_fopen_index (zip, (zip_uint64_t) index, 0);
  int64_t got = member ? zip_fread (member, start, sizeof start) : 0;
  FILE *file = got > 0 ? fmemopen (start, (size_t) got, "rb") : NULL;
  if (!file || tp_npy_describe (file, path, item) != TP_OK)
    *item = (tp_item) { .kind = '?' };
  if (file)
    fclose (file);
  if (member)
    zip_fclose (member);
}

tp_item *
tp_npz_items (const char *path, int *count)
{
  int64_t length;
  zip_t *zip = open_archive (path, &length);
  if (!zip)
    return NULL;
  int64_t members = zip_get_num_entries (zip, 0);
  tp_item *items = calloc ((size_t) members + 1, sizeof *items);
  *count = 0;
  for (int64_t i = 0; items && i < members; i++)
    {
      const char *name = zip_get_name (zip, (zip_uint64_t) i, 0);
      size_t stem = name ? stem_length (name) : 0;
      if (!stem)
        continue;
      describe (zip, i, path, items + *count);
      if ((items[*count].name = strndup (name, stem)))
        ++*count;
    }
  zip_discard (zip);
  if (!items)
    tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  return items;
}

/* All BYTES of MEMBER, and that nothing follows them: at their end libzip verifies the checksum. */
static tp_status
read_whole (zip_file_t *member, const char *path, const char *name, char *bytes, int64_t count)
{
  int64_t done = 0, got = 1;
  while (done < count && got > 0)
    {
      got = zip_fread (member, bytes + done, (zip_uint64_t) (count - done));
      done += got > 0 ? got : 0;
    }
  char more;
  if (done < count || zip_fread (member, &more, 1) != 0)
    return tp_fail (TP_BAD_FILE, "%s: %s: damaged: %s", path, name, zip_file_strerror (member));
  return TP_OK;
}

static tp_tensor *
load_member (zip_t *zip, const char *path, int64_t length, const char *name)
{
  char file_name[LONGEST_NAME + 4];
  zip_stat_t stat;
  if ((size_t) snprintf (file_name, sizeof file_name, "%s.npy", name) >= sizeof file_name
      || zip_stat (zip, file_name, 0, &stat) < 0)
    {
      tp_fail (TP_BAD_ARGUMENT, "%s: it holds no array %s", path, name);
      return NULL;
    }
  if (!(stat.valid & ZIP_STAT_SIZE) || stat.size == 0
      || stat.size > BEST_COMPRESSION * (zip_uint64_t) length)
    {
      tp_fail (TP_BAD_FILE, "%s: %s: damaged: its length is not that of an array", path, name);
      return NULL;
    }
  zip_file_t *member = zip_fopen (zip, file_name, 0);
  if (!member)
    {
      tp_fail (TP_BAD_FILE, "%s: %s: %s", path, name, zip_strerror (zip));
      return NULL;
    }
  tp_tensor *t = NULL;
  char *bytes = malloc (stat.size);
  FILE *file = NULL;
  if (!bytes)
    tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  else if (read_whole (member, path, name, bytes, (int64_t) stat.size) == TP_OK
           && (file = fmemopen (bytes, stat.size, "rb")))
    {
      t = tp_npy_read (file, path, (int64_t) stat.size);
      fclose (file);
    }
  zip_fclose (member);
  free (bytes);
  return t;
}

tp_tensor *
tp_npz_load (const char *path, const char *name)
{
  int64_t length;
  zip_t *zip = open_archive (path, &length);
  if (!zip)
    return NULL;
  tp_tensor *t = load_member (zip, path, length, name);
  zip_discard (zip);
  return t;
}

/* TENSOR, which is contiguous, into ZIP; libzip reads HEADER and its numbers when ZIP is closed. */
static bool
add_member (zip_t *zip, const char *name, const tp_tensor *tensor, char *header)
{
  zip_buffer_fragment_t parts[] = {
    { (zip_uint8_t *) header, tp_npy_header (tensor, header) },
    { (zip_uint8_t *) (tensor->dtype == TP_C64 ? (void *) tp_c64 (tensor) : (void *) tp_f32 (tensor)),
      (zip_uint64_t) tp_tensor_count (tensor) * tp_dtype_size (tensor->dtype) },
  };
  zip_source_t *source = zip_source_buffer_fragment (zip, parts, parts[1].length ? 2 : 1, 0);
  zip_int64_t index = source ? zip_file_add (zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
  if (index < 0)
    {
      zip_source_free (source);
      return false;
    }
  /* The same arrays, the same file: of 1980, when zip's time begins. */
  return zip_set_file_compression (zip, (zip_uint64_t) index, ZIP_CM_STORE, 0) == 0
         && zip_file_set_dostime (zip, (zip_uint64_t) index, 0, 1 << 5 | 1, 0) == 0;
}

tp_status
tp_npz_save (const char *path, const char *const *names, const tp_tensor *const *tensors, int count)
{
  tp_tensor **whole = calloc ((size_t) count + 1, sizeof *whole);
  char (*headers)[TP_NPY_HEADER] = calloc ((size_t) count + 1, sizeof *headers);
  int code = 0;
  zip_t *zip = whole && headers ? zip_open (path, ZIP_CREATE | ZIP_TRUNCATE, &code) : NULL;
  tp_status status = TP_OK;
  if (!whole || !headers)
    status = tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  else if (!zip)
    status = tp_fail (TP_IO, "%s: cannot be written", path);
  for (int i = 0; status == TP_OK && i < count; i++)
    {
      char name[LONGEST_NAME];
      if ((size_t) snprintf (name, sizeof name, "%s.npy", names[i]) >= sizeof name)
        status = tp_fail (TP_BAD_ARGUMENT, "names: expected at most 250 bytes, got %s", names[i]);
      else if (!(whole[i] = tp_contiguous (tensors[i])))
        status = tp_last_status ();
      else if (!add_member (zip, name, whole[i], headers[i]))
        status = tp_fail (TP_BAD_ARGUMENT, "%s: %s: %s", path, names[i], zip_strerror (zip));
    }
  /* It writes a file beside, and gives that the name when it is whole. */
  if (status == TP_OK && zip_close (zip) == 0)
    zip = NULL;
  else if (status == TP_OK)
    status = tp_fail (TP_IO, "%s: not written: %s", path, zip_strerror (zip));
  if (zip)
    zip_discard (zip);
  for (int i = 0; whole && i < count; i++)
    tp_tensor_free (whole[i]);
  free (headers);
  free (whole);
  return status;
}
