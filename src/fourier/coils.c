/* coils.c -- products with sensitivities, and SENSE's normal operator one coil after the other. */
#include "fourier/coils.h"

#include <limits.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/threads.h"
#include "fourier/fft.h"
#include "fourier/plans.h"

/* Fewer pixels than this are not worth a thread. */
enum { PIXELS_PER_THREAD = 4096 };

typedef struct {
  const tp_complex *in, *s;
  tp_complex *out;
  int64_t coils, height, width;
  fftwf_plan there, back; /* these and TABLE are for tp_sense_normal alone */
  const float *table;
  int64_t row_stride; /* of TABLE */
  atomic_bool failed;
} job;

/* --- Pixel by pixel ------------------------------------------------------- */

/* By parts, which the compiler vectorises, as it does not the product of complex numbers. */

/* TO <- S X */
static void
multiply (float *restrict to, const float *restrict s, const float *restrict x, int64_t pixels)
{
  for (int64_t i = 0; i < 2 * pixels; i += 2)
    {
      float re = s[i] * x[i] - s[i + 1] * x[i + 1];
      to[i + 1] = s[i] * x[i + 1] + s[i + 1] * x[i];
      to[i] = re;
    }
}

/* TO += conj (S) Y */
static void
add_conjugate (float *restrict to, const float *restrict s, const float *restrict y, int64_t pixels)
{
  for (int64_t i = 0; i < 2 * pixels; i += 2)
    {
      to[i] += s[i] * y[i] + s[i + 1] * y[i + 1];
      to[i + 1] += s[i] * y[i + 1] - s[i + 1] * y[i];
    }
}

/* Items are images of coils. */
static void
see_images (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t pixels = j->height * j->width;
  for (int64_t i = begin; i < end; i++)
    multiply ((float *) (j->out + i * pixels), (const float *) (j->s + i % j->coils * pixels),
              (const float *) (j->in + i / j->coils * pixels), pixels);
}

/* Items are images. */
static void
combine_images (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  int64_t pixels = j->height * j->width;
  for (int64_t i = begin; i < end; i++)
    {
      float *out = (float *) (j->out + i * pixels);
      memset (out, 0, (size_t) pixels * sizeof (tp_complex));
      for (int64_t c = 0; c < j->coils; c++)
        add_conjugate (out, (const float *) (j->s + c * pixels),
                       (const float *) (j->in + (i * j->coils + c) * pixels), pixels);
    }
}

/* --- SENSE ------------------------------------------------------------------ */

/* X, in FFTW's order of frequencies, times SCALE and the table. */
static void
weigh (const job *j, tp_complex *x, float scale)
{
  int64_t h = j->height, w = j->width, wrap = w - w / 2;
  for (int64_t r = 0; r < h; r++)
    {
      /* Row r and column c are r + h/2 and c + w/2 of the table. */
      const float *table = j->table + (r + h / 2) % h * j->row_stride;
      tp_complex *row = x + r * w;
      for (int64_t c = 0; c < wrap; c++)
        row[c] *= scale * table[c + w / 2];
      for (int64_t c = wrap; c < w; c++)
        row[c] *= scale * table[c - wrap];
    }
}

/* Items are images.  F^H D F is a circular convolution, so the shifts to the centre and back cancel. */
static void
normal_images (void *context, int64_t begin, int64_t end)
{
  job *j = context;
  int64_t pixels = j->height * j->width;
  tp_complex *scratch = tp_scratch_alloc ((size_t) pixels * sizeof *scratch);
  if (!scratch)
    {
      atomic_store (&j->failed, true);
      return;
    }
  for (int64_t i = begin; i < end; i++)
    {
      const float *in = (const float *) (j->in + i * pixels);
      float *out = (float *) (j->out + i * pixels);
      memset (out, 0, (size_t) pixels * sizeof *scratch);
      for (int64_t c = 0; c < j->coils; c++)
        {
          const float *s = (const float *) (j->s + c * pixels);
          multiply ((float *) scratch, s, in, pixels);
          fftwf_execute_dft (j->there, (fftwf_complex *) scratch, (fftwf_complex *) scratch);
          weigh (j, scratch, (float) (1.0 / (double) pixels));
          fftwf_execute_dft (j->back, (fftwf_complex *) scratch, (fftwf_complex *) scratch);
          add_conjugate (out, s, (const float *) scratch, pixels);
        }
    }
  tp_scratch_free (scratch);
}

/* --- Checked ------------------------------------------------------------------ */

/* Fail unless IMAGES (called NAME) are c64 (... H W), or (... K H W) if COILS, as S (K H W) has it. */
static tp_status
check (const tp_tensor *images, const char *name, const tp_tensor *s, bool coils)
{
  char got[TP_SHAPE_TEXT], maps[TP_SHAPE_TEXT];
  if (tp_check (images, name, TP_C64, -1) || tp_check (s, "s", TP_C64, 3) || tp_tape_constant (s, "s"))
    return tp_last_status ();
  int axes = coils ? 3 : 2;
  bool fits = images->rank >= axes && s->shape[0] > 0;
  for (int a = 1; fits && a <= axes; a++)
    fits = images->shape[images->rank - a] == s->shape[3 - a];
  if (!fits || images->rank + 1 > TP_MAX_RANK)
    return tp_fail (TP_BAD_SHAPE, "%s: expected images%s as the sensitivities %s have them, got shape %s",
                    name, coils ? " of coils" : "", tp_shape_text (maps, 3, s->shape),
                    tp_shape_text (got, images->rank, images->shape));
  if (s->shape[1] > INT_MAX || s->shape[2] > INT_MAX)
    return tp_fail (TP_UNSUPPORTED, "s: sensitivities of shape %s are too large",
                    tp_shape_text (maps, 3, s->shape));
  return TP_OK;
}

