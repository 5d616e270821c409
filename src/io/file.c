/* file.c -- reading with a known length, writing through a temporary. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

FILE *
tp_file_open (const char *path, int64_t *length)
{
  /* Not to hang on a named pipe that nobody writes to. */
  int descriptor = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    {
      tp_fail (TP_IO, "%s: %s", path, strerror (errno));
      return NULL;
    }
  struct stat about;
  FILE *file = NULL;
  if (fstat (descriptor, &about))
    tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  else if (!S_ISREG (about.st_mode))
    tp_fail (TP_IO, "%s: expected a regular file, got %s", path,
             S_ISDIR (about.st_mode) ? "a directory" : "a device or pipe");
  else if (!(file = fdopen (descriptor, "rb")))
    tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  else
    *length = about.st_size;
  if (!file)
    close (descriptor);
  return file;
}

tp_status
tp_file_read (FILE *file, const char *path, void *data, size_t bytes)
{
  if (fread (data, 1, bytes, file) == bytes)
    return TP_OK;
  if (ferror (file))
    return tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  return tp_fail (TP_BAD_FILE, "%s: truncated", path);
}

/* --- What a file is, by its first bytes ------------------------------------ */

static const struct {
  size_t at, length;
  const char *bytes, *name;
} signatures[] = {
  { 0, 6, "\x93NUMPY", "an npy file" },
  { 0, 4, "PK\3\4", "a zip archive (NumPy's have the ending .npz)" },
  { 0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (as MATLAB's v7.3 and ISMRMRD's are)" },
  { 0, 6, "MATLAB", "a MATLAB file" },
  { 0, 8, "\x89PNG\r\n\x1a\n", "a PNG picture" },
  { 0, 3, "\xff\xd8\xff", "a JPEG picture" },
  { 0, 4, "GIF8", "a GIF picture" },
  { 0, 4, "II*\0", "a TIFF picture" },
  { 0, 4, "MM\0*", "a TIFF picture" },
  { 0, 2, "BM", "a BMP picture" },
  { 128, 4, "DICM", "a DICOM file: give its name the ending .dcm" },
  { 344, 4, "n+1", "a NIfTI-1 file" },
  { 344, 4, "ni1", "the header of a NIfTI-1 pair" },
  { 4, 4, "n+2", "a NIfTI-2 file" },
  { 4, 4, "ni2", "the header of a NIfTI-2 pair" },
  { 0, 2, "\x1f\x8b", "a gzip file: give its name the ending .gz, or unpack it" },
  { 0, 6, "\xfd" "7zXZ\0", "an xz archive: unpack it" },
  { 0, 3, "BZh", "a bzip2 archive: unpack it" },
  { 0, 7, "version", "a pointer of git-lfs: fetch the file itself" },
};

tp_status
tp_file_mistaken (const char *path, const char *wanted)
{
  const char *trouble = tp_gzip_trouble (path);
  if (trouble)
    return tp_fail (TP_BAD_FILE, "%s: %s", path, trouble);
  int64_t length;
  FILE *file = tp_file_open (path, &length);
  if (!file)
    return tp_last_status ();
  char start[512];
  size_t there = fread (start, 1, sizeof start, file);
  fclose (file);
  if (there == 0)
    return tp_fail (TP_BAD_FILE, "%s: expected %s, got an empty file", path, wanted);
  for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
    if (signatures[i].at + signatures[i].length <= there
        && !memcmp (start + signatures[i].at, signatures[i].bytes, signatures[i].length)
        && strcmp (signatures[i].name, wanted))
      return tp_fail (TP_BAD_FILE, "%s: expected %s, got %s", path, wanted, signatures[i].name);
  return tp_fail (TP_BAD_FILE, "%s: not %s", path, wanted);
}

const char *
tp_gzip_trouble (const char *path)
{
  gzFile file = gzopen (path, "rb");
  if (!file)
    return NULL;
  unsigned char piece[65536];
  int got = gzread (file, piece, sizeof piece), reason = Z_OK;
  bool compressed = !gzdirect (file);
  while (got > 0)
    got = gzread (file, piece, sizeof piece);
  gzerror (file, &reason);
  gzclose (file);
  if (!compressed || reason == Z_OK)
    return NULL;
  return reason == Z_BUF_ERROR ? "truncated inside its gzip compression"
                               : "damaged: its gzip compression is broken";
}

size_t
tp_gzip_start (const char *path, void *data, size_t bytes, bool *compressed)
{
  gzFile file = gzopen (path, "rbe");
  int got = file ? gzread (file, data, (unsigned) bytes) : 0;
  *compressed = file && !gzdirect (file);
  if (file)
    gzclose (file);
  return got > 0 ? (size_t) got : 0;
}

bool
tp_gzip_read (const char *path, int64_t offset, void *data, size_t bytes)
{
  gzFile file = gzopen (path, "rbe");
  if (!file)
    return false;
  char *at = data;
  int got = gzseek (file, offset, SEEK_SET) < 0 ? -1 : 1;
  for (size_t left = bytes; left > 0 && got > 0; left -= (size_t) got, at += got)
    {
      got = gzread (file, at, (unsigned) (left < 1 << 30 ? left : 1 << 30));
      if (got < 0)
        break;
    }
  bool whole = at == (char *) data + bytes;
  unsigned char rest[4096];
  while (got > 0)
    got = gzread (file, rest, sizeof rest);
  int reason = Z_OK;
  gzerror (file, &reason);
  gzclose (file);
  return whole && reason == Z_OK;
}

/* mkstemp makes files private; a result is as readable as any other. */
static void
set_usual_mode (int descriptor)
{
  mode_t mask = umask (0);
  umask (mask);
  if (fchmod (descriptor, 0666 & ~mask))
    errno = 0; /* some file systems have no modes */
}

tp_status
tp_writer_open (tp_writer *writer, const char *path)
{
  *writer = (tp_writer) { 0 };
  struct stat about;
  bool exists = !stat (path, &about);
  if (exists && S_ISDIR (about.st_mode))
    return tp_fail (TP_IO, "%s: is a directory", path);
  /* A symbolic link stays one: its target is replaced. */
  writer->path = exists ? realpath (path, NULL) : strdup (path);
  if (!writer->path)
    return tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  int descriptor;
  if (exists && !S_ISREG (about.st_mode))
    descriptor = open (path, O_WRONLY | O_CLOEXEC);
  else
    {
      size_t room = strlen (writer->path) + sizeof ".XXXXXX";
      if ((writer->temporary = malloc (room)))
        snprintf (writer->temporary, room, "%s.XXXXXX", writer->path);
      descriptor = writer->temporary ? mkstemp (writer->temporary) : -1;
    }
  if (descriptor >= 0)
    {
      fcntl (descriptor, F_SETFD, FD_CLOEXEC);
      if (writer->temporary)
        set_usual_mode (descriptor);
      if ((writer->file = fdopen (descriptor, "wb")))
        return TP_OK;
      close (descriptor);
      if (writer->temporary)
        unlink (writer->temporary);
    }
  tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  free (writer->temporary);
  free (writer->path);
  *writer = (tp_writer) { 0 };
  return TP_IO;
}

tp_status
tp_writer_write (tp_writer *writer, const void *data, size_t bytes)
{
  if (fwrite (data, 1, bytes, writer->file) != bytes)
    return tp_fail (TP_IO, "%s: %s", writer->path, strerror (errno));
  return TP_OK;
}

/* The rename itself is on disk once the folder is. */
static void
sync_folder (const char *path)
{
  char *copy = strdup (path);
  int folder = copy ? open (dirname (copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (folder >= 0)
    {
      fsync (folder);
      close (folder);
    }
  free (copy);
}

tp_status
tp_writer_close (tp_writer *writer, tp_status status)
{
  if (!writer->file)
    return status;
  bool failed = status != TP_OK;
  int reason = 0;
  if (!failed && (ferror (writer->file) || fflush (writer->file)
                  || (writer->temporary && fsync (fileno (writer->file)))))
    reason = errno ? errno : EIO;
  if (fclose (writer->file) && !failed && !reason)
    reason = errno;
  if (!failed && !reason && writer->temporary)
    {
      if (rename (writer->temporary, writer->path))
        reason = errno;
      else
        sync_folder (writer->path);
    }
  if (reason)
    status = tp_fail (TP_IO, "%s: %s", writer->path, strerror (reason));
  if (status != TP_OK && writer->temporary)
    unlink (writer->temporary);
  free (writer->temporary);
  free (writer->path);
  *writer = (tp_writer) { 0 };
  return status;
}

static bool
gzip_piece (gzFile file, const char *data, size_t bytes)
{
  for (size_t done = 0; done < bytes; )
    {
      size_t left = bytes - done;
      int wrote = gzwrite (file, data + done, (unsigned) (left < 1 << 30 ? left : 1 << 30));
      if (wrote <= 0)
        return false;
      done += (size_t) wrote;
    }
  return true;
}

tp_status
tp_gzip_write (const char *path, bool compressed, const void *header, size_t header_bytes,
               const void *data, size_t bytes)
{
  tp_writer writer;
  tp_status status = tp_writer_open (&writer, path);
  if (status != TP_OK)
    return status;
  /* T: as it is.  The writer keeps a descriptor of its own, to sync. */
  int descriptor = dup (fileno (writer.file));
  gzFile file = descriptor < 0 ? NULL : gzdopen (descriptor, compressed ? "wb" : "wbT");
  bool good = file && gzip_piece (file, header, header_bytes) && gzip_piece (file, data, bytes);
  int reason = errno;
  if (file && gzclose (file) != Z_OK && good)
    {
      good = false;
      reason = errno;
    }
  else if (!file && descriptor >= 0)
    close (descriptor);
  if (!good)
    status = tp_fail (TP_IO, "%s: %s", path, strerror (reason ? reason : EIO));
  return tp_writer_close (&writer, status);
}
