/* Who uses a file: a base image or a disk may only be changed or removed when nobody does. */
#include "reconciler/act/volume.h"
#include "reconciler/plan/chain.h"
#include "state/observe.h"
#include "state/volume_users.h"

/* Whose use is asked for. */
typedef struct {
  const VolumeUsers *users;
  const Actual *actual;
  const VolumeOwner *owner; /* whose use doesn't count; NULL: everybody's does */
  const char *machine;      /* its snapshots and its record are the caller's matter; NULL: nobody's are */
  gboolean only_overlays, only_live;
} Search;

static Actual *observe_storage(const ActionContext *context, GError **error) {
  const ObserveOptions options = { .domains = TRUE, .storage = TRUE };
  return observe(context->connection, &options, error);
}

static const char *machine_of(const ActionContext *context) {
  return context->object->kind == KIND_VIRTUAL_MACHINE ? context->object->name : NULL;
}

static gboolean is_owner(const Search *search, const VolumeUser *user) {
  return search->owner && g_strcmp0(user->domain, search->owner->domain) == 0 && g_strcmp0(user->target, search->owner->target) == 0;
}

static gboolean is_active(const Search *search, const char *name) {
  const ActualDomain *domain = g_hash_table_lookup(search->actual->domains, name);
  return domain && domain->active;
}

static gboolean counts(const Search *search, const VolumeUser *user) {
  switch (user->use) {
  case USER_OVERLAY:
    return !search->owner || g_strcmp0(user->path, search->owner->overlay) != 0;
  case USER_DISK:
  case USER_SAVED:
  case USER_JOB:
    return !search->only_overlays && !is_owner(search, user);
  case USER_DEFINITION:
    return !search->only_overlays && !search->only_live && !is_owner(search, user);
  case USER_BOOT:
    return !search->only_overlays && (!search->only_live || is_active(search, user->domain));
  default:
    return !search->only_overlays && g_strcmp0(user->domain, search->machine) != 0;
  }
}

static char *overlay_words(const Search *search, const char *path) {
  const ActualVolume *volume = g_hash_table_lookup(search->actual->volumes_by_path, path);
  return volume && volume->pool ? g_strdup_printf("volume %s of storage pool %s", volume->name, volume->pool) : g_strdup(path);
}

static char *words(const Search *search, const VolumeUser *user) {
  switch (user->use) {
  case USER_OVERLAY:
    return overlay_words(search, user->path);
  case USER_DISK:
    return g_strdup_printf("disk %s of running domain %s", user->target, user->domain);
  case USER_JOB:
    return g_strdup_printf("the block job on disk %s of running domain %s", user->target, user->domain);
  case USER_SAVED:
    return g_strdup_printf("disk %s of hibernated domain %s", user->target, user->domain);
  case USER_DEFINITION:
    return g_strdup_printf("disk %s of the definition of domain %s", user->target, user->domain);
  case USER_BOOT:
    return g_strdup_printf("%s domain %s, which boots it", is_active(search, user->domain) ? "running" : "the definition of", user->domain);
  case USER_KEPT:
    return g_strdup_printf("disk %s of domain %s, which keeps it", user->target, user->domain);
  default:
    return g_strdup_printf("snapshot %s of domain %s", user->snapshot, user->domain);
  }
}

static char *user_of(const Search *search, const char *path) {
  const GPtrArray *list = volume_users_of(search->users, path);
  for (guint i = 0; i < list->len; i++)
    if (counts(search, list->pdata[i]))
      return words(search, list->pdata[i]);
  return NULL;
}

static char *find(const Search *search, const char *path) {
  char *found = user_of(search, path);
  g_autoptr(GPtrArray) aliases = volume_users_aliases(search->users, path);
  for (guint i = 0; i < aliases->len && !found; i++)
    found = user_of(search, aliases->pdata[i]);
  return found;
}

gboolean volume_find_overlay(const ActionContext *context, const char *path, char **ret_what, GError **error) {
  g_autoptr(Actual) actual = observe_storage(context, error);
  g_autoptr(VolumeUsers) users = actual ? volume_users_new(actual) : NULL;
  const Search search = { .users = users, .actual = actual, .only_overlays = TRUE };
  if (users)
    *ret_what = find(&search, path);
  return users != NULL;
}

