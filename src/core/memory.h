/* memory.h -- aligned, pooled, reference-counted buffers, freed early by scopes.
 *
 * Every numeric buffer of Tempera is a tp_buffer.  Its memory is 64-byte
 * aligned and comes from a pool, since fresh pages cost more than the
 * arithmetic of a small layer.  A buffer dies when its last reference goes
 * (the collector, through a finalizer) or when its scope closes (a training
 * step, a trajectory), whichever is first.  All of this is thread-safe. */
#ifndef TP_MEMORY_H
#define TP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

#define TP_ALIGNMENT 64

typedef struct tp_buffer tp_buffer;

/* A buffer of BYTES bytes, uninitialised, with one reference; it belongs to
 * the calling thread's innermost scope.  NULL when memory is exhausted. */
tp_buffer *tp_buffer_create (size_t bytes);

/* One reference more; one less (the last frees). */
tp_buffer *tp_buffer_ref (tp_buffer *buffer);
void tp_buffer_free (tp_buffer *buffer);

/* Whether there are other references. */
bool tp_buffer_shared (const tp_buffer *buffer);

/* The memory, or NULL once the buffer's scope has closed, or of no buffer. */
void *tp_buffer_data (const tp_buffer *buffer);
size_t tp_buffer_bytes (const tp_buffer *buffer);

/* How often BUFFER's values were changed since it was made, and: they were just now. */
unsigned tp_buffer_version (const tp_buffer *buffer);
void tp_buffer_changed (tp_buffer *buffer);

/* Open a scope on this thread, inside the current one.  Returns its depth; 0 when memory is exhausted. */
int tp_scope_open (void);

/* The depth of this thread's innermost scope, 0 when none is open. */
int tp_scope_depth (void);

/* Move BUFFER out to the scope that encloses the innermost one. */
void tp_scope_keep (tp_buffer *buffer);

/* Move BUFFER out of all scopes. */
void tp_scope_keep_always (tp_buffer *buffer);

/* Close every scope of this thread at DEPTH and deeper.  With RELEASE, the
 * memory of their buffers goes back to the pool at once, whoever still refers
 * to it; without (an error is on its way to a prompt, where the user may want
 * to look), the buffers are left to their references.  Returns the bytes that are left. */
size_t tp_scope_close (int depth, bool release);

/* Scratch memory from the same pool, outside every scope. */
void *tp_scratch_alloc (size_t bytes);
void tp_scratch_free (void *memory);

typedef struct {
  size_t live;    /* bytes in use by buffers and scratch */
  size_t peak;    /* the most that LIVE has been since tp_memory_reset_peak */
  size_t pooled;  /* bytes freed and kept for the next allocation */
  size_t fetched; /* times that memory was had from the operating system */
} tp_memory_use;

tp_memory_use tp_memory_usage (void);
void tp_memory_reset_peak (void);

/* Give what is pooled back to the operating system. */
void tp_memory_trim (void);

#endif
