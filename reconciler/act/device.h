/* Devices of a machine by row and match value: in the spec, in definitions, in XML. */
#pragma once
#include "reconciler/act/common.h"

typedef struct {
  const Field *row;      /* list or group with .device */
  gconstpointer item;    /* of row->sub in the desired spec; NULL: it isn't there */
  const char *match;     /* NULL for a group */
} Device;

/* From the arguments list= and match=. */
gboolean device_find(const ActionContext *context, const Action *action, Device *ret_device, GError **error);
/* For messages: "interfaces[52:54:00:00:00:01]". */
char *device_name(const Device *device);
/* The device's element in a document; NULL when it isn't there. */
xmlNode *device_node(const Device *device, xmlDoc *doc);

/* device_leaving.c: notes at the running machine which devices `before` has (NULL: nothing new) and `wanted` (NULL: nothing)
 * hasn't, and forgets those that are out; see state/leaving.h. Nothing where none runs. */
gboolean device_note_leaving(virDomainPtr domain, const VmSpec *before, const VmSpec *wanted, GError **error);

gboolean device_attach(const ActionContext *context, virDomainPtr domain, const Device *device, GError **error);
gboolean device_detach(const ActionContext *context, const Action *action, virDomainPtr domain, const Device *device, GError **error);
