/* What follows from having gone back, or from having begun to: libvirt's notes, sizes, power, what is left over. */
#include "reconciler/act/base.h"
#include "reconciler/act/long_call.h"
#include "reconciler/act/revert.h"
#include "reconciler/plan/disk_facts.h"
#include "state/fault.h"
#include "state/snapshot_xml.h"

/* 7. */

typedef struct {
  const char *memory, *xml, *name;
  guint flags;
} Restore;

static gboolean restore(virDomainPtr domain, gpointer data, GError **error) {
  const Restore *restore = data;
  return virDomainRestoreFlags(virDomainGetConnect(domain), restore->memory, restore->xml, restore->flags) == 0 ||
         libvirt_fail(error, "cannot resume domain %s with the memory in %s", restore->name, restore->memory);
}

/* The path that the definition names for a disk. */
static char *defined_path(xmlNode *definition, const char *target) {
  xmlNode *disk = xml_map_find_device(table_find(&VmSpec_table, "disks"), definition, target);
  return disk ? xml_path_get(xml_path("source/@file"), disk) : NULL;
}

gboolean revert_resume(const ActionContext *context, const Action *action, virDomainPtr domain, const char *memory, const GPtrArray *disks,
                       gboolean paused, GError **error) {
  virConnectPtr connect = virDomainGetConnect(domain);
  g_autoptr(xmlDoc) definition = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE, error);
  g_autofree char *saved = definition ? virDomainSaveImageGetXMLDesc(connect, memory, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE) : NULL;
  if (!saved)
    return definition && libvirt_fail(error, "cannot read the memory in %s", memory);
  g_autoptr(xmlDoc) doc = xml_parse(saved, memory, error);
  explicit_bzero(saved, strlen(saved));
  for (guint i = 0; doc && i < disks->len; i++) {
    const RevertingDisk *disk = disks->pdata[i];
    g_autofree char *path = defined_path(xmlDocGetRootElement(definition), disk->target);
    if (path && !revert_name_file(xmlDocGetRootElement(doc), disk->target, path, error))
      return FALSE;
  }
  if (!doc)
    return FALSE;
  g_autofree char *text = xml_text(doc);
  Restore call = { memory, text, context->object->name, paused ? VIR_DOMAIN_SAVE_PAUSED : VIR_DOMAIN_SAVE_RUNNING };
  gboolean done = long_call(context, action, domain, "restoring the memory", restore, &call, error);
  explicit_bzero(text, strlen(text));
  return done;
}

/* Memory fits to disks that nobody has written to since: somebody may have started the machine meanwhile. */
static gboolean memory_fits(const ActionContext *context, virDomainPtr domain, const GPtrArray *disks, gboolean *ret_fits, GError **error) {
  g_autoptr(xmlDoc) definition = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE, error);
  *ret_fits = definition != NULL;
  for (guint i = 0; *ret_fits && i < disks->len; i++)
    if (!revert_is_untouched(context, xmlDocGetRootElement(definition), disks->pdata[i], ret_fits, error))
      return FALSE;
  return definition != NULL;
}

static Action start_action(const Action *action, gboolean paused) {
  Action start = { .kind = ACTION_DOMAIN_START, .id = action->id, .object = action->object, .args = string_map_new() };
  if (paused)
    string_map_set(start.args, "paused", "true");
  if (act_arg(action, "bases"))
    string_map_set(start.args, "bases", act_arg(action, "bases"));
  return start;
}

static gboolean bring_up(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks, gboolean paused,
                         GError **error) {
  const char *memory = act_arg(action, "memory");
  gboolean fits = FALSE;
  if (memory && !memory_fits(context, domain, disks, &fits, error))
    return FALSE;
  if (memory && !fits)
    act_remark(context, "the memory of the snapshot isn't restored: the disks were written to meanwhile");
  if (fits)
    return bases_check(context, action, error) && revert_resume(context, action, domain, memory, disks, paused, error);
  Action start = start_action(action, paused);
  gboolean done = act_domain_start(context, &start, error);
  string_map_free(start.args);
  return done;
}

