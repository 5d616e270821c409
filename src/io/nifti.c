/* nifti.c -- headers through libnifti, which knows both versions and byte orders.  Voxels are read
 * here, since libnifti's reader accepts a truncated file and does not verify gzip's checksum; and
 * written here, since its writer leaves half a file. */
#include "io/nifti.h"

#include <math.h>
#include <nifti2_io.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

/* Deflate makes at most 1032 bytes of one: a header that promises more than
 * that lies, and would be allocated before that showed. */
#define BEST_COMPRESSION 1032.0

/* --- Headers ------------------------------------------------------------------ */

typedef union {
  char bytes[sizeof (nifti_2_header)];
  nifti_1_header one;
  nifti_2_header two;
} any_header;

/* The first bytes of PATH, a header file, into HEADER; how many there are. */
static size_t
read_start (const char *path, any_header *header)
{
  bool compressed;
  if (nifti_is_gzfile (path))
    return tp_gzip_start (path, header, sizeof *header, &compressed);
  FILE *file = fopen (path, "rbe");
  size_t got = file ? fread (header, 1, sizeof *header, file) : 0;
  if (file)
    fclose (file);
  return got;
}

/* 1 or 2, the version of HEADER, of which BYTES are there; 0 if it is of ANALYZE 7.5, else -1.
 * Whether its byte order is not this machine's goes to SWAPPED. */
static int
version_of (const any_header *header, size_t bytes, bool *swapped)
{
  int32_t size = bytes >= sizeof header->one ? header->one.sizeof_hdr : 0;
  *swapped = size != sizeof header->one && size != sizeof header->two;
  size = *swapped ? (int32_t) __builtin_bswap32 ((uint32_t) size) : size;
  if (size == sizeof header->one)
    return !memcmp (header->one.magic, "n+1", 4) || !memcmp (header->one.magic, "ni1", 4);
  return size == sizeof header->two && bytes == sizeof header->two
         && (!memcmp (header->two.magic, "n+2", 4) || !memcmp (header->two.magic, "ni2", 4)) ? 2 : -1;
}

/* What libnifti would print about, or take for something else, is refused first. */
static tp_status
check_header (const char *path, int64_t rank, const int64_t dim[7], int datatype, double offset)
{
  if (rank < 1 || rank > 7)
    return tp_fail (TP_BAD_FILE, "%s: expected 1 to 7 axes, got %lld", path, (long long) rank);
  for (int i = 0; i < rank; i++)
    if (dim[i] < 1)
      return tp_fail (TP_BAD_FILE, "%s: axis %d: expected a positive length, got %lld",
                      path, i + 1, (long long) dim[i]);
  if (!(offset >= 0 && offset < 0x1p62))
    return tp_fail (TP_BAD_FILE, "%s: its voxels cannot begin at byte %g", path, offset);
  switch (datatype)
    {
    case NIFTI_TYPE_UINT8: case NIFTI_TYPE_INT8: case NIFTI_TYPE_UINT16: case NIFTI_TYPE_INT16:
    case NIFTI_TYPE_UINT32: case NIFTI_TYPE_INT32: case NIFTI_TYPE_FLOAT32:
    case NIFTI_TYPE_FLOAT64: case NIFTI_TYPE_INT64: case NIFTI_TYPE_UINT64:
    case NIFTI_TYPE_COMPLEX64: case NIFTI_TYPE_COMPLEX128:
      return TP_OK;
    default:
      return tp_fail (TP_UNSUPPORTED, "%s: expected voxels of 8- to 64-bit integers, or of real or"
                      " complex floats of 32 or 64 bits a part, got %s", path,
                      nifti_datatype_string (datatype));
    }
}

static nifti_image *
understood (const char *path, nifti_image *image)
{
  if (!image)
    tp_fail (TP_BAD_FILE, "%s: its NIfTI header is not understood", path);
  return image;
}

