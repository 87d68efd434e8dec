/* Going back: shut down, keep the present, make what the machine goes back to, switch. */
#include "reconciler/act/revert.h"

#include "reconciler/act/layer_flush.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/plan/chain.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/revert_rules.h"
#include "state/fault.h"

static const char *of_disk(const Action *action, const char *key, const char *target) {
  g_autofree char *name = g_strdup_printf("%s.%s", key, target);
  return act_arg(action, name);
}

static void disk_free(gpointer data) {
  RevertingDisk *disk = data;
  g_free(disk->volume);
  g_free(disk->layer);
  g_free(disk);
}

static gboolean read_disk(const ActionContext *context, const Action *action, const char *target, const char *request, GPtrArray *disks,
                          GError **error) {
  RevertingDisk *disk = g_new0(RevertingDisk, 1);
  g_ptr_array_add(disks, disk);
  disk->target = g_intern_string(target);
  disk->holds = of_disk(action, "holds", target);
  disk->format = of_disk(action, "format", target);
  disk->pool = of_disk(action, "pool", target);
  disk->from = of_disk(action, "from", target);
  disk->volume = chain_layer_name(context->object->name, target, request);
  g_autofree char *bytes = g_strdup_printf("bytes.%s", target);
  if (disk->holds && (!disk->format || !disk->pool || !disk->from))
    return act_fail(error, "the plan's arguments about disk %s aren't complete", target);
  return act_arg_optional(action, bytes, &disk->bytes, error);
}

GPtrArray *reverting_disks(const ActionContext *context, const Action *action, const char *request, GError **error) {
  const char *names = act_need(action, "disks", error);
  if (!names)
    return NULL;
  g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func(disk_free);
  g_auto(GStrv) targets = *names ? g_strsplit(names, ",", -1) : g_new0(char *, 1);
  for (guint i = 0; targets[i]; i++)
    if (!read_disk(context, action, targets[i], request, disks, error))
      return NULL;
  return g_steal_pointer(&disks);
}

/* 1. */

typedef struct {
  const char *request, *to;
  PowerState power;
} Begun;

static gboolean begin(FactsSpec *facts, gconstpointer data) {
  const Begun *begun = data;
  RevertFactSpec *fact = &facts->reverting;
  if (given(facts, FactsSpec, reverting)) /* the machine may be off because of that */
    return FALSE;
  fact->request = g_strdup(begun->request);
  fact->to = g_strdup(begun->to);
  fact->power = (int)begun->power;
  set_given(fact, RevertFactSpec, request);
  set_given(fact, RevertFactSpec, to);
  set_given(fact, RevertFactSpec, power);
  set_given(facts, FactsSpec, reverting);
  return TRUE;
}

static gboolean note_begun(virDomainPtr domain, const char *request, const char *to, GError **error) {
  Begun begun = { .request = request, .to = to };
  int state = act_domain_state(domain, NULL, error);
  if (state < 0)
    return FALSE;
  if (!power_state_of(state, FALSE, &begun.power))
    return act_stale(error, "domain %s is neither off nor running", virDomainGetName(domain));
  return act_change_facts(domain, begin, &begun, error);
}

static gboolean forget(FactsSpec *facts, gconstpointer data G_GNUC_UNUSED) {
  spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_reverting]);
  return TRUE;
}

/* 3. */

static gboolean keep_present(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks, GError **error) {
  const char *name = act_arg(action, "safety");
  gboolean internal = act_arg(action, "internal") != NULL;
  if (!name)
    return TRUE;
  g_autoptr(GPtrArray) targets = g_ptr_array_new();
  for (guint i = 0; i < disks->len; i++)
    g_ptr_array_add(targets, (gpointer)((const RevertingDisk *)disks->pdata[i])->target);
  g_ptr_array_add(targets, NULL);
  g_autofree char *about = g_strdup_printf("Before going back to %s", act_arg(action, "to"));
  const SnapshotWanted wanted = {
    .name = name, .description = about, .disks = internal ? NULL : (char **)targets->pdata, .quiesce = Quiesce_never,
    .mode = internal ? SnapshotMode_internal : SnapshotMode_external, .origin = SnapshotOrigin_safety,
  };
  Consistency consistency;
  return snapshot_take(context, action, domain, &wanted, &consistency, error);
}

