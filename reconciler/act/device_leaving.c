#include "reconciler/act/device.h"
#include "state/fault.h"
#include "state/leaving.h"

/* A machine that stopped meanwhile took its note with it. */
static gboolean write_note(virDomainPtr domain, const VmSpec *leaving, GError **error) {
  const char *name = virDomainGetName(domain);
  g_autofree char *text = leaving_text(leaving);
  if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, LEAVING_PREFIX, LEAVING_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE) < 0 &&
      virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID)
    return libvirt_fail(error, "cannot note which devices leave domain %s", name);
  FAULT("device: leaving noted");
  return TRUE;
}

static gboolean update_note(virDomainPtr domain, xmlNode *machine, const VmSpec *before, const VmSpec *wanted, GError **error) {
  VmSpec live = {0}, leaving = {0}, *noted = leaving_read(machine);
  domain_xml_read(machine, NULL, &live);
  leaving_collect(noted, wanted, &live, &leaving);
  if (before)
    leaving_collect(before, wanted, &live, &leaving);
  gboolean same = noted ? spec_equal(&VmSpec_table, noted, &leaving) : !leaving.given;
  gboolean fine = same || write_note(domain, &leaving, error);
  spec_free(&VmSpec_table, noted);
  spec_clear(&VmSpec_table, &live);
  spec_clear(&VmSpec_table, &leaving);
  return fine;
}

gboolean device_note_leaving(virDomainPtr domain, const VmSpec *before, const VmSpec *wanted, GError **error) {
  const char *name = virDomainGetName(domain);
  int active = virDomainIsActive(domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", name);
  g_autoptr(xmlDoc) live = active ? act_domain_doc(domain, 0, error) : NULL;
  return active ? live && update_note(domain, xmlDocGetRootElement(live), before, wanted, error) : TRUE;
}
