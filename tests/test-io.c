/* test-io.c -- each format: round trips, and files that lie.  Long, since each format is here. */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <tiffio.h>
#include <unistd.h>
#include <zlib.h>

#include "check.h"
#include "io/file.h"
#include "io/mgh.h"
#include "io/nifti.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/tiff.h"
#include "io/trial.h"

/* --- A folder of our own -------------------------------------------------- */

static char folder[64];

static const char *
file_in_folder (const char *name)
{
  static char paths[16][sizeof folder + 257];
  static int next;
  char *path = paths[next++ % 16];
  snprintf (path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static const char *
write_bytes (const char *name, const void *data, size_t bytes)
{
  const char *path = file_in_folder (name);
  FILE *file = fopen (path, "wb");
  fwrite (data, 1, bytes, file);
  fclose (file);
  return path;
}

/* The first BYTES of FROM, as NAME. */
static const char *
cut (const char *name, const char *from, size_t bytes)
{
  static char data[1 << 16];
  FILE *file = fopen (from, "rb");
  size_t there = fread (data, 1, sizeof data, file);
  fclose (file);
  return write_bytes (name, data, bytes < there ? bytes : there);
}

static int
count_files (void)
{
  int count = 0;
  DIR *directory = opendir (folder);
  while (readdir (directory))
    count++;
  closedir (directory);
  return count - 2;
}

static void
make_folder (void)
{
  strcpy (folder, "/tmp/tempera-io-XXXXXX");
  CHECK (mkdtemp (folder) != NULL);
}

static void
remove_folder (void)
{
  DIR *directory = opendir (folder);
  for (struct dirent *entry; (entry = readdir (directory)); )
    unlink (file_in_folder (entry->d_name));
  closedir (directory);
  CHECK (!rmdir (folder));
}

static tp_tensor *
ramp (tp_dtype dtype, int rank, const int64_t *shape)
{
  tp_tensor *t = tp_tensor_create (dtype, rank, shape);
  float *data = dtype == TP_C64 ? (float *) tp_c64 (t) : tp_f32 (t);
  int64_t numbers = tp_tensor_count (t) * (dtype == TP_C64 ? 2 : 1);
  for (int64_t i = 0; i < numbers; i++)
    data[i] = (float) i * 0.5f - 3.0f;
  return t;
}

static bool
same (const tp_tensor *a, const tp_tensor *b)
{
  if (!a || !b || a->dtype != b->dtype || !tp_same_shape (a, b))
    return false;
  const void *x = a->dtype == TP_C64 ? (void *) tp_c64 (a) : (void *) tp_f32 (a);
  const void *y = b->dtype == TP_C64 ? (void *) tp_c64 (b) : (void *) tp_f32 (b);
  return !memcmp (x, y, (size_t) tp_tensor_count (a) * tp_dtype_size (a->dtype));
}

/* A load that returns nothing, says why and has the status EXPECTED. */
#define CHECK_NO_TENSOR(expected, call) \
  check_report ((call) == NULL && tp_last_status () == (expected), __FILE__, __LINE__, \
                #call " fails")

/* The same, and its message has TEXT. */
#define CHECK_SAYS(text, expected, call) \
  do \
    if (CHECK_NO_TENSOR (expected, call) && !CHECK (strstr (tp_last_message (), text) != NULL)) \
      printf ("  %s: %s\n", text, tp_last_message ()); \
  while (0)

/* --- npy ------------------------------------------------------------------ */

static void
test_npy_round_trip (void)
{
  const struct { tp_dtype dtype; int rank; int64_t shape[4]; } cases[]
    = { { TP_F32, 0, { 0 } }, { TP_F32, 1, { 5 } }, { TP_C64, 2, { 3, 4 } },
        { TP_F32, 4, { 2, 3, 1, 5 } }, { TP_F32, 2, { 0, 7 } } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      tp_tensor *t = ramp (cases[i].dtype, cases[i].rank, cases[i].shape);
      const char *path = file_in_folder ("round.npy");
      CHECK (tp_npy_save (path, t) == TP_OK);
      tp_tensor *back = tp_npy_load (path);
      CHECK (same (t, back));
      tp_tensor_free (back);
      tp_tensor_free (t);
    }
}

/* HEADER as version VERSION, then DATA. */
static const char *
make_npy (int version, const char *header, const void *data, size_t bytes)
{
  unsigned char file[1024] = { 0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char) version, 0 };
  size_t length = strlen (header), at = version == 1 ? 10 : 12;
  file[8] = (unsigned char) length;
  file[9] = (unsigned char) (length >> 8);
  memcpy (file + at, header, length);
  if (bytes)
    memcpy (file + at + length, data, bytes);
  return write_bytes ("made.npy", file, at + length + bytes);
}

static void
test_npy_types (void)
{
  const int16_t i2[6] = { 0, 1, 2, 3, 4, -5 };
  tp_tensor *t = tp_npy_load (make_npy (2, "{'descr': '<i2', 'fortran_order': False,"
                                           " 'shape': (2, 3), }", i2, sizeof i2));
  CHECK (t && t->rank == 2 && t->shape[1] == 3 && tp_f32 (t)[5] == -5 && tp_f32 (t)[1] == 1);
  tp_tensor_free (t);
  /* Fortran's order, keys in another order, no last comma. */
  t = tp_npy_load (make_npy (3, "{\"shape\":(2,3),'fortran_order':True,'descr':'<i2'}\n",
                             i2, sizeof i2));
  CHECK (t && t->shape[0] == 2 && t->shape[1] == 3);
  CHECK (t && tp_f32 (t)[0] == 0 && tp_f32 (t)[1] == 2 && tp_f32 (t)[3] == 1);
  tp_tensor_free (t);
  const double c16[4] = { 1, 2, 3, 4 };
  t = tp_npy_load (make_npy (1, "{'descr': '<c16', 'fortran_order': False, 'shape': (2,), }",
                             c16, sizeof c16));
  CHECK (t && t->dtype == TP_C64 && crealf (tp_c64 (t)[1]) == 3 && cimagf (tp_c64 (t)[1]) == 4);
  tp_tensor_free (t);
  const uint16_t f2[2] = { 0x3c00, 0xc100 }; /* 1 and -2.5 */
  t = tp_npy_load (make_npy (1, "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }",
                             f2, sizeof f2));
  CHECK (t && tp_f32 (t)[0] == 1 && tp_f32 (t)[1] == -2.5f);
  tp_tensor_free (t);
}

static void
test_npy_byte_orders (void)
{
  static const struct { const char *descr; unsigned char bytes[16]; size_t length; float re, im; }
    cases[] = {
      { ">f4", { 0xc0, 0x20, 0, 0 }, 4, -2.5f, 0 },
      { ">f8", { 0x40, 0x04, 0, 0, 0, 0, 0, 0 }, 8, 2.5f, 0 },
      { ">f2", { 0xc1, 0x00 }, 2, -2.5f, 0 },
      { ">i2", { 0xff, 0xfe }, 2, -2, 0 },
      { ">u2", { 1, 2 }, 2, 258, 0 },
      { ">i4", { 0, 1, 0, 2 }, 4, 65538, 0 },
      { ">i8", { 0, 0, 0, 0, 0, 0, 1, 2 }, 8, 258, 0 },
      { ">u1", { 7 }, 1, 7, 0 },
      { "|b1", { 1 }, 1, 1, 0 },
      { ">c8", { 0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0 }, 8, 1, -2.5f },
      { ">c16", { 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x40, 0x04, 0, 0, 0, 0, 0, 0 }, 16, 1, 2.5f },
    };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
      char header[128];
      snprintf (header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (1,)}",
                cases[i].descr);
      tp_tensor *t = tp_npy_load (make_npy (1, header, cases[i].bytes, cases[i].length));
      bool pair = cases[i].length > 4 && strchr (cases[i].descr, 'c');
      if (!CHECK (t && t->dtype == (pair ? TP_C64 : TP_F32)
                  && (pair ? crealf (tp_c64 (t)[0]) == cases[i].re
                             && cimagf (tp_c64 (t)[0]) == cases[i].im
                           : tp_f32 (t)[0] == cases[i].re)))
        printf ("  %s: %s\n", cases[i].descr, tp_last_message ());
      tp_tensor_free (t);
    }
}

