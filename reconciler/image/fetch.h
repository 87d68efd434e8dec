/* Files over HTTP and HTTPS, by libcurl. Certificates are checked against the host's authorities, or those
 * of $SSL_CERT_FILE; proxies are those of the environment. A redirect never leads from https to http. Whose
 * bytes they are is the caller's to check: by a digest. */
#pragma once
#include <gio/gio.h>

#define FETCH_ERROR (fetch_error_quark())
GQuark fetch_error_quark(void);
typedef enum {
  FETCH_ERROR_FAILED, /* not reached, refused, broke off: another try goes on where this one stopped */
  FETCH_ERROR_LONGER, /* more than `bytes`: it is another file by now */
  FETCH_ERROR_LOCAL,  /* what came can't be written */
} FetchError;

gboolean fetch_is_url(const char *source);

/* The first bytes, and how long the whole is. */
gboolean fetch_head(const char *url, guint8 *bytes, gsize size, gsize *ret_got, guint64 *ret_total, GCancellable *cancel,
                    GError **error);

typedef struct {
  const char *url;
  guint64 bytes; /* of the whole */
  GCancellable *cancel;
  void (*progress)(gpointer data, guint64 done, guint64 total); /* may be NULL */
  gpointer data;
} Fetch;

/* Into an open file that holds `have` bytes of it already: the rest is appended. A server that can't give a
 * part is asked for the whole. TRUE: the file has `bytes` bytes. */
gboolean fetch_file(const Fetch *fetch, int fd, guint64 have, GError **error);
