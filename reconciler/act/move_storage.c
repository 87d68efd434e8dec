/* A machine's volumes on another host: made empty for a live migration, or copied through this program, verified
 * by digest, since no two libvirts copy a volume between them. What is half made there carries a marker. */
#include "reconciler/act/aside.h"
#include "reconciler/act/base.h"
#include "reconciler/act/move.h"
#include "reconciler/act/move_copied.h"
#include "reconciler/act/sparse_write.h"
#include "reconciler/act/volume_sync.h"
#include "schema/digest.h"
#include "state/fault.h"

#define BLOCK (256 << 10)
#define SHOWN (16 << 20)
#define AT_HOLE -3 /* says virStreamRecvFlags */

typedef struct {
  const ActionContext *context;
  const Action *action;
  virStreamPtr from;
  SparseWrite *to; /* NULL: into nothing */
  Digest *digest;
  guint64 done, shown, total;
  const char *phase;
} Transfer;

static void tell(Transfer *transfer) {
  if (transfer->done - transfer->shown < SHOWN && transfer->done < transfer->total)
    return;
  act_progress(transfer->context, transfer->action, transfer->done, transfer->total, transfer->phase);
  transfer->shown = transfer->done;
}

static void digest_zeros(Transfer *transfer, guint64 length) {
  static const char zeros[64 << 10];
  while (length > 0) {
    gsize part = MIN(length, sizeof zeros);
    digest_update(transfer->digest, zeros, part);
    length -= part;
  }
}

static gboolean pass_hole(Transfer *transfer, GError **error) {
  long long length = 0;
  if (virStreamRecvHole(transfer->from, &length, 0) < 0)
    return libvirt_fail(error, "cannot read the volume");
  digest_zeros(transfer, (guint64)length);
  transfer->done += (guint64)length;
  if (transfer->to)
    sparse_write_hole(transfer->to, (guint64)length);
  return TRUE;
}

static gboolean pass_data(Transfer *transfer, const char *data, gsize length, GError **error) {
  digest_update(transfer->digest, data, length);
  transfer->done += length;
  return !transfer->to || sparse_write(transfer->to, data, length, error);
}

static gboolean pass_all(Transfer *transfer, GError **error) {
  g_autofree char *block = g_malloc(BLOCK);
  for (;;) {
    if (act_cancelled(transfer->context, error))
      return FALSE;
    int got = virStreamRecvFlags(transfer->from, block, BLOCK, VIR_STREAM_RECV_STOP_AT_HOLE);
    if (got == 0)
      return TRUE;
    if (got < 0 && got != AT_HOLE)
      return libvirt_fail(error, "cannot read the volume");
    if (!(got == AT_HOLE ? pass_hole(transfer, error) : pass_data(transfer, block, (gsize)got, error)))
      return FALSE;
    tell(transfer);
  }
}

/* Reads a volume, sparse, into another one (NULL: into nothing), and tells its digest. NULL with error. */
static char *transfer_volume(const ActionContext *context, const Action *action, virStorageVolPtr from, virStorageVolPtr to, guint64 total,
                             const char *phase, GError **error) {
  const char *from_name = virStorageVolGetName(from); /* asking forgets the last error */
  g_autoptr(VirStream) source = virStreamNew(virStorageVolGetConnect(from), 0);
  g_auto(SparseWrite) target = { .volume = to, .unread = TRUE };
  g_autoptr(Digest) digest = digest_new();
  Transfer transfer = {context, action, source, to ? &target : NULL, digest, .total = total, .phase = phase};
  if (!source || virStorageVolDownload(from, source, 0, 0, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM) < 0) {
    libvirt_fail(error, "cannot read volume %s", from_name);
    return NULL;
  }
  gboolean fine = pass_all(&transfer, error);
  if (fine && virStreamFinish(source) < 0)
    fine = libvirt_fail(error, "cannot read volume %s", from_name);
  fine = fine && sparse_write_finish(&target, error);
  if (!fine) {
    virStreamAbort(source);
    return NULL;
  }
  return digest_hex(digest);
}

typedef struct {
  ActionContext there;
  Aside aside;            /* where no pool is named */
  virStoragePoolPtr pool;
  const char *path;
  char *name;
  guint64 size;
  gboolean made;          /* the volume, by this call */
} Target;

