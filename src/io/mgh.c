/* mgh.c -- a header of 284 bytes, then the voxels, all big-endian.
 *
 * The header has at byte 0 the version, four lengths (width, height, depth, frames) and the type of
 * the voxels; at 28 whether it says where they lie; at 30 three spacings, the directions of the three
 * axes, and the place of the middle, index (width, height, depth) / 2.  No library of Debian reads it.
 * Source: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat */
#include "io/mgh.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/numbers.h"

#define HEADER 284
/* Deflate makes at most 1032 bytes of one. */
#define BEST_COMPRESSION 1032.0

typedef struct {
  int code;
  char kind; /* for tp_number_type_of */
  int size;
} voxel_type;

static const voxel_type voxel_types[]
  = { { 0, 'u', 1 }, { 1, 'i', 4 }, { 3, 'f', 4 }, { 4, 'i', 2 }, { 10, 'u', 2 } };

typedef struct {
  const voxel_type *type;
  int rank;
  int64_t shape[4]; /* the tensor's */
} description;

static bool
big_endian (void)
{
  return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

/* COUNT numbers of SIZE bytes from big-endian to this machine's order, or back. */
static void
reorder (const void *in, void *out, int size, int count)
{
  for (int i = 0; i < count * size; i += size)
    for (int k = 0; k < size; k++)
      ((char *) out)[i + k] = ((const char *) in)[i + (big_endian () ? k : size - 1 - k)];
}

/* --- Reading ------------------------------------------------------------------ */

static void
read_geometry (const unsigned char bytes[HEADER], const int32_t lengths[3], tp_geometry *g)
{
  int16_t placed;
  float spacing[3], directions[3][3], middle[3];
  reorder (bytes + 28, &placed, 2, 1);
  reorder (bytes + 30, spacing, 4, 3);
  reorder (bytes + 42, directions, 4, 9);
  reorder (bytes + 78, middle, 4, 3);
  g->spacing[0] = 1; /* of frames, where there are several */
  for (int row = 0; row < 3; row++)
    {
      g->affine[row][3] = middle[row];
      for (int axis = 0; axis < 3; axis++)
        {
          g->affine[row][axis] = (double) directions[axis][row] * spacing[axis];
          g->affine[row][3] -= g->affine[row][axis] * lengths[axis] / 2.0;
        }
    }
  g->placed = placed && tp_geometry_sound (g);
  for (int axis = 0; axis < 3; axis++)
    g->spacing[3 - axis] = placed ? fabs ((double) spacing[axis]) : 1;
}

static tp_status
read_header (const char *path, description *d, tp_geometry *g)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return tp_last_status ();
  fclose (file);
  unsigned char bytes[HEADER];
  int32_t numbers[6];
  bool compressed;
  if (tp_gzip_start (path, bytes, sizeof bytes, &compressed) < HEADER)
    return tp_file_mistaken (path, "an MGH file");
  reorder (bytes, numbers, 4, 6);
  /* The version's other bytes say what the volume is for. */
  if ((numbers[0] & 255) != 1)
    return tp_file_mistaken (path, "an MGH file");
  for (size_t i = 0; i < sizeof voxel_types / sizeof *voxel_types; i++)
    if (voxel_types[i].code == numbers[5])
      d->type = voxel_types + i;
  if (!d->type)
    return tp_fail (TP_UNSUPPORTED, "%s: expected voxels of 8 to 32 bits, of type 0, 1, 3, 4 or 10,"
                    " got %d", path, numbers[5]);
  double promised = d->type->size;
  for (int i = 1; i <= 4; i++)
    {
      if (numbers[i] < 1)
        return tp_fail (TP_BAD_FILE, "%s: axis %d: expected a positive length, got %d", path, i,
                        numbers[i]);
      promised *= numbers[i];
    }
  if (promised > (compressed ? BEST_COMPRESSION : 1) * (double) length)
    return tp_fail (TP_BAD_FILE, "%s: truncated: the header promises %.0f bytes of voxels", path,
                    promised);
  read_geometry (bytes, numbers + 1, g);
  d->rank = numbers[4] > 1 ? 4 : 3;
  for (int i = 0; i < d->rank; i++)
    d->shape[d->rank - 1 - i] = numbers[i + 1];
  if (d->rank == 3)
    memmove (g->spacing, g->spacing + 1, 3 * sizeof *g->spacing);
  return TP_OK;
}