static job
job_of (const tp_tensor *in, const tp_tensor *s, tp_tensor *out)
{
  return (job) { .in = tp_c64 (in), .s = tp_c64 (s), .out = tp_c64 (out), .coils = s->shape[0],
                 .height = s->shape[1], .width = s->shape[2] };
}

/* A tensor of (LEADING ... H W), or with K before H, of the LEADING axes of X. */
static tp_tensor *
result (const tp_tensor *x, int leading, const tp_tensor *s, bool coils)
{
  int64_t shape[TP_MAX_RANK];
  memcpy (shape, x->shape, (size_t) leading * sizeof *shape);
  int first = coils ? 0 : 1;
  memcpy (shape + leading, s->shape + first, (size_t) (3 - first) * sizeof *shape);
  return tp_tensor_create (TP_C64, leading + 3 - first, shape);
}

static void
run (void (*body) (void *, int64_t, int64_t), job *j, int64_t items, int64_t pixels_an_item)
{
  if (pixels_an_item > 0)
    tp_parallel_for (items, PIXELS_PER_THREAD / pixels_an_item + 1, body, j);
}

static tp_status
images_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_coil_combine (r->output->grad, r->saved[0]));
}

tp_tensor *
tp_coil_images (tp_tensor *x, tp_tensor *s)
{
  if (check (x, "x", s, false))
    return NULL;
  tp_tensor *y = result (x, x->rank - 2, s, true);
  if (!y)
    return NULL;
  job j = job_of (x, s, y);
  int64_t pixels = j.height * j.width;
  run (see_images, &j, pixels ? tp_tensor_count (y) / pixels : 0, pixels);
  tp_record r = { .inputs = { x }, .input_count = 1, .saved = { s }, .unneeded = 1 | TP_OUTPUT_UNNEEDED,
                  .twice = true };
  return tp_recorded (y, &r, images_backward);
}

static tp_status
combine_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_coil_images (r->output->grad, r->saved[0]));
}

tp_tensor *
tp_coil_combine (tp_tensor *y, tp_tensor *s)
{
  if (check (y, "y", s, true))
    return NULL;
  tp_tensor *x = result (y, y->rank - 3, s, false);
  if (!x)
    return NULL;
  job j = job_of (y, s, x);
  int64_t pixels = j.height * j.width;
  run (combine_images, &j, pixels ? tp_tensor_count (x) / pixels : 0, pixels * j.coils);
  tp_record r = { .inputs = { y }, .input_count = 1, .saved = { s }, .unneeded = 1 | TP_OUTPUT_UNNEEDED,
                  .twice = true };
  return tp_recorded (x, &r, combine_backward);
}

static tp_tensor *
sense_normal (const tp_tensor *x, const tp_tensor *s, const tp_tensor *table)
{
  if (check (x, "x", s, false) || tp_check_table (table, "table", x) || tp_tape_constant (table, "table"))
    return NULL;
  if (table->rank > 2)
    {
      tp_fail (TP_BAD_SHAPE, "table: expected one for all images, (columns) or (rows columns), got rank %d",
               table->rank);
      return NULL;
    }
  tp_tensor *y = tp_tensor_like (x);
  if (!y || !tp_tensor_count (x))
    return y;
  job j = job_of (x, s, y);
  j.there = tp_fftw_plan ((int) j.height, (int) j.width, 1, FFTW_FORWARD);
  j.back = j.there ? tp_fftw_plan ((int) j.height, (int) j.width, 1, FFTW_BACKWARD) : NULL;
  j.table = tp_f32 (table);
  j.row_stride = table->rank > 1 ? j.width : 0;
  int64_t pixels = j.height * j.width;
  if (j.back)
    {
      run (normal_images, &j, tp_tensor_count (x) / pixels, pixels * j.coils);
      if (!j.failed)
        return y;
      tp_fail (TP_NO_MEMORY, "sense-normal: no memory for an image of %ld x %ld", (long) j.height,
               (long) j.width);
    }
  tp_tensor_free (y);
  return NULL;
}

/* It is its own adjoint. */
static tp_status
normal_backward (const tp_record *r)
{
  return tp_accumulate_grad (r->inputs[0], tp_sense_normal (r->output->grad, r->saved[0], r->saved[1]));
}

tp_tensor *
tp_sense_normal (tp_tensor *x, tp_tensor *s, tp_tensor *table)
{
  tp_record r = { .inputs = { x }, .input_count = 1, .saved = { s, table },
                  .unneeded = 1 | TP_OUTPUT_UNNEEDED, .twice = true };
  return tp_recorded (sense_normal (x, s, table), &r, normal_backward);
}
