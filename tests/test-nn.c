/* test-nn.c -- every gradient against finite differences; the same bits on any
 * number of threads; kernels of every instruction set at hand.  Long, since each layer is here. */
#include "check.h"

#include <string.h>

#include "autograd/operations.h"
#include "core/threads.h"
#include "nn/adam.h"
#include "nn/conv_batch_norm.h"
#include "nn/layers.h"
#include "nn/spectral.h"

#define SHAPE(...) (int64_t[]) { __VA_ARGS__ }

static tp_tensor *
normal (uint64_t stream, int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  tp_fill_normal (t, 7, stream);
  t->requires_grad = true;
  return t;
}

typedef tp_tensor *(*layer) (tp_tensor *const *inputs);

/* sum (layer (inputs) * cotangent), in double; the inputs' gradients accumulate
 * when TAPE. */
static double
loss_of (layer f, tp_tensor *const *inputs, tp_tape *tape)
{
  tp_tape_enter (tape);
  tp_tensor *y = f (inputs);
  tp_tape_enter (NULL);
  if (!y)
    {
      printf ("%s\n", tp_last_message ());
      return NAN;
    }
  tp_tensor *cotangent = tp_tensor_like (y);
  tp_fill_normal (cotangent, 8, 99);
  double loss = tp_dot_f32 (tp_f32 (y), tp_f32 (cotangent), tp_tensor_count (y));
  if (tape)
    CHECK (tp_tape_backward (tape, y, cotangent) == TP_OK);
  tp_tensor_free (cotangent);
  tp_tensor_free (y);
  return loss;
}

/* The gradient along random directions against central differences.  float32
 * outputs carry errors of 2^-24 of their size, so that with a step h the
 * difference is good to about 2^-24 sqrt (n) / h + h^2: 1e-3 relative at 1e-2. */
static void
check_gradients (const char *name, layer f, tp_tensor **inputs, int count)
{
  const double h = 1e-2;
  tp_tape *tape = tp_tape_create ();
  loss_of (f, inputs, tape);
  tp_tape_free (tape);
  for (int i = 0; i < count; i++)
    {
      tp_tensor *x = inputs[i];
      if (!x || !x->requires_grad)
        continue;
      if (!CHECK (x->grad && tp_same_shape (x->grad, x)))
        {
          printf ("  %s, input %d\n", name, i);
          continue;
        }
      int64_t n = tp_tensor_count (x);
      tp_tensor *direction = tp_tensor_like (x), *saved = tp_copy (x);
      tp_fill_normal (direction, 9, (uint64_t) i);
      double along = tp_dot_f32 (tp_f32 (x->grad), tp_f32 (direction), n);
      double size = sqrt (tp_dot_f32 (tp_f32 (x->grad), tp_f32 (x->grad), n));
      tp_axpby (h, direction, 1, x);
      double up = loss_of (f, inputs, NULL);
      tp_assign (x, saved);
      tp_axpby (-h, direction, 1, x);
      double down = loss_of (f, inputs, NULL);
      tp_assign (x, saved);
      if (!CHECK_CLOSE ((up - down) / (2 * h), along, 5e-3 * (fabs (along) + size)))
        printf ("  %s, input %d\n", name, i);
      tp_tensor_free (direction);
      tp_tensor_free (saved);
    }
  for (int i = 0; i < count; i++)
    tp_tensor_free (inputs[i]);
}

static tp_tensor *conv_3 (tp_tensor *const *t) { return tp_conv (t, 1, t[1], t[2], t[3], (tp_conv_options) { .stride = 1, .padding = 1, .slope = 1 }); }
static tp_tensor *conv_stride (tp_tensor *const *t) { return tp_conv (t, 1, t[1], t[2], NULL, (tp_conv_options) { .stride = 2, .padding = 1, .slope = 1 }); }
static const tp_conv_options same = { .stride = 1, .padding = 1, .slope = 1 };
/* Parts, the second of half the size; the image of a sum of two, so that one gradient is
 * added to another; few outputs. */
static tp_tensor *
conv_parts (tp_tensor *const *t)
{
  tp_conv_options options = { .stride = 1, .padding = 1, .slope = 1, .enlarged = 2 };
  return tp_conv (t, 2, t[2], t[3], NULL, options);
}
static tp_tensor *
conv_twice (tp_tensor *const *t)
{
  tp_tensor *a = tp_conv (t, 1, t[1], NULL, NULL, same);
  tp_tensor *b = tp_conv (t, 1, t[2], NULL, a, same);
  tp_tensor_free (a);
  return b;
}
static tp_tensor *
conv_narrow (tp_tensor *const *t)
{
  return tp_conv (t, 1, t[1], t[2], t[3], same);
}
static tp_tensor *average (tp_tensor *const *t) { return tp_average_pool (t[0], 2); }
static tp_tensor *maximum (tp_tensor *const *t) { return tp_max_pool (t[0], 2); }
static tp_tensor *enlarge (tp_tensor *const *t) { return tp_upsample (t[0], 2); }
static tp_tensor *dense (tp_tensor *const *t) { return tp_linear (t[0], t[1], t[2], 1); }
static tp_tensor *join (tp_tensor *const *t) { return tp_diff_concatenate (t, 2, 3); }
static tp_tensor *add (tp_tensor *const *t) { return tp_diff_map2 (TP_ADD, t[0], t[1]); }
static tp_tensor *subtract (tp_tensor *const *t) { return tp_diff_map2 (TP_SUB, t[0], t[1]); }
static tp_tensor *multiply (tp_tensor *const *t) { return tp_diff_map2 (TP_MUL, t[0], t[1]); }
static tp_tensor *divide (tp_tensor *const *t) { return tp_diff_map2 (TP_DIV, t[0], t[1]); }
static tp_tensor *total (tp_tensor *const *t) { return tp_diff_reduce (TP_SUM, t[0], 5, false); }
static tp_tensor *mean (tp_tensor *const *t) { return tp_diff_reduce (TP_MEAN, t[0], 3, true); }
static tp_tensor *squares (tp_tensor *const *t) { return tp_diff_reduce (TP_SUM_SQUARES, t[0], 15, false); }
static tp_tensor *scale (tp_tensor *const *t) { return tp_diff_affine (t[0], -1.5, 2); }
static tp_tensor *reshape (tp_tensor *const *t) { return tp_diff_reshape (t[0], 2, SHAPE (-1, 2)); }
static tp_tensor *product (tp_tensor *const *t) { return tp_diff_matmul (t[0], false, t[1], true); }
static tp_tensor *product_t (tp_tensor *const *t) { return tp_diff_matmul (t[0], true, t[1], false); }
static tp_tensor *leaky (tp_tensor *const *t) { return tp_leaky_relu (t[0], 0.3f); }

