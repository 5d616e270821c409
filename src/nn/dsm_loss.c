/* dsm_loss.c -- equation 3, the denoising score-matching loss. */
#include "core/threads.h"
#include "nn/layers.h"

typedef struct {
  const float *q, *u, *sigma, *g;
  float *out;
  int64_t size; /* elements of one image */
} job;

/* Finite at sigma = 0, where u + sigma r is u + q whatever the sign. */
static inline float
sign_of (float sigma)
{
  return sigma < 0 ? -1.0f : 1.0f;
}

static void
loss_images (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t n = begin; n < end; n++)
    {
      const float *q = j->q + n * j->size, *u = j->u + n * j->size;
      float s = sign_of (j->sigma[n]);
      double sum = 0;
      for (int64_t i = 0; i < j->size; i++)
        {
          double residual = u[i] + s * q[i];
          sum += residual * residual;
        }
      j->out[n] = (float) (sum / (double) j->size);
    }
}

/* Of Q; that of U is this times sign (sigma). */
static void
gradient_images (void *context, int64_t begin, int64_t end)
{
  const job *j = context;
  for (int64_t n = begin; n < end; n++)
    {
      const float *restrict q = j->q + n * j->size, *restrict u = j->u + n * j->size;
      float *restrict out = j->out + n * j->size;
      float s = sign_of (j->sigma[n]), scale = 2.0f * j->g[n] / (float) j->size;
      for (int64_t i = 0; i < j->size; i++)
        out[i] = scale * s * (u[i] + s * q[i]);
    }
}

static int64_t
image_size (const tp_tensor *q)
{
  return q->shape[0] ? tp_tensor_count (q) / q->shape[0] : 0;
}

static tp_status
backward (const tp_record *r)
{
  tp_tensor *q = r->inputs[0], *u = r->inputs[1], *sigma = r->saved[0], *gq = tp_tensor_like (q), *gu = NULL;
  if (!gq)
    return tp_last_status ();
  int64_t size = image_size (q);
  job j = { tp_f32 (q), tp_f32 (u), tp_f32 (sigma), tp_f32 (r->output->grad), tp_f32 (gq), size };
  tp_parallel_for (q->shape[0], 1, gradient_images, &j);
  tp_status status = TP_OK;
  if (tp_wants_grad (u))
    {
      gu = tp_copy (gq);
      for (int64_t i = 0; gu && i < q->shape[0] * size; i++)
        tp_f32 (gu)[i] *= sign_of (tp_f32 (sigma)[i / size]);
      status = tp_accumulate_grad (u, gu);
    }
  if (status == TP_OK && tp_wants_grad (q))
    return tp_accumulate_grad (q, gq);
  tp_tensor_free (gq);
  return status;
}

tp_tensor *
tp_dsm_loss (tp_tensor *q, tp_tensor *u, const tp_tensor *sigma)
{
  if (tp_check (q, "scaled-score", TP_F32, -1) != TP_OK)
    return NULL;
  if (tp_tape_constant (sigma, "sigma") != TP_OK)
    return NULL;
  if (q->rank < 1)
    {
      tp_fail (TP_BAD_SHAPE, "scaled-score: expected a batch (N ...), got ()");
      return NULL;
    }
  if (tp_check_shape (u, "noise", TP_F32, q->rank, q->shape) != TP_OK
      || tp_check_shape (sigma, "sigma", TP_F32, 1, q->shape) != TP_OK)
    return NULL;
  tp_tensor *loss = tp_tensor_create (TP_F32, 1, q->shape);
  if (!loss)
    return NULL;
  job j = { tp_f32 (q), tp_f32 (u), tp_f32 (sigma), NULL, tp_f32 (loss), image_size (q) };
  tp_parallel_for (q->shape[0], 1, loss_images, &j);
  tp_record r = { .output = loss, .inputs = { q, u }, .input_count = 2,
                  .saved = { (tp_tensor *) sigma }, .unneeded = TP_OUTPUT_UNNEEDED };
  if (tp_tape_record (&r, backward) != TP_OK)
    {
      tp_tensor_free (loss);
      return NULL;
    }
  return loss;
}
