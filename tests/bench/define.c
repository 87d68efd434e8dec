/* define FIRST LAST < TEMPLATE
 * The least that a writer can do: define domains FIRST to LAST one after the
 * other over one connection. In the template @N@ stands for the number. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
  if (argc != 3)
    g_error("usage: define FIRST LAST < TEMPLATE");
  g_autoptr(GString) template = g_string_new(NULL);
  char part[4096];
  size_t n;
  while ((n = fread(part, 1, sizeof part, stdin)) > 0)
    g_string_append_len(template, part, n);

  virConnectPtr conn = bench_open(FALSE);
  int last = atoi(argv[2]);
  for (int i = atoi(argv[1]); i <= last; i++) {
    g_autoptr(GString) xml = g_string_new(template->str);
    g_autofree char *number = g_strdup_printf("%d", i);
    g_string_replace(xml, "@N@", number, 0);
    virDomainPtr domain = virDomainDefineXML(conn, xml->str);
    if (!domain)
      g_error("cannot define domain %d: %s", i, virGetLastErrorMessage());
    virDomainFree(domain);
  }
  virConnectClose(conn);
  return 0;
}
