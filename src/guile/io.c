/* io.c -- file formats, encodings of bytes and terminals for Scheme.  Long, since each format has its
 * few lines here. */
#include "guile/binding.h"

#include <glib.h>
#include <string.h>
#include <zlib.h>

#include "io/cfl.h"
#include "io/file.h"
#include "io/fits.h"
#include "io/geometry.h"
#include "io/gif.h"
#include "io/hdf5.h"
#include "io/ismrmrd.h"
#include "io/items.h"
#include "io/mat.h"
#include "io/mgh.h"
#include "io/nifti.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/terminal.h"
#include "io/tiff.h"
#include "io/webp.h"

/* PATH as C has it, freed when the current dynamic wind ends. */
static const char *
path_argument (const char *procedure, SCM path)
{
  char *text = tp_to_string (procedure, "path", path);
  scm_dynwind_free (text);
  return text;
}

static SCM
load_plain (const char *name, SCM path, tp_tensor *(*load) (const char *))
{
  scm_dynwind_begin (0);
  SCM result = tp_from_tensor (name, load (path_argument (name, path)));
  scm_dynwind_end ();
  return result;
}

static SCM
load_npy (SCM path)
{
  return load_plain ("load-npy", path, tp_npy_load);
}

static SCM
load_png (SCM path)
{
  return load_plain ("load-png", path, tp_png_load);
}

static SCM
load_cfl (SCM path)
{
  return load_plain ("load-cfl", path, tp_cfl_load);
}

