/* hdf5.c -- libhdf5 behind checks.  Complex numbers are compounds of two floats, as h5py, ISMRMRD
 * and MATLAB write them.  Long, since listing, reading and writing share how types are told. */
#include "io/hdf5.h"

#include <hdf5.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/trial.h"

#define MOST_ITEMS 10000
#define LONGEST_TEXT (1 << 24)
/* Deflate makes at most 1032 bytes of one. */
#define BEST_COMPRESSION 1032.0

/* --- Opening --------------------------------------------------------------- */

static void
silence (void)
{
  H5Eset_auto2 (H5E_DEFAULT, NULL, NULL);
}

static herr_t
refuse_file (const char *parent_file, const char *parent_group, const char *file,
             const char *object, unsigned *flags, hid_t access, void *data)
{
  (void) parent_file, (void) parent_group, (void) file, (void) object;
  (void) flags, (void) access, (void) data;
  return -1;
}

/* The file PATH, to be closed by H5Fclose, and its LENGTH; negative after tp_fail. */
static hid_t
open_file (const char *path, int64_t *length)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  FILE *file = tp_file_open (path, length);
  if (!file)
    return -1;
  fclose (file);
  pthread_once (&once, silence);
  hid_t id = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0)
    {
      static const unsigned char signature[8] = "\x89HDF\r\n\x1a\n";
      unsigned char start[8] = { 0 };
      FILE *again = tp_file_open (path, length);
      size_t there = again ? fread (start, 1, sizeof start, again) : 0;
      if (again)
        fclose (again);
      if (there == sizeof start && !memcmp (start, signature, sizeof start))
        tp_fail (TP_BAD_FILE, "%s: truncated or damaged: its HDF5 structure is not understood", path);
      else
        tp_file_mistaken (path, "an HDF5 file");
    }
  return id;
}

static hid_t
open_dataset (hid_t file, const char *path, const char *name)
{
  hid_t access = H5Pcreate (H5P_DATASET_ACCESS);
  H5Pset_elink_cb (access, refuse_file, NULL);
  H5Pset_nlinks (access, 16);
  hid_t dataset = H5Dopen2 (file, name, access);
  H5Pclose (access);
  if (dataset < 0)
    tp_fail (TP_BAD_FILE, "%s: it holds no readable array %s", path, name);
  return dataset;
}

/* --- Types ------------------------------------------------------------------ */

/* Whether TYPE is an IEEE float or a two's complement integer of the usual sizes: the library
 * believes what a damaged file says of other layouts, and reads beyond its buffers. */
static bool
is_plain (hid_t type)
{
  size_t size = H5Tget_size (type);
  if (size > 8 || H5Tget_precision (type) != 8 * size || H5Tget_offset (type) != 0)
    return false;
  if (H5Tget_class (type) == H5T_INTEGER)
    return size == 1 || size == 2 || size == 4 || size == 8;
  static const struct { size_t size, sign, exponent, exponent_size, bias; } floats[]
    = { { 2, 15, 10, 5, 15 }, { 4, 31, 23, 8, 127 }, { 8, 63, 52, 11, 1023 } };
  size_t sign, exponent, exponent_size, mantissa, mantissa_size;
  if (H5Tget_fields (type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) < 0)
    return false;
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
    if (floats[i].size == size)
      return sign == floats[i].sign && exponent == floats[i].exponent
             && exponent_size == floats[i].exponent_size && mantissa == 0
             && mantissa_size == floats[i].exponent && H5Tget_ebias (type) == floats[i].bias
             && H5Tget_norm (type) == H5T_NORM_IMPLIED;
  return false;
}

/* Whether TYPE is two plain floats of one size, one behind the other, called r... and i... */
static bool
is_pair (hid_t type)
{
  if (H5Tget_nmembers (type) != 2)
    return false;
  bool pair = true;
  for (unsigned i = 0; i < 2; i++)
    {
      hid_t member = H5Tget_member_type (type, i);
      size_t size = H5Tget_size (type) / 2;
      pair = pair && H5Tget_class (member) == H5T_FLOAT && is_plain (member)
             && H5Tget_size (member) == size && H5Tget_member_offset (type, i) == i * size;
      H5Tclose (member);
      char *name = H5Tget_member_name (type, i);
      pair = pair && name && *name == "ri"[i];
      H5free_memory (name);
    }
  return pair;
}

