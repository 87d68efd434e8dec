#include "reconciler/act/guest_agent.h"

#include "state/life_sign.h"
#include "state/xml_path.h"

gboolean agent_is_connected(xmlDoc *live) {
  g_autofree char *state = xml_path_get(xml_path("devices/channel[target/@name='org.qemu.guest_agent.0']/target/@state"),
                                        xmlDocGetRootElement(live));
  return g_strcmp0(state, "connected") == 0;
}

/* An older daemon, or none that listens: then libvirt's own limits hold. */
void agent_limit(virDomainPtr domain) { virDomainAgentSetResponseTimeout(domain, AGENT_SECONDS, 0); }
void agent_unlimit(virDomainPtr domain) {
  virDomainAgentSetResponseTimeout(domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
}

/* An agent that is late with an answer can't be asked again until it has given it. Not cancellable: a
 * frozen guest is worse than a run that ends half a minute later. */
gboolean agent_thaw(virDomainPtr domain, gboolean patient, GError **error) {
  gint64 end = g_get_monotonic_time() + (patient ? AGENT_SECONDS * G_USEC_PER_SEC : 0);
  const char *name = virDomainGetName(domain);
  for (;; g_usleep(500000)) {
    life_sign();
    g_autoptr(xmlDoc) live = act_domain_doc(domain, 0, error);
    if (!live) {
      g_prefix_error(error, "the file systems of domain %s may still be frozen (try 'virsh domfsthaw %s'): ", name, name);
      return FALSE;
    }
    if (!agent_is_connected(live) || virDomainFSThaw(domain, NULL, 0, 0) >= 0)
      return TRUE;
    if (g_get_monotonic_time() > end)
      return libvirt_fail(error, "the file systems of domain %s may still be frozen: its agent doesn't answer; try 'virsh domfsthaw %s'",
                          name, name);
  }
}
