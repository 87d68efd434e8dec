/* relay MICROSECONDS SOCKET... - a link with latency to each of these UNIX sockets: a port on loopback for each, told line by
 * line, where each way everything arrives so much later. Ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 65536, EVENTS = 64 };

typedef struct Piece {
  struct Piece *next;
  long long due; /* nanoseconds; one without bytes is the end */
  size_t size, sent;
  char bytes[];
} Piece;

/* What is read from one socket, on its way to the other. */
typedef struct End {
  int fd, timer;
  struct End *other;
  Piece *first, **last;
} End;

typedef enum { LISTENER, SOCKET, TIMER, INPUT } Kind;
typedef struct {
  Kind kind;
  int fd;
  const char *path; /* of a listener */
  End *end;
} Source;

static long long delay;
static int loop;

static void must(int result, const char *what) {
  if (result >= 0)
    return;
  perror(what);
  exit(1);
}

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void watch(Source source) {
  Source *copy = malloc(sizeof *copy);
  *copy = source;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = copy};
  must(epoll_ctl(loop, EPOLL_CTL_ADD, source.fd, &event), "epoll_ctl");
}

static void wake(End *end, long long due) {
  struct itimerspec when = {.it_value = {.tv_sec = due / 1000000000LL, .tv_nsec = due % 1000000000LL}};
  must(timerfd_settime(end->timer, TFD_TIMER_ABSTIME, &when, NULL), "timerfd_settime");
}

/* Sockets stay open, shut down, until the relay ends: it lives for one measurement. */
static void take_in(End *end) {
  static char bytes[PIECE];
  ssize_t n = recv(end->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0)
    epoll_ctl(loop, EPOLL_CTL_DEL, end->fd, NULL);
  Piece *piece = malloc(sizeof *piece + (size_t)(n > 0 ? n : 0));
  *piece = (Piece){.due = now() + delay, .size = n > 0 ? (size_t)n : 0};
  memcpy(piece->bytes, bytes, piece->size);
  if (end->first == NULL)
    wake(end, piece->due);
  *end->last = piece;
  end->last = &piece->next;
}

static int give(End *end, Piece *piece) {
  if (piece->size == 0)
    shutdown(end->other->fd, SHUT_WR);
  while (piece->sent < piece->size) {
    ssize_t n = send(end->other->fd, piece->bytes + piece->sent, piece->size - piece->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
      return 0;
    if (n < 0 && errno != EINTR)
      break; /* nobody is there any more */
    piece->sent += n > 0 ? (size_t)n : 0;
  }
  return 1;
}

static void hand_out(End *end) {
  long long ticks, time = now();
  ssize_t n = read(end->timer, &ticks, sizeof ticks);
  (void)n;
  while (end->first != NULL && end->first->due <= time && give(end, end->first)) {
    Piece *piece = end->first;
    end->first = piece->next;
    if (end->first == NULL)
      end->last = &end->first;
    free(piece);
  }
  if (end->first != NULL)
    wake(end, end->first->due > time ? end->first->due : time + 1000000);
}

static End *end_new(int fd) {
  End *end = calloc(1, sizeof *end);
  *end = (End){.fd = fd, .timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)};
  end->last = &end->first;
  must(end->timer, "timerfd_create");
  return end;
}

static void join(int listener, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int near = accept(listener, NULL, NULL), far = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(near, "accept");
  must(connect(far, (struct sockaddr *)&address, sizeof address), path);
  End *ends[] = {end_new(near), end_new(far)};
  for (int i = 0; i < 2; i++) {
    ends[i]->other = ends[!i];
    watch((Source){.kind = TIMER, .fd = ends[i]->timer, .end = ends[i]});
    watch((Source){.kind = SOCKET, .fd = ends[i]->fd, .end = ends[i]});
  }
}

static void listen_for(const char *path) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listener, (struct sockaddr *)&address, size), "bind");
  must(listen(listener, 64), "listen");
  must(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
  printf("%d\n", ntohs(address.sin_port));
  watch((Source){.kind = LISTENER, .fd = listener, .path = path});
}

static void serve(const Source *source) {
  switch (source->kind) {
  case LISTENER: join(source->fd, source->path); break;
  case SOCKET: take_in(source->end); break;
  case TIMER: hand_out(source->end); break;
  case INPUT: _exit(0); /* what it holds goes with it */
  }
}

int main(int argc, char **argv) {
  delay = argc > 1 ? atoll(argv[1]) * 1000 : 0;
  loop = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 2; i < argc; i++)
    listen_for(argv[i]);
  fflush(stdout);
  watch((Source){.kind = INPUT, .fd = STDIN_FILENO});
  for (;;) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(loop, events, EVENTS, -1);
    for (int i = 0; i < n; i++)
      serve(events[i].data.ptr);
  }
}
