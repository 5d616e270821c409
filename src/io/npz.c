/* npz.c -- npy files as members of a zip archive; written without compression, as numpy.savez
 * does. */
#include "io/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "io/zip.h"

/* The length of NAME without .npy; 0 when it has no such ending. */
static size_t
stem_length (const char *name)
{
  size_t length = strlen (name);
  return length > 4 && !strcmp (name + length - 4, ".npy") ? length - 4 : 0;
}

char **
tp_npz_names (const char *path, int *count)
{
  tp_zip zip;
  if (tp_zip_open (&zip, path) != TP_OK)
    return NULL;
  char **names = calloc ((size_t) zip.count + 1, sizeof *names);
  *count = 0;
  for (int i = 0; names && i < zip.count; i++)
    {
      size_t stem = stem_length (zip.members[i].name);
      if (stem && (names[*count] = strndup (zip.members[i].name, stem)))
        ++*count;
    }
  tp_zip_close (&zip);
  if (!names)
    tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  return names;
}

static tp_tensor *
load (const char *path, const tp_zip_member *member)
{
  unsigned char *bytes = tp_zip_read (path, member);
  if (!bytes)
    return NULL;
  tp_tensor *t = NULL;
  FILE *file = member->bytes ? fmemopen (bytes, (size_t) member->bytes, "rb") : NULL;
  if (file)
    {
      t = tp_npy_read (file, path, member->bytes);
      fclose (file);
    }
  else
    tp_fail (TP_BAD_FILE, "%s: %s is empty", path, member->name);
  free (bytes);
  return t;
}

tp_tensor *
tp_npz_load (const char *path, const char *name)
{
  tp_zip zip;
  if (tp_zip_open (&zip, path) != TP_OK)
    return NULL;
  int i = 0;
  while (i < zip.count && (stem_length (zip.members[i].name) != strlen (name)
                           || strncmp (zip.members[i].name, name, strlen (name))))
    i++;
  tp_tensor *t = NULL;
  if (i < zip.count)
    t = load (path, zip.members + i);
  else
    tp_fail (TP_BAD_ARGUMENT, "%s: it holds no array %s", path, name);
  tp_zip_close (&zip);
  return t;
}

tp_status
tp_npz_save (const char *path, const char *const *names, const tp_tensor *const *tensors, int count)
{
  tp_zip_content *contents = calloc ((size_t) count + 1, sizeof *contents);
  tp_tensor **whole = calloc ((size_t) count + 1, sizeof *whole);
  char (*headers)[TP_NPY_HEADER] = calloc ((size_t) count + 1, sizeof *headers);
  char (*members)[256] = calloc ((size_t) count + 1, sizeof *members);
  tp_status status = TP_OK;
  if (!contents || !whole || !headers || !members)
    status = tp_fail (TP_NO_MEMORY, "%s: no memory", path);
  for (int i = 0; status == TP_OK && i < count; i++)
    if ((size_t) snprintf (members[i], sizeof *members, "%s.npy", names[i]) >= sizeof *members)
      status = tp_fail (TP_BAD_ARGUMENT, "names: expected at most 250 bytes, got %s", names[i]);
    else if (!(whole[i] = tp_contiguous (tensors[i])))
      status = tp_last_status ();
    else
      contents[i] = (tp_zip_content) {
        .name = members[i], .head = headers[i], .head_bytes = tp_npy_header (whole[i], headers[i]),
        .data = whole[i]->dtype == TP_C64 ? (void *) tp_c64 (whole[i]) : (void *) tp_f32 (whole[i]),
        .data_bytes = (size_t) tp_tensor_count (whole[i]) * tp_dtype_size (whole[i]->dtype),
      };
  if (status == TP_OK)
    status = tp_zip_save (path, contents, count);
  for (int i = 0; whole && i < count; i++)
    tp_tensor_free (whole[i]);
  free (members);
  free (headers);
  free (whole);
  free (contents);
  return status;
}
