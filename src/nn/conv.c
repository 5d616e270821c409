/* conv.c -- convolution, its data gradient and its weight gradient.
 *
 * The data gradient is a convolution of the output's gradient (spread out by the
 * stride) with the window turned round.  Each of the three is computed directly
 * (conv_direct.c) or by Winograd's transforms (conv_winograd.c), whichever is
 * faster for its shape.  Long, since the three share how inputs are joined and work is cut. */
#include "nn/conv.h"

#include <stdlib.h>
#include <string.h>

#include "autograd/operations.h"
#include "core/profile.h"
#include "core/stop.h"
#include "core/threads.h"
#include "nn/conv_loops.h"
#include "nn/layers.h"

/* --- One job: weights as the kernels read them, and the loops ----------------- */

/* A row of the profile: nominal products, as written out at the head of conv.h. */
static void
end_span (tp_span span, const char *operation, const tp_conv_job *j, bool winograd)
{
  double products = (double) (j->n * j->oh * j->ow) * j->kh * j->kw * (double) (j->c * j->o);
  if (span.start != 0)
    tp_span_end (span, operation,
                 (tp_work) { .flops = 2 * products,
                             .bytes = 4.0 * (double) (j->n * (j->h * j->w * j->c
                                                              + j->oh * j->ow * j->o)),
                             .bf16 = winograd && j->precision == TP_BFLOAT16 },
                 "%dx%d %lld -> %lld, %lld x %lld x %lld%s", j->kh, j->kw, (long long) j->c,
                 (long long) j->o, (long long) j->n, (long long) j->oh, (long long) j->ow,
                 winograd ? ", Winograd" : "");
}

/* JOB by raw weights W (kh kw c o).  Directly, its parts follow one another: each adds
 * to what stands.  PREPARED, when it is not NULL, gives the transformed weights of an
 * earlier call with the same w and job, or takes this one's. */
static tp_status
convolve (tp_conv_job *j, const float *w, void **prepared)
{
  if (j->oh * j->ow * j->n * j->o == 0)
    return TP_OK;
  bool winograd = tp_conv_winograd_pays (j);
  void *before = prepared ? *prepared : NULL, *ready = before;
  if (winograd || (j->source_count == 1 && j->sink_count == 1))
    {
      if (!ready)
        ready = winograd ? tp_conv_winograd_transform (j, w)
                         : tp_conv_direct_pack (j, w, j->c, 0, j->o, 0);
      if (!ready)
        return tp_last_status ();
      tp_status status = winograd ? tp_conv_winograd (j, ready) : tp_conv_direct (j, ready);
      if (prepared && !tp_stopped ())
        *prepared = ready;
      else if (ready != before)
        tp_scratch_free (ready);
      return status;
    }
  int64_t first_o = 0;
  for (int s = 0; s < j->sink_count; first_o += j->sinks[s].o, s++)
    {
      int64_t first_c = 0;
      for (int i = 0; i < j->source_count; first_c += j->sources[i].c, i++)
        {
          bool begins = i == 0, ends = i + 1 == j->source_count;
          tp_conv_job part = *j;
          part.source_count = part.sink_count = 1;
          part.sources[0] = j->sources[i];
          part.sinks[0] = j->sinks[s];
          part.c = part.sources[0].c;
          part.o = part.sinks[0].o;
          part.bias = begins && j->bias ? j->bias + first_o : NULL;
          part.slope = ends ? j->slope : 1;
          if (!begins)
            part.sinks[0].residual = part.sinks[0].data;
          float *packed = tp_conv_direct_pack (&part, w, j->c, first_c, j->o, first_o);
          if (!packed)
            return tp_last_status ();
          tp_status status = tp_conv_direct (&part, packed);
          tp_scratch_free (packed);
          if (status != TP_OK)
            return status;
        }
    }
  return TP_OK;
}

/* --- Checks ------------------------------------------------------------------- */