static nifti_image *
image_of_1 (const char *path, nifti_1_header header, bool swapped)
{
  nifti_1_header native = header;
  if (swapped)
    nifti_swap_as_nifti1 (&native);
  int64_t dim[7];
  for (int i = 0; i < 7; i++)
    dim[i] = native.dim[i + 1];
  return check_header (path, native.dim[0], dim, native.datatype, native.vox_offset) == TP_OK
           ? understood (path, nifti_convert_n1hdr2nim (header, path)) : NULL;
}

static nifti_image *
image_of_2 (const char *path, nifti_2_header header, bool swapped)
{
  nifti_2_header native = header;
  if (swapped)
    nifti_swap_as_nifti2 (&native);
  int64_t dim[7];
  memcpy (dim, native.dim + 1, sizeof dim);
  return check_header (path, native.dim[0], dim, native.datatype, (double) native.vox_offset) == TP_OK
           ? understood (path, nifti_convert_n2hdr2nim (header, path)) : NULL;
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
    bytes *= (double) image->dim[i];
  if (bytes > (nifti_is_gzfile (image->iname) ? BEST_COMPRESSION : 1) * (double) length)
    return tp_fail (TP_BAD_FILE, "%s: truncated: the header promises %.0f bytes of voxels",
                    image->iname, bytes);
  return TP_OK;
}

/* What the header of PATH says, without voxels, to be freed; NULL after tp_fail. */
static nifti_image *
read_header (const char *path)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return NULL;
  fclose (file);
  nifti_set_debug_level (0); /* it would print what we report */
  any_header header;
  bool swapped;
  char *name = nifti_findhdrname (path);
  int version = name ? version_of (&header, read_start (name, &header), &swapped) : -1;
  nifti_image *image = NULL;
  if (version == 1)
    image = image_of_1 (name, header.one, swapped);
  else if (version == 2)
    image = image_of_2 (name, header.two, swapped);
  else if (version == 0)
    tp_fail (TP_UNSUPPORTED, "%s: expected a NIfTI file, got ANALYZE 7.5, which does not say"
             " left from right: convert it", path);
  else
    tp_file_mistaken (path, "a NIfTI file");
  free (name);
  if (image && (!image->iname || check_length (image) != TP_OK))
    {
      if (!image->iname)
        tp_fail (TP_BAD_FILE, "%s: the .img file beside it is missing", path);
      nifti_image_free (image);
      image = NULL;
    }
  return image;
}

static void
read_geometry (const nifti_image *image, tp_geometry *g)
{
  for (int i = 0; i < image->ndim; i++)
    g->spacing[i] = fabs (image->pixdim[image->ndim - i]);
  const nifti_dmat44 *matrix = image->sform_code > 0 ? &image->sto_xyz : &image->qto_xyz;
  memcpy (g->affine, matrix->m, sizeof g->affine);
  g->placed = (image->sform_code > 0 || image->qform_code > 0) && tp_geometry_sound (g);
}

/* --- Voxels ------------------------------------------------------------------- */

static bool
read_plain (const char *path, int64_t offset, void *data, size_t bytes)
{
  FILE *file = fopen (path, "rbe");
  bool whole = file && !fseek (file, offset, SEEK_SET) && fread (data, 1, bytes, file) == bytes;
  if (file)
    fclose (file);
  return whole;
}