/* 5. */

static void note_leaving(FactsSpec *facts, const Action *action, const char *target) {
  const char *paths = of_disk(action, "leaving", target);
  if (!paths)
    return;
  g_auto(GStrv) leaving = g_strsplit(paths, "\n", -1);
  const DiskFact wanted = { target, DiskFactSpec_leaving, (const char *const *)leaving };
  disk_facts_leave(facts, &wanted);
}

static void note_done(FactsSpec *facts, const char *request) {
  g_free(facts->reverted);
  facts->reverted = g_strdup(request);
  set_given(facts, FactsSpec, reverted);
}

static gboolean switch_disks(const ActionContext *context, const Action *action, xmlDoc *doc, Ownership *record, const GPtrArray *disks,
                             GError **error) {
  xmlNode *root = xmlDocGetRootElement(doc);
  for (guint i = 0; i < disks->len; i++) {
    const RevertingDisk *disk = disks->pdata[i];
    if (!revert_name_file(root, disk->target, disk->layer, error))
      return FALSE;
    note_leaving(&record->facts, action, disk->target);
  }
  ownership_write(root, record);
  return act_write_definition(context, doc, error);
}

/* The machine is off, and is what it was. */
static gboolean go_back(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks, GError **error) {
  gboolean internal = act_arg(action, "internal") != NULL;
  if (!internal && !revert_make_layers(context, disks, error))
    return FALSE;
  g_autoptr(Ownership) record = NULL;
  g_autoptr(xmlDoc) doc = act_definition(domain, &record, error);
  if (!doc || !record)
    return doc && act_not_ours(domain, error);
  note_done(&record->facts, act_arg(action, "request"));
  gboolean done = internal ? revert_within(context, action, domain, act_arg(action, "to"), doc, record, error)
                           : switch_disks(context, action, doc, record, disks, error);
  FAULT("revert: gone back");
  return done;
}

static gboolean shut_down_and_go_back(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks, GError **error) {
  if (!act_domain_shutdown(context, action, error))
    return FALSE;
  FAULT("revert: machine off");
  if (!keep_present(context, action, domain, disks, error))
    return FALSE;
  FAULT("revert: present kept");
  return go_back(context, action, domain, disks, error);
}

/* A failure before it has gone back: the machine is what it was, and runs again if it ran. */
static void give_up(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks) {
  g_autoptr(GError) trouble = NULL;
  g_autoptr(Ownership) record = act_record(domain, &trouble);
  const FactsSpec *facts = record ? &record->facts : NULL;
  if (!facts || !given(facts, FactsSpec, reverting) || g_strcmp0(facts->reverted, facts->reverting.request) == 0)
    return;
  Action start = { .kind = ACTION_DOMAIN_START, .id = action->id, .object = action->object, .args = action->args };
  gboolean ran = facts->reverting.power == PowerState_running && virDomainIsActive(domain) == 0;
  if ((act_arg(action, "internal") || revert_drop_layers(context, disks, &trouble)) &&
      (!ran || act_domain_start(context, &start, &trouble)) && act_change_facts(domain, forget, NULL, &trouble))
    return;
  act_remark(context, "the next run brings the machine back to what it was: %s", trouble ? trouble->message : "");
}

gboolean act_domain_revert(const ActionContext *context, const Action *action, GError **error) {
  const char *request = act_need(action, "request", error), *to = request ? act_need(action, "to", error) : NULL;
  g_autoptr(VirDomain) domain = to ? act_own_domain(context, error) : NULL;
  g_autoptr(GPtrArray) disks = domain ? reverting_disks(context, action, request, error) : NULL;
  g_autoptr(Ownership) record = disks ? act_record(domain, error) : NULL;
  if (!record)
    return FALSE;
  if (given(&record->facts, FactsSpec, reverted) && g_str_equal(record->facts.reverted, request))
    return TRUE;
  /* The machine is shut down and started again, on what it is defined with. */
  if (!revert_check(context, disks, act_arg(action, "memory"), error) || !layer_flush_all(context, action, domain, error) || !note_begun(domain, request, to, error))
    return FALSE;
  FAULT("revert: begun");
  gboolean done = shut_down_and_go_back(context, action, domain, disks, error);
  if (!done)
    give_up(context, action, domain, disks);
  return done;
}
