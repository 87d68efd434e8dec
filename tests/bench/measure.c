/* measure FILE COMMAND [ARGUMENT]...
 * Runs the command and writes "SECONDS KIB STATUS" to FILE: the time it took,
 * its peak resident memory, its exit status. A program of its own because the
 * memory of whoever forks counts as the child's: this one is small. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
  if (argc < 3) {
    fputs("usage: measure FILE COMMAND [ARGUMENT]...\n", stderr);
    return 1;
  }
  double start = now();
  pid_t pid = fork();
  if (pid == 0) {
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
    perror("measure");
    return 1;
  }
  double seconds = now() - start;
  FILE *file = fopen(argv[1], "w");
  if (!file) {
    perror(argv[1]);
    return 1;
  }
  fprintf(file, "%.6f %ld %d\n", seconds, usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return fclose(file) ? 1 : 0;
}
