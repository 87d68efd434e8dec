/* What libvirt notes about snapshots, brought in line with where the machine is; and going back within a file. */
#include "reconciler/act/long_call.h"
#include "reconciler/act/revert.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/act/volume.h"
#include "state/fault.h"
#include "state/observe.h"
#include "state/xml_tree.h"

static xmlDoc *read_notes(virDomainSnapshotPtr snapshot, GError **error) {
  const char *name = virDomainSnapshotGetName(snapshot);
  g_autofree char *text = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
  if (text)
    return xml_parse(text, name, error);
  libvirt_fail(error, "cannot read snapshot %s", name);
  return NULL;
}

static gboolean write_notes(virDomainPtr domain, const char *name, xmlDoc *doc, gboolean current, GError **error) {
  guint flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0);
  g_autofree char *text = xml_text(doc);
  g_autoptr(VirDomainSnapshot) written = virDomainSnapshotCreateXML(domain, text, flags);
  explicit_bzero(text, strlen(text));
  return written || libvirt_fail(error, "cannot change libvirt's notes of snapshot %s", name);
}

/* What a layer lies on; NULL: nothing, or it can't be told. */
static char *beneath(virConnectPtr connect, const char *path) {
  g_autoptr(VirStorageVol) volume = path ? virStorageVolLookupByPath(connect, path) : NULL;
  g_auto(VolumeFacts) facts = { 0 };
  return volume && volume_facts(volume, &facts, NULL) ? g_strdup(facts.backing_path) : NULL;
}

/* The layer of the disk's chain that lies on what the snapshot holds; NULL: it isn't in this branch. */
static const char *layer_above(const ActualDomain *machine, const char *target, const char *held) {
  const ActualDisk *disk = actual_disk(machine->defined_disks, target);
  for (guint i = 0; disk && held && i < disk->chain->len; i++) {
    const ActualVolume *layer = disk->chain->pdata[i];
    if (g_strcmp0(layer->backing_path, held) == 0)
      return layer->path;
  }
  return NULL;
}

static xmlNode *disk_element(xmlDoc *doc, const char *target) {
  xmlNode *disks = xml_first_child(xmlDocGetRootElement(doc), "disks");
  for (xmlNode *each = disks ? xml_first_child(disks, "disk") : NULL; each; each = xml_next_sibling(each, "disk"))
    if (g_strcmp0(xml_attribute(each, "name"), target) == 0)
      return each;
  return NULL;
}

/* Lets a snapshot name the layers of this branch. Returns whether anything changed. */
static gboolean name_layers(virConnectPtr connect, const ActualDomain *machine, const ActualSnapshot *snapshot, xmlDoc *doc) {
  gboolean changed = FALSE;
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    g_autofree char *held = disk->internal ? NULL : beneath(connect, disk->path);
    const char *layer = layer_above(machine, disk->target, held);
    xmlNode *element = layer && g_strcmp0(layer, disk->path) != 0 ? disk_element(doc, disk->target) : NULL;
    if (!element)
      continue;
    xml_set_attribute(element, "type", "file");
    xml_path_set(xml_path("source/@file"), element, layer);
    xml_path_set(xml_path("driver/@type"), element, "qcow2");
    changed = TRUE;
  }
  return changed;
}

static gboolean bring_in_line(virDomainPtr domain, const ActualDomain *machine, const ActualSnapshot *snapshot, gboolean current, GError **error) {
  g_autoptr(VirDomainSnapshot) handle = NULL;
  if (!snapshot_find(domain, snapshot->name, &handle, error))
    return FALSE;
  g_autoptr(xmlDoc) doc = handle ? read_notes(handle, error) : NULL;
  if (!doc)
    return !handle;
  gboolean changed = name_layers(virDomainGetConnect(domain), machine, snapshot, doc);
  if (!changed && (!current || snapshot->current))
    return TRUE;
  gboolean written = write_notes(domain, snapshot->name, doc, current, error);
  FAULT("revert: notes written");
  return written;
}

/* Those before it first: libvirt forgets which is current when that one is written without saying so. */
gboolean revert_notes(const ActionContext *context, virDomainPtr domain, const char *to, GError **error) {
  g_autoptr(ActualDomain) machine = observe_domain(context->connection, NULL, context->object->name, error);
  const ActualSnapshot *target = machine ? actual_snapshot(machine, to) : NULL;
  if (!machine || !target)
    return machine != NULL; /* deleted meanwhile */
  guint limit = machine->snapshots->len;
  for (const ActualSnapshot *each = target; limit-- && each->parent && (each = actual_snapshot(machine, each->parent));)
    if (!bring_in_line(domain, machine, each, FALSE, error))
      return FALSE;
  return bring_in_line(domain, machine, target, TRUE, error);
}

/* Internal ones. */

typedef struct {
  const char *name;
  guint flags;
} Back;

static gboolean go_back(virDomainPtr domain, gpointer data, GError **error) {
  const Back *back = data;
  g_autoptr(VirDomainSnapshot) snapshot = NULL;
  if (!snapshot_find(domain, back->name, &snapshot, error))
    return FALSE;
  if (!snapshot)
    return act_stale(error, "there is no snapshot %s any more", back->name);
  return virDomainRevertToSnapshot(snapshot, back->flags) == 0 || libvirt_fail(error, "cannot go back to snapshot %s", back->name);
}

/* libvirt brings the definition of the snapshot back, with our record of then: it gets the one of now first. */
static gboolean give_record(virDomainPtr domain, const char *to, const Ownership *record, GError **error) {
  g_autoptr(VirDomainSnapshot) snapshot = NULL;
  if (!snapshot_find(domain, to, &snapshot, error))
    return FALSE;
  if (!snapshot)
    return act_stale(error, "there is no snapshot %s any more", to);
  int current = virDomainSnapshotIsCurrent(snapshot, 0);
  g_autoptr(xmlDoc) doc = read_notes(snapshot, error);
  if (!doc)
    return FALSE;
  static const char *const names[] = { "domain", "inactiveDomain" };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    xmlNode *definition = xml_first_child(xmlDocGetRootElement(doc), names[i]);
    if (definition)
      ownership_write(definition, record);
  }
  gboolean written = write_notes(domain, to, doc, current == 1, error);
  FAULT("revert: record given");
  return written;
}

gboolean revert_within(const ActionContext *context, const Action *action, virDomainPtr domain, const char *to, xmlDoc *doc,
                       const Ownership *record, GError **error) {
  const char *power = act_arg(action, "power");
  gboolean off = g_strcmp0(power, "stopped") == 0, paused = off || g_strcmp0(power, "paused") == 0;
  Back back = { to, VIR_DOMAIN_SNAPSHOT_REVERT_FORCE };
  g_autoptr(VirDomainSnapshot) snapshot = NULL;
  if (!snapshot_find(domain, to, &snapshot, error))
    return FALSE;
  g_autoptr(xmlDoc) notes = snapshot ? read_notes(snapshot, error) : NULL;
  if (!notes)
    return !snapshot && act_stale(error, "there is no snapshot %s any more", to);
  g_autofree char *memory = xml_path_get(xml_path("memory/@snapshot"), xmlDocGetRootElement(notes));
  if (g_strcmp0(memory, "internal") == 0) /* else it stays off, and is started when all is in line */
    back.flags |= paused ? VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED : VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING;
  if (!give_record(domain, to, record, error) ||
      !long_call(context, action, domain, "going back", go_back, &back, error))
    return FALSE;
  FAULT("revert: gone back within the file");
  ownership_write(xmlDocGetRootElement(doc), record);
  return act_write_definition(context, doc, error);
}
