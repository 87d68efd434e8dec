#include "reconciler/plan/space.h"

#include "schema/value.h"
#include "state/base_volume.h"

static guint64 number(const Action *action, const char *key) {
  const char *text = string_map_get(action->args, key);
  return text != NULL ? g_ascii_strtoull(text, NULL, 10) : 0;
}

/* In files, what nobody has written takes up nothing. */
static gboolean is_thin(const ActualPool *pool) {
  return !given(&pool->spec, StoragePoolSpec, type) || pool->spec.type != PoolType_logical;
}

static guint64 room(const Action *action, const char *pool) {
  g_autofree char *key = g_strconcat("room.", pool, NULL);
  return number(action, key);
}

static gboolean grows(const Action *action) { return action->kind == ACTION_VOLUME_GROW || action->kind == ACTION_RESIZE_DISK; }
static guint64 grown_by(const Action *action) { return number(action, "bytes") - number(action, "from"); }

guint64 space_taken(const Action *action, const ActualPool *pool) {
  guint64 bytes = room(action, pool->name);
  if (g_strcmp0(string_map_get(action->args, "pool"), pool->name) != 0)
    return bytes;
  if (is_thin(pool) && (action->kind == ACTION_VOLUME_CREATE || grows(action)))
    return bytes;
  if (grows(action))
    return bytes + grown_by(action);
  gboolean told = is_thin(pool) && string_map_get(action->args, "writes") != NULL;
  return bytes + number(action, told ? "writes" : "bytes");
}

void space_add(Action *action, const char *pool, guint64 bytes) {
  if (pool == NULL || bytes == 0)
    return;
  g_autofree char *key = g_strconcat("room.", pool, NULL), *text = g_strdup_printf("%" G_GUINT64_FORMAT, room(action, pool) + bytes);
  string_map_set(action->args, key, text);
}

/* Not more than the layers hold, nor than the base lacks. */
guint64 space_of_merge(const GPtrArray *chain, guint top, guint last, guint base) {
  const ActualVolume *into = chain->pdata[base];
  guint64 bytes = 0;
  for (guint i = top; i <= last; i++)
    bytes += ((const ActualVolume *)chain->pdata[i])->allocation;
  return into->capacity != 0 ? MIN(bytes, into->capacity - MIN(into->allocation, into->capacity)) : bytes;
}

static guint64 taken_by_all(const Plan *plan, const ActualPool *pool) {
  guint64 sum = 0;
  for (guint i = 0; i < plan->actions->len; i++)
    sum += space_taken(plan->actions->pdata[i], pool);
  return sum;
}

/* By name, so that the message is the same each time. */
static GList *pools_by_name(const Actual *actual) { return g_list_sort(g_hash_table_get_keys(actual->pools), (GCompareFunc)g_strcmp0); }

char *space_check(const Actual *actual, const Plan *plan, char **ret_pool) {
  g_autoptr(GList) names = pools_by_name(actual);
  for (const GList *name = names; name != NULL; name = name->next) {
    const ActualPool *pool = g_hash_table_lookup(actual->pools, name->data);
    guint64 needed = pool->active && pool->error == NULL ? taken_by_all(plan, pool) : 0;
    if (needed <= pool->available)
      continue;
    *ret_pool = g_strdup(pool->name);
    g_autofree char *need = bytes_format_short(needed), *have = bytes_format_short(pool->available);
    return g_strdup_printf("pool %s has %s available, and this plan may write %s into it: make room, use another pool, or insist with "
                           "--allow overcommit", pool->name, have, need);
  }
  return NULL;
}

guint64 space_promised(const ActualPool *pool) {
  guint64 sum = 0;
  GHashTableIter iter;
  const ActualVolume *volume;
  g_hash_table_iter_init(&iter, pool->volumes);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&volume)) {
    g_autofree char *base = base_volume_digest(volume->path);
    if (base == NULL && volume->error == NULL && volume->capacity > volume->allocation)
      sum += volume->capacity - volume->allocation;
  }
  return sum;
}

/* What the plan adds to the promises; ret_action: the first that does. */
static guint64 promised_by_plan(const Plan *plan, const ActualPool *pool, const Action **ret_action) {
  guint64 sum = 0;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    gboolean makes = action->kind == ACTION_VOLUME_CREATE || action->kind == ACTION_VOLUME_COPY || action->kind == ACTION_VOLUME_FORMAT;
    if ((!makes && !grows(action)) || g_strcmp0(string_map_get(action->args, "pool"), pool->name) != 0)
      continue;
    if (sum == 0)
      *ret_action = action;
    sum += makes ? number(action, "bytes") : grown_by(action);
  }
  return sum;
}

static void note(Plan *plan, const char *object, char *text /* taken */) {
  const PlanObject *found = plan_object(plan, object);
  if (found != NULL)
    g_ptr_array_add(found->notes, text);
  else
    g_free(text);
}

void space_note_promises(const Actual *actual, Plan *plan) {
  g_autoptr(GList) names = pools_by_name(actual);
  for (const GList *name = names; name != NULL; name = name->next) {
    const ActualPool *pool = g_hash_table_lookup(actual->pools, name->data);
    const Action *first = NULL;
    guint64 added = pool->active && is_thin(pool) ? promised_by_plan(plan, pool, &first) : 0;
    guint64 promised = added + space_promised(pool);
    if (added == 0 || promised <= pool->available)
      continue;
    g_autofree char *may = bytes_format_short(promised), *have = bytes_format_short(pool->available);
    note(plan, first->object, g_strdup_printf("pool %s will be over-committed: its volumes may grow by %s, and it has %s available", pool->name,
                                              may, have));
  }
}

guint64 space_of_copy(const GPtrArray *chain) {
  guint64 sum = 0, most = 0;
  for (guint i = 0; i < chain->len; i++) {
    const ActualVolume *layer = chain->pdata[i];
    g_autofree char *base = base_volume_digest(layer->path);
    gboolean whole = base != NULL || layer->error != NULL || layer->pool == NULL;
    most = MAX(most, layer->capacity);
    sum += whole ? layer->capacity : layer->allocation;
    if (i + 1 == chain->len && layer->backing_path != NULL)
      sum = most; /* the rest can't be seen */
  }
  return MIN(sum, most);
}