/* What float32 cannot hold is named; what was infinite or NaN stays. */
static void
test_npy_range (void)
{
  static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}";
  const double fine[4] = { 1e-300, -INFINITY, 3.4028234e38, NAN }, beyond[4] = { 0, 1, -1e300, 2 };
  tp_tensor *t = tp_npy_load (make_npy (1, header, fine, sizeof fine));
  CHECK (t && tp_f32 (t)[0] == 0 && tp_f32 (t)[1] == -INFINITY && tp_f32 (t)[2] == 3.4028234e38f
         && isnan (tp_f32 (t)[3]));
  tp_tensor_free (t);
  CHECK_SAYS ("number 2 is -1e+300", TP_BAD_VALUE,
              tp_npy_load (make_npy (1, header, beyond, sizeof beyond)));
  CHECK_SAYS ("number 2 is -1e+300", TP_BAD_VALUE,
              tp_npy_load (make_npy (1, "{'descr': '<c16', 'fortran_order': False, 'shape': (2,)}",
                                     beyond, sizeof beyond)));
}

/* --- Files of other formats, cut and damaged ones -------------------------- */

static void
test_npy_mistaken (void)
{
  CHECK_SAYS ("got a zip archive", TP_BAD_FILE,
              tp_npy_load (write_bytes ("a.npy", "PK\3\4............", 16)));
  CHECK_SAYS ("got an HDF5 file", TP_BAD_FILE,
              tp_npy_load (write_bytes ("a.npy", "\x89HDF\r\n\x1a\n........", 16)));
  CHECK_SAYS ("got an empty file", TP_BAD_FILE, tp_npy_load (write_bytes ("a.npy", "", 0)));
  CHECK_SAYS ("not an npy file", TP_BAD_FILE, tp_npy_load (write_bytes ("a.npy", "Good day", 8)));
  CHECK_SAYS ("got an npy file", TP_BAD_FILE,
              tp_png_load (write_bytes ("a.png", "\x93NUMPY\1\0v\0{'des", 16)));
  CHECK_SAYS ("got a JPEG picture", TP_BAD_FILE,
              tp_png_load (write_bytes ("a.png", "\xff\xd8\xff\xe0....JFIF", 12)));
  const float data[4] = { 0 };
  CHECK_SAYS ("12 bytes follow its array", TP_BAD_FILE,
              tp_npy_load (make_npy (1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
                                     data, sizeof data)));
}

