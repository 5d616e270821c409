/* nn.c -- the layers in Scheme. */
#include <stdlib.h>

#include "guile/binding.h"
#include "nn/adam.h"
#include "nn/conv_batch_norm.h"
#include "nn/layers.h"
#include "nn/spectral.h"

static double
number_or (const char *me, const char *argument, SCM object, double otherwise)
{
  return SCM_UNBNDP (object) ? otherwise : tp_to_double (me, argument, object);
}

static tp_precision
to_precision (const char *me, SCM object)
{
  if (SCM_UNBNDP (object) || scm_is_eq (object, scm_from_utf8_symbol ("float32")))
    return TP_FLOAT32;
  if (!scm_is_eq (object, scm_from_utf8_symbol ("bf16")))
    tp_raise_argument (me, "precision: expected float32 or bf16");
  return TP_BFLOAT16;
}

static tp_conv_options
conv_options (const char *me, SCM stride, SCM padding, SCM slope, SCM precision)
{
  return (tp_conv_options) { (int) tp_to_int (me, "stride", stride, 1, 2),
                             (int) tp_to_int (me, "padding", padding, 0, 64),
                             (float) number_or (me, "slope", slope, 1), 0,
                             to_precision (me, precision) };
}

/* The parts of IMAGES (a tensor, (upsampled . tensor), or a list of such); returns how
 * many, and in ENLARGED which are to be. */
static int
to_parts (const char *me, SCM images, tp_tensor *parts[TP_CONV_MAX_SOURCES], unsigned *enlarged)
{
  SCM upsampled = scm_from_utf8_symbol ("upsampled");
  *enlarged = 0;
  if (!scm_is_pair (images) || scm_is_eq (scm_car (images), upsampled))
    images = scm_list_1 (images);
  int count = 0;
  for (; scm_is_pair (images); images = scm_cdr (images), count++)
    {
      SCM part = scm_car (images);
      if (count == TP_CONV_MAX_SOURCES)
        tp_raise_argument (me, "images: expected at most %d parts", TP_CONV_MAX_SOURCES);
      if (scm_is_pair (part) && scm_is_eq (scm_car (part), upsampled))
        {
          *enlarged |= 1u << count;
          part = scm_cdr (part);
        }
      parts[count] = tp_to_tensor (me, "images", part);
    }
  return count;
}

static SCM
convolution (SCM images, SCM w, SCM b, SCM residual, SCM stride, SCM padding, SCM slope,
             SCM precision)
{
  const char *me = "convolution";
  tp_tensor *x[TP_CONV_MAX_SOURCES];
  tp_conv_options options = conv_options (me, stride, padding, slope, precision);
  int count = to_parts (me, images, x, &options.enlarged);
  return tp_from_tensor (me, tp_conv (x, count, tp_to_tensor (me, "weights", w),
                                      tp_to_tensor_or_null (me, "bias", b),
                                      tp_to_tensor_or_null (me, "residual", residual), options));
}

static tp_norm
to_norm (const char *me, SCM parameters)
{
  if (scm_ilength (parameters) != 4)
    tp_raise_argument (me, "parameters: expected (gamma beta running-mean running-variance)");
  tp_tensor *p[4];
  static const char *const names[] = { "gamma", "beta", "running-mean", "running-variance" };
  for (int i = 0; i < 4; i++, parameters = scm_cdr (parameters))
    p[i] = tp_to_tensor (me, names[i], scm_car (parameters));
  return (tp_norm) { p[0], p[1], p[2], p[3] };
}

static tp_batch_norm_options
to_norm_options (const char *me, SCM training, SCM decay, SCM epsilon, SCM slope)
{
  return (tp_batch_norm_options) { scm_is_true (training), (float) tp_to_double (me, "decay", decay),
                                   (float) tp_to_double (me, "epsilon", epsilon),
                                   (float) tp_to_double (me, "slope", slope) };
}

static SCM
normalised_convolution (SCM images, SCM w, SCM norm, SCM residual, SCM padding, SCM training,
                        SCM decay, SCM epsilon, SCM slope, SCM precision)
{
  const char *me = "normalised-convolution";
  tp_tensor *x[TP_CONV_MAX_SOURCES];
  tp_conv_options options = conv_options (me, scm_from_int (1), padding, SCM_UNDEFINED, precision);
  int count = to_parts (me, images, x, &options.enlarged);
  return tp_from_tensor (me, tp_conv_batch_norm (x, count, tp_to_tensor (me, "weights", w),
                                                 to_norm (me, norm),
                                                 tp_to_tensor_or_null (me, "residual", residual),
                                                 options,
                                                 to_norm_options (me, training, decay, epsilon,
                                                                  slope)));
}

