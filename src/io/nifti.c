/* nifti.c -- headers through libnifti.  Voxels are read here, since libnifti's reader
 * accepts a truncated file and does not verify gzip's checksum. */
#include "io/nifti.h"

#include <math.h>
#include <nifti1_io.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/file.h"

/* Deflate makes at most 1032 bytes of one: a header that promises more than
 * that lies, and would be allocated before that showed. */
#define BEST_COMPRESSION 1032.0

/* What libnifti would print about, or take for something else, is refused first.
 * HEADER is in this machine's byte order. */
static tp_status
check_header (const nifti_1_header *header, const char *path)
{
  if (header->dim[0] < 1 || header->dim[0] > 7)
    return tp_fail (TP_BAD_FILE, "%s: expected 1 to 7 axes, got %d", path, header->dim[0]);
  for (int i = 1; i <= header->dim[0]; i++)
    if (header->dim[i] < 1)
      return tp_fail (TP_BAD_FILE, "%s: axis %d: expected a positive length, got %d",
                      path, i, header->dim[i]);
  switch (header->datatype)
    {
    case NIFTI_TYPE_UINT8: case NIFTI_TYPE_INT8: case NIFTI_TYPE_UINT16: case NIFTI_TYPE_INT16:
    case NIFTI_TYPE_UINT32: case NIFTI_TYPE_INT32: case NIFTI_TYPE_FLOAT32:
    case NIFTI_TYPE_FLOAT64: case NIFTI_TYPE_INT64: case NIFTI_TYPE_UINT64:
      return TP_OK;
    default:
      return tp_fail (TP_UNSUPPORTED, "%s: expected voxels of 8- to 64-bit integers or of real"
                      " floats of 32 or 64 bits, got %s", path,
                      nifti_datatype_string (header->datatype));
    }
}

/* The voxels may be in another file than the header, an .img file. */
static tp_status
check_length (const nifti_image *image)
{
  int64_t length;
  FILE *file = tp_file_open (image->iname, &length);
  if (!file)
    return tp_last_status ();
  fclose (file);
  double bytes = image->nbyper;
  for (int i = 1; i <= image->ndim; i++)
    bytes *= image->dim[i];
  if (bytes > (nifti_is_gzfile (image->iname) ? BEST_COMPRESSION : 1) * (double) length)
    return tp_fail (TP_BAD_FILE, "%s: truncated: the header promises %.0f bytes of voxels",
                    image->iname, bytes);
  return TP_OK;
}

static bool
read_plain (const char *path, int64_t offset, void *data, size_t bytes)
{
  FILE *file = fopen (path, "rbe");
  bool whole = file && !fseek (file, offset, SEEK_SET) && fread (data, 1, bytes, file) == bytes;
  if (file)
    fclose (file);
  return whole;
}

/* On to the end, since the checksum is behind the voxels. */
static bool
read_gzip (const char *path, int64_t offset, void *data, size_t bytes)
{
  gzFile file = gzopen (path, "rbe");
  if (!file)
    return false;
  char *at = data;
  int got = gzseek (file, offset, SEEK_SET) < 0 ? -1 : 1;
  for (size_t left = bytes; left > 0 && got > 0; left -= (size_t) got, at += got)
    {
      got = gzread (file, at, (unsigned) (left < 1 << 30 ? left : 1 << 30));
      if (got < 0)
        break;
    }
  bool whole = at == (char *) data + bytes;
  unsigned char rest[4096];
  while (got > 0)
    got = gzread (file, rest, sizeof rest);
  int reason = Z_OK;
  gzerror (file, &reason);
  gzclose (file);
  return whole && reason == Z_OK;
}

/* All voxels in this machine's byte order, to be freed; NULL after tp_fail. */
static void *
read_voxels (const nifti_image *image, const char *path)
{
  size_t bytes = image->nvox * (size_t) image->nbyper;
  void *voxels = malloc (bytes);
  if (!voxels)
    {
      tp_fail (TP_NO_MEMORY, "%s: no memory for %zu bytes of voxels", path, bytes);
      return NULL;
    }
  bool (*read) (const char *, int64_t, void *, size_t)
    = nifti_is_gzfile (image->iname) ? read_gzip : read_plain;
  bool whole = read (image->iname, image->iname_offset, voxels, bytes);
  if (!whole)
    {
      const char *trouble = tp_gzip_trouble (image->iname);
      tp_fail (TP_BAD_FILE, "%s: %s", image->iname, trouble ? trouble : "truncated");
      free (voxels);
      return NULL;
    }
  if (image->swapsize > 1 && image->byteorder != nifti_short_order ())
    nifti_swap_Nbytes (image->nvox * (size_t) (image->nbyper / image->swapsize),
                       image->swapsize, voxels);
  return voxels;
}