static void
test_npy_hostile (void)
{
  const float data[4] = { 0 };
  static const struct { tp_status status; const char *header; } cases[] = {
    { TP_BAD_FILE, "" },
    { TP_BAD_FILE, "{" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False,"
                   " 'shape': (4294967296, 4294967296, 4294967296)}" },
    { TP_BAD_FILE, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}" },
    { TP_UNSUPPORTED, "{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}" },
    { TP_UNSUPPORTED, "{'descr': '=f4', 'fortran_order': False, 'shape': (1,)}" },
    { TP_UNSUPPORTED, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}" },
    { TP_UNSUPPORTED, "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (!CHECK_NO_TENSOR (cases[i].status,
                          tp_npy_load (make_npy (1, cases[i].header, data, sizeof data))))
      printf ("  %s: %s\n", cases[i].header, tp_last_message ());
  CHECK_NO_TENSOR (TP_UNSUPPORTED, tp_npy_load (make_npy (9, "{}", data, 4)));
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_npy_load (write_bytes ("text.npy", "Good morning", 12)));
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_npy_load (write_bytes ("empty.npy", "", 0)));
  CHECK_NO_TENSOR (TP_BAD_FILE,
                   tp_npy_load (write_bytes ("long.npy", "\x93NUMPY\x02\0" "\xff\xff\xff\xff{", 13)));
  CHECK_NO_TENSOR (TP_IO, tp_npy_load (file_in_folder ("missing.npy")));
  CHECK_NO_TENSOR (TP_IO, tp_npy_load (folder));
  CHECK_NO_TENSOR (TP_IO, tp_npy_load ("/dev/zero"));

  /* Cut anywhere, it is an error and not a crash. */
  tp_tensor *t = ramp (TP_C64, 2, (int64_t[]) { 3, 4 });
  CHECK (tp_npy_save (file_in_folder ("whole.npy"), t) == TP_OK);
  for (size_t bytes = 0; bytes < 128 + 96; bytes += 7)
    CHECK_NO_TENSOR (TP_BAD_FILE,
                     tp_npy_load (cut ("cut.npy", file_in_folder ("whole.npy"), bytes)));
  tp_tensor_free (t);
}

/* --- Whole or not at all -------------------------------------------------- */

static void
test_writing_is_atomic (void)
{
  tp_tensor *old = ramp (TP_F32, 1, (int64_t[]) { 4 });
  const char *path = file_in_folder ("kept.npy");
  CHECK (tp_npy_save (path, old) == TP_OK);
  int files = count_files ();

  /* A content that failed leaves the old file and no temporary. */
  tp_writer writer;
  CHECK (tp_writer_open (&writer, path) == TP_OK);
  CHECK (tp_writer_write (&writer, "half", 4) == TP_OK);
  CHECK (tp_writer_close (&writer, tp_fail (TP_BAD_VALUE, "stop")) == TP_BAD_VALUE);
  tp_tensor *back = tp_npy_load (path);
  CHECK (same (old, back));
  CHECK (count_files () == files);
  tp_tensor_free (back);

  /* A full disk is reported, for what fits a buffer and for what does not. */
  tp_tensor *large = ramp (TP_F32, 1, (int64_t[]) { 100000 });
  tp_tensor *picture = ramp (TP_F32, 2, (int64_t[]) { 64, 64 });
  CHECK_FAILS (TP_NO_SPACE, tp_npy_save ("/dev/full", old));
  CHECK_FAILS (TP_NO_SPACE, tp_npy_save ("/dev/full", large));
  CHECK_FAILS (TP_NO_SPACE, tp_png_save ("/dev/full", picture, 0, 1, 8));
  CHECK_FAILS (TP_NO_SPACE, tp_safetensors_write ("/dev/full", "{}",
                                            (const tp_tensor *[]) { large }, 1, false));
  struct stat about;
  CHECK (!stat ("/dev/full", &about) && S_ISCHR (about.st_mode));
  CHECK_FAILS (TP_IO, tp_npy_save (file_in_folder ("no/such/folder.npy"), old));
  CHECK_FAILS (TP_IO, tp_npy_save (folder, old));

  /* A symbolic link stays a link. */
  CHECK (!symlink (path, file_in_folder ("link.npy")));
  CHECK (tp_npy_save (file_in_folder ("link.npy"), large) == TP_OK);
  CHECK (!lstat (file_in_folder ("link.npy"), &about) && S_ISLNK (about.st_mode));
  back = tp_npy_load (path);
  CHECK (same (large, back));
  tp_tensor_free (back);
  tp_tensor_free (picture);
  tp_tensor_free (large);
  tp_tensor_free (old);
}