static tp_status
check_window (const tp_tensor *w, tp_conv_options options)
{
  if (tp_check (w, "weights", TP_F32, 4) != TP_OK)
    return tp_last_status ();
  int64_t kh = w->shape[0], kw = w->shape[1];
  if (kh % 2 == 0 || kw % 2 == 0 || kh > TP_CONV_MAX_SIZE || kw > TP_CONV_MAX_SIZE)
    return tp_fail (TP_BAD_SHAPE, "weights: expected an odd window up to %d x %d, got %lld x %lld",
                    TP_CONV_MAX_SIZE, TP_CONV_MAX_SIZE, (long long) kh, (long long) kw);
  if (options.stride != 1 && options.stride != 2)
    return tp_fail (TP_BAD_ARGUMENT, "stride: expected 1 or 2, got %d", options.stride);
  if (options.padding < 0 || options.padding >= kh || options.padding >= kw)
    return tp_fail (TP_BAD_ARGUMENT, "padding: expected 0 to %lld, got %d",
                    (long long) tp_least (kh, kw) - 1, options.padding);
  if (!(options.slope >= 0))
    return tp_fail (TP_BAD_ARGUMENT, "slope: expected 0 or more, got %g", (double) options.slope);
  return TP_OK;
}

static int
shift_of (tp_conv_options options, int part)
{
  return options.enlarged >> part & 1;
}

/* The geometry of a job and its input, channels in order, after checks. */
static tp_status
take_sources (tp_conv_job *j, tp_tensor *const *x, int count, const tp_tensor *w,
              tp_conv_options options)
{
  if (count < 1 || count > TP_CONV_MAX_SOURCES)
    return tp_fail (TP_BAD_ARGUMENT, "images: expected 1 to %d parts, got %d",
                    TP_CONV_MAX_SOURCES, count);
  if (check_window (w, options) != TP_OK)
    return tp_last_status ();
  j->source_count = count;
  j->c = 0;
  for (int i = 0; i < count; i++)
    {
      int shift = shift_of (options, i);
      if (tp_check (x[i], "images", TP_F32, 4) != TP_OK)
        return tp_last_status ();
      if (i == 0)
        {
          j->n = x[i]->shape[0];
          j->h = x[i]->shape[1] << shift;
          j->w = x[i]->shape[2] << shift;
        }
      else if (x[i]->shape[0] != j->n || x[i]->shape[1] << shift != j->h
               || x[i]->shape[2] << shift != j->w)
        {
          char text[TP_SHAPE_TEXT];
          return tp_fail (TP_BAD_SHAPE, "images: expected parts of (%lld %lld %lld ...), got %s%s",
                          (long long) j->n, (long long) j->h, (long long) j->w,
                          tp_shape_text (text, 4, x[i]->shape), shift ? ", to be enlarged" : "");
        }
      j->sources[i] = (tp_conv_source) { tp_f32 (x[i]), x[i]->shape[3], shift };
      j->c += x[i]->shape[3];
    }
  if (j->c != w->shape[2])
    return tp_fail (TP_BAD_SHAPE, "images: expected %lld channels, as the weights have, got %lld",
                    (long long) w->shape[2], (long long) j->c);
  j->kernels = tp_conv_kernels_get ();
  j->precision = options.precision;
  j->kh = (int) w->shape[0];
  j->kw = (int) w->shape[1];
  j->o = w->shape[3];
  j->stride = options.stride;
  j->top = j->left = options.padding;
  j->dilation = 1;
  j->slope = options.slope;
  if (j->h + 2 * j->top < j->kh || j->w + 2 * j->left < j->kw)
    return tp_fail (TP_BAD_SHAPE, "images: expected at least %d x %d with padding %d, got %lld x "
                    "%lld", j->kh, j->kw, options.padding, (long long) j->h, (long long) j->w);
  j->oh = (j->h + 2 * j->top - j->kh) / j->stride + 1;
  j->ow = (j->w + 2 * j->left - j->kw) / j->stride + 1;
  return TP_OK;
}

/* --- Forward -------------------------------------------------------------------- */

/* What tp_conv_forward keeps with a tensor of weights: what it has made of them for the
 * kernels, and what they were when it did.  Anyone may write into weights, so that only
 * their values tell whether it still holds. */
typedef struct {
  void *prepared;
  bool winograd;
  tp_precision precision;
  int parts;
  int64_t c[TP_CONV_MAX_SOURCES];
  float *w, *scale; /* copies */
} kept_weights;

static void
kept_free (void *object)
{
  kept_weights *k = object;
  tp_scratch_free (k->prepared);
  tp_scratch_free (k->w);
  tp_scratch_free (k->scale);
  free (k);
}

