/* row_eigen.h -- the eigenvectors of imaging with several coils, where whole columns are measured.
 *
 * Then A^H A = sum_c conj (s_c) F^H diag (table) F s_c, with a table over columns, takes each row of an
 * image to itself: it is as many small matrices as there are rows.  With their eigenvectors any function
 * of A^H A is two products of matrices, which cost less than the Fourier transforms of A^H A itself. */
#ifndef TP_ROW_EIGEN_H
#define TP_ROW_EIGEN_H

#include "tensor/tensor.h"

/* Of the sensitivities S, c64 (K H W), and TABLE, f32 (W) over centred columns: VALUES, f32 (H W),
 * greatest first in each row, and VECTORS, c64 (H W W), a row of the last two axes each. */
tp_status tp_row_eigen (const tp_tensor *s, const tp_tensor *table, tp_tensor **values, tp_tensor **vectors);

/* U diag (WEIGHTS) U^H X of images X, c64 (C H W): WEIGHTS, f32 (H W), in place of the values. */
tp_tensor *tp_row_multiply (const tp_tensor *x, const tp_tensor *vectors, const tp_tensor *weights);

#endif
