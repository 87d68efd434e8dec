/* Notifications: a command that is run with one JSON document on its standard input, without a shell, one
 * after the other and for a limited time. On the default main context. */
#pragma once
#include <gio/gio.h>
#include <jansson.h>
#include "reconciler/run/config.h"

typedef struct Teller Teller;
/* failed: called when a command couldn't be run or didn't end well. */
Teller *teller_new(void (*failed)(gpointer data, const char *message), gpointer data);
void teller_free(Teller *teller); /* accepts NULL; what runs is killed */
/* Where the configuration wants this event to be told; takes the document. Beyond 100 that wait the
 * oldest are dropped. */
void teller_tell(Teller *teller, const Config *config, NotifyEvent event, json_t *document);
