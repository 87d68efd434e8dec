/* The configuration as the program uses it: read once, shared by whoever works with it, so that a reload
 * never pulls it away from under a pass. Const after reading. */
#pragma once
#include "reconciler/rules/rules.h"
#include "schema/configuration.h"

#define CONFIG_DEFAULT_FILE "/etc/reconcile/reconcile.yaml"

typedef struct {
  gint refs;
  char *file;
  ServiceSpec spec;  /* with defaults */
  guint allow;       /* bits of Impact */
  char *state_dir, *socket;
} Config;

/* NULL with error; what is wrong in the file goes to diagnostics. */
Config *config_read(const char *file, Diagnostics *diagnostics, GError **error);
/* What is open while the service runs stays as it was in the former one: the connection, the state directory. Whether
 * either was changed. */
gboolean config_stay(Config *config, const Config *former);
/* The control socket too, where the new one can't be made. */
void config_keep_socket(Config *config, const Config *former);
Config *config_ref(const Config *config);
void config_free(Config *config); /* by the last owner; accepts NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* The name under which machines remember it, where one is given; NULL: the source's own. Borrowed. */
const char *config_identity(const Config *config);
/* What it was before it moved; NULL: it hasn't. Borrowed. */
const char *const *config_formerly(const Config *config);
/* Rules for now, without patience; borrowed from the configuration. */
Rules config_rules(const Config *config);
/* Whether the notifications' command is to be told of this. */
gboolean config_tells(const Config *config, NotifyEvent event);
/* Where sockets and locks of this user are: $RUNTIME_DIRECTORY (of systemd), /run/reconcile for root where
 * XDG_RUNTIME_DIR isn't set, else $XDG_RUNTIME_DIR/reconcile. To be freed. */
char *config_runtime_dir(void);
