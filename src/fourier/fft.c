/* fft.c -- FFTW behind the centred transform: one image a work item, in place
 * in aligned scratch of the thread that does it. */
#define _GNU_SOURCE
#include "fourier/fft.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autograd/operations.h"
#include "core/threads.h"
#include "fourier/plan.h"

/* Fewer pixels than this are not worth a thread. */
enum { PIXELS_PER_THREAD = 4096 };

/* --- Plans -------------------------------------------------------------- */

typedef struct plan {
  int height, width, sign;
  fftwf_plan fftw;
  struct plan *next;
} plan;

static pthread_mutex_t plan_lock = PTHREAD_MUTEX_INITIALIZER; /* also FFTW's planner */
static plan *plans;

/* The wisdom file's name into PATH, its folder made; false where there is no
 * home to keep it in. */
static bool
wisdom_path (char path[PATH_MAX])
{
  const char *cache = getenv ("XDG_CACHE_HOME"), *home = getenv ("HOME");
  char folder[PATH_MAX - 32];
  int length;
  if (cache && *cache == '/')
    length = snprintf (folder, sizeof folder, "%s", cache);
  else if (home && *home)
    length = snprintf (folder, sizeof folder, "%s/.cache", home);
  else
    return false;
  if (length >= (int) sizeof folder)
    return false;
  mkdir (folder, 0700);
  snprintf (path, PATH_MAX, "%s/tempera", folder);
  if (mkdir (path, 0700) && errno != EEXIST)
    return false;
  snprintf (path, PATH_MAX, "%s/tempera/fftw-wisdom", folder);
  return true;
}

/* Wisdom is a convenience: what cannot be read or kept is measured again. */
static void
wisdom_load (void)
{
  static bool loaded;
  char path[PATH_MAX];
  if (!loaded && wisdom_path (path))
    fftwf_import_wisdom_from_filename (path);
  loaded = true;
}

static void
wisdom_save (void)
{
  char path[PATH_MAX], *temporary;
  if (!wisdom_path (path) || asprintf (&temporary, "%s.XXXXXX", path) < 0)
    return;
  int descriptor = mkstemp (temporary);
  FILE *file = descriptor >= 0 ? fdopen (descriptor, "w") : NULL;
  if (file)
    {
      fftwf_export_wisdom_to_file (file);
      bool whole = !fflush (file) && !ferror (file) && !fsync (descriptor);
      whole = !fclose (file) && whole;
      if (!whole || rename (temporary, path))
        unlink (temporary);
    }
  else if (descriptor >= 0)
    {
      close (descriptor);
      unlink (temporary);
    }
  free (temporary);
}

fftwf_plan
tp_fft_plan (int height, int width, int sign)
{
  fftwf_plan found = NULL;
  pthread_mutex_lock (&plan_lock);
  for (plan *p = plans; p && !found; p = p->next)
    if (p->height == height && p->width == width && p->sign == sign)
      found = p->fftw;
  if (!found)
    {
      const char *setting = getenv ("TEMPERA_FFT_PLAN");
      bool measure = setting && !strcmp (setting, "measure");
      plan *p = malloc (sizeof *p);
      fftwf_complex *scratch = tp_scratch_alloc ((size_t) height * (size_t) width * sizeof *scratch);
      if (p && scratch)
        {
          if (measure)
            wisdom_load ();
          found = fftwf_plan_dft_2d (height, width, scratch, scratch, sign,
                                     measure ? FFTW_MEASURE : FFTW_ESTIMATE);
          if (found && measure)
            wisdom_save ();
        }
      tp_scratch_free (scratch);
      if (found)
        {
          *p = (plan) { height, width, sign, found, plans };
          plans = p;
        }
      else
        {
          free (p);
          tp_fail (TP_NO_MEMORY, "fft: no plan for images of %d x %d", height, width);
        }
    }
  pthread_mutex_unlock (&plan_lock);
  return found;
}

/* --- Transforms --------------------------------------------------------- */

typedef struct {
  const tp_complex *in;
  tp_complex *out;
  int64_t height, width;
  fftwf_plan there, back;  /* BACK is for tp_fourier_multiply alone */
  const float *table;
  int64_t image_stride, row_stride; /* of TABLE */
  atomic_bool failed;
} job;

/* TO <- FROM, cyclically shifted so that element BY of FROM comes first. */
static void
rotate_row (tp_complex *to, const tp_complex *from, int64_t width, int64_t by)
{
  memcpy (to, from + by, (size_t) (width - by) * sizeof *to);
  memcpy (to + width - by, from, (size_t) by * sizeof *to);
}

