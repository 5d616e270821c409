/* eigen.h -- eigenvalues of Hermitian matrices, by LAPACK, which comes with OpenBLAS. */
#ifndef TP_EIGEN_H
#define TP_EIGEN_H

#include "tensor/tensor.h"

/* The eigenvalues of the Hermitian N x N matrix A, row-major, into VALUES, greatest first, and its
 * eigenvectors, of length 1, into the rows of A.  Any number of threads may call it at once. */
tp_status tp_eigen (int n, double complex *a, double *values);

/* The same of a tensor A, c64 (n n), of which the part on and above the diagonal is read: VALUES
 * f32 (n), VECTORS c64 (n n), a row each. */
tp_status tp_tensor_eigen (const tp_tensor *a, tp_tensor **values, tp_tensor **vectors);

#endif