static float *
copy_values (const tp_tensor *t)
{
  size_t bytes = (size_t) tp_tensor_count (t) * sizeof (float);
  float *copy = tp_scratch_alloc (bytes);
  return copy ? memcpy (copy, tp_f32 (t), bytes) : NULL;
}

static bool
same_values (const float *copy, const tp_tensor *t)
{
  return copy && t && !memcmp (copy, tp_f32 (t), (size_t) tp_tensor_count (t) * sizeof *copy);
}

/* What is kept with W for job J, made anew if it does not hold any more; NULL when there
 * is no memory for it. */
static kept_weights *
kept_with (tp_tensor *w, const tp_tensor *scale, const tp_conv_job *j)
{
  kept_weights *k = w->derived;
  kept_weights now = { .winograd = tp_conv_winograd_pays (j), .precision = j->precision,
                       .parts = j->source_count };
  for (int i = 0; i < j->source_count; i++)
    now.c[i] = j->sources[i].c;
  if (k && k->winograd == now.winograd && k->precision == now.precision && k->parts == now.parts
      && !memcmp (k->c, now.c, sizeof now.c) && same_values (k->w, w)
      && (scale ? same_values (k->scale, scale) : !k->scale))
    return k;
  k = malloc (sizeof *k);
  if (!k)
    return NULL;
  now.w = copy_values (w);
  now.scale = scale ? copy_values (scale) : NULL;
  *k = now;
  tp_set_derived (w, k, kept_free);
  return k;
}

/* B with zeros to whole blocks beyond each sink's channels. */
static float *
pad_bias (const tp_tensor *b, int block)
{
  int64_t o = b->shape[0], padded = tp_pieces (o, block) * block;
  float *copy = tp_scratch_alloc ((size_t) padded * sizeof *copy);
  if (copy)
    {
      memcpy (copy, tp_f32 (b), (size_t) o * sizeof *copy);
      memset (copy + o, 0, (size_t) (padded - o) * sizeof *copy);
    }
  return copy;
}

