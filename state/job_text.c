#include "state/job_text.h"

#include "schema/value.h"

static void append(GString *out, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void append(GString *out, const char *format, ...) {
  va_list arguments;
  g_string_append(out, out->len > 0 ? ", " : "");
  va_start(arguments, format);
  g_string_append_vprintf(out, format, arguments);
  va_end(arguments);
}

static void append_bytes(GString *out, guint64 bytes, const char *unit) {
  g_autofree char *text = bytes_format_short(bytes);
  if (bytes > 0)
    append(out, "%s%s", text, unit);
}

char *job_rates(const ActualJob *job) {
  GString *out = g_string_new(NULL);
  append_bytes(out, job->memory_rate + job->disk_rate, "/s");
  append_bytes(out, job->remaining, " remaining");
  if (job->iteration > 0)
    append(out, "iteration %" G_GUINT64_FORMAT, job->iteration);
  append_bytes(out, job->dirty_rate, "/s dirtied");
  if (job->throttle > 0)
    append(out, "guest slowed by %" G_GUINT64_FORMAT "%%", job->throttle);
  return g_string_free(out, FALSE);
}

guint job_percent(const ActualJob *job) {
  guint64 left = MIN(job->remaining, job->total);
  return job->total > 0 ? (guint)(100.0 * (double)(job->total - left) / (double)job->total) : 0;
}