static char
kind_of (hid_t type)
{
  switch (H5Tget_class (type))
    {
    case H5T_FLOAT: return is_plain (type) ? 'f' : '?';
    case H5T_INTEGER: return is_plain (type) ? 'i' : '?';
    case H5T_ENUM:
      {
        hid_t base = H5Tget_super (type);
        bool plain = base >= 0 && is_plain (base) && H5Tget_size (base) == H5Tget_size (type);
        H5Tclose (base);
        return plain ? 'i' : '?';
      }
    case H5T_COMPOUND: return is_pair (type) ? 'c' : '?';
    case H5T_STRING: return 's';
    default: return '?';
    }
}

/* The type in memory of numbers of KIND; of TYPE, complex. */
static hid_t
memory_type (char kind, hid_t type)
{
  if (kind != 'c')
    return H5Tcopy (H5T_NATIVE_FLOAT);
  hid_t pair = H5Tcreate (H5T_COMPOUND, sizeof (tp_complex));
  for (unsigned i = 0; i < 2; i++)
    {
      char *name = H5Tget_member_name (type, i);
      H5Tinsert (pair, name, i * sizeof (float), H5T_NATIVE_FLOAT);
      H5free_memory (name);
    }
  return pair;
}

static bool
get_shape (hid_t space, int *rank, int64_t shape[TP_MAX_RANK])
{
  hsize_t lengths[H5S_MAX_RANK];
  *rank = H5Sget_simple_extent_type (space) == H5S_NULL ? -1
                                                         : H5Sget_simple_extent_ndims (space);
  if (*rank < 0 || *rank > TP_MAX_RANK
      || H5Sget_simple_extent_dims (space, lengths, NULL) < 0)
    return false;
  for (int i = 0; i < *rank; i++)
    shape[i] = lengths[i] < INT64_MAX / 16 ? (int64_t) lengths[i] : INT64_MAX / 16;
  return true;
}

/* --- What there is ------------------------------------------------------------ */

typedef struct {
  tp_item *items;
  int count;
  bool full;
} listing;

static void
add_item (listing *l, const char *prefix, const char *name, hid_t type, hid_t space)
{
  if (l->count == MOST_ITEMS)
    {
      l->full = true;
      return;
    }
  if (l->count % 64 == 0)
    {
      tp_item *more = realloc (l->items, (size_t) (l->count + 64) * sizeof *more);
      if (!more)
        return;
      l->items = more;
    }
  tp_item *item = l->items + l->count;
  *item = (tp_item) { .kind = kind_of (type), .size = (int) H5Tget_size (type) };
  if (!get_shape (space, &item->rank, item->shape))
    {
      item->kind = '?';
      item->rank = 0;
    }
  size_t room = strlen (prefix) + strlen (name) + 1;
  if ((item->name = malloc (room)))
    {
      snprintf (item->name, room, "%s%s", prefix, name);
      l->count++;
    }
}

static herr_t
visit (hid_t root, const char *name, const H5O_info_t *info, void *data)
{
  listing *l = data;
  if (l->full)
    return 1;
  if (info->type != H5O_TYPE_DATASET)
    return 0;
  hid_t dataset = H5Dopen2 (root, name, H5P_DEFAULT);
  if (dataset < 0)
    return 0;
  hid_t type = H5Dget_type (dataset), space = H5Dget_space (dataset);
  if (type >= 0 && space >= 0)
    add_item (l, "", name, type, space);
  H5Sclose (space);
  H5Tclose (type);
  H5Dclose (dataset);
  return 0;
}