/* Each pool, once. */
static gboolean refresh_around_all(const ActionContext *context, const char *const *paths, GError **error) {
  g_autoptr(GHashTable) done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; paths[i]; i++)
    if (g_hash_table_add(done, g_path_get_dirname(paths[i])) && !volume_refresh_around(context, paths[i], NULL, error))
      return FALSE;
  return TRUE;
}

static gboolean check_tops(const ActionContext *context, const char *const *paths, GError **error) {
  g_autoptr(Actual) actual = refresh_around_all(context, paths, error) ? observe_storage(context, error) : NULL;
  g_autoptr(VolumeUsers) users = actual ? volume_users_new(actual) : NULL;
  for (guint i = 0; users && paths[i]; i++) {
    g_autofree char *why = volume_users_beneath(users, paths[i]);
    if (why)
      return act_refuse(error, "%s", why);
  }
  return users != NULL;
}

gboolean volume_check_top(const ActionContext *context, const char *path, GError **error) {
  return check_tops(context, (const char *const[]){path, NULL}, error);
}

gboolean volume_check_taken(const ActionContext *context, const Action *action, GError **error) {
  const char *names = act_arg(action, "taken");
  g_auto(GStrv) paths = names ? g_strsplit(names, "\n", -1) : NULL;
  return !paths || check_tops(context, (const char *const *)paths, error);
}

/* What others made a moment ago (a layer, by a snapshot that is being taken beside us) no pool knows yet. */
static gboolean show_unknown(const ActionContext *context, Actual **actual, VolumeUsers **users, GError **error) {
  g_autoptr(GPtrArray) unknown = volume_users_unknown(*users);
  for (guint i = 0; i < unknown->len; i++)
    if (!volume_refresh_around(context, unknown->pdata[i], NULL, error))
      return FALSE;
  if (!unknown->len)
    return TRUE;
  g_clear_pointer(users, volume_users_free);
  g_clear_pointer(actual, actual_free);
  *actual = observe_storage(context, error);
  *users = *actual ? volume_users_new(*actual) : NULL;
  return *users != NULL;
}

/* On the host of the context. like: whose use counts. */
static gboolean find_here(const ActionContext *context, const char *path, const Search *like, char **ret_what, char **ret_doubt, GError **error) {
  g_autoptr(Actual) actual = observe_storage(context, error);
  g_autoptr(VolumeUsers) users = actual ? volume_users_new(actual) : NULL;
  if (!users || !show_unknown(context, &actual, &users, error))
    return FALSE;
  Search search = *like;
  search.users = users;
  search.actual = actual;
  *ret_what = find(&search, path);
  *ret_doubt = g_strdup(volume_users_doubt(users, search.machine));
  return TRUE;
}

/* As the host was seen under the lock, which is enough for files that were made for this machine: whether nothing there has one. What libvirt
 * there knew of the pool then may be old, so that what seems to have one is looked at anew. */
static gboolean seen_unused(const FleetHost *host, const char *path, const Search *like) {
  if (!like->machine)
    return FALSE;
  g_autoptr(VolumeUsers) users = volume_users_new(host->actual);
  Search search = *like;
  search.users = users;
  search.actual = host->actual;
  g_autofree char *what = find(&search, path);
  return !what && !volume_users_doubt(users, NULL);
}

/* On one that shares the file's pool. */
static gboolean find_there(const ActionContext *context, const FleetHost *host, const char *path, const Search *like, char **ret_what, char **ret_doubt, GError **error) {
  ActionContext there = *context;
  g_autofree char *what = NULL, *doubt = NULL;
  if (fleet_host_is_silent(host) && !host->given_up) {
    *ret_doubt = g_strdup_printf("host %s has its storage pool too, and can't be asked: %s", host->name, host->error->message);
    return TRUE;
  }
  if (!host->actual || seen_unused(host, path, like)) /* without: it is given up */
    return TRUE;
  there.connection = host->connection;
  if (!volume_refresh_around(&there, path, NULL, error) || !find_here(&there, path, like, &what, &doubt, error)) {
    g_prefix_error(error, "host %s, which has its storage pool too: ", host->name);
    return FALSE;
  }
  *ret_what = what ? g_strdup_printf("%s on host %s", what, host->name) : NULL;
  *ret_doubt = doubt ? g_strdup_printf("on host %s, %s", host->name, doubt) : NULL;
  return TRUE;
}