static SCM
convolution_adjoint (SCM y, SCM w, SCM shape, SCM stride, SCM padding)
{
  const char *me = "convolution-adjoint";
  int64_t lengths[TP_MAX_RANK];
  if (tp_to_shape (me, "shape", shape, lengths, 1) != 4)
    tp_raise_argument (me, "shape: expected (N H W C)");
  return tp_from_tensor (me, tp_conv_adjoint (tp_to_tensor (me, "images", y),
                                              tp_to_tensor (me, "weights", w), lengths,
                                              conv_options (me, stride, padding, SCM_UNDEFINED,
                                                            SCM_UNDEFINED)));
}

static SCM
batch_norm (SCM x, SCM parameters, SCM training, SCM decay, SCM epsilon, SCM slope)
{
  const char *me = "batch-normalisation";
  return tp_from_tensor (me, tp_batch_norm (tp_to_tensor (me, "x", x), to_norm (me, parameters),
                                            NULL, NULL,
                                            to_norm_options (me, training, decay, epsilon,
                                                             slope)));
}

static SCM
leaky_relu (SCM x, SCM slope)
{
  const char *me = "leaky-relu";
  return tp_from_tensor (me, tp_leaky_relu (tp_to_tensor (me, "x", x),
                                            (float) number_or (me, "slope", slope, 0.01)));
}

static SCM
relu (SCM x)
{
  return tp_from_tensor ("relu", tp_leaky_relu (tp_to_tensor ("relu", "x", x), 0));
}

static SCM
silu (SCM x)
{
  return tp_from_tensor ("silu", tp_silu (tp_to_tensor ("silu", "x", x)));
}

static SCM
group_norm (SCM x, SCM gamma, SCM beta, SCM modulation, SCM groups, SCM epsilon, SCM silu)
{
  const char *me = "group-normalisation";
  tp_group_norm_options options = { (int) tp_to_int (me, "groups", groups, 1, INT32_MAX),
                                    (float) tp_to_double (me, "epsilon", epsilon),
                                    scm_is_true (silu) };
  return tp_from_tensor (me, tp_group_norm (tp_to_tensor (me, "images", x),
                                            tp_to_tensor (me, "gamma", gamma),
                                            tp_to_tensor (me, "beta", beta),
                                            tp_to_tensor_or_null (me, "modulation", modulation),
                                            options));
}

static SCM
self_attention (SCM qkv, SCM heads)
{
  const char *me = "self-attention";
  return tp_from_tensor (me, tp_self_attention (tp_to_tensor (me, "qkv", qkv),
                                                (int) tp_to_int (me, "heads", heads, 1, 4096)));
}

#define SIZED(function, name, argument, call)                                          \
  static SCM function (SCM x, SCM size)                                                \
  {                                                                                    \
    int n = SCM_UNBNDP (size) ? 2 : (int) tp_to_int (name, argument, size, 1, 1024);   \
    return tp_from_tensor (name, call (tp_to_tensor (name, "images", x), n));          \
  }
SIZED (average_pool, "average-pool", "size", tp_average_pool)
SIZED (max_pool, "max-pool", "size", tp_max_pool)
SIZED (upsample, "upsample", "factor", tp_upsample)
SIZED (pixel_unshuffle, "pixel-unshuffle", "factor", tp_pixel_unshuffle)
SIZED (pixel_shuffle, "pixel-shuffle", "factor", tp_pixel_shuffle)

static SCM
dense (SCM x, SCM w, SCM b, SCM slope)
{
  const char *me = "dense";
  return tp_from_tensor (me, tp_linear (tp_to_tensor (me, "x", x), tp_to_tensor (me, "weights", w),
                                        tp_to_tensor_or_null (me, "bias", b),
                                        (float) number_or (me, "slope", slope, 1)));
}

static SCM
dsm_loss (SCM q, SCM u, SCM sigma)
{
  const char *me = "dsm-loss";
  return tp_from_tensor (me, tp_dsm_loss (tp_to_tensor (me, "scaled-score", q),
                                          tp_to_tensor (me, "noise", u),
                                          tp_to_tensor (me, "sigma", sigma)));
}

