/* winograd_kernel.c -- the transforms of Winograd's F(4x4, 3x3).
 *
 * Each of B, A and G acts on rows, then on columns; the functions named after
 * them act on six (four, three) vectors at once.  Compiled once for each
 * instruction set, as conv_kernel.c. */
#include "nn/kernels/winograd_kernel.h"

#include "nn/kernels/vector.h"

enum { IN = TP_WINOGRAD_IN, OUT = TP_WINOGRAD_OUT, PLACES = TP_WINOGRAD_PLACES,
       M_TILE = PLACES * BLOCK };

#define INLINE static inline __attribute__ ((always_inline))

/* The points 0, P, -P, Q, -Q and infinity.  Of the simple fractions these lose the
 * least: with 0, 1, -1, 2, -2 the same products in bfloat16 are off by twice as much. */
#define P 0.75f
#define Q 1.5f
#define P2 (P * P)
#define Q2 (Q * Q)

/* B^T: for each point, the polynomial that is zero at all the others. */
INLINE void
b_transposed (vector t[6], const vector d[6])
{
  vector even_p = d[4] - Q2 * d[2], odd_p = d[3] - Q2 * d[1];
  vector even_q = d[4] - P2 * d[2], odd_q = d[3] - P2 * d[1];
  t[0] = P2 * Q2 * d[0] - ((P2 + Q2) * d[2] - d[4]);
  t[1] = even_p + P * odd_p;
  t[2] = even_p - P * odd_p;
  t[3] = even_q + Q * odd_q;
  t[4] = even_q - Q * odd_q;
  t[5] = P2 * Q2 * d[1] - ((P2 + Q2) * d[3] - d[5]);
}

/* A^T: row k is the points' k-th powers; infinity's is that of the highest. */
INLINE void
a_transposed (vector y[4], const vector m[6])
{
  vector even_p = m[1] + m[2], odd_p = m[1] - m[2], even_q = m[3] + m[4], odd_q = m[3] - m[4];
  y[0] = m[0] + even_p + even_q;
  y[1] = P * odd_p + Q * odd_q;
  y[2] = P2 * even_p + Q2 * even_q;
  y[3] = P2 * P * odd_p + (Q2 * Q * odd_q + m[5]);
}

INLINE void
a (vector z[6], const vector g[4])
{
  vector even_p = g[0] + P2 * g[2], odd_p = P * (g[1] + P2 * g[3]);
  vector even_q = g[0] + Q2 * g[2], odd_q = Q * (g[1] + Q2 * g[3]);
  z[0] = g[0];
  z[1] = even_p + odd_p;
  z[2] = even_p - odd_p;
  z[3] = even_q + odd_q;
  z[4] = even_q - odd_q;
  z[5] = g[3];
}

/* What G divides by: for each point, the product of its distances to the others. */
#define AT_0 (P2 * Q2)
#define AT_P (2 * P2 * (P2 - Q2))
#define AT_Q (2 * Q2 * (Q2 - P2))

INLINE void
g_matrix (vector u[6], const vector g[3])
{
  vector even_p = g[0] * (1 / AT_P) + g[2] * (P2 / AT_P), odd_p = g[1] * (P / AT_P);
  vector even_q = g[0] * (1 / AT_Q) + g[2] * (Q2 / AT_Q), odd_q = g[1] * (Q / AT_Q);
  u[0] = g[0] * (1 / AT_0);
  u[1] = even_p + odd_p;
  u[2] = even_p - odd_p;
  u[3] = even_q + odd_q;
  u[4] = even_q - odd_q;
  u[5] = g[2];
}

INLINE void
g_transposed (vector g[3], const vector u[6])
{
  vector even_p = u[1] + u[2], odd_p = u[1] - u[2], even_q = u[3] + u[4], odd_q = u[3] - u[4];
  g[0] = u[0] * (1 / AT_0) + (even_p * (1 / AT_P) + even_q * (1 / AT_Q));
  g[1] = odd_p * (P / AT_P) + odd_q * (Q / AT_Q);
  g[2] = even_p * (P2 / AT_P) + (even_q * (Q2 / AT_Q) + u[5]);
}

/* T d T^T for T from N to M numbers: columns through T as they are read, then rows as
 * they are written.  READ (i, j) is the value at row i, column j; WRITE (i, j, value)
 * takes the result's. */
#define UNROLL _Pragma ("GCC unroll 8")
#define SANDWICH(T, N, M, READ, WRITE)                 \
  do {                                                 \
    vector half[M][N];                                 \
    UNROLL for (int j = 0; j < N; j++)                 \
      {                                                \
        vector column[N], turned[M];                   \
        UNROLL for (int i = 0; i < N; i++)             \
          column[i] = READ (i, j);                     \
        T (turned, column);                            \
        UNROLL for (int i = 0; i < M; i++)             \
          half[i][j] = turned[i];                      \
      }                                                \
    UNROLL for (int i = 0; i < M; i++)                 \
      {                                                \
        vector turned[M];                              \
        T (turned, half[i]);                           \
        UNROLL for (int j = 0; j < M; j++)             \
          WRITE (i, j, turned[j]);                     \
      }                                                \
  } while (0)