static gboolean set_power(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks, GError **error) {
  const char *power = act_need(action, "power", error);
  int active = power ? virDomainIsActive(domain) : -1;
  if (active < 0)
    return power && libvirt_fail(error, "cannot see whether domain %s is running", context->object->name);
  if (g_str_equal(power, "stopped"))
    return !active || act_domain_shutdown(context, action, error);
  return active || bring_up(context, action, domain, disks, g_str_equal(power, "paused"), error);
}

/* Sizes: what the snapshot held may be smaller than the disk had become. */

static gboolean grow(const ActionContext *context, const Action *action, virDomainPtr domain, const RevertingDisk *disk, GError **error) {
  virDomainBlockInfo info;
  if (!disk->bytes)
    return TRUE;
  if (virDomainGetBlockInfo(domain, disk->target, &info, 0) < 0)
    return libvirt_fail(error, "cannot read the size of disk %s", disk->target);
  if (info.capacity >= disk->bytes)
    return TRUE;
  if (virDomainIsActive(domain) == 1)
    return virDomainBlockResize(domain, disk->target, disk->bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES) == 0 ||
           libvirt_fail(error, "cannot grow disk %s", disk->target);
  g_autoptr(xmlDoc) definition = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE, error);
  g_autofree char *path = definition ? defined_path(xmlDocGetRootElement(definition), disk->target) : NULL;
  g_autoptr(VirStorageVol) volume = path ? virStorageVolLookupByPath(virDomainGetConnect(domain), path) : NULL;
  if (!volume)
    return definition != NULL; /* the next run looks at sizes as always */
  act_progress(context, action, 0, 0, "growing the disks");
  return virStorageVolResize(volume, disk->bytes, 0) == 0 || libvirt_fail(error, "cannot grow disk %s", disk->target);
}

static gboolean grow_all(const ActionContext *context, const Action *action, virDomainPtr domain, const GPtrArray *disks, GError **error) {
  for (guint i = 0; i < disks->len; i++)
    if (!grow(context, action, domain, disks->pdata[i], error))
      return FALSE;
  FAULT("revert: disks grown");
  return TRUE;
}

/* 8. */

static gboolean is_snapshot_layer(virDomainPtr domain, const char *path, gboolean *ret_is, GError **error) {
  const char *name = virDomainGetName(domain); /* asking for it forgets the last error */
  virDomainSnapshotPtr *snapshots = NULL;
  int count = virDomainListAllSnapshots(domain, &snapshots, 0);
  if (count < 0)
    return libvirt_fail(error, "cannot list the snapshots of domain %s", name);
  gboolean fine = TRUE;
  for (int i = 0; i < count; i++) {
    g_autofree char *text = fine && !*ret_is ? virDomainSnapshotGetXMLDesc(snapshots[i], 0) : NULL;
    ActualSnapshot *snapshot = text ? snapshot_xml_read(text, error) : NULL;
    fine = fine && (*ret_is || snapshot);
    for (guint j = 0; snapshot && j < snapshot->disks->len; j++)
      *ret_is |= g_strcmp0(((const ActualSnapshotDisk *)snapshot->disks->pdata[j])->path, path) == 0;
    if (snapshot)
      actual_snapshot_free(snapshot);
    virDomainSnapshotFree(snapshots[i]);
  }
  free(snapshots);
  return fine || (error && *error) || libvirt_fail(error, "cannot read the snapshots of domain %s", name);
}