static herr_t
visit_attribute (hid_t root, const char *name, const H5A_info_t *info, void *data)
{
  (void) info;
  listing *l = data;
  hid_t attribute = H5Aopen (root, name, H5P_DEFAULT);
  if (attribute < 0)
    return 0;
  hid_t type = H5Aget_type (attribute), space = H5Aget_space (attribute);
  if (type >= 0 && space >= 0)
    add_item (l, "@", name, type, space);
  H5Sclose (space);
  H5Tclose (type);
  H5Aclose (attribute);
  return l->full;
}

static tp_item *
read_items (const char *path, int *count)
{
  int64_t length;
  hid_t file = open_file (path, &length);
  if (file < 0)
    return NULL;
  listing l = { .items = calloc (1, sizeof *l.items) };
  bool whole = H5Ovisit2 (file, H5_INDEX_NAME, H5_ITER_INC, visit, &l, H5O_INFO_BASIC) >= 0
               && H5Aiterate2 (file, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_attribute, &l) >= 0;
  H5Fclose (file);
  *count = l.count;
  if (whole && !l.full && l.items)
    return l.items;
  if (l.full)
    tp_fail (TP_UNSUPPORTED, "%s: expected at most %d arrays", path, MOST_ITEMS);
  else
    tp_fail (TP_BAD_FILE, "%s: truncated or damaged: its HDF5 structure is not understood", path);
  tp_items_free (l.items, l.count);
  return NULL;
}

/* --- Reading ------------------------------------------------------------------ */

/* Fail unless the file, of LENGTH, can hold what DATASET, of BYTES, claims. */
static tp_status
check_storage (hid_t dataset, const char *path, const char *name, double bytes, int64_t length)
{
  hid_t creation = H5Dget_create_plist (dataset);
  H5D_layout_t layout = H5Pget_layout (creation);
  bool outside = layout == H5D_VIRTUAL || H5Pget_external_count (creation) > 0;
  bool packed = H5Pget_nfilters (creation) > 0;
  double chunk = 0;
  if (layout == H5D_CHUNKED)
    {
      hsize_t lengths[H5S_MAX_RANK];
      int rank = H5Pget_chunk (creation, H5S_MAX_RANK, lengths);
      hid_t type = H5Dget_type (dataset);
      chunk = (double) H5Tget_size (type);
      H5Tclose (type);
      for (int i = 0; i < rank; i++)
        chunk *= (double) lengths[i];
    }
  H5Pclose (creation);
  double stored = (double) H5Dget_storage_size (dataset), ratio = packed ? BEST_COMPRESSION : 1;
  if (outside)
    return tp_fail (TP_UNSUPPORTED, "%s: %s: its numbers are kept in other files", path, name);
  if (stored > (double) length || bytes > ratio * stored || chunk > ratio * (double) length + 65536)
    return tp_fail (TP_BAD_FILE, "%s: %s: truncated: it claims %.0f bytes, where %.0f are stored",
                    path, name, bytes, stored < (double) length ? stored : (double) length);
  return TP_OK;
}

/* Asked by the library where a double does not fit a float: infinite ones do. */
static H5T_conv_ret_t
refuse_overflow (H5T_conv_except_t what, hid_t from, hid_t to, void *in, void *out, void *data)
{
  (void) to;
  if (what != H5T_CONV_EXCEPT_RANGE_HI && what != H5T_CONV_EXCEPT_RANGE_LOW)
    return H5T_CONV_UNHANDLED;
  uint64_t bits;
  double value;
  memcpy (&bits, in, sizeof bits);
  if (H5Tget_order (from) == H5T_ORDER_BE)
    bits = __builtin_bswap64 (bits);
  memcpy (&value, &bits, sizeof value);
  float narrow = (float) value;
  memcpy (out, &narrow, sizeof narrow);
  *(bool *) data |= isfinite (value);
  return isfinite (value) ? H5T_CONV_ABORT : H5T_CONV_HANDLED;
}

