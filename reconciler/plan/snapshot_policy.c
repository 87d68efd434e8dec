#include "reconciler/plan/snapshot_policy.h"

#include <string.h>

#include "reconciler/plan/snapshot_rules.h"

#define DEFAULT_PREFIX "auto"
#define DEFAULT_KEEP 7
#define FORM "%Y%m%dT%H%M%SZ"
#define FORM_LENGTH 16

const SnapshotPolicySpec *policy_of(const VmSpec *vm) {
  return given(vm, VmSpec, snapshotPolicy) && given(&vm->snapshotPolicy, SnapshotPolicySpec, every) ? &vm->snapshotPolicy : NULL;
}

static const char *prefix_of(const SnapshotPolicySpec *policy) {
  return given(policy, SnapshotPolicySpec, prefix) ? policy->prefix : DEFAULT_PREFIX;
}

static gint64 seconds_between(const SnapshotPolicySpec *policy) { return (gint64)(policy->every / 1000); }

char *policy_name(const SnapshotPolicySpec *policy, gint64 now) {
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now);
  g_autofree char *text = g_date_time_format(time, FORM);
  return g_strdup_printf("%s-%s", prefix_of(policy), text);
}

static int digits(const char *text, int count) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    if (!g_ascii_isdigit(text[i]))
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

gboolean policy_time(const SnapshotPolicySpec *policy, const char *name, gint64 *ret_time) {
  g_autofree char *start = g_strconcat(prefix_of(policy), "-", NULL);
  if (!g_str_has_prefix(name, start))
    return FALSE;
  const char *text = name + strlen(start);
  if (strlen(text) != FORM_LENGTH || text[8] != 'T' || text[15] != 'Z')
    return FALSE;
  g_autoptr(GDateTime) time = g_date_time_new_utc(digits(text, 4), digits(text + 4, 2), digits(text + 6, 2), digits(text + 9, 2),
                                                  digits(text + 11, 2), digits(text + 13, 2));
  if (time == NULL)
    return FALSE;
  *ret_time = g_date_time_to_unix(time);
  return TRUE;
}

typedef struct {
  const SnapshotPolicySpec *policy;
  gint64 now;
} Clock;

/* When it was taken; what is too far ahead was taken before anything that is believable. */
static gint64 believable_time(const Clock *clock, const ActualSnapshot *snapshot) {
  gint64 time = 0;
  policy_time(clock->policy, snapshot->name, &time);
  return time >= clock->now + seconds_between(clock->policy) ? G_MININT64 : time;
}

static gint by_time(gconstpointer a, gconstpointer b, gpointer data) {
  const ActualSnapshot *left = *(ActualSnapshot *const *)a, *right = *(ActualSnapshot *const *)b;
  gint64 first = believable_time(data, left), second = believable_time(data, right);
  return first != second ? (first < second ? -1 : 1) : g_strcmp0(left->name, right->name);
}

GPtrArray *policy_snapshots(const SnapshotPolicySpec *policy, const ActualDomain *found, gint64 now) {
  GPtrArray *result = g_ptr_array_new();
  for (guint i = 0; policy != NULL && found != NULL && i < found->snapshots->len; i++) {
    ActualSnapshot *snapshot = found->snapshots->pdata[i];
    const SnapshotFactSpec *fact = found->owner != NULL ? snapshot_fact(&found->owner->facts, snapshot->name) : NULL;
    gint64 time;
    if (fact != NULL && fact->origin == SnapshotOrigin_policy && policy_time(policy, snapshot->name, &time))
      g_ptr_array_add(result, snapshot);
  }
  Clock clock = {policy, now};
  g_ptr_array_sort_with_data(result, by_time, &clock);
  return result;
}

gboolean policy_is_due(const SnapshotPolicySpec *policy, const GPtrArray *snapshots, gint64 now) {
  for (guint i = 0; i < snapshots->len; i++) {
    gint64 time = 0;
    policy_time(policy, ((const ActualSnapshot *)snapshots->pdata[i])->name, &time);
    if (ABS(now - time) < seconds_between(policy))
      return FALSE;
  }
  return TRUE;
}

guint policy_surplus(const SnapshotPolicySpec *policy, const GPtrArray *snapshots, gboolean due) {
  guint keep = given(policy, SnapshotPolicySpec, keep) ? (guint)policy->keep : DEFAULT_KEEP, count = snapshots->len + (due ? 1 : 0);
  return count > keep ? MIN(count - keep, snapshots->len) : 0;
}