static void
transform_images (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t h = j->height, w = j->width, pixels = h * w;
  float scale = (float) (1.0 / sqrt ((double) pixels));
  tp_complex *scratch = tp_scratch_alloc ((size_t) pixels * sizeof *scratch);
  if (!scratch)
    {
      atomic_store (&j->failed, true);
      return;
    }
  for (int64_t i = begin; i < end; i++)
    {
      const tp_complex *in = j->in + i * pixels;
      tp_complex *out = j->out + i * pixels;
      for (int64_t r = 0; r < h; r++)
        rotate_row (scratch + r * w, in + (r + h / 2) % h * w, w, w / 2);
      fftwf_execute_dft (j->there, (fftwf_complex *) scratch, (fftwf_complex *) scratch);
      for (int64_t k = 0; k < pixels; k++)
        scratch[k] *= scale;
      for (int64_t r = 0; r < h; r++)
        rotate_row (out + (r + h / 2) % h * w, scratch + r * w, w, (w + 1) / 2);
    }
  tp_scratch_free (scratch);
}

/* Fail unless X (called NAME) is a stack of complex images. */
static tp_status
check_images (const tp_tensor *x, const char *name)
{
  char text[TP_SHAPE_TEXT];
  if (tp_check (x, name, TP_C64, -1))
    return tp_last_status ();
  if (x->rank < 2)
    return tp_fail (TP_BAD_SHAPE, "%s: expected images (... rows columns), got shape %s", name,
                    tp_shape_text (text, x->rank, x->shape));
  if (x->shape[x->rank - 2] > INT_MAX || x->shape[x->rank - 1] > INT_MAX)
    return tp_fail (TP_UNSUPPORTED, "%s: images of shape %s are too large to transform", name,
                    tp_shape_text (text, x->rank, x->shape));
  return TP_OK;
}

/* A new tensor: BODY done on every image of X, with the plan of FIRST_SIGN and,
 * where there is a TABLE, the way back. */
static tp_tensor *
map_images (void (*body) (void *, int64_t, int64_t), const tp_tensor *x, int first_sign,
            const tp_tensor *table)
{
  int64_t h = x->shape[x->rank - 2], w = x->shape[x->rank - 1], pixels = h * w;
  tp_tensor *y = tp_tensor_like (x);
  if (!y || !tp_tensor_count (x))
    return y;
  job j = { .in = tp_c64 (x), .out = tp_c64 (y), .height = h, .width = w,
            .there = tp_fft_plan ((int) h, (int) w, first_sign) };
  bool ready = j.there;
  if (table)
    {
      j.back = tp_fft_plan ((int) h, (int) w, -first_sign);
      j.table = tp_f32 (table);
      j.image_stride = table->rank > 2 ? pixels : 0;
      j.row_stride = table->rank > 1 ? w : 0;
      ready = ready && j.back;
    }
  if (ready)
    {
      tp_parallel_for (tp_tensor_count (x) / pixels, PIXELS_PER_THREAD / pixels + 1, body, &j);
      if (!j.failed)
        return y;
      tp_fail (TP_NO_MEMORY, "fft: no memory for an image of %ld x %ld", (long) h, (long) w);
    }
  tp_tensor_free (y);
  return NULL;
}

static tp_tensor *transform (tp_tensor *x, const char *name, int sign);

/* The other direction is the adjoint. */
static tp_status
transform_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], transform (r->output->grad, "gradient", -(int) r->numbers[0]));
}

static tp_tensor *
transform (tp_tensor *x, const char *name, int sign)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .numbers = { sign },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED, .twice = true };
  return check_images (x, name) ? NULL
         : tp_recorded (map_images (transform_images, x, sign, NULL), &r, transform_backward);
}

tp_tensor *
tp_fft2 (tp_tensor *x)
{
  return transform (x, "x", FFTW_FORWARD);
}

tp_tensor *
tp_ifft2 (tp_tensor *k)
{
  return transform (k, "k", FFTW_BACKWARD);
}

/* --- F^H D F ------------------------------------------------------------ */

