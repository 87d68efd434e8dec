#include "reconciler/rules/policy.h"

#include <string.h>

#include "schema/url_mask.h"
#include "schema/value.h"

/* Fields that name something of the host, and the rule that says which may be named. Paths, host
 * devices and raw XML are known by their type, wherever they stand. */
typedef struct {
  const FieldTable *table;
  const char *key;
  gsize rule; /* offset of the list in PolicySpec */
  const char *rule_name;
} NamedField;

#define RULE(member) offsetof(PolicySpec, member), #member
static const NamedField named_fields[] = {
    {&DiskSpec_table, "pool", RULE(pools)},
    {&VolumeSpec_table, "pool", RULE(pools)},
    {&ImageSpec_table, "pool", RULE(pools)},
    {&ExportSpec_table, "to", RULE(pools)},
    {&ImageSpec_table, "url", RULE(imageUrls)},
    {&InterfaceSpec_table, "network", RULE(networks)},
    {&InterfaceSpec_table, "bridge", RULE(bridges)},
    {&InterfaceSpec_table, "direct", RULE(bridges)},
    {&InterfaceSpec_table, "filter", RULE(filters)},
    {&GraphicsSpec_table, "passwordSecret", RULE(secrets)},
    {&NetworkSpec_table, "bridge", RULE(bridges)},
    {&PoolSourceSpec_table, "device", RULE(paths)},
    {&PoolSourceSpec_table, "name", RULE(paths)}, /* a volume group is a directory in /dev */
};

typedef struct {
  const PolicySpec *policy;
  ResolvePath resolve; /* may be NULL */
  GString *path; /* of the field that is looked at */
  char *refusal;
} Walk;

static void walk_table(Walk *walk, const FieldTable *table, gconstpointer spec);

/* NULL: the rule isn't given. */
static const char *const *rule_list(const PolicySpec *policy, gsize rule, const char *name) {
  const Field *row = table_find(&PolicySpec_table, name);
  return field_given(&PolicySpec_table, policy, row) ? *(const char *const *const *)((const char *)policy + rule) : NULL;
}

static void refuse(Walk *walk, const char *rule, const char *value) {
  g_autofree char *masked = url_mask(value), *shown = quoted(masked);
  const char *const *list = rule_list(walk->policy, table_find(&PolicySpec_table, rule)->offset, rule);
  g_autofree char *allowed = list && *list ? g_strjoinv(", ", (char **)list) : g_strdup("none");
  walk->refusal = g_strdup_printf("%s: %s goes beyond this host's policy (policy.%s: %s): ask its administrator", walk->path->str,
                                  shown, rule, allowed);
}

static gboolean is_below(const char *path, const char *directory) {
  gsize length = strlen(directory);
  return g_str_equal(directory, "/") || (g_str_has_prefix(path, directory) && (path[length] == '/' || !path[length]));
}

static gboolean is_allowed(const Walk *walk, const char *path) {
  const char *const *list = rule_list(walk->policy, offsetof(PolicySpec, paths), "paths");
  gboolean found = FALSE;
  for (; !found && list && *list; list++)
    found = is_below(path, *list);
  return found;
}

/* Where the path leads must be allowed, too; directories of the policy may be links themselves. */
static gboolean leads_elsewhere(const Walk *walk, const char *path, char **ret_real) {
  const char *const *list = rule_list(walk->policy, offsetof(PolicySpec, paths), "paths");
  g_autofree char *real = walk->resolve ? walk->resolve(path) : NULL;
  gboolean found = real == NULL || is_allowed(walk, real);
  for (; !found && list && *list; list++) {
    g_autofree char *directory = walk->resolve(*list);
    found = is_below(real, directory);
  }
  if (!found)
    *ret_real = g_steal_pointer(&real);
  return !found;
}

/* Without a resolver by its words only: the directories of the policy mustn't be writable by others, who
 * could place links there. */
static void check_path(Walk *walk, const char *text, const char *where /* are relative ones */) {
  const char *const *list = rule_list(walk->policy, offsetof(PolicySpec, paths), "paths");
  g_autofree char *path = g_canonicalize_filename(text, where), *real = NULL;
  if (list && (!is_allowed(walk, path) || leads_elsewhere(walk, path, &real)))
    refuse(walk, "paths", real ? real : path);
}