static tp_status
read_into (void *out, const char *path, const char *name, hid_t dataset, hid_t type,
           hid_t memory, hid_t chosen, char kind)
{
  bool overflow = false;
  hid_t transfer = H5Pcreate (H5P_DATASET_XFER);
  H5Pset_type_conv_cb (transfer, refuse_overflow, &overflow);
  hid_t numbers = memory_type (kind, type);
  herr_t result = H5Dread (dataset, numbers, memory, chosen, transfer, out);
  H5Tclose (numbers);
  H5Pclose (transfer);
  if (overflow)
    return tp_fail (TP_BAD_VALUE, "%s: %s has a number beyond the %g that float32 holds: scale the"
                    " array before it is saved", path, name, (double) __FLT_MAX__);
  return result < 0 ? tp_fail (TP_BAD_FILE, "%s: %s: truncated or damaged", path, name) : TP_OK;
}

/* In a TRIAL nothing is returned, and no memory of tensors used, on which another thread of the parent
 * may have had a lock. */
static tp_tensor *
load (hid_t dataset, hid_t type, hid_t space, const char *path, const char *name, int64_t length,
      int64_t first, int64_t count, bool trial)
{
  char kind = kind_of (type);
  int rank;
  int64_t shape[TP_MAX_RANK];
  if (!strchr ("fic", kind) || !get_shape (space, &rank, shape))
    {
      tp_fail (TP_UNSUPPORTED, "%s: %s: expected an array of at most %d axes of integers, or real or"
               " complex floats of at most 64 bits", path, name, TP_MAX_RANK);
      return NULL;
    }
  if (count >= 0 && (rank == 0 || first < 0 || first > shape[0] || count > shape[0] - first))
    {
      char text[TP_SHAPE_TEXT];
      tp_fail (TP_BAD_ARGUMENT, "%s: %s of shape %s has no part from %lld to %lld", path, name,
               tp_shape_text (text, rank, shape), (long long) first, (long long) (first + count));
      return NULL;
    }
  double bytes = (double) H5Tget_size (type);
  for (int i = 0; i < rank; i++)
    bytes *= (double) shape[i];
  if (check_storage (dataset, path, name, bytes, length) != TP_OK)
    return NULL;
  if (count >= 0)
    shape[0] = count;
  int64_t numbers = kind == 'c' ? 2 : 1;
  for (int i = 0; i < rank; i++)
    numbers *= shape[i];
  tp_tensor *t = trial ? NULL : tp_tensor_create (kind == 'c' ? TP_C64 : TP_F32, rank, shape);
  if (numbers == 0 || (!t && !trial))
    return t;
  void *out = trial ? malloc ((size_t) numbers * sizeof (float))
                    : kind == 'c' ? (void *) tp_c64 (t) : tp_f32 (t);
  if (!out)
    return NULL;
  hsize_t starts[TP_MAX_RANK] = { 0 }, counts[TP_MAX_RANK];
  for (int i = 0; i < rank; i++)
    counts[i] = (hsize_t) shape[i];
  starts[0] = count >= 0 ? (hsize_t) first : 0;
  hid_t memory = rank ? H5Screate_simple (rank, counts, NULL) : H5Screate (H5S_SCALAR);
  if (rank)
    H5Sselect_hyperslab (space, H5S_SELECT_SET, starts, NULL, counts, NULL);
  if (read_into (out, path, name, dataset, type, memory, space, kind) != TP_OK)
    {
      tp_tensor_free (t);
      t = NULL;
    }
  H5Sclose (memory);
  if (trial)
    free (out);
  return t;
}

static tp_tensor *
read_tensor (const char *path, const char *name, int64_t first, int64_t count, bool trial)
{
  int64_t length;
  hid_t file = open_file (path, &length);
  if (file < 0)
    return NULL;
  tp_tensor *t = NULL;
  hid_t dataset = open_dataset (file, path, name);
  if (dataset >= 0)
    {
      hid_t type = H5Dget_type (dataset), space = H5Dget_space (dataset);
      if (type >= 0 && space >= 0)
        t = load (dataset, type, space, path, name, length, first, count, trial);
      else
        tp_fail (TP_BAD_FILE, "%s: %s: truncated or damaged", path, name);
      H5Sclose (space);
      H5Tclose (type);
      H5Dclose (dataset);
    }
  H5Fclose (file);
  return t;
}

/* --- Texts and numbers ----------------------------------------------------------- */