/* What somebody uses after all stays. */
static gboolean delete_left(const ActionContext *context, virDomainPtr domain, const char *path, GError **error) {
  g_autofree char *user = NULL, *doubt = NULL;
  gboolean kept = FALSE;
  virConnectPtr connect = virDomainGetConnect(domain);
  if (!volume_refresh_around(context, path, NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  if (!volume)
    return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL || libvirt_fail(error, "cannot look up volume %s", path);
  if (!volume_find_user(context, path, FALSE, &user, &doubt, error) || !is_snapshot_layer(domain, path, &kept, error))
    return FALSE;
  if (user || doubt || kept) {
    act_remark(context, "%s is kept: %s", path, user ? user : kept ? "a snapshot names it" : doubt);
    return TRUE;
  }
  gboolean deleted = volume_delete(volume, error);
  FAULT("revert: abandoned layer deleted");
  return deleted;
}

static gboolean delete_leaving(const ActionContext *context, virDomainPtr domain, const FactsSpec *facts, GError **error) {
  for (guint i = 0; given(facts, FactsSpec, disks) && i < facts->disks->len; i++) {
    const DiskFactSpec *fact = facts->disks->pdata[i];
    for (guint j = 0; fact->leaving && fact->leaving[j]; j++)
      if (!delete_left(context, domain, fact->leaving[j], error))
        return FALSE;
  }
  return TRUE;
}

/* Nothing of what is still to be flushed, which stays to be looked at. */
static void forget_leaving(FactsSpec *facts) {
  for (guint i = given(facts, FactsSpec, disks) ? facts->disks->len : 0; i > 0; i--) {
    g_autofree char *target = g_strdup(((const DiskFactSpec *)facts->disks->pdata[i - 1])->target);
    const DiskFact none = { target, DiskFactSpec_leaving, NULL };
    disk_facts_set(facts, &none);
  }
}

/* What was declared about going back is applied then: a next run has nothing to write down. */
static void take_request(const ActionContext *context, VmSpec *applied) {
  const Object *declared = context->object->declared;
  const Field *row = &VmSpec_table.fields[VmSpec_revert];
  spec_unset(&VmSpec_table, applied, row);
  if (declared && given(object_vm(declared), VmSpec, revert))
    spec_copy_field(&VmSpec_table, row, object_vm(declared), applied);
}

static gboolean end(const ActionContext *context, virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = NULL;
  g_autoptr(xmlDoc) doc = act_definition(domain, &record, error);
  if (!doc || !record)
    return doc && act_not_ours(domain, error);
  spec_unset(&FactsSpec_table, &record->facts, &FactsSpec_table.fields[FactsSpec_reverting]);
  forget_leaving(&record->facts);
  take_request(context, &record->spec);
  ownership_write(xmlDocGetRootElement(doc), record);
  return act_write_definition(context, doc, error);
}

static gboolean follow(const ActionContext *context, const Action *action, virDomainPtr domain, const FactsSpec *facts, const GPtrArray *disks,
                       GError **error) {
  gboolean done = given(facts, FactsSpec, reverted) && g_str_equal(facts->reverted, facts->reverting.request);
  if (done ? !revert_notes(context, domain, facts->reverting.to, error) : !revert_drop_layers(context, disks, error))
    return FALSE;
  FAULT("revert: notes in line");
  if (!set_power(context, action, domain, disks, error))
    return FALSE;
  FAULT("revert: power as it shall be");
  return (!done || grow_all(context, action, domain, disks, error)) && delete_leaving(context, domain, facts, error) &&
         end(context, domain, error);
}

gboolean act_revert_finish(const ActionContext *context, const Action *action, GError **error) {
  const char *request = act_need(action, "request", error);
  g_autoptr(VirDomain) domain = request ? act_own_domain(context, error) : NULL;
  g_autoptr(GPtrArray) disks = domain ? reverting_disks(context, action, request, error) : NULL;
  g_autoptr(Ownership) record = disks ? act_record(domain, error) : NULL;
  if (!record)
    return FALSE;
  if (!given(&record->facts, FactsSpec, reverting))
    return TRUE;
  if (!g_str_equal(record->facts.reverting.request, request))
    return act_stale(error, "another revert is under way: %s", record->facts.reverting.request);
  return follow(context, action, domain, &record->facts, disks, error);
}
