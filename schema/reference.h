/* The field reference, from the rows: for `reconcile explain`, docs/fields.md and
 * the man page reconcile-spec(5). */
#pragma once
#include <glib.h>

/* `path` as a person writes it: "VirtualMachine.spec.disks", "vm.disks.size",
 * "disks[vda].size"; NULL: the kinds. Unknown: NULL with error (SCHEMA_ERROR) that
 * names the nearest known field. To be freed. */
char *reference_text(const char *path, GError **error);
/* All of them, one a line, as "vm.disks.size". To be freed. */
char *reference_paths(void);
char *reference_markdown(void);
char *reference_man(void);
/* The same for the service's configuration: docs/configuration.md and reconcile.yaml(5). */
char *configuration_markdown(void);
char *configuration_man(void);
