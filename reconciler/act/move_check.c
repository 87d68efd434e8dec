/* Whether a machine can be taken on another host, asked again right before anything is touched; and what only a
 * writable connection tells: the hypervisor's own judgement, and whether a pool is shared as the file says. */
#include "reconciler/act/base.h"
#include "reconciler/act/move.h"
#include "reconciler/plan/migration_policy.h"
#include "state/fault.h"
#include "state/libvirt/host_fits.h"

static gboolean check_machine(virConnectPtr peer, xmlDoc *doc, const char *to, GError **error) {
  xmlNode *root = xmlDocGetRootElement(doc);
  g_autofree char *type = xml_path_get(xml_path("@type"), root), *arch = xml_path_get(xml_path("os/type/@arch"), root);
  g_autofree char *machine = xml_path_get(xml_path("os/type/@machine"), root), *emulator = xml_path_get(xml_path("devices/emulator"), root);
  g_autofree char *capabilities = virConnectGetDomainCapabilities(peer, emulator, arch, machine, type, 0);
  return capabilities || libvirt_fail(error, "%s can't run machines of type %s (%s, %s)", to, machine, arch, type);
}

/* A CPU that the guest relies on: host-model is expanded in the live XML. An emulated one is QEMU's own. */
static gboolean check_cpu(virConnectPtr peer, xmlDoc *doc, const char *to, GError **error) {
  xmlNode *root = xmlDocGetRootElement(doc), *cpu = xml_path_node(xml_path("cpu"), root);
  g_autofree char *type = xml_path_get(xml_path("@type"), root), *mode = xml_path_get(xml_path("cpu/@mode"), root);
  if (!cpu || g_strcmp0(type, "kvm") != 0 || g_strcmp0(mode, "custom") != 0)
    return TRUE;
  g_autofree char *text = xml_node_text(cpu);
  int verdict = virConnectCompareHypervisorCPU(peer, NULL, NULL, NULL, "kvm", text, 0);
  if (verdict == VIR_CPU_COMPARE_ERROR)
    return libvirt_fail(error, "cannot compare its CPU with that of %s", to);
  return verdict != VIR_CPU_COMPARE_INCOMPATIBLE || act_refuse(error, "the CPU of %s lacks what the machine's CPU has", to);
}

/* What the plan was made on may be different now. */
static gboolean check_hosts(const ActionContext *context, const Action *action, const ActionContext *there, const char *to, GError **error) {
  g_autofree char *why = NULL;
  const VmSpec *vm = act_vm(context, error);
  if (!vm)
    return FALSE;
  const HostNeeds needs = g_strcmp0(act_arg(action, "way"), "live") == 0 ? migration_needs(vm) : (HostNeeds){0};
  return host_fits(context->connection, there->connection, to, context->object->name, &needs, &why, NULL, error) && (!why || act_refuse(error, "%s", why));
}

#define PROOF "reconcile-proof-"

/* What a run that was interrupted left. */
static gboolean remove_proof(const ActionContext *context, virStoragePoolPtr pool, const char *name, GError **error) {
  g_autoptr(VirStorageVol) left = NULL;
  return volume_find(context, pool, name, TRUE, &left, NULL, error) && (!left || volume_delete(left, error));
}

/* A file written through one host and seen through the other, and gone there when it is gone here. It is named by the
 * machine, so that the next run finds it. */
static gboolean prove_shared(const ActionContext *context, const ActionContext *there, virDomainPtr domain, const char *pool, const char *to, GError **error) {
  g_autoptr(VirStoragePool) here_pool = volume_pool(context, pool, error);
  g_autoptr(VirStoragePool) there_pool = here_pool ? volume_pool(there, pool, error) : NULL;
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(domain, uuid);
  g_autofree char *name = g_strconcat(PROOF, uuid, NULL);
  if (!there_pool || !remove_proof(context, here_pool, name, error) || !remove_proof(there, there_pool, name, error))
    return FALSE;
  g_autoptr(VirStorageVol) written = volume_make(here_pool, name, "raw", 512, NULL, NULL, 0, error);
  if (!written)
    return FALSE;
  FAULT("move: proof written");
  g_autoptr(VirStorageVol) seen = NULL;
  gboolean asked = volume_find(there, there_pool, name, TRUE, &seen, NULL, error);
  g_autoptr(GError) ignored = NULL;
  gboolean removed = volume_delete(written, &ignored);
  FAULT("move: proof removed");
  g_autoptr(VirStorageVol) stays = NULL;
  if (!asked || !removed || !volume_find(there, there_pool, name, TRUE, &stays, NULL, error))
    return asked && !removed ? act_fail(error, "%s can't be removed from pool %s: %s", name, pool, ignored->message) : FALSE;
  return (seen && !stays) || act_refuse(error, "pool %s is declared to be shared with %s, but a file that is %s here %s there", pool, to,
                                        seen ? "removed" : "written", seen ? "stays" : "isn't seen");
}

gboolean act_move_check(const ActionContext *context, const Action *action, GError **error) {
  const char *to = act_need(action, "to", error), *pools = act_arg(action, "pools");
  virConnectPtr peer = to ? move_peer(context, action, "to", error) : NULL;
  g_autoptr(VirDomain) domain = peer ? act_own_domain(context, error) : NULL;
  g_autoptr(xmlDoc) doc = domain ? act_domain_doc(domain, 0, error) : NULL;
  ActionContext there;
  if (!doc || !move_context(context, action, "to", &there, error) || !move_check_way(&there, action, domain, doc, error))
    return FALSE;
  if (!check_hosts(context, action, &there, to, error) || !check_machine(peer, doc, to, error) || !check_cpu(peer, doc, to, error) ||
      !bases_check(context, action, error))
    return FALSE;
  g_auto(GStrv) names = pools ? g_strsplit(pools, "\n", -1) : NULL;
  for (char **name = names; name && *name; name++)
    if (!prove_shared(context, &there, domain, *name, to, error))
      return FALSE;
  const char *nvram = act_arg(action, "nvram");
  if (nvram && !move_note_nvram(domain, nvram, error))
    return FALSE;
  return move_note(domain, to, FALSE, error) && /* before anything is made there */
         move_begin_anew(&there, act_arg(action, "files"), error);
}
