/* Taking a snapshot: all disks at one moment (libvirt's atomic, in one transaction of QEMU), the guest's
 * file systems frozen through its agent where that is wanted and possible. */
#include "reconciler/act/block_job.h"
#include "reconciler/act/guest_agent.h"
#include "reconciler/act/long_call.h"
#include "reconciler/act/machine_idle.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/act/snapshot_settle.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/snapshot_rules.h"
#include "schema/value.h"
#include "state/disk_chain.h"
#include "state/fault.h"
#include "state/life_sign.h"
#include "state/snapshot_xml.h"

typedef struct {
  const ActionContext *context;
  const Action *action;
  virDomainPtr domain;
  const SnapshotWanted *wanted;
  int state;                /* virDomainState */
  gboolean active;
  xmlDoc *doc;              /* of the machine that runs, else of its definition */
  VmSpec now;               /* the same, with the paths of all disks that have one */
  ActualSnapshot *snapshot; /* as it is to be taken */
} Taking;

static void taking_clear(Taking *taking) {
  g_clear_pointer(&taking->doc, xmlFreeDoc);
  spec_clear(&VmSpec_table, &taking->now);
  g_clear_pointer(&taking->snapshot, actual_snapshot_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Taking, taking_clear)

/* <disk type='volume'> names a volume, whose path only its pool knows. */
static gboolean find_volume_path(const Taking *taking, const ActualDisk *disk, DiskSpec *spec, GError **error) {
  g_autoptr(VirStoragePool) pool = act_pool(taking->context, disk->pool, error);
  if (!pool)
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByName(pool, disk->volume);
  char *path = volume ? virStorageVolGetPath(volume) : NULL;
  if (!path)
    return libvirt_fail(error, "cannot look up volume %s of storage pool %s", disk->volume, disk->pool);
  spec->path = g_strdup(path);
  set_given(spec, DiskSpec, path);
  free(path);
  return TRUE;
}

/* One that an earlier run began and that didn't end: without it, the chain is what it was. It is begun anew
 * where it is still wanted. */
static gboolean own_job(const Taking *taking, const char *target) {
  g_autoptr(Ownership) record = act_record(taking->domain, NULL);
  const DiskFactSpec *fact = record ? disk_facts(&record->facts, target) : NULL;
  return fact && given(fact, DiskFactSpec, leaving);
}

static gboolean check_disk(const Taking *taking, const ActualDisk *disk, GError **error) {
  DiskSpec *spec = vm_disk(&taking->now, disk->target);
  if (disk->job && own_job(taking, disk->target))
    return block_job_abort(taking->domain, disk->target, error);
  if (disk->job)
    return act_refuse(error, "a block job (%s) works on disk %s of domain %s: wait until it has ended, or end it "
                      "('virsh blockjob %s %s --abort')", disk->job, disk->target, taking->context->object->name,
                      taking->context->object->name, disk->target);
  return !spec || given(spec, DiskSpec, path) || !disk->volume || !disk->pool || find_volume_path(taking, disk, spec, error);
}

static gboolean read_machine(Taking *taking, GError **error) {
  taking->doc = act_domain_doc(taking->domain, taking->active ? 0 : VIR_DOMAIN_XML_INACTIVE, error);
  if (!taking->doc)
    return FALSE;
  domain_xml_read(xmlDocGetRootElement(taking->doc), NULL, &taking->now);
  g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(taking->doc), taking->active, layers);
  for (guint i = 0; i < disks->len; i++)
    if (!check_disk(taking, disks->pdata[i], error))
      return FALSE;
  return TRUE;
}

/* Off without a saved memory, running, or paused by somebody: what else there is ends by itself, or by
 * somebody's hand. */
static gboolean check_state(Taking *taking, GError **error) {
  const char *name = taking->context->object->name;
  int reason = 0, saved = virDomainHasManagedSaveImage(taking->domain, 0);
  taking->state = act_domain_state(taking->domain, &reason, error);
  if (taking->state < 0)
    return FALSE;
  taking->active = taking->state == VIR_DOMAIN_RUNNING || taking->state == VIR_DOMAIN_BLOCKED || taking->state == VIR_DOMAIN_PAUSED;
  if (saved < 0)
    return libvirt_fail(error, "cannot read the state of domain %s", name);
  if (saved && !taking->active)
    return act_refuse(error, "domain %s is hibernated: its saved memory belongs to the disks as they are; start it first", name);
  if (taking->state == VIR_DOMAIN_PAUSED && (reason == VIR_DOMAIN_PAUSED_IOERROR || reason == VIR_DOMAIN_PAUSED_CRASHED))
    return act_refuse(error, "domain %s is paused after an error: mend that first", name);
  return taking->active || taking->state == VIR_DOMAIN_SHUTOFF || taking->state == VIR_DOMAIN_CRASHED ||
         act_refuse(error, "domain %s is neither off nor running: no snapshot is taken of that", name);
}

