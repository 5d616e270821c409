/* ismrmrd.c -- libismrmrd behind a trial in a child process: its files are HDF5. */
#include "io/ismrmrd.h"

#include <hdf5.h>
#include <ismrmrd/dataset.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/hdf5.h"
#include "io/trial.h"

static void
ignore_error (const char *file, int line, const char *function, int code, const char *message)
{
  (void) file, (void) line, (void) function, (void) code, (void) message;
}

static tp_status
damaged (const char *path)
{
  return tp_fail (TP_BAD_FILE, "%s: truncated or damaged: its acquisitions are not understood", path);
}

static tp_status
open_dataset (ISMRMRD_Dataset *dataset, const char *path)
{
  ismrmrd_set_error_handler (ignore_error);
  /* The library's own ismrmrd_open_dataset opens files to be written, which many may not be. */
  if (ismrmrd_init_dataset (dataset, path, "dataset") != ISMRMRD_NOERROR)
    return tp_fail (TP_NO_MEMORY, "%s: no memory for an ISMRMRD reader", path);
  dataset->fileid = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (dataset->fileid >= 0)
    return TP_OK;
  dataset->fileid = 0;
  ismrmrd_close_dataset (dataset);
  return damaged (path);
}

static tp_acquisition
about (const ISMRMRD_AcquisitionHeader *h)
{
  tp_acquisition a = {
    .flags = h->flags, .coils = h->active_channels, .samples = h->number_of_samples,
    .center = h->center_sample, .discard_pre = h->discard_pre, .discard_post = h->discard_post,
    .dimensions = h->trajectory_dimensions, .encoding = h->encoding_space_ref,
    .step_1 = h->idx.kspace_encode_step_1, .step_2 = h->idx.kspace_encode_step_2,
    .average = h->idx.average, .slice = h->idx.slice, .contrast = h->idx.contrast,
    .phase = h->idx.phase, .repetition = h->idx.repetition, .set = h->idx.set,
  };
  memcpy (a.position, h->position, sizeof a.position);
  memcpy (a.directions[0], h->read_dir, sizeof a.directions[0]);
  memcpy (a.directions[1], h->phase_dir, sizeof a.directions[1]);
  memcpy (a.directions[2], h->slice_dir, sizeof a.directions[2]);
  return a;
}

/* Whether A's buffers have the sizes that its header says. */
static bool
consistent (const ISMRMRD_Acquisition *a)
{
  const ISMRMRD_AcquisitionHeader *h = &a->head;
  return h->active_channels > 0 && h->number_of_samples > 0 && a->data
         && (h->trajectory_dimensions == 0 || a->traj);
}

static tp_status
read_headers (tp_ismrmrd *scan, const char *path)
{
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return tp_last_status ();
  fclose (file);
  ISMRMRD_Dataset dataset;
  ISMRMRD_Acquisition a;
  tp_status status = open_dataset (&dataset, path);
  if (status != TP_OK)
    return status;
  uint32_t count = ismrmrd_get_number_of_acquisitions (&dataset);
  /* An acquisition has a header of 340 bytes. */
  if (count == 0 || count > length / 340)
    status = damaged (path);
  else if (!(scan->acquisitions = calloc (count, sizeof *scan->acquisitions)))
    status = tp_fail (TP_NO_MEMORY, "%s: no memory for %u acquisitions", path, count);
  ismrmrd_init_acquisition (&a);
  for (uint32_t i = 0; status == TP_OK && i < count; i++)
    {
      if (ismrmrd_read_acquisition (&dataset, i, &a) != ISMRMRD_NOERROR || !consistent (&a))
        status = damaged (path);
      scan->acquisitions[i] = about (&a.head);
      scan->count = (int) i + 1;
    }
  ismrmrd_cleanup_acquisition (&a);
  ismrmrd_close_dataset (&dataset);
  return status;
}

static void
try_headers (void *path)
{
  tp_ismrmrd scan = { 0 };
  read_headers (&scan, path);
}

tp_status
tp_ismrmrd_open (tp_ismrmrd *scan, const char *path)
{
  *scan = (tp_ismrmrd) { 0 };
  /* (libismrmrd does not read texts in UTF-8.) */
  scan->xml = tp_hdf5_text (path, "dataset/xml");
  tp_status status = scan->xml ? tp_trial (path, try_headers, (void *) path) : tp_last_status ();
  if (status == TP_OK)
    status = read_headers (scan, path);
  if (status != TP_OK)
    tp_ismrmrd_close (scan);
  return status;
}

void
tp_ismrmrd_close (tp_ismrmrd *scan)
{
  free (scan->xml);
  free (scan->acquisitions);
  *scan = (tp_ismrmrd) { 0 };
}

static tp_status
copy_acquisition (const ISMRMRD_Acquisition *a, tp_tensor **data, tp_tensor **trajectory)
{
  int coils = a->head.active_channels, samples = a->head.number_of_samples;
  int dimensions = a->head.trajectory_dimensions;
  if (!(*data = tp_tensor_create (TP_C64, 2, (int64_t[]) { coils, samples })))
    return tp_last_status ();
  memcpy (tp_c64 (*data), a->data, (size_t) coils * (size_t) samples * sizeof (tp_complex));
  if (dimensions == 0)
    return TP_OK;
  if (!(*trajectory = tp_tensor_create (TP_F32, 2, (int64_t[]) { samples, dimensions })))
    return tp_last_status ();
  memcpy (tp_f32 (*trajectory), a->traj,
          (size_t) samples * (size_t) dimensions * sizeof (float));
  return TP_OK;
}

/* The headers were read in a child process, and with them, since the library reads both at once,
 * these samples. */
tp_status
tp_ismrmrd_read (const char *path, const int *indices, int count, tp_tensor **data,
                 tp_tensor **trajectories)
{
  ISMRMRD_Dataset dataset;
  ISMRMRD_Acquisition a;
  tp_status status = open_dataset (&dataset, path);
  if (status != TP_OK)
    return status;
  uint32_t there = ismrmrd_get_number_of_acquisitions (&dataset);
  ismrmrd_init_acquisition (&a);
  for (int i = 0; status == TP_OK && i < count; i++)
    if ((uint32_t) indices[i] >= there
        || ismrmrd_read_acquisition (&dataset, (uint32_t) indices[i], &a) != ISMRMRD_NOERROR
        || !consistent (&a))
      status = damaged (path);
    else
      status = copy_acquisition (&a, data + i, trajectories + i);
  ismrmrd_cleanup_acquisition (&a);
  ismrmrd_close_dataset (&dataset);
  return status;
}
