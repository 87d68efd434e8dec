/* Room on the hosts that machines move to: counted over all hosts' parts of a plan, in the order in which machines are
 * planned. What leaves a pool makes no room for what comes: it is deleted last. */
#include "reconciler/plan/migration.h"
#include "schema/value.h"

typedef struct {
  const Plan *plan;
  const Fleet *fleet;
  GHashTable *taken;   /* "HOST POOL" → guint64 *, by those that were accepted */
  GHashTable *brought; /* "HOST PATH": a set: what one of them brings for others too */
} Room;

static gboolean is_common(const Action *action) { return action->kind == ACTION_MOVE_BASE || action->kind == ACTION_MOVE_FILE; }

static guint64 bytes_of(const Room *room, const Action *action) {
  const char *bytes = string_map_get(action->args, "bytes"), *freed = string_map_get(action->args, "freed"), *pool = string_map_get(action->args, "toPool");
  g_autofree char *path = g_strconcat(string_map_get(action->args, "to"), " ", string_map_get(action->args, "path"), NULL);
  if (pool == NULL || bytes == NULL || g_hash_table_contains(room->brought, path))
    return 0;
  return g_ascii_strtoull(bytes, NULL, 10) - (freed != NULL ? g_ascii_strtoull(freed, NULL, 10) : 0);
}

static guint64 *account(const Room *room, const char *host, const char *pool) {
  g_autofree char *key = g_strconcat(host, " ", pool, NULL);
  guint64 *sum = g_hash_table_lookup(room->taken, key);
  if (sum == NULL)
    g_hash_table_insert(room->taken, g_steal_pointer(&key), sum = g_new0(guint64, 1));
  return sum;
}

/* With `take`, its bytes are counted; else the first pool that they don't fit into is said. NULL: they fit. */
static char *walk(const Room *room, const char *object, gboolean take, MoveShort *ret_short) {
  g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  const Room mine = {room->plan, room->fleet, wanted, room->brought};
  for (guint i = 0; i < room->plan->actions->len; i++) {
    const Action *action = room->plan->actions->pdata[i];
    const char *to = string_map_get(action->args, "to"), *name = string_map_get(action->args, "toPool");
    guint64 bytes = g_str_equal(action->object, object) && to != NULL ? bytes_of(room, action) : 0;
    if (bytes == 0)
      continue;
    guint64 *sum = account(&mine, to, name), *taken = account(room, to, name);
    *sum += bytes;
    if (take) {
      *taken += bytes;
      if (is_common(action))
        g_hash_table_add(room->brought, g_strconcat(to, " ", string_map_get(action->args, "path"), NULL));
      continue;
    }
    const FleetHost *host = fleet_host(room->fleet, to);
    ActualPool *pool = host != NULL && host->actual != NULL ? g_hash_table_lookup(host->actual->pools, name) : NULL;
    if (pool == NULL || *taken + *sum <= pool->available)
      continue;
    *ret_short = (MoveShort){.host = host, .pool = pool};
    g_autofree char *need = bytes_format_short(*sum), *have = bytes_format_short(pool->available - MIN(*taken, pool->available));
    return g_strdup_printf("it needs %s in pool %s on %s, which has %s%s: make room there, or place it elsewhere", need, name, to, have,
                           *taken > 0 ? " beside what other machines bring" : "");
  }
  return NULL;
}

static void room_clear(Room *room) {
  g_hash_table_unref(room->taken);
  g_hash_table_unref(room->brought);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Room, room_clear)

static Room room_of(const Plan *plan, const Fleet *fleet) {
  return (Room){.plan = plan, .fleet = fleet, .taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                .brought = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
}

MoveShort moves_short_pool(const Plan *plan, const Fleet *fleet) {
  g_auto(Room) room = room_of(plan, fleet);
  for (guint i = 0; i < plan->objects->len; i++) {
    g_autofree char *id = plan_object_id(plan->objects->pdata[i]);
    MoveShort found = {0};
    g_autofree char *error = walk(&room, id, FALSE, &found);
    if (error != NULL && !found.pool->measured)
      return found;
    if (error == NULL)
      walk(&room, id, TRUE, &found);
  }
  return (MoveShort){0};
}

void moves_check_space(Plan *plan, const Fleet *fleet) {
  g_auto(Room) room = room_of(plan, fleet);
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    MoveShort found = {0};
    char *error = walk(&room, id, FALSE, &found);
    if (error != NULL)
      plan_reject(plan, object, error);
    else
      walk(&room, id, TRUE, &found);
  }
}