static void add_disks(Taking *taking, GStrv targets) {
  const SnapshotWanted *wanted = taking->wanted;
  for (guint i = 0; i < taking->now.disks->len; i++) {
    const DiskSpec *disk = taking->now.disks->pdata[i];
    gboolean take = g_strv_contains((const char *const *)targets, disk->target);
    gboolean internal = take && wanted->mode == SnapshotMode_internal;
    g_autofree char *layer = take && !internal
      ? snapshot_layer_path(taking->context->object->name, disk->target, wanted->name, disk->path) : NULL;
    snapshot_add_disk(taking->snapshot, disk->target, internal, layer);
  }
}

static gboolean compose(Taking *taking, GError **error) {
  const SnapshotWanted *wanted = taking->wanted;
  const char *name = taking->context->object->name;
  const Object *desired = taking->context->object->desired;
  g_autofree char *why = NULL;
  g_auto(GStrv) targets = snapshot_disks(&taking->now, desired ? object_vm(desired) : NULL, wanted->mode, wanted->disks, &why);
  if (!targets)
    return act_refuse(error, "cannot take snapshot %s of domain %s: %s", wanted->name, name, why);
  gboolean internal = wanted->mode == SnapshotMode_internal;
  taking->snapshot = snapshot_new(wanted->name, wanted->description);
  taking->snapshot->memory = taking->active && (wanted->memory || internal);
  if (taking->snapshot->memory && !internal)
    taking->snapshot->memory_path = snapshot_memory_path(name, wanted->name, vm_disk(&taking->now, targets[0])->path);
  add_disks(taking, targets);
  return TRUE;
}

typedef struct {
  const char *xml, *name;
  guint flags;
} Create;

static gboolean create(virDomainPtr domain, gpointer data, GError **error) {
  const Create *create = data;
  const char *machine = virDomainGetName(domain);
  /* QEMU flushes all disks first. */
  g_autoptr(VirDomainSnapshot) snapshot = LIFE_LONG(virDomainSnapshotCreateXML(domain, create->xml, create->flags));
  return snapshot || libvirt_fail(error, "cannot take snapshot %s of domain %s", create->name, machine);
}

static gboolean create_with(Taking *taking, guint flags, GError **error) {
  g_autofree char *xml = snapshot_xml_new(taking->snapshot);
  Create call = { xml, taking->wanted->name, flags };
  if (taking->snapshot->memory)
    return long_call(taking->context, taking->action, taking->domain, "saving memory", create, &call, error);
  return !act_cancelled(taking->context, error) && create(taking->domain, &call, error);
}

/* Frozen by libvirt around the moment itself, so that nothing of ours can die in between. It thaws after a
 * snapshot that failed, but not after a freeze that did. */
static gboolean create_quiesced(Taking *taking, guint flags, GError **error) {
  g_autoptr(GError) failure = NULL, frozen = NULL;
  gint64 began = g_get_monotonic_time();
  agent_limit(taking->domain);
  gboolean fine = create_with(taking, flags | VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE, &failure);
  /* Late with the answer to the command, rather than not there for any: libvirt asks first, and gives that 5 s. */
  gboolean sent = g_get_monotonic_time() - began >= AGENT_SECONDS * G_USEC_PER_SEC;
  if (!fine && !agent_thaw(taking->domain, sent, &frozen) && sent)
    act_remark(taking->context, "%s", frozen->message);
  agent_unlimit(taking->domain);
  if (!fine)
    g_propagate_error(error, g_steal_pointer(&failure));
  return fine;
}

/* Why file systems can't be frozen; NULL: they can. */
static const char *no_quiesce(const Taking *taking) {
  if (taking->state == VIR_DOMAIN_PAUSED)
    return "the machine is paused";
  return agent_is_connected(taking->doc) ? NULL : "no agent answers in the guest";
}

static gboolean check_quiesce(const Taking *taking, GError **error) {
  if (taking->wanted->quiesce != Quiesce_required || !taking->active || taking->snapshot->memory)
    return TRUE;
  const char *why = no_quiesce(taking);
  return !why || act_refuse(error, "snapshot %s must be quiesced, but %s: install and start qemu-guest-agent there, or ask for quiesce: auto",
                            taking->wanted->name, why);
}