static SCM
adam_step (SCM w, SCM g, SCM m, SCM v, SCM step, SCM options)
{
  const char *me = "adam-step!";
  if (scm_ilength (options) != 4 && scm_ilength (options) != 5)
    tp_raise_argument (me, "options: expected (rate beta1 beta2 epsilon [rectified?])");
  double o[4];
  static const char *const names[] = { "rate", "beta1", "beta2", "epsilon" };
  for (int i = 0; i < 4; i++, options = scm_cdr (options))
    o[i] = tp_to_double (me, names[i], scm_car (options));
  bool rectified = scm_is_pair (options) && scm_is_true (scm_car (options));
  tp_require (me, tp_adam_step (tp_to_tensor (me, "parameter", w), tp_to_tensor (me, "gradient", g),
                                tp_to_tensor (me, "first moment", m),
                                tp_to_tensor (me, "second moment", v),
                                tp_to_int (me, "step", step, 1, INT64_MAX),
                                (tp_adam_options) { o[0], o[1], o[2], o[3], rectified }));
  return w;
}

static SCM
spectral_norm (SCM w, SCM u, SCM iterations)
{
  const char *me = "spectral-norm!";
  double sigma = 0;
  int count = SCM_UNBNDP (iterations) ? 1 : (int) tp_to_int (me, "iterations", iterations, 1, 1000000);
  tp_require (me, tp_spectral_norm (tp_to_tensor (me, "weights", w), tp_to_tensor (me, "vector", u),
                                    count, &sigma, NULL));
  return scm_from_double (sigma);
}

static SCM
spectral_penalty (SCM w, SCM u, SCM weight, SCM target)
{
  const char *me = "spectral-penalty!";
  double sigma = 0;
  tp_require (me, tp_spectral_penalty (tp_to_tensor (me, "weights", w),
                                       tp_to_tensor (me, "vector", u),
                                       tp_to_double (me, "weight", weight),
                                       number_or (me, "target", target, 0), &sigma));
  return scm_from_double (sigma);
}

static SCM
convolution_norm (SCM w, SCM rows, SCM columns, SCM stride, SCM padding, SCM iterations, SCM seed)
{
  const char *me = "convolution-norm";
  double norm = 0;
  tp_require (me, tp_conv_norm (tp_to_tensor (me, "weights", w),
                                tp_to_int (me, "rows", rows, 1, 1 << 16),
                                tp_to_int (me, "columns", columns, 1, 1 << 16),
                                conv_options (me, stride, padding, SCM_UNDEFINED,
                                                            SCM_UNDEFINED),
                                SCM_UNBNDP (iterations) ? 50 : (int) tp_to_int (me, "iterations", iterations, 1, 1000000),
                                SCM_UNBNDP (seed) ? 0 : (uint64_t) tp_to_int (me, "seed", seed, 0, INT64_MAX),
                                &norm));
  return scm_from_double (norm);
}