/* --- PNG ------------------------------------------------------------------ */

static void
test_png_round_trip (void)
{
  const char *path = file_in_folder ("round.png");
  for (int bits = 8; bits <= 16; bits += 8)
    for (int channels = 1; channels <= 3; channels += 2)
      {
        tp_tensor *t = tp_tensor_create (TP_F32, channels == 3 ? 3 : 2,
                                         (int64_t[]) { 5, 7, 3 });
        int64_t count = tp_tensor_count (t);
        int full = bits == 16 ? 65535 : 255;
        for (int64_t i = 0; i < count; i++)
          tp_f32 (t)[i] = (float) (i * full / (count - 1));
        CHECK (tp_png_save (path, t, 0, full, bits) == TP_OK);
        tp_tensor *back = tp_png_load (path);
        CHECK (same (t, back));
        tp_tensor_free (back);
        tp_tensor_free (t);
      }
  /* Clipping, rounding, and what is no number. */
  tp_tensor *t = tp_tensor_create (TP_F32, 2, (int64_t[]) { 1, 4 });
  memcpy (tp_f32 (t), (float[]) { -9, NAN, 0.5f, INFINITY }, 4 * sizeof (float));
  CHECK (tp_png_save (path, t, 0, 1, 8) == TP_OK);
  tp_tensor *back = tp_png_load (path);
  CHECK (back && tp_f32 (back)[0] == 0 && tp_f32 (back)[1] == 0 && tp_f32 (back)[2] == 128
         && tp_f32 (back)[3] == 255);
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_png_save (path, t, 1, 1, 8));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_png_save (path, t, 0, NAN, 8));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_png_save (path, t, 0, 1, 4));
  tp_tensor *line = tp_tensor_zeros (TP_F32, 1, (int64_t[]) { 4 });
  CHECK_FAILS (TP_BAD_SHAPE, tp_png_save (path, line, 0, 1, 8));
  tp_tensor_free (line);
  tp_tensor_free (back);
  tp_tensor_free (t);
}

static void
test_png_hostile (void)
{
  tp_tensor *t = ramp (TP_F32, 2, (int64_t[]) { 16, 16 });
  const char *whole = file_in_folder ("whole.png");
  CHECK (tp_png_save (whole, t, 0, 100, 16) == TP_OK);
  struct stat about;
  stat (whole, &about);
  for (size_t bytes = 0; bytes < (size_t) about.st_size; bytes += 11)
    CHECK_NO_TENSOR (TP_BAD_FILE, tp_png_load (cut ("cut.png", whole, bytes)));
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_png_load (write_bytes ("text.png", "Good morning", 12)));
  CHECK_NO_TENSOR (TP_IO, tp_png_load (file_in_folder ("missing.png")));
  tp_tensor_free (t);
}

/* --- NIfTI ---------------------------------------------------------------- */

/* A header of 348 bytes for int16 voxels, and the four bytes that follow it. */
static void
make_nifti (unsigned char file[352], int16_t rank, int16_t x, int16_t y, int16_t z)
{
  memset (file, 0, 352);
  const int32_t size = 348;
  const int16_t dim[8] = { rank, x, y, z, 1, 1, 1, 1 }, type[2] = { 4, 16 }, sform = 1;
  const float spacing[4] = { 1, 0.5f, 0.75f, 2 }, start = 352, scale[2] = { 2, -1 };
  /* x rises to the left, y to posterior, z to superior. */
  const float affine[12] = { -0.5f, 0, 0, 0, 0, -0.75f, 0, 0, 0, 0, 2, 0 };
  memcpy (file, &size, 4);
  memcpy (file + 40, dim, sizeof dim);
  memcpy (file + 70, type, sizeof type);
  memcpy (file + 76, spacing, sizeof spacing);
  memcpy (file + 108, &start, 4);
  memcpy (file + 112, scale, sizeof scale);
  memcpy (file + 254, &sform, 2);
  memcpy (file + 280, affine, sizeof affine);
  memcpy (file + 344, "n+1", 4);
}

