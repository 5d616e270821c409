/* zip.h -- zip archives, as NumPy's npz files are: what is in them, and one member. */
#ifndef TP_ZIP_H
#define TP_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct {
  char *name;
  int method;          /* 0 stored, 8 deflated */
  uint32_t crc;
  int64_t packed, bytes, at; /* lengths in the archive and unpacked; where its local header is */
} tp_zip_member;

typedef struct {
  tp_zip_member *members;
  int count;
} tp_zip;

/* The directory of the archive PATH. */
tp_status tp_zip_open (tp_zip *zip, const char *path);
void tp_zip_close (tp_zip *zip);

/* The bytes of MEMBER of the archive PATH, its checksum verified, to be freed; NULL after tp_fail. */
unsigned char *tp_zip_read (const char *path, const tp_zip_member *member);

/* One member to be written: two pieces, stored as they are. */
typedef struct {
  const char *name;
  const void *head, *data;
  size_t head_bytes, data_bytes;
} tp_zip_content;

tp_status tp_zip_save (const char *path, const tp_zip_content *contents, int count);

#endif
