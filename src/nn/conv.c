/* conv.c -- convolution, its data gradient and its weight gradient.
 *
 * The data gradient is a convolution of the output's gradient (spread out by the
 * stride) with the window turned round.  Each of the three is computed directly
 * (conv_direct.c) or by Winograd's transforms (conv_winograd.c), whichever is
 * faster for its shape. */
#include "nn/conv.h"

#include <string.h>

#include "core/threads.h"
#include "nn/conv_loops.h"
#include "nn/layers.h"

static tp_status
convolve (tp_conv_job *job)
{
  return tp_conv_winograd_pays (job) ? tp_conv_winograd (job) : tp_conv_direct (job);
}

/* The weights as the tiles read them: blocks of output channels, padded with
 * zeros.  TURNED: for the data gradient, the window turned round and input and
 * output channels exchanged. */
static float *
pack_weights (const tp_tensor *w, int block, bool turned)
{
  int64_t kh = w->shape[0], kw = w->shape[1], c = w->shape[2], o = w->shape[3];
  int64_t in = turned ? o : c, out = turned ? c : o;
  int64_t blocks = tp_pieces (out, block);
  float *packed = tp_scratch_alloc ((size_t) (blocks * kh * kw * in * block) * sizeof *packed);
  if (!packed)
    return NULL;
  const float *from = tp_f32 (w);
  float *to = packed;
  for (int64_t b = 0; b < blocks; b++)
    {
      int64_t full = tp_least (block, out - b * block);
      for (int64_t ky = 0; ky < kh; ky++)
        for (int64_t kx = 0; kx < kw; kx++)
          for (int64_t i = 0; i < in; i++, to += block)
            {
              if (turned)
                {
                  const float *tap = from + ((kh - 1 - ky) * kw + (kw - 1 - kx)) * c * o + i;
                  for (int64_t q = 0; q < full; q++)
                    to[q] = tap[(b * block + q) * o];
                }
              else
                memcpy (to, from + ((ky * kw + kx) * c + i) * o + b * block,
                        (size_t) full * sizeof *to);
              memset (to + full, 0, (size_t) (block - full) * sizeof *to);
            }
    }
  return packed;
}

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

static tp_tensor *
conv_forward (const tp_tensor *x, const tp_tensor *w, const tp_tensor *b, const tp_tensor *r,
              tp_conv_options options)
{
  if (check_window (w, options) != TP_OK
      || tp_check_shape (x, "images", TP_F32, 4, (int64_t[]) { -1, -1, -1, w->shape[2] }) != TP_OK
      || (b && tp_check_shape (b, "bias", TP_F32, 1, (int64_t[]) { w->shape[3] }) != TP_OK))
    return NULL;
  int64_t p = options.padding, s = options.stride;
  int64_t oh = (x->shape[1] + 2 * p - w->shape[0]) / s + 1;
  int64_t ow = (x->shape[2] + 2 * p - w->shape[1]) / s + 1;
  if (x->shape[1] + 2 * p < w->shape[0] || x->shape[2] + 2 * p < w->shape[1])
    {
      tp_fail (TP_BAD_SHAPE, "images: expected at least %lld x %lld with padding %lld, got %lld x %lld",
               (long long) w->shape[0], (long long) w->shape[1], (long long) p,
               (long long) x->shape[1], (long long) x->shape[2]);
      return NULL;
    }
  int64_t shape[4] = { x->shape[0], oh, ow, w->shape[3] };
  if (r && tp_check_shape (r, "residual", TP_F32, 4, shape) != TP_OK)
    return NULL;
  const tp_conv_kernels *kernels = tp_conv_kernels_get ();
  tp_tensor *y = tp_tensor_create (TP_F32, 4, shape);
  float *weights = pack_weights (w, kernels->block, false);
  float *bias = b ? pad_bias (b, kernels->block) : NULL;
  if (!y || !weights || (b && !bias))
    goto fail;
  tp_conv_job j = { .kernels = kernels, .in = tp_f32 (x), .n = x->shape[0], .h = x->shape[1],
                 .w = x->shape[2], .c = x->shape[3], .oh = oh, .ow = ow, .o = w->shape[3],
                 .kh = (int) w->shape[0], .kw = (int) w->shape[1], .stride = s, .top = p,
                 .left = p, .dilation = 1, .weights = weights, .bias = bias,
                 .residual = r ? tp_f32 (r) : NULL, .out = tp_f32 (y), .slope = options.slope };
  if (convolve (&j) != TP_OK)
    goto fail;
  tp_scratch_free (weights);
  tp_scratch_free (bias);
  return y;
fail:
  tp_scratch_free (weights);
  tp_scratch_free (bias);
  tp_tensor_free (y);
  return NULL;
}

