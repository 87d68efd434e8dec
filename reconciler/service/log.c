#include "reconciler/service/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/report/escape.h"
#ifdef HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

static int level = LOG_INFO;

void service_log_level(int least_important) { level = least_important; }

/* systemd says in JOURNAL_STREAM which device and inode standard error had when it was connected to the
 * journal; a redirected one is another. */
static gboolean leads_to_journal(void) {
  const char *stream = g_getenv("JOURNAL_STREAM");
  guint64 device = 0, inode = 0;
  struct stat status;
  return stream && sscanf(stream, "%" G_GINT64_MODIFIER "u:%" G_GINT64_MODIFIER "u", &device, &inode) == 2 &&
         fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

#ifdef HAVE_SYSTEMD
static void add_field(GPtrArray *fields, const char *key, const char *value) {
  if (value)
    g_ptr_array_add(fields, g_strdup_printf("%s=%s", key, value));
}

static gboolean write_journal(int priority, const LogSubject *subject, const char *message) {
  g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *text = subject->object ? g_strdup_printf("%s: %s", subject->object, message) : g_strdup(message);
  g_autofree char *number = g_strdup_printf("%d", priority), *run = g_strdup_printf("%" G_GINT64_FORMAT, subject->run);
  add_field(fields, "MESSAGE", text);
  add_field(fields, "PRIORITY", number);
  add_field(fields, "SYSLOG_IDENTIFIER", "reconcile");
  add_field(fields, "RECONCILE_OBJECT", subject->object);
  add_field(fields, "RECONCILE_COMMIT", subject->commit);
  add_field(fields, "RECONCILE_PLACE", subject->place);
  add_field(fields, "RECONCILE_ACTION", subject->action);
  add_field(fields, "RECONCILE_RUN", subject->run ? run : NULL);
  g_autofree struct iovec *parts = g_new(struct iovec, fields->len);
  for (guint i = 0; i < fields->len; i++)
    parts[i] = (struct iovec){fields->pdata[i], strlen(fields->pdata[i])};
  return sd_journal_sendv(parts, (int)fields->len) == 0;
}
#else
static gboolean write_journal(int priority, const LogSubject *subject, const char *message) {
  (void)priority, (void)subject, (void)message;
  return FALSE;
}
#endif

static void write_line(int priority, const LogSubject *subject, const char *message) {
  static const char *const words[] = {"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
  g_autoptr(GString) line = g_string_new(NULL);
  g_string_append_printf(line, "%s %s ", time, words[priority]);
  if (subject->object) {
    escape_append(line, subject->object);
    g_string_append(line, ": ");
  }
  escape_append_lines(line, message, 2);
  if (subject->commit) {
    g_autofree char *commit = g_strndup(subject->commit, 12);
    g_string_append(line, " [");
    escape_append(line, commit);
    g_string_append_c(line, ']');
  }
  g_string_append_c(line, '\n');
  fputs(line->str, stderr); /* unbuffered, but in one piece: other threads write too */
}

void service_log(int priority, const LogSubject *subject, const char *format, ...) {
  static const LogSubject nothing;
  static GMutex lock;
  if (priority > level)
    return;
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  if (!subject)
    subject = &nothing;
  g_mutex_lock(&lock);
  if (!leads_to_journal() || !write_journal(priority, subject, message))
    write_line(priority, subject, message);
  g_mutex_unlock(&lock);
}

struct Said {
  GHashTable *texts; /* topic → text */
};

Said *said_new(void) {
  Said *said = g_new(Said, 1);
  said->texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return said;
}

void said_free(Said *said) {
  if (!said)
    return;
  g_hash_table_unref(said->texts);
  g_free(said);
}

GPtrArray *said_retain(Said *said, GHashTable *topics) {
  GPtrArray *others = g_ptr_array_new_with_free_func(g_free);
  GHashTableIter iter;
  gpointer topic;
  g_hash_table_iter_init(&iter, said->texts);
  while (g_hash_table_iter_next(&iter, &topic, NULL))
    if (!g_hash_table_contains(topics, topic)) {
      g_ptr_array_add(others, g_strdup(topic));
      g_hash_table_iter_remove(&iter);
    }
  return others;
}

gboolean said_is_news(Said *said, const char *topic, const char *text) {
  if (!text)
    return g_hash_table_remove(said->texts, topic);
  if (g_strcmp0(g_hash_table_lookup(said->texts, topic), text) == 0)
    return FALSE;
  g_hash_table_insert(said->texts, g_strdup(topic), g_strdup(text));
  return TRUE;
}
