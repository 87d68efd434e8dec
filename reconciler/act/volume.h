/* What the storage actions share: volumes as they are on the disk now, who uses them, and
 * the marker of half-made ones.
 *
 * A volume that takes long to fill (a copy, an image) isn't made in one step. Before it,
 * a small volume NAME.incomplete is made; it goes when the volume is complete. So a volume
 * with a marker is half-made by us and may be thrown away; one without is complete, or
 * somebody else's. */
#pragma once
#include "reconciler/act/common.h"
#include "state/object_xml.h"

typedef struct {
  char *path, *format;
  char *backing_path, *backing_format; /* NULL: no backing store */
  guint64 capacity, physical, cluster; /* bytes; cluster 0: libvirt doesn't say */
} VolumeFacts;
void volume_facts_clear(VolumeFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VolumeFacts, volume_facts_clear)
/* Reads the volume's file anew. */
gboolean volume_facts(virStorageVolPtr volume, VolumeFacts *ret_facts, GError **error);

/* All that libvirt tells of it, of its file as it is now. NULL with error; actual_volume_free. */
ActualVolume *volume_seen(virStorageVolPtr volume, GError **error);

/* An active pool of this name. */
virStoragePoolPtr volume_pool(const ActionContext *context, const char *name, GError **error);
/* The same by name, outside of an action: also what space there is, which libvirt remembers. ret_available may be NULL. */
gboolean pool_look_again(Connection *connection, const char *pool, GCancellable *cancel, guint64 *ret_available, GError **error);
/* What room there was when libvirt looked last. */
gboolean pool_available(virStoragePoolPtr pool, guint64 *ret_bytes, GError **error);
/* Makes libvirt see files that were changed behind its back. Waits while the pool is busy. */
gboolean volume_refresh(const ActionContext *context, virStoragePoolPtr pool, GError **error);
/* Refreshes the active pool whose directory holds the path, so that its absence is certain.
 * ret_covered (may be NULL): there is such a pool. */
gboolean volume_refresh_around(const ActionContext *context, const char *path, gboolean *ret_covered, GError **error);
/* Succeeds with NULL when there certainly is no such volume. With `refresh`, files that
 * libvirt doesn't know yet are found too. ret_facts may be NULL. */
gboolean volume_find(const ActionContext *context, virStoragePoolPtr pool, const char *name, gboolean refresh,
                     virStorageVolPtr *ret_volume, VolumeFacts *ret_facts, GError **error);
/* Makes a volume that takes up no space yet, where the pool can do that. Arguments as for
 * volume_xml_new. NULL with error. volume_text is its XML alone. */
virStorageVolPtr volume_make(virStoragePoolPtr pool, const char *name, const char *format, guint64 bytes,
                             const char *backing_path, const char *backing_format, guint mode, GError **error);
char *volume_text(virStoragePoolPtr pool, const char *name, const char *format, guint64 bytes,
                  const char *backing_path, const char *backing_format, guint mode, GError **error);
gboolean volume_delete(virStorageVolPtr volume, GError **error);

/* A stand-alone copy of what a volume's guest sees, whatever it is based on. A half-made one is made anew, a
 * complete one is checked. */
typedef struct {
  const char *pool, *volume, *format;
  const char *from; /* path */
  const char *from_format; /* as its disk reads it; libvirt must see the same in it. NULL: as libvirt sees it */
  guint64 bytes;    /* capacity, not less than that of `from` */
  gboolean keep_marker; /* the caller clears it when more than the copy is done */
} VolumeCopy;
gboolean volume_copy(const ActionContext *context, const Action *action, const VolumeCopy *copied, GError **error);
/* Whether libvirt reads the volume of this path as `format`, by what its pool saw last; volume_check_format is the same of `seen`, for
 * what libvirt would do with it ("copy"). */
gboolean volume_check_format(virStorageVolPtr volume, const VolumeFacts *seen, const char *format, const char *verb, GError **error);
gboolean volume_copy_possible(const ActionContext *context, const char *from, const char *format, GError **error);

/* Makes the marker, unless it is there. */
gboolean marker_set(virStoragePoolPtr pool, const char *volume, GError **error);
gboolean marker_find(const ActionContext *context, virStoragePoolPtr pool, const char *volume, gboolean *ret_present, GError **error);
gboolean marker_clear(virStoragePoolPtr pool, const char *volume, GError **error);
/* Deletes a volume that carries a marker, unless something uses it, or may do so: then the marker isn't ours. */
gboolean half_made_delete(const ActionContext *context, virStorageVolPtr volume, GError **error);
/* The same, then its marker; what has none isn't ours, and stays. Files that libvirt doesn't know yet are found too. */
gboolean half_made_clear(const ActionContext *context, virStoragePoolPtr pool, const char *volume, GError **error);
/* After a `failure` of what was marked, as far as that works: the volume goes, then its marker, where this call has `made` it. Else
 * libvirt has taken back what there was of it, and a volume that is there came meanwhile and stays: without the marker, where the
 * failure says that it was in the way. */
void half_made_remove(const ActionContext *context, virStoragePoolPtr pool, const char *volume, gboolean made, const GError *failure);

/* Who uses a file, as an observation made now tells (state/volume_users.h). The disks of all domains count, what is
 * based on it, and what other machines' snapshots and records keep; those of the context's own machine are the
 * caller's matter. `ret_doubt`, a clause that says why users may be missing, is NULL when all could be read. */

/* Only what is based on the file; NULL: nothing. */
gboolean volume_find_overlay(const ActionContext *context, const char *path, char **ret_what, GError **error);
/* Nobody may write to the file while something is based on it: looks at its pool anew, and refuses where there is something. */
gboolean volume_check_top(const ActionContext *context, const char *path, GError **error);
/* The same of the files that a definition takes: the action's argument taken=, paths, one a line. */
gboolean volume_check_taken(const ActionContext *context, const Action *action, GError **error);
/* Also on other hosts of the fleet that are said to have the file's pool too; one that can't be asked is a doubt.
 * With only_live: of domains only those that run. ret_doubt may be NULL where an overlooked user loses nothing. */
gboolean volume_find_user(const ActionContext *context, const char *path, gboolean only_live, char **ret_what, char **ret_doubt,
                          GError **error);
/* What lies beneath a layer of a branch that was left, made for the disk, and used by nothing but the snapshot that goes with
 * the layer; top first. `base`: what lies beneath where the layer has gone already. Empty too where that can't be told. */
GStrv volume_left_beneath(const ActionContext *context, const char *snapshot, const char *target, const char *layer, const char *base, GError **error);
/* volume_find_user for a layer of one disk: the disk itself, and the layer above, aren't other users. */
typedef struct {
  const char *domain, *target;
  const char *overlay; /* path; NULL: none is based on it there */
} VolumeOwner;
gboolean volume_find_other_user(const ActionContext *context, const char *path, const VolumeOwner *owner, char **ret_what, char **ret_doubt,
                                GError **error);
