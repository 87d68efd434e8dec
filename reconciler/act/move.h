/* Moving a machine between hosts: what its actions share. */
#pragma once
#include "reconciler/act/volume.h"

/* The other host's handle: of the argument `to` or `from`. NULL with error. */
virConnectPtr move_peer(const ActionContext *context, const Action *action, const char *key, GError **error);
/* Why that host can't be asked now, without waiting; NULL: it can. To be freed. */
GError *move_trouble(const ActionContext *context, const Action *action, const char *key);
/* The same host as a context of an action on it. */
gboolean move_context(const ActionContext *context, const Action *action, const char *key, ActionContext *ret_context, GError **error);
/* The machine there; NULL without error: there is none. */
gboolean move_find_there(virConnectPtr peer, const char *name, virDomainPtr *ret_domain, GError **error);

/* Whether nothing is in the way there: machines of its name or UUID, files of the argument `files`, networks that aren't started,
 * pools without the room that the arguments `brings.POOL` tell. Libvirt there looks at those pools anew. */
gboolean move_check_way(const ActionContext *there, const Action *action, virDomainPtr domain, xmlDoc *doc, GError **error);

/* Notes in the record of the copy here that something of the machine is made on another host, and with `arriving`
 * that a copy may run there: from before that is so until it certainly isn't. Whoever sees this copy alone then
 * knows where another one may be. to NULL: nowhere. */
gboolean move_note(virDomainPtr domain, const char *to, gboolean arriving, GError **error);
/* This copy's epoch is at least so high from now on: all that are below it count less. */
gboolean move_outdate(virDomainPtr domain, gint64 epoch, GError **error);
/* Notes where its UEFI variables are, which libvirt may not tell of a machine that is off. */
gboolean move_note_nvram(virDomainPtr domain, const char *path, GError **error);
/* Notes that what was stopped to be moved runs again. */
gboolean move_started(virDomainPtr domain, GError **error);
/* A copy that others may follow no longer starts with its host; that it did is noted, and goes along. */
gboolean move_take_autostart(virDomainPtr domain, GError **error);
/* Where it has arrived, or stays, it starts with its host as before. */
gboolean move_give_autostart(virDomainPtr domain, GError **error);
/* Whether the machine's snapshots are those (names, one a line; NULL: none): files of others weren't copied. */
gboolean move_same_snapshots(virDomainPtr domain, const char *names, GError **error);
/* Tells the newer copy's libvirt of the snapshots that it is to have, as the older one has them, and notes that it has. */
gboolean move_snapshots(virDomainPtr older, virDomainPtr newer, GError **error);
gboolean move_forget_coming(virDomainPtr domain, GError **error);
/* Whether the newer copy has all snapshots of the older one: else an error that names one. */
gboolean move_has_snapshots(virDomainPtr older, virDomainPtr newer, GError **error);
/* libvirt's notes of the machine's checkpoints, parents first; and told to another copy. NULL or FALSE with error. */
GPtrArray *move_checkpoints(virDomainPtr domain, GError **error);
gboolean move_tell_checkpoints(const GPtrArray *texts, virDomainPtr newer, GError **error);
/* After a failure: what was stopped to be moved runs again here, where no copy may run elsewhere. Whether it was started. */
gboolean move_go_on(const ActionContext *context, const Action *action);
/* The copy on `there` is the machine: its disks are whole (their markers go), and it starts with its host as before. */
gboolean move_complete(const ActionContext *there, virDomainPtr domain, GError **error);
/* What the copy on `there` has is whole, though the machine is elsewhere: no interrupted move is cleared away with it. */
gboolean move_is_whole(const ActionContext *there, virDomainPtr domain, GError **error);
/* Notes that a copy that a move brought was seen to run, if it does: it is never taken for one that never ran from then on. */
gboolean move_seen(virDomainPtr domain, GError **error);
/* Takes out of the record of the copy here what is to be deleted where it came from: it is done, or not to be done. */
gboolean move_forget_left(virDomainPtr domain, GError **error);
/* Whether what the machine on `there` left `here` is what was copied, or isn't left at all, since storage is shared by now. */
gboolean move_check_left(const ActionContext *there, const ActionContext *here, const FactsSpec *facts, GError **error);
/* How often it has moved, or -1 with error. */
gint64 move_epoch(virDomainPtr domain, GError **error);

/* The definition that the machine gets on the other host: as it is here, with the next epoch, its new
 * home, and what it leaves behind. Free the text; it may hold secrets. */
char *move_definition(const ActionContext *context, const Action *action, virDomainPtr domain, GError **error);

/* Removes a volume that carries our marker there, and the marker, unless something uses it by now; with `certain` also not where
 * that can't be told. */
gboolean move_remove_half_made(const ActionContext *there, virStoragePoolPtr pool, const char *name, gboolean certain, GError **error);
/* The same of all that an interrupted move made of a machine's files: lines, from the top; NULL: none. */
gboolean move_begin_anew(const ActionContext *there, const char *paths, GError **error);
/* After a move that failed: what carries our marker there goes again, where it is certain that the machine
 * isn't there: then TRUE. Otherwise the next move does that. */
gboolean move_take_back(const ActionContext *context, const Action *action);
