/* mat.c -- libmatio behind a trial in a child process, and behind a check of sizes. */
#include "io/mat.h"

#include <math.h>
#include <matio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/numbers.h"
#include "io/trial.h"

#define MOST_ARRAYS 10000
/* Deflate makes at most 1032 bytes of one. */
#define BEST_COMPRESSION 1032.0

static mat_t *
open_file (const char *path, int64_t *length)
{
  FILE *file = tp_file_open (path, length);
  if (!file)
    return NULL;
  fclose (file);
  Mat_LogInitFunc ("tempera", NULL);
  mat_t *mat = Mat_Open (path, MAT_ACC_RDONLY);
  if (!mat)
    tp_file_mistaken (path, "a MATLAB file");
  return mat;
}

/* The kind of number, as tp_number_type_of wants it, and its SIZE; 0 when VARIABLE has none. */
static char
kind_of (const matvar_t *variable, int *size)
{
  switch (variable->class_type)
    {
    case MAT_C_DOUBLE: *size = 8; return 'f';
    case MAT_C_SINGLE: *size = 4; return 'f';
    case MAT_C_INT8: *size = 1; return 'i';
    case MAT_C_UINT8: *size = 1; return 'u';
    case MAT_C_INT16: *size = 2; return 'i';
    case MAT_C_UINT16: *size = 2; return 'u';
    case MAT_C_INT32: *size = 4; return 'i';
    case MAT_C_UINT32: *size = 4; return 'u';
    case MAT_C_INT64: *size = 8; return 'i';
    case MAT_C_UINT64: *size = 8; return 'u';
    default: return 0;
    }
}

static int64_t
length_of (const matvar_t *variable, int axis)
{
  return variable->dims[axis] < INT64_MAX / 16 ? (int64_t) variable->dims[axis] : INT64_MAX / 16;
}

/* What VARIABLE is, for a list, of kind '?' with more axes than are read; false when it has no numbers. */
static bool
describe (const matvar_t *variable, tp_item *item)
{
  int size;
  char kind = kind_of (variable, &size);
  if (!kind || !variable->name)
    return false;
  *item = (tp_item) { .kind = variable->isComplex ? 'c' : kind == 'f' ? 'f' : 'i',
                      .size = variable->isComplex ? 2 * size : size, .rank = variable->rank };
  if (item->rank < 1 || item->rank > TP_MAX_RANK)
    *item = (tp_item) { .kind = '?' };
  for (int i = 0; i < item->rank; i++)
    item->shape[i] = length_of (variable, i);
  return (item->name = strdup (variable->name));
}

static tp_item *
read_items (const char *path, int *count)
{
  int64_t length;
  mat_t *mat = open_file (path, &length);
  tp_item *items = mat ? calloc (MOST_ARRAYS, sizeof *items) : NULL;
  *count = 0;
  matvar_t *variable;
  while (items && *count < MOST_ARRAYS && (variable = Mat_VarReadNextInfo (mat)))
    {
      *count += describe (variable, items + *count);
      Mat_VarFree (variable);
    }
  if (mat)
    Mat_Close (mat);
  return items;
}

/* One part of the complex numbers, or all real ones: COUNT of KIND and SIZE at IN to OUT, every
 * STEP-th number. */
static tp_status
convert (const char *path, char kind, int size, const void *in, float *out, int64_t count, int step)
{
  enum { PIECE = 4096 };
  float piece[PIECE];
  unsigned char copy[PIECE * 8];
  const tp_number_type *type = tp_number_type_of (kind, size);
  for (int64_t i = 0; i < count; i += PIECE)
    {
      int64_t n = count - i < PIECE ? count - i : PIECE;
      memcpy (copy, (const char *) in + (size_t) (i * size), (size_t) (n * size));
      tp_status status = tp_numbers_read (path, type, false, copy, piece, n, i);
      if (status != TP_OK)
        return status;
      for (int64_t k = 0; k < n; k++)
        out[(i + k) * step] = piece[k];
    }
  return TP_OK;
}

static tp_tensor *
from_variable (const matvar_t *v, const char *path, char kind, int size, int rank,
               const int64_t *reversed)
{
  tp_tensor *t = tp_tensor_create (v->isComplex ? TP_C64 : TP_F32, rank, reversed);
  if (!t)
    return NULL;
  int64_t count = tp_tensor_count (t);
  tp_status status = TP_OK;
  if (count > 0 && (!v->data || v->data_size != size))
    status = tp_fail (TP_BAD_FILE, "%s: %s: truncated or damaged", path, v->name);
  else if (v->isComplex)
    {
      const mat_complex_split_t *parts = v->data;
      float *out = (float *) tp_c64 (t);
      if (count > 0 && !(parts->Re && parts->Im))
        status = tp_fail (TP_BAD_FILE, "%s: %s: truncated or damaged", path, v->name);
      else if ((status = convert (path, kind, size, parts->Re, out, count, 2)) == TP_OK)
        status = convert (path, kind, size, parts->Im, out + 1, count, 2);
    }
  else
    status = convert (path, kind, size, v->data, tp_f32 (t), count, 1);
  if (status == TP_OK)
    return tp_from_column_major (t);
  tp_tensor_free (t);
  return NULL;
}

