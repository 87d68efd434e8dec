/* A machine that moves while it is stopped: made on the other host with a newer epoch, started and seen to run
 * there, and only then removed here. Until then it is here, and runs here again when anything fails. */
#include <string.h>

#include "reconciler/act/move.h"
#include "state/fault.h"

/* --- can it be taken there? --- */

static gboolean check_version(virConnectPtr peer, const char *to, GError **error) {
  unsigned long version;
  if (virConnectGetLibVersion(peer, &version) < 0)
    return libvirt_fail(error, "cannot read the version of libvirt on %s", to);
  return version >= 9000000 || act_refuse(error, "%s has libvirt %lu.%lu: at least 9.0 is needed", to, version / 1000000, version / 1000 % 1000);
}

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

#define PROOF "reconcile-proof-"

/* A file written through one host and seen through the other, and gone there when it is gone here. */
static gboolean prove_shared(const ActionContext *context, const ActionContext *there, const char *pool, const char *to, GError **error) {
  g_autoptr(VirStoragePool) here_pool = volume_pool(context, pool, error);
  g_autoptr(VirStoragePool) there_pool = here_pool ? volume_pool(there, pool, error) : NULL;
  g_autofree char *id = g_uuid_string_random(), *name = g_strconcat(PROOF, id, NULL);
  g_autoptr(VirStorageVol) written = there_pool ? volume_make(here_pool, name, "raw", 512, NULL, NULL, 0, error) : NULL;
  if (!written)
    return FALSE;
  FAULT("move: proof written");
  g_autoptr(VirStorageVol) seen = NULL;
  gboolean asked = volume_find(there, there_pool, name, TRUE, &seen, NULL, error);
  g_autoptr(GError) ignored = NULL;
  gboolean removed = volume_delete(written, &ignored);
  volume_refresh(there, there_pool, NULL);
  if (!asked || !removed)
    return asked ? act_fail(error, "%s can't be removed from pool %s: %s", name, pool, ignored->message) : FALSE;
  return seen || act_refuse(error, "pool %s is declared to be shared with %s, but a file that is written here isn't seen there", pool, to);
}

gboolean act_move_check(const ActionContext *context, const Action *action, GError **error) {
  const char *to = act_need(action, "to", error), *pools = act_arg(action, "pools");
  virConnectPtr peer = to ? move_peer(context, action, "to", error) : NULL;
  g_autoptr(VirDomain) domain = peer ? act_own_domain(context, error) : NULL, other = NULL;
  g_autoptr(xmlDoc) doc = domain ? act_domain_doc(domain, 0, error) : NULL;
  ActionContext there;
  if (!doc || !move_context(context, action, "to", &there, error) || !move_find_there(peer, context->object->name, &other, error))
    return FALSE;
  if (other)
    return act_stale(error, "there is a machine of this name on %s", to);
  if (!check_version(peer, to, error) || !check_machine(peer, doc, to, error) || !check_cpu(peer, doc, to, error))
    return FALSE;
  g_auto(GStrv) names = pools ? g_strsplit(pools, "\n", -1) : NULL;
  for (char **name = names; name && *name; name++)
    if (!prove_shared(context, &there, *name, to, error))
      return FALSE;
  return TRUE;
}

/* --- arriving --- */

static gboolean start_there(virDomainPtr there, GError **error) {
  int state;
  if (virDomainCreate(there) < 0)
    return libvirt_fail(error, "cannot start it on the other host");
  FAULT("move: started there");
  g_usleep(500000); /* one that fails at once is no success */
  if (virDomainGetState(there, &state, NULL, 0) < 0)
    return libvirt_fail(error, "cannot read its state on the other host");
  return state == VIR_DOMAIN_RUNNING || act_fail(error, "it was started on the other host, but doesn't run");
}

/* Off and gone there, as far as it was ever defined; an answer that doesn't come is no. */
static gboolean is_gone(virDomainPtr there, virConnectPtr peer, const char *name) {
  g_autoptr(VirDomain) left = NULL;
  if (there) {
    virDomainDestroy(there);
    virDomainUndefineFlags(there, VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM);
  }
  return move_find_there(peer, name, &left, NULL) && !left;
}

/* From before the copy there is made until it is certain that there is none: whoever sees this copy alone
 * knows where another one may run. NULL: nowhere. */
static gboolean set_moving(FactsSpec *facts, gconstpointer to) {
  if (g_strcmp0(given(facts, FactsSpec, movingTo) ? facts->movingTo : NULL, to) == 0)
    return FALSE;
  spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_movingTo]);
  if (to) {
    facts->movingTo = g_strdup(to);
    set_given(facts, FactsSpec, movingTo);
  }
  return TRUE;
}

/* As it was before: not there, and running here if it is to run. What may run there never runs here too. */
static void go_back(const ActionContext *context, virDomainPtr here, virDomainPtr there, virConnectPtr peer, gboolean starts, GError **error) {
  if (!is_gone(there, peer, context->object->name))
    g_prefix_error(error, "it isn't started here again, since it may run on the other host, look there: ");
  else if (act_change_facts(here, set_moving, NULL, NULL) && starts)
    virDomainCreate(here);
}

gboolean act_domain_arrive(const ActionContext *context, const Action *action, GError **error) {
  gboolean starts = act_arg(action, "start") != NULL;
  virConnectPtr peer = move_peer(context, action, "to", error);
  g_autoptr(VirDomain) here = peer ? act_own_domain(context, error) : NULL, there = NULL;
  if (!here || !move_find_there(peer, context->object->name, &there, error))
    return FALSE;
  int active = virDomainIsActive(here);
  if (active != 0)
    return active < 0 ? libvirt_fail(error, "cannot see whether domain %s is running", context->object->name)
                      : act_stale(error, "domain %s runs here: it isn't started a second time", context->object->name);
  if (there)
    return act_stale(error, "there is a machine of this name on the other host");
  g_autofree char *text = move_definition(context, action, here, error);
  if (!text || !act_change_facts(here, set_moving, act_arg(action, "to"), error))
    return FALSE;
  FAULT("move: noted where it goes");
  there = virDomainDefineXMLFlags(peer, text, 0);
  explicit_bzero(text, strlen(text));
  FAULT("move: defined there");
  gboolean fine = there ? !starts || start_there(there, error) : libvirt_fail(error, "cannot define it on the other host");
  if (!fine)
    go_back(context, here, there, peer, starts, error);
  return fine;
}

/* --- leaving --- */

static gint64 epoch_of(virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = act_record(domain, error);
  return !record ? -1 : given(&record->facts, FactsSpec, epoch) ? record->facts.epoch : 0;
}

gboolean act_domain_leave(const ActionContext *context, const Action *action, GError **error) {
  virConnectPtr peer = move_peer(context, action, "to", error);
  g_autoptr(VirDomain) here = NULL, there = NULL;
  if (!peer || !act_find_domain(context, &here, error) || !move_find_there(peer, context->object->name, &there, error))
    return FALSE;
  if (!here)
    return TRUE;
  if (!there)
    return act_stale(error, "the machine isn't on %s: this copy stays", act_arg(action, "to"));
  gint64 old = epoch_of(here, error), new = old >= 0 ? epoch_of(there, error) : -1;
  if (new < 0)
    return FALSE;
  int active = virDomainIsActive(here);
  if (active != 0 || old >= new)
    return act_refuse(error, "this copy stays: %s", active ? "it runs" : "that on the other host isn't newer");
  if (virDomainUndefineFlags(here, VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM) < 0)
    return libvirt_fail(error, "cannot undefine domain %s", context->object->name);
  FAULT("move: undefined here");
  return TRUE;
}
