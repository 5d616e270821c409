/* core.c -- the profile, the machine's peak, the libraries and the process in Scheme. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cblas.h>
#include <fftw3.h>
#include <gsl/gsl_version.h>
#include <png.h>
#include <zlib.h>

#include "core/profile.h"
#include "guile/binding.h"
#include "nn/kernels/peak_kernel.h"

static SCM
profile_start (void)
{
  tp_profile_start ();
  return SCM_UNSPECIFIED;
}

static SCM
profile_stop (void)
{
  tp_profile_stop ();
  return SCM_UNSPECIFIED;
}

static SCM
profile_layer (SCM name)
{
  char *text = tp_to_string ("profile-layer!", "name", name);
  const char *before = tp_layer_enter (text);
  free (text);
  return scm_from_utf8_string (before);
}

static SCM
pair (const char *name, SCM value)
{
  return scm_cons (scm_from_utf8_symbol (name), value);
}

static SCM
profile_table (void)
{
  SCM table = SCM_EOL;
  tp_profile_row row;
  for (int64_t i = 0; tp_profile_row_get (i, &row); i++)
    {
      SCM fields[] = { pair ("layer", scm_from_utf8_string (row.layer)),
                       pair ("operation", scm_from_utf8_string (row.operation)),
                       pair ("detail", scm_from_utf8_string (row.detail)),
                       pair ("part", *row.part ? scm_from_utf8_string (row.part) : SCM_BOOL_F),
                       pair ("calls", scm_from_int64 (row.calls)),
                       pair ("seconds", scm_from_double (row.seconds)),
                       pair ("flops", scm_from_double (row.work.flops)),
                       pair ("bytes", scm_from_double (row.work.bytes)),
                       pair ("precision",
                             scm_from_utf8_symbol (row.work.bf16 ? "bf16" : "float32")) };
      SCM list = SCM_EOL;
      for (size_t k = sizeof fields / sizeof *fields; k > 0; k--)
        list = scm_cons (fields[k - 1], list);
      table = scm_cons (list, table);
    }
  return scm_reverse_x (table, SCM_EOL);
}

static SCM
peak_flops (SCM precision)
{
  const char *me = "peak-flops";
  bool bf16 = scm_is_eq (precision, scm_from_utf8_symbol ("bf16"));
  if (!bf16 && !scm_is_eq (precision, scm_from_utf8_symbol ("float32")))
    tp_raise_argument (me, "precision: expected float32 or bf16");
  return scm_from_double (tp_peak_flops (bf16) / 1e9);
}

static SCM
end_with_parent (SCM parent)
{
  pid_t expected = (pid_t) tp_to_int ("end-with-parent!", "parent", parent, 1, INT32_MAX);
#ifdef __linux__
  prctl (PR_SET_PDEATHSIG, SIGTERM);
#endif
  if (getppid () != expected) /* it ended before */
    raise (SIGTERM);
  return SCM_UNSPECIFIED;
}

static SCM
library (const char *name, const char *version)
{
  return scm_cons (scm_from_utf8_string (name), scm_from_utf8_string (version));
}

static SCM
library_versions (void)
{
  return scm_list_5 (library ("openblas", openblas_get_config ()),
                     library ("fftw", fftwf_version), library ("gsl", gsl_version),
                     library ("png", png_get_libpng_ver (NULL)),
                     library ("zlib", zlibVersion ()));
}

void
tp_init_core (void)
{
  tp_define ("library-versions", 0, 0, library_versions, "",
             "The libraries that Tempera runs with and their versions, a list of pairs of text.\n"
             "Example: (assoc-ref (library-versions) \"fftw\")");
  tp_define ("end-with-parent!", 1, 0, end_with_parent, "parent",
             "Have this process end as by SIGTERM when PARENT does, the number of the process that started\n"
             "it, however that ends.");
  tp_define ("profile-start!", 0, 0, profile_start, "",
             "Measure operations from now on, into an empty table.  Use profile.\n"
             "Example: (profile-start!)");
  tp_define ("profile-stop!", 0, 0, profile_stop, "",
             "Measure no more; the table stays.  Use profile.\nExample: (profile-stop!)");
  tp_define ("profile-table", 0, 0, profile_table, "",
             "The rows measured since profile-start!, each an association list of layer,\n"
             "operation, detail, part (a string, or #f for the operation itself), calls, seconds\n"
             "(of a part: of all threads together), flops, bytes and precision (of the products:\n"
             "float32 or bf16).  Use profile.\nExample: (profile-table)");
  tp_define ("profile-layer!", 1, 0, profile_layer, "name",
             "Count the operations of this thread from now on to the layer NAME, a string, empty\n"
             "for none; returns the name before.  Use profile.\nExample: (profile-layer! \"head\")");
  tp_define ("peak-flops", 1, 0, peak_flops, "precision",
             "The most multiply-adds that this machine does on the threads in use, in GFLOP/s (a\n"
             "multiplication and an addition being two), measured for about 0.1 s: sums in\n"
             "registers alone.  PRECISION: float32 or bf16; where the processor has no products\n"
             "of bf16, they are those of float32.\nExample: (peak-flops 'float32)");
}
