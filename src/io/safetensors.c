/* safetensors.c -- the bytes of a safetensors file. */
#include "io/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "io/file.h"

/* The format's own limit. */
#define LONGEST_HEADER 100000000

/* The header's length, with the file left at its start; -1 after tp_fail. */
static int64_t
header_length (FILE *file, const char *path, int64_t file_length)
{
  unsigned char size[8];
  if (file_length < 8)
    {
      tp_fail (TP_BAD_FILE, "%s: truncated: expected 8 bytes or more, got %lld", path,
               (long long) file_length);
      return -1;
    }
  if (tp_file_read (file, path, size, sizeof size) != TP_OK)
    return -1;
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--)
    length = length << 8 | size[i];
  if (length > LONGEST_HEADER)
    {
      tp_file_mistaken (path, "a safetensors file");
      return -1;
    }
  if ((int64_t) length > file_length - 8)
    {
      tp_fail (TP_BAD_FILE, "%s: truncated, or not a safetensors file: its header would be %llu"
               " bytes of %lld", path, (unsigned long long) length, (long long) file_length);
      return -1;
    }
  return (int64_t) length;
}

char *
tp_safetensors_header (const char *path, int64_t *data_bytes)
{
  int64_t file_length;
  FILE *file = tp_file_open (path, &file_length);
  if (!file)
    return NULL;
  char *header = NULL;
  int64_t length = header_length (file, path, file_length);
  if (length >= 0 && !(header = malloc ((size_t) length + 1)))
    tp_fail (TP_NO_MEMORY, "%s: no memory for its header", path);
  if (header && tp_file_read (file, path, header, (size_t) length) != TP_OK)
    {
      free (header);
      header = NULL;
    }
  if (header)
    {
      header[length] = 0;
      *data_bytes = file_length - 8 - length;
    }
  fclose (file);
  return header;
}

static tp_tensor *
read_tensor (FILE *file, const char *path, int64_t file_length, int64_t begin,
             const tp_number_type *type, int rank, const int64_t *shape)
{
  int64_t length = header_length (file, path, file_length);
  if (length < 0)
    return NULL;
  int64_t rest = file_length - 8 - length, bytes = tp_number_size (type);
  bool excessive = begin < 0 || begin > rest;
  for (int i = 0; i < rank; i++)
    excessive |= __builtin_mul_overflow (bytes, shape[i], &bytes);
  if (excessive || bytes > rest - begin)
    {
      char text[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_FILE, "%s: truncated: %s numbers at byte %lld of %lld", path,
               tp_shape_text (text, rank, shape), (long long) begin, (long long) rest);
      return NULL;
    }
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  if (!t)
    return NULL;
  unsigned char *in = malloc ((size_t) bytes + 1);
  if (!in)
    tp_fail (TP_NO_MEMORY, "%s: no memory for %lld bytes", path, (long long) bytes);
  if (!in || fseek (file, 8 + length + begin, SEEK_SET)
      || tp_file_read (file, path, in, (size_t) bytes) != TP_OK
      || tp_numbers_read (path, type, false, in, tp_f32 (t), tp_tensor_count (t), 0) != TP_OK)
    {
      tp_tensor_free (t);
      t = NULL;
    }
  free (in);
  return t;
}

tp_tensor *
tp_safetensors_read (const char *path, int64_t begin, const tp_number_type *type, int rank,
                     const int64_t *shape)
{
  int64_t file_length;
  FILE *file = tp_file_open (path, &file_length);
  if (!file)
    return NULL;
  tp_tensor *t = read_tensor (file, path, file_length, begin, type, rank, shape);
  fclose (file);
  return t;
}

static tp_status
write_half (tp_writer *writer, const float *in, int64_t count)
{
  enum { at_once = 4096 };
  unsigned char out[2 * at_once];
  tp_status status = TP_OK;
  for (int64_t i = 0; i < count && status == TP_OK; i += at_once)
    {
      int64_t n = count - i < at_once ? count - i : at_once;
      tp_half_from_floats (in + i, out, n);
      status = tp_writer_write (writer, out, (size_t) (2 * n));
    }
  return status;
}

static tp_status
write_all (tp_writer *writer, const char *header, const tp_tensor *const *tensors, int count, bool half)
{
  /* Spaces after the JSON align the numbers to 8 bytes. */
  size_t length = strlen (header), padded = (length + 7) / 8 * 8;
  unsigned char size[8];
  for (int i = 0; i < 8; i++)
    size[i] = (unsigned char) ((uint64_t) padded >> 8 * i);
  tp_status status = tp_writer_write (writer, size, sizeof size);
  if (status == TP_OK)
    status = tp_writer_write (writer, header, length);
  if (status == TP_OK)
    status = tp_writer_write (writer, "        ", padded - length);
  for (int i = 0; i < count && status == TP_OK; i++)
    {
      tp_tensor *whole = tp_contiguous (tensors[i]);
      status = whole ? tp_check (whole, "tensor", TP_F32, -1) : tp_last_status ();
      if (status == TP_OK)
        status = half ? write_half (writer, tp_f32 (whole), tp_tensor_count (whole))
                      : tp_writer_write (writer, tp_f32 (whole),
                                         (size_t) tp_tensor_count (whole) * sizeof (float));
      tp_tensor_free (whole);
    }
  return status;
}

tp_status
tp_safetensors_write (const char *path, const char *header, const tp_tensor *const *tensors,
                      int count, bool half)
{
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  if (status != TP_OK)
    return status;
  return tp_writer_close (&writer, write_all (&writer, header, tensors, count, half));
}