static SCM
save_plain (const char *name, SCM path, SCM tensor,
            tp_status (*save) (const char *, const tp_tensor *))
{
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  scm_dynwind_begin (0);
  tp_require (name, save (path_argument (name, path), t));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

static SCM
save_npy (SCM path, SCM tensor)
{
  return save_plain ("save-npy", path, tensor, tp_npy_save);
}

static SCM
save_cfl (SCM path, SCM tensor, SCM axes, SCM note)
{
  static const char name[] = "save-cfl";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  int list[TP_MAX_RANK];
  bool given = !SCM_UNBNDP (axes) && scm_is_true (axes);
  if (given && scm_ilength (axes) != t->rank)
    tp_raise_argument (name, "axes: expected a number for each axis of the tensor");
  for (int i = 0; given && i < t->rank; i++, axes = scm_cdr (axes))
    list[i] = (int) tp_to_int (name, "axes", scm_car (axes), 0, 15);
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  char *text = tp_to_string (name, "note", SCM_UNBNDP (note) ? scm_from_utf8_string ("") : note);
  scm_dynwind_free (text);
  tp_require (name, tp_cfl_save (file, t, given ? list : NULL, text));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

/* NAME, a member of a file with several arrays, freed when the current dynamic wind ends. */
static const char *
member_argument (const char *procedure, SCM name)
{
  char *text = tp_to_string (procedure, "name", name);
  scm_dynwind_free (text);
  return text;
}

/* TEXT of a file, which is no UTF-8 where that is damaged. */
static SCM
text_of_file (const char *text)
{
  return scm_from_stringn (text, strlen (text), "UTF-8", SCM_FAILED_CONVERSION_QUESTION_MARK);
}

/* The alist ARRAYS of names and tensors as two arrays, freed when the current dynamic wind
 * ends; returns their length. */
static int
arrays_argument (const char *procedure, SCM arrays, const char ***names, const tp_tensor ***tensors)
{
  long count = scm_ilength (arrays);
  if (count < 0)
    tp_raise_argument (procedure, "arrays: expected a list of pairs of a name and a tensor");
  scm_dynwind_free (*names = scm_malloc (((size_t) count + 1) * sizeof **names));
  scm_dynwind_free (*tensors = scm_malloc (((size_t) count + 1) * sizeof **tensors));
  for (long i = 0; i < count; i++, arrays = scm_cdr (arrays))
    {
      if (!scm_is_pair (scm_car (arrays)))
        tp_raise_argument (procedure, "arrays: expected a list of pairs of a name and a tensor");
      (*names)[i] = member_argument (procedure, scm_caar (arrays));
      (*tensors)[i] = tp_to_tensor (procedure, "arrays", scm_cdar (arrays));
    }
  return (int) count;
}

static SCM
member_of (const char *name, SCM path, SCM member, tp_tensor *(*load) (const char *, const char *))
{
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  SCM result = tp_from_tensor (name, load (file, member_argument (name, member)));
  scm_dynwind_end ();
  return result;
}

static SCM
save_members (const char *name, SCM path, SCM arrays,
              tp_status (*save) (const char *, const char *const *, const tp_tensor *const *, int))
{
  const char **names;
  const tp_tensor **tensors;
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  int count = arrays_argument (name, arrays, &names, &tensors);
  tp_require (name, save (file, names, tensors, count));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (arrays);
  return SCM_UNSPECIFIED;
}

static SCM
npz_read (SCM path, SCM member)
{
  return member_of ("load-npz", path, member, tp_npz_load);
}

static SCM
save_npz (SCM path, SCM arrays)
{
  return save_members ("save-npz", path, arrays, tp_npz_save);
}

static SCM
mat_read (SCM path, SCM member)
{
  return member_of ("load-mat", path, member, tp_mat_load);
}

static SCM
save_mat (SCM path, SCM arrays)
{
  return save_members ("save-mat", path, arrays, tp_mat_save);
}

static SCM
acquisition_list (const tp_acquisition *a)
{
  const int numbers[] = { a->coils, a->samples, a->center, a->discard_pre, a->discard_post,
                          a->dimensions, a->encoding, a->step_1, a->step_2, a->average, a->slice,
                          a->contrast, a->phase, a->repetition, a->set };
  SCM list = SCM_EOL;
  for (int i = sizeof numbers / sizeof *numbers - 1; i >= 0; i--)
    list = scm_cons (scm_from_int (numbers[i]), list);
  return scm_cons (scm_from_uint64 (a->flags), list);
}

static SCM
ismrmrd_header (SCM path)
{
  static const char name[] = "load-scan";
  tp_ismrmrd scan;
  scm_dynwind_begin (0);
  tp_require (name, tp_ismrmrd_open (&scan, path_argument (name, path)));
  SCM list = SCM_EOL, xml = text_of_file (scan.xml);
  for (int i = scan.count - 1; i >= 0; i--)
    list = scm_cons (acquisition_list (scan.acquisitions + i), list);
  tp_ismrmrd_close (&scan);
  scm_dynwind_end ();
  return scm_cons (xml, list);
}

static SCM
ismrmrd_read (SCM path, SCM indices)
{
  static const char name[] = "load-scan";
  long count = scm_ilength (indices);
  if (count < 0)
    tp_raise_argument (name, "indices: expected a list of integers");
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  int *list = scm_malloc (((size_t) count + 1) * sizeof *list);
  scm_dynwind_free (list);
  for (long i = 0; i < count; i++, indices = scm_cdr (indices))
    list[i] = (int) tp_to_int (name, "indices", scm_car (indices), 0, INT32_MAX);
  tp_tensor **data = scm_calloc (((size_t) count + 1) * sizeof *data);
  scm_dynwind_free (data);
  tp_tensor **trajectories = scm_calloc (((size_t) count + 1) * sizeof *trajectories);
  scm_dynwind_free (trajectories);
  tp_status status = tp_ismrmrd_read (file, list, (int) count, data, trajectories);
  SCM result = SCM_EOL;
  for (long i = count - 1; i >= 0; i--)
    if (status == TP_OK)
      result = scm_cons (scm_cons (tp_from_tensor (name, data[i]),
                                   trajectories[i] ? tp_from_tensor (name, trajectories[i])
                                                   : SCM_BOOL_F), result);
    else
      {
        tp_tensor_free (data[i]);
        tp_tensor_free (trajectories[i]);
      }
  tp_require (name, status);
  scm_dynwind_end ();
  return result;
}

static SCM
hdf5_read (SCM path, SCM member, SCM first, SCM count)
{
  static const char name[] = "load-hdf5";
  int64_t from = tp_to_int (name, "first", first, 0, INT64_MAX / 16);
  int64_t number = tp_to_int (name, "count", count, -1, INT64_MAX / 16);
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  SCM result = tp_from_tensor (name, tp_hdf5_load (file, member_argument (name, member), from,
                                                   number));
  scm_dynwind_end ();
  return result;
}

static SCM
hdf5_text (SCM path, SCM member)
{
  static const char name[] = "load-hdf5";
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  char *text = tp_hdf5_text (file, member_argument (name, member));
  if (!text)
    tp_raise (name);
  scm_dynwind_free (text);
  SCM result = text_of_file (text);
  scm_dynwind_end ();
  return result;
}

static SCM
hdf5_number (SCM path, SCM member)
{
  static const char name[] = "load-hdf5";
  double number;
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  tp_require (name, tp_hdf5_number (file, member_argument (name, member), &number));
  scm_dynwind_end ();
  return scm_from_double (number);
}

static SCM
hdf5_write (SCM path, SCM arrays, SCM texts)
{
  static const char name[] = "save-hdf5";
  const char **names;
  const tp_tensor **tensors;
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  int count = arrays_argument (name, arrays, &names, &tensors);
  long text_count = scm_ilength (texts);
  if (text_count < 0)
    tp_raise_argument (name, "texts: expected a list of pairs of two strings");
  const char **text_names = scm_malloc (((size_t) text_count + 1) * sizeof *text_names);
  scm_dynwind_free (text_names);
  const char **strings = scm_malloc (((size_t) text_count + 1) * sizeof *strings);
  scm_dynwind_free (strings);
  for (long i = 0; i < text_count; i++, texts = scm_cdr (texts))
    {
      text_names[i] = member_argument (name, scm_caar (texts));
      strings[i] = member_argument (name, scm_cdar (texts));
    }
  tp_require (name, tp_hdf5_save (file, names, tensors, count, text_names, strings,
                                  (int) text_count));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (arrays);
  return SCM_UNSPECIFIED;
}

static SCM
write_png (SCM path, SCM tensor, SCM low, SCM high, SCM bits)
{
  static const char name[] = "save-png";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  double l = tp_to_double (name, "low", low), h = tp_to_double (name, "high", high);
  int b = (int) tp_to_int (name, "bits", bits, 1, 16);
  scm_dynwind_begin (0);
  tp_require (name, tp_png_save (path_argument (name, path), t, l, h, b));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

/* --- Volumes ---------------------------------------------------------------------- */

static SCM
matrix_list (const double matrix[3][4])
{
  SCM rows = SCM_EOL;
  for (int i = 2; i >= 0; i--)
    {
      SCM row = SCM_EOL;
      for (int j = 3; j >= 0; j--)
        row = scm_cons (scm_from_double (matrix[i][j]), row);
      rows = scm_cons (row, rows);
    }
  return rows;
}

/* A list of the volume or volumes in PATH, their spacing, letters of orientation and affine. */
static SCM
read_volume (const char *name, SCM path, SCM volume,
             tp_tensor *(*load) (const char *, int64_t, tp_geometry *))
{
  int64_t which = scm_is_false (volume) ? -1 : tp_to_int (name, "volume", volume, 0, INT64_MAX / 16);
  tp_geometry geometry;
  char letters[4] = "???";
  scm_dynwind_begin (0);
  tp_tensor *t = load (path_argument (name, path), which, &geometry);
  int rank = t ? t->rank : 0;
  SCM tensor = tp_from_tensor (name, t), spacing = SCM_EOL;
  scm_dynwind_end ();
  for (int i = rank - 1; i >= 0; i--)
    spacing = scm_cons (scm_from_double (geometry.spacing[i]), spacing);
  tp_geometry_letters (&geometry, letters);
  return scm_list_4 (tensor, spacing, scm_from_utf8_string (letters),
                     geometry.placed ? matrix_list (geometry.affine) : SCM_BOOL_F);
}

static SCM
read_nifti (SCM path, SCM volume)
{
  return read_volume ("load-nifti", path, volume, tp_nifti_load);
}

static SCM
read_mgh (SCM path, SCM volume)
{
  return read_volume ("load-mgh", path, volume, tp_mgh_load);
}

/* SPACING, a list of RANK numbers, and AFFINE, three rows of four or #f. */
static tp_geometry
geometry_argument (const char *name, int rank, SCM spacing, SCM affine)
{
  tp_geometry g = { .placed = scm_is_true (affine) };
  if (scm_ilength (spacing) != rank)
    tp_raise_argument (name, "spacing: expected a number for each axis");
  for (int i = 0; i < rank; i++, spacing = scm_cdr (spacing))
    g.spacing[i] = tp_to_double (name, "spacing", scm_car (spacing));
  for (int i = 0; i < 3 && g.placed; i++, affine = scm_cdr (affine))
    {
      SCM row = scm_is_pair (affine) ? scm_car (affine) : SCM_EOL;
      if (scm_ilength (row) != 4)
        tp_raise_argument (name, "affine: expected three rows of four numbers");
      for (int j = 0; j < 4; j++, row = scm_cdr (row))
        g.affine[i][j] = tp_to_double (name, "affine", scm_car (row));
    }
  if (g.placed && !tp_geometry_sound (&g))
    tp_raise_argument (name, "affine: expected finite numbers, and no axis without direction");
  return g;
}

static SCM
write_nifti (SCM path, SCM tensor, SCM spacing, SCM affine, SCM note)
{
  static const char name[] = "save-nifti";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  tp_geometry g = geometry_argument (name, t->rank, spacing, affine);
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  char *text = tp_to_string (name, "note", note);
  scm_dynwind_free (text);
  tp_require (name, tp_nifti_save (file, t, &g, text));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

static SCM
write_mgh (SCM path, SCM tensor, SCM spacing, SCM affine)
{
  static const char name[] = "save-mgh";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  tp_geometry g = geometry_argument (name, t->rank, spacing, affine);
  scm_dynwind_begin (0);
  tp_require (name, tp_mgh_save (path_argument (name, path), t, &g));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

static SCM
load_tiff (SCM path)
{
  return load_plain ("load-tiff", path, tp_tiff_load);
}

static SCM
write_tiff (SCM path, SCM tensor, SCM note)
{
  static const char name[] = "save-tiff";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  char *text = tp_to_string (name, "note", note);
  scm_dynwind_free (text);
  tp_require (name, tp_tiff_save (file, t, text));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

/* The image in header-data unit HDU of PATH, or the first when that is #f, paired with the cards of its header. */
static SCM
read_fits (SCM path, SCM hdu)
{
  static const char name[] = "load-fits";
  int which = scm_is_false (hdu) ? -1 : (int) tp_to_int (name, "hdu", hdu, 0, 1 << 20);
  char *cards;
  scm_dynwind_begin (0);
  tp_tensor *t = tp_fits_load (path_argument (name, path), which, &cards);
  scm_dynwind_free (cards);
  SCM tensor = tp_from_tensor (name, t), text = text_of_file (cards);
  scm_dynwind_end ();
  return scm_cons (tensor, text);
}

static SCM
write_fits (SCM path, SCM tensor, SCM cards, SCM note)
{
  static const char name[] = "save-fits";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  char *lines = tp_to_string (name, "cards", cards);
  scm_dynwind_free (lines);
  char *text = tp_to_string (name, "note", note);
  scm_dynwind_free (text);
  tp_require (name, tp_fits_save (file, t, lines, text));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
  return SCM_UNSPECIFIED;
}

/* --- What a file holds ---------------------------------------------------------- */

static const struct {
  const char *format, *procedure;
  tp_item *(*items) (const char *path, int *count);
} listers[] = {
  { "npy", "load-npy", tp_npy_items },       { "npz", "load-npz", tp_npz_items },
  { "png", "load-png", tp_png_items },       { "tiff", "load-tiff", tp_tiff_items },
  { "nifti", "load-nifti", tp_nifti_items }, { "mgh", "load-mgh", tp_mgh_items },
  { "bart", "load-cfl", tp_cfl_items },      { "matlab", "load-mat", tp_mat_items },
  { "hdf5", "load-hdf5", tp_hdf5_items },   { "fits", "load-fits", tp_fits_items },
};

static SCM
item_list (const tp_item *item)
{
  SCM shape = SCM_EOL;
  for (int axis = item->rank - 1; axis >= 0; axis--)
    shape = scm_cons (scm_from_int64 (item->shape[axis]), shape);
  const char *kind = item->kind == 'f' ? "real" : item->kind == 'i' ? "integer"
                     : item->kind == 'c' ? "complex" : item->kind == 's' ? "text" : "other";
  return scm_list_4 (text_of_file (item->name), scm_from_utf8_symbol (kind), scm_from_int (item->size),
                     shape);
}

static SCM
file_items (SCM format, SCM path)
{
  size_t k = 0, known = sizeof listers / sizeof *listers;
  while (k < known && !scm_is_eq (format, scm_from_utf8_symbol (listers[k].format)))
    k++;
  if (k == known)
    tp_raise_argument ("file-items", "format: expected npy, npz, png, tiff, nifti, mgh, bart, matlab, hdf5"
                       " or fits");
  const char *name = listers[k].procedure;
  int count;
  scm_dynwind_begin (0);
  tp_item *items = listers[k].items (path_argument (name, path), &count);
  if (!items)
    tp_raise (name);
  SCM list = SCM_EOL;
  for (int i = count - 1; i >= 0; i--)
    list = scm_cons (item_list (items + i), list);
  tp_items_free (items, count);
  scm_dynwind_end ();
  return list;
}

static SCM
safetensors_header (SCM path)
{
  static const char name[] = "load-safetensors";
  int64_t bytes;
  scm_dynwind_begin (0);
  char *header = tp_safetensors_header (path_argument (name, path), &bytes);
  if (!header)
    tp_raise (name);
  scm_dynwind_free (header);
  SCM text = scm_from_utf8_string (header);
  scm_dynwind_end ();
  return scm_cons (text, scm_from_int64 (bytes));
}

/* The numbers that the text TYPE names in a file's header, or NULL. */
static const tp_number_type *
safetensors_type (SCM type)
{
  static const struct { const char *name; char kind; int size; } types[]
    = { { "F32", 'f', 4 }, { "F16", 'f', 2 }, { "BF16", 'b', 2 }, { "F64", 'f', 8 } };
  char *text = tp_to_string ("load-safetensors", "type", type);
  const tp_number_type *found = NULL;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp (text, types[i].name))
      found = tp_number_type_of (types[i].kind, types[i].size);
  free (text);
  return found;
}

static SCM
round_to_half (SCM tensor)
{
  static const char name[] = "round-to-half";
  SCM result = tp_from_tensor (name, tp_round_to_half (tp_to_tensor (name, "tensor", tensor)));
  scm_remember_upto_here_1 (tensor);
  return result;
}

static SCM
safetensors_read (SCM path, SCM begin, SCM type, SCM shape)
{
  static const char name[] = "load-safetensors";
  const tp_number_type *numbers = safetensors_type (type);
  if (!numbers)
    tp_raise_argument (name, "type: expected F32, F16, BF16 or F64");
  int64_t lengths[TP_MAX_RANK], at = tp_to_int (name, "begin", begin, 0, INT64_MAX);
  int rank = tp_to_shape (name, "shape", shape, lengths, 0);
  scm_dynwind_begin (0);
  SCM result = tp_from_tensor (name, tp_safetensors_read (path_argument (name, path), at, numbers,
                                                          rank, lengths));
  scm_dynwind_end ();
  return result;
}

static SCM
safetensors_write (SCM path, SCM header, SCM tensors, SCM half)
{
  static const char name[] = "save-safetensors";
  long count = scm_ilength (tensors);
  if (count < 0)
    tp_raise_argument (name, "tensors: expected a list of tensors");
  scm_dynwind_begin (0);
  const tp_tensor **list = scm_malloc (((size_t) count + 1) * sizeof *list);
  scm_dynwind_free (list);
  SCM rest = tensors;
  for (long i = 0; i < count; i++, rest = scm_cdr (rest))
    list[i] = tp_to_tensor (name, "tensor", scm_car (rest));
  char *text = tp_to_string (name, "header", header);
  scm_dynwind_free (text);
  tp_require (name, tp_safetensors_write (path_argument (name, path), text, list, (int) count,
                                         !SCM_UNBNDP (half) && scm_is_true (half)));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensors);
  return SCM_UNSPECIFIED;
}

static SCM
save_text (SCM path, SCM text)
{
  static const char name[] = "save-text";
  scm_dynwind_begin (0);
  char *content = tp_to_string (name, "text", text);
  scm_dynwind_free (content);
  tp_writer writer;
  tp_require (name, tp_writer_open (&writer, path_argument (name, path)));
  tp_status status = tp_writer_write (&writer, content, strlen (content));
  tp_require (name, tp_writer_close (&writer, status));
  scm_dynwind_end ();
  return SCM_UNSPECIFIED;
}

static SCM
temporary_open (SCM path)
{
  static const char name[] = "temporary-open";
  scm_dynwind_begin (0);
  char *made;
  const char *target = path_argument (name, path);
  int descriptor = tp_temporary_open (target, &made);
  if (descriptor < 0)
    tp_require (name, tp_fail (TP_IO, "%s: %s", target, strerror (errno)));
  scm_dynwind_end ();
  SCM pair = scm_cons (scm_from_utf8_string (made), scm_from_int (descriptor));
  free (made);
  return pair;
}

static SCM
temporaries_sweep (SCM folder)
{
  scm_dynwind_begin (0);
  tp_temporaries_sweep (path_argument ("temporaries-sweep!", folder));
  scm_dynwind_end ();
  return SCM_UNSPECIFIED;
}

/* --- Terminals ------------------------------------------------------------ */

static const char *const kind_names[] = { "kitty", "iterm", "sixel", "symbols", "ascii" };

static SCM
terminal_detect (SCM environment)
{
  static const char name[] = "terminal-detect";
  long count = scm_ilength (environment);
  if (count < 0)
    tp_raise_argument (name, "environment: expected a list of strings NAME=value");
  scm_dynwind_begin (0);
  char **variables = scm_malloc (((size_t) count + 1) * sizeof *variables);
  scm_dynwind_free (variables);
  for (long i = 0; i < count; i++, environment = scm_cdr (environment))
    scm_dynwind_free (variables[i] = tp_to_string (name, "environment", scm_car (environment)));
  variables[count] = NULL;
  tp_terminal t = tp_terminal_detect (variables);
  scm_dynwind_end ();
  return scm_cons (scm_from_utf8_symbol (kind_names[t.kind]), scm_from_int (t.colours));
}

static SCM
terminal_measure (SCM descriptor)
{
  static const char name[] = "terminal-measure";
  tp_terminal_size s;
  tp_require (name, tp_terminal_measure ((int) tp_to_int (name, "descriptor", descriptor, 0,
                                                          INT32_MAX), &s));
  return scm_list_4 (scm_from_int (s.rows), scm_from_int (s.columns), scm_from_int (s.height),
                     scm_from_int (s.width));
}

static SCM
terminal_ask (SCM question, SCM last, SCM milliseconds)
{
  static const char name[] = "terminal-ask";
  char answer[256];
  if (!SCM_CHARP (last) || SCM_CHAR (last) > 127)
    tp_raise_argument (name, "last: expected an ASCII character");
  int wait = (int) tp_to_int (name, "milliseconds", milliseconds, 0, 10000);
  scm_dynwind_begin (0);
  char *text = tp_to_string (name, "question", question);
  scm_dynwind_free (text);
  tp_require (name, tp_terminal_ask (text, (char) SCM_CHAR (last), wait, answer, sizeof answer));
  scm_dynwind_end ();
  return scm_from_latin1_string (answer);
}

/* The HEIGHT x WIDTH words of the bytevector PIXELS. */
static const uint32_t *
words_argument (const char *procedure, SCM pixels, int height, int width)
{
  if (!scm_is_bytevector (pixels)
      || SCM_BYTEVECTOR_LENGTH (pixels) != 4 * (size_t) height * (size_t) width)
    tp_raise_argument (procedure, "pixels: expected a bytevector of 4 x %d x %d bytes", height,
                       width);
  return (const uint32_t *) SCM_BYTEVECTOR_CONTENTS (pixels);
}

/* What GLib's ENCODE makes of the bytevector BYTES, as a string. */
static SCM
encoded (const char *procedure, SCM bytes, gchar *(*encode) (const guchar *, gsize))
{
  if (!scm_is_bytevector (bytes))
    tp_raise_argument (procedure, "bytes: expected a bytevector");
  gchar *text = encode ((const guchar *) SCM_BYTEVECTOR_CONTENTS (bytes),
                        SCM_BYTEVECTOR_LENGTH (bytes));
  SCM string = scm_from_latin1_string (text);
  g_free (text);
  scm_remember_upto_here_1 (bytes);
  return string;
}

static SCM
base64 (SCM bytes)
{
  return encoded ("base64", bytes, g_base64_encode);
}

static gchar *
checksum (const guchar *data, gsize length)
{
  return g_compute_checksum_for_data (G_CHECKSUM_SHA256, data, length);
}

static SCM
sha256 (SCM bytes)
{
  return encoded ("sha256", bytes, checksum);
}

static SCM
crc (SCM object, SCM before)
{
  static const char name[] = "crc32";
  uLong sum = SCM_UNBNDP (before) ? crc32 (0, NULL, 0)
                                  : (uLong) tp_to_int (name, "before", before, 0, UINT32_MAX);
  scm_dynwind_begin (0);
  if (tp_is_tensor (object))
    {
      const tp_tensor *t = tp_to_tensor (name, "object", object);
      tp_tensor *whole = tp_contiguous (t);
      if (!whole)
        tp_raise (name);
      const void *bytes = t->dtype == TP_C64 ? (const void *) tp_c64 (whole) : tp_f32 (whole);
      sum = crc32_z (sum, bytes, (size_t) tp_tensor_count (whole) * tp_dtype_size (t->dtype));
      tp_tensor_free (whole);
    }
  else
    {
      char *text = tp_to_string (name, "object", object);
      scm_dynwind_free (text);
      sum = crc32_z (sum, (const Bytef *) text, strlen (text));
    }
  scm_dynwind_end ();
  scm_remember_upto_here_1 (object);
  return scm_from_uint32 ((uint32_t) sum);
}

static tp_picture_kind
kind_argument (const char *procedure, SCM kind)
{
  for (int i = 0; i < 5; i++)
    if (scm_is_eq (kind, scm_from_utf8_symbol (kind_names[i])))
      return (tp_picture_kind) i;
  tp_raise_argument (procedure, "kind: expected kitty, iterm, sixel, symbols or ascii");
}

static SCM
terminal_text (SCM pixels, SCM height, SCM width, SCM kind, SCM colours, SCM rows, SCM columns,
               SCM cell_height, SCM cell_width, SCM labels)
{
  static const char name[] = "terminal-text";
  int h = (int) tp_to_int (name, "height", height, 1, 65535);
  int w = (int) tp_to_int (name, "width", width, 1, 65535);
  const uint32_t *words = words_argument (name, pixels, h, w);
  tp_terminal terminal = { kind_argument (name, kind),
                           (int) tp_to_int (name, "colours", colours, 2, 1 << 24) };
  int r = (int) tp_to_int (name, "rows", rows, 1, 65535);
  int c = (int) tp_to_int (name, "columns", columns, 1, 65535);
  int ch = (int) tp_to_int (name, "cell-height", cell_height, 1, 65535);
  int cw = (int) tp_to_int (name, "cell-width", cell_width, 1, 65535);
  long count = scm_ilength (labels);
  if (count < 0)
    tp_raise_argument (name, "labels: expected a list of (row column text)");
  scm_dynwind_begin (0);
  tp_label *list = scm_malloc (((size_t) count + 1) * sizeof *list);
  scm_dynwind_free (list);
  for (long i = 0; i < count; i++, labels = scm_cdr (labels))
    {
      SCM label = scm_car (labels);
      if (scm_ilength (label) != 3)
        tp_raise_argument (name, "labels: expected lists (row column text)");
      char *text = tp_to_string (name, "text", scm_caddr (label));
      scm_dynwind_free (text);
      list[i] = (tp_label) { (int) tp_to_int (name, "row", scm_car (label), 0, 65535),
                             (int) tp_to_int (name, "column", scm_cadr (label), 0, 65535), text };
    }
  char *text = tp_terminal_picture (words, w, h, terminal, r, c, ch, cw, list, (int) count);
  if (!text)
    tp_raise (name);
  scm_dynwind_free (text);
  SCM result = scm_from_utf8_string (text);
  scm_dynwind_end ();
  scm_remember_upto_here_1 (pixels);
  return result;
}

/* --- Animations ----------------------------------------------------------- */

/* One of the two is there. */
typedef struct {
  tp_webp *webp;
  tp_gif *gif;
} animation;

static tp_status
animation_close (animation *a, tp_status status)
{
  animation open = *a;
  *a = (animation) { 0 };
  return open.webp ? tp_webp_close (open.webp, status)
         : open.gif ? tp_gif_close (open.gif, status) : status;
}

/* NEXT has raised an error: no file. */
static void
animation_abandon (void *a)
{
  animation_close (a, TP_IO);
}

static SCM
write_animation (SCM path, SCM format, SCM next, SCM height, SCM width, SCM milliseconds, SCM loops,
                 SCM quality)
{
  static const char name[] = "save-animation";
  bool webp = scm_is_eq (format, scm_from_utf8_symbol ("webp"));
  if (!webp && !scm_is_eq (format, scm_from_utf8_symbol ("gif")))
    tp_raise_argument (name, "format: expected webp or gif");
  if (!scm_is_true (scm_procedure_p (next)))
    tp_raise_argument (name, "next: expected a procedure");
  int h = (int) tp_to_int (name, "height", height, 1, 65535);
  int w = (int) tp_to_int (name, "width", width, 1, 65535);
  int ms = (int) tp_to_int (name, "milliseconds", milliseconds, 1, 600000);
  int times = (int) tp_to_int (name, "loops", loops, 0, 65535);
  double q = scm_is_false (quality) ? -1 : tp_to_double (name, "quality", quality);
  animation a = { 0 };
  scm_dynwind_begin (0);
  const char *file = path_argument (name, path);
  if (webp)
    a.webp = tp_webp_open (file, h, w, times, q);
  else
    a.gif = tp_gif_open (file, h, w, times);
  if (!a.webp && !a.gif)
    tp_raise (name);
  scm_dynwind_unwind_handler (animation_abandon, &a, 0);
  tp_status status = TP_OK;
  for (SCM pixels; status == TP_OK && scm_is_true (pixels = scm_call_0 (next)); )
    {
      const uint32_t *words = words_argument (name, pixels, h, w);
      status = a.webp ? tp_webp_add (a.webp, words, ms) : tp_gif_add (a.gif, words, ms);
      scm_remember_upto_here_1 (pixels);
    }
  tp_require (name, animation_close (&a, status));
  scm_dynwind_end ();
  return SCM_UNSPECIFIED;
}

void
tp_init_io (void)
{
  tp_define ("load-npy", 1, 0, load_npy, "path",
             "The array in the NumPy file PATH: f32, or c64 when the file's numbers are complex.\n"
             "Integers, booleans and other floats, of either byte order, become the nearest f32; a\n"
             "finite number beyond f32 is an error that names it, and so are structured, cut and damaged\n"
             "files and those with more than one array.\n"
             "Example: (tensor-shape (load-npy \"volume.npy\")) => (12 32 32)");
  tp_define ("save-npy", 2, 0, save_npy, "path tensor",
             "Write TENSOR to the NumPy file PATH, as <f4 or <c8 in C order.  PATH is replaced whole\n"
             "or left as it was.\n"
             "Example: (save-npy \"chain.npy\" (chain-mean chain))");
  tp_define ("load-cfl", 1, 0, load_cfl, "path",
             "The array of BART's files PATH, NAME.cfl or NAME.hdr, c64: element i, j, ... is the one that\n"
             "BART has there, and axes of length 1 after the last longer one are left out.\n"
             "Example: (begin (save-cfl \"y.cfl\" y) (tensor-shape (load-cfl \"y.cfl\"))) => (16 16)");
  tp_define ("save-cfl", 2, 2, save_cfl, "path tensor axes note",
             "Write TENSOR as BART's array: PATH, NAME.cfl or NAME.hdr, names both files.  Element i, j, ...\n"
             "is BART's at the same indices, or those of its AXES, numbers that grow, such as (0 1 3 13);\n"
             "real numbers become complex.  NOTE, a string, stands in the header as the command that made it.\n"
             "Example: (save-cfl \"y.cfl\" y)");
  tp_define ("npz-read", 2, 0, npz_read, "path name",
             "The array NAME of NumPy's archive PATH; `load-npz' is its convenient form.\n"
             "Example: (begin (save-npz \"a.npz\" `((\"y\" . ,y))) (tensor-shape (npz-read \"a.npz\" \"y\"))) => (16 16)");
  tp_define ("save-npz", 2, 0, save_npz, "path arrays",
             "Write ARRAYS, a list of pairs of a name and a tensor, to NumPy's archive PATH, without\n"
             "compression, whole or not at all.\n"
             "Example: (save-npz \"scan.npz\" `((\"kspace\" . ,y)))");
  tp_define ("mat-read", 2, 0, mat_read, "path name",
             "The array NAME of MATLAB's file PATH; `load-mat' is its convenient form.\n"
             "Example: (begin (save-mat \"a.mat\" `((\"y\" . ,y))) (tensor-shape (mat-read \"a.mat\" \"y\"))) => (16 16)");
  tp_define ("save-mat", 2, 0, save_mat, "path arrays",
             "Write ARRAYS, a list of pairs of a name and a tensor, to MATLAB's file PATH, of version 5, whole\n"
             "or not at all: element i, j, ... is MATLAB's i + 1, j + 1, ...\n"
             "Example: (save-mat \"scan.mat\" `((\"kspace\" . ,y)))");
  tp_define ("ismrmrd-header", 1, 0, ismrmrd_header, "path",
             "The header, XML, of the ISMRMRD file PATH, and after it each acquisition: a list of flags, coils,\n"
             "samples, center, discard-pre, discard-post, dimensions of the trajectory, encoding space,\n"
             "encoding steps 1 and 2, average, slice, contrast, phase, repetition and set.");
  tp_define ("ismrmrd-read", 2, 0, ismrmrd_read, "path indices",
             "Of the acquisitions INDICES of the ISMRMRD file PATH a list of pairs: samples, c64 (coils samples),\n"
             "and trajectory, f32 (samples dimensions), or #f.");
  tp_define ("file-items", 2, 0, file_items, "format path",
             "All arrays of the file PATH of a FORMAT (npy, npz, png, tiff, nifti, mgh, bart, matlab, hdf5 or fits),\n"
             "and the attributes of an HDF5 file as @NAME: lists of name, kind (real, integer, complex, text,\n"
             "other), bytes a number and shape.  Names are empty in formats of one array.\n"
             "Example: (begin (save-hdf5 \"a.h5\" `((\"y\" . ,y))) (file-items 'hdf5 \"a.h5\")) => ((\"y\" complex 8 (16 16)))");
  tp_define ("hdf5-read", 4, 0, hdf5_read, "path name first count",
             "The array NAME of the HDF5 file PATH; `load-hdf5' is its convenient form.\n"
             "Example: (begin (save-hdf5 \"a.h5\" `((\"y\" . ,y))) (tensor-shape (hdf5-read \"a.h5\" \"y\" 0 -1))) => (16 16)");
  tp_define ("hdf5-text", 2, 0, hdf5_text, "path name",
             "The string in the array NAME, or the attribute @NAME, of the HDF5 file PATH.\n"
             "Example: (begin (save-hdf5 \"a.h5\" '((\"note\" . \"one\"))) (hdf5-text \"a.h5\" \"note\")) => \"one\"");
  tp_define ("hdf5-number", 2, 0, hdf5_number, "path name",
             "The number in the attribute @NAME of the HDF5 file PATH.");
  tp_define ("hdf5-write", 3, 0, hdf5_write, "path arrays texts",
             "Write ARRAYS and TEXTS, lists of pairs of a name and a tensor or a string, to the HDF5 file\n"
             "PATH; `save-hdf5' is its convenient form.");
  tp_define ("save-text", 2, 0, save_text, "path text",
             "Write the string TEXT to the file PATH in UTF-8, whole or not at all.\n"
             "Example: (save-text \"notes.txt\" \"gamma 0.9\\n\")");
  tp_define ("temporary-open", 1, 0, temporary_open, "path",
             "A pair of the name of a new file beside PATH and its descriptor, while which is open the file\n"
             "is not swept.  Use call-with-new-file.");
  tp_define ("temporaries-sweep!", 1, 0, temporaries_sweep, "folder",
             "Remove from FOLDER what processes that died in the middle of writing files have left there.\n"
             "Example: (temporaries-sweep! \".\")");
  tp_define ("load-png", 1, 0, load_png, "path",
             "The picture in the PNG file PATH as f32 (rows columns), or (rows columns 3) when it has\n"
             "colours: the file's own numbers, 0 to 255, or to 65535 when they have 16 bits.\n"
             "Example: (tensor-shape (load-png \"brain.png\")) => (256 256)");
  tp_define ("write-png", 5, 0, write_png, "path tensor low high bits",
             "Write TENSOR as a PNG; `save-png' is its convenient form.\n"
             "Example: (write-png \"picture.png\" (tensor-abs image) 0 3 8)");
  tp_define ("read-nifti", 2, 0, read_nifti, "path volume",
             "A list of the volumes in the NIfTI file PATH, or of one VOLUME of them, their spacing, orientation\n"
             "and affine; `load-nifti' is its convenient form.\n"
             "Example: (catch 'tempera-error (lambda () (read-nifti \"missing.nii\" #f)) (const 'missing)) => missing");
  tp_define ("read-mgh", 2, 0, read_mgh, "path volume",
             "The same of FreeSurfer's file PATH, .mgh or .mgz; `load-mgh' is its convenient form.\n"
             "Example: (catch 'tempera-error (lambda () (read-mgh \"missing.mgz\" #f)) (const 'missing)) => missing");
  tp_define ("write-nifti", 5, 0, write_nifti, "path tensor spacing affine note",
             "Write TENSOR to the NIfTI file PATH; `save-nifti' is its convenient form.\n"
             "Example: (write-nifti \"mean.nii.gz\" scan '(1 1) #f \"\")");
  tp_define ("write-mgh", 4, 0, write_mgh, "path tensor spacing affine",
             "Write TENSOR to the MGH file PATH; `save-mgh' is its convenient form.\n"
             "Example: (write-mgh \"mean.mgz\" (tensor-abs scan) '(1 1) #f)");
  tp_define ("read-fits", 2, 0, read_fits, "path hdu",
             "The image in header-data unit HDU of the FITS file PATH, or the first when HDU is #f, paired with the\n"
             "cards of its header, lines; `load-fits' is its convenient form.\n"
             "Example: (begin (save-fits \"a.fits\" (tensor-abs scan)) (tensor-shape (car (read-fits \"a.fits\" #f)))) => (16 16)");
  tp_define ("write-fits", 4, 0, write_fits, "path tensor cards note",
             "Write TENSOR to the FITS file PATH with CARDS, lines; `save-fits' is its convenient form.\n"
             "Example: (write-fits \"mean.fits\" (tensor-abs scan) \"\" \"\")");
  tp_define ("load-tiff", 1, 0, load_tiff, "path",
             "The pictures in the TIFF file PATH: f32 (rows columns), (pages rows columns) when there are\n"
             "several, with a last axis of 3 when they have colours; c64 when the numbers are complex.  They are\n"
             "the file's own.\n"
             "Example: (begin (save-tiff \"a.tif\" (tensor-abs scan)) (tensor-shape (load-tiff \"a.tif\"))) => (16 16)");
  tp_define ("write-tiff", 3, 0, write_tiff, "path tensor note",
             "Write TENSOR to the TIFF file PATH; `save-tiff' is its convenient form.\n"
             "Example: (write-tiff \"mean.tif\" (tensor-abs scan) \"\")");
  tp_define ("crc32", 1, 1, crc, "object before",
             "zlib's checksum of OBJECT, a string in UTF-8 or the numbers of a tensor as they are in memory,\n"
             "going on from that of what came BEFORE.\nExample: (crc32 \"b\" (crc32 \"a\")) => 2659403885");
  tp_define ("safetensors-header", 1, 0, safetensors_header, "path",
             "The JSON text at the head of the safetensors file PATH, paired with the number of bytes\n"
             "that follow it.\n"
             "Example: (car (safetensors-header \"priors/brain.safetensors\"))");
  tp_define ("safetensors-read", 4, 0, safetensors_read, "path begin type shape",
             "The f32 tensor of SHAPE of the numbers of TYPE, F32, F16, BF16 or F64, that begin BEGIN bytes after\n"
             "the header of PATH.\n"
             "Example: (begin\n"
             "           (save-safetensors \"t.safetensors\" `((\"t\" . ,t)))\n"
             "           (tensor->list (safetensors-read \"t.safetensors\" 0 \"F32\" '(2 2)))) => (1.0 2.0 3.0 4.0)");
  tp_define ("safetensors-write", 3, 1, safetensors_write, "path header tensors half",
             "Write the JSON text HEADER and the bytes of the list TENSORS, in HALF precision if true, to PATH, whole\n"
             "or not at all.\n"
             "Example: (safetensors-write \"w.safetensors\" \"{}\" '())");
  tp_define ("round-to-half", 1, 0, round_to_half, "tensor",
             "TENSOR, f32, with the nearest number of half precision (11 bits, IEEE 754's binary16) for each; one\n"
             "beyond 65504 is an error.\n"
             "Example: (tensor->list (round-to-half (list->tensor '(1 1.0004)))) => (1.0 1.0)");
  tp_define ("base64", 1, 0, base64, "bytes",
             "The bytevector BYTES in base64 (RFC 4648), a string.\n"
             "Example: (base64 #vu8(1 2 3 4)) => \"AQIDBA==\"");
  tp_define ("sha256", 1, 0, sha256, "bytes",
             "The SHA-256 checksum of the bytevector BYTES in 64 hexadecimal digits, a string.\n"
             "Example: (sha256 #vu8()) => \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"");
  tp_define ("terminal-detect", 1, 0, terminal_detect, "environment",
             "How pictures go to a terminal by the variables of ENVIRONMENT, strings NAME=value: kitty,\n"
             "iterm, sixel or symbols, paired with its number of colours.\n"
             "Example: (terminal-detect '(\"TERM=xterm-256color\"))");
  tp_define ("terminal-measure", 1, 0, terminal_measure, "descriptor",
             "Rows, columns, and height and width in pixels, or 0, of the terminal open as DESCRIPTOR.");
  tp_define ("terminal-ask", 3, 0, terminal_ask, "question last milliseconds",
             "The terminal's answer to the string QUESTION up to the character LAST, waited for at most\n"
             "MILLISECONDS; empty where none came, or keys wait to be read.");
  tp_define ("terminal-text", 10, 0, terminal_text,
             "pixels height width kind colours rows columns cell-height cell-width labels",
             "The bytevector PIXELS, words #xAArrggbb (HEIGHT WIDTH), as text for a terminal of a KIND\n"
             "with COLOURS, ROWS x COLUMNS cells large; `show' is its convenient form.");
  tp_define ("write-animation", 8, 0, write_animation,
             "path format next height width milliseconds loops quality",
             "Write the frames that NEXT gives, bytevectors of words #xFFrrggbb and #f after the last, to\n"
             "PATH; `save-animation' is its convenient form.");
  tp_define_reading ("crc32 save-npy save-cfl save-npz save-mat hdf5-write save-hdf5 write-png save-png "
                     "write-nifti save-nifti write-mgh save-mgh write-fits save-fits write-tiff save-tiff "
                     "safetensors-write save-safetensors");
}
