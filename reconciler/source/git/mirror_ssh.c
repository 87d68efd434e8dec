#include "reconciler/source/git/mirror_git.h"

typedef struct {
  git_smart_subtransport transport;
  git_smart_subtransport_stream stream;
  Fetching *fetching;
  Ssh *ssh; /* NULL: it doesn't run */
} SshTransport;

static void end_ssh(SshTransport *self) {
  char *why = self->ssh != NULL ? ssh_end(g_steal_pointer(&self->ssh)) : NULL;
  if (why != NULL)
    mirror_because(self->fetching, why);
}

static int stream_read(git_smart_subtransport_stream *stream, char *buffer, size_t size, size_t *ret_size) {
  SshTransport *self = (SshTransport *)((char *)stream - G_STRUCT_OFFSET(SshTransport, stream));
  gssize n = self->ssh != NULL ? ssh_read(self->ssh, buffer, size) : -1;
  if (n <= 0)
    end_ssh(self);
  *ret_size = n > 0 ? (gsize)n : 0;
  self->fetching->fetch->alive();
  return n < 0 ? -1 : 0;
}

static int stream_write(git_smart_subtransport_stream *stream, const char *data, size_t length) {
  SshTransport *self = (SshTransport *)((char *)stream - G_STRUCT_OFFSET(SshTransport, stream));
  return self->ssh != NULL && ssh_write(self->ssh, data, length) ? 0 : -1;
}

static void stream_free(git_smart_subtransport_stream *stream) {
  SshTransport *self = (SshTransport *)((char *)stream - G_STRUCT_OFFSET(SshTransport, stream));
  end_ssh(self);
}

static int ssh_action(git_smart_subtransport_stream **ret_stream, git_smart_subtransport *transport, G_GNUC_UNUSED const char *url,
                      git_smart_service_t action) {
  SshTransport *self = (SshTransport *)transport;
  const MirrorFetch *fetch = self->fetching->fetch;
  if (action == GIT_SERVICE_UPLOADPACK_LS && self->ssh == NULL)
    self->ssh = ssh_start(fetch->url, fetch->ssh, &self->fetching->ssh_error);
  *ret_stream = &self->stream;
  return self->ssh != NULL ? 0 : -1;
}

static int ssh_close(G_GNUC_UNUSED git_smart_subtransport *transport) { return 0; }
static void ssh_free(git_smart_subtransport *transport) { g_free(transport); }

int mirror_ssh_new(git_smart_subtransport **ret_transport, G_GNUC_UNUSED git_transport *owner, void *fetching) {
  SshTransport *self = g_new0(SshTransport, 1);
  self->transport = (git_smart_subtransport){.action = ssh_action, .close = ssh_close, .free = ssh_free};
  self->stream = (git_smart_subtransport_stream){&self->transport, stream_read, stream_write, stream_free};
  self->fetching = fetching;
  *ret_transport = &self->transport;
  return 0;
}
