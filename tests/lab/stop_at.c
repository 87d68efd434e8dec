/* Preloaded into a libvirtd, has it stop, all of it (SIGSTOP), right before or right after it says a certain thing to a QEMU or,
 * about a migration, to another libvirtd: so that something can be killed there. On its host,
 *   STOP_AT  "before NAME" or "after NAME": it is removed when that is met, and STOPPED is there then;
 *   SAID     as long as it is there, gets each NAME that is said.
 * NAME is a command of QMP, or "prepare call", "finish reply", … */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STOP_AT "/run/stop-at"
#define STOPPED "/run/stopped"
#define SAID "/run/said"
#define COMMAND "{\"execute\":\""

typedef ssize_t (*Write)(int, const void *, size_t);
static Write real;

__attribute__((constructor)) static void find(void) { real = (Write)dlsym(RTLD_NEXT, "write"); }

/* Of libvirt's protocol: length, program, version, procedure, type, serial, status. */
static int read_call(const void *data, size_t size, char *name, size_t room) {
  static const struct {
    uint32_t procedure;
    const char *name;
  } calls[] = {{303, "prepare"}, {306, "finish"}};
  uint32_t head[7];
  if (size < sizeof head)
    return 0;
  memcpy(head, data, sizeof head);
  if (ntohl(head[0]) != size || ntohl(head[1]) != 0x20008086 || ntohl(head[4]) > 1)
    return 0;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (ntohl(head[3]) == calls[i].procedure)
      return snprintf(name, room, "%s %s", calls[i].name, ntohl(head[4]) == 0 ? "call" : "reply") > 0;
  return 0;
}

static int read_command(const char *data, size_t size, char *name, size_t room) {
  size_t before = strlen(COMMAND);
  if (size <= before || memcmp(data, COMMAND, before) != 0)
    return 0;
  const char *end = memchr(data + before, '"', size - before);
  return end && snprintf(name, room, "%.*s", (int)(end - data - before), data + before) > 0;
}

static void note(const char *name) {
  char line[100];
  int file = open(SAID, O_WRONLY | O_APPEND);
  if (file < 0)
    return;
  real(file, line, (size_t)snprintf(line, sizeof line, "%s\n", name));
  close(file);
}

static void stop_if(const char *when, const char *name) {
  char wanted[100] = "", here[100];
  int file = open(STOP_AT, O_RDONLY);
  if (file < 0)
    return;
  ssize_t got = read(file, wanted, sizeof wanted - 1);
  close(file);
  snprintf(here, sizeof here, "%s %s\n", when, name);
  if (got <= 0 || strcmp(wanted, here) != 0 || unlink(STOP_AT) != 0)
    return;
  close(open(STOPPED, O_WRONLY | O_CREAT, 0600));
  raise(SIGSTOP); /* this thread goes no further */
}

ssize_t write(int fd, const void *data, size_t size) {
  char name[80];
  if (!read_command(data, size, name, sizeof name) && !read_call(data, size, name, sizeof name))
    return real(fd, data, size);
  stop_if("before", name);
  ssize_t written = real(fd, data, size);
  if (written < (ssize_t)size)
    return written;
  note(name);
  stop_if("after", name);
  return written;
}
