/* file.h -- files that appear whole or not at all.
 *
 * Writing goes to a temporary file beside the target, which is flushed, synced
 * and renamed at the end.  If anything fails or interrupts, the old file stays,
 * and no half-written one ever has its name.  What a process leaves that is killed
 * meanwhile, the next work that writes into the folder sweeps.  Only regular files whose
 * length is known are read, so that no header can ask for more than is there. */
#ifndef TP_FILE_H
#define TP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/status.h"

/* --- Reading ------------------------------------------------------------ */

/* Open regular file PATH; its length goes to *LENGTH.  NULL after tp_fail. */
FILE *tp_file_open (const char *path, int64_t *length);

/* Exactly BYTES bytes, or fail with "PATH: truncated". */
tp_status tp_file_read (FILE *file, const char *path, void *data, size_t bytes);

/* Fail for PATH, which is not WANTED ("an npy file"), and say what it is instead where its
 * first bytes tell: "PATH: expected an npy file, got a zip archive".  A gzip file that is cut
 * or damaged is called that. */
tp_status tp_file_mistaken (const char *path, const char *wanted);

/* What is wrong with the gzip file PATH, such as "truncated inside its gzip compression", read
 * to its end, where its checksum is; NULL when nothing is, or it is not gzip. */
const char *tp_gzip_trouble (const char *path);

/* How many of the first BYTES bytes of what the gzip file PATH unpacks to are there, to DATA; whether it
 * is compressed goes to COMPRESSED.  One that is not is read as it is. */
size_t tp_gzip_start (const char *path, void *data, size_t bytes, bool *compressed);

/* BYTES bytes of what the gzip file PATH unpacks to, from OFFSET on, and on to the end, where the
 * checksum is.  False when they are not there or anything is wrong. */
bool tp_gzip_read (const char *path, int64_t offset, void *data, size_t bytes);

/* --- Writing ------------------------------------------------------------ */

typedef struct {
  char *path;      /* what the file will be called */
  char *temporary; /* what it is called until then; NULL for a device */
  FILE *file;
} tp_writer;

tp_status tp_writer_open (tp_writer *writer, const char *path);

/* Append; the first failure is reported, and again by tp_writer_close. */
tp_status tp_writer_write (tp_writer *writer, const void *data, size_t bytes);

/* A new file PATH.tempera-tmp-XXXXXX, locked while its descriptor, which is returned, is open; *NAME
 * has its name.  -1, and errno, where there is none. */
int tp_temporary_open (const char *path, char **name);

/* Remove from FOLDER the temporaries of processes that died. */
void tp_temporaries_sweep (const char *folder);

/* STATUS says whether the content is complete.  When it is: flush, sync and
 * rename.  When it is not, or when one of these fails: remove the temporary.
 * Returns STATUS, or the failure of closing. */
tp_status tp_writer_close (tp_writer *writer, tp_status status);

/* The file PATH of HEADER and DATA, packed by gzip if COMPRESSED, whole or not at all. */
tp_status tp_gzip_write (const char *path, bool compressed, const void *header, size_t header_bytes,
                         const void *data, size_t bytes);

#endif
