/* winograd_kernel.c -- the transforms of Winograd's F(4x4, 3x3).
 *
 * Each of B, A and G acts on rows, then on columns; the functions named after
 * them act on six (four, three) vectors at once.  Compiled once for each
 * instruction set, as conv_kernel.c. */
#include "nn/kernels/winograd_kernel.h"

#include "nn/kernels/vector.h"

#define INLINE static inline __attribute__ ((always_inline))

/* B^T: the points 0, 1, -1, 2, -2 and infinity. */
INLINE void
b_transposed (vector t[6], const vector d[6])
{
  vector a = d[4] - 4 * d[2], b = d[3] - 4 * d[1];
  vector c = d[4] - d[2], e = 2 * (d[3] - d[1]);
  t[0] = 4 * d[0] - 5 * d[2] + d[4];
  t[1] = a + b;
  t[2] = a - b;
  t[3] = c + e;
  t[4] = c - e;
  t[5] = 4 * d[1] - 5 * d[3] + d[5];
}

INLINE void
a_transposed (vector y[4], const vector m[6])
{
  vector s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = m[0] + s + s2;
  y[1] = d + 2 * d2;
  y[2] = s + 4 * s2;
  y[3] = d + 8 * d2 + m[5];
}

INLINE void
a (vector z[6], const vector g[4])
{
  vector even = g[0] + g[2], odd = g[1] + g[3];
  vector even2 = g[0] + 4 * g[2], odd2 = 2 * g[1] + 8 * g[3];
  z[0] = g[0];
  z[1] = even + odd;
  z[2] = even - odd;
  z[3] = even2 + odd2;
  z[4] = even2 - odd2;
  z[5] = g[3];
}

INLINE void
g_matrix (vector u[6], const vector g[3])
{
  vector even = (g[0] + g[2]) * (-1.0f / 6), odd = g[1] * (-1.0f / 6);
  vector even2 = g[0] * (1.0f / 24) + g[2] * (1.0f / 6), odd2 = g[1] * (1.0f / 12);
  u[0] = g[0] * 0.25f;
  u[1] = even + odd;
  u[2] = even - odd;
  u[3] = even2 + odd2;
  u[4] = even2 - odd2;
  u[5] = g[2];
}

INLINE void
g_transposed (vector g[3], const vector u[6])
{
  vector s = u[1] + u[2], d = u[1] - u[2], s2 = u[3] + u[4], d2 = u[3] - u[4];
  g[0] = u[0] * 0.25f - s * (1.0f / 6) + s2 * (1.0f / 24);
  g[1] = d * (-1.0f / 6) + d2 * (1.0f / 12);
  g[2] = (s2 - s) * (1.0f / 6) + u[5];
}

/* T d T^T for T from N to M numbers: rows through T, then columns.  N and M are
 * constants where this is inlined. */
#define SANDWICH(T, N, M, result, tile)                \
  do {                                                 \
    vector half[M][N];                                 \
    _Pragma ("GCC unroll 6")                           \
    for (int j = 0; j < N; j++)                        \
      {                                                \
        vector column[N], turned[M];                   \
        _Pragma ("GCC unroll 6")                       \
        for (int i = 0; i < N; i++)                    \
          column[i] = tile[i][j];                      \
        T (turned, column);                            \
        _Pragma ("GCC unroll 6")                       \
        for (int i = 0; i < M; i++)                    \
          half[i][j] = turned[i];                      \
      }                                                \
    _Pragma ("GCC unroll 6")                           \
    for (int i = 0; i < M; i++)                        \
      T (result[i], half[i]);                          \
  } while (0)

static void
input (float *v, int64_t stride, const float *const rows[6], int channels)
{
  for (int c = 0; c < channels; c += WIDTH)
    {
      vector d[6][6], t[6][6];
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
          {
            const float *p = rows[i] + (int64_t) j * channels + c;
            d[i][j] = channels - c >= WIDTH ? load (p) : load_part (p, channels - c);
          }
      SANDWICH (b_transposed, 6, 6, t, d);
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
          store (v + (i * 6 + j) * stride + c, t[i][j]);
    }
}

static void
spread (float *z, int64_t stride, const float *const rows[4], int channels)
{
  for (int c = 0; c < channels; c += WIDTH)
    {
      vector g[4][4], t[6][6];
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
          {
            const float *p = rows[i] + (int64_t) j * channels + c;
            g[i][j] = channels - c >= WIDTH ? load (p) : load_part (p, channels - c);
          }
      SANDWICH (a, 4, 6, t, g);
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
          store (z + (i * 6 + j) * stride + c, t[i][j]);
    }
}

static void
output (float *out, int64_t row_stride, int64_t pixel_stride, const float *m, int64_t stride,
        int rows, int columns, int channels, const tp_epilogue *e)
{
  for (int c = 0; c < channels; c += WIDTH)
    {
      int count = channels - c < WIDTH ? channels - c : WIDTH;
      vector t[6][6], y[4][4];
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
          t[i][j] = load (m + (i * 6 + j) * stride + c);
      SANDWICH (a_transposed, 6, 4, y, t);
      vector bias = { 0 };
      if (e->bias)
        bias = load (e->bias + c);
      for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
          {
            int64_t at = i * row_stride + j * pixel_stride + c;
            vector sum = y[i][j] + bias;
            if (e->residual)
              sum += count == WIDTH ? load (e->residual + at) : load_part (e->residual + at, count);
            sum = activate (sum, e->slope);
            if (count == WIDTH)
              store (out + at, sum);
            else
              store_part (out + at, sum, count);
          }
    }
}

static void
weights (float *u, int64_t stride, const float *g, int64_t tap_stride, int count)
{
  for (int c = 0; c < BLOCK; c += WIDTH)
    {
      int here = count - c < 0 ? 0 : count - c < WIDTH ? count - c : WIDTH;
      vector w[3][3], t[6][6];
      for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
          {
            const float *p = g + (i * 3 + j) * tap_stride + c;
            w[i][j] = here == WIDTH ? load (p) : load_part (p, here);
          }
      SANDWICH (g_matrix, 3, 6, t, w);
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
          store (u + (i * 6 + j) * stride + c, t[i][j]);
    }
}

static void
taps (float *g, int64_t tap_stride, const float *u, int64_t stride, int count)
{
  for (int c = 0; c < count; c += WIDTH)
    {
      int here = count - c < WIDTH ? count - c : WIDTH;
      vector t[6][6], w[3][3];
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
          t[i][j] = load (u + (i * 6 + j) * stride + c);
      SANDWICH (g_transposed, 6, 3, w, t);
      for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
          store_part (g + (i * 3 + j) * tap_stride + c, w[i][j], here);
    }
}

#define NAME TP_KERNEL_NAME (tp_winograd_kernels_, TP_KERNEL_ISA)
extern const tp_winograd_kernels NAME;
const tp_winograd_kernels NAME = { WIDTH, input, spread, output, weights, taps };