static tp_tensor *
read_variable (mat_t *mat, matvar_t *v, const char *path, int64_t length, bool trial)
{
  int size = 0, rank = v->rank;
  char kind = kind_of (v, &size);
  int64_t reversed[TP_MAX_RANK];
  double bytes = size * (v->isComplex ? 2 : 1);
  if (!kind || rank < 1 || rank > TP_MAX_RANK)
    {
      tp_fail (TP_UNSUPPORTED, "%s: %s: expected an array of numbers with at most %d axes", path,
               v->name, TP_MAX_RANK);
      return NULL;
    }
  for (int i = 0; i < rank; i++)
    {
      reversed[rank - 1 - i] = length_of (v, i);
      bytes *= (double) v->dims[i];
    }
  /* Small integers may stand for doubles in the file. */
  if (bytes > 8 * BEST_COMPRESSION * (double) length)
    tp_fail (TP_BAD_FILE, "%s: %s: truncated: it claims %.0f bytes", path, v->name, bytes);
  else if (Mat_VarReadDataAll (mat, v))
    tp_fail (TP_BAD_FILE, "%s: %s: truncated or damaged", path, v->name);
  else if (!trial)
    return from_variable (v, path, kind, size, rank, reversed);
  return NULL;
}

/* In a TRIAL only the library is called: no tensor is made, which takes threads and locks that a child
 * process has not. */
static tp_tensor *
read_tensor (const char *path, const char *name, bool trial)
{
  int64_t length;
  mat_t *mat = open_file (path, &length);
  if (!mat)
    return NULL;
  tp_tensor *t = NULL;
  matvar_t *variable = Mat_VarReadInfo (mat, name);
  if (variable)
    t = read_variable (mat, variable, path, length, trial);
  else
    tp_fail (TP_BAD_FILE, "%s: it holds no array %s", path, name);
  Mat_VarFree (variable);
  Mat_Close (mat);
  return t;
}

/* --- First in a child process ------------------------------------------------ */

typedef struct {
  const char *path, *name;
} request;

static void
try_items (void *data)
{
  int count;
  read_items (((request *) data)->path, &count);
}

static void
try_tensor (void *data)
{
  const request *r = data;
  read_tensor (r->path, r->name, true);
}

tp_item *
tp_mat_items (const char *path, int *count)
{
  return tp_trial (path, try_items, &(request) { .path = path }) == TP_OK
           ? read_items (path, count) : NULL;
}

tp_tensor *
tp_mat_load (const char *path, const char *name)
{
  return tp_trial (path, try_tensor, &(request) { path, name }) == TP_OK
           ? read_tensor (path, name, false) : NULL;
}

/* --- Writing ------------------------------------------------------------------- */

static bool
write_tensor (mat_t *mat, const char *name, const tp_tensor *t)
{
  /* MATLAB has two axes at least. */
  int rank = t->rank < 2 ? 2 : t->rank;
  size_t dims[TP_MAX_RANK] = { 1, 1 };
  for (int i = 0; i < t->rank; i++)
    dims[i] = (size_t) t->shape[i];
  bool good = false;
  tp_tensor *ours = tp_to_column_major (t);
  tp_tensor *re = ours ? tp_map (TP_REAL, ours) : NULL, *im = ours ? tp_map (TP_IMAG, ours) : NULL;
  if (re && im)
    {
      mat_complex_split_t parts = { tp_f32 (re), tp_f32 (im) };
      bool pairs = t->dtype == TP_C64;
      matvar_t *v = Mat_VarCreate (name, MAT_C_SINGLE, MAT_T_SINGLE, rank, dims,
                                   pairs ? (void *) &parts : tp_f32 (ours),
                                   pairs ? MAT_F_COMPLEX : 0);
      good = v && !Mat_VarWrite (mat, v, MAT_COMPRESSION_NONE);
      Mat_VarFree (v);
    }
  tp_tensor_free (re);
  tp_tensor_free (im);
  tp_tensor_free (ours);
  return good;
}

tp_status
tp_mat_save (const char *path, const char *const *names, const tp_tensor *const *tensors, int count)
{
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  if (status != TP_OK)
    return status;
  Mat_LogInitFunc ("tempera", NULL);
  /* The library truncates and fills the temporary file, which is the writer's to sync and rename. */
  mat_t *mat = writer.temporary ? Mat_CreateVer (writer.temporary, "MATLAB 5.0 MAT-file, by Tempera",
                                                 MAT_FT_MAT5) : NULL;
  bool good = mat;
  for (int i = 0; good && i < count; i++)
    good = write_tensor (mat, names[i], tensors[i]);
  if (mat)
    good = !Mat_Close (mat) && good;
  if (!good)
    status = tp_fail (TP_IO, "%s: not written: no space, or a name that MATLAB does not take", path);
  return tp_writer_close (&writer, status);
}