/* The last vector of channels ends where they end, over a part of the one before. */
#define EACH_VECTOR(c, channels)                                           \
  for (int c = 0, last_ = (channels) - WIDTH; c < (channels);              \
       c = c < last_ && c + WIDTH > last_ ? last_ : c + WIDTH)

#define PLACE(p, i, j) ((p) + ((i) * 6 + (j)) * place + c)

/* --- The input ------------------------------------------------------------------- */

#define READ(i, j) load (rows[i] + columns[j] + c)

static void
input (void *to, int64_t place, const float *const rows[IN], const int64_t columns[IN],
       int channels)
{
  float *v = to;
#define WRITE(i, j, value) store (PLACE (v, i, j), value)
  EACH_VECTOR (c, channels)
    SANDWICH (b_transposed, 6, 6, READ, WRITE);
#undef WRITE
}

#define WRITE(i, j, value) store_bf16 (PLACE (v, i, j), value)

static void
input_bf16 (void *to, int64_t place, const float *const rows[IN], const int64_t columns[IN],
            int channels)
{
  uint16_t *v = to;
  EACH_VECTOR (c, channels)
    SANDWICH (b_transposed, 6, 6, READ, WRITE);
}

#undef READ
#undef WRITE

/* --- Products -------------------------------------------------------------------- */

/* T tiles' products at one place; T is a constant where this is inlined. */
INLINE void
product_of (const int T, float *m, const float *v, int64_t v_tile, const float *u, int64_t count)
{
  vector sum[PIXELS][2];
  UNROLL for (int t = 0; t < T; t++)
    sum[t][0] = sum[t][1] = (vector) { 0 };
  for (int64_t c = 0; c < count; c++, u += BLOCK)
    {
      vector u0 = load (u), u1 = load (u + WIDTH);
      UNROLL for (int t = 0; t < T; t++)
        {
          float x = v[t * v_tile + c];
          sum[t][0] += x * u0;
          sum[t][1] += x * u1;
        }
    }
  UNROLL for (int t = 0; t < T; t++)
    {
      store (m + t * M_TILE, sum[t][0]);
      store (m + t * M_TILE + WIDTH, sum[t][1]);
    }
}

static void
product (float *m, const void *inputs, int64_t v_tile, int64_t v_place, const void *weights,
         int64_t count, int64_t tiles)
{
  const float *v = inputs, *u = weights;
  for (int s = 0; s < PLACES; s++, m += BLOCK, v += v_place, u += count * BLOCK)
    for (int64_t t = 0; t < tiles; t += PIXELS)
      product_of (PIXELS, m + t * M_TILE, v + t * v_tile, v_tile, u, count);
}

/* The same with channels in PAIRS. */
INLINE void
product_bf16_of (const int T, float *m, const uint16_t *v, int64_t v_tile, const uint16_t *u,
                 int64_t pairs)
{
  vector sum[PIXELS][2];
  UNROLL for (int t = 0; t < T; t++)
    sum[t][0] = sum[t][1] = (vector) { 0 };
  for (int64_t c = 0; c < pairs; c++, u += 2 * BLOCK)
    {
      vector u0 = load_pairs (u), u1 = load_pairs (u + 2 * WIDTH);
      UNROLL for (int t = 0; t < T; t++)
        {
          vector x = broadcast_pair (v + t * v_tile + 2 * c);
          sum[t][0] = add_pairs (sum[t][0], x, u0);
          sum[t][1] = add_pairs (sum[t][1], x, u1);
        }
    }
  UNROLL for (int t = 0; t < T; t++)
    {
      store (m + t * M_TILE, sum[t][0]);
      store (m + t * M_TILE + WIDTH, sum[t][1]);
    }
}

static void
product_bf16 (float *m, const void *inputs, int64_t v_tile, int64_t v_place, const void *weights,
              int64_t count, int64_t tiles)
{
  const uint16_t *v = inputs, *u = weights;
  int64_t pairs = (count + 1) / 2;
  for (int s = 0; s < PLACES; s++, m += BLOCK, v += v_place, u += pairs * 2 * BLOCK)
    for (int64_t t = 0; t < tiles; t += PIXELS)
      product_bf16_of (PIXELS, m + t * M_TILE, v + t * v_tile, v_tile, u, pairs);
}

/* --- The output ------------------------------------------------------------------ */

#define READ(i, j) load (PLACE (m, i, j))

/* A^T m A at one vector of channels, a whole tile, with its epilogue. */
INLINE void
output_vector (float *out, int64_t row_stride, int64_t pixel_stride, const float *m, vector bias,
               const float *residual, const float slope)
{
  enum { place = BLOCK, c = 0 };
#define WRITE(i, j, value)                                             \
  do {                                                                 \
    int64_t at = (i) * row_stride + (j) * pixel_stride;                \
    vector sum = (value) + bias;                                       \
    if (residual)                                                      \
      sum += load (residual + at);                                     \
    store (out + at, activate (sum, slope));                           \
  } while (0)
  SANDWICH (a_transposed, 6, 4, READ, WRITE);
#undef WRITE
}

