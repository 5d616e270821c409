/* readers.c -- every reader of files on bytes from anywhere.
 *
 * With libFuzzer (./bootstrap fuzz) the variable READER names the one to be tried; without, as the
 * test `test-fuzz', each reads its seeds and what once made it fall, the files of its folder in
 * seeds/, or of another that the variable SEEDS names.  A reader of a new format is a line of `readers' and a
 * folder. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cfl.h"
#include "io/fits.h"
#include "io/hdf5.h"
#include "io/ismrmrd.h"
#include "io/mat.h"
#include "io/mgh.h"
#include "io/nifti.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/tiff.h"
#include "tensor/tensor.h"

/* Looked at to its end, as whoever uses it would: freed memory, or too little, is seen. */
static void
use (tp_tensor *t)
{
  if (t && t->dtype == TP_F32)
    tp_all_finite (t);
  tp_tensor_free (t);
}

static void
read_npy (const char *path)
{
  use (tp_npy_load (path));
}

static void
read_png (const char *path)
{
  use (tp_png_load (path));
}

static void
read_nifti (const char *path)
{
  tp_geometry geometry;
  use (tp_nifti_load (path, -1, &geometry));
  use (tp_nifti_load (path, 1, &geometry));
}

static void
read_mgh (const char *path)
{
  tp_geometry geometry;
  use (tp_mgh_load (path, -1, &geometry));
  use (tp_mgh_load (path, 1, &geometry));
}

static void
read_tiff (const char *path)
{
  use (tp_tiff_load (path));
}

static void
read_fits (const char *path)
{
  int count = 0;
  tp_item *items = tp_fits_items (path, &count);
  for (int i = -1; i < count; i++)
    {
      char *cards;
      use (tp_fits_load (path, i < 0 ? -1 : atoi (items[i].name), &cards));
      free (cards);
    }
  if (items)
    tp_items_free (items, count);
}

static void
read_cfl (const char *path)
{
  use (tp_cfl_load (path));
}

static void
read_safetensors (const char *path)
{
  int64_t bytes;
  char *header = tp_safetensors_header (path, &bytes);
  if (header)
    {
      use (tp_safetensors_read (path, 0, tp_number_type_of ('f', 4), 2, (int64_t[]) { 2, bytes / 8 }));
      use (tp_safetensors_read (path, 0, tp_number_type_of ('b', 2), 1, (int64_t[]) { bytes / 2 }));
    }
  free (header);
}

/* Each of the arrays that ITEMS names. */
static void
read_items (const char *path, tp_item *items, int count, tp_tensor *(*load) (const char *, const char *))
{
  for (int i = 0; items && i < count; i++)
    use (load (path, items[i].name));
  use (load (path, "no such array"));
  tp_items_free (items, count);
}

static void
read_npz (const char *path)
{
  int count = 0;
  tp_item *items = tp_npz_items (path, &count);
  read_items (path, items, count, tp_npz_load);
}

static void
read_mat (const char *path)
{
  int count = 0;
  tp_item *items = tp_mat_items (path, &count);
  read_items (path, items, count, tp_mat_load);
}

static void
read_hdf5 (const char *path)
{
  int count = 0;
  tp_item *items = tp_hdf5_items (path, &count);
  for (int i = 0; items && i < count; i++)
    {
      double number;
      if (items[i].kind == 's')
        free (tp_hdf5_text (path, items[i].name));
      else if (items[i].name[0] == '@')
        tp_hdf5_number (path, items[i].name, &number);
      else
        use (tp_hdf5_load (path, items[i].name, 0, -1));
    }
  use (tp_hdf5_load (path, "no such array", 0, -1));
  tp_items_free (items, count);
}

static void
read_ismrmrd (const char *path)
{
  tp_ismrmrd scan;
  if (tp_ismrmrd_open (&scan, path) != TP_OK)
    return;
  for (int i = 0; i < scan.count; i++)
    {
      tp_tensor *data = NULL, *trajectory = NULL;
      if (tp_ismrmrd_read (path, &i, 1, &data, &trajectory) == TP_OK)
        {
          use (data);
          use (trajectory);
        }
    }
  tp_ismrmrd_close (&scan);
}