static void check_file_server(Walk *walk, const PoolSourceSpec *source) {
  const char *const *list = rule_list(walk->policy, offsetof(PolicySpec, fileServers), "fileServers");
  if (!list || !given(source, PoolSourceSpec, host))
    return;
  g_autofree char *dir = given(source, PoolSourceSpec, dir) ? g_canonicalize_filename(source->dir, "/") : g_strdup("/");
  g_autofree char *asked = g_strconcat(source->host, ":", dir, NULL);
  for (const char *const *each = list; *each; each++) {
    const char *colon = strstr(*each, ":/");
    gsize host = colon ? (gsize)(colon - *each) : strlen(*each);
    if (strlen(source->host) == host && g_ascii_strncasecmp(source->host, *each, host) == 0 && (!colon || is_below(dir, colon + 1)))
      return;
  }
  refuse(walk, "fileServers", asked);
}

/* What a beginning stands for ends at a slash: https://a.org isn't the beginning of https://a.org.evil.net. */
static void check_url(Walk *walk, const char *url) {
  const char *const *list = rule_list(walk->policy, offsetof(PolicySpec, imageUrls), "imageUrls");
  for (const char *const *each = list; each && *each; each++) {
    gsize length = strlen(*each);
    if (length && g_str_has_prefix(url, *each) && ((*each)[length - 1] == '/' || url[length] == '/' || !url[length]))
      return;
  }
  if (list)
    refuse(walk, "imageUrls", url);
}

static void check_listed(Walk *walk, gsize rule, const char *name, const char *value) {
  const char *const *list = rule_list(walk->policy, rule, name);
  if (list && value && !g_strv_contains(list, value))
    refuse(walk, name, value);
}

static void check_named(Walk *walk, const FieldTable *table, const Field *field, gconstpointer spec) {
  for (guint i = 0; i < G_N_ELEMENTS(named_fields) && !walk->refusal; i++) {
    const NamedField *named = &named_fields[i];
    const char *value = *(char *const *)field_member(field, spec);
    if (named->table != table || !g_str_equal(named->key, field->key))
      continue;
    if (named->rule == offsetof(PolicySpec, paths))
      check_path(walk, value, "/dev");
    else if (named->rule == offsetof(PolicySpec, imageUrls))
      check_url(walk, value);
    else
      check_listed(walk, named->rule, named->rule_name, value);
  }
}

static void check_field(Walk *walk, const FieldTable *table, const Field *field, gconstpointer spec) {
  gconstpointer member = field_member(field, spec);
  switch (field->type) {
  case VALUE_GROUP:
    if (field->sub == &PoolSourceSpec_table)
      check_file_server(walk, member);
    walk_table(walk, field->sub, member);
    break;
  case VALUE_PATH:
    check_path(walk, *(char *const *)member, "/");
    break;
  case VALUE_PCI:
  case VALUE_USB:
    check_listed(walk, RULE(hostDevices), *(char *const *)member);
    break;
  case VALUE_STRINGS:
    if (field->item == VALUE_XML && given(walk->policy, PolicySpec, rawXml) && !walk->policy->rawXml && **(char **const *)member)
      walk->refusal = g_strdup_printf("%s: raw XML is forbidden by this host's policy (policy.rawXml): use the fields that there are, "
                                      "or ask its administrator", walk->path->str);
    break;
  default:
    if (value_is_string(field->type))
      check_named(walk, table, field, spec);
  }
}

/* A disk by image or by size alone is made in the pool "default" when none is named. */
static void check_default_pool(Walk *walk, const FieldTable *table, gconstpointer spec) {
  gboolean makes = table == &VolumeSpec_table || table == &ImageSpec_table;
  const DiskSpec *disk = spec;
  if (table == &DiskSpec_table)
    makes = (given(disk, DiskSpec, image) || given(disk, DiskSpec, size) || given(disk, DiskSpec, volume)) && !given(disk, DiskSpec, path);
  if (makes && !field_given(table, spec, table_find(table, "pool")))
    check_listed(walk, RULE(pools), DEFAULT_POOL);
}

static void check_user_network(Walk *walk, const FieldTable *table, gconstpointer spec) {
  const InterfaceSpec *interface = spec;
  if (table == &InterfaceSpec_table && given(interface, InterfaceSpec, user) && interface->user &&
      given(walk->policy, PolicySpec, userNetworks) && !walk->policy->userNetworks)
    walk->refusal = g_strdup_printf("%s: user is forbidden by this host's policy (policy.userNetworks): name a network or a bridge, or ask its "
                                    "administrator", walk->path->str);
}

