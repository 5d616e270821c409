/* geometry.c -- directions by libnifti, which orthogonalises the affine for them. */
#include "io/geometry.h"

#include <math.h>
#include <nifti2_io.h>
#include <string.h>

/* The direction of the axis that libnifti calls DIRECTION. */
static char
direction_letter (int direction)
{
  switch (direction)
    {
    case NIFTI_L2R: return 'R';
    case NIFTI_R2L: return 'L';
    case NIFTI_P2A: return 'A';
    case NIFTI_A2P: return 'P';
    case NIFTI_I2S: return 'S';
    case NIFTI_S2I: return 'I';
    default: return '?';
    }
}

void
tp_geometry_letters (const tp_geometry *g, char letters[4])
{
  int codes[3] = { 0 };
  nifti_dmat44 matrix = { { [3] = { 0, 0, 0, 1 } } };
  memcpy (matrix.m, g->affine, sizeof g->affine);
  strcpy (letters, "???");
  if (g->placed)
    nifti_dmat44_to_orientation (matrix, codes, codes + 1, codes + 2);
  if (codes[0])
    for (int i = 0; i < 3; i++)
      letters[i] = direction_letter (codes[2 - i]);
}

bool
tp_geometry_sound (const tp_geometry *g)
{
  for (int column = 0; column < 4; column++)
    {
      double length = hypot (hypot (g->affine[0][column], g->affine[1][column]), g->affine[2][column]);
      if (!isfinite (length) || (column < 3 && !(length > 0)))
        return false;
    }
  return true;
}

tp_status
tp_choose_volume (const char *path, int64_t volume, int *rank, int64_t *shape, tp_geometry *g,
                  int64_t *first)
{
  int before = *rank > 3 ? *rank - 3 : 0;
  int64_t volumes = 1, voxels = 1;
  for (int i = 0; i < *rank; i++)
    *(i < before ? &volumes : &voxels) *= shape[i];
  *first = 0;
  if (volume < 0)
    return TP_OK;
  if (volume >= volumes)
    return tp_fail (TP_BAD_ARGUMENT, "%s: volume: expected 0 to %lld, got %lld", path,
                    (long long) (volumes - 1), (long long) volume);
  *first = volume * voxels;
  *rank -= before;
  memmove (shape, shape + before, (size_t) *rank * sizeof *shape);
  memmove (g->spacing, g->spacing + before, (size_t) *rank * sizeof *g->spacing);
  return TP_OK;
}