static const struct {
  const char *name;
  const char *file; /* what the bytes are called */
  const char *beside; /* another file that is there, of zeros; or NULL */
  void (*read) (const char *path);
} readers[] = {
  { "cfl", "a.hdr", "a.cfl", read_cfl },
  { "fits", "a.fits", NULL, read_fits },
  { "hdf5", "a.h5", NULL, read_hdf5 },
  { "ismrmrd", "a.mrd", NULL, read_ismrmrd },
  { "mat", "a.mat", NULL, read_mat },
  { "mgh", "a.mgh", NULL, read_mgh },
  { "mgh-gz", "a.mgz", NULL, read_mgh },
  { "nifti", "a.nii", NULL, read_nifti },
  { "nifti-gz", "a.nii.gz", NULL, read_nifti },
  { "nifti-pair", "a.hdr", "a.img", read_nifti },
  { "npy", "a.npy", NULL, read_npy },
  { "npz", "a.npz", NULL, read_npz },
  { "png", "a.png", NULL, read_png },
  { "safetensors", "a.safetensors", NULL, read_safetensors },
  { "tiff", "a.tiff", NULL, read_tiff },
};
enum { READERS = sizeof readers / sizeof *readers };

/* --- Bytes as a file ------------------------------------------------------------ */

static char folder[64];

static void
put (const char *name, const void *bytes, size_t count, char path[PATH_MAX])
{
  snprintf (path, PATH_MAX, "%s/%s", folder, name);
  FILE *file = fopen (path, "wb");
  if (!file || fwrite (bytes, 1, count, file) != count || fclose (file))
    {
      perror (path);
      exit (2);
    }
}

static void
make_folder (void)
{
  /* In memory, where there is such a place. */
  snprintf (folder, sizeof folder, "%s/tempera-fuzz-XXXXXX", access ("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
  if (!mkdtemp (folder))
    {
      perror (folder);
      exit (2);
    }
}

static void
remove_folder (void)
{
  char path[PATH_MAX];
  for (int i = 0; i < READERS; i++)
    for (int k = 0; k < 2; k++)
      {
        const char *name = k ? readers[i].beside : readers[i].file;
        snprintf (path, sizeof path, "%s/%s", folder, name ? name : "");
        if (name)
          unlink (path);
      }
  rmdir (folder);
}

static void
try_reader (int reader, const void *bytes, size_t count)
{
  static const char zeros[64];
  char path[PATH_MAX];
  if (readers[reader].beside)
    put (readers[reader].beside, zeros, sizeof zeros, path);
  put (readers[reader].file, bytes, count, path);
  readers[reader].read (path);
}

#ifdef FUZZ

int LLVMFuzzerInitialize (int *count, char ***words);
int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t count);

static int chosen;

int
LLVMFuzzerInitialize (int *count, char ***words)
{
  (void) count, (void) words;
  const char *name = getenv ("READER");
  for (chosen = 0; chosen < READERS; chosen++)
    if (name && !strcmp (readers[chosen].name, name))
      {
        make_folder ();
        atexit (remove_folder);
        return 0;
      }
  fprintf (stderr, "READER: expected one of");
  for (int i = 0; i < READERS; i++)
    fprintf (stderr, " %s", readers[i].name);
  fprintf (stderr, "\n");
  exit (2);
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t count)
{
  try_reader (chosen, bytes, count);
  return 0;
}

#else

#include "check.h"

static void
test_seeds (void)
{
  const char *seeds = getenv ("SEEDS");
  make_folder ();
  for (int i = 0; i < READERS; i++)
    {
      char name[PATH_MAX + 64], path[PATH_MAX + 512];
      snprintf (name, sizeof name, "%s/%s", seeds ? seeds : check_file ("fuzz/seeds"), readers[i].name);
      DIR *entries = opendir (name);
      int tried = 0;
      for (struct dirent *entry; entries && (entry = readdir (entries));)
        if (entry->d_name[0] != '.')
          {
            snprintf (path, sizeof path, "%s/%s", name, entry->d_name);
            FILE *file = fopen (path, "rb");
            static char bytes[1 << 20];
            size_t count = file ? fread (bytes, 1, sizeof bytes, file) : 0;
            if (file)
              fclose (file);
            try_reader (i, bytes, count);
            tried++;
          }
      if (entries)
        closedir (entries);
      if (!CHECK (tried > 0)) /* and none of them has brought it down */
        printf ("  no seeds: %s\n", name);
    }
  remove_folder ();
}

CHECK_MAIN (test_seeds)

#endif