/* COUNT voxels from number FIRST on, in this machine's byte order, to be freed; NULL after tp_fail. */
static void *
read_voxels (const nifti_image *image, const char *path, int64_t first, int64_t count)
{
  size_t bytes = (size_t) count * (size_t) image->nbyper;
  int64_t offset = image->iname_offset + first * image->nbyper;
  void *voxels = malloc (bytes);
  if (!voxels)
    {
      tp_fail (TP_NO_MEMORY, "%s: no memory for %zu bytes of voxels", path, bytes);
      return NULL;
    }
  bool (*read) (const char *, int64_t, void *, size_t)
    = nifti_is_gzfile (image->iname) ? tp_gzip_read : read_plain;
  if (!read (image->iname, offset, voxels, bytes))
    {
      const char *trouble = tp_gzip_trouble (image->iname);
      tp_fail (TP_BAD_FILE, "%s: %s", image->iname, trouble ? trouble : "truncated");
      free (voxels);
      return NULL;
    }
  if (image->swapsize > 1 && image->byteorder != nifti_short_order ())
    nifti_swap_Nbytes (count * (image->nbyper / image->swapsize), image->swapsize, voxels);
  return voxels;
}

/* The type of the parts of complex numbers of DATATYPE; else DATATYPE itself. */
static int
part_type (int datatype)
{
  return datatype == NIFTI_TYPE_COMPLEX64 ? NIFTI_TYPE_FLOAT32
         : datatype == NIFTI_TYPE_COMPLEX128 ? NIFTI_TYPE_FLOAT64 : datatype;
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

/* Number I, whose float was not finite, scaled in double. */
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
  float slope = scaled ? (float) image->scl_slope : 1;
  float intercept = scaled ? (float) image->scl_inter : 0;
  int type = part_type (image->datatype), parts = t->dtype == TP_C64 ? 2 : 1;
  float *out = parts == 2 ? (float *) tp_c64 (t) : tp_f32 (t);
  for (int64_t i = 0, count = tp_tensor_count (t) * parts; i < count; i++)
    {
      float added = parts == 2 && i % 2 ? 0 : intercept; /* a real number */
      out[i] = slope * voxel (voxels, type, i) + added;
      if (!isfinite (out[i]))
        {
          double wide = wide_voxel (voxels, type, i, slope, added);
          out[i] = (float) wide;
          if (isfinite (wide) && !isfinite (out[i]))
            return tp_fail (TP_BAD_VALUE, "%s: voxel %lld is %g, beyond the %g that float32 holds",
                            path, (long long) (i / parts), wide, (double) __FLT_MAX__);
        }
    }
  return TP_OK;
}

static int
get_shape (const nifti_image *image, int64_t shape[TP_MAX_RANK])
{
  for (int i = 0; i < image->ndim; i++)
    shape[i] = image->dim[image->ndim - i];
  return (int) image->ndim;
}

static tp_tensor *
load (const nifti_image *image, const char *path, int64_t volume, tp_geometry *g)
{
  int64_t shape[TP_MAX_RANK], first;
  int rank = get_shape (image, shape);
  read_geometry (image, g);
  if (tp_choose_volume (path, volume, &rank, shape, g, &first) != TP_OK)
    return NULL;
  int64_t count = 1;
  for (int i = 0; i < rank; i++)
    count *= shape[i];
  void *voxels = read_voxels (image, path, first, count);
  if (!voxels)
    return NULL;
  tp_dtype dtype = part_type (image->datatype) == image->datatype ? TP_F32 : TP_C64;
  tp_tensor *t = tp_tensor_create (dtype, rank, shape);
  if (t && scale_voxels (image, path, voxels, t) != TP_OK)
    {
      tp_tensor_free (t);
      t = NULL;
    }
  free (voxels);
  return t;
}

tp_tensor *
tp_nifti_load (const char *path, int64_t volume, tp_geometry *geometry)
{
  nifti_image *image = read_header (path);
  if (!image)
    return NULL;
  tp_tensor *t = load (image, path, volume, geometry);
  nifti_image_free (image);
  return t;
}

tp_item *
tp_nifti_items (const char *path, int *count)
{
  nifti_image *image = read_header (path);
  if (!image)
    return NULL;
  int part = part_type (image->datatype);
  tp_item item = { .size = image->nbyper };
  item.kind = part != image->datatype ? 'c'
              : part == NIFTI_TYPE_FLOAT32 || part == NIFTI_TYPE_FLOAT64 ? 'f' : 'i';
  item.rank = get_shape (image, item.shape);
  nifti_image_free (image);
  *count = 1;
  return tp_items_of_one (&item);
}

