/* plans.c -- FFTW's plans, and the wisdom of measured ones. */
#define _GNU_SOURCE
#include "fourier/plans.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

typedef struct plan {
  int height, width, count, sign;
  fftwf_plan fftw;
  struct plan *next;
} plan;

static pthread_mutex_t plan_lock = PTHREAD_MUTEX_INITIALIZER; /* also FFTW's planner */
static plan *plans;

/* The wisdom file's name into PATH, its folder made; false where there is no
 * home to keep it in. */
static bool
wisdom_path (char path[PATH_MAX])
{
  const char *cache = getenv ("XDG_CACHE_HOME"), *home = getenv ("HOME");
  char folder[PATH_MAX - 32];
  int length;
  if (cache && *cache == '/')
    length = snprintf (folder, sizeof folder, "%s", cache);
  else if (home && *home)
    length = snprintf (folder, sizeof folder, "%s/.cache", home);
  else
    return false;
  if (length >= (int) sizeof folder)
    return false;
  mkdir (folder, 0700);
  snprintf (path, PATH_MAX, "%s/tempera", folder);
  if (mkdir (path, 0700) && errno != EEXIST)
    return false;
  snprintf (path, PATH_MAX, "%s/tempera/fftw-wisdom", folder);
  return true;
}

/* Wisdom is a convenience: what cannot be read or kept is measured again. */
static void
wisdom_load (void)
{
  static bool loaded;
  char path[PATH_MAX];
  if (!loaded && wisdom_path (path))
    fftwf_import_wisdom_from_filename (path);
  loaded = true;
}

static void
wisdom_save (void)
{
  char path[PATH_MAX], *temporary;
  if (!wisdom_path (path) || asprintf (&temporary, "%s.new", path) < 0)
    return;
  /* Another process may be writing it; one that was killed may have left it. */
  int descriptor = open (temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  struct stat here, there;
  bool ours = descriptor >= 0 && !flock (descriptor, LOCK_EX | LOCK_NB)
              && !fstat (descriptor, &here) && !stat (temporary, &there)
              && here.st_ino == there.st_ino && !ftruncate (descriptor, 0);
  FILE *file = ours ? fdopen (descriptor, "w") : NULL;
  if (file)
    {
      fftwf_export_wisdom_to_file (file);
      bool whole = !fflush (file) && !ferror (file) && !fsync (descriptor);
      whole = !fclose (file) && whole;
      if (!whole || rename (temporary, path))
        unlink (temporary);
    }
  else if (descriptor >= 0)
    close (descriptor);
  free (temporary);
}

fftwf_plan
tp_fftw_plan (int height, int width, int count, int sign)
{
  fftwf_plan found = NULL;
  pthread_mutex_lock (&plan_lock);
  for (plan *p = plans; p && !found; p = p->next)
    if (p->height == height && p->width == width && p->count == count && p->sign == sign)
      found = p->fftw;
  if (!found)
    {
      const char *setting = getenv ("TEMPERA_FFT_PLAN");
      bool measure = setting && !strcmp (setting, "measure");
      plan *p = malloc (sizeof *p);
      fftwf_complex *scratch = tp_scratch_alloc ((size_t) height * (size_t) width * (size_t) count
                                                 * sizeof *scratch);
      if (p && scratch)
        {
          if (measure)
            wisdom_load ();
          found = fftwf_plan_many_dft (2, (int[]) { height, width }, count, scratch, NULL, count, 1,
                                       scratch, NULL, count, 1, sign,
                                       measure ? FFTW_MEASURE : FFTW_ESTIMATE);
          if (found && measure)
            wisdom_save ();
        }
      tp_scratch_free (scratch);
      if (found)
        {
          *p = (plan) { height, width, count, sign, found, plans };
          plans = p;
        }
      else
        {
          free (p);
          tp_fail (TP_NO_MEMORY, "fft: no plan for images of %d x %d", height, width);
        }
    }
  pthread_mutex_unlock (&plan_lock);
  return found;
}