/* Of a running machine without its memory: quiesced where that is wanted and works. */
static gboolean create_running(Taking *taking, guint flags, Consistency *ret_consistency, GError **error) {
  const char *name = taking->wanted->name, *why = no_quiesce(taking);
  Quiesce quiesce = taking->wanted->quiesce;
  *ret_consistency = Consistency_quiesced;
  if (quiesce == Quiesce_required)
    return create_quiesced(taking, flags, error);
  g_autoptr(GError) trouble = NULL;
  if (quiesce == Quiesce_automatic && !why) {
    if (create_quiesced(taking, flags, &trouble))
      return TRUE;
    if (act_cancelled(taking->context, error))
      return FALSE;
    why = trouble->message;
  }
  *ret_consistency = Consistency_crash;
  if (!create_with(taking, flags, error))
    return FALSE;
  if (quiesce == Quiesce_automatic)
    act_remark(taking->context, "snapshot %s is crash-consistent, its file systems weren't frozen: %s", name, why);
  return TRUE;
}

static gboolean create_any(Taking *taking, Consistency *ret_consistency, GError **error) {
  guint flags = taking->wanted->mode == SnapshotMode_internal ? 0 : VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC;
  if (flags && !taking->snapshot->memory)
    flags |= VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY;
  if (taking->active && !taking->snapshot->memory)
    return create_running(taking, flags, ret_consistency, error);
  *ret_consistency = taking->active ? Consistency_memory : Consistency_stopped;
  if (taking->snapshot->memory_path)
    flags |= VIR_DOMAIN_SNAPSHOT_CREATE_LIVE;
  return create_with(taking, flags, error);
}

/* Each disk is on its layer now, with what it was before beneath. */
static gboolean verify(const Taking *taking, GError **error) {
  g_autoptr(xmlDoc) doc = act_domain_doc(taking->domain, taking->active ? 0 : VIR_DOMAIN_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(doc), FALSE, NULL);
  for (guint i = 0; i < taking->snapshot->disks->len; i++) {
    const ActualSnapshotDisk *wanted = taking->snapshot->disks->pdata[i];
    const ActualDisk *found = wanted->path ? actual_disk(disks, wanted->target) : NULL;
    if (wanted->path && (!found || g_strcmp0(found->path, wanted->path) != 0))
      return act_fail(error, "snapshot %s was taken, but disk %s of domain %s is on %s, not on %s", taking->wanted->name,
                      wanted->target, taking->context->object->name, found && found->path ? found->path : "nothing", wanted->path);
  }
  return TRUE;
}

/* Before all is noted as done: nobody would do it later. */
static void refresh_pools(const ActionContext *context, const ActualSnapshot *snapshot) {
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (disk->path)
      volume_refresh_around(context, disk->path, NULL, NULL);
  }
}

static gboolean complete(const Taking *taking, virDomainSnapshotPtr snapshot, Consistency *ret_consistency, GError **error) {
  const char *name = taking->wanted->name;
  g_autofree char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
  if (!xml)
    return libvirt_fail(error, "cannot read snapshot %s of domain %s", name, taking->context->object->name);
  ActualSnapshot *found = snapshot_xml_read(xml, error);
  if (!found)
    return FALSE;
  *ret_consistency = snapshot_consistency(found, taking->wanted->quiesce);
  refresh_pools(taking->context, found);
  actual_snapshot_free(found);
  return snapshot_note(taking->domain, name, taking->wanted->origin, *ret_consistency, error);
}

/* One of the name is there: ours, left so by an interrupted run, or done already. libvirt names one from when it begins to take it. */
static gboolean take_up(const Taking *taking, virDomainSnapshotPtr snapshot, Consistency *ret_consistency, GError **error) {
  const char *name = taking->wanted->name;
  g_autoptr(Ownership) record = act_record(taking->domain, error);
  const SnapshotFactSpec *fact = record ? snapshot_fact(&record->facts, name) : NULL;
  if (!record)
    return FALSE;
  if (!fact)
    return act_stale(error, "domain %s has a snapshot %s meanwhile that isn't ours", taking->context->object->name, name);
  if (!given(fact, SnapshotFactSpec, consistency))
    return machine_check_idle(taking->context, taking->domain, error) && complete(taking, snapshot, ret_consistency, error);
  *ret_consistency = (Consistency)fact->consistency;
  return TRUE;
}