/* Of const FleetHost *: hosts that are said to have the file too, at the same path. NULL with error. */
static GPtrArray *sharers_of(const ActionContext *context, const char *path, GError **error) {
  g_autoptr(GPtrArray) sharers = g_ptr_array_new();
  const FleetHost *here = context->fleet ? fleet_host_of(context->fleet, context->connection) : NULL;
  if (!here || !fleet_shares_any(context->fleet))
    return g_steal_pointer(&sharers);
  virConnectPtr connect = connection_get(context->connection, error);
  g_autofree char *directory = g_path_get_dirname(path);
  g_autoptr(VirStoragePool) pool = connect ? virStoragePoolLookupByTargetPath(connect, directory) : NULL;
  if (!connect || (!pool && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL && !libvirt_fail(error, "cannot look for the storage pool of %s", path)))
    return NULL;
  const char *name = pool ? virStoragePoolGetName(pool) : NULL;
  for (guint i = 0; pool && i < context->fleet->hosts->len; i++) {
    FleetHost *host = context->fleet->hosts->pdata[i];
    if (fleet_hosts_share(here, name, host))
      g_ptr_array_add(sharers, host);
  }
  return g_steal_pointer(&sharers);
}

static gboolean find_user(const ActionContext *context, const char *path, gboolean only_live, const VolumeOwner *owner, char **ret_what,
                          char **ret_doubt, GError **error) {
  const Search like = { .owner = owner, .machine = machine_of(context), .only_live = only_live };
  g_autofree char *what = NULL, *doubt = NULL;
  g_autoptr(GPtrArray) sharers = sharers_of(context, path, error);
  if (!sharers || !find_here(context, path, &like, &what, &doubt, error))
    return FALSE;
  for (guint i = 0; i < sharers->len && !what; i++) {
    g_autofree char *unsure = NULL;
    if (!find_there(context, sharers->pdata[i], path, &like, &what, &unsure, error))
      return FALSE;
    if (!doubt)
      doubt = g_steal_pointer(&unsure);
  }
  *ret_what = g_steal_pointer(&what);
  if (ret_doubt)
    *ret_doubt = g_steal_pointer(&doubt);
  return TRUE;
}

gboolean volume_find_user(const ActionContext *context, const char *path, gboolean only_live, char **ret_what, char **ret_doubt, GError **error) {
  return find_user(context, path, only_live, NULL, ret_what, ret_doubt, error);
}

gboolean volume_find_other_user(const ActionContext *context, const char *path, const VolumeOwner *owner, char **ret_what, char **ret_doubt,
                                GError **error) {
  return find_user(context, path, FALSE, owner, ret_what, ret_doubt, error);
}

/* What goes: the layer above, and the snapshot. */
static gboolean is_left(const VolumeUsers *users, const char *machine, const char *snapshot, const char *above, const char *path) {
  const GPtrArray *list = volume_users_of(users, path);
  g_autoptr(GPtrArray) aliases = volume_users_aliases(users, path);
  for (guint i = 0; i < list->len; i++) {
    const VolumeUser *user = list->pdata[i];
    gboolean goes = user->use == USER_OVERLAY ? g_strcmp0(user->path, above) == 0
                                              : user->use == USER_SNAPSHOT && g_strcmp0(user->domain, machine) == 0 &&
                                                    g_strcmp0(user->snapshot, snapshot) == 0;
    if (!goes)
      return FALSE;
  }
  return aliases->len == 0;
}

GStrv volume_left_beneath(const ActionContext *context, const char *snapshot, const char *target, const char *layer, const char *base, GError **error) {
  g_autoptr(Actual) actual = observe_storage(context, error);
  g_autoptr(VolumeUsers) users = actual ? volume_users_new(actual) : NULL;
  if (!users)
    return NULL;
  g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
  const ActualDomain *machine = g_hash_table_lookup(actual->domains, context->object->name);
  const ActualVolume *top = volume_users_layer(users, layer);
  const Chain chain = { machine, machine ? actual_disk(machine->defined_disks, target) : NULL, NULL };
  const char *above = layer, *path = !chain.disk || volume_users_doubt(users, machine->name) ? NULL : top ? top->backing_path : base;
  while (path && chain_is_named_for(&chain, path) && is_left(users, machine->name, snapshot, above, path)) {
    const ActualVolume *volume = volume_users_layer(users, path);
    if (!volume)
      break;
    g_strv_builder_add(paths, path);
    above = path;
    path = volume->backing_path;
  }
  return g_strv_builder_end(paths);
}
