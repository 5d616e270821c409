/* file.c -- reading with a known length, writing through a temporary. */
#define _GNU_SOURCE /* mkostemp */
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/stop.h"

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

/* What is read or written between two looks at whether to go on. */
#define PIECE ((size_t) 16 << 20)

tp_status
tp_file_read (FILE *file, const char *path, void *data, size_t bytes)
{
  for (size_t done = 0; done < bytes && !tp_stop_wanted ();)
    {
      size_t piece = bytes - done < PIECE ? bytes - done : PIECE;
      if (fread ((char *) data + done, 1, piece, file) != piece)
        return ferror (file) ? tp_fail (TP_IO, "%s: %s", path, strerror (errno))
                             : tp_fail (TP_BAD_FILE, "%s: truncated", path);
      done += piece;
    }
  return tp_stop_status ();
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

/* --- Temporaries ------------------------------------------------------------ */

/* The end of a temporary's name, for mkstemp.  Who writes it has a lock on it, which the system
 * takes away however that process ends: one without a lock is nobody's any more. */
static const char ending[] = ".tempera-tmp-XXXXXX";

static bool
is_temporary (const char *name)
{
  size_t length = strlen (name), fixed = sizeof ending - 1 - 6;
  return length >= fixed + 6 && !strncmp (name + length - 6 - fixed, ending, fixed)
         && strspn (name + length - 6, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
              == 6;
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

int
tp_temporary_open (const char *path, char **name)
{
  size_t room = strlen (path) + sizeof ending;
  char *made = malloc (room);
  if (!made)
    return -1;
  for (int tries = 0; tries < 10; tries++)
    {
      snprintf (made, room, "%s%s", path, ending);
      int descriptor = mkostemp (made, O_CLOEXEC);
      if (descriptor < 0)
        break;
      struct stat about;
      /* A sweep may have come before the lock; where there are no locks, nothing is swept. */
      bool locked = !flock (descriptor, LOCK_EX | LOCK_NB), contended = !locked && errno == EWOULDBLOCK;
      if (!contended && !fstat (descriptor, &about) && about.st_nlink > 0)
        {
          set_usual_mode (descriptor);
          *name = made;
          return descriptor;
        }
      close (descriptor);
      errno = EAGAIN;
    }
  int reason = errno;
  free (made);
  errno = reason;
  return -1;
}

void
tp_temporaries_sweep (const char *folder)
{
  DIR *entries = opendir (folder);
  if (!entries)
    return;
  for (struct dirent *entry; (entry = readdir (entries));)
    if (is_temporary (entry->d_name))
      {
        int descriptor = openat (dirfd (entries), entry->d_name,
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat about;
        if (descriptor >= 0 && !fstat (descriptor, &about) && S_ISREG (about.st_mode)
            && about.st_uid == geteuid () && !flock (descriptor, LOCK_EX | LOCK_NB))
          unlinkat (dirfd (entries), entry->d_name, 0);
        if (descriptor >= 0)
          close (descriptor);
      }
  closedir (entries);
  errno = 0;
}

/* --- Writing ---------------------------------------------------------------- */

static tp_status
fail_writing (const char *path, int reason)
{
  bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
  return tp_fail (full ? TP_NO_SPACE : TP_IO, "%s: %s", path, strerror (reason));
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
    descriptor = tp_temporary_open (writer->path, &writer->temporary);
  if (descriptor >= 0)
    {
      if ((writer->file = fdopen (descriptor, "wb")))
        return TP_OK;
      close (descriptor);
      if (writer->temporary)
        unlink (writer->temporary);
    }
  tp_status status = fail_writing (path, errno);
  free (writer->temporary);
  free (writer->path);
  *writer = (tp_writer) { 0 };
  return status;
}

tp_status
tp_writer_write (tp_writer *writer, const void *data, size_t bytes)
{
  for (size_t done = 0; done < bytes && !tp_stop_wanted ();)
    {
      size_t piece = bytes - done < PIECE ? bytes - done : PIECE;
      if (fwrite ((const char *) data + done, 1, piece, writer->file) != piece)
        return fail_writing (writer->path, errno);
      done += piece;
    }
  return tp_stop_status ();
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
    status = fail_writing (writer->path, reason);
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