static tp_tensor *sigmoid_unit (tp_tensor *const *t) { return tp_silu (t[0]); }
static tp_tensor *unshuffle (tp_tensor *const *t) { return tp_pixel_unshuffle (t[0], 2); }
static tp_tensor *shuffle (tp_tensor *const *t) { return tp_pixel_shuffle (t[0], 2); }
static tp_tensor *attention (tp_tensor *const *t) { return tp_self_attention (t[0], 2); }
static tp_tensor *
group_norm (tp_tensor *const *t)
{
  return tp_group_norm (t[0], t[1], t[2], NULL, (tp_group_norm_options) { 3, 1e-5f, false });
}
static tp_tensor *
modulated_norm (tp_tensor *const *t)
{
  return tp_group_norm (t[0], t[1], t[2], t[3], (tp_group_norm_options) { 7, 1e-5f, true });
}

static tp_tensor *running_mean, *running_variance;
static tp_tensor *
norm (tp_tensor *const *t)
{
  return tp_batch_norm (t[0], (tp_norm) { t[1], t[2], running_mean, running_variance }, NULL, NULL,
                        (tp_batch_norm_options) { true, 0.9f, 1e-5f, 1 });
}

static tp_tensor *
norm_residual (tp_tensor *const *t)
{
  return tp_batch_norm (t[0], (tp_norm) { t[1], t[2], running_mean, running_variance }, t[3], NULL,
                        (tp_batch_norm_options) { true, 0.9f, 1e-5f, 0.3f });
}

static tp_tensor *
conv_norm_unit (tp_tensor *const *t)
{
  return tp_conv_batch_norm (t, 1, t[1], (tp_norm) { t[2], t[3], running_mean, running_variance },
                             t[4], same, (tp_batch_norm_options) { true, 0.9f, 1e-5f, 1 });
}

static tp_tensor *
dsm (tp_tensor *const *t)
{
  return tp_dsm_loss (t[0], t[1], t[2]);
}

#define MAP(operation) \
  static tp_tensor *map_##operation (tp_tensor *const *t) { return tp_diff_map (operation, t[0]); }
MAP (TP_NEGATE) MAP (TP_SQUARE) MAP (TP_SQRT) MAP (TP_EXP) MAP (TP_LOG) MAP (TP_SIN) MAP (TP_COS)
MAP (TP_TANH) MAP (TP_RECIPROCAL)

/* Values in 0.5 to 1.5 where a function needs positive ones; kinks stay away. */
static tp_tensor *
positive (uint64_t stream, int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  tp_fill_uniform (t, 7, stream);
  for (int64_t i = 0; i < tp_tensor_count (t); i++)
    tp_f32 (t)[i] += 0.5f;
  t->requires_grad = true;
  return t;
}

/* Distinct values far apart, in a scrambled order: no step crosses a kink. */
static tp_tensor *
apart (int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  int64_t n = tp_tensor_count (t);
  for (int64_t i = 0; i < n; i++)
    tp_f32 (t)[i] = (float) (i * 37 % n) - (float) n / 2 + 0.5f;
  t->requires_grad = true;
  return t;
}

