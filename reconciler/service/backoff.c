#include "reconciler/service/backoff.h"

const BackoffTimes backoff_times_default = {
    .first = 5 * G_USEC_PER_SEC, .most = 600 * G_USEC_PER_SEC, .calm = 600 * G_USEC_PER_SEC, .free_acts = 3};

typedef struct {
  guint failures, acts; /* in a row */
  gint64 last, until;   /* the last of them; when the next may be */
  char *why;
} Entry;

struct Backoff {
  BackoffTimes times;
  GHashTable *entries; /* object id → Entry * */
  GRand *random;
};

static void entry_free(gpointer data) {
  Entry *entry = data;
  g_free(entry->why);
  g_free(entry);
}

Backoff *backoff_new(const BackoffTimes *times, guint32 seed) {
  Backoff *backoff = g_new0(Backoff, 1);
  backoff->times = *times;
  backoff->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  backoff->random = g_rand_new_with_seed(seed);
  return backoff;
}

void backoff_free(Backoff *backoff) {
  if (!backoff)
    return;
  g_hash_table_unref(backoff->entries);
  g_rand_free(backoff->random);
  g_free(backoff);
}

static Entry *entry_of(Backoff *backoff, const char *id) {
  Entry *entry = g_hash_table_lookup(backoff->entries, id);
  if (!entry)
    g_hash_table_insert(backoff->entries, g_strdup(id), entry = g_new0(Entry, 1));
  return entry;
}

/* The wait doubles with each, so that many machines don't come back at the same moment it is spread. */
static void wait_longer(Backoff *backoff, Entry *entry, gint64 now) {
  const BackoffTimes *times = &backoff->times;
  guint repeats = entry->acts > times->free_acts ? entry->acts - times->free_acts : 0;
  guint level = entry->failures + repeats;
  gint64 wait = level == 0 ? 0 : level > 30 ? times->most : MIN(times->most, times->first << (level - 1));
  entry->last = now;
  entry->until = now + (gint64)((double)wait * g_rand_double_range(backoff->random, 0.8, 1.2));
}

void backoff_failed(Backoff *backoff, const char *id, gint64 now, const char *why) {
  Entry *entry = entry_of(backoff, id);
  entry->failures++;
  g_free(entry->why);
  entry->why = g_strdup(why);
  wait_longer(backoff, entry, now);
}

void backoff_acted(Backoff *backoff, const char *id, gint64 now) {
  Entry *entry = entry_of(backoff, id);
  if (entry->acts > 0 && now - entry->last > backoff->times.calm)
    entry->acts = 0;
  entry->acts++;
  entry->failures = 0;
  g_clear_pointer(&entry->why, g_free);
  wait_longer(backoff, entry, now);
}

void backoff_in_sync(Backoff *backoff, const char *id, gint64 now) {
  Entry *entry = g_hash_table_lookup(backoff->entries, id);
  if (!entry)
    return;
  if (entry->acts == 0 || now - entry->last > backoff->times.calm)
    g_hash_table_remove(backoff->entries, id);
  else
    entry->failures = 0;
}

void backoff_forget(Backoff *backoff, const char *id) {
  if (id)
    g_hash_table_remove(backoff->entries, id);
  else
    g_hash_table_remove_all(backoff->entries);
}

gint64 backoff_until(const Backoff *backoff, const char *id, gint64 now, const char **ret_why) {
  const Entry *entry = g_hash_table_lookup(backoff->entries, id);
  if (!entry || entry->until <= now)
    return 0;
  if (ret_why)
    *ret_why = entry->why;
  return entry->until;
}

gint64 backoff_next(const Backoff *backoff, gint64 now) {
  GHashTableIter iter;
  gpointer value;
  gint64 next = 0;
  g_hash_table_iter_init(&iter, backoff->entries);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Entry *entry = value;
    if (entry->until > now && (next == 0 || entry->until < next))
      next = entry->until;
  }
  return next;
}

void backoff_each(const Backoff *backoff, gint64 now, BackoffFunction function, gpointer data) {
  GHashTableIter iter;
  gpointer id, value;
  g_hash_table_iter_init(&iter, backoff->entries);
  while (g_hash_table_iter_next(&iter, &id, &value)) {
    const Entry *entry = value;
    if (entry->until > now)
      function(data, id, entry->until, entry->failures, entry->why);
  }
}

static void count(gpointer data, const char *id, gint64 until, guint failures, const char *why) {
  (void)id, (void)until, (void)failures, (void)why;
  ++*(guint *)data;
}

guint64 wait_spread(guint64 milliseconds) { return (guint64)((double)milliseconds * g_random_double_range(0.9, 1.1)); }

guint backoff_waiting(const Backoff *backoff, gint64 now) {
  guint number = 0;
  backoff_each(backoff, now, count, &number);
  return number;
}
