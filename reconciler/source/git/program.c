#include "reconciler/source/git/program.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND G_USEC_PER_SEC

typedef struct {
  const Program *program;
  GPid pid;
  int output_fd;
  GString *output;
  gint64 started, heard; /* monotonic */
} Running;

static gboolean fail(GError **error, int code, const char *what, const char *why) {
  g_set_error(error, G_IO_ERROR, code, "%s: %s", what, why);
  return FALSE;
}

/* A file rather than a pipe: nobody waits for the other then, and there is no SIGPIPE. */
static int input_file(const Program *program, GError **error) {
  int fd = memfd_create("input", MFD_CLOEXEC);
  gsize done = 0;
  while (fd >= 0 && done < program->input_length) {
    gssize n = write(fd, program->input + done, program->input_length - done);
    if (n < 0 && errno != EINTR)
      break;
    done += n > 0 ? (gsize)n : 0;
  }
  if (fd >= 0 && done == program->input_length && lseek(fd, 0, SEEK_SET) == 0)
    return fd;
  fail(error, g_io_error_from_errno(errno), program->argv[0], g_strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

static gboolean spawn(Running *running, int input, GError **error) {
  const Program *program = running->program;
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  g_ptr_array_add(argv, (char *)program->argv[0]);
  g_ptr_array_add(argv, (char *)(program->shown_as != NULL ? program->shown_as : program->argv[0]));
  for (guint i = 1; program->argv[i] != NULL; i++)
    g_ptr_array_add(argv, (char *)program->argv[i]);
  g_ptr_array_add(argv, NULL);
  int pipe[2];
  if (!g_unix_open_pipe(pipe, FD_CLOEXEC, error))
    return FALSE;
  g_autoptr(GError) wrong = NULL;
  gboolean spawned = g_spawn_async_with_fds(NULL, (char **)argv->pdata, NULL,
                                            G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH | G_SPAWN_FILE_AND_ARGV_ZERO, NULL,
                                            NULL, &running->pid, input, pipe[1], program->quiet ? pipe[1] : -1, &wrong);
  close(pipe[1]);
  running->output_fd = pipe[0];
  if (spawned)
    return TRUE;
  close(pipe[0]);
  gboolean absent = g_error_matches(wrong, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT);
  return fail(error, absent ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_FAILED, program->argv[0],
              absent ? "no such program is installed" : wrong->message);
}

static int milliseconds_left(const Running *running) {
  gint64 silent = running->heard + (gint64)running->program->silence_seconds * SECOND;
  gint64 whole = running->started + (gint64)running->program->total_seconds * SECOND;
  gint64 left = MIN(silent, whole) - g_get_monotonic_time();
  return left > 0 ? (int)(left / 1000 + 1) : 0;
}

/* Reads what is there; FALSE at the end. */
static gboolean take_output(Running *running) {
  char buffer[65536];
  gssize n = read(running->output_fd, buffer, sizeof(buffer));
  if (n < 0)
    return errno == EINTR || errno == EAGAIN;
  g_string_append_len(running->output, buffer, n);
  running->heard = g_get_monotonic_time();
  return n > 0;
}

static gboolean check_limits(const Running *running, GError **error) {
  const Program *program = running->program;
  if (program->cancel != NULL && g_cancellable_set_error_if_cancelled(program->cancel, error))
    return FALSE;
  if (running->output->len > program->max_output)
    return fail(error, G_IO_ERROR_NO_SPACE, program->argv[0], "wrote more than can be read");
  if (milliseconds_left(running) == 0)
    return fail(error, G_IO_ERROR_TIMED_OUT, program->argv[0], "took too long");
  return TRUE;
}

static gboolean read_output(Running *running, GError **error) {
  GPollFD cancelled = {.fd = -1};
  gboolean watched = running->program->cancel != NULL && g_cancellable_make_pollfd(running->program->cancel, &cancelled);
  gboolean good = TRUE, more = TRUE;
  while (more && (good = check_limits(running, error))) {
    struct pollfd fds[] = {{.fd = running->output_fd, .events = POLLIN}, {.fd = cancelled.fd, .events = POLLIN}};
    if (poll(fds, watched ? 2 : 1, milliseconds_left(running)) > 0 && fds[0].revents != 0)
      more = take_output(running);
  }
  if (watched)
    g_cancellable_release_fd(running->program->cancel);
  return good;
}

/* Who has closed its output may still hang. */
static gboolean wait_for_end(Running *running, int *ret_status, GError **error) {
  for (guint pause = 100; waitpid(running->pid, ret_status, WNOHANG) == 0; pause = MIN(pause * 2, 20000)) {
    if (!check_limits(running, error))
      return FALSE;
    g_usleep(pause);
  }
  return TRUE;
}

/* With all that it started, if it made itself the first of a process group. */
static void end(const Running *running) {
  kill(-running->pid, SIGKILL);
  kill(running->pid, SIGKILL);
  while (waitpid(running->pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

gboolean program_run(const Program *program, ProgramResult *ret_result, GError **error) {
  Running running = {.program = program};
  int status = 0, input = input_file(program, error);
  if (input < 0)
    return FALSE;
  gboolean good = spawn(&running, input, error);
  close(input);
  if (!good)
    return FALSE;
  g_autoptr(GString) output = g_string_new(NULL);
  running.output = output;
  running.started = running.heard = g_get_monotonic_time();
  good = read_output(&running, error) && wait_for_end(&running, &status, error);
  close(running.output_fd);
  if (!good) {
    end(&running);
    return FALSE;
  }
  gboolean exited = WIFEXITED(status);
  *ret_result = (ProgramResult){g_strdup(output->str), exited, exited ? WEXITSTATUS(status) : WTERMSIG(status)};
  return TRUE;
}