tp_tensor *
tp_conv_adjoint (const tp_tensor *y, const tp_tensor *w, const int64_t shape[4],
                 tp_conv_options options)
{
  if (check_window (w, options) != TP_OK)
    return NULL;
  int64_t p = options.padding, s = options.stride;
  int64_t oh = (shape[1] + 2 * p - w->shape[0]) / s + 1;
  int64_t ow = (shape[2] + 2 * p - w->shape[1]) / s + 1;
  if (tp_check_shape (y, "images", TP_F32, 4, (int64_t[]) { shape[0], oh, ow, w->shape[3] }) != TP_OK)
    return NULL;
  if (shape[3] != w->shape[2])
    {
      tp_fail (TP_BAD_SHAPE, "shape: expected %lld channels, as the weights have, got %lld",
               (long long) w->shape[2], (long long) shape[3]);
      return NULL;
    }
  const tp_conv_kernels *kernels = tp_conv_kernels_get ();
  tp_tensor *x = tp_tensor_create (TP_F32, 4, shape);
  float *weights = pack_weights (w, kernels->block, true);
  tp_status status = x && weights ? TP_OK : TP_NO_MEMORY;
  if (status == TP_OK)
    {
      tp_conv_job j = { .kernels = kernels, .in = tp_f32 (y), .n = shape[0], .h = oh, .w = ow,
                     .c = w->shape[3], .oh = shape[1], .ow = shape[2], .o = shape[3],
                     .kh = (int) w->shape[0], .kw = (int) w->shape[1], .stride = 1,
                     .top = w->shape[0] - 1 - p, .left = w->shape[1] - 1 - p, .dilation = s,
                     .weights = weights, .out = tp_f32 (x), .slope = 1 };
      status = convolve (&j);
    }
  tp_scratch_free (weights);
  if (status != TP_OK)
    {
      tp_tensor_free (x);
      return NULL;
    }
  return x;
}

static tp_tensor *
weight_gradient (const tp_tensor *x, const tp_tensor *w, const tp_tensor *g,
                 tp_conv_options options)
{
  tp_conv_job j = { .kernels = tp_conv_kernels_get (), .in = tp_f32 (x), .n = x->shape[0],
                    .h = x->shape[1], .w = x->shape[2], .c = x->shape[3], .oh = g->shape[1],
                    .ow = g->shape[2], .o = g->shape[3], .kh = (int) w->shape[0],
                    .kw = (int) w->shape[1], .stride = options.stride, .top = options.padding,
                    .left = options.padding, .dilation = 1 };
  tp_tensor *dw = tp_tensor_zeros (TP_F32, 4, w->shape);
  if (!dw || tp_tensor_count (g) == 0)
    return dw;
  tp_status status = (tp_conv_winograd_pays (&j) ? tp_conv_winograd_weights
                      : tp_conv_direct_weights) (&j, tp_f32 (g), tp_f32 (dw));
  if (status != TP_OK)
    {
      tp_tensor_free (dw);
      return NULL;
    }
  return dw;
}

/* --- On the tape ---------------------------------------------------------- */

static tp_status
conv_backward (const tp_record *record)
{
  tp_tensor *x = record->inputs[0], *w = record->inputs[1], *b = record->inputs[2],
            *r = record->inputs[3];
  tp_conv_options options = { (int) record->numbers[0], (int) record->numbers[1],
                              (float) record->numbers[2] };
  tp_tensor *g = tp_leaky_relu_gradient (record->output, record->output->grad, options.slope);
  tp_status status = g ? TP_OK : tp_last_status ();
  if (status == TP_OK && tp_wants_grad (x))
    status = tp_accumulate_grad (x, tp_conv_adjoint (g, w, x->shape, options));
  if (status == TP_OK && tp_wants_grad (w))
    status = tp_accumulate_grad (w, weight_gradient (x, w, g, options));
  if (status == TP_OK && tp_wants_grad (b))
    status = tp_accumulate_grad (b, tp_reduce (TP_SUM, g, 7, false));
  if (status == TP_OK && tp_wants_grad (r))
    status = tp_accumulate_grad (r, tp_copy (g));
  tp_tensor_free (g);
  return status;
}

tp_tensor *
tp_conv (tp_tensor *x, tp_tensor *w, tp_tensor *b, tp_tensor *r, tp_conv_options options)
{
  tp_tensor *y = conv_forward (x, w, b, r, options);
  if (!y)
    return NULL;
  tp_record record = { .output = y, .inputs = { x, w, b, r }, .input_count = 4,
                       .numbers = { options.stride, options.padding, options.slope } };
  if (tp_tape_record (&record, conv_backward) != TP_OK)
    {
      tp_tensor_free (y);
      return NULL;
    }
  return y;
}
