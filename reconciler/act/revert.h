/* Going back to a snapshot. The steps, each to be recognised from outside:
 *
 *   1. our record has `reverting`: request, snapshot, what the machine was;
 *   2. the machine is off;
 *   3. the present is kept: a snapshot revert-REQUEST, unless it shall not be;
 *   4. external: a new layer VM-TARGET.REQUEST.qcow2 for each disk, on the layer that the snapshot holds;
 *   5. external: in one write of the definition, the disks name the new layers and the record has `reverted`, and as
 *      `leaving` what nobody needs then; internal: libvirt goes back, and with it to a definition (the snapshot's) in
 *      which our record has `reverted`, since that was written there before; then the present definition is written again;
 *   6. libvirt's notes: the snapshot is the current one, and it and those before it name the layers of this branch;
 *   7. the machine is what it shall be: off, started, or resumed from the snapshot's memory;
 *   8. volumes that leave are deleted, and `reverting` goes.
 *
 * Until 5 the machine is what it was, but off; a next run goes on, or gives it up when nobody asks for it any more. */
#pragma once
#include "reconciler/act/common.h"

typedef struct {
  const char *target;
  const char *holds, *format;  /* NULL: not of an external snapshot */
  const char *pool, *from;
  char *volume;                /* of the new layer */
  char *layer;                 /* its path; NULL: not known yet */
  guint64 bytes;               /* 0: not given */
} RevertingDisk;

/* As the action's arguments say: of RevertingDisk *. NULL with error. */
GPtrArray *reverting_disks(const ActionContext *context, const Action *action, const char *request, GError **error);

/* Before anything is done: what it takes is there. */
gboolean revert_check(const ActionContext *context, const GPtrArray *disks, const char *memory /* or NULL */, GError **error);
/* 4. */
gboolean revert_make_layers(const ActionContext *context, const GPtrArray *disks, GError **error);
/* Deletes them again, as far as they were never written to. */
gboolean revert_drop_layers(const ActionContext *context, const GPtrArray *disks, GError **error);
/* Whether the top of a disk as defined was never written to: it is a layer that we made, as we made it. */
gboolean revert_is_untouched(const ActionContext *context, xmlNode *domain, const RevertingDisk *disk, gboolean *ret_untouched, GError **error);
/* Lets a disk of a definition name a file. */
gboolean revert_name_file(xmlNode *domain, const char *target, const char *path, GError **error);

/* 5, internal: `doc` and `record` are of the present definition, the record as it shall be afterwards. */
gboolean revert_within(const ActionContext *context, const Action *action, virDomainPtr domain, const char *to, xmlDoc *doc,
                       const Ownership *record, GError **error);
/* 6. */
gboolean revert_notes(const ActionContext *context, virDomainPtr domain, const char *to, GError **error);
/* 7, with the memory that is in a file. */
gboolean revert_resume(const ActionContext *context, const Action *action, virDomainPtr domain, const char *memory, const GPtrArray *disks,
                       gboolean paused, GError **error);