static void walk_table(Walk *walk, const FieldTable *table, gconstpointer spec) {
  gsize length = walk->path->len;
  check_user_network(walk, table, spec);
  check_default_pool(walk, table, spec);
  for (guint i = 0; i < table->n_fields && !walk->refusal; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, spec, field))
      continue;
    g_string_append_printf(walk->path, "%s%s", length ? "." : "", field->key);
    if (field->type == VALUE_LIST) {
      const GPtrArray *items = *(GPtrArray *const *)field_member(field, spec);
      gsize list = walk->path->len;
      for (guint n = 0; n < items->len && !walk->refusal; n++) {
        g_autofree char *key = item_key(field->sub, items->pdata[n]);
        g_string_append_printf(walk->path, "[%s]", key);
        walk_table(walk, field->sub, items->pdata[n]);
        g_string_truncate(walk->path, list);
      }
    } else {
      check_field(walk, table, field, spec);
    }
    g_string_truncate(walk->path, length);
  }
}

static gboolean is_host_allowed(const PolicySpec *policy, const char *uri) {
  return uri == NULL || (policy && given(policy, PolicySpec, hosts) && g_strv_contains((const char *const *)policy->hosts, uri));
}

/* Of the connections that it names, the first that isn't allowed: where it is, where its daemon is reached,
 * and where machines are sent to with all that is in their memory. */
static const char *beyond_hosts(const PolicySpec *policy, const HostSpec *host) {
  const char *const uris[] = {host->uri, host->peerUri, host->migrationUri};
  for (guint i = 0; i < G_N_ELEMENTS(uris); i++)
    if (!is_host_allowed(policy, uris[i]))
      return uris[i];
  return NULL;
}

char *policy_hosts_refusal(const PolicySpec *policy, const Desired *desired) {
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    if (object->kind != KIND_HOST)
      continue;
    const HostSpec *host = object->spec;
    const char *uri = beyond_hosts(policy, host);
    if (!uri)
      continue;
    g_autofree char *place = place_format(object->at), *shown = quoted(uri);
    return g_strdup_printf("%s: host %s: the connection %s isn't one that the configuration allows (policy.hosts): nothing is done", place,
                           object->metadata.name, shown);
  }
  return NULL;
}

static guint64 cpus_of(const VmSpec *vm) {
  gint64 count = given(&vm->cpu, CpuSpec, count) ? vm->cpu.count : 1;
  return (guint64)(given(&vm->cpu, CpuSpec, max) ? MAX(vm->cpu.max, count) : count);
}

static guint64 memory_of(const VmSpec *vm) {
  guint64 size = given(&vm->memory, MemorySpec, size) ? vm->memory.size : 0, nodes = 0;
  for (guint i = 0; given(&vm->numa, NumaSpec, cells) && i < vm->numa.cells->len; i++)
    nodes += ((const NumaCellSpec *)vm->numa.cells->pdata[i])->memory;
  return MAX(MAX(size, nodes), given(&vm->memory, MemorySpec, max) ? vm->memory.max : 0);
}

static char *size_refusal(const PolicySpec *policy, const VmSpec *vm) {
  if (given(policy, PolicySpec, maxCpus) && cpus_of(vm) > (guint64)policy->maxCpus)
    return g_strdup_printf("cpu: %" G_GUINT64_FORMAT " virtual CPUs are more than this host's policy gives one machine (policy.maxCpus: %"
                           G_GINT64_FORMAT "): ask its administrator", cpus_of(vm), policy->maxCpus);
  if (!given(policy, PolicySpec, maxMemory) || memory_of(vm) <= policy->maxMemory)
    return NULL;
  g_autofree char *asked = bytes_format(memory_of(vm)), *most = bytes_format(policy->maxMemory);
  return g_strdup_printf("memory: %s is more than this host's policy gives one machine (policy.maxMemory: %s): ask its administrator",
                         asked, most);
}

static char *kind_refusal(const PolicySpec *policy, const Object *declared) {
  Walk walk = {.policy = policy, .path = g_string_new("metadata.name")};
  if (declared->kind == KIND_STORAGE_POOL)
    check_listed(&walk, RULE(pools), declared->metadata.name);
  else if (declared->kind == KIND_NETWORK)
    check_listed(&walk, RULE(networks), declared->metadata.name);
  g_string_free(walk.path, TRUE);
  return walk.refusal;
}