tp_status
tp_check_table (const tp_tensor *table, const char *name, const tp_tensor *x)
{
  if (tp_check (table, name, TP_F32, -1))
    return tp_last_status ();
  bool fits = table->rank == 1 || table->rank == 2 || table->rank == x->rank;
  fits = fits && table->rank >= 1 && table->rank <= x->rank;
  for (int a = 1; fits && a <= table->rank; a++)
    fits = table->shape[table->rank - a] == x->shape[x->rank - a];
  if (fits)
    return TP_OK;
  char got[TP_SHAPE_TEXT], image[TP_SHAPE_TEXT];
  return tp_fail (TP_BAD_SHAPE,
                  "%s: expected one number for each k-space column, or point, of images %s, got shape %s",
                  name, tp_shape_text (image, x->rank, x->shape),
                  tp_shape_text (got, table->rank, table->shape));
}

static void
multiply_images (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t h = j->height, w = j->width, pixels = h * w;
  float scale = (float) (1.0 / (double) pixels);
  tp_complex *scratch = tp_scratch_alloc ((size_t) pixels * sizeof *scratch);
  if (!scratch)
    {
      atomic_store (&j->failed, true);
      return;
    }
  for (int64_t i = begin; i < end; i++)
    {
      memcpy (scratch, j->in + i * pixels, (size_t) pixels * sizeof *scratch);
      fftwf_execute_dft (j->there, (fftwf_complex *) scratch, (fftwf_complex *) scratch);
      for (int64_t r = 0; r < h; r++)
        {
          /* Row r and column c of FFTW's order are r + h/2 and c + w/2 of ours. */
          const float *table = j->table + i * j->image_stride + (r + h / 2) % h * j->row_stride;
          tp_complex *row = scratch + r * w;
          int64_t wrap = w - w / 2;
          for (int64_t c = 0; c < wrap; c++)
            row[c] *= scale * table[c + w / 2];
          for (int64_t c = wrap; c < w; c++)
            row[c] *= scale * table[c - wrap];
        }
      fftwf_execute_dft (j->back, (fftwf_complex *) scratch, (fftwf_complex *) scratch);
      memcpy (j->out + i * pixels, scratch, (size_t) pixels * sizeof *scratch);
    }
  tp_scratch_free (scratch);
}

/* X as c64, which it or its real view is. */
static tp_tensor *
as_complex (tp_tensor *x)
{
  return x->dtype == TP_C64 ? tp_tensor_ref (x) : tp_diff_view_complex (x);
}

/* Without the tape. */
static tp_tensor *
multiply (const tp_tensor *x, const tp_tensor *table)
{
  bool is_real = x->dtype == TP_F32;
  tp_tensor *z = is_real ? tp_view_complex (x) : tp_tensor_ref (x), *y = NULL;
  if (z && !check_images (z, "x") && !tp_check_table (table, "table", z))
    y = map_images (multiply_images, z, FFTW_FORWARD, table);
  tp_tensor_free (z);
  if (!y || !is_real)
    return y;
  tp_tensor *result = tp_view_real (y);
  tp_tensor_free (y);
  return result;
}

/* A real table's operator is its own adjoint.  By the table: Re conj (F x) F g. */
static tp_status
multiply_backward (const tp_record *r)
{
  tp_tensor *x = r->inputs[0], *table = r->inputs[1], *g = r->output->grad;
  tp_status status = TP_OK;
  if (tp_wants_grad (x))
    status = tp_accumulate_grad (x, tp_fourier_multiply (g, table));
  if (status != TP_OK || !tp_wants_grad (table))
    return status;
  tp_tensor *zx = as_complex (x), *zg = as_complex (g);
  tp_tensor *fx = zx ? tp_fft2 (zx) : NULL, *fg = zg ? tp_fft2 (zg) : NULL;
  tp_tensor *conjugate = fx ? tp_diff_map (TP_CONJ, fx) : NULL;
  tp_tensor *product = conjugate && fg ? tp_diff_map2 (TP_MUL, conjugate, fg) : NULL;
  tp_tensor_free (zx);
  tp_tensor_free (zg);
  tp_tensor_free (fx);
  tp_tensor_free (fg);
  tp_tensor_free (conjugate);
  return tp_accumulate_grad (table, tp_fit_gradient (product, table));
}

tp_tensor *
tp_fourier_multiply (tp_tensor *x, tp_tensor *table)
{
  tp_record r = { .inputs = { x, table }, .input_count = 2,
                  .unneeded = (tp_wants_grad (table) ? 0 : 1) | (tp_wants_grad (x) ? 0 : 2)
                              | TP_OUTPUT_UNNEEDED, .twice = true };
  return tp_recorded (multiply (x, table), &r, multiply_backward);
}
