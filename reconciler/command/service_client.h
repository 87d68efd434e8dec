/* Asking the service that runs, by its control socket: that of --config, else of this user, else of root. */
#pragma once
#include <jansson.h>
#include "reconciler/command/cli.h"
#include "state/journal.h"

/* The reply, to be released; NULL with error when nobody answers. */
json_t *service_ask(const Cli *cli, const char *command, GError **error);
/* The journal of --state-dir, of --config, of the service that answered (NULL: none did), else of this user;
 * NULL without error: there is none yet. */
Journal *service_journal(const Cli *cli, const json_t *state, GError **error);
/* What the service last did, for people; nothing of `state` is trusted to be there. */
void service_append_state(GString *out, const json_t *state);