void
tp_init_nn (void)
{
  tp_define ("convolution", 6, 2, convolution,
             "images weights bias residual stride padding slope precision",
             "Convolution (as networks use the word: cross-correlation) of IMAGES (N H W C) with\n"
             "WEIGHTS (K L C O), K and L odd, at STRIDE 1 or 2 after PADDING with zeros; then BIAS\n"
             "(O) or #f and RESIDUAL (the result's shape) or #f are added, and a leaky ReLU of\n"
             "SLOPE (1: none; 0: ReLU) applied, in the same pass.  IMAGES may be a list of up to\n"
             "four whose channels follow one another, and any of them (upsampled . x) for x whose\n"
             "pixels each stand for a square of four.  PRECISION: float32, or bf16 for products of\n"
             "8 bits where that is faster.  On the tape.\n"
             "Example: (let ((w (random-normal '(3 3 2 8) 1)) (b (tensor-zeros '(8))))\n"
             "           (tensor-shape (convolution (tensor-zeros '(1 16 16 2)) w b #f 1 1 0))) => (1 16 16 8)");
  tp_define ("normalised-convolution", 9, 1, normalised_convolution,
             "images weights norm residual padding training? decay epsilon slope precision",
             "Convolution of IMAGES with WEIGHTS at stride 1 after PADDING, batch normalisation by\n"
             "NORM (gamma beta running-mean running-variance), RESIDUAL (or #f) added, and a leaky\n"
             "ReLU of SLOPE.  Arguments as those of convolution and batch-normalisation.  With\n"
             "running statistics and off the tape all is one pass.\n"
             "Example: (let ((x (random-normal '(1 8 8 2) 1)) (w (random-normal '(3 3 2 4) 2))\n"
             "               (one (tensor+ (tensor-zeros '(4)) 1)) (zero (tensor-zeros '(4))))\n"
             "           (normalised-convolution x w (list one zero (tensor-copy zero) (tensor-copy one))\n"
             "                                   #f 1 #f 0.9 1e-5 0))");
  tp_define ("convolution-adjoint", 5, 0, convolution_adjoint, "images weights shape stride padding",
             "The adjoint of the linear part of `convolution', from its result's shape to SHAPE,\n"
             "that of its images.\n"
             "Example: (tensor-shape (convolution-adjoint (tensor-zeros '(1 16 16 8)) (random-normal '(3 3 2 8) 1)\n"
             "                                           '(1 16 16 2) 1 1)) => (1 16 16 2)");
  tp_define ("batch-normalisation", 6, 0, batch_norm, "x parameters training? decay epsilon slope",
             "gamma (x - mean) / sqrt (var + EPSILON) + beta for each channel, the last axis, then\n"
             "a leaky ReLU of SLOPE (1: none).  PARAMETERS: (gamma beta running-mean\n"
             "running-variance), each (C).  TRAINING?: statistics of this batch, and running <-\n"
             "DECAY running + (1 - DECAY) batch; else the running ones.  On the tape.\n"
             "Example: (let ((x (random-normal '(2 4 4 3) 1)) (scale (tensor+ (tensor-zeros '(3)) 1)) (zero (tensor-zeros '(3))))\n"
             "           (batch-normalisation x (list scale zero (tensor-copy zero) (tensor-copy scale))\n"
             "                                #t 0.9 1e-5 0))");
  tp_define ("leaky-relu", 1, 1, leaky_relu, "x slope",
             "x where x > 0, else SLOPE (0.01) x.  On the tape.\n"
             "Example: (tensor->list (leaky-relu (list->tensor '(-1 2)) 0.1)) => (-0.1 2.0)");
  tp_define ("relu", 1, 0, relu, "x", "x where x > 0, else 0.  On the tape.\nExample: (relu t)");
  tp_define ("silu", 1, 0, silu, "x",
             "x / (1 + exp (-x)), the sigmoid linear unit (Elfwing et al. 2018).  On the tape.\n"
             "Example: (tensor->list (silu (list->tensor '(0 20)))) => (0.0 20.0)");
  tp_define ("group-normalisation", 7, 0, group_norm,
             "images gamma beta modulation groups epsilon silu?",
             "IMAGES (N H W C) less their mean, over the square root of their variance + EPSILON, both\n"
             "for each image and each of GROUPS groups of channels (Wu, He 2018); times GAMMA (C) plus\n"
             "BETA (C); for MODULATION (N 2C), scales s then shifts t of each image and channel, times\n"
             "1 + s plus t (#f: neither); then, for SILU?, `silu'.  On the tape.\n"
             "Example: (let ((x (random-normal '(2 4 4 6) 1)) (one (tensor+ (tensor-zeros '(6)) 1)))\n"
             "           (group-normalisation x one (tensor-zeros '(6)) #f 3 1e-5 #t))");
  tp_define ("self-attention", 2, 0, self_attention, "qkv heads",
             "Of QKV (N H W 3C), queries, keys and values of C channels one after the other, each of\n"
             "HEADS heads of d = C / HEADS: for each head the values of all positions, averaged with\n"
             "weights that are the softmax of query . key / sqrt (d) (Vaswani et al. 2017).  Returns\n"
             "(N H W C); C a multiple of HEADS, at most 65536 positions H W.  On the tape.\n"
             "Example: (tensor-shape (self-attention (random-normal '(1 4 4 24) 1) 2)) => (1 4 4 8)");
  tp_define ("average-pool", 1, 1, average_pool, "images size",
             "The mean over squares of SIZE (2) by SIZE pixels of IMAGES (N H W C).  On the tape.\n"
             "Example: (tensor-shape (average-pool (tensor-zeros '(1 8 8 3)))) => (1 4 4 3)");
  tp_define ("max-pool", 1, 1, max_pool, "images size",
             "The largest in squares of SIZE (2) by SIZE pixels of IMAGES (N H W C).  On the tape.\n"
             "Example: (tensor-shape (max-pool (tensor-zeros '(1 8 8 3)))) => (1 4 4 3)");
  tp_define ("upsample", 1, 1, upsample, "images factor",
             "Each pixel of IMAGES (N H W C) repeated FACTOR (2) times each way.  On the tape.\n"
             "Example: (tensor-shape (upsample (tensor-zeros '(1 4 4 3)))) => (1 8 8 3)");
  tp_define ("pixel-unshuffle", 1, 1, pixel_unshuffle, "images factor",
             "Each square of FACTOR (2) by FACTOR pixels of IMAGES (N H W C) as one pixel of C FACTOR^2\n"
             "channels: of channel 0 its rows one after the other, then of channel 1 (Shi et al. 2016).\n"
             "Undone by `pixel-shuffle'.  On the tape.\n"
             "Example: (tensor-shape (pixel-unshuffle (tensor-zeros '(1 8 8 3)))) => (1 4 4 12)");
  tp_define ("pixel-shuffle", 1, 1, pixel_shuffle, "images factor",
             "IMAGES (N H W C FACTOR^2) enlarged FACTOR (2) times each way: what `pixel-unshuffle'\n"
             "undoes.  On the tape.\n"
             "Example: (tensor-shape (pixel-shuffle (tensor-zeros '(1 4 4 12)))) => (1 8 8 3)");
  tp_define ("dense", 3, 1, dense, "x weights bias slope",
             "x W + b for X (N I), WEIGHTS (I O), BIAS (O) or #f, then a leaky ReLU of SLOPE (1:\n"
             "none).  On the tape.\n"
             "Example: (dense (tensor-zeros '(5 2)) (random-normal '(2 3) 1) (tensor-zeros '(3)) 0)");
  tp_define ("dsm-loss", 3, 0, dsm_loss, "scaled-score noise sigma",
             "Equation 3 of the paper for each image: the mean of (u + sigma r)^2, given\n"
             "SCALED-SCORE |sigma| r (N ...), finite also at sigma = 0, NOISE u of its shape and\n"
             "SIGMA (N), which may be negative.  Returns (N).  On the tape.\n"
             "Example: (let ((u (random-normal '(2 4 4 2) 1)) (sigma (list->tensor '(1 10))))\n"
             "           (tensor-mean (dsm-loss (tensor-zeros '(2 4 4 2)) u sigma)))");
  tp_define ("adam-step!", 6, 0, adam_step, "parameter gradient m v step options",
             "One Adam update (Kingma, Ba 2015) of PARAMETER and its moments M and V in place;\n"
             "STEP counts from 1; OPTIONS: (rate beta1 beta2 epsilon), and #t for the rectified one\n"
             "(Liu et al. 2020).  Returns PARAMETER.\n"
             "Example: (let ((w (tensor-copy t)) (g (tensor* 2 t)) (m (tensor-zeros '(2 2))) (v (tensor-zeros '(2 2))))\n"
             "           (adam-step! w g m v 1 '(1e-4 0.9 0.999 1e-8)))");
  tp_define ("spectral-norm!", 2, 1, spectral_norm, "weights vector iterations",
             "The largest singular value of WEIGHTS as a matrix (all axes but the last) x last, by\n"
             "ITERATIONS (1) of power iteration from VECTOR (O), which is updated to go on from.\n"
             "Example: (spectral-norm! (random-normal '(3 3 2 8) 1) (random-normal '(8) 2) 20)");
  tp_define ("spectral-penalty!", 3, 1, spectral_penalty, "weights vector weight target",
             "Add to the gradient of WEIGHTS that of (WEIGHT / 2) (sigma_1 - TARGET)^2 (Yoshida,\n"
             "Miyato 2017; TARGET 0); sigma_1 by one power iteration from VECTOR, and returned.\n"
             "Example: (spectral-penalty! (require-gradient! (random-normal '(3 3 2 8) 1)) (random-normal '(8) 2) 0.01)");
  tp_define ("convolution-norm", 5, 2, convolution_norm,
             "weights rows columns stride padding iterations seed",
             "The norm of the convolution with WEIGHTS as an operator on ROWS x COLUMNS images, by\n"
             "ITERATIONS (50) of power iteration through it and its adjoint from noise of SEED (0).\n"
             "Example: (convolution-norm (random-normal '(3 3 2 8) 1) 16 16 1 1)");
  tp_define_recorded ("convolution normalised-convolution convolution-adjoint batch-normalisation "
                      "leaky-relu relu silu group-normalisation self-attention average-pool max-pool "
                      "upsample pixel-unshuffle pixel-shuffle dense dsm-loss");
}