static void
test_nifti (void)
{
  unsigned char file[352 + 12];
  tp_geometry info;
  make_nifti (file, 3, 3, 2, 1);
  memcpy (file + 352, (int16_t[]) { 0, 1, 2, 3, 4, 5 }, 12);
  tp_tensor *t = tp_nifti_load (write_bytes ("small.nii", file, sizeof file), -1, &info);
  CHECK (t && t->rank == 3 && t->shape[0] == 1 && t->shape[1] == 2 && t->shape[2] == 3);
  CHECK (t && tp_f32 (t)[0] == -1 && tp_f32 (t)[5] == 9); /* 2 v - 1 */
  CHECK (t && info.spacing[0] == 2 && info.spacing[1] == 0.75 && info.spacing[2] == 0.5);
  char letters[4];
  tp_geometry_letters (&info, letters);
  CHECK (t && info.placed && !strcmp (letters, "SPL"));
  CHECK (t && info.affine[0][0] == -0.5 && info.affine[1][1] == -0.75 && info.affine[2][2] == 2);
  tp_tensor_free (t);

  for (size_t bytes = 0; bytes < sizeof file; bytes += 9)
    CHECK_NO_TENSOR (TP_BAD_FILE, tp_nifti_load (write_bytes ("cut.nii", file, bytes), -1, &info));
  make_nifti (file, 3, 30000, 30000, 30000);
  CHECK_NO_TENSOR (TP_BAD_FILE,
                   tp_nifti_load (write_bytes ("huge.nii", file, sizeof file), -1, &info));
  make_nifti (file, 3, 3, -2, 1);
  CHECK_NO_TENSOR (TP_BAD_FILE,
                   tp_nifti_load (write_bytes ("minus.nii", file, sizeof file), -1, &info));
  make_nifti (file, 9, 3, 2, 1);
  CHECK_NO_TENSOR (TP_BAD_FILE,
                   tp_nifti_load (write_bytes ("axes.nii", file, sizeof file), -1, &info));
  make_nifti (file, 3, 3, 2, 1);
  /* Red, green and blue. */
  file[70] = 128;
  file[72] = 24;
  CHECK_NO_TENSOR (TP_UNSUPPORTED,
                   tp_nifti_load (write_bytes ("type.nii", file, sizeof file), -1, &info));
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_nifti_load (write_bytes ("empty.nii", "", 0), -1, &info));
  CHECK_NO_TENSOR (TP_BAD_FILE,
                   tp_nifti_load (write_bytes ("text.nii.gz", "Good morning", 12), -1, &info));
  CHECK_NO_TENSOR (TP_IO, tp_nifti_load (file_in_folder ("missing.nii"), -1, &info));
}

/* DATA as voxels of TYPE, BITS each, in a file of RANK axes (4 1 1 1 ...); SLOPE 0 is none. */
static tp_tensor *
load_voxels (int16_t rank, int16_t type, int16_t bits, float slope, const void *data)
{
  unsigned char file[352 + 64] = { 0 };
  tp_geometry info;
  make_nifti (file, rank, 4, 1, 1);
  memcpy (file + 70, (int16_t[]) { type, bits }, 4);
  memcpy (file + 112, (float[]) { slope, 0 }, 8);
  memcpy (file + 352, data, (size_t) bits / 2);
  return tp_nifti_load (write_bytes ("voxels.nii", file, 352 + (size_t) bits / 2), -1, &info);
}

static void
test_nifti_types (void)
{
  const int64_t i64[4] = { -3, 0, 7, INT64_C (1) << 40 };
  tp_tensor *t = load_voxels (3, 1024, 64, 0, i64);
  CHECK (t && tp_f32 (t)[0] == -3 && tp_f32 (t)[3] == 0x1p40f);
  tp_tensor_free (t);
  const uint64_t u64[4] = { 0, 1, 2, UINT64_C (1) << 63 };
  t = load_voxels (3, 1280, 64, 0, u64);
  CHECK (t && tp_f32 (t)[1] == 1 && tp_f32 (t)[3] == 0x1p63f);
  tp_tensor_free (t);
  t = load_voxels (2, 1024, 64, 0, i64); /* two axes; four, the last of one point */
  CHECK (t && t->rank == 2 && t->shape[0] == 1 && t->shape[1] == 4);
  tp_tensor_free (t);
  t = load_voxels (4, 1024, 64, 0, i64);
  CHECK (t && t->rank == 4 && t->shape[0] == 1 && t->shape[3] == 4);
  tp_tensor_free (t);

  const double wide[4] = { 1, 1e300, NAN, INFINITY };
  CHECK_SAYS ("voxel 1 is 1e+300", TP_BAD_VALUE, load_voxels (3, 64, 64, 0, wide));
  t = load_voxels (3, 64, 64, 1e-30f, (double[]) { 1e30, 1e60, NAN, INFINITY });
  CHECK (t && fabsf (tp_f32 (t)[1] - 1e30f) < 1e24f && isnan (tp_f32 (t)[2])
         && tp_f32 (t)[3] == INFINITY);
  tp_tensor_free (t);
  CHECK_SAYS ("voxel 3 is 6e+38", TP_BAD_VALUE,
              load_voxels (3, 16, 32, 2, (float[]) { 0, 1, 2, 3e38f }));
}

