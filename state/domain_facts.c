#include "state/domain_facts.h"

#include <string.h>

#include "state/disk_chain.h"
#include "state/fingerprint.h"
#include "state/helper.h"
#include "state/leaving.h"
#include "state/transient_disk.h"
#include "state/xml_lean.h"
#include "state/xml_tree.h"

gboolean domain_text_is_live(const char *xml) {
  const char *start = strstr(xml, "<domain");
  const char *end = start ? strchr(start, '>') : NULL;
  const char *id = start ? strstr(start, " id=") : NULL;
  return id && end && id < end;
}

static void read_boot_files(xmlNode *root, GPtrArray *files) {
  static const char *const places[] = {"kernel", "initrd", "dtb", "loader", "nvram"};
  xmlNode *os = xml_first_child(root, "os");
  for (guint i = 0; os && i < G_N_ELEMENTS(places); i++) {
    xmlNode *node = xml_first_child(os, places[i]);
    xmlChar *path = node ? xmlNodeGetContent(node) : NULL;
    if (path && *path)
      g_ptr_array_add(files, g_strdup((const char *)path));
    xmlFree(path);
  }
}

/* Of what runs, else of the definition; a machine that is stopped to be moved has it in our record. */
static void read_nvram(ActualDomain *domain, xmlNode *definition, xmlNode *machine) {
  xmlNode *root = machine ? machine : definition;
  g_autofree char *firmware = xml_path_get(xml_path("os/@firmware"), root), *stateless = xml_path_get(xml_path("os/loader/@stateless"), root);
  domain->has_nvram = g_strcmp0(stateless, "yes") != 0 && (g_strcmp0(firmware, "efi") == 0 || xml_path_exists(xml_path("os/nvram"), root));
  if (!domain->has_nvram)
    return;
  domain->nvram = xml_path_get(xml_path("os/nvram/source/@file"), root);
  if (!domain->nvram && !xml_path_exists(xml_path("os/nvram/source"), root))
    domain->nvram = xml_path_get(xml_path("os/nvram"), root);
  if (domain->nvram && !*g_strstrip(domain->nvram))
    g_clear_pointer(&domain->nvram, g_free);
  if (!domain->nvram && domain->owner && given(&domain->owner->facts, FactsSpec, nvram))
    domain->nvram = g_strdup(domain->owner->facts.nvram);
}

gboolean domain_facts_read(ActualDomain *domain, const char *persistent, const char *live, GError **error) {
  texts_set(domain->texts, persistent, live);
  g_autofree char *what = g_strdup_printf("definition of %s", domain->name);
  g_autoptr(XmlLean) defined = xml_parse_lean(persistent, what, error);
  if (!defined)
    return FALSE;
  g_autofree char *settled = live ? transient_disks_settle(live) : NULL;
  g_autoptr(XmlLean) running = live ? xml_parse_lean(settled ? settled : live, what, error) : NULL;
  if (live && !running)
    return FALSE;
  xmlNode *definition = xml_lean_root(defined), *machine = xml_lean_root(running);
  g_free(domain->uuid);
  domain->uuid = xml_path_get(xml_path("uuid"), definition);
  g_autoptr(GError) trouble = NULL;
  domain->helper_of = helper_owner(definition);
  domain->owner = domain->helper_of ? NULL : ownership_read(definition, &trouble);
  if (trouble) {
    g_set_error(error, trouble->domain, trouble->code, "%s: mend it ('virsh edit %s'), or remove that element and take the machine "
                "over with metadata.adopt: true", trouble->message, domain->name);
    return FALSE;
  }
  if (machine) { /* unreadable counts as not there: it can't be mended while the machine runs */
    domain->started = ownership_read(machine, NULL);
    domain->leaving = leaving_read(machine);
    domain->balloon = balloon_note_read(machine);
    domain->asked = asked_read(machine);
  }
  const Ownership *record = domain->started ? domain->started : domain->owner;
  domain_xml_read(definition, domain->owner ? &domain->owner->spec : NULL, &domain->persistent);
  read_boot_files(definition, domain->boot_files);
  if (machine)
    read_boot_files(machine, domain->boot_files);
  read_nvram(domain, definition, machine);
  domain->has_numa = xml_path_exists(xml_path("cpu/numa/cell"), definition);
  domain->defined_disks = disks_read(definition, FALSE, NULL);
  domain->active = machine != NULL;
  if (machine) {
    domain->live = spec_new(&VmSpec_table);
    domain_xml_read(machine, record ? &record->spec : NULL, domain->live);
    domain->volumes = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
    domain->disks = disks_read(machine, TRUE, domain->volumes);
  }
  if (!machine)
    domain->disks = g_ptr_array_ref(domain->defined_disks);
  domain->fingerprint = machine ? fingerprint_xml(definition, machine) : fingerprint_text(persistent);
  return TRUE;
}

