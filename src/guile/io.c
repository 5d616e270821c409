/* io.c -- file formats for Scheme. */
#include "guile/binding.h"

#include <string.h>

#include "io/file.h"
#include "io/nifti.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

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
save_npy (SCM path, SCM tensor)
{
  static const char name[] = "save-npy";
  const tp_tensor *t = tp_to_tensor (name, "tensor", tensor);
  scm_dynwind_begin (0);
  tp_require (name, tp_npy_save (path_argument (name, path), t));
  scm_dynwind_end ();
  scm_remember_upto_here_1 (tensor);
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

static SCM
read_nifti (SCM path)
{
  static const char name[] = "load-nifti";
  tp_nifti_info info;
  scm_dynwind_begin (0);
  tp_tensor *t = tp_nifti_load (path_argument (name, path), &info);
  int rank = t ? t->rank : 0;
  SCM tensor = tp_from_tensor (name, t), spacing = SCM_EOL;
  scm_dynwind_end ();
  for (int i = rank - 1; i >= 0; i--)
    spacing = scm_cons (scm_from_double (info.spacing[i]), spacing);
  return scm_list_3 (tensor, spacing, scm_from_utf8_string (info.orientation));
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

static SCM
safetensors_read (SCM path, SCM begin, SCM shape)
{
  static const char name[] = "load-safetensors";
  int64_t lengths[TP_MAX_RANK], at = tp_to_int (name, "begin", begin, 0, INT64_MAX);
  int rank = tp_to_shape (name, "shape", shape, lengths, 0);
  scm_dynwind_begin (0);
  SCM result = tp_from_tensor (name, tp_safetensors_read (path_argument (name, path), at,
                                                          rank, lengths));
  scm_dynwind_end ();
  return result;
}

static SCM
safetensors_write (SCM path, SCM header, SCM tensors)
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
  tp_require (name, tp_safetensors_write (path_argument (name, path), text, list, (int) count));
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

void
tp_init_io (void)
{
  tp_define ("load-npy", 1, 0, load_npy, "path",
             "The array in the NumPy file PATH: f32, or c64 when the file's numbers are complex.\n"
             "Integers, booleans and other floats become f32.  Big-endian, structured and damaged\n"
             "files are errors.\n"
             "Example: (tensor-shape (load-npy \"volume.npy\")) => (12 32 32)");
  tp_define ("save-npy", 2, 0, save_npy, "path tensor",
             "Write TENSOR to the NumPy file PATH, as <f4 or <c8 in C order.  PATH is replaced whole\n"
             "or left as it was.\n"
             "Example: (save-npy \"chain.npy\" (chain-mean chain))");
  tp_define ("save-text", 2, 0, save_text, "path text",
             "Write the string TEXT to the file PATH in UTF-8, whole or not at all.\n"
             "Example: (save-text \"notes.txt\" \"gamma 0.9\\n\")");
  tp_define ("load-png", 1, 0, load_png, "path",
             "The picture in the PNG file PATH as f32 (rows columns), or (rows columns 3) when it has\n"
             "colours: the file's own numbers, 0 to 255, or to 65535 when they have 16 bits.\n"
             "Example: (tensor-shape (load-png \"brain.png\")) => (256 256)");
  tp_define ("write-png", 5, 0, write_png, "path tensor low high bits",
             "Write TENSOR as a PNG; `save-png' is its convenient form.\n"
             "Example: (write-png \"picture.png\" (tensor-abs image) 0 3 8)");
  tp_define ("read-nifti", 1, 0, read_nifti, "path",
             "A list of the volume in the NIfTI file PATH, its spacing and its orientation;\n"
             "`load-nifti' is its convenient form.\n"
             "Example: (catch 'tempera-error (lambda () (read-nifti \"missing.nii\")) (const 'missing)) => missing");
  tp_define ("safetensors-header", 1, 0, safetensors_header, "path",
             "The JSON text at the head of the safetensors file PATH, paired with the number of bytes\n"
             "that follow it.\n"
             "Example: (car (safetensors-header \"priors/brain.safetensors\"))");
  tp_define ("safetensors-read", 3, 0, safetensors_read, "path begin shape",
             "The f32 tensor of SHAPE that begins BEGIN bytes after the header of PATH.\n"
             "Example: (begin\n"
             "           (save-safetensors \"t.safetensors\" `((\"t\" . ,t)))\n"
             "           (tensor->list (safetensors-read \"t.safetensors\" 0 '(2 2)))) => (1.0 2.0 3.0 4.0)");
  tp_define ("safetensors-write", 3, 0, safetensors_write, "path header tensors",
             "Write the JSON text HEADER and the bytes of the list TENSORS to PATH, whole or not at all.\n"
             "Example: (safetensors-write \"w.safetensors\" \"{}\" '())");
}
