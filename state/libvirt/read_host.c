/* The host itself, and what the tasks of an observation share. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "state/host_facts.h"
#include "state/libvirt/reading.h"

void reading_fail(Reading *reading, GError *error) {
  g_mutex_lock(&reading->lock);
  if (reading->error)
    g_error_free(error);
  else
    reading->error = error;
  g_mutex_unlock(&reading->lock);
}

void reading_fail_libvirt(Reading *reading, const char *what) {
  GError *error = NULL;
  libvirt_fail(&error, "%s", what);
  reading_fail(reading, error);
}

char *reading_trouble(Reading *reading, const char *format, ...) {
  g_autofree char *message = g_strdup(virGetLastErrorMessage());
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *context = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_mutex_lock(&reading->lock);
  reading->had_trouble = TRUE;
  g_mutex_unlock(&reading->lock);
  return g_strdup_printf("%s: %s", context, message);
}

void reading_check_alive(Reading *reading) {
  unsigned long version;
  if (virConnectIsAlive(reading->conn) != 1 || virConnectGetLibVersion(reading->conn, &version) < 0)
    reading_fail_libvirt(reading, "the connection was lost while the host was observed");
}

void reading_fail_given_up(Reading *reading) {
  g_clear_error(&reading->error);
  reading_fail(reading, g_error_new_literal(LIBVIRT_ERROR, VIR_ERR_OPERATION_TIMEOUT,
                                            "the daemon answers, but not what it was asked for: a machine's QEMU, or storage, hangs"));
}

gboolean reading_lacks_driver(void) {
  const virError *last = virGetLastError();
  if (!last)
    return FALSE;
  /* A modular daemon that isn't installed: its socket isn't there. */
  return last->code == VIR_ERR_NO_SUPPORT || last->code == VIR_ERR_NO_CONNECT ||
         (last->code == VIR_ERR_SYSTEM_ERROR && (last->int1 == ENOENT || last->int1 == ECONNREFUSED));
}

/* qemu:///system, qemu+ssh://host/system; a session daemon is at /session; the embedded
 * driver is this process. */
static gboolean is_privileged(const char *text) {
  g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
  const char *path = uri ? g_uri_get_path(uri) : "";
  return g_str_equal(path, "/embed") ? geteuid() == 0 : !g_str_equal(path, "/session");
}

static void read_names(gpointer data, gpointer item G_GNUC_UNUSED) {
  Reading *reading = data;
  Actual *actual = reading->actual;
  actual->uri = connection_handle_uri(reading->conn);
  actual->hostname = actual->uri ? virConnectGetHostname(reading->conn) : NULL;
  if (!actual->hostname)
    reading_fail_libvirt(reading, "cannot ask for the host's name");
  actual->local = !connection_is_remote(reading->conn);
  actual->privileged = is_privileged(actual->uri);
}

static void read_capabilities(gpointer data, gpointer item G_GNUC_UNUSED) {
  Reading *reading = data;
  g_autofree char *xml = virConnectGetCapabilities(reading->conn);
  GError *error = NULL;
  if (!xml)
    reading_fail_libvirt(reading, "cannot read the host's capabilities");
  else if (!capabilities_read(reading->actual, xml, &error))
    reading_fail(reading, error);
}

void read_host(Reading *reading) {
  reading->actual->texts = texts_new(reading->options->keep_texts);
  work_push(reading->work, read_capabilities, reading, NULL);
  work_push(reading->work, read_names, reading, NULL);
}
