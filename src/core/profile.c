/* profile.c -- the table of operations, and the parts that wait for their operation's end. */
#define _DEFAULT_SOURCE
#include "core/profile.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool tp_profiling;

typedef struct {
  uint64_t hash; /* of the row's four names */
  tp_profile_row row;
} entry;

typedef struct {
  double start, seconds;
  const char *part;
  tp_work work;
} waiting_part;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *entries;
static int64_t entry_count, entry_room;
static waiting_part *waiting;
static int64_t waiting_count, waiting_room;

/* Names of layers, each once. */
static char **names;
static int64_t name_count, name_room;

static _Thread_local double counted;
static _Thread_local const char *layer = "";

double
tp_clock (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Room for one more in a list of COUNT; false when memory is exhausted: what is measured
 * then goes uncounted, which is no reason to fail. */
static bool
grow (void **list, int64_t count, int64_t *room, size_t size)
{
  if (count < *room)
    return true;
  int64_t more = *room ? 2 * *room : 64;
  void *larger = realloc (*list, (size_t) more * size);
  if (!larger)
    return false;
  *list = larger;
  *room = more;
  return true;
}

/* --- Layers ------------------------------------------------------------------------- */

static const char *
intern (const char *name)
{
  for (int64_t i = 0; i < name_count; i++)
    if (!strcmp (names[i], name))
      return names[i];
  bool room = grow ((void **) &names, name_count, &name_room, sizeof *names);
  char *copy = room ? strdup (name) : NULL;
  return copy ? names[name_count++] = copy : "";
}

const char *
tp_layer_enter (const char *name)
{
  const char *before = layer;
  char text[TP_PROFILE_TEXT];
  snprintf (text, sizeof text, "%s", name);
  pthread_mutex_lock (&lock);
  layer = *text ? intern (text) : "";
  pthread_mutex_unlock (&lock);
  return before;
}

const char *
tp_layer_now (void)
{
  return layer;
}

/* --- The table ----------------------------------------------------------------------- */

static uint64_t
hash_text (uint64_t hash, const char *text)
{
  for (; *text; text++)
    hash = (hash ^ (unsigned char) *text) * 0x100000001b3u; /* FNV-1a */
  return hash * 31;
}

/* With the lock held: the row of that name, perhaps new, or NULL without memory. */
static tp_profile_row *
find_row (const char *operation, const char *detail, const char *part)
{
  uint64_t hash = hash_text (hash_text (hash_text (hash_text (0xcbf29ce484222325u, layer),
                                                   operation), detail), part);
  for (int64_t i = 0; i < entry_count; i++)
    {
      tp_profile_row *row = &entries[i].row;
      if (entries[i].hash == hash && !strcmp (row->detail, detail) && !strcmp (row->part, part)
          && !strcmp (row->operation, operation) && !strcmp (row->layer, layer))
        return row;
    }
  if (!grow ((void **) &entries, entry_count, &entry_room, sizeof *entries))
    return NULL;
  entry *e = &entries[entry_count++];
  memset (e, 0, sizeof *e);
  e->hash = hash;
  snprintf (e->row.layer, sizeof e->row.layer, "%s", layer);
  snprintf (e->row.operation, sizeof e->row.operation, "%s", operation);
  snprintf (e->row.detail, sizeof e->row.detail, "%s", detail);
  snprintf (e->row.part, sizeof e->row.part, "%s", part);
  return &e->row;
}

/* With the lock held. */
static void
add (const char *operation, const char *detail, const char *part, int64_t calls, double seconds,
     tp_work work)
{
  tp_profile_row *row = find_row (operation, detail, part);
  if (!row)
    return;
  row->calls += calls;
  row->seconds += seconds;
  row->work.flops += work.flops;
  row->work.bytes += work.bytes;
  row->work.bf16 |= work.bf16;
}

/* With the lock held: the waiting parts that began since START, summed by name, to the
 * operation that ends. */
static void
add_parts (const char *operation, const char *detail, double start)
{
  int64_t left = 0;
  for (int64_t i = 0; i < waiting_count; i++)
    {
      waiting_part sum = waiting[i];
      if (sum.start < start)
        {
          waiting[left++] = sum;
          continue;
        }
      int64_t calls = 1, others = i + 1;
      for (int64_t k = i + 1; k < waiting_count; k++)
        if (waiting[k].start >= start && !strcmp (waiting[k].part, sum.part))
          {
            calls++;
            sum.seconds += waiting[k].seconds;
            sum.work.flops += waiting[k].work.flops;
            sum.work.bytes += waiting[k].work.bytes;
            sum.work.bf16 |= waiting[k].work.bf16;
          }
        else
          waiting[others++] = waiting[k];
      waiting_count = others;
      add (operation, detail, sum.part, calls, sum.seconds, sum.work);
    }
  waiting_count = left;
}

/* --- Spans ---------------------------------------------------------------------------- */

tp_span
tp_span_measure (void)
{
  return (tp_span) { tp_clock (), counted };
}

void
tp_span_end (tp_span span, const char *operation, tp_work work, const char *format, ...)
{
  if (span.start == 0)
    return;
  double elapsed = tp_clock () - span.start;
  double inside = counted - span.counted; /* by operations that ended since */
  counted = span.counted + elapsed;
  char detail[TP_PROFILE_TEXT] = "";
  va_list arguments;
  va_start (arguments, format);
  if (format)
    vsnprintf (detail, sizeof detail, format, arguments);
  va_end (arguments);
  pthread_mutex_lock (&lock);
  add (operation, detail, "", 1, elapsed - inside, work);
  add_parts (operation, detail, span.start);
  pthread_mutex_unlock (&lock);
}

void
tp_part_end (tp_span span, const char *part, tp_work work)
{
  if (span.start == 0)
    return;
  double seconds = tp_clock () - span.start;
  pthread_mutex_lock (&lock);
  if (grow ((void **) &waiting, waiting_count, &waiting_room, sizeof *waiting))
    waiting[waiting_count++] = (waiting_part) { span.start, seconds, part, work };
  pthread_mutex_unlock (&lock);
}

/* --- Reading --------------------------------------------------------------------------- */

void
tp_profile_start (void)
{
  pthread_mutex_lock (&lock);
  entry_count = waiting_count = 0;
  pthread_mutex_unlock (&lock);
  tp_profiling = true;
}

void
tp_profile_stop (void)
{
  tp_profiling = false;
}

bool
tp_profile_row_get (int64_t index, tp_profile_row *row)
{
  pthread_mutex_lock (&lock);
  bool there = index >= 0 && index < entry_count;
  if (there)
    *row = entries[index].row;
  pthread_mutex_unlock (&lock);
  return there;
}