static void
test_layer_gradients (void)
{
#define GRADIENTS(f, ...)                                             \
  do {                                                                \
    tp_tensor *inputs[] = { __VA_ARGS__ };                            \
    check_gradients (#f, f, inputs, sizeof inputs / sizeof *inputs);  \
  } while (0)
  GRADIENTS (conv_3, normal (1, 4, SHAPE (2, 7, 9, 3)), normal (2, 4, SHAPE (3, 3, 3, 35)),
             normal (3, 1, SHAPE (35)), normal (4, 4, SHAPE (2, 7, 9, 35)));
  /* Enough channels for Winograd's way; tiles that hang over both edges. */
  GRADIENTS (conv_3, normal (1, 4, SHAPE (2, 7, 9, 20)), normal (2, 4, SHAPE (3, 3, 20, 35)),
             normal (3, 1, SHAPE (35)), normal (4, 4, SHAPE (2, 7, 9, 35)));
  GRADIENTS (conv_parts, normal (1, 4, SHAPE (2, 8, 10, 16)), normal (5, 4, SHAPE (2, 4, 5, 19)),
             normal (2, 4, SHAPE (3, 3, 35, 21)), normal (3, 1, SHAPE (21)));
  GRADIENTS (conv_parts, normal (1, 4, SHAPE (2, 8, 10, 2)), normal (5, 4, SHAPE (2, 4, 5, 3)),
             normal (2, 4, SHAPE (3, 3, 5, 4)), normal (3, 1, SHAPE (4)));
  GRADIENTS (conv_twice, normal (1, 4, SHAPE (1, 9, 6, 17)), normal (2, 4, SHAPE (3, 3, 17, 18)),
             normal (3, 4, SHAPE (3, 3, 17, 18)));
  GRADIENTS (conv_narrow, normal (1, 4, SHAPE (2, 5, 9, 32)), normal (2, 4, SHAPE (3, 3, 32, 2)),
             normal (3, 1, SHAPE (2)), normal (4, 4, SHAPE (2, 5, 9, 2)));
  GRADIENTS (conv_stride, normal (1, 4, SHAPE (1, 8, 9, 4)), normal (2, 4, SHAPE (5, 3, 4, 2)),
             normal (3, 1, SHAPE (2)));
  GRADIENTS (average, normal (1, 4, SHAPE (2, 4, 6, 3)));
  GRADIENTS (maximum, apart (4, SHAPE (2, 4, 6, 3)));
  GRADIENTS (enlarge, normal (1, 4, SHAPE (2, 3, 2, 3)));
  GRADIENTS (dense, normal (1, 2, SHAPE (5, 4)), normal (2, 2, SHAPE (4, 3)),
             normal (3, 1, SHAPE (3)));
  GRADIENTS (join, normal (1, 4, SHAPE (1, 3, 2, 3)), normal (2, 4, SHAPE (1, 3, 2, 1)));
  GRADIENTS (leaky, apart (1, SHAPE (50)));
  GRADIENTS (add, normal (1, 2, SHAPE (3, 4)), normal (2, 2, SHAPE (3, 1)));
  GRADIENTS (subtract, normal (1, 1, SHAPE (4)), normal (2, 2, SHAPE (3, 4)));
  GRADIENTS (multiply, normal (1, 2, SHAPE (3, 4)), normal (2, 0, NULL));
  GRADIENTS (divide, normal (1, 2, SHAPE (3, 4)), positive (2, 1, SHAPE (4)));
  GRADIENTS (total, normal (1, 3, SHAPE (3, 4, 2)));
  GRADIENTS (mean, normal (1, 3, SHAPE (3, 4, 2)));
  GRADIENTS (squares, normal (1, 4, SHAPE (3, 1, 2, 2)));
  GRADIENTS (scale, normal (1, 1, SHAPE (6)));
  GRADIENTS (reshape, normal (1, 3, SHAPE (3, 2, 2)));
  GRADIENTS (product, normal (1, 2, SHAPE (3, 4)), normal (2, 2, SHAPE (5, 4)));
  GRADIENTS (product_t, normal (1, 2, SHAPE (4, 3)), normal (2, 2, SHAPE (4, 5)));
  GRADIENTS (map_TP_NEGATE, normal (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_SQUARE, normal (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_SQRT, positive (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_EXP, normal (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_LOG, positive (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_SIN, normal (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_COS, normal (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_TANH, normal (1, 1, SHAPE (9)));
  GRADIENTS (map_TP_RECIPROCAL, positive (1, 1, SHAPE (9)));

  GRADIENTS (sigmoid_unit, normal (1, 1, SHAPE (50)));
  GRADIENTS (unshuffle, normal (1, 4, SHAPE (2, 4, 6, 3)));
  GRADIENTS (shuffle, normal (1, 4, SHAPE (2, 2, 3, 12)));
  /* More than one block of rows, the last not full. */
  GRADIENTS (attention, normal (1, 4, SHAPE (2, 9, 10, 30)));
  GRADIENTS (group_norm, normal (1, 4, SHAPE (2, 4, 5, 6)), normal (2, 1, SHAPE (6)),
             normal (3, 1, SHAPE (6)));
  /* More than one piece of an image, and than one group of lanes. */
  GRADIENTS (modulated_norm, normal (1, 4, SHAPE (2, 17, 18, 35)), normal (2, 1, SHAPE (35)),
             normal (3, 1, SHAPE (35)), normal (4, 2, SHAPE (2, 70)));

  running_mean = tp_tensor_zeros (TP_F32, 1, SHAPE (3));
  running_variance = tp_tensor_zeros (TP_F32, 1, SHAPE (3));
  GRADIENTS (norm, normal (1, 4, SHAPE (2, 3, 4, 3)), normal (2, 1, SHAPE (3)),
             normal (3, 1, SHAPE (3)));
  tp_tensor *far = normal (4, 4, SHAPE (2, 3, 4, 3)); /* so that the sum's sign is its own */
  for (int i = 0; i < 72; i++)
    tp_f32 (far)[i] += tp_f32 (far)[i] > 0 ? 8 : -8;
  GRADIENTS (norm_residual, normal (1, 4, SHAPE (2, 3, 4, 3)), normal (2, 1, SHAPE (3)),
             normal (3, 1, SHAPE (3)), far);
  tp_tensor_free (running_mean);
  tp_tensor_free (running_variance);
  running_mean = tp_tensor_zeros (TP_F32, 1, SHAPE (34));
  running_variance = tp_tensor_zeros (TP_F32, 1, SHAPE (34));
  GRADIENTS (conv_norm_unit, normal (1, 4, SHAPE (2, 5, 6, 16)), normal (2, 4, SHAPE (3, 3, 16, 34)),
             normal (3, 1, SHAPE (34)), normal (4, 1, SHAPE (34)), normal (5, 4, SHAPE (2, 5, 6, 34)));
  tp_tensor_free (running_mean);
  tp_tensor_free (running_variance);

  tp_tensor *u = normal (2, 2, SHAPE (3, 8)), *sigma = apart (1, SHAPE (3));
  sigma->requires_grad = false;
  GRADIENTS (dsm, normal (1, 2, SHAPE (3, 8)), u, sigma);
}

/* Of a gradient that is always 1, m^ and v^ are 1: steps of Adam are the rate, those of rectified
 * Adam the rate in the first four steps, and then the rate times r. */
static void
test_adam (void)
{
  for (int rectified = 0; rectified < 2; rectified++)
    {
      tp_tensor *w = tp_tensor_zeros (TP_F32, 1, SHAPE (3)), *g = tp_tensor_create (TP_F32, 1, SHAPE (3));
      tp_tensor *m = tp_tensor_zeros (TP_F32, 1, SHAPE (3)), *v = tp_tensor_zeros (TP_F32, 1, SHAPE (3));
      tp_fill (g, 1);
      double expected = 0;
      for (int t = 1; t <= 200; t++)
        {
          CHECK (!tp_adam_step (w, g, m, v, t, (tp_adam_options) { 1e-2, 0.9, 0.999, 0, rectified }));
          /* rho is 1999 in the end. */
          double rho = 1999 - 2 * t * pow (0.999, t) / (1 - pow (0.999, t));
          double r = !rectified || t <= 4 ? 1 : sqrt ((rho - 4) * (rho - 2) * 1999 / (1995. * 1997 * rho));
          expected -= 1e-2 * r;
          if (t == 5 || t == 6 || t == 200)
            CHECK_CLOSE (tp_f32 (w)[1], expected, 2e-4 * fabs (expected));
        }
      tp_tensor_free (w), tp_tensor_free (g), tp_tensor_free (m), tp_tensor_free (v);
    }
}

static void
test_dsm_value (void)
{
  const float sigmas[3] = { 1e-30f, -2, 0 };
  tp_tensor *q = normal (1, 2, SHAPE (3, 5)), *u = normal (2, 2, SHAPE (3, 5));
  tp_tensor *sigma = tp_tensor_create (TP_F32, 1, SHAPE (3));
  memcpy (tp_f32 (sigma), sigmas, sizeof sigmas);
  tp_tensor *loss = tp_dsm_loss (q, u, sigma);
  for (int n = 0; n < 3; n++)
    {
      double sum = 0;
      for (int i = 0; i < 5; i++)
        {
          double r = tp_f32 (u)[n * 5 + i] + (sigmas[n] < 0 ? -1 : 1) * tp_f32 (q)[n * 5 + i];
          sum += r * r / 5;
        }
      CHECK_CLOSE (tp_f32 (loss)[n], sum, 1e-5 * sum);
    }
  tp_tensor_free (q);
  tp_tensor_free (u);
  tp_tensor_free (sigma);
  tp_tensor_free (loss);
}

/* <conv x, y> = <x, adjoint y>, whatever the window, stride and padding. */
static void
test_adjoint (void)
{
  for (int k = 1; k <= 7; k += 2)
    for (int stride = 1; stride <= 2; stride++)
      for (int padding = 0; padding < k; padding++)
        {
          tp_conv_options options = { .stride = stride, .padding = padding, .slope = 1 };
          tp_tensor *x = normal (1, 4, SHAPE (2, 11, 10, 3));
          tp_tensor *w = normal (2, 4, SHAPE (k, k, 3, 5));
          tp_tensor *y = tp_conv (&x, 1, w, NULL, NULL, options), *g = tp_tensor_like (y);
          tp_fill_normal (g, 3, 3);
          tp_tensor *back = tp_conv_adjoint (g, w, x->shape, options);
          double left = tp_dot_f32 (tp_f32 (y), tp_f32 (g), tp_tensor_count (y));
          double right = tp_dot_f32 (tp_f32 (x), tp_f32 (back), tp_tensor_count (x));
          double size = sqrt (tp_dot_f32 (tp_f32 (y), tp_f32 (y), tp_tensor_count (y))
                              * (double) tp_tensor_count (y));
          CHECK_CLOSE (left, right, 1e-5 * size);
          tp_tensor *t[] = { x, w, y, g, back };
          for (int i = 0; i < 5; i++)
            tp_tensor_free (t[i]);
        }
}

/* The largest error of convolution with its epilogue against the sum in double, over the
 * largest value. */
static double
error_of (int h, int w, int c, int o, tp_conv_options options)
{
  tp_tensor *x = normal (1, 4, SHAPE (1, h, w, c)), *f = normal (2, 4, SHAPE (3, 3, c, o));
  tp_tensor *b = normal (3, 1, SHAPE (o)), *r = normal (4, 4, SHAPE (1, h, w, o));
  tp_tensor *y = tp_conv (&x, 1, f, b, r, options);
  double worst = 0, largest = 0;
  for (int i = 0; i < h; i++)
    for (int j = 0; j < w; j++)
      for (int q = 0; q < o; q++)
        {
          double sum = tp_f32 (b)[q] + tp_f32 (r)[(i * w + j) * o + q];
          for (int k = 0; k < 3; k++)
            for (int l = 0; l < 3; l++)
              for (int d = 0; d < c; d++)
                if (i + k >= 1 && i + k <= h && j + l >= 1 && j + l <= w)
                  sum += (double) tp_f32 (x)[((i + k - 1) * w + j + l - 1) * c + d]
                         * tp_f32 (f)[((k * 3 + l) * c + d) * o + q];
          sum = sum > 0 ? sum : options.slope * sum;
          worst = fmax (worst, fabs (sum - tp_f32 (y)[(i * w + j) * o + q]));
          largest = fmax (largest, fabs (sum));
        }
  tp_tensor *t[] = { x, f, b, r, y };
  for (int i = 0; i < 5; i++)
    tp_tensor_free (t[i]);
  return worst / largest;
}

/* Winograd's transforms lose a few bits of float32's twenty-four, and of bfloat16's eight;
 * narrow and direct sums lose none.  In bfloat16 the error must also be there. */
static void
test_values (void)
{
  tp_conv_options options = { .stride = 1, .padding = 1, .slope = 0.25f };
  const int shapes[][4] = { { 10, 7, 20, 37 }, { 4, 4, 16, 5 }, { 13, 22, 65, 32 }, { 17, 5, 48, 64 } };
  for (int i = 0; i < 4; i++)
    {
      const int *n = shapes[i];
      options.precision = TP_FLOAT32;
      CHECK_CLOSE (error_of (n[0], n[1], n[2], n[3], options), 0, 1e-5);
      options.precision = TP_BFLOAT16;
      double rough = error_of (n[0], n[1], n[2], n[3], options);
      CHECK_CLOSE (rough, 0, 2e-2);
      CHECK (rough > 1e-4);
    }
  options.precision = TP_FLOAT32;
  CHECK_CLOSE (error_of (9, 13, 32, 2, options), 0, 1e-6);
  CHECK_CLOSE (error_of (9, 13, 16, 1, options), 0, 1e-6);
  CHECK_CLOSE (error_of (9, 13, 3, 40, options), 0, 1e-6);
}

static bool
same_bits (const tp_tensor *a, const tp_tensor *b)
{
  return !memcmp (tp_f32 (a), tp_f32 (b), (size_t) tp_tensor_count (a) * sizeof (float));
}

/* The data gradient in bfloat16 is near that in float32, and the weight gradient the same:
 * its sums run over all pixels. */
static void
test_bf16_gradients (void)
{
  tp_tensor *x[2], *w[2];
  for (int i = 0; i < 2; i++)
    {
      x[i] = normal (1, 4, SHAPE (2, 13, 18, 35));
      w[i] = normal (2, 4, SHAPE (3, 3, 35, 40));
      tp_tensor *g = normal (3, 4, SHAPE (2, 13, 18, 40));
      tp_conv_options options = same;
      options.precision = i ? TP_BFLOAT16 : TP_FLOAT32;
      CHECK (tp_conv_accumulate (&x[i], 1, w[i], g, options) == TP_OK);
      tp_tensor_free (g);
    }
  double off = 0, size = 0;
  for (int64_t i = 0; i < tp_tensor_count (x[0]); i++)
    {
      off += pow (tp_f32 (x[0]->grad)[i] - tp_f32 (x[1]->grad)[i], 2);
      size += pow (tp_f32 (x[0]->grad)[i], 2);
    }
  CHECK_CLOSE (sqrt (off / size), 0, 2e-2);
  CHECK (off > 0 && same_bits (w[0]->grad, w[1]->grad));
  for (int i = 0; i < 2; i++)
    {
      tp_tensor_free (x[i]);
      tp_tensor_free (w[i]);
    }
}

static double
largest_difference (const tp_tensor *a, const tp_tensor *b)
{
  double worst = 0;
  for (int64_t i = 0; i < tp_tensor_count (a); i++)
    worst = fmax (worst, fabs ((double) tp_f32 (a)[i] - tp_f32 (b)[i]));
  return worst;
}

/* Parts, some enlarged, give what their concatenation gives. */
static void
test_parts (void)
{
  const int channels[][3] = { { 16, 17, 32 }, { 3, 5, 2 }, { 16, 1, 20 } };
  for (int k = 1; k <= 3; k += 2)
    for (int i = 0; i < 3; i++)
      {
        const int *c = channels[i];
        tp_tensor *x[] = { normal (1, 4, SHAPE (2, 12, 10, c[0])), normal (2, 4, SHAPE (2, 6, 5, c[1])) };
        tp_tensor *w = normal (3, 4, SHAPE (k, k, c[0] + c[1], c[2])), *b = normal (4, 1, SHAPE (c[2]));
        tp_conv_options options = { .stride = 1, .padding = k / 2, .slope = 0, .enlarged = 2 };
        tp_tensor *y = tp_conv (x, 2, w, b, NULL, options);
        tp_tensor *large = tp_upsample (x[1], 2);
        const tp_tensor *parts[] = { x[0], large };
        tp_tensor *whole = tp_concatenate (parts, 2, 3);
        options.enlarged = 0;
        tp_tensor *expected = tp_conv (&whole, 1, w, b, NULL, options);
        CHECK_CLOSE (largest_difference (y, expected), 0, 1e-4);
        tp_tensor *t[] = { x[0], x[1], w, b, y, large, whole, expected };
        for (int q = 0; q < 8; q++)
          tp_tensor_free (t[q]);
      }
}

/* Batch norm folded into the weights is batch norm after the convolution; and what is kept
 * of weights is made anew when they, or the norm, change. */
static void
test_folding (void)
{
  tp_tensor *x = normal (1, 4, SHAPE (1, 8, 9, 18)), *w = normal (2, 4, SHAPE (3, 3, 18, 33));
  tp_norm norm = { positive (3, 1, SHAPE (33)), normal (4, 1, SHAPE (33)),
                   normal (5, 1, SHAPE (33)), positive (6, 1, SHAPE (33)) };
  norm.running_mean->requires_grad = norm.running_variance->requires_grad = false;
  tp_tensor *r = normal (7, 4, SHAPE (1, 8, 9, 33));
  tp_batch_norm_options options = { false, 0.9f, 1e-5f, 0.1f };
  for (int change = 0; change < 4; change++)
    {
      if (change == 1)
        tp_f32 (w)[100] += 3;
      if (change == 2)
        tp_f32 (norm.gamma)[7] *= 2;
      if (change == 3)
        tp_f32 (norm.running_mean)[7] += 5;
      tp_tensor *y = tp_conv_batch_norm (&x, 1, w, norm, r, same, options);
      tp_tape *tape = tp_tape_create (); /* on a tape nothing is folded */
      tp_tape_enter (tape);
      tp_tensor *expected = tp_conv_batch_norm (&x, 1, w, norm, r, same, options);
      tp_tape_enter (NULL);
      CHECK (tp_tape_length (tape) == 2);
      CHECK_CLOSE (largest_difference (y, expected), 0, 3e-4);
      tp_tape_free (tape);
      tp_tensor_free (y);
      tp_tensor_free (expected);
    }
  tp_tensor *t[] = { x, w, r, norm.gamma, norm.beta, norm.running_mean, norm.running_variance };
  for (int i = 0; i < 7; i++)
    tp_tensor_free (t[i]);
}

/* What a convolution takes of its output in passing is what that output has: tiles that hang
 * over both edges, channels that end in the middle of a block, and few of them, which go
 * another way. */
static void
test_moments (void)
{
  tp_conv_options same = { .stride = 1, .padding = 1, .slope = 1 };
  for (int c = 3; c <= 24; c += 21)
    {
      enum { O = 40 };
      tp_tensor *x = normal (41, 4, SHAPE (2, 21, 35, c)), *w = normal (42, 4, SHAPE (3, 3, c, O));
      tp_moments moments = { 0 }, whole = { 0 };
      tp_tensor *y = tp_conv_moments (&x, 1, w, &moments, same);
      CHECK ((moments.pieces > 1) == (c == 24));
      if (moments.pieces)
        {
          float mean[2][O], variance[2][O];
          tp_moments_combine (&moments, mean[0], variance[0]);
          CHECK (tp_moments_start (&whole, 1, O) == TP_OK);
          tp_moments_add (&whole, 0, 0, O, &(tp_run) { tp_f32 (y), 2 * 21 * 35 }, 1);
          tp_moments_combine (&whole, mean[1], variance[1]);
          for (int o = 0; o < O; o++)
            {
              CHECK_CLOSE (mean[0][o], mean[1][o], 1e-5 * sqrt (variance[1][o]));
              CHECK_CLOSE (variance[0][o], variance[1][o], 1e-5 * variance[1][o]);
            }
        }
      tp_moments_free (&moments);
      tp_moments_free (&whole);
      tp_tensor_free (x);
      tp_tensor_free (w);
      tp_tensor_free (y);
    }
}

/* Statistics of numbers far from zero, over several pieces, and their lanes' remainder. */
static void
test_batch_statistics (void)
{
  enum { N = 1000, C = 35 };
  tp_tensor *x = normal (1, 2, SHAPE (N, C)), *one = tp_tensor_create (TP_F32, 1, SHAPE (C));
  tp_tensor *zero = tp_tensor_zeros (TP_F32, 1, SHAPE (C));
  tp_tensor *mean = tp_tensor_zeros (TP_F32, 1, SHAPE (C)), *variance = tp_tensor_zeros (TP_F32, 1, SHAPE (C));
  tp_fill (one, 1);
  for (int i = 0; i < N * C; i++)
    tp_f32 (x)[i] += 1000;
  tp_tensor *y = tp_batch_norm (x, (tp_norm) { one, zero, mean, variance }, NULL, NULL,
                                (tp_batch_norm_options) { true, 0, 1e-5f, 1 });
  for (int c = 0; c < C; c++)
    {
      double m = 0, v = 0;
      for (int n = 0; n < N; n++)
        m += (double) tp_f32 (x)[n * C + c] / N;
      for (int n = 0; n < N; n++)
        v += pow (tp_f32 (x)[n * C + c] - m, 2) / (N - 1);
      CHECK_CLOSE (tp_f32 (mean)[c], m, 1e-4);
      CHECK_CLOSE (tp_f32 (variance)[c], v, 1e-5 * v);
    }
  tp_tensor *t[] = { x, one, zero, mean, variance, y };
  for (int i = 0; i < 6; i++)
    tp_tensor_free (t[i]);
}

/* Winograd's way in both precisions, and, with few channels, directly. */
static void
test_threads_change_no_bit (void)
{
  int before = tp_threads ();
  for (int way = 0; way < 4; way++)
    {
      tp_tensor *kept[3][4];
      int64_t c = way < 2 ? 17 : 5, o = way == 3 ? 2 : 37;
      tp_conv_options options = same;
      options.slope = 0;
      options.precision = way == 1 ? TP_BFLOAT16 : TP_FLOAT32;
      for (int threads = 1; threads <= 3; threads++)
        {
          tp_set_threads (threads);
          tp_tensor *x = normal (1, 4, SHAPE (2, 33, 40, c)), *w = normal (2, 4, SHAPE (3, 3, c, o));
          tp_tensor *b = normal (3, 1, SHAPE (o));
          tp_tape *tape = tp_tape_create ();
          tp_tape_enter (tape);
          tp_tensor *y = tp_conv (&x, 1, w, b, NULL, options);
          tp_tape_enter (NULL);
          CHECK (tp_tape_backward (tape, y, y) == TP_OK);
          tp_tape_free (tape);
          tp_tensor *t[] = { y, x->grad, w->grad, b->grad };
          for (int i = 0; i < 4; i++)
            kept[threads - 1][i] = tp_copy (t[i]);
          tp_tensor_free (x);
          tp_tensor_free (w);
          tp_tensor_free (b);
          tp_tensor_free (y);
        }
      for (int i = 0; i < 4; i++)
        CHECK (same_bits (kept[0][i], kept[1][i]) && same_bits (kept[0][i], kept[2][i]));
      for (int k = 0; k < 3; k++)
        for (int i = 0; i < 4; i++)
          tp_tensor_free (kept[k][i]);
    }
  tp_set_threads (before);
}

static void
test_threads_of_score_layers (void)
{
  int before = tp_threads ();
  tp_tensor *kept[3][6];
  for (int threads = 1; threads <= 3; threads++)
    {
      tp_set_threads (threads);
      tp_tensor *x = normal (1, 4, SHAPE (3, 17, 19, 48)), *gamma = normal (2, 1, SHAPE (48));
      tp_tensor *beta = normal (3, 1, SHAPE (48)), *modulation = normal (4, 2, SHAPE (3, 96));
      tp_tape *tape = tp_tape_create ();
      tp_tape_enter (tape);
      tp_tensor *h = tp_group_norm (x, gamma, beta, modulation,
                                    (tp_group_norm_options) { 8, 1e-5f, true });
      tp_tensor *y = tp_self_attention (h, 2);
      tp_tape_enter (NULL);
      CHECK (tp_tape_backward (tape, y, y) == TP_OK);
      tp_tape_free (tape);
      tp_tensor *t[] = { y, x->grad, gamma->grad, beta->grad, modulation->grad, h };
      for (int i = 0; i < 6; i++)
        kept[threads - 1][i] = tp_copy (t[i]);
      tp_tensor *made[] = { x, gamma, beta, modulation, h, y };
      for (int i = 0; i < 6; i++)
        tp_tensor_free (made[i]);
    }
  for (int i = 0; i < 6; i++)
    CHECK (same_bits (kept[0][i], kept[1][i]) && same_bits (kept[0][i], kept[2][i]));
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < 6; i++)
      tp_tensor_free (kept[k][i]);
  tp_set_threads (before);
}

/* Where one logit is far above the others, attention copies that value; where all are equal, it
 * averages; logits beyond what exp can take in float32 do no harm. */
static void
test_attention_values (void)
{
  tp_tensor *qkv = tp_tensor_zeros (TP_F32, 4, SHAPE (1, 1, 100, 3));
  for (int i = 0; i < 100; i++)
    tp_f32 (qkv)[3 * i + 2] = (float) i;
  tp_tensor *mean = tp_self_attention (qkv, 1);
  for (int i = 0; i < 100; i++)
    {
      CHECK_CLOSE (tp_f32 (mean)[i], 49.5, 1e-4);
      tp_f32 (qkv)[3 * i] = 1e4f;
      tp_f32 (qkv)[3 * i + 1] = (float) (i == 70);
    }
  tp_tensor *chosen = tp_self_attention (qkv, 1);
  for (int i = 0; i < 100; i++)
    CHECK_CLOSE (tp_f32 (chosen)[i], 70, 1e-4);
  tp_tensor_free (qkv);
  tp_tensor_free (mean);
  tp_tensor_free (chosen);
}

/* Large means leave the variance as it is; SiLU of NaN is NaN, of large numbers they or 0. */
static void
test_group_norm_values (void)
{
  tp_tensor *x = normal (1, 4, SHAPE (2, 6, 7, 4)), *one = tp_tensor_zeros (TP_F32, 1, SHAPE (4));
  tp_tensor *zero = tp_tensor_zeros (TP_F32, 1, SHAPE (4));
  tp_fill (one, 1);
  tp_tensor *far = tp_affine (x, 1, 3000);
  tp_group_norm_options options = { 2, 1e-5f, false };
  tp_tensor *y = tp_group_norm (x, one, zero, NULL, options);
  tp_tensor *z = tp_group_norm (far, one, zero, NULL, options);
  for (int64_t i = 0; i < tp_tensor_count (x); i++)
    CHECK_CLOSE (tp_f32 (z)[i], tp_f32 (y)[i], 1e-3); /* 3000 is rounded to 2^-13 */
  double sum = tp_sum_f32 (tp_f32 (y), 168), squares = tp_dot_f32 (tp_f32 (y), tp_f32 (y), 168);
  CHECK_CLOSE (sum, 0, 1e-3);
  CHECK_CLOSE (squares / 168, 168. / 168, 1e-3);
  tp_f32 (one)[0] = 1000;
  tp_f32 (one)[1] = -1000;
  tp_f32 (one)[2] = NAN;
  tp_f32 (one)[3] = 0;
  tp_tensor *s = tp_silu (one);
  CHECK (tp_f32 (s)[0] == 1000 && fabsf (tp_f32 (s)[1]) < 1e-30f && isnan (tp_f32 (s)[2])
         && tp_f32 (s)[3] == 0);
  tp_tensor *t[] = { x, one, zero, far, y, z, s };
  for (int i = 0; i < 7; i++)
    tp_tensor_free (t[i]);
}

/* A diagonal matrix' largest entry; a 1 x 1 convolution's norm is its matrix';
 * and the penalty's gradient by finite differences. */
static void
test_spectral_norms (void)
{
  tp_tensor *w = tp_tensor_zeros (TP_F32, 2, SHAPE (4, 3)), *u = normal (5, 1, SHAPE (3));
  tp_f32 (w)[0] = 2;
  tp_f32 (w)[4] = -5;
  tp_f32 (w)[8] = 1;
  double sigma = 0, norm = 0;
  CHECK (tp_spectral_norm (w, u, 50, &sigma, NULL) == TP_OK);
  CHECK_CLOSE (sigma, 5, 1e-5);
  tp_tensor *window = tp_reshape (w, 4, SHAPE (1, 1, 4, 3));
  CHECK (tp_conv_norm (window, 6, 5, (tp_conv_options) { .stride = 1, .slope = 1 }, 60, 1, &norm) == TP_OK);
  CHECK_CLOSE (norm, 5, 1e-4);
  tp_tensor *box = tp_tensor_create (TP_F32, 4, SHAPE (3, 3, 1, 1));
  tp_fill (box, 1);
  /* A box window: its transfer function is at most 9, nearly reached on a large
   * image (cos (pi / 65) at the border's lowest frequency). */
  CHECK (tp_conv_norm (box, 64, 64, (tp_conv_options) { .stride = 1, .padding = 1, .slope = 1 }, 400, 1, &norm) == TP_OK);
  double edge = pow (1 + 2 * cos (M_PI / 65), 2);
  CHECK_CLOSE (norm, edge, 2e-3 * edge);

  tp_tensor *r = normal (6, 2, SHAPE (6, 5)), *v = normal (7, 1, SHAPE (5));
  tp_spectral_norm (r, v, 200, &sigma, NULL);
  CHECK (tp_spectral_penalty (r, v, 0.7, 1.5, &sigma) == TP_OK);
  tp_tensor *direction = normal (8, 2, SHAPE (6, 5));
  double along = tp_dot_f32 (tp_f32 (r->grad), tp_f32 (direction), 30), value[2];
  for (int side = 0; side < 2; side++)
    {
      tp_axpby (side ? -2e-2 : 1e-2, direction, 1, r);
      tp_spectral_norm (r, v, 200, &sigma, NULL);
      value[side] = 0.35 * (sigma - 1.5) * (sigma - 1.5);
    }
  CHECK_CLOSE ((value[0] - value[1]) / 2e-2, along, 1e-2 * fabs (along));
  CHECK (tp_spectral_norm (w, w, 1, &sigma, NULL) != TP_OK);
  CHECK (tp_spectral_norm (w, u, 0, &sigma, NULL) != TP_OK);
  tp_tensor *t[] = { w, u, window, box, r, v, direction };
  for (int i = 0; i < 7; i++)
    tp_tensor_free (t[i]);
}

static void
test_bad_input (void)
{
  tp_tensor *x = normal (1, 4, SHAPE (1, 4, 4, 2)), *w = normal (2, 4, SHAPE (3, 3, 3, 2));
  CHECK (tp_conv (&x, 1, w, NULL, NULL, (tp_conv_options) { .stride = 1, .padding = 1, .slope = 1 }) == NULL
         && strstr (tp_last_message (), "images: expected 3 channels, as the weights have, got 2"));
  CHECK (tp_conv (&x, 1, x, NULL, NULL, (tp_conv_options) { .stride = 1, .padding = 1, .slope = 1 }) == NULL);
  CHECK (tp_conv_adjoint (x, w, SHAPE (1, 9, 9, 3), (tp_conv_options) { .stride = 1, .padding = 1, .slope = 1 }) == NULL);
  tp_tensor *parts[] = { x, w, x, x, x };
  CHECK (tp_conv (parts, 5, w, NULL, NULL, same) == NULL
         && strstr (tp_last_message (), "expected 1 to 4 parts, got 5"));
  CHECK (tp_conv (parts, 2, w, NULL, NULL, same) == NULL
         && strstr (tp_last_message (), "expected parts of (1 4 4 ...), got (3 3 3 2)"));
  CHECK (tp_average_pool (x, 3) == NULL && tp_upsample (x, 0) == NULL);
  CHECK (tp_adam_step (x, w, x, x, 1, (tp_adam_options) { 0 }) == TP_BAD_SHAPE);
  tp_tape *tape = tp_tape_create ();
  CHECK (tp_tape_backward (tape, x, NULL) == TP_BAD_SHAPE);
  tp_tensor *one = tp_tensor_zeros (TP_F32, 0, NULL);
  CHECK (tp_tape_backward (tape, one, NULL) == TP_BAD_ARGUMENT);
  tp_tape_free (tape);
  tp_tensor_free (one);
  tp_tensor_free (x);
  tp_tensor_free (w);
}

CHECK_MAIN (test_layer_gradients, test_dsm_value, test_adam, test_adjoint, test_values,
            test_bf16_gradients, test_parts, test_folding, test_moments, test_batch_statistics,
            test_threads_change_no_bit, test_threads_of_score_layers, test_attention_values,
            test_group_norm_values, test_spectral_norms, test_bad_input)