tp_tensor *
tp_conv_forward (tp_tensor *const *x, int count, tp_tensor *w, const tp_tensor *channel_scale,
                 const tp_tensor *b, const tp_tensor *r, tp_moments *moments,
                 tp_conv_options options, bool keep)
{
  tp_conv_job j = { 0 };
  if (take_sources (&j, x, count, w, options) != TP_OK
      || (b && tp_check_shape (b, "bias", TP_F32, 1, &j.o) != TP_OK))
    return NULL;
  int64_t shape[4] = { j.n, j.oh, j.ow, j.o };
  if (r && tp_check_shape (r, "residual", TP_F32, 4, shape) != TP_OK)
    return NULL;
  tp_tensor *y = tp_tensor_create (TP_F32, 4, shape);
  float *bias = b ? pad_bias (b, j.kernels->block) : NULL;
  kept_weights *kept = keep ? kept_with (w, channel_scale, &j) : NULL;
  bool ready = kept && kept->prepared;
  tp_span span = tp_span_start ();
  tp_tensor *scaled = channel_scale && !ready ? tp_map2 (TP_MUL, w, channel_scale) : NULL;
  tp_status status = TP_NO_MEMORY;
  if (y && (bias || !b) && (scaled || !channel_scale || ready))
    {
      j.bias = bias;
      j.moments = moments;
      j.sink_count = 1;
      j.sinks[0] = (tp_conv_sink) { tp_f32 (y), r ? tp_f32 (r) : NULL, j.o };
      status = convolve (&j, tp_f32 (scaled ? scaled : w), kept ? &kept->prepared : NULL);
    }
  end_span (span, "convolution", &j, tp_conv_winograd_pays (&j));
  tp_scratch_free (bias);
  tp_tensor_free (scaled);
  if (status != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}

/* --- Gradients -------------------------------------------------------------------- */

typedef struct {
  const float *w;
  float *turned;
  int64_t taps, c, o;
} turn_job;

/* Items are pairs of a tap and sixteen input channels: a line of the result's cache. */
static void
turn_taps (void *context, int64_t begin, int64_t end)
{
  const turn_job *t = context;
  int64_t strips = tp_pieces (t->c, 16);
  for (int64_t item = begin; item < end; item++)
    {
      int64_t k = item / strips, first = item % strips * 16, count = tp_least (16, t->c - first);
      const float *from = t->w + ((t->taps - 1 - k) * t->c + first) * t->o;
      float *to = t->turned + k * t->c * t->o + first;
      for (int64_t q = 0; q < t->o; q++)
        for (int64_t i = 0; i < count; i++)
          to[q * t->c + i] = from[i * t->o + q];
    }
}

/* W turned round, (kh kw o c): scratch. */
static float *
turn_weights (const tp_tensor *w)
{
  turn_job t = { .w = tp_f32 (w), .taps = w->shape[0] * w->shape[1], .c = w->shape[2],
                 .o = w->shape[3] };
  t.turned = tp_scratch_alloc ((size_t) (t.taps * t.c * t.o) * sizeof *t.turned);
  if (t.turned)
    tp_parallel_for (t.taps * tp_pieces (t.c, 16), 8, turn_taps, &t);
  return t.turned;
}

/* The data gradient into the sinks of J, whose geometry is still that of the
 * convolution. */
static tp_status
convolve_turned (tp_conv_job *j, const tp_tensor *g, const tp_tensor *w)
{
  tp_conv_job t = { .kernels = j->kernels, .precision = j->precision, .n = j->n, .h = j->oh,
                    .w = j->ow, .c = j->o, .oh = j->h, .ow = j->w, .o = j->c, .kh = j->kh,
                    .kw = j->kw, .stride = 1, .top = j->kh - 1 - j->top,
                    .left = j->kw - 1 - j->left, .dilation = j->stride,
                    .sources = { { tp_f32 (g), j->o, false } }, .source_count = 1,
                    .sink_count = j->sink_count, .slope = 1 };
  memcpy (t.sinks, j->sinks, sizeof t.sinks);
  tp_span span = tp_span_start ();
  float *turned = turn_weights (w);
  if (!turned)
    return TP_NO_MEMORY;
  tp_status status = convolve (&t, turned, NULL);
  tp_scratch_free (turned);
  end_span (span, "convolution, data gradient", j, tp_conv_winograd_pays (&t));
  return status;
}

static tp_tensor *
adjoint (const tp_tensor *y, const tp_tensor *w, const int64_t shape[4], tp_conv_options options)
{
  tp_tensor *x = tp_tensor_create (TP_F32, 4, shape);
  tp_conv_job j = { 0 };
  options.enlarged = 0;
  if (!x || take_sources (&j, &x, 1, w, options) != TP_OK
      || tp_check_shape (y, "images", TP_F32, 4, (int64_t[]) { j.n, j.oh, j.ow, j.o }) != TP_OK)
    goto fail;
  j.sink_count = 1;
  j.sinks[0] = (tp_conv_sink) { tp_f32 (x), NULL, j.c };
  if (convolve_turned (&j, y, w) == TP_OK)
    return x;
fail:
  tp_tensor_free (x);
  return NULL;
}

static bool
none_wants (tp_tensor *const *x, int count)
{
  for (int i = 0; i < count; i++)
    if (tp_wants_grad (x[i]))
      return false;
  return true;
}

static tp_status
data_gradients (tp_conv_job *j, tp_tensor *const *x, int count, const tp_tensor *w,
                const tp_tensor *g)
{
  tp_tensor *part[TP_CONV_MAX_SOURCES] = { NULL };
  bool added[TP_CONV_MAX_SOURCES] = { false };
  tp_status status = TP_OK;
  j->sink_count = count;
  for (int i = 0; i < count && status == TP_OK; i++)
    {
      /* A gradient that stands already is added to in the same pass. */
      tp_tensor *grad = x[i]->grad;
      added[i] = tp_wants_grad (x[i]) && grad && tp_f32 (grad) && !j->sources[i].enlarged;
      part[i] = added[i] ? tp_tensor_ref (grad)
                : tp_tensor_create (TP_F32, 4, (int64_t[]) { j->n, j->h, j->w, x[i]->shape[3] });
      if (!part[i])
        status = tp_last_status ();
      else
        j->sinks[i] = (tp_conv_sink) { tp_f32 (part[i]), added[i] ? tp_f32 (grad) : NULL,
                                       x[i]->shape[3] };
    }
  if (status == TP_OK)
    status = convolve_turned (j, g, w);
  for (int i = 0; i < count; i++)
    {
      if (status == TP_OK && tp_wants_grad (x[i]) && !added[i])
        status = tp_accumulate_grad (x[i], j->sources[i].enlarged ? tp_upsample_adjoint (part[i], 2)
                                                                  : tp_tensor_ref (part[i]));
      tp_tensor_free (part[i]);
    }
  return status;
}

/* DW (kh kw part whole) into the channels from FIRST on of TO (kh kw c o). */
static void
place_channels (float *to, int64_t taps, int64_t c, int64_t o, const float *dw, int64_t part,
                int64_t first)
{
  for (int64_t k = 0; k < taps; k++)
    memcpy (to + (k * c + first) * o, dw + k * part * o, (size_t) (part * o) * sizeof *to);
}

/* The gradient of few output channels: that of the convolution of g with windows of x, so
 * that the kernels' blocks run along x's channels. */
static tp_status
narrow_weight_gradient (const tp_conv_job *j, const float *g, float *dw)
{
  int64_t taps = (int64_t) j->kh * j->kw;
  tp_conv_job t = *j;
  t.sources[0] = (tp_conv_source) { g, j->o, false };
  t.c = j->o;
  t.o = j->c;
  t.h = j->oh;
  t.w = j->ow;
  t.oh = j->h;
  t.ow = j->w;
  t.top = j->kh - 1 - j->top;
  t.left = j->kw - 1 - j->left;
  float *turned = tp_scratch_alloc ((size_t) (taps * j->c * j->o) * sizeof *turned);
  if (!turned)
    return TP_NO_MEMORY;
  tp_status status = tp_conv_direct_weights (&t, j->sources[0].data, turned);
  for (int64_t k = 0; k < taps; k++)
    for (int64_t c = 0; c < j->c; c++)
      for (int64_t o = 0; o < j->o; o++)
        dw[(k * j->c + c) * j->o + o] = turned[((taps - 1 - k) * j->o + o) * j->c + c];
  tp_scratch_free (turned);
  return status;
}

/* Gradients too must fill a vector. */
static bool
weights_by_winograd (const tp_conv_job *j)
{
  return tp_conv_winograd_pays (j) && j->o >= 16;
}

static tp_status
weight_gradient (const tp_conv_job *j, const float *g, float *dw)
{
  if (j->n * j->oh * j->ow * j->o * j->c == 0)
    {
      memset (dw, 0, (size_t) (j->kh * j->kw * j->c * j->o) * sizeof *dw);
      return TP_OK;
    }
  if (weights_by_winograd (j))
    return tp_conv_winograd_weights (j, g, dw);
  if (j->source_count == 1)
    return j->o <= TP_CONV_NARROW && j->c >= 16 && j->stride == 1 && !j->sources[0].enlarged
             ? narrow_weight_gradient (j, g, dw) : tp_conv_direct_weights (j, g, dw);
  int64_t first = 0, taps = (int64_t) j->kh * j->kw;
  tp_status status = TP_OK;
  for (int i = 0; i < j->source_count && status == TP_OK; first += j->sources[i].c, i++)
    {
      tp_conv_job part = *j;
      part.source_count = 1;
      part.sources[0] = j->sources[i];
      part.c = part.sources[0].c;
      float *own = tp_scratch_alloc ((size_t) (taps * part.c * j->o) * sizeof *own);
      status = own ? weight_gradient (&part, g, own) : TP_NO_MEMORY;
      if (status == TP_OK)
        place_channels (dw, taps, j->c, j->o, own, part.c, first);
      tp_scratch_free (own);
    }
  return status;
}

tp_status
tp_conv_accumulate (tp_tensor *const *x, int count, tp_tensor *w, tp_tensor *g,
                    tp_conv_options options)
{
  tp_conv_job j = { 0 };
  tp_status status = take_sources (&j, x, count, w, options);
  if (status == TP_OK && !none_wants (x, count))
    status = data_gradients (&j, x, count, w, g);
  if (status == TP_OK && tp_wants_grad (w))
    {
      tp_span span = tp_span_start ();
      tp_tensor *dw = tp_tensor_like (w);
      status = dw ? weight_gradient (&j, tp_f32 (g), tp_f32 (dw)) : TP_NO_MEMORY;
      j.precision = TP_FLOAT32; /* as it is computed */
      end_span (span, "convolution, weight gradient", &j, weights_by_winograd (&j));
      if (status == TP_OK)
        return tp_accumulate_grad (w, dw);
      tp_tensor_free (dw);
    }
  return status;
}

/* --- On the tape ---------------------------------------------------------- */

/* Inputs: y, w.  x = A (w)^T y, so that y's is the convolution of x's, and w's that of a
 * convolution of x's gradient whose sum's is y. */
static tp_status
adjoint_backward (const tp_record *record)
{
  tp_tensor *y = record->inputs[0], *w = record->inputs[1], *g = record->output->grad;
  tp_conv_options options = { (int) record->numbers[0], (int) record->numbers[1], 1, 0, TP_FLOAT32 };
  tp_status status = TP_OK;
  if (tp_wants_grad (y))
    status = tp_accumulate_grad (y, tp_conv (&g, 1, w, NULL, NULL, options));
  if (status == TP_OK && tp_wants_grad (w))
    status = tp_conv_accumulate (&g, 1, w, y, options);
  return status;
}

tp_tensor *
tp_conv_adjoint (tp_tensor *y, tp_tensor *w, const int64_t shape[4], tp_conv_options options)
{
  tp_record r = { .inputs = { y, w }, .input_count = 2, .numbers = { options.stride, options.padding },
                  .unneeded = TP_OUTPUT_UNNEEDED, .twice = !tp_wants_grad (w) };
  return tp_recorded (adjoint (y, w, shape, options), &r, adjoint_backward);
}

/* Inputs: w, b, r, then the parts. */
static tp_status
conv_backward (const tp_record *record)
{
  tp_tensor *w = record->inputs[0], *b = record->inputs[1], *r = record->inputs[2];
  tp_conv_options options = { (int) record->numbers[0], (int) record->numbers[1],
                              (float) record->numbers[2], (unsigned) record->numbers[3],
                              (tp_precision) record->numbers[4] };
  tp_tensor *g = tp_leaky_relu_gradient (record->output, record->output->grad, options.slope);
  tp_status status = g ? TP_OK : tp_last_status ();
  if (status == TP_OK)
    status = tp_conv_accumulate (record->inputs + 3, record->input_count - 3, w, g, options);
  if (status == TP_OK && tp_wants_grad (b))
    status = tp_accumulate_grad (b, tp_reduce (TP_SUM, g, 7, false));
  if (status == TP_OK && tp_wants_grad (r))
    status = tp_accumulate_grad (r, tp_tensor_ref (g));
  tp_tensor_free (g);
  return status;
}

static tp_tensor *
recorded (tp_tensor *const *x, int count, tp_tensor *w, tp_tensor *b, tp_tensor *r,
          tp_moments *moments, tp_conv_options options)
{
  tp_record record = { .inputs = { w, b, r }, .input_count = 3 + count,
                       .numbers = { options.stride, options.padding, options.slope,
                                    options.enlarged, options.precision },
                       .unneeded = 6 /* b, r */ | (options.slope == 1 ? TP_OUTPUT_UNNEEDED : 0) };
  for (int i = 0; i < count && i < TP_CONV_MAX_SOURCES; i++)
    record.inputs[3 + i] = x[i];
  /* On a tape the weights are about to change. */
  bool keep = count <= TP_CONV_MAX_SOURCES && !tp_tape_wants (record.inputs, record.input_count);
  tp_tensor *y = tp_conv_forward (x, count, w, NULL, b, r, moments, options, keep);
  if (!y)
    return NULL;
  record.output = y;
  if (tp_tape_record (&record, conv_backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}

tp_tensor *
tp_conv (tp_tensor *const *x, int count, tp_tensor *w, tp_tensor *b, tp_tensor *r,
         tp_conv_options options)
{
  return recorded (x, count, w, b, r, NULL, options);
}

tp_tensor *
tp_conv_moments (tp_tensor *const *x, int count, tp_tensor *w, tp_moments *moments,
                 tp_conv_options options)
{
  return recorded (x, count, w, NULL, NULL, moments, options);
}
