/* trial.c -- one fork a trial.  The child calls nothing but the library, and says nothing. */
#include "io/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void
be_child (void (*read) (void *data), void *data)
{
  static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM, SIGINT, SIGTERM };
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    signal (signals[i], SIG_DFL);
  setrlimit (RLIMIT_CORE, &(struct rlimit) { 0, 0 });
  int nowhere = open ("/dev/null", O_WRONLY);
  if (nowhere >= 0)
    dup2 (nowhere, STDERR_FILENO);
  alarm (600);
  read (data);
  _exit (0);
}

tp_status
tp_trial (const char *path, void (*read) (void *data), void *data)
{
  pid_t child = fork ();
  if (child < 0)
    return tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  if (child == 0)
    be_child (read, data);
  int status;
  while (waitpid (child, &status, 0) < 0)
    if (errno != EINTR)
      return tp_fail (TP_IO, "%s: %s", path, strerror (errno));
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TP_OK;
  /* Ctrl-C goes to both: the file is not to blame. */
  if (WIFSIGNALED (status) && (WTERMSIG (status) == SIGINT || WTERMSIG (status) == SIGTERM))
    return tp_fail (TP_IO, "%s: reading was interrupted", path);
  return tp_fail (TP_BAD_FILE, "%s: damaged: the library that reads it fails on it", path);
}