static tp_tensor *
read_voxels (const char *path, const voxel_type *type, int rank, const int64_t *shape, int64_t first)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  int64_t count = t ? tp_tensor_count (t) : 0;
  size_t bytes = (size_t) (count * type->size);
  unsigned char *voxels = t ? malloc (bytes) : NULL;
  tp_status status = TP_OK;
  if (!voxels)
    status = t ? tp_fail (TP_NO_MEMORY, "%s: no memory for %zu bytes of voxels", path, bytes)
               : tp_last_status ();
  else if (!tp_gzip_read (path, HEADER + first * type->size, voxels, bytes))
    {
      const char *trouble = tp_gzip_trouble (path);
      status = tp_fail (TP_BAD_FILE, "%s: %s", path, trouble ? trouble : "truncated");
    }
  else
    status = tp_numbers_read (path, tp_number_type_of (type->kind, type->size), !big_endian (),
                              voxels, tp_f32 (t), count, first);
  free (voxels);
  if (status == TP_OK)
    return t;
  tp_tensor_free (t);
  return NULL;
}

tp_tensor *
tp_mgh_load (const char *path, int64_t volume, tp_geometry *geometry)
{
  description d = { 0 };
  int64_t first;
  if (read_header (path, &d, geometry) != TP_OK
      || tp_choose_volume (path, volume, &d.rank, d.shape, geometry, &first) != TP_OK)
    return NULL;
  return read_voxels (path, d.type, d.rank, d.shape, first);
}

tp_item *
tp_mgh_items (const char *path, int *count)
{
  description d = { 0 };
  tp_geometry geometry;
  if (read_header (path, &d, &geometry) != TP_OK)
    return NULL;
  tp_item item = { .kind = d.type->kind == 'f' ? 'f' : 'i', .size = d.type->size, .rank = d.rank };
  memcpy (item.shape, d.shape, (size_t) d.rank * sizeof *d.shape);
  *count = 1;
  return tp_items_of_one (&item);
}

/* --- Writing ------------------------------------------------------------------ */

static void
make_header (unsigned char bytes[HEADER], const tp_tensor *t, const tp_geometry *g)
{
  int32_t numbers[6] = { 1, 1, 1, 1, 1, 3 };
  for (int i = 0; i < t->rank; i++)
    numbers[i + 1] = (int32_t) t->shape[t->rank - 1 - i];
  int16_t placed = g->placed;
  float spacing[3] = { 1, 1, 1 }, directions[3][3], middle[3];
  for (int axis = 0; axis < 3 && axis < t->rank; axis++)
    spacing[axis] = (float) g->spacing[t->rank - 1 - axis];
  for (int row = 0; row < 3; row++)
    {
      double place = g->affine[row][3];
      for (int axis = 0; axis < 3; axis++)
        {
          double column = g->affine[row][axis];
          place += column * numbers[axis + 1] / 2.0;
          directions[axis][row] = placed ? (float) (column / spacing[axis]) : row == axis;
        }
      middle[row] = placed ? (float) place : 0;
    }
  memset (bytes, 0, HEADER);
  reorder (numbers, bytes, 4, 6);
  reorder (&placed, bytes + 28, 2, 1);
  reorder (spacing, bytes + 30, 4, 3);
  reorder (directions, bytes + 42, 4, 9);
  reorder (middle, bytes + 78, 4, 3);
}

tp_status
tp_mgh_save (const char *path, const tp_tensor *t, const tp_geometry *geometry)
{
  char text[TP_SHAPE_TEXT];
  bool fits = t->dtype == TP_F32 && t->rank >= 2 && t->rank <= 4;
  for (int i = 0; fits && i < t->rank; i++)
    fits = t->shape[i] > 0 && t->shape[i] <= INT32_MAX;
  if (!fits)
    return tp_fail (TP_BAD_SHAPE, "tensor: expected f32 of two to four axes, with voxels, got %s %s",
                    tp_dtype_name (t->dtype), tp_shape_text (text, t->rank, t->shape));
  unsigned char header[HEADER];
  make_header (header, t, geometry);
  tp_tensor *copy = tp_copy (t);
  if (!copy)
    return tp_last_status ();
  int64_t count = tp_tensor_count (copy);
  float *numbers = tp_f32 (copy);
  for (int64_t i = 0; i < count && !big_endian (); i++)
    {
      uint32_t word;
      memcpy (&word, numbers + i, sizeof word);
      word = __builtin_bswap32 (word);
      memcpy (numbers + i, &word, sizeof word);
    }
  size_t length = strlen (path);
  tp_status status = tp_gzip_write (path, length && strchr ("zZ", path[length - 1]), header, HEADER,
                                    numbers, (size_t) count * sizeof *numbers);
  tp_tensor_free (copy);
  return status;
}