static float
voxel (const void *voxels, int datatype, int64_t i)
{
  switch (datatype)
    {
    case NIFTI_TYPE_UINT8: return ((const uint8_t *) voxels)[i];
    case NIFTI_TYPE_INT8: return ((const int8_t *) voxels)[i];
    case NIFTI_TYPE_UINT16: return ((const uint16_t *) voxels)[i];
    case NIFTI_TYPE_INT16: return ((const int16_t *) voxels)[i];
    case NIFTI_TYPE_UINT32: return (float) ((const uint32_t *) voxels)[i];
    case NIFTI_TYPE_INT32: return (float) ((const int32_t *) voxels)[i];
    case NIFTI_TYPE_INT64: return (float) ((const int64_t *) voxels)[i];
    case NIFTI_TYPE_UINT64: return (float) ((const uint64_t *) voxels)[i];
    case NIFTI_TYPE_FLOAT32: return ((const float *) voxels)[i];
    default: return (float) ((const double *) voxels)[i];
    }
}

/* Voxel I, whose float was not finite, scaled in double. */
static double
wide_voxel (const void *voxels, int datatype, int64_t i, double slope, double intercept)
{
  double v = datatype == NIFTI_TYPE_FLOAT64 ? ((const double *) voxels)[i]
                                            : voxel (voxels, datatype, i);
  return slope * v + intercept;
}

static tp_status
scale_voxels (const nifti_image *image, const char *path, const void *voxels, tp_tensor *t)
{
  /* A slope of 0 means that there is none. */
  bool scaled = image->scl_slope != 0 && isfinite (image->scl_slope)
                && isfinite (image->scl_inter);
  float slope = scaled ? image->scl_slope : 1, intercept = scaled ? image->scl_inter : 0;
  float *out = tp_f32 (t);
  for (int64_t i = 0, count = tp_tensor_count (t); i < count; i++)
    {
      out[i] = slope * voxel (voxels, image->datatype, i) + intercept;
      if (!isfinite (out[i]))
        {
          double wide = wide_voxel (voxels, image->datatype, i, slope, intercept);
          out[i] = (float) wide;
          if (isfinite (wide) && !isfinite (out[i]))
            return tp_fail (TP_BAD_VALUE, "%s: voxel %lld is %g, beyond the %g that float32 holds",
                            path, (long long) i, wide, (double) __FLT_MAX__);
        }
    }
  return TP_OK;
}

/* The direction of the axis that libnifti calls DIRECTION. */
static char
direction_letter (int direction)
{
  switch (direction)
    {
    case NIFTI_L2R: return 'R';
    case NIFTI_R2L: return 'L';
    case NIFTI_P2A: return 'A';
    case NIFTI_A2P: return 'P';
    case NIFTI_I2S: return 'S';
    case NIFTI_S2I: return 'I';
    default: return '?';
    }
}

static void
read_geometry (const nifti_image *image, tp_nifti_info *info)
{
  for (int i = 0; i < image->ndim; i++)
    info->spacing[i] = fabs ((double) image->pixdim[image->ndim - i]);
  strcpy (info->orientation, "???");
  int codes[3] = { 0 };
  if (image->sform_code > 0)
    nifti_mat44_to_orientation (image->sto_xyz, codes, codes + 1, codes + 2);
  else if (image->qform_code > 0)
    nifti_mat44_to_orientation (image->qto_xyz, codes, codes + 1, codes + 2);
  if (codes[0])
    for (int i = 0; i < 3; i++)
      info->orientation[i] = direction_letter (codes[2 - i]);
}

static tp_tensor *
load (const nifti_image *image, const char *path, tp_nifti_info *info)
{
  if (check_length (image) != TP_OK)
    return NULL;
  void *voxels = read_voxels (image, path);
  if (!voxels)
    return NULL;
  int64_t shape[TP_MAX_RANK];
  for (int i = 0; i < image->ndim; i++)
    shape[i] = image->dim[image->ndim - i];
  tp_tensor *t = tp_tensor_create (TP_F32, image->ndim, shape);
  if (t && scale_voxels (image, path, voxels, t) != TP_OK)
    {
      tp_tensor_free (t);
      t = NULL;
    }
  free (voxels);
  read_geometry (image, info);
  return t;
}

tp_tensor *
tp_nifti_load (const char *path, tp_nifti_info *info)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return NULL;
  fclose (file);
  nifti_set_debug_level (0); /* it would print what we report */
  int kind = length < 1 ? -1 : is_nifti_file (path);
  if (kind < 1)
    {
      if (kind == 0)
        tp_fail (TP_UNSUPPORTED, "%s: expected a NIfTI-1 file, got ANALYZE 7.5, which does not say"
                 " left from right: convert it", path);
      else
        tp_file_mistaken (path, "a NIfTI-1 file");
      return NULL;
    }
  int swapped;
  nifti_1_header *header = nifti_read_header (path, &swapped, 0);
  tp_status status = header ? check_header (header, path)
                            : tp_file_mistaken (path, "a NIfTI-1 file");
  free (header);
  nifti_image *image = status == TP_OK ? nifti_image_read (path, 0) : NULL;
  if (status == TP_OK && !image)
    tp_fail (TP_BAD_FILE, "%s: its NIfTI header is not understood", path);
  if (!image)
    return NULL;
  tp_tensor *t = load (image, path, info);
  nifti_image_free (image);
  return t;
}