/* A whole .nii.gz of noise, cut anywhere and with a bit turned anywhere, is never read as if it
 * were right. */
static void
test_nifti_gzip (void)
{
  enum { COUNT = 2000 };
  static unsigned char volume[352 + 2 * COUNT], file[16384];
  tp_geometry info;
  make_nifti (volume, 3, 20, 10, 10);
  for (unsigned i = 0, x = 1; i < 2 * COUNT; i++, x = x * 1664525u + 1013904223u)
    volume[352 + i] = (unsigned char) (x >> 24 & 15);
  const char *path = file_in_folder ("whole.nii.gz");
  gzFile gz = gzopen (path, "wb");
  gzwrite (gz, volume, sizeof volume);
  gzclose (gz);
  tp_tensor *t = tp_nifti_load (path, -1, &info);
  CHECK (t && t->shape[0] == 10 && t->shape[2] == 20);
  tp_tensor_free (t);
  FILE *stream = fopen (path, "rb");
  size_t length = fread (file, 1, sizeof file, stream);
  fclose (stream);
  CHECK (length > 1000 && length < sizeof file);
  for (size_t bytes = 20; bytes < length; bytes += 97)
    CHECK_SAYS ("truncated inside its gzip compression", TP_BAD_FILE,
                tp_nifti_load (write_bytes ("cut.nii.gz", file, bytes), -1, &info));
  for (size_t at = 400; at < length; at += 97)
    {
      file[at] ^= 4;
      const char *damaged = write_bytes ("bad.nii.gz", file, length);
      CHECK_NO_TENSOR (TP_BAD_FILE, tp_nifti_load (damaged, -1, &info));
      if (at < length - 8 && !CHECK (strstr (tp_last_message (), "gzip compression") != NULL))
        printf ("  at %zu: %s\n", at, tp_last_message ());
      file[at] ^= 4;
    }
  file[length - 6] ^= 1; /* the checksum itself */
  CHECK_SAYS ("damaged: its gzip compression is broken", TP_BAD_FILE,
              tp_nifti_load (write_bytes ("sum.nii.gz", file, length), -1, &info));
  CHECK_SAYS ("got a gzip file", TP_BAD_FILE,
              tp_nifti_load ((file[length - 6] ^= 1, write_bytes ("name.nii", file, length)), -1, &info));
  unsigned char second[544] = { 0x1c, 2, 0, 0, 'n', '+', '2', 0, '\r', '\n', 032, '\n' };
  CHECK_SAYS ("expected 1 to 7 axes, got 0", TP_BAD_FILE,
              tp_nifti_load (write_bytes ("two.nii", second, sizeof second), -1, &info));
  CHECK_SAYS ("got an empty file", TP_BAD_FILE,
              tp_nifti_load (write_bytes ("none.nii", "", 0), -1, &info));
  memset (volume + 344, 0, 4);
  CHECK_SAYS ("got ANALYZE 7.5", TP_UNSUPPORTED,
              tp_nifti_load (write_bytes ("old.nii", volume, sizeof volume), -1, &info));
}

/* --- MGH and TIFF ------------------------------------------------------------ */

/* What was saved at PATH is read, and cut anywhere it is not. */
static void
check_cut (const char *path, const char *name, tp_tensor *(*load) (const char *))
{
  static unsigned char whole[1 << 16];
  FILE *file = fopen (path, "rb");
  size_t length = fread (whole, 1, sizeof whole, file);
  fclose (file);
  tp_tensor *t = load (path);
  CHECK (t);
  tp_tensor_free (t);
  for (size_t bytes = 0; bytes < length; bytes += 1 + length / 200)
    CHECK_NO_TENSOR (TP_BAD_FILE, load (write_bytes (name, whole, bytes)));
}

static tp_tensor *
load_mgh (const char *path)
{
  tp_geometry g;
  return tp_mgh_load (path, -1, &g);
}

static tp_tensor *
load_nifti (const char *path)
{
  tp_geometry g;
  return tp_nifti_load (path, -1, &g);
}

