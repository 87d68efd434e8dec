/* A machine that moves while it is stopped: made on the other host with a newer epoch, started and seen to run
 * there, and only then removed here (move_leave.c). Until then it is here, and runs here again when anything fails. */
#include <string.h>

#include "reconciler/act/move.h"
#include "reconciler/act/move_copied.h"
#include "state/fault.h"
#include "state/life_sign.h"

/* --- arriving --- */

static gboolean start_there(virDomainPtr there, GError **error) {
  int state;
  if (LIFE_LONG(virDomainCreate(there)) < 0)
    return libvirt_fail(error, "cannot start it on the other host");
  FAULT("move: started there");
  g_usleep(500000); /* one that fails at once is no success */
  if (virDomainGetState(there, &state, NULL, 0) < 0)
    return libvirt_fail(error, "cannot read its state on the other host");
  return state == VIR_DOMAIN_RUNNING || act_fail(error, "it was started on the other host, but doesn't run");
}

/* Off and gone there, as far as it was ever defined; an answer that doesn't come is no. Of its files only those go that carry
 * our marker (move_take_back): UEFI variables may be on storage that both hosts have. */
static gboolean is_gone(virDomainPtr there, virConnectPtr peer, const char *name) {
  g_autoptr(VirDomain) left = NULL;
  if (there) {
    virDomainDestroy(there);
    virDomainUndefineFlags(there, ACT_UNDEFINE | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM);
  }
  return move_find_there(peer, name, &left, NULL) && !left;
}

/* As it was before: not there. What may run there never runs here too. */
static void go_back(const ActionContext *context, const Action *action, virDomainPtr here, virDomainPtr there, virConnectPtr peer, GError **error) {
  if (!is_gone(there, peer, context->object->name)) {
    g_prefix_error(error, "it isn't started here again, since it may run on the other host, look there: ");
    return;
  }
  if (!move_note(here, act_arg(action, "to"), FALSE, NULL))
    return;
  move_give_autostart(here, NULL);
}

static gboolean arrive(const Action *action, virDomainPtr here, virDomainPtr there, GError **error) {
  if (!there)
    return libvirt_fail(error, "cannot define it on the other host");
  if (act_arg(action, "snapshots") && !move_snapshots(here, there, error))
    return FALSE;
  if (act_arg(action, "start") && (!start_there(there, error) || !move_started(there, error)))
    return FALSE;
  return move_give_autostart(there, error);
}

static gboolean check_absent(const ActionContext *context, virDomainPtr here, virConnectPtr peer, GError **error) {
  g_autoptr(VirDomain) there = NULL;
  if (!move_find_there(peer, context->object->name, &there, error))
    return FALSE;
  int active = virDomainIsActive(here);
  if (active != 0)
    return active < 0 ? libvirt_fail(error, "cannot see whether domain %s is running", context->object->name)
                      : act_stale(error, "domain %s runs here: it isn't started a second time", context->object->name);
  return !there || act_stale(error, "there is a machine of this name on the other host");
}

/* This copy no longer starts with its host, from before there is another one. */
static gboolean go(const ActionContext *context, const Action *action, GError **error) {
  const char *to = act_need(action, "to", error);
  virConnectPtr peer = to ? move_peer(context, action, "to", error) : NULL;
  g_autoptr(VirDomain) here = peer ? act_own_domain(context, error) : NULL, there = NULL;
  if (!here || !check_absent(context, here, peer, error))
    return FALSE;
  if (!move_same_snapshots(here, act_arg(action, "snapshots"), error))
    return FALSE;
  g_autoptr(Ownership) record = act_record(here, error);
  if (!record || !move_check_copied(context, &record->facts, act_arg(action, "left"), error))
    return FALSE;
  g_autofree char *text = move_definition(context, action, here, error);
  if (!text || !move_note(here, to, TRUE, error))
    return FALSE;
  if (!move_take_autostart(here, error))
    return FALSE;
  FAULT("move: noted where it goes");
  there = virDomainDefineXMLFlags(peer, text, 0);
  explicit_bzero(text, strlen(text));
  FAULT("move: defined there");
  gboolean fine = arrive(action, here, there, error);
  if (!fine)
    go_back(context, action, here, there, peer, error);
  return fine;
}

gboolean act_domain_arrive(const ActionContext *context, const Action *action, GError **error) {
  gboolean fine = go(context, action, error);
  if (!fine) {
    move_go_on(context, action);
    move_take_back(context, action);
  }
  return fine;
}
