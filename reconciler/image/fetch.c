#include "reconciler/image/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "schema/url_mask.h"
#include "state/fault.h"

enum { CONNECT_SECONDS = 20, STALL_SECONDS = 30, MOST_REDIRECTS = 5 };

G_DEFINE_QUARK(reconcile-fetch-error, fetch_error)

typedef CURL Curl;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Curl, curl_easy_cleanup)

gboolean fetch_is_url(const char *source) {
  return g_ascii_strncasecmp(source, "http://", 7) == 0 || g_ascii_strncasecmp(source, "https://", 8) == 0;
}

typedef struct {
  Fetch fetch;
  CURL *curl;
  guint8 *head; /* of `size`; NULL: into the file */
  gsize size;
  int fd;
  guint64 got;   /* so far, with what was there */
  guint64 total; /* as Content-Range says; 0: it doesn't */
  int trouble;   /* errno of writing; 0: none */
  gboolean longer;
  char why[CURL_ERROR_SIZE];
} Transfer;

static int stop_when_cancelled(void *data, curl_off_t total G_GNUC_UNUSED, curl_off_t now G_GNUC_UNUSED, curl_off_t up G_GNUC_UNUSED,
                               curl_off_t sent G_GNUC_UNUSED) {
  const Transfer *transfer = data;
  if (transfer->fetch.progress)
    transfer->fetch.progress(transfer->fetch.data, transfer->got, transfer->fetch.bytes);
  return g_cancellable_is_cancelled(transfer->fetch.cancel);
}

/* "content-range: bytes 0-103/12345" */
static size_t take_header(char *text, size_t size, size_t count, void *data) {
  Transfer *transfer = data;
  g_autofree char *line = g_strndup(text, size * count);
  const char *slash = g_ascii_strncasecmp(line, "content-range:", 14) == 0 ? strchr(line, '/') : NULL;
  if (slash)
    transfer->total = g_ascii_strtoull(slash + 1, NULL, 10);
  return size * count;
}

static size_t take_head(Transfer *transfer, const char *data, gsize length) {
  gsize part = MIN(length, transfer->size - transfer->got);
  memcpy(transfer->head + transfer->got, data, part);
  transfer->got += part;
  return transfer->got < transfer->size ? length : 0; /* 0: that is enough */
}

static size_t write_out(Transfer *transfer, const char *data, gsize length) {
  for (gsize done = 0; done < length;) {
    ssize_t written = write(transfer->fd, data + done, length - done);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0) {
      transfer->trouble = errno;
      return 0;
    }
    done += (gsize)written;
    transfer->got += (guint64)written;
  }
  return length;
}

static size_t take_body(char *data, size_t size, size_t count, void *user_data) {
  Transfer *transfer = user_data;
  gsize length = size * count;
  if (transfer->head)
    return take_head(transfer, data, length);
  if (transfer->got + length > transfer->fetch.bytes) {
    transfer->longer = TRUE;
    return 0;
  }
  if (transfer->got < transfer->fetch.bytes / 2 && transfer->got + length >= transfer->fetch.bytes / 2)
    FAULT("fetch: half of it");
  return write_out(transfer, data, length);
}

static CURL *open_curl(Transfer *transfer) {
  static gsize ready;
  if (g_once_init_enter(&ready)) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    g_once_init_leave(&ready, 1);
  }
  CURL *curl = curl_easy_init();
  const char *url = transfer->fetch.url, *authorities = g_getenv("SSL_CERT_FILE");
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, g_ascii_strncasecmp(url, "https:", 6) == 0 ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "reconcile/" RECONCILE_VERSION);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->why);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_when_cancelled);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
  if (authorities)
    curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
  return curl;
}

static gboolean fail(const Transfer *transfer, CURLcode code, GError **error) {
  g_autofree char *url = url_mask(transfer->fetch.url);
  if (g_cancellable_set_error_if_cancelled(transfer->fetch.cancel, error))
    return FALSE;
  if (transfer->trouble) {
    g_set_error(error, FETCH_ERROR, FETCH_ERROR_LOCAL, "%s can't be written to the state directory: %s", url, g_strerror(transfer->trouble));
  } else if (transfer->longer) {
    g_set_error(error, FETCH_ERROR, FETCH_ERROR_LONGER, "%s is longer than it was when this was planned: plan again", url);
  } else if (code == CURLE_HTTP_RETURNED_ERROR) {
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    g_set_error(error, FETCH_ERROR, FETCH_ERROR_FAILED, "%s: the server answered %ld: see whether the url is right", url, status);
  } else if (transfer->got > 0 && !transfer->head) {
    g_set_error(error, FETCH_ERROR, FETCH_ERROR_FAILED, "%s broke off after %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                " bytes (%s): the next run goes on there", url, transfer->got, transfer->fetch.bytes,
                *transfer->why ? transfer->why : curl_easy_strerror(code));
  } else {
    g_set_error(error, FETCH_ERROR, FETCH_ERROR_FAILED, "%s: %s", url, *transfer->why ? transfer->why : curl_easy_strerror(code));
  }
  return FALSE;
}

gboolean fetch_head(const char *url, guint8 *bytes, gsize size, gsize *ret_got, guint64 *ret_total, GCancellable *cancel,
                    GError **error) {
  Transfer transfer = {.fetch = {.url = url, .cancel = cancel}, .head = bytes, .size = size};
  g_autoptr(Curl) curl = transfer.curl = open_curl(&transfer);
  g_autofree char *range = g_strdup_printf("0-%" G_GSIZE_FORMAT, size - 1);
  curl_easy_setopt(curl, CURLOPT_RANGE, range);
  CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && transfer.got == size))
    return fail(&transfer, code, error);
  curl_off_t length = -1;
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 206 && length > 0)
    transfer.total = (guint64)length;
  if (transfer.total == 0) {
    g_autofree char *shown = url_mask(url);
    g_set_error(error, FETCH_ERROR, FETCH_ERROR_FAILED, "%s: the server doesn't say how long it is, or it is empty", shown);
    return FALSE;
  }
  *ret_got = transfer.got;
  *ret_total = transfer.total;
  return TRUE;
}

/* The file is as long as it was before. */
static gboolean begin_anew(Transfer *transfer, GError **error) {
  transfer->got = 0;
  if (ftruncate(transfer->fd, 0) == 0 && lseek(transfer->fd, 0, SEEK_SET) == 0)
    return TRUE;
  transfer->trouble = errno;
  return fail(transfer, CURLE_WRITE_ERROR, error);
}

gboolean fetch_file(const Fetch *fetch, int fd, guint64 have, GError **error) {
  Transfer transfer = {.fetch = *fetch, .fd = fd, .got = have};
  if (have > fetch->bytes && !begin_anew(&transfer, error))
    return FALSE;
  if (transfer.got == fetch->bytes)
    return TRUE;
  g_autoptr(Curl) curl = transfer.curl = open_curl(&transfer);
  CURLcode code = CURLE_RANGE_ERROR;
  if (transfer.got > 0) {
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)transfer.got);
    code = curl_easy_perform(curl);
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_RANGE_ERROR || status == 416) {
    if (!begin_anew(&transfer, error))
      return FALSE;
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)0);
    code = curl_easy_perform(curl);
  }
  return (code == CURLE_OK && transfer.got == fetch->bytes) || fail(&transfer, code == CURLE_OK ? CURLE_PARTIAL_FILE : code, error);
}
