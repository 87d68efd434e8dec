#include "state/libvirt/socket_timeout.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static gboolean is_tcp(int fd) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == IPPROTO_TCP;
}

void socket_timeout_set(guint milliseconds) {
  g_autoptr(GDir) open = g_dir_open("/proc/self/fd", 0, NULL);
  const char *name;
  while (open && (name = g_dir_read_name(open)) != NULL) {
    int fd = (int)g_ascii_strtoll(name, NULL, 10);
    if (is_tcp(fd))
      setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
  }
}