/* --- Writing ------------------------------------------------------------------ */

/* The header for T, to be freed; NULL after tp_fail. */
static nifti_image *
describe (const tp_tensor *t, const tp_geometry *g, const char *note)
{
  int64_t dims[8] = { t->rank, 1, 1, 1, 1, 1, 1, 1 };
  bool empty = false;
  for (int i = 0; i < t->rank && t->rank < 8; i++)
    {
      dims[t->rank - i] = t->shape[i];
      empty |= t->shape[i] == 0;
    }
  if (t->rank < 1 || t->rank > 7 || empty)
    {
      char text[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_SHAPE, "tensor: expected 1 to 7 axes and voxels, got shape %s",
               tp_shape_text (text, t->rank, t->shape));
      return NULL;
    }
  nifti_image *image = nifti_make_new_nim (dims, t->dtype == TP_C64 ? NIFTI_TYPE_COMPLEX64
                                                                    : NIFTI_TYPE_FLOAT32, 0);
  if (!image)
    {
      tp_fail (TP_NO_MEMORY, "no memory for a NIfTI header");
      return NULL;
    }
  double *spacing[] = { &image->dx, &image->dy, &image->dz, &image->dt, &image->du, &image->dv,
                        &image->dw };
  for (int i = 0; i < 7; i++)
    *spacing[i] = image->pixdim[i + 1] = i < t->rank ? g->spacing[t->rank - 1 - i] : 1;
  if (g->placed)
    {
      image->sform_code = NIFTI_XFORM_ALIGNED_ANAT;
      memcpy (image->sto_xyz.m, g->affine, sizeof g->affine);
    }
  image->xyz_units = NIFTI_UNITS_MM;
  image->nifti_type = NIFTI_FTYPE_NIFTI1_1;
  snprintf (image->descrip, sizeof image->descrip, "%s", note);
  return image;
}

/* The header of IMAGE and the four bytes after it that say that no extension follows; how many bytes. */
static size_t
make_header (nifti_image *image, char bytes[sizeof (nifti_2_header) + 4])
{
  bool second = false;
  for (int i = 1; i <= 7; i++)
    second |= image->dim[i] > INT16_MAX;
  size_t length = second ? sizeof (nifti_2_header) : sizeof (nifti_1_header);
  any_header header = { 0 };
  image->nifti_type = second ? NIFTI_FTYPE_NIFTI2_1 : NIFTI_FTYPE_NIFTI1_1;
  image->iname_offset = (int64_t) length + 4;
  if (second ? nifti_convert_nim2n2hdr (image, &header.two)
             : nifti_convert_nim2n1hdr (image, &header.one))
    return 0;
  if (second) /* the library leaves out what tells a file that was sent as text */
    memcpy (header.two.magic, "n+2\0\r\n\032\n", 8);
  memcpy (bytes, &header, length);
  memset (bytes + length, 0, 4);
  return length + 4;
}

tp_status
tp_nifti_save (const char *path, const tp_tensor *t, const tp_geometry *geometry, const char *note)
{
  char header[sizeof (nifti_2_header) + 4];
  nifti_image *image = describe (t, geometry, note);
  if (!image)
    return tp_last_status ();
  size_t length = make_header (image, header);
  nifti_image_free (image);
  if (!length)
    return tp_fail (TP_BAD_ARGUMENT, "tensor: libnifti refuses its header");
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return tp_last_status ();
  const void *data = t->dtype == TP_C64 ? (const void *) tp_c64 (whole) : tp_f32 (whole);
  tp_status status = tp_gzip_write (path, nifti_is_gzfile (path), header, length, data,
                                    (size_t) tp_tensor_count (t) * tp_dtype_size (t->dtype));
  tp_tensor_free (whole);
  return status;
}