static void
test_volumes (void)
{
  tp_tensor *t = tp_tensor_create (TP_F32, 4, (int64_t[]) { 2, 3, 4, 5 });
  for (int i = 0; i < 120; i++)
    tp_f32 (t)[i] = (float) (i * 37 % 101);
  tp_geometry g = { .spacing = { 1, 3, 2, 1 }, .placed = true,
                    .affine = { { -1, 0, 0, 7 }, { 0, 0, 3, 8 }, { 0, 2, 0, 9 } } };
  char path[512];
  static const char *const names[] = { "v.mgh", "v.mgz", "v.nii", "v.nii.gz" };
  for (int i = 0; i < 4; i++)
    {
      strcpy (path, file_in_folder (names[i]));
      CHECK (i < 2 ? tp_mgh_save (path, t, &g) == TP_OK : tp_nifti_save (path, t, &g, "note") == TP_OK);
      tp_geometry back;
      char letters[4];
      tp_tensor *got = i < 2 ? tp_mgh_load (path, 1, &back) : tp_nifti_load (path, 1, &back);
      CHECK (got && got->rank == 3 && got->shape[0] == 3
             && !memcmp (tp_f32 (got), tp_f32 (t) + 60, 60 * sizeof (float)));
      tp_geometry_letters (&back, letters);
      CHECK (got && !strcmp (letters, "ASL") && !memcmp (back.affine, g.affine, sizeof g.affine)
             && back.spacing[0] == 3 && back.spacing[2] == 1);
      tp_tensor_free (got);
      check_cut (path, i == 1 ? "cut.mgz" : i == 0 ? "cut.mgh" : i == 2 ? "cut.nii" : "cut.nii.gz",
                 i < 2 ? load_mgh : load_nifti);
    }
  tp_tensor_free (t);
}

/* ROWS x COLUMNS pixels of three 16-bit samples, 1000 row + 10 column + sample, in tiles of 16 x 32 or strips
 * of four rows, samples side by side or each in a plane. */