static void target_clear(Target *target) {
  if (target->pool && !target->aside.open)
    virStoragePoolFree(target->pool);
  aside_close(&target->aside);
  g_free(target->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Target, target_clear)

static gboolean target_read(const ActionContext *context, const Action *action, Target *target, GError **error) {
  const char *pool = act_arg(action, "toPool");
  target->path = act_need(action, "path", error);
  if (!target->path || !move_context(context, action, "to", &target->there, error) || !act_arg_optional(action, "size", &target->size, error))
    return FALSE;
  target->name = g_path_get_basename(target->path);
  if (pool)
    target->pool = volume_pool(&target->there, pool, error);
  else if (aside_open(&target->there, target->path, &target->aside, error))
    target->pool = target->aside.pool;
  return target->pool != NULL;
}

/* Takes away what an interrupted move left, and marks what comes. A volume without marker is somebody's. */
static gboolean begin(Target *target, gboolean *ret_complete, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean half_made;
  *ret_complete = FALSE;
  if (!volume_find(&target->there, target->pool, target->name, TRUE, &volume, NULL, error) ||
      !marker_find(&target->there, target->pool, target->name, &half_made, error))
    return FALSE;
  if (volume && !half_made) {
    *ret_complete = TRUE;
    return TRUE;
  }
  return (!volume || move_remove_half_made(&target->there, target->pool, target->name, FALSE, error)) && marker_set(target->pool, target->name, error);
}

/* The volume's file as it is, byte for byte: it is made as a raw one. `of`: the machine whose record says what was copied;
 * NULL: nothing writes to the file. */
static gboolean copy_file(const ActionContext *context, const Action *action, Target *target, virDomainPtr of, const char *expected, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStorageVol) from = NULL;
  g_auto(VolumeFacts) facts = {0};
  if (!aside_find(context, target->path, &aside, &from, error) || (from && !target->size && !volume_facts(from, &facts, error)))
    return FALSE;
  if (!from)
    return act_stale(error, "there is no %s any more", target->path);
  if (of && !move_note_copied(of, from, target->path, error))
    return FALSE;
  target->size = target->size ? target->size : facts.physical;
  g_autoptr(VirStorageVol) to = volume_make(target->pool, target->name, "raw", target->size, NULL, NULL, 0, error);
  target->made = to != NULL;
  FAULT("move: volume made");
  g_autofree char *sent = to ? transfer_volume(context, action, from, to, target->size, "copying", error) : NULL;
  FAULT("move: volume copied");
  g_autofree char *arrived = sent ? transfer_volume(context, action, to, NULL, target->size, "verifying", error) : NULL;
  if (!arrived)
    return FALSE;
  if (!g_str_equal(sent, arrived))
    return act_fail(error, "volume %s arrived with another content than was sent: look whether there is room for it", target->name);
  if (expected && !g_str_equal(sent, expected))
    return act_refuse(error, "the base image %s has another content than its name says: it was changed; put the original back", target->path);
  return TRUE;
}

/* `format`: as for volume_sync. */
static gboolean end(Target *target, gboolean fine, const char *format, GError **error) {
  if (!fine) {
    half_made_remove(&target->there, target->pool, target->name, target->made, error ? *error : NULL);
    return FALSE;
  }
  return volume_refresh(&target->there, target->pool, error) && volume_sync_named(target->pool, target->name, format, error);
}

gboolean act_move_base(const ActionContext *context, const Action *action, GError **error) {
  const char *sha256 = act_need(action, "sha256", error);
  g_auto(Target) target = {0};
  gboolean complete;
  if (!sha256 || !target_read(context, action, &target, error) || !begin(&target, &complete, error))
    return FALSE;
  if (complete) {
    gboolean same = base_check(&target.there, action, target.path, error);
    if (!same)
      g_prefix_error(error, "on %s: ", act_arg(action, "to"));
    return same;
  }
  if (!end(&target, copy_file(context, action, &target, NULL, sha256, error), NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByName(target.pool, target.name);
  if (volume) {
    base_protect(volume, target.size);
    base_remember(context, volume, sha256);
  }
  return marker_clear(target.pool, target.name, error);
}

static char *digest_on(const ActionContext *context, const Action *action, const char *path, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStorageVol) volume = NULL;
  if (!aside_find(context, path, &aside, &volume, error))
    return NULL;
  if (!volume)
    act_refuse(error, "there is no %s: put it there, or into a storage pool that both hosts have", path);
  return volume ? volume_digest(context, action, volume, error) : NULL;
}

static gboolean compare(const ActionContext *here, const ActionContext *there, const Action *action, const char *path, GError **error) {
  g_autofree char *mine = digest_on(here, action, path, error);
  g_autofree char *theirs = mine ? digest_on(there, action, path, error) : NULL;
  if (mine && !theirs)
    g_prefix_error(error, "on %s: ", act_arg(action, "to"));
  return theirs && (g_str_equal(mine, theirs) || act_refuse(error, "%s has another content on %s: look which is right, and remove the other",
                                                            path, act_arg(action, "to")));
}

/* One that no pool has belongs to the host: it is compared, and nothing is put beside it. */
gboolean act_move_file(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Target) target = {0};
  ActionContext there;
  gboolean complete;
  if (!act_arg(action, "toPool"))
    return move_context(context, action, "to", &there, error) && act_need(action, "path", error) &&
           compare(context, &there, action, act_arg(action, "path"), error);
  if (!target_read(context, action, &target, error) || !begin(&target, &complete, error))
    return FALSE;
  if (!complete)
    return end(&target, copy_file(context, action, &target, NULL, NULL, error), NULL, error) && marker_clear(target.pool, target.name, error);
  return compare(context, &target.there, action, target.path, error);
}

