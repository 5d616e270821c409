/* file.c -- reading with a known length, writing through a temporary. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
