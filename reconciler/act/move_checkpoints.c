/* Checkpoints, which are people's (of a backup program): what they need is in the disks and goes with those; libvirt's notes of them
 * don't, and would be gone with the older copy. */
#include <string.h>

#include "reconciler/act/move.h"
#include "state/fault.h"

typedef virDomainCheckpoint VirDomainCheckpoint;
static inline void vir_checkpoint_release(VirDomainCheckpoint *checkpoint) { virDomainCheckpointFree(checkpoint); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirDomainCheckpoint, vir_checkpoint_release)

static void forget(gpointer text) {
  explicit_bzero(text, strlen(text));
  free(text);
}

GPtrArray *move_checkpoints(virDomainPtr domain, GError **error) {
  virDomainCheckpointPtr *all = NULL;
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(forget);
  const char *name = virDomainGetName(domain);
  int n = virDomainListAllCheckpoints(domain, &all, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
  gboolean fine = n >= 0 || libvirt_fail(error, "cannot list the checkpoints of domain %s", name);
  for (int i = 0; i < n; i++) {
    g_autoptr(VirDomainCheckpoint) each = all[i];
    const char *checkpoint = virDomainCheckpointGetName(each);
    char *text = fine ? virDomainCheckpointGetXMLDesc(each, VIR_DOMAIN_CHECKPOINT_XML_SECURE) : NULL;
    if (text)
      g_ptr_array_add(texts, text);
    else if (fine)
      fine = libvirt_fail(error, "cannot read checkpoint %s of domain %s", checkpoint, name);
  }
  free(all);
  return fine ? g_steal_pointer(&texts) : NULL;
}

/* One that is there already is written again. Only a QEMU can tell whether what it needs is there. */
gboolean move_tell_checkpoints(const GPtrArray *texts, virDomainPtr newer, GError **error) {
  int active = texts->len > 0 ? virDomainIsActive(newer) : 0;
  guint flags = VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE | (active == 1 ? VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE : 0);
  for (guint i = 0; i < texts->len; i++) {
    g_autoptr(VirDomainCheckpoint) told = virDomainCheckpointCreateXML(newer, texts->pdata[i], flags);
    if (!told)
      return libvirt_fail(error, "cannot tell libvirt on the other host of its checkpoints, which were made by somebody (where they aren't needed: "
                                 "'virsh checkpoint-delete --metadata')");
    FAULT("move: checkpoint told there");
  }
  return TRUE;
}