char *policy_refusal(const PolicySpec *policy, ResolvePath resolve, const Object *declared) {
  char *refusal = kind_refusal(policy, declared);
  if (refusal)
    return refusal;
  Walk walk = {.policy = policy, .resolve = resolve, .path = g_string_new(NULL)};
  walk_table(&walk, kinds[declared->kind].spec, declared->spec);
  g_string_free(walk.path, TRUE);
  if (!walk.refusal && declared->kind == KIND_VIRTUAL_MACHINE)
    walk.refusal = size_refusal(policy, object_vm(declared));
  return walk.refusal;
}

static char *adoption_refusal(const PolicySpec *policy, const PlanObject *object) {
  if (!object->adopt || !given(policy, PolicySpec, adopt) || policy->adopt)
    return NULL;
  return g_strdup("metadata.adopt: taking over what exists is forbidden by this host's policy (policy.adopt): ask its administrator");
}

typedef struct {
  guint64 cpus, memory;
} Sum;

static Sum sum_of(const VmSpec *vm) { return (Sum){cpus_of(vm), memory_of(vm)}; }

/* What a machine of the plan has now. */
static Sum held(const PlanObject *object, const Actual *actual) {
  const ActualDomain *domain = g_hash_table_lookup(actual->domains, object->name);
  return domain && !domain->error ? sum_of(&domain->persistent) : (Sum){0};
}

static char *total_refusal(const PolicySpec *policy, const Sum *total, const Sum *more) {
  if (more->cpus && given(policy, PolicySpec, totalCpus) && total->cpus + more->cpus > (guint64)policy->totalCpus)
    return g_strdup_printf("cpu: with %" G_GUINT64_FORMAT " more virtual CPUs all machines would have %" G_GUINT64_FORMAT
                           ", more than this host's policy gives (policy.totalCpus: %" G_GINT64_FORMAT "): ask its administrator",
                           more->cpus, total->cpus + more->cpus, policy->totalCpus);
  if (!more->memory || !given(policy, PolicySpec, totalMemory) || total->memory + more->memory <= policy->totalMemory)
    return NULL;
  g_autofree char *sum = bytes_format_short(total->memory + more->memory), *most = bytes_format(policy->totalMemory);
  return g_strdup_printf("memory: with it all machines would have %s, more than this host's policy gives (policy.totalMemory: %s): ask its "
                         "administrator", sum, most);
}

static void refuse_object(Plan *plan, PlanObject *object, char *refusal /* taken */) {
  plan_reject(plan, object, refusal);
  object->hold = HOLD_FORBIDDEN;
}

static gboolean counts(const PlanObject *object) {
  return object->kind == KIND_VIRTUAL_MACHINE && object->declared && object->change != CHANGE_ERROR;
}

static void check_totals(const PolicySpec *policy, Plan *plan, const Actual *actual) {
  Sum total = {0};
  for (guint i = 0; i < plan->objects->len; i++) {
    Sum has = held(plan->objects->pdata[i], actual);
    if (((const PlanObject *)plan->objects->pdata[i])->kind == KIND_VIRTUAL_MACHINE) {
      total.cpus += has.cpus;
      total.memory += has.memory;
    }
  }
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    if (!counts(object))
      continue;
    Sum has = held(object, actual), asks = sum_of(object_vm(object->desired ? object->desired : object->declared));
    Sum more = {asks.cpus > has.cpus ? asks.cpus - has.cpus : 0, asks.memory > has.memory ? asks.memory - has.memory : 0};
    char *refusal = total_refusal(policy, &total, &more);
    if (refusal) {
      refuse_object(plan, object, refusal);
      continue;
    }
    total.cpus += more.cpus;
    total.memory += more.memory;
  }
}

void policy_apply(const PolicySpec *policy, ResolvePath resolve, Plan *plan, const Actual *actual) {
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    if (!object->declared || object->change == CHANGE_ERROR)
      continue;
    char *refusal = policy_refusal(policy, resolve, object->declared);
    if (!refusal)
      refusal = adoption_refusal(policy, object);
    if (refusal)
      refuse_object(plan, object, refusal);
  }
  check_totals(policy, plan, actual);
}
