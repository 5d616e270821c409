/* memory.c -- the pool: free lists by size class; and scopes, as lists of buffers. */
#define _DEFAULT_SOURCE
#include "core/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A class for every eighth of a power of two: at most 12.5 % of a block is
 * slack.  The smallest block is 2^MIN_SHIFT bytes. */
enum { MIN_SHIFT = 6, CLASSES = 8 * 40 };

/* Freed blocks beyond this many bytes go back to the system. */
#define POOL_LIMIT ((size_t) 2 << 30)

/* From here on blocks are aligned for transparent huge pages, which spare the
 * convolutions most of their TLB misses. */
#define HUGE_PAGE ((size_t) 2 << 20)

/* In front of every block, on a line of its own so that alignment is kept. */
typedef struct block {
  size_t bytes;
  int class;
  struct block *next;
} __attribute__ ((aligned (TP_ALIGNMENT))) block;

struct tp_buffer {
  atomic_int references;
  atomic_uint version;
  void *data;
  size_t bytes;
  struct scope *scope;
  tp_buffer *previous, *next; /* in the scope's list */
};

typedef struct scope {
  struct scope *outer;
  int depth;
  tp_buffer *first;
} scope;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *free_list[CLASSES];
static tp_memory_use use;
static _Thread_local scope *innermost;

static int
size_class (size_t bytes, size_t *rounded)
{
  if (bytes <= ((size_t) 1 << MIN_SHIFT))
    {
      *rounded = (size_t) 1 << MIN_SHIFT;
      return 0;
    }
  int shift = 63 - __builtin_clzll ((unsigned long long) (bytes - 1));
  size_t step = ((size_t) 1 << shift) / 8;
  size_t eighths = (bytes - ((size_t) 1 << shift) + step - 1) / step;
  *rounded = ((size_t) 1 << shift) + eighths * step;
  return (shift - MIN_SHIFT) * 8 + (int) eighths;
}

static void *
pool_alloc (size_t bytes)
{
  if (bytes > (size_t) 1 << 44)
    {
      tp_fail (TP_NO_MEMORY, "memory: %zu bytes asked for", bytes);
      return NULL;
    }
  size_t rounded;
  int class = size_class (bytes ? bytes : 1, &rounded);
  pthread_mutex_lock (&lock);
  block *b = free_list[class];
  if (b)
    {
      free_list[class] = b->next;
      use.pooled -= b->bytes;
    }
  pthread_mutex_unlock (&lock);
  bool fresh = !b;
  if (fresh)
    {
      size_t total = rounded + sizeof (block);
      size_t alignment = total >= 2 * HUGE_PAGE ? HUGE_PAGE : TP_ALIGNMENT;
      void *memory;
      if (posix_memalign (&memory, alignment, total))
        {
          tp_memory_trim ();
          if (posix_memalign (&memory, alignment, total))
            {
              tp_fail (TP_NO_MEMORY, "memory: %zu bytes asked for, none to be had (%zu in use)",
                       bytes, use.live);
              return NULL;
            }
        }
      if (alignment == HUGE_PAGE)
        madvise (memory, total, MADV_HUGEPAGE);
      b = memory;
      b->bytes = rounded;
      b->class = class;
    }
  pthread_mutex_lock (&lock);
  use.fetched += fresh;
  use.live += b->bytes;
  if (use.live > use.peak)
    use.peak = use.live;
  pthread_mutex_unlock (&lock);
  return b + 1;
}

/* With the lock held. */
static block *
pool_put (void *memory)
{
  block *b = (block *) memory - 1;
  use.live -= b->bytes;
  if (use.pooled + b->bytes > POOL_LIMIT)
    return b;
  b->next = free_list[b->class];
  free_list[b->class] = b;
  use.pooled += b->bytes;
  return NULL;
}

void *
tp_scratch_alloc (size_t bytes)
{
  return pool_alloc (bytes);
}

void
tp_scratch_free (void *memory)
{
  if (!memory)
    return;
  pthread_mutex_lock (&lock);
  block *surplus = pool_put (memory);
  pthread_mutex_unlock (&lock);
  free (surplus);
}

/* With the lock held. */
static void
unlink_buffer (tp_buffer *b)
{
  if (!b->scope)
    return;
  if (b->previous)
    b->previous->next = b->next;
  else
    b->scope->first = b->next;
  if (b->next)
    b->next->previous = b->previous;
  b->scope = NULL;
  b->previous = b->next = NULL;
}