/* A disk that shall be larger there: only now, so that what was sent and what arrived could be compared. */
static gboolean grow(Target *target, guint64 bytes, const char *format, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = {0};
  if (!bytes || !volume_find(&target->there, target->pool, target->name, FALSE, &volume, &facts, error))
    return !bytes;
  if (!volume || facts.capacity > bytes)
    return act_fail(error, "volume %s can't be grown where it arrived", target->name);
  if (facts.capacity != bytes && format && !volume_check_format(volume, &facts, format, "grow", error))
    return FALSE;
  return facts.capacity == bytes || virStorageVolResize(volume, bytes, 0) == 0 || libvirt_fail(error, "cannot grow volume %s", target->name);
}

/* Its marker stays until the machine has arrived: until then this copy is nobody's disk. */
static gboolean bring_volume(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Target) target = {0};
  gboolean complete;
  guint64 bytes = 0;
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  if (!domain || !act_arg_optional(action, "grow", &bytes, error) || !target_read(context, action, &target, error) || !begin(&target, &complete, error))
    return FALSE;
  if (complete)
    return act_refuse(error, "there is a file %s on the other host already", target.path);
  return end(&target, copy_file(context, action, &target, domain, NULL, error), act_arg(action, "format"), error) && grow(&target, bytes, act_arg(action, "format"), error);
}

gboolean act_move_volume(const ActionContext *context, const Action *action, GError **error) {
  gboolean fine = bring_volume(context, action, error);
  if (!fine)
    move_go_on(context, action);
  return fine;
}

gboolean act_move_prepare(const ActionContext *context, const Action *action, GError **error) {
  const char *format = act_arg(action, "format");
  guint64 capacity = 0;
  g_auto(Target) target = {0};
  gboolean complete;
  if (!act_arg_optional(action, "capacity", &capacity, error) || !target_read(context, action, &target, error) ||
      !begin(&target, &complete, error))
    return FALSE;
  if (complete)
    return act_refuse(error, "there is a file %s on the other host already", target.path);
  if (!format) /* libvirt makes it */
    return TRUE;
  g_autoptr(VirStorageVol) volume = volume_make(target.pool, target.name, format, capacity, act_arg(action, "backingPath"),
                                                act_arg(action, "backingFormat"), 0, error);
  target.made = volume != NULL;
  FAULT("move: volume prepared");
  return end(&target, volume != NULL, NULL, error);
}

static gboolean take_back(const ActionContext *there, const char *path, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStorageVol) volume = NULL;
  if (!aside_find(there, path, &aside, &volume, NULL)) /* no such directory yet */
    return TRUE;
  g_autofree char *name = g_path_get_basename(path);
  g_autoptr(VirStoragePool) of_volume = volume ? virStoragePoolLookupByVolume(volume) : NULL;
  virStoragePoolPtr pool = of_volume ? of_volume : aside.pool;
  return !pool || move_remove_half_made(there, pool, name, FALSE, error);
}

gboolean move_begin_anew(const ActionContext *there, const char *paths, GError **error) {
  g_auto(GStrv) each = g_strsplit(paths ? paths : "", "\n", -1);
  for (char **path = each; *path; path++)
    if (!take_back(there, *path, error))
      return FALSE;
  return TRUE;
}

gboolean move_take_back(const ActionContext *context, const Action *action) {
  ActionContext there;
  virConnectPtr peer = move_peer(context, action, "to", NULL);
  g_autoptr(VirDomain) domain = NULL;
  if (!peer || !move_context(context, action, "to", &there, NULL) || !move_find_there(peer, context->object->name, &domain, NULL) || domain)
    return FALSE;
  move_begin_anew(&there, act_arg(action, "left"), NULL);
  return TRUE;
}