/* The same where ROWS, COLUMNS or COUNT are less than a tile's or a vector's. */
static void
output_part (float *out, int64_t row_stride, int64_t pixel_stride, const float *m, vector bias,
             const float *residual, float slope, int rows, int columns, int count)
{
  enum { place = BLOCK, c = 0 };
  vector y[OUT][OUT];
#define WRITE(i, j, value) y[i][j] = (value) + bias
  SANDWICH (a_transposed, 6, 4, READ, WRITE);
#undef WRITE
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++)
      {
        int64_t at = i * row_stride + j * pixel_stride;
        vector sum = y[i][j];
        if (residual)
          sum += load_part (residual + at, count);
        store_part (out + at, activate (sum, slope), count);
      }
}
#undef READ

static void
output (float *out, int64_t row_stride, int64_t pixel_stride, const float *m, int rows,
        int columns, int channels, const tp_epilogue *e)
{
  const float *bias = e->bias, *residual = e->residual, slope = e->slope;
  for (int c = 0; c < channels; c += WIDTH)
    {
      int count = channels - c < WIDTH ? channels - c : WIDTH;
      vector b = { 0 };
      if (bias)
        b = load (bias + c);
      const float *r = residual ? residual + c : NULL;
#define WHOLE(slope) output_vector (out + c, row_stride, pixel_stride, m + c, b, r, slope)
      /* Whole tiles have their constants known here. */
      if (rows < OUT || columns < OUT || count < WIDTH)
        output_part (out + c, row_stride, pixel_stride, m + c, b, r, slope, rows, columns, count);
      else if (slope == 0)
        WHOLE (0);
      else if (slope == 1)
        WHOLE (1);
      else
        WHOLE (slope);
#undef WHOLE
    }
}

/* --- Weights --------------------------------------------------------------------- */

#define TAP(i, j) (g + ((i) * 3 + (j)) * tap_stride + c)
#define READ(i, j) (here == WIDTH ? load (TAP (i, j)) : load_part (TAP (i, j), here))
#define WRITE(i, j, value) store (PLACE (u, i, j), value)

/* Of a block: place k to u[k * place + c], zeros to a whole block. */
static void
transform_weights (float *u, int64_t place, const float *g, int64_t tap_stride, int count)
{
  for (int c = 0; c < BLOCK; c += WIDTH)
    {
      int here = count - c < 0 ? 0 : count - c < WIDTH ? count - c : WIDTH;
      SANDWICH (g_matrix, 3, 6, READ, WRITE);
    }
}
#undef READ
#undef WRITE

static void
weights (void *to, int64_t counted, int64_t c, const float *g, int64_t tap_stride, int count)
{
  transform_weights ((float *) to + c * BLOCK, counted * BLOCK, g, tap_stride, count);
}

static void
weights_bf16 (void *to, int64_t counted, int64_t c, const float *g, int64_t tap_stride, int count)
{
  float line[PLACES * BLOCK];
  int64_t pairs = (counted + 1) / 2;
  transform_weights (line, BLOCK, g, tap_stride, count);
  for (int s = 0; s < PLACES; s++)
    {
      uint16_t *u = (uint16_t *) to + (s * pairs + c / 2) * 2 * BLOCK + c % 2;
      for (int i = 0; i < BLOCK; i++)
        {
          u[2 * i] = to_bf16 (line[s * BLOCK + i]);
          if (c % 2 == 0 && c + 1 == counted)
            u[2 * i + 1] = 0;
        }
    }
}

/* --- The weight gradient --------------------------------------------------------- */

static void
spread (float *z, int64_t place, const float *const rows[4], int64_t pixel_stride, int channels)
{
  EACH_VECTOR (c, channels)
    {
#define READ(i, j) load (rows[i] + (j) * pixel_stride + c)
#define WRITE(i, j, value) store (PLACE (z, i, j), value)
      SANDWICH (a, 4, 6, READ, WRITE);
#undef READ
#undef WRITE
    }
}

static void
taps (float *g, int64_t tap_stride, const float *u, int64_t place, int count)
{
  for (int c = 0; c < count; c += WIDTH)
    {
      int here = count - c < WIDTH ? count - c : WIDTH;
#define READ(i, j) load (PLACE (u, i, j))
#define WRITE(i, j, value) store_part (TAP (i, j), value, here)
      SANDWICH (g_transposed, 6, 3, READ, WRITE);
#undef READ
#undef WRITE
    }
}

#define NAME TP_KERNEL_NAME (tp_winograd_kernels_, TP_KERNEL_ISA)
extern const tp_winograd_kernels NAME;
const tp_winograd_kernels NAME = {
  .width = WIDTH,
  .float32 = { sizeof (float), input, product, weights },
  .bfloat16 = { sizeof (uint16_t), input_bf16, product_bf16, weights_bf16 },
  .output = output, .spread = spread, .taps = taps,
};