static gboolean check_file(const Taking *taking, const char *path, GError **error) {
  if (!volume_refresh_around(taking->context, path, NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(taking->domain), path);
  if (volume)
    return act_refuse(error, "snapshot %s of domain %s would make %s, which exists: move it away, or choose another name",
                      taking->wanted->name, taking->context->object->name, path);
  return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL || libvirt_fail(error, "cannot look up volume %s", path);
}

/* Nothing is in the way of the files to be made. (libvirt would overwrite a memory file.) */
static gboolean check_files(const Taking *taking, GError **error) {
  if (taking->snapshot->memory_path && !check_file(taking, taking->snapshot->memory_path, error))
    return FALSE;
  for (guint i = 0; i < taking->snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = taking->snapshot->disks->pdata[i];
    if (disk->path && !check_file(taking, disk->path, error))
      return FALSE;
  }
  return TRUE;
}

/* After a failure: nothing is noted any more where nothing is left. What can't be told is left to the next run. */
static void take_back(const Taking *taking) {
  gboolean taken = FALSE;
  if (snapshot_settle(taking->context, taking->domain, taking->active, taking->snapshot, &taken, NULL) && !taken)
    snapshot_forget(taking->domain, taking->wanted->name, NULL);
}

/* An earlier run began it: what that left is put away, or it is there already. */
static gboolean settle_begun(const Taking *taking, gboolean *ret_taken, GError **error) {
  *ret_taken = FALSE;
  g_autoptr(Ownership) record = act_record(taking->domain, error);
  const SnapshotFactSpec *fact = record ? snapshot_fact(&record->facts, taking->wanted->name) : NULL;
  if (!record || !fact || given(fact, SnapshotFactSpec, consistency))
    return record != NULL;
  return snapshot_settle(taking->context, taking->domain, taking->active, taking->snapshot, ret_taken, error);
}

static gboolean take(Taking *taking, Consistency *ret_consistency, GError **error) {
  const char *name = taking->wanted->name;
  gboolean taken;
  if (!settle_begun(taking, &taken, error))
    return FALSE;
  if (taken) {
    g_autoptr(VirDomainSnapshot) found = NULL;
    if (!snapshot_find(taking->domain, name, &found, error))
      return FALSE;
    return found ? complete(taking, found, ret_consistency, error) : act_stale(error, "snapshot %s has gone again", name);
  }
  if (!check_quiesce(taking, error) || !check_files(taking, error))
    return FALSE;
  if (!snapshot_note_begun(taking->domain, taking->snapshot, taking->wanted->origin, error))
    return FALSE;
  FAULT("snapshot: begun");
  if (!create_any(taking, ret_consistency, error)) {
    take_back(taking);
    return FALSE;
  }
  FAULT("snapshot: taken");
  if (!verify(taking, error))
    return FALSE;
  refresh_pools(taking->context, taking->snapshot);
  if (!snapshot_note(taking->domain, name, taking->wanted->origin, *ret_consistency, error))
    return FALSE;
  FAULT("snapshot: recorded");
  return TRUE;
}

gboolean snapshot_take(const ActionContext *context, const Action *action, virDomainPtr domain, const SnapshotWanted *wanted,
                       Consistency *ret_consistency, GError **error) {
  g_auto(Taking) taking = { .context = context, .action = action, .domain = domain, .wanted = wanted };
  g_autoptr(VirDomainSnapshot) existing = NULL;
  if (!snapshot_find(domain, wanted->name, &existing, error))
    return FALSE;
  if (existing)
    return take_up(&taking, existing, ret_consistency, error);
  return check_state(&taking, error) && read_machine(&taking, error) && compose(&taking, error) &&
         take(&taking, ret_consistency, error);
}

static gboolean read_wanted(const Action *action, SnapshotWanted *wanted, GError **error) {
  const char *quiesce = act_arg(action, "quiesce"), *mode = act_arg(action, "mode"), *origin = act_arg(action, "origin");
  int how = quiesce ? enum_find(Quiesce_words.words, quiesce) : Quiesce_automatic;
  int kind = mode ? enum_find(SnapshotMode_words.words, mode) : SnapshotMode_external;
  int why = origin ? enum_find(SnapshotOrigin_words.words, origin) : SnapshotOrigin_declared;
  *wanted = (SnapshotWanted){ .name = act_need(action, "name", error) };
  if (!wanted->name)
    return FALSE;
  if (how < 0 || kind < 0 || why < 0)
    return act_fail(error, "the plan asks for an unknown kind of snapshot (%s, %s, %s)", quiesce, mode, origin);
  wanted->description = act_arg(action, "description");
  wanted->memory = g_strcmp0(act_arg(action, "memory"), "true") == 0;
  wanted->quiesce = (Quiesce)how;
  wanted->mode = (SnapshotMode)kind;
  wanted->origin = (SnapshotOrigin)why;
  return TRUE;
}

gboolean act_snapshot_take(const ActionContext *context, const Action *action, GError **error) {
  SnapshotWanted wanted;
  if (!read_wanted(action, &wanted, error))
    return FALSE;
  const char *disks = act_arg(action, "disks");
  g_auto(GStrv) targets = disks ? g_strsplit(disks, ",", -1) : NULL;
  wanted.disks = targets;
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  Consistency consistency;
  if (!domain || !snapshot_take(context, action, domain, &wanted, &consistency, error))
    return FALSE;
  act_remark(context, "snapshot %s: %s", wanted.name, consistency_phrase(consistency));
  return TRUE;
}
