/* eigen.c -- Hermitian matrices in double, by LAPACK's zheevd. */
#include "tensor/eigen.h"

#include "tensor/blas.h"

/* The lengths at the end are of the letters, as Fortran passes them. */
void zheevd_ (const char *job, const char *part, const int *n, double complex *a, const int *stride,
              double *values, double complex *work, const int *work_length, double *real_work,
              const int *real_length, int *whole_work, const int *whole_length, int *info,
              size_t job_length, size_t part_length);

/* What LAPACK sees, by columns, is the transpose of A, so its conjugate, with conjugate
 * eigenvectors.  PART U of it is what is on and below A's diagonal; L above. */
static int
solve (int n, double complex *a, double *values, double complex *work, int work_length, double *real_work,
       int real_length, int *whole_work, int whole_length)
{
  int info = 0;
  zheevd_ ("V", "L", &n, a, &n, values, work, &work_length, real_work, &real_length, whole_work,
           &whole_length, &info, 1, 1);
  return info;
}

tp_status
tp_eigen (int n, double complex *a, double *values)
{
  if (n < 1)
    return TP_OK;
  tp_blas_prepare ();
  double complex length;
  double real_length;
  int whole_length;
  solve (n, a, values, &length, -1, &real_length, -1, &whole_length, -1);
  size_t complexes = (size_t) creal (length), reals = (size_t) real_length, wholes = (size_t) whole_length;
  double complex *work = tp_scratch_alloc (complexes * sizeof *work);
  double *real_work = tp_scratch_alloc (reals * sizeof *real_work);
  int *whole_work = tp_scratch_alloc (wholes * sizeof *whole_work);
  int info = 0;
  bool room = work && real_work && whole_work;
  if (room)
    info = solve (n, a, values, work, (int) complexes, real_work, (int) reals, whole_work, (int) wholes);
  tp_scratch_free (work);
  tp_scratch_free (real_work);
  tp_scratch_free (whole_work);
  if (!room)
    return tp_fail (TP_NO_MEMORY, "no memory for the eigenvalues of a matrix of %d rows", n);
  if (info)
    return tp_fail (TP_BAD_VALUE, "a: its eigenvalues were not found; are all its numbers finite?");
  /* Greatest first, and no conjugates any more. */
  for (int i = 0; i < (n + 1) / 2; i++)
    {
      int other = n - 1 - i;
      double value = values[i];
      values[i] = values[other];
      values[other] = value;
      for (int k = 0; k < n; k++)
        {
          double complex one = conj (a[i * n + k]);
          a[i * n + k] = conj (a[other * n + k]);
          a[other * n + k] = one;
        }
    }
  return TP_OK;
}

tp_status
tp_tensor_eigen (const tp_tensor *a, tp_tensor **values, tp_tensor **vectors)
{
  if (tp_check_shape (a, "a", TP_C64, 2, (int64_t[]) { -1, a->rank == 2 ? a->shape[0] : -1 }))
    return tp_last_status ();
  if (!tp_all_finite (a))
    return tp_fail (TP_BAD_VALUE, "a: expected finite numbers");
  int64_t n = a->shape[0];
  if (n > 4096)
    return tp_fail (TP_UNSUPPORTED, "a: expected at most 4096 rows, got %lld", (long long) n);
  double *numbers = tp_scratch_alloc ((size_t) (n + 1 + 2 * n * n) * sizeof *numbers);
  *values = tp_tensor_create (TP_F32, 1, &n);
  *vectors = tp_tensor_like (a);
  tp_status status = numbers && *values && *vectors ? TP_OK : TP_NO_MEMORY;
  if (status)
    tp_fail (status, "no memory for the eigenvalues of a matrix of %lld rows", (long long) n);
  else
    {
      double complex *matrix = (double complex *) (numbers + n + n % 2);
      for (int64_t i = 0; i < n * n; i++)
        matrix[i] = tp_c64 (a)[i];
      status = tp_eigen ((int) n, matrix, numbers);
      for (int64_t i = 0; !status && i < n * n; i++)
        tp_c64 (*vectors)[i] = (tp_complex) matrix[i];
      for (int64_t i = 0; !status && i < n; i++)
        tp_f32 (*values)[i] = (float) numbers[i];
    }
  tp_scratch_free (numbers);
  if (status)
    {
      tp_tensor_free (*values);
      tp_tensor_free (*vectors);
    }
  return status;
}