/* Where a value is: an array or an attribute. */
typedef struct {
  hid_t id, type, space;
  bool attribute;
} place;

static bool
open_place (hid_t file, const char *path, const char *name, place *p)
{
  p->attribute = *name == '@';
  p->id = p->attribute ? H5Aopen (file, name + 1, H5P_DEFAULT) : open_dataset (file, path, name);
  if (p->id < 0)
    {
      tp_fail (TP_BAD_FILE, "%s: it holds no readable %s", path, name);
      return false;
    }
  p->type = p->attribute ? H5Aget_type (p->id) : H5Dget_type (p->id);
  p->space = p->attribute ? H5Aget_space (p->id) : H5Dget_space (p->id);
  return true;
}

static void
close_place (place *p)
{
  H5Sclose (p->space);
  H5Tclose (p->type);
  if (p->attribute)
    H5Aclose (p->id);
  else
    H5Dclose (p->id);
}

static herr_t
read_place (const place *p, hid_t memory, void *out)
{
  return p->attribute ? H5Aread (p->id, memory, out)
                      : H5Dread (p->id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

static char *
read_text (const place *p)
{
  if (H5Tget_class (p->type) != H5T_STRING || H5Sget_simple_extent_npoints (p->space) != 1)
    return NULL;
  char *text = NULL;
  size_t size = H5Tget_size (p->type);
  if (H5Tis_variable_str (p->type) > 0)
    {
      char *found = NULL;
      hid_t memory = H5Tcopy (H5T_C_S1);
      H5Tset_size (memory, H5T_VARIABLE);
      H5Tset_cset (memory, H5Tget_cset (p->type));
      if (read_place (p, memory, &found) >= 0 && found)
        text = strdup (found);
      H5free_memory (found);
      H5Tclose (memory);
    }
  else if (size <= LONGEST_TEXT && (text = calloc (size + 1, 1))
           && read_place (p, p->type, text) < 0)
    {
      free (text);
      text = NULL;
    }
  return text;
}

static char *
read_string (const char *path, const char *name)
{
  int64_t length;
  hid_t file = open_file (path, &length);
  if (file < 0)
    return NULL;
  place p;
  char *text = NULL;
  if (open_place (file, path, name, &p))
    {
      if (!(text = read_text (&p)))
        tp_fail (TP_BAD_FILE, "%s: %s: expected one text", path, name);
      close_place (&p);
    }
  H5Fclose (file);
  return text;
}

static tp_status
read_number (const char *path, const char *name, double *number)
{
  int64_t length;
  hid_t file = open_file (path, &length);
  if (file < 0)
    return tp_last_status ();
  place p;
  tp_status status = TP_BAD_FILE;
  if (open_place (file, path, name, &p))
    {
      char kind = kind_of (p.type);
      bool good = (kind == 'f' || kind == 'i') && H5Sget_simple_extent_npoints (p.space) == 1
                  && read_place (&p, H5T_NATIVE_DOUBLE, number) >= 0;
      status = good ? TP_OK : tp_fail (TP_BAD_FILE, "%s: %s: expected one number", path, name);
      close_place (&p);
    }
  H5Fclose (file);
  return status;
}

/* --- First in a child process ---------------------------------------------------- */

typedef struct {
  const char *path, *name;
  int64_t first, count;
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
  read_tensor (r->path, r->name, r->first, r->count, true);
}

static void
try_text (void *data)
{
  const request *r = data;
  read_string (r->path, r->name);
}

static void
try_number (void *data)
{
  const request *r = data;
  double number;
  read_number (r->path, r->name, &number);
}

tp_item *
tp_hdf5_items (const char *path, int *count)
{
  return tp_trial (path, try_items, &(request) { .path = path }) == TP_OK
           ? read_items (path, count) : NULL;
}

tp_tensor *
tp_hdf5_load (const char *path, const char *name, int64_t first, int64_t count)
{
  request r = { path, name, first, count };
  return tp_trial (path, try_tensor, &r) == TP_OK ? read_tensor (path, name, first, count, false)
           : NULL;
}

char *
tp_hdf5_text (const char *path, const char *name)
{
  request r = { .path = path, .name = name };
  return tp_trial (path, try_text, &r) == TP_OK ? read_string (path, name) : NULL;
}

tp_status
tp_hdf5_number (const char *path, const char *name, double *number)
{
  request r = { .path = path, .name = name };
  tp_status status = tp_trial (path, try_number, &r);
  return status == TP_OK ? read_number (path, name, number) : status;
}

/* --- Writing --------------------------------------------------------------------- */

/* The array DATA, of TYPE and SHAPE, as NAME in FILE; groups on the way are made. */
static bool
write_array (hid_t file, const char *name, hid_t type, int rank, const int64_t *shape,
             const void *data)
{
  hsize_t lengths[TP_MAX_RANK];
  bool empty = false;
  for (int i = 0; i < rank; i++)
    empty |= !(lengths[i] = (hsize_t) shape[i]);
  hid_t space = rank ? H5Screate_simple (rank, lengths, NULL) : H5Screate (H5S_SCALAR);
  hid_t links = H5Pcreate (H5P_LINK_CREATE);
  H5Pset_create_intermediate_group (links, 1);
  /* Without the time, or the same arrays would be other bytes. */
  hid_t creation = H5Pcreate (H5P_DATASET_CREATE);
  H5Pset_obj_track_times (creation, 0);
  hid_t dataset = H5Dcreate2 (file, name, type, space, links, creation, H5P_DEFAULT);
  bool good = dataset >= 0
              && (empty || H5Dwrite (dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  if (dataset >= 0)
    good = H5Dclose (dataset) >= 0 && good;
  H5Pclose (creation);
  H5Pclose (links);
  H5Sclose (space);
  return good;
}

static bool
write_tensor (hid_t file, const char *name, const tp_tensor *t)
{
  tp_tensor *whole = tp_contiguous (t);
  if (!whole)
    return false;
  hid_t type;
  if (t->dtype == TP_C64)
    {
      type = H5Tcreate (H5T_COMPOUND, sizeof (tp_complex));
      H5Tinsert (type, "r", 0, H5T_NATIVE_FLOAT);
      H5Tinsert (type, "i", sizeof (float), H5T_NATIVE_FLOAT);
    }
  else
    type = H5Tcopy (H5T_NATIVE_FLOAT);
  bool good = write_array (file, name, type, t->rank, t->shape,
                           t->dtype == TP_C64 ? (void *) tp_c64 (whole) : tp_f32 (whole));
  H5Tclose (type);
  tp_tensor_free (whole);
  return good;
}

static bool
write_text (hid_t file, const char *name, const char *text)
{
  hid_t type = H5Tcopy (H5T_C_S1);
  H5Tset_size (type, H5T_VARIABLE);
  H5Tset_cset (type, H5T_CSET_UTF8);
  bool good = write_array (file, name, type, 0, NULL, &text);
  H5Tclose (type);
  return good;
}

tp_status
tp_hdf5_save (const char *path, const char *const *names, const tp_tensor *const *tensors, int count,
              const char *const *text_names, const char *const *texts, int text_count)
{
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  if (status != TP_OK)
    return status;
  silence ();
  /* The library writes the temporary file itself, which is the writer's to sync and rename. */
  hid_t access = H5Pcreate (H5P_FILE_ACCESS);
  H5Pset_file_locking (access, false, true); /* the writer has it locked */
  hid_t file = writer.temporary
                 ? H5Fcreate (writer.temporary, H5F_ACC_TRUNC, H5P_DEFAULT, access) : -1;
  H5Pclose (access);
  bool good = file >= 0;
  for (int i = 0; good && i < count; i++)
    good = write_tensor (file, names[i], tensors[i]);
  for (int i = 0; good && i < text_count; i++)
    good = write_text (file, text_names[i], texts[i]);
  if (file >= 0)
    good = H5Fclose (file) >= 0 && good;
  if (!good)
    status = tp_fail (TP_IO, "%s: not written: no space, or two arrays of one name", path);
  return tp_writer_close (&writer, status);
}
