/* The least that a reader of a host's domains can do: list them and read each
 * one's XML, with one thread over one connection. Prints how many and how many
 * bytes. Whoever wants to be faster has to ask in parallel, or for less. */
#include "bench.h"
#include <stdlib.h>
#include <string.h>

int main(void)
{
  virConnectPtr conn = bench_open(TRUE);
  virDomainPtr *domains = NULL;
  int n = virConnectListAllDomains(conn, &domains, 0);
  if (n < 0)
    g_error("cannot list domains: %s", virGetLastErrorMessage());
  gsize bytes = 0;
  for (int i = 0; i < n; i++) {
    char *xml = virDomainGetXMLDesc(domains[i], VIR_DOMAIN_XML_INACTIVE);
    if (!xml)
      g_error("cannot read a domain: %s", virGetLastErrorMessage());
    bytes += strlen(xml);
    free(xml);
    virDomainFree(domains[i]);
  }
  free(domains);
  virConnectClose(conn);
  g_print("%d domains, %" G_GSIZE_FORMAT " bytes\n", n, bytes);
  return 0;
}