static void
write_tiff (const char *path, bool tiled, int plan, int compression)
{
  enum { ROWS = 21, COLUMNS = 37 };
  TIFF *tiff = TIFFOpen (path, "w");
  TIFFSetField (tiff, TIFFTAG_IMAGEWIDTH, COLUMNS);
  TIFFSetField (tiff, TIFFTAG_IMAGELENGTH, ROWS);
  TIFFSetField (tiff, TIFFTAG_BITSPERSAMPLE, 16);
  TIFFSetField (tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
  TIFFSetField (tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
  TIFFSetField (tiff, TIFFTAG_PLANARCONFIG, plan);
  TIFFSetField (tiff, TIFFTAG_COMPRESSION, compression);
  int height = tiled ? 16 : 4, width = tiled ? 32 : COLUMNS, samples = plan == PLANARCONFIG_CONTIG ? 3 : 1;
  if (tiled)
    {
      TIFFSetField (tiff, TIFFTAG_TILEWIDTH, width);
      TIFFSetField (tiff, TIFFTAG_TILELENGTH, height);
    }
  else
    TIFFSetField (tiff, TIFFTAG_ROWSPERSTRIP, height);
  uint32_t index = 0;
  for (int plane = 0; plane < 3 / samples; plane++)
    for (int y = 0; y < ROWS; y += height)
      for (int x = 0; x < COLUMNS; x += width, index++)
        {
          static uint16_t piece[16 * 37 * 3];
          int rows = tiled || ROWS - y > height ? height : ROWS - y;
          for (int i = 0; i < rows * width * samples; i++)
            piece[i] = (uint16_t) (1000 * (y + i / samples / width) + 10 * (x + i / samples % width)
                                   + plane + i % samples);
          if (tiled)
            TIFFWriteEncodedTile (tiff, index, piece, rows * width * samples * 2);
          else
            TIFFWriteEncodedStrip (tiff, index, piece, rows * width * samples * 2);
        }
  TIFFClose (tiff);
}

static void
test_tiff (void)
{
  char path[512];
  strcpy (path, file_in_folder ("a.tif"));
  for (int k = 0; k < 8; k++)
    {
      write_tiff (path, k & 1, k & 2 ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG,
                  k & 4 ? COMPRESSION_LZW : COMPRESSION_NONE);
      tp_tensor *t = tp_tiff_load (path);
      CHECK (t && t->rank == 3 && t->shape[0] == 21 && t->shape[1] == 37 && t->shape[2] == 3);
      bool same = t;
      for (int i = 0; same && i < 21 * 37 * 3; i++)
        same = tp_f32 (t)[i] == (float) (1000 * (i / 111) + 10 * (i / 3 % 37) + i % 3);
      CHECK (same);
      tp_tensor_free (t);
      if (k == 0 || k == 7)
        check_cut (path, "cut.tif", tp_tiff_load);
    }
}

/* --- safetensors ---------------------------------------------------------- */

static void
test_safetensors (void)
{
  tp_tensor *a = ramp (TP_F32, 2, (int64_t[]) { 2, 3 }), *b = ramp (TP_F32, 1, (int64_t[]) { 4 });
  const char *path = file_in_folder ("w.safetensors");
  CHECK (tp_safetensors_write (path, "{\"a\":1}", (const tp_tensor *[]) { a, b }, 2, false) == TP_OK);
  int64_t bytes;
  char *header = tp_safetensors_header (path, &bytes);
  CHECK (header && !strcmp (header, "{\"a\":1} ") && bytes == 40);
  free (header);
  const tp_number_type *f32 = tp_number_type_of ('f', 4);
  tp_tensor *back = tp_safetensors_read (path, 24, f32, 1, (int64_t[]) { 4 });
  CHECK (same (b, back));
  tp_tensor_free (back);
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_safetensors_read (path, 28, f32, 1, (int64_t[]) { 4 }));
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_safetensors_read (path, -4, f32, 1, (int64_t[]) { 1 }));
  CHECK_NO_TENSOR (TP_BAD_FILE, tp_safetensors_read (path, INT64_MAX, f32, 1, (int64_t[]) { 1 }));
  CHECK_NO_TENSOR (TP_BAD_FILE,
                   tp_safetensors_read (path, 0, f32, 2, (int64_t[]) { INT64_MAX, INT64_MAX }));
  CHECK (!tp_safetensors_header (write_bytes ("cut.safetensors", "\x10\0\0\0\0\0\0\0{}", 10),
                                 &bytes));
  CHECK (strstr (tp_last_message (), "truncated") != NULL);
  CHECK (!tp_safetensors_header (write_bytes ("zip.safetensors", "PK\3\4\1\1\1\1\1\1", 10), &bytes));
  CHECK (strstr (tp_last_message (), "got a zip archive") != NULL);
  CHECK (!tp_safetensors_header (write_bytes ("minus.safetensors",
                                              "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), &bytes));
  CHECK (!tp_safetensors_header (write_bytes ("short.safetensors", "\x01", 1), &bytes));
  CHECK (!tp_safetensors_header (file_in_folder ("missing.safetensors"), &bytes));

  /* Only f32 can be written; the old file stays. */
  tp_tensor *c = ramp (TP_C64, 1, (int64_t[]) { 4 });
  CHECK_FAILS (TP_BAD_SHAPE, tp_safetensors_write (path, "{}", (const tp_tensor *[]) { c }, 1, false));
  header = tp_safetensors_header (path, &bytes);
  CHECK (header && bytes == 40);
  free (header);
  tp_tensor_free (c);
  tp_tensor_free (b);
  tp_tensor_free (a);
}

/* While its descriptor is open a temporary is somebody's; then it is swept, and nothing else is. */
static void
test_temporaries (void)
{
  char *name = NULL;
  int files = count_files ();
  int descriptor = tp_temporary_open (file_in_folder ("a.npy"), &name);
  CHECK (descriptor >= 0 && name && count_files () == files + 1);
  tp_temporaries_sweep (folder);
  CHECK (count_files () == files + 1);
  close (descriptor);
  const char *other = write_bytes ("b.tempera-tmp-short", "mine", 4);
  tp_temporaries_sweep (folder);
  CHECK (count_files () == files + 1 && name && access (name, F_OK) && !access (other, F_OK));
  unlink (other);
  free (name);
  CHECK (tp_temporary_open ("/missing/a.npy", &name) < 0);
  tp_temporaries_sweep ("/missing");
}

/* A reader that ends its process is the file's fault; Ctrl-C, which the child gets too, is nobody's. */
static void
end_by (void *signal)
{
  raise (*(int *) signal);
}

static void
test_trial (void)
{
  CHECK (tp_trial ("scan.h5", end_by, &(int) { 0 }) == TP_OK);
  CHECK (tp_trial ("scan.h5", end_by, &(int) { SIGSEGV }) == TP_BAD_FILE);
  CHECK (strstr (tp_last_message (), "scan.h5: damaged") != NULL);
  CHECK (tp_trial ("scan.h5", end_by, &(int) { SIGINT }) == TP_IO);
  CHECK (strstr (tp_last_message (), "scan.h5: reading was interrupted") != NULL);
}

CHECK_MAIN (make_folder, test_npy_round_trip, test_npy_types, test_npy_byte_orders, test_npy_range,
            test_npy_mistaken, test_npy_hostile, test_writing_is_atomic, test_png_round_trip,
            test_png_hostile, test_nifti, test_nifti_types, test_nifti_gzip, test_volumes, test_tiff,
            test_safetensors,
            test_temporaries, test_trial, remove_folder)