/* With the lock held. */
static void
link_buffer (tp_buffer *b, scope *s)
{
  b->scope = s;
  b->previous = NULL;
  b->next = NULL;
  if (!s)
    return;
  b->next = s->first;
  if (s->first)
    s->first->previous = b;
  s->first = b;
}

tp_buffer *
tp_buffer_create (size_t bytes)
{
  void *data = pool_alloc (bytes);
  if (!data)
    return NULL;
  tp_buffer *b = malloc (sizeof *b);
  if (!b)
    {
      tp_scratch_free (data);
      tp_fail (TP_NO_MEMORY, "memory: a buffer's header could not be had");
      return NULL;
    }
  atomic_init (&b->references, 1);
  atomic_init (&b->version, 0);
  b->data = data;
  b->bytes = bytes;
  pthread_mutex_lock (&lock);
  link_buffer (b, innermost);
  pthread_mutex_unlock (&lock);
  return b;
}

tp_buffer *
tp_buffer_ref (tp_buffer *b)
{
  atomic_fetch_add (&b->references, 1);
  return b;
}

bool
tp_buffer_shared (const tp_buffer *b)
{
  return atomic_load (&((tp_buffer *) b)->references) > 1;
}

void
tp_buffer_free (tp_buffer *b)
{
  if (!b || atomic_fetch_sub (&b->references, 1) != 1)
    return;
  block *surplus = NULL;
  pthread_mutex_lock (&lock);
  unlink_buffer (b);
  if (b->data)
    surplus = pool_put (b->data);
  pthread_mutex_unlock (&lock);
  free (surplus);
  free (b);
}

void *
tp_buffer_data (const tp_buffer *b)
{
  return b ? b->data : NULL;
}

unsigned
tp_buffer_version (const tp_buffer *buffer)
{
  return buffer ? atomic_load (&buffer->version) : 0;
}

void
tp_buffer_changed (tp_buffer *buffer)
{
  atomic_fetch_add (&buffer->version, 1);
}

size_t
tp_buffer_bytes (const tp_buffer *b)
{
  return b->bytes;
}

int
tp_scope_open (void)
{
  scope *s = malloc (sizeof *s);
  if (!s)
    {
      tp_fail (TP_NO_MEMORY, "memory: a scope could not be had");
      return 0;
    }
  s->outer = innermost;
  s->depth = innermost ? innermost->depth + 1 : 1;
  s->first = NULL;
  innermost = s;
  return s->depth;
}

int
tp_scope_depth (void)
{
  return innermost ? innermost->depth : 0;
}

void
tp_scope_keep (tp_buffer *b)
{
  pthread_mutex_lock (&lock);
  if (b->scope && b->scope == innermost)
    {
      scope *outer = b->scope->outer;
      unlink_buffer (b);
      link_buffer (b, outer);
    }
  pthread_mutex_unlock (&lock);
}

void
tp_scope_keep_always (tp_buffer *b)
{
  pthread_mutex_lock (&lock);
  unlink_buffer (b);
  pthread_mutex_unlock (&lock);
}

size_t
tp_scope_close (int depth, bool release)
{
  size_t left = 0;
  while (innermost && innermost->depth >= depth)
    {
      scope *s = innermost;
      block *surplus = NULL;
      innermost = s->outer;
      pthread_mutex_lock (&lock);
      while (s->first)
        {
          tp_buffer *b = s->first;
          unlink_buffer (b);
          if (!release)
            left += b->bytes;
          else if (b->data)
            {
              block *over = pool_put (b->data);
              if (over)
                {
                  over->next = surplus;
                  surplus = over;
                }
              b->data = NULL;
            }
        }
      pthread_mutex_unlock (&lock);
      while (surplus)
        {
          block *next = surplus->next;
          free (surplus);
          surplus = next;
        }
      free (s);
    }
  return left;
}

tp_memory_use
tp_memory_usage (void)
{
  pthread_mutex_lock (&lock);
  tp_memory_use now = use;
  pthread_mutex_unlock (&lock);
  return now;
}

void
tp_memory_reset_peak (void)
{
  pthread_mutex_lock (&lock);
  use.peak = use.live;
  pthread_mutex_unlock (&lock);
}

void
tp_memory_trim (void)
{
  pthread_mutex_lock (&lock);
  for (int c = 0; c < CLASSES; c++)
    while (free_list[c])
      {
        block *b = free_list[c];
        free_list[c] = b->next;
        use.pooled -= b->bytes;
        free (b);
      }
  pthread_mutex_unlock (&lock);
#ifdef __GLIBC__
  /* What lies between live blocks too: free alone gives back only the end of the heap. */
  malloc_trim (0);
#endif
}