gboolean domain_facts_read_saved(ActualDomain *domain, const char *saved, GError **error) {
  if (domain->texts)
    domain->texts->saved = g_strdup(saved);
  g_autofree char *what = g_strdup_printf("definition in the saved memory of %s", domain->name);
  g_autoptr(XmlLean) lean = xml_parse_lean(saved, what, error);
  if (!lean)
    return FALSE;
  xmlNode *machine = xml_lean_root(lean);
  domain->saved = spec_new(&VmSpec_table);
  domain_xml_read(machine, domain->owner ? &domain->owner->spec : NULL, domain->saved);
  read_boot_files(machine, domain->boot_files);
  domain->saved_disks = disks_read(machine, FALSE, NULL);
  return TRUE;
}

static void set_from_host(const ActualDomain *domain, VmSpec *spec) {
  PowerState power;
  if (power_state_of(domain->state, domain->has_managed_save, &power)) {
    spec->powerState = (int)power;
    set_given(spec, VmSpec, powerState);
  }
  spec->autostart = domain->autostart;
  set_given(spec, VmSpec, autostart);
}

gboolean domain_manages_size(const ActualDomain *domain, const char *target) {
  const DiskSpec *disk = domain->owner ? vm_disk(&domain->owner->spec, target) : NULL;
  return disk && given(disk, DiskSpec, size);
}

gboolean domain_has_disk(const ActualDomain *domain, const char *target) {
  const DiskSpec *disk = vm_disk(actual_now(domain), target);
  return disk != NULL && !disk_is_drive(disk);
}

/* A volume that is there but can't be read: of a disk whose size we manage that is an error. */
static void check_volumes(ActualDomain *domain) {
  for (guint i = 0; i < domain->disks->len && !domain->error; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    const ActualVolume *top = disk->chain->len ? disk->chain->pdata[0] : NULL;
    if (top && top->error && domain_manages_size(domain, disk->target))
      domain->error = g_strdup_printf("disk %s: %s", disk->target, top->error);
  }
}

/* What is defined and what runs are the same file: then the live chain is the truth. */
static gboolean take_live_chain(const ActualDomain *domain, ActualDisk *defined) {
  const ActualDisk *live = actual_disk(domain->disks, defined->target);
  if (!live || !live->path || g_strcmp0(live->path, defined->path) != 0)
    return FALSE;
  g_ptr_array_unref(defined->chain);
  defined->chain = g_ptr_array_ref(live->chain);
  return TRUE;
}

void domain_facts_resolve(ActualDomain *domain, const Actual *actual) {
  for (guint i = 0; i < domain->disks->len; i++)
    disk_resolve(domain->disks->pdata[i], actual);
  for (guint i = 0; domain->active && i < domain->defined_disks->len; i++)
    if (!take_live_chain(domain, domain->defined_disks->pdata[i]))
      disk_resolve(domain->defined_disks->pdata[i], actual);
  for (guint i = 0; domain->saved_disks && i < domain->saved_disks->len; i++)
    disk_resolve(domain->saved_disks->pdata[i], actual);
}

gboolean domain_facts_lack_size(const ActualDomain *domain, const ActualDisk *disk) {
  const ActualVolume *top = disk->chain->len ? disk->chain->pdata[0] : NULL;
  return disk->path && !(top && (top->capacity || top->pool)) && domain_has_disk(domain, disk->target);
}

void domain_facts_set_size(ActualDomain *domain, ActualDisk *disk, guint64 bytes) {
  if (!disk->chain->len) {
    ActualVolume *layer = g_new0(ActualVolume, 1);
    layer->path = g_strdup(disk->path);
    layer->format = g_strdup(disk->format);
    if (!domain->volumes)
      domain->volumes = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
    g_ptr_array_add(domain->volumes, layer);
    g_ptr_array_add(disk->chain, layer);
  }
  ActualVolume *top = disk->chain->pdata[0];
  top->capacity = disk->told_bytes = bytes;
}

void domain_facts_finish(ActualDomain *domain, gboolean storage) {
  set_from_host(domain, &domain->persistent);
  if (domain->live)
    set_from_host(domain, domain->live);
  if (storage) {
    disks_fill(domain->defined_disks, &domain->persistent);
    if (domain->live)
      disks_fill(domain->disks, domain->live);
    if (domain->saved)
      disks_fill(domain->saved_disks, domain->saved);
    check_volumes(domain);
  }
  g_autofree char *xml_part = g_steal_pointer(&domain->fingerprint);
  if (storage && !domain->error)
    domain->fingerprint = fingerprint_domain(xml_part, domain);
}
